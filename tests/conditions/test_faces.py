"""Faces keep their numbers, and tracks keep their points."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import vid2vid
from vid2vid.conditions.face_networks import Mesh, around
from vid2vid.conditions.face_tracks import FaceTracks, read_faces
from vid2vid.conditions.faces import Face, FaceFinder, _same
from vid2vid.io import open_source, read_image

SAMPLES = Path(vid2vid.__file__).parent / "samples"
WIDTH, HEIGHT = 480, 240


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(every=4)


@pytest.fixture(scope="module")
def man() -> np.ndarray:
    return cv2.resize(read_image(SAMPLES / "face.jpg"), (240, 240), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def woman() -> np.ndarray:
    with open_source(SAMPLES / "smile.mp4") as source:
        picture = next(iter(source)).pixels
    return cv2.resize(picture[:, 280:], (240, 240), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def face(finder: FaceFinder, man: np.ndarray) -> Face:
    (found,) = finder.find(man)
    return found


def scene(left: np.ndarray | None, right: np.ndarray | None, shift: int = 0, level: int = 90) -> np.ndarray:
    """Up to two heads side by side."""
    picture = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
    if left is not None:
        picture[:, shift : shift + 240] = left
    if right is not None:
        picture[:, 240:] = right
    return picture


def turned(face: Face, across: float, down: float) -> Face:
    """The same face with its head turned to the picture's right and downwards, in radians."""
    cosine, sine = np.cos(across), np.sin(across)
    yaw = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    cosine, sine = np.cos(down), np.sin(down)
    pitch = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    middle = face.points.mean(0)
    points = ((face.points - middle) @ (yaw @ pitch).T + middle).astype(np.float32)
    return Face(points, 1.0, 0, around(points))


@pytest.mark.robustness(36)
def test_the_largest_face_comes_first(finder: FaceFinder, man: np.ndarray, woman: np.ndarray) -> None:
    small = np.full((240, 240, 3), 90, np.uint8)
    small[60:180, 60:180] = cv2.resize(man, (120, 120), interpolation=cv2.INTER_AREA)
    faces = finder.find(scene(small, woman))
    assert [one.number for one in faces] == [0, 1]
    assert faces[0].box[0] > 240 > faces[1].box[2] and faces[0].iod > 1.5 * faces[1].iod
    assert finder.find(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)) == []


def test_directions(face: Face) -> None:
    assert turned(face, 0.3, 0.0).yaw - face.yaw == pytest.approx(0.3, abs=0.03)
    assert turned(face, 0.3, 0.0).points[1, 0] > face.points[1, 0], "the nose moves to the right"
    assert turned(face, 0.0, 0.25).pitch - face.pitch == pytest.approx(0.25, abs=0.03)
    assert turned(face, 0.0, 0.25).points[1, 1] > face.points[1, 1], "and downwards"
    across = face.points[263] - face.points[33]
    assert face.roll == pytest.approx(np.arctan2(across[1], across[0]))
    assert turned(face, 0.8, 0.0).iod == pytest.approx(face.iod, rel=1e-4), "turning does not make a head smaller"


def test_nose_and_mouth_are_no_second_face(face: Face) -> None:
    middle = face.points[13]
    part = middle + 0.4 * (face.points - middle)
    beside = face.points + np.array([1.5 * np.ptp(face.points[:, 0]), 0, 0], np.float32)
    whole, inner, other = (Mesh(around(points), points, 1.0) for points in (face.points, part, beside))
    assert _same(whole, inner) and _same(inner, whole) and not _same(whole, other)


@pytest.mark.robustness(35, 36)
def test_numbers_survive_motion_gaps_and_cuts(finder: FaceFinder, man: np.ndarray, woman: np.ndarray) -> None:
    frames = [scene(man, woman, 2 * number) for number in range(6)]
    hidden = man.copy()
    hidden[60:210, 45:165] = (150, 110, 90)
    frames += [scene(hidden, woman, 12)] * 6 + [scene(man, woman, 16)] * 4
    frames += [scene(None, None, level=250)] * 3 + [scene(woman, man)] * 4
    faces = list(finder.follow(frames))
    his, hers = (one.number for one in sorted(faces[0], key=lambda one: one.box[0]))
    assert [[one.number for one in here] for here in faces[:6]] == [[0, 1]] * 6
    assert faces[5][his].box[0] - faces[0][his].box[0] == pytest.approx(10, abs=2)
    assert [[one.number for one in here] for here in faces[7:12]] == [[hers]] * 5
    assert [one.number for one in faces[15]] == [0, 1]
    assert faces[15][his].box[0] < 200
    assert finder.cuts == [16, 19]
    assert [[one.number for one in here] for here in faces[16:19]] == [[]] * 3
    assert [one.number for one in faces[-1]] == [0, 1]
    assert faces[-1][hers].box[0] < 200 < faces[-1][his].box[0], "they changed sides at the cut; the look tells them"


def test_tracks_of_a_clip(finder: FaceFinder, man: np.ndarray) -> None:
    tracks = read_faces([scene(man, None, 2 * number) for number in range(6)], finder)
    assert tracks.numbers == (0,) and tracks.frame_count == 6 and tracks.cuts == ()
    path, present = tracks.path(0)
    assert path.shape == (6, 478, 3) and present.all()
    assert np.diff(path[:, :, 0].mean(1)) == pytest.approx(2, abs=0.5)
    assert tracks.coming(0, 0) == tracks.coming(0, 5) == 1.0


def straight(frames: range, face: Face) -> dict[int, np.ndarray]:
    """A face that moves 3 pixels a frame to the right."""
    return {frame: face.points + np.array([3 * frame, 0, 0], np.float32) for frame in frames}


@pytest.mark.robustness(35, 37)
def test_gaps_are_bridged_within_a_shot_only(face: Face) -> None:
    seen = {**straight(range(5, 20), face), **straight(range(28, 40), face), **straight(range(45, 50), face)}
    tracks = FaceTracks({3: seen}, 60, cuts=[42])
    filled = tracks.points(3, 24)
    assert filled is not None and np.abs(filled - face.points - [72, 0, 0]).max() < 0.05
    assert tracks.points(3, 42) is None and tracks.points(3, 4) is None and tracks.points(7, 5) is None
    assert (tracks.first(3), tracks.last(3), len(tracks.seen(3))) == (5, 49, 32)
    longer = FaceTracks({3: {**straight(range(5, 20), face), **straight(range(29, 40), face)}}, 60)
    assert longer.points(3, 24) is None


@pytest.mark.robustness(35)
def test_faces_fade_where_they_come_and_go_within_a_shot(face: Face) -> None:
    tracks = FaceTracks({0: {**straight(range(0, 12), face), **straight(range(30, 40), face)}}, 50, cuts=[30])
    assert [tracks.coming(0, frame) for frame in (0, 7)] == [1.0, 1.0]
    assert [round(tracks.coming(0, frame), 2) for frame in range(7, 14)] == [1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0]
    assert tracks.coming(0, 30) == 1.0, "a cut needs no fading"
    assert tracks.coming(0, 39) == pytest.approx(0.2)


def test_a_flash_is_no_face_unless_it_is_the_whole_shot(face: Face) -> None:
    tracks = FaceTracks({0: straight(range(10, 13), face), 1: straight(range(20, 23), face)}, 40, cuts=[20, 23])
    assert tracks.numbers == (1,)


def test_points_are_kept_small_and_exact(face: Face) -> None:
    large = face.points * 12.0
    tracks = FaceTracks({0: {0: large}}, 1)
    stored = tracks._kept[0][0].steps
    assert stored.nbytes == 478 * 3 * 2
    back = tracks.points(0, 0)
    assert back is not None and np.abs(back - large).max() < 0.03

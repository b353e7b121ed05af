"""Faces are found, chosen, swapped and reported; what is not chosen stays as it was to the bit."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from vid2vid_tasks.face_swap import task
from vid2vid_tasks.face_swap.keys import Identity, Key, awake, choose, identity_of, openings, sample, shares
from vid2vid_tasks.face_swap.lesson import FaceWindows, _start_as_moved, read_shots
from vid2vid_tasks.face_swap.parts import stretches
from vid2vid_tasks.face_swap.telling import _runs

import vid2vid
from vid2vid.backbones import make_generator
from vid2vid.conditions.faces import FaceFinder
from vid2vid.io import open_source, read_image
from vid2vid.motion.face_blend import face_mask
from vid2vid.motion.face_goal import frontal, pose_between
from vid2vid.motion.face_mesh import OVAL, warp_face
from vid2vid.samples import FOLDER as SAMPLES

LENGTH = 8


@functools.cache
def portrait() -> np.ndarray:
    return read_image(SAMPLES / "face.jpg")


@functools.cache
def woman() -> np.ndarray:
    with open_source(SAMPLES / "smile.mp4") as clip:
        return next(frame.pixels for frame in clip if frame.index == 40)


@functools.cache
def two_faces() -> np.ndarray:
    """A man on the left, who moves, and a larger woman on the right: `(LENGTH, 300, 560, 3)`."""
    frames = np.full((LENGTH, 300, 560, 3), 90, np.uint8)
    right = cv2.resize(woman()[20:320, 300:600], (280, 280), interpolation=cv2.INTER_AREA)
    left = cv2.resize(portrait()[40:320, 40:320], (220, 220), interpolation=cv2.INTER_AREA)
    for t in range(LENGTH):
        frames[t, 40 : 40 + 220, 10 + 2 * t : 230 + 2 * t] = left
        frames[t, 10:290, 275:555] = right
    return frames


def swap(video: object, **words: object) -> vid2vid.Translation:
    words = {"reference": portrait(), "consent": "licensed", "progress": False, **words}
    return vid2vid.translate(video, "face_swap", **words)  # type: ignore[arg-type]


def frames_of(made: vid2vid.Translation) -> np.ndarray:
    return np.stack(list(made.frames))


@pytest.mark.robustness(36)
def test_only_the_chosen_face_changes() -> None:
    source = two_faces()
    made = swap(source)
    frames = frames_of(made)
    report = made.report["task_report"]
    assert len(report["faces"]) == 2 and sum(face["swapped_frames"] > 0 for face in report["faces"]) == 1
    assert np.array_equal(frames[:, :, :270], source[:, :, :270]), "the smaller face is not touched"
    changed = np.abs(frames[:, :, 275:].astype(int) - source[:, :, 275:]).max(-1) > 0
    assert 0.08 < changed.mean() < 0.6
    assert np.abs(frames[:, 80:180, 370:460].astype(int) - source[:, 80:180, 370:460]).mean() > 4


@pytest.mark.robustness(36)
def test_faces_are_chosen_by_number_and_given_by_name() -> None:
    source = two_faces()
    numbers = [face["number"] for face in swap(source).report["task_report"]["faces"]]
    one = frames_of(swap(source, faces=str(numbers[0])))
    both = frames_of(swap(source, faces="all"))
    named = frames_of(swap(source, reference={numbers[1]: woman()}))
    halves = [(slice(0, 270)), slice(275, 560)]
    where = [bool((one[:, :, half] != source[:, :, half]).any()) for half in halves]
    assert sorted(where) == [False, True]
    assert all((both[:, :, half] != source[:, :, half]).any() for half in halves)
    assert [bool((named[:, :, half] != source[:, :, half]).any()) for half in halves] == [not there for there in where]


def test_a_face_put_on_itself_looks_as_before() -> None:
    source = two_faces()[:, :, 275:]
    made = frames_of(swap(np.ascontiguousarray(source), reference=woman()))
    inside = (slice(None), slice(70, 200), slice(80, 200))
    error = np.abs(made[inside].astype(float) - source[inside]).mean()
    askew = np.abs(np.roll(source, 2, 2)[inside].astype(float) - source[inside]).mean()
    assert 0.0 < error < 0.7 * askew, "nearer than a face two pixels aside"


def test_the_face_is_another_ones() -> None:
    """Its landmarks' shape goes towards the reference's, and its skin's texture is the reference's."""
    source = np.ascontiguousarray(two_faces()[:, :, 275:])
    finder = FaceFinder()
    wanted, before = finder.find(portrait())[0].points, finder.find(source[0])[0].points
    made = {shape: frames_of(swap(source, shape=shape))[0] for shape in (0.0, 1.0)}
    after = {shape: finder.find(picture)[0].points for shape, picture in made.items()}
    front = frontal(before)[:468, :2]
    inner = np.linalg.norm(front[:, None] - front[list(OVAL)], axis=2).min(1) > 0.3
    apart = {name: off(points, wanted, inner) for name, points in (("clip", before), *after.items())}
    assert apart[1.0] < 0.85 * min(apart["clip"], apart[0.0])
    moved = np.linalg.norm(after[1.0][:, :2] - before[:, :2], axis=1) / np.linalg.norm(before[33] - before[263])
    assert moved.mean() < 0.08, "eyes, mouth and outline stay where the clip has them"
    whose = warp_face(portrait(), wanted, before, source[0].shape[:2]).picture
    like = [np.corrcoef(texture(made[0.0], before), texture(one, before))[0, 1] for one in (whose, source[0])]
    assert like[0] > like[1] + 0.1


def off(points: np.ndarray, wanted: np.ndarray, where: np.ndarray) -> float:
    """Mean distance of shapes, seen from the front, in distances of the eyes' outer corners."""
    pose = pose_between(frontal(points), frontal(wanted))
    return float(np.linalg.norm((pose(frontal(points)) - frontal(wanted))[:468, :2], axis=1)[where].mean())


def texture(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Detail of the cheeks, nose and forehead, without broad light."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 6.0)
    iod = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    return fine[face_mask(points, picture.shape[:2], (0.0, 0.0), iod) > 0.9]


def test_a_generator_starts_as_the_view_that_was_moved() -> None:
    """So that the best judged of its weights are not worse; one that starts otherwise has to learn that first."""
    net = make_generator(task.backbone, task.channels)
    reference = torch.rand(1, 4, 64, 64).clamp(0.1, 0.9)
    reference[:, 3] = 1.0
    maps, history = torch.rand(1, sum(task.channels.values()), 64, 64), torch.rand(1, 4, 64, 64)
    with torch.no_grad():
        usual = float((net(maps, reference, history) - reference[:, :3]).abs().mean())
        _start_as_moved(net)
        started = float((net(maps, reference, history) - reference[:, :3]).abs().mean())
    assert started < 0.01 < 0.03 < usual


def test_the_report_says_on_what_basis_and_whose_face_was_used() -> None:
    made = swap(two_faces()[:2], reference={0: SAMPLES / "face.jpg"}, consent="synthetic")
    provenance = made.report["provenance"]
    digest = hashlib.sha256((SAMPLES / "face.jpg").read_bytes()).hexdigest()
    assert provenance["consent"] == "synthetic"
    assert provenance["references"] == [{"name": "0", "file": "face.jpg", "sha256": digest}]


@pytest.mark.robustness(34)
def test_a_clip_without_faces_is_passed_through_and_reported() -> None:
    clip = np.random.default_rng(0).integers(0, 255, (4, 120, 160, 3), np.uint8)
    made = swap(clip)
    assert np.array_equal(frames_of(made), clip)
    assert "No face was found" in made.report["task_report"]["notes"][0]


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ({"consent": None}, vid2vid.ConsentRequired, "consent="),
        ({"reference": None}, vid2vid.ReferenceRequired, "reference="),
        ({"reference": np.full((200, 200, 3), 90, np.uint8)}, vid2vid.ReferenceMismatch, "no face"),
        ({"faces": "7"}, vid2vid.InvalidOption, "no face 7"),
        ({"faces": "biggest"}, vid2vid.InvalidOption, "'largest'"),
        ({"reference": {"anna": None}}, vid2vid.ReferenceMismatch, "'anna'"),
        ({"shape": 2.0}, vid2vid.InvalidOption, "0 to 1"),
        ({"keys": 20}, vid2vid.InvalidOption, "1 to 8"),
    ],
)
def test_wrong_words_get_one_clear_error(words: dict[str, object], error: type[Exception], said: str) -> None:
    if isinstance(words.get("reference"), dict):
        words = {"reference": {"anna": portrait()}}
    with pytest.raises(error) as caught:
        swap(two_faces(), **words)
    assert said in str(caught.value)


def test_frames_that_pass_by_once_are_refused() -> None:
    with pytest.raises(vid2vid.UsageError, match="looks through the clip first"):
        swap(iter(two_faces()))


@pytest.mark.robustness(35)
def test_a_face_may_leave_the_picture() -> None:
    picture = portrait()
    clip = np.stack([np.full_like(picture, 120)] * 14)
    for t in range(14):
        away = 20 * t
        clip[t, :, : picture.shape[1] - away] = picture[:, away:]
    made = swap(clip, reference=woman())
    frames = frames_of(made)
    assert (frames[0] != clip[0]).any() and np.array_equal(frames[-1], clip[-1])


@pytest.mark.robustness(37)
def test_after_a_cut_a_face_is_there_at_once() -> None:
    face = np.stack([portrait()] * 8)
    nobody = np.full_like(face, 60)
    nobody[:, 100:] = 200
    clip = np.concatenate([face, nobody, face])
    frames = frames_of(swap(clip, reference=woman()))
    change = np.abs(frames.astype(int) - clip).mean((1, 2, 3))
    assert change[8:16].max() == 0.0
    assert change[16] > 0.8 * change[20] and change[7] > 0.8 * change[3]


def test_stretches_end_at_absences_and_cuts() -> None:
    there = np.array([0, 1, 1, 0, 0, 1, 1, 1, 1, 0], bool)
    found = [(run.start, run.stop) for run in stretches(there, [0, 4, 7])]
    assert found == [(1, 3), (5, 7), (7, 9)]


def test_working_small_and_by_half_changes_what_it_should() -> None:
    source = two_faces()[:3]
    small, half, whole = swap(source, size=150), swap(source, strength=0.5), swap(source)
    assert np.abs(frames_of(small).astype(int) - frames_of(whole)).max() <= 1, "faces are put in at full size"
    change = frames_of(whole).astype(int) - source
    assert np.abs(2 * (frames_of(half).astype(int) - source) - change).max() <= 2
    assert np.array_equal(frames_of(half)[:, :, :270], source[:, :, :270])


def key(yaw: float, **more: float) -> Key:
    given = {"pitch": 0.0, "eyes": 0.1, "mouth": 0.0, "sharpness": 5.0, **more}
    return Key(np.zeros((4, 4, 3), np.uint8), np.zeros((478, 3), np.float32), yaw, **given)


def test_keys_with_closed_eyes_or_blur_are_not_chosen() -> None:
    person = Identity(
        (key(0.0, eyes=0.01), key(0.0, sharpness=1.0), key(0.05), key(0.0, mouth=0.3)), np.zeros((478, 3))
    )
    assert choose(person, np.zeros((5, 2), np.float32), 1).keys == (person.keys[2],)


def test_a_bundle_keeps_good_keys_from_several_sides_and_others_evenly() -> None:
    many = [key(0.01 * n, sharpness=5.0 if n % 2 else 1.0) for n in range(40)]
    kept = sample(Identity(tuple(many), np.zeros((478, 3))), 3, 10)
    turns = [one.yaw for one in kept]
    assert len(kept) == 13 == len(set(turns))
    assert all(one.sharpness == 5.0 for one in kept[:3]) and np.ptp(turns[:3]) > 0.3
    assert np.ptp(turns[3:]) > 0.35 and np.diff(turns[3:]).max() < 0.06
    assert sample(Identity(tuple(many[:2]), np.zeros((478, 3))), 3, 10)[0] is many[1]


def test_a_bundle_keeps_open_eyes_even_where_most_are_closed() -> None:
    closed, opened = [key(0.0, eyes=0.02)] * 30, [key(0.0)] * 10
    assert awake([*closed, *opened]) == opened
    assert len(awake([*closed, *opened[:4]])) == 34, "too few of them: all are kept"


def test_keys_change_seldom_and_softly() -> None:
    person = Identity((key(0.0), key(0.6)), np.zeros((478, 3)))
    turns = np.zeros((60, 2), np.float32)
    turns[:, 0] = np.concatenate([np.full(30, 0.05), np.full(30, 0.6)])
    turns[10, 0] = 0.4  # one frame that is misread
    shown = shares(person, turns)
    assert np.allclose(shown.sum(1), 1.0)
    assert shown[8:13, 0].min() == 1.0 and shown[50:, 1].min() == 1.0
    assert np.abs(np.diff(shown[:, 0])).max() < 0.2
    assert len(choose(person, turns, 4).keys) == 2 and len(choose(person, turns[:9], 4).keys) == 1


def test_a_key_knows_how_far_eyes_and_mouth_are_open() -> None:
    from vid2vid.types import Reference

    man = identity_of([Reference((portrait(),))]).keys[0]
    assert 0.02 < man.eyes < 0.2 and man.mouth < 0.05
    assert openings(man.points) == (man.eyes, man.mouth)


def test_runs_of_frames_are_told_shortly() -> None:
    assert _runs(np.array([1, 2, 3, 7])) == ["1-3", "7"] and _runs(np.array([], int)) == []


@pytest.mark.slow
def test_a_person_is_taught_and_the_bundle_renders_without_a_reference(tmp_path: Path) -> None:
    trained = vid2vid.train(
        [SAMPLES / "smile.mp4"], "face_swap", tmp_path / "woman", steps=3, progress=False, judge_every_s=1e9
    )
    assert trained.bundle.keys
    made = vid2vid.translate(two_faces()[:3], tmp_path / "woman", consent="licensed", faces="all", progress=False)
    report = made.report["task_report"]
    assert [face["swapped_frames"] for face in report["faces"]] == [3, 3]
    metrics = trained.bundle.metrics
    better = metrics["st_lpips"] <= metrics["source_st_lpips"]
    assert report["generator"] == ("trained" if better else "none")
    assert any("no better" in note for note in report["notes"]) is not better
    assert len(made.report["provenance"]["references"]) == len(trained.bundle.keys)
    other = vid2vid.translate(
        two_faces()[:3], tmp_path / "woman", reference=portrait(), consent="licensed", progress=False
    )
    assert other.report["task_report"]["generator"] == "none"
    assert any("only its own person" in note for note in other.report["task_report"]["notes"])


@pytest.mark.slow
def test_windows_follow_from_seed_and_number_and_look_alike_when_cut() -> None:
    shots = read_shots([SAMPLES / "smile.mp4"])
    keys = [key for frame, key in shots[0].keys.items() if frame < shots[0].taught]
    windows = FaceWindows(shots, keys, slots=2, crop=64, seed=3)
    first = [window for window, _ in zip(iter(windows), range(5), strict=False)]
    later = next(windows.start(4))
    assert torch.equal(first[4].maps, later.maps) and torch.equal(first[4].reference, later.reference)
    assert first[0].maps.shape == (2, 2, 8, 64, 64) and not torch.equal(first[0].maps, first[3].maps)
    assert float((first[0].reference[:, :, :3] - first[0].target).abs().mean()) < 0.1

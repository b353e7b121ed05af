"""The networks for faces find a face wherever it lies, and their points go with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import vid2vid
from vid2vid.conditions.face_networks import EYE_CORNERS, FaceDetector, MeshNetwork, around
from vid2vid.io import read_image

PORTRAIT = Path(vid2vid.__file__).parent / "samples" / "face.jpg"


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def network() -> MeshNetwork:
    return MeshNetwork()


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return read_image(PORTRAIT)


@pytest.fixture(scope="module")
def points(detector: FaceDetector, network: MeshNetwork, portrait: np.ndarray) -> np.ndarray:
    (region,) = detector(portrait)
    (first,) = network(portrait, [region])
    (second,) = network(portrait, [first.following])
    assert second.score > 0.99
    return second.points


def iod(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[EYE_CORNERS[1], :2] - points[EYE_CORNERS[0], :2]))


def moved(picture: np.ndarray, angle: float, scale: float, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned clockwise around its middle into one of another size; the matrix `(2, 3)`."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -np.degrees(angle), scale)
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    flags, border = cv2.INTER_AREA, cv2.BORDER_REPLICATE
    return cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=border), matrix


def test_parts_of_the_face_lie_where_they_belong(points: np.ndarray) -> None:
    assert points.shape == (478, 3) and points.dtype == np.float32
    left, right = points[33], points[263]
    nose, chin, brow, lips = points[1], points[152], points[10], points[[13, 14]].mean(0)
    assert left[0] < nose[0] < right[0] and brow[1] < left[1] < nose[1] < lips[1] < chin[1]
    assert nose[2] < min(left[2], right[2], chin[2]), "the nose is nearest"
    rim = [33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173]
    assert points[468:473, 2] == pytest.approx(points[rim, 2].mean(), abs=1e-3), "an iris is as deep as its eye's rim"
    for iris, corners in ((468, (33, 133)), (473, (362, 263))):
        assert points[corners[0], 0] < points[iris, 0] < points[corners[1], 0]
        assert abs(points[iris, 1] - points[list(corners), 1].mean()) < 0.08 * iod(points)
        rim = np.linalg.norm(points[iris + 1 : iris + 5, :2] - points[iris, :2], axis=1)
        assert 0.04 < rim.mean() / iod(points) < 0.1, "an iris is 11.7 mm across, the corners are about 90 mm apart"


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 0.5), (0.5, 1.0), (-0.4, 1.7)])
def test_points_go_with_the_picture(
    angle: float, scale: float, detector: FaceDetector, network: MeshNetwork, portrait: np.ndarray, points: np.ndarray
) -> None:
    picture, matrix = moved(portrait, angle, scale, (700, 620))
    found = detector(picture)
    (first,) = network(picture, found[:1])
    (second,) = network(picture, [first.following])
    expected = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(second.points[:, :2] - expected, axis=1).mean() < 0.035 * iod(points) * scale
    assert second.region.angle == pytest.approx(angle + around(points).angle, abs=0.06)
    depth = np.ptp(second.points[:, 2]) / scale
    assert depth == pytest.approx(np.ptp(points[:, 2]), rel=0.1)


def test_a_small_face_needs_tiles(detector: FaceDetector, portrait: np.ndarray) -> None:
    picture, matrix = moved(portrait, 0.0, 0.2, (960, 540))
    assert detector(picture, sizes=()) == []
    found = detector(picture)
    assert len(found) == 1, "it lies in several tiles"
    middle = matrix[:, :2] @ [155.0, 200.0] + matrix[:, 2]
    assert np.hypot(found[0].x - middle[0], found[0].y - middle[1]) < 12


def test_a_closer_look_tells_faces_from_what_passed_for_one(
    detector: FaceDetector, portrait: np.ndarray, points: np.ndarray
) -> None:
    region = around(points)
    noise = cv2.resize(np.random.default_rng(0).integers(0, 255, (12, 12, 3)).astype(np.uint8), (360, 360))
    (sure,), (unsure,) = detector.certainty(portrait, [region]), detector.certainty(noise, [region])
    assert sure > 0.8 and unsure < 0.5
    away = replace(region, x=region.x + 1.2 * region.size)
    assert detector.certainty(portrait, [away, region])[1] == pytest.approx(sure, abs=1e-4)


def test_faces_of_a_batch_do_not_touch_each_other(
    network: MeshNetwork, portrait: np.ndarray, points: np.ndarray
) -> None:
    regions = [around(points), replace(around(points), x=5.0, angle=1.0)]
    both = network(portrait, regions)
    for one, region in zip(both, regions, strict=True):
        (alone,) = network(portrait, [region])
        assert np.abs(one.points - alone.points).max() < 0.02
    assert both[0].score > 0.99 > both[1].score
    assert network(portrait, []) == []

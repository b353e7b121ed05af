"""Figures of swapped faces mean what they say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.faces_measured import (
    Watched,
    chip,
    correlation,
    eye_opening,
    iod,
    mesh_error,
    shake,
    sharpness_ratio,
    similarity,
)
from vid2vid.motion.face_mesh import OVAL

Floats = NDArray[np.float32]


def make_points(seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    points = rng.uniform((70, 60, 0), (130, 140, 0), (478, 3)).astype(np.float32)
    angles = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL), 0], points[list(OVAL), 1] = 100 + 48 * np.sin(angles), 100 - 60 * np.cos(angles)
    points[[33, 133, 362, 263], :2] = (72, 80), (90, 80), (110, 80), (128, 80)
    points[[159, 145, 386, 374], :2] = (81, 77), (81, 83), (119, 76), (119, 84)
    points[2, :2] = (100, 105)
    return points


def turned(points: Floats, angle: float, scale: float, shift: tuple[float, float]) -> Floats:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points.copy()
    moved[:, :2] = points[:, :2] @ turn.T + shift
    return moved


def test_turn_scale_and_shift_are_no_error_of_the_mesh() -> None:
    points = make_points()
    assert mesh_error(turned(points, 0.4, 1.7, (30, -12)), points) < 1e-5
    matrix = similarity(points[:, :2], turned(points, 0.4, 1.7, (30, -12))[:, :2])
    assert float(np.hypot(*matrix[:, 0])) == pytest.approx(1.7)


def test_an_error_is_told_in_distances_of_the_eyes() -> None:
    points, rng = make_points(), np.random.default_rng(1)
    off = points.copy()
    angles = rng.uniform(0, 2 * np.pi, 478)
    off[:, :2] += 0.05 * iod(points) * np.stack([np.cos(angles), np.sin(angles)], 1)
    assert mesh_error(off, points) == pytest.approx(0.05, rel=0.05)
    assert mesh_error(2 * off, 2 * points) == pytest.approx(mesh_error(off, points), rel=1e-3)


def test_opening_of_the_eyes() -> None:
    assert eye_opening(make_points()) == pytest.approx((6 + 8) / 2 / 56, rel=1e-4)


def test_correlation() -> None:
    wave = np.sin(np.arange(40.0))
    assert correlation(list(wave), list(3 * wave + 2)) == pytest.approx(1)
    assert correlation(list(wave), list(-wave)) == pytest.approx(-1)
    assert correlation(list(wave), [0.3] * 40) == 0.0


def test_even_motion_does_not_shake_and_noise_does() -> None:
    rng, present = np.random.default_rng(2), np.ones(12, bool)
    even = np.stack([make_points() + np.float32(2.0 * t) for t in range(12)])
    assert shake(even, present) < 1e-5
    noise = rng.normal(0, 1, even.shape).astype(np.float32)
    little, more = (shake(even + amount * noise, present) for amount in (0.3, 0.6))
    assert more == pytest.approx(2 * little, rel=0.05)


def test_a_lost_face_is_no_shaking() -> None:
    still = np.stack([make_points()] * 9)
    present = np.ones(9, bool)
    still[4], present[4] = 0, False
    assert shake(still, present) == 0.0


def test_blur_lowers_the_sharpness_on_the_face_alone() -> None:
    frame = np.random.default_rng(3).integers(60, 200, (200, 200, 3), dtype=np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(frame, (0, 0), 1.5), np.uint8)
    around = blurred.copy()
    around[35:165, 48:152] = frame[35:165, 48:152]
    target, *others = (
        Watched([each], make_points()[None], np.ones(1, bool)) for each in (frame, frame, blurred, around)
    )
    same, soft, background = (sharpness_ratio(target, other, [0]) for other in others)
    assert same == 1.0 and soft < 0.3 and background > 0.98


def test_a_chip_is_upright_and_of_one_size() -> None:
    points = make_points()
    picture = np.zeros((400, 400, 3), np.uint8)
    moved = turned(points, 0.5, 1.4, (120, 0))
    for corner in (33, 263):
        cv2.circle(picture, tuple(int(v) for v in moved[corner, :2].round()), 4, (255, 255, 255), -1)
    rows, columns = np.nonzero(chip(picture, moved)[..., 0] > 128)
    right = columns > 75
    assert abs(rows[right].mean() - rows[~right].mean()) < 2
    assert columns[right].mean() - columns[~right].mean() == pytest.approx(76, abs=6)


def test_frames_looked_at_are_spread_over_those_with_a_face() -> None:
    present = np.ones(100, bool)
    present[:40] = False
    clip = Watched([np.zeros((2, 2, 3), np.uint8)] * 100, np.zeros((100, 478, 3), np.float32), present)
    assert clip.spread(4) == [40, 60, 79, 99]
    assert len(clip.spread(200)) == 60

"""Smoothing takes the trembling and leaves nods, speech and blinks, when they happen."""

from __future__ import annotations

import numpy as np
import pytest

from tests.motion.face_figures import IOD, make_face, turned
from vid2vid.motion.face_goal import opening
from vid2vid.motion.face_mesh import LIDS, LIPS, OVAL
from vid2vid.motion.face_smoothing import smoothed

FPS = 30.0
COUNT = 90
BLINKS = {20: 0.12, 21: 0.02, 22: 0.02, 23: 0.15, 60: 0.1, 61: 0.02, 62: 0.02, 63: 0.05, 64: 0.2}


def make_clip(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """A nodding, speaking, blinking face without and with trembling of so many eye distances."""
    random = np.random.default_rng(1)
    clean = []
    for index in range(COUNT):
        face = make_face(eyes=BLINKS.get(index, 0.3), mouth=0.25 + 0.25 * np.sin(index / 4))
        face = turned(face, yaw=15 * np.sin(index / 12), roll=5 * np.sin(index / 9), size=1 + index / 300)
        clean.append(face + np.array((index * 0.5, 6 * np.sin(index / 7), 0)))
    exact = np.array(clean, np.float32)
    return exact, (exact + random.normal(0, noise * IOD, exact.shape)).astype(np.float32)


def trembling(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(points[..., :2], 2, axis=0), axis=2).mean())


def openings(points: np.ndarray, edges: tuple[tuple[int, ...], tuple[int, ...]]) -> np.ndarray:
    return np.array([opening(one, edges) for one in points])


def test_trembling_goes_and_the_face_comes_nearer_to_the_truth() -> None:
    exact, noisy = make_clip(0.005)
    steady = smoothed(noisy, np.ones(COUNT, bool), FPS)
    assert steady.dtype == np.float32 and steady.shape == noisy.shape
    assert trembling(steady) < 0.4 * trembling(noisy)
    assert np.abs(steady - exact).mean() < 0.6 * np.abs(noisy - exact).mean()
    assert trembling(steady[:, list(OVAL)]) < 0.35 * trembling(noisy[:, list(OVAL)])


def test_a_shaken_camera_shakes_the_face_less() -> None:
    exact, _ = make_clip(0.0)
    shaken = exact + np.random.default_rng(2).normal(0, 1.0, (COUNT, 1, 3)).astype(np.float32)
    steady = smoothed(shaken, np.ones(COUNT, bool), FPS)
    assert trembling(steady) < 0.45 * trembling(shaken)


def test_blinks_and_speech_survive() -> None:
    _, noisy = make_clip(0.003)
    steady = smoothed(noisy, np.ones(COUNT, bool), FPS)
    for edges in (*LIDS, LIPS[0]):
        assert np.corrcoef(openings(steady, edges), openings(noisy, edges))[0, 1] >= 0.97
    for lids in LIDS:
        shut = openings(steady, lids)
        assert shut[21:23].max() < 0.06 and shut[61:63].max() < 0.06 and shut[30:55].min() > 0.18


def test_nothing_comes_late() -> None:
    exact, _ = make_clip(0.0)
    steady = smoothed(exact, np.ones(COUNT, bool), FPS)
    path, kept = exact[:, 4, 0] - np.arange(COUNT) * 0.5, steady[:, 4, 0] - np.arange(COUNT) * 0.5
    shifts = {lag: float(np.square(path[10 - lag : 80 - lag] - kept[10:80]).sum()) for lag in range(-3, 4)}
    assert min(shifts, key=lambda lag: shifts[lag]) == 0
    assert np.abs(steady - exact)[:, list(OVAL)].max() < 0.01 * IOD
    mouth, smooth = openings(exact, LIPS[0]), openings(steady, LIPS[0])
    assert abs(int(mouth[:25].argmax()) - int(smooth[:25].argmax())) == 0


def test_absent_frames_and_cuts_divide() -> None:
    exact, noisy = make_clip(0.005)
    present = np.ones(COUNT, bool)
    present[40:43] = False
    noisy[40:43] = 0
    noisy[43:] += 500
    steady = smoothed(noisy, present, FPS)
    np.testing.assert_array_equal(steady[40:43], noisy[40:43])
    np.testing.assert_allclose(steady[:40], smoothed(noisy[:40], present[:40], FPS), atol=1e-4)
    np.testing.assert_allclose(steady[43:], smoothed(noisy[43:], present[43:], FPS), atol=1e-4)
    assert np.abs(steady[43:] - 500 - exact[43:]).mean() < 1


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 9])
def test_short_clips_stay_near_what_they_were(count: int) -> None:
    exact, noisy = make_clip(0.002)
    steady = smoothed(noisy[:count], np.ones(count, bool), FPS)
    assert steady.shape == (count, 478, 3)
    assert count == 0 or np.abs(steady - exact[:count]).max() < 0.02 * IOD
    assert not np.shares_memory(steady, noisy)


def test_the_rate_of_frames_tells_how_much() -> None:
    _, noisy = make_clip(0.005)
    steady = (smoothed(noisy, np.ones(COUNT, bool), fps)[:, list(OVAL)] for fps in (10.0, 60.0))
    slow, fast = (trembling(one - one[:, :1]) for one in steady)
    assert fast < 0.14 * slow

"""In-betweens meet the keys, keep bones, follow turns and throws, and leave planted feet alone."""

from __future__ import annotations

import numpy as np
import pytest

from vid2vid.errors import InvalidFrames
from vid2vid.motion.inbetween import inbetween
from vid2vid.motion.skeleton import ELBOW_A, FOOT_A, HAND_A, HEAD, HIP, KNEE_A, NECK

STANDING = np.array(
    [(0, -90), (0, -75), (0, -45), (8, -62), (12, -48), (-8, -62), (-12, -48), (4, -22), (6, 0), (-4, -22), (-6, 0)],
    float,
)


def turned_arm(angle: float) -> np.ndarray:
    """Standing, one straight arm turned from hanging down."""
    pose = STANDING.copy()
    direction = np.array([np.sin(angle), np.cos(angle)])
    pose[ELBOW_A] = pose[NECK] + 15 * direction
    pose[HAND_A] = pose[NECK] + 29 * direction
    return pose


def straight(keys: np.ndarray, times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    flat = keys.reshape(len(keys), -1)
    return np.stack([np.interp(wanted, times, column) for column in flat.T], 1).reshape(len(wanted), *keys.shape[1:])


def test_keys_are_met_exactly_and_held_at_the_ends() -> None:
    keys = np.random.default_rng(1).normal(0, 50, (5, 2, 11, 2)).astype(np.float32)
    times = np.array([0.0, 0.2, 0.7, 0.9, 1.5])
    np.testing.assert_array_equal(inbetween(keys, times, times), keys)
    outside = inbetween(keys, times, np.array([-1.0, 9.0]))
    np.testing.assert_array_equal(outside, keys[[0, -1]])
    np.testing.assert_array_equal(inbetween(keys[:1], times[:1], np.arange(3)), np.repeat(keys[:1], 3, axis=0))


def test_a_turning_arm_follows_its_arc() -> None:
    times, wanted = np.arange(5.0) * 6, np.arange(25.0)
    truth = np.stack([turned_arm(angle) for angle in wanted / 6 * np.radians(60)])[:, None]
    keys = truth[::6]
    made = inbetween(keys, times, wanted)
    error = np.linalg.norm(made - truth, axis=-1)[..., HAND_A].mean()
    assert error < 0.4 * np.linalg.norm(straight(keys, times, wanted) - truth, axis=-1)[..., HAND_A].mean()
    lengths = np.linalg.norm(made[..., HAND_A, :] - made[..., NECK, :], axis=-1)
    assert lengths.min() > 0.95 * 29


def test_a_throw_is_a_parabola() -> None:
    wanted = np.arange(25.0)
    body = STANDING - STANDING[HIP]
    path = np.stack([3 * wanted, 0.5 * (wanted - 12) ** 2], axis=1)
    truth = (body + path[:, None])[:, None]
    made = inbetween(truth[::6], wanted[::6], wanted)
    np.testing.assert_allclose(made[6:19], truth[6:19], atol=0.01)


def test_planted_feet_do_not_slide() -> None:
    keys = np.stack([STANDING] * 4)
    upper = [HEAD, NECK, HIP, 3, 4, 5, 6]
    for k in range(4):
        keys[k, upper] += (6 * k, 4 * (k % 2))
    keys[:, KNEE_A] = (keys[:, HIP] + keys[:, FOOT_A]) / 2 + (4, 0)
    made = inbetween(keys[:, None], np.arange(4.0) * 6, np.arange(19.0))
    assert np.abs(made[:, 0, FOOT_A] - STANDING[FOOT_A]).max() < 1e-3
    assert np.ptp(made[:, 0, HIP, 0]) == pytest.approx(18, abs=0.1)


def test_an_elbow_keeps_its_side() -> None:
    keys = np.stack([STANDING] * 2)
    for key, (first, second) in zip(keys, ((-2.1, -2.7), (2.0, -0.6)), strict=True):
        key[ELBOW_A] = key[NECK] + 15 * np.array([np.sin(first), np.cos(first)])
        key[HAND_A] = key[ELBOW_A] + 14 * np.array([np.sin(second), np.cos(second)])
    made = inbetween(keys[:, None], np.array([0.0, 6.0]), np.linspace(0, 6, 25))[:, 0]
    upper, lower = made[:, ELBOW_A] - made[:, NECK], made[:, HAND_A] - made[:, ELBOW_A]
    bend = upper[:, 0] * lower[:, 1] - upper[:, 1] * lower[:, 0]
    assert (np.sign(bend) == np.sign(bend[0])).all()


def test_what_cannot_be_keys_is_refused() -> None:
    with pytest.raises(InvalidFrames, match="rise"):
        inbetween(np.zeros((2, 1, 11, 2)), np.array([1.0, 1.0]), np.arange(3))
    with pytest.raises(InvalidFrames, match=r"\(2, 1, 15, 2\)"):
        inbetween(np.zeros((2, 1, 15, 2)), np.array([0.0, 1.0]), np.arange(3))

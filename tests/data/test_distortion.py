"""Distorted references: the original stays as it is, and what is done is what is said, as often as it is said."""

from __future__ import annotations

import numpy as np
import pytest

from vid2vid.data import distortion
from vid2vid.data.distortion import BLURRED, MAX_SHIFT_PX, RELIT, WARPED, distort_reference

SIDE, TRIALS = 48, 1200


def reference() -> np.ndarray:
    """Flat on the left, a checkerboard on the right; validity in fine steps."""
    made = np.full((SIDE, SIDE, 4), 0.5, np.float32)
    board = np.indices((SIDE, SIDE)).sum(0) % 2
    made[:, SIDE // 2 :, :3] += 0.1 * (board[:, SIDE // 2 :, None] - 0.5)
    made[..., 3] = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    return made


def test_shares_are_as_said_and_the_input_is_never_changed() -> None:
    given = reference()
    given.setflags(write=False)
    warped = blurred = relit = 0
    for seed in range(TRIALS):
        made = distort_reference(given, np.random.default_rng(seed))
        assert made.shape == given.shape and made.dtype == np.float32
        assert float(made.min()) >= 0.0 and float(made.max()) <= 1.0
        if not np.array_equal(made[..., 3], given[..., 3]):
            warped += 1
            continue
        relit += bool(abs(made[:, :8, :3].mean() - 0.5) > 1e-4)
        spread = made[..., -8:, 0].std() / given[..., -8:, 0].std()
        blurred += bool(spread < 0.6)
    unmoved = TRIALS - warped
    assert warped / TRIALS == pytest.approx(WARPED, abs=0.055)
    assert blurred / unmoved == pytest.approx(BLURRED, abs=0.055)
    assert relit / unmoved == pytest.approx(RELIT, abs=0.06)


def test_it_follows_its_seed() -> None:
    one, two, three = (distort_reference(reference(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_pixels_move_smoothly_and_no_further_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distortion, "WARPED", 1.0)
    monkeypatch.setattr(distortion, "BLURRED", 0.0)
    monkeypatch.setattr(distortion, "RELIT", 0.0)
    places = np.zeros((SIDE, SIDE, 4), np.float32)
    places[..., 0], places[..., 1] = np.arange(SIDE)[None, :] / SIDE, np.arange(SIDE)[:, None] / SIDE
    places[..., 3] = places[..., 0]
    largest = 0.0
    for seed in range(60):
        made = distort_reference(places, np.random.default_rng(seed))
        shift = (made - places)[..., :2] * SIDE
        assert np.array_equal(made[..., 3], made[..., 0]), "validity goes with the colours"
        inside = shift[4:-4, 4:-4]
        assert np.abs(np.diff(inside, axis=0)).max() < 1.0 and np.abs(np.diff(inside, axis=1)).max() < 1.0
        largest = max(largest, float(np.abs(shift).max()))
    assert 1.0 < largest <= MAX_SHIFT_PX + 1e-3


def test_light_changes_colours_and_not_the_validity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distortion, "WARPED", 0.0)
    monkeypatch.setattr(distortion, "BLURRED", 0.0)
    monkeypatch.setattr(distortion, "RELIT", 1.0)
    changes = []
    for seed in range(200):
        made = distort_reference(reference(), np.random.default_rng(seed))
        assert np.array_equal(made[..., 3], reference()[..., 3])
        changes.append(made[0, 0, :3] - 0.5)
    assert 0.01 < np.std(changes) < 0.08
    assert abs(np.mean(changes)) < 0.01
    assert np.std(np.array(changes) - np.mean(changes, 1, keepdims=True)) > 0.003, "each channel by itself"

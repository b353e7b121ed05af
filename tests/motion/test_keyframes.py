"""Key frames carried along the flow land where the scene went, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest

from vid2vid.motion.keyframes import REACH, KeyFrame, carry, colour_change, plan_carries
from vid2vid.types import Frame

HEIGHT, WIDTH, LENGTH = 96, 128, 14
SPEED_PX = 3


def texture(seed: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (HEIGHT, width, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5).astype(np.float32)
    return np.clip((smooth - smooth.mean()) * 5 + 128, 0, 255).astype(np.uint8)


CANVAS = texture(0, WIDTH + SPEED_PX * LENGTH)


def look(picture: np.ndarray) -> np.ndarray:
    return (255 - picture[..., ::-1] // 2).astype(np.uint8)


def picture(t: int) -> np.ndarray:
    return np.ascontiguousarray(CANVAS[:, SPEED_PX * t : SPEED_PX * t + WIDTH])


def frames(cut: int | None = None) -> Iterator[Frame]:
    other = np.asarray(255 - texture(9, WIDTH) // 3, np.uint8)
    for t in range(LENGTH):
        shown = picture(t) if cut is None or t < cut else np.roll(other, t, 1)
        yield Frame(shown, t, Fraction(t, 25))


def keyed(indices: list[int], cut: int | None = None) -> list[KeyFrame]:
    fields = plan_carries(frames(cut), indices, WIDTH, HEIGHT)
    return [KeyFrame(i, picture(i), look(picture(i)), found) for i, found in zip(indices, fields, strict=True)]


def error(aligned: np.ndarray, t: int) -> float:
    """Mean difference from the true look where the alignment is trusted."""
    wanted = look(picture(t)).astype(np.float32) / 255.0
    weight = aligned[..., 3:]
    return float((np.abs(aligned[..., :3] - wanted) * weight).sum() / (weight.sum() * 3 + 1e-9))


@pytest.mark.parametrize("index", [0, 6, LENGTH - 1])
def test_the_look_follows_the_pan(index: int) -> None:
    keys = keyed([index])
    for t in (0, 3, 9, LENGTH - 1):
        aligned = carry(keys, t, picture(t)).reference
        moved = abs(t - index) * SPEED_PX
        assert error(aligned, t) < 0.03
        assert aligned[..., 3].mean() > 0.8 * (WIDTH - moved) / WIDTH
        if moved > 6:
            still = np.abs(look(picture(index)).astype(np.float32) - look(picture(t))).mean() / 255.0
            assert error(aligned, t) < 0.4 * still


def test_what_the_key_does_not_show_is_not_trusted() -> None:
    aligned = carry(keyed([0]), LENGTH - 1, picture(LENGTH - 1)).reference
    uncovered = SPEED_PX * (LENGTH - 1)
    assert aligned[:, -uncovered + 6 :, 3].mean() < 0.35
    assert aligned[:, : WIDTH - uncovered - 6, 3].mean() > 0.8


def test_two_keys_cover_more_than_one() -> None:
    one, two = keyed([0]), keyed([0, LENGTH - 1])
    t = LENGTH // 2
    assert carry(two, t, picture(t)).validity.mean() > carry(one, t, picture(t)).validity.mean() + 0.05


def test_a_key_ends_with_its_shot() -> None:
    keys = keyed([2], cut=8)
    assert set(keys[0].fields) == set(range(8))
    assert not carry(keys, 9, picture(9)).validity.any()


def test_the_reach_bounds_the_memory() -> None:
    still = picture(0)
    long = (Frame(still, t, Fraction(t, 25)) for t in range(2 * REACH + 60))
    fields = plan_carries(long, [10], 32, 24)[0]
    assert max(fields) == 10 + REACH


def test_colours_follow_an_affine_change() -> None:
    source = texture(3, WIDTH)
    changed = np.clip(source.astype(np.float32) * np.array((0.7, 0.9, 0.5)) + np.array((20, 5, 40)), 0, 255).astype(
        np.uint8
    )
    matrix = colour_change([KeyFrame(0, source, changed)])
    assert np.allclose(matrix[:, :3], np.diag((0.7, 0.9, 0.5)), atol=0.06)
    assert np.allclose(matrix[:, 3] * 255, (20, 5, 40), atol=10)

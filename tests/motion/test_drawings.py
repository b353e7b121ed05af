"""New drawings are told from held ones, through noise, flicker and compression."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from vid2vid.errors import EmptyInput
from vid2vid.motion.drawings import find_drawings

WIDTH, HEIGHT = 480, 270


def drawing(turn: float, shift: float = 0.0) -> np.ndarray:
    """A limb that turns, and a body that shifts by parts of pixels, on uneven paper."""
    fine = np.zeros((HEIGHT * 4, WIDTH * 4), np.uint8)
    middle, arm = 240 + shift, (60 * np.cos(turn), 60 * np.sin(turn))
    for start, end in (((middle, 90), (middle, 180)), ((middle, 100), (middle + arm[0], 100 + arm[1]))):
        points = [tuple(round(4 * float(value)) for value in point) for point in (start, end)]
        cv2.line(fine, *points, 255, 12)
    cover = cv2.resize(fine, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[..., None] / np.float32(255)
    paper = np.full((HEIGHT, WIDTH, 3), 225, np.float32) + np.linspace(-30, 10, WIDTH, dtype=np.float32)[None, :, None]
    return np.asarray(paper + cover * (35 - paper))


def photographed(picture: np.ndarray, chance: np.random.Generator, flicker: float = 0.0) -> np.ndarray:
    lit = picture * (1 - flicker * chance.random() * np.linspace(-1, 1, WIDTH).clip(0)[None, :, None]) + chance.normal(
        0, 4, (HEIGHT, WIDTH, 1)
    )
    packed = cv2.imencode(".jpg", np.clip(lit, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def held(drawings: list[np.ndarray], times: int, flicker: float) -> Iterator[np.ndarray]:
    chance = np.random.default_rng(3)
    for picture in drawings:
        for _ in range(times):
            yield photographed(picture, chance, flicker)


@pytest.mark.parametrize(("times", "flicker"), [(2, 0.0), (6, 0.3)])
def test_held_drawings_count_once(times: int, flicker: float) -> None:
    drawings = [drawing(0.25 * k) for k in range(8)]
    found = find_drawings(held(drawings, times, flicker))
    assert found.dtype == np.int64
    assert found.tolist() == [times * k for k in range(8)]


def test_noise_alone_is_no_drawing() -> None:
    assert find_drawings(held([drawing(0.4)], 20, 0.35)).tolist() == [0]


def test_slow_motion_is_not_held() -> None:
    chance = np.random.default_rng(5)
    found = find_drawings(photographed(drawing(0.3, shift=0.3 * t), chance) for t in range(30))
    assert len(found) >= 24 and np.diff(found).max() <= 2


def test_uneven_holds() -> None:
    chance = np.random.default_rng(6)
    numbers = [0, 0, 0, 1, 2, 2, 2, 2, 2, 3, 3]
    found = find_drawings(photographed(drawing(0.5 * n), chance) for n in numbers)
    assert found.tolist() == [0, 3, 4, 9]


def test_no_frame_is_refused() -> None:
    with pytest.raises(EmptyInput, match="no frames"):
        find_drawings([])

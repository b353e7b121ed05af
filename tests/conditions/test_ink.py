"""Ink is told from paper whatever the pen, the light and the lines on the paper."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.stick_figures import HEIGHT, RADIUS, STANDING, drawn
from vid2vid.conditions.ink import as_ink_map, contrast_map, find_ink, ink_map

FIGURE = STANDING + np.array([160, 150], np.float32)


def grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize(("pen", "paper"), [(30, 225), (235, 50), (120, 225)])
@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("height", [HEIGHT, None])
def test_strokes_are_ink_and_paper_is_not(pen: int, paper: int, filled: bool, height: float | None) -> None:
    ink = ink_map(grey(drawn([FIGURE], pen=pen, paper=paper, filled=filled)), height)
    middle_of_trunk = FIGURE[1:3].mean(0).round().astype(int)
    assert ink[middle_of_trunk[1], middle_of_trunk[0]] > 0.7
    x, y = FIGURE[0].round().astype(int)
    assert (ink[y, x] > 0.7) == filled
    assert ink[:, :60].max() < 0.1


def test_empty_paper_has_no_ink() -> None:
    grain = np.random.default_rng(0).normal(220, 2, (180, 320)).clip(0, 255).astype(np.uint8)
    assert ink_map(grain).mean() < 0.15
    assert find_ink(contrast_map(grain), HEIGHT).mask.sum() == 0


def test_the_map_is_that_of_its_contrast() -> None:
    picture = grey(drawn([FIGURE]))
    np.testing.assert_array_equal(ink_map(picture, HEIGHT), as_ink_map(contrast_map(picture, HEIGHT)))


def test_long_lines_are_set_apart_from_the_figure() -> None:
    picture = grey(drawn([FIGURE]))
    for y in (40, 151):
        cv2.line(picture, (0, y), (319, y + 4), 40, 2, cv2.LINE_AA)
    ink = find_ink(contrast_map(picture, HEIGHT), HEIGHT)
    assert len(ink.levels) == 2
    np.testing.assert_allclose(sorted(start + 160 * slope for start, slope in ink.levels), [42, 153], atol=2)
    x, top, bottom = int(FIGURE[1, 0]), int(FIGURE[1, 1]) + 4, int(FIGURE[2, 1]) - 4
    assert ink.mask[top:bottom, x].all() and not ink.ruled[top:bottom, x].any()
    assert ink.ruled[:, :60].sum() > 0.8 * ink.mask[:, :60].sum()


def test_specks_are_dropped() -> None:
    picture = grey(drawn([FIGURE]))
    clean = find_ink(contrast_map(picture, HEIGHT), HEIGHT).mask
    cv2.circle(picture, (40, 40), 1, 30, -1)
    np.testing.assert_array_equal(find_ink(contrast_map(picture, HEIGHT), HEIGHT).mask[:80, :80], clean[:80, :80])
    cv2.circle(picture, (40, 40), int(RADIUS), 30, -1)
    assert find_ink(contrast_map(picture, HEIGHT), HEIGHT).mask[40, 40]

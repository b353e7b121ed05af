"""Ink on paper: how strongly each point is drawn, which points are ink, and which of it is a ruled line or the ground.

Works for dark ink on light paper and for chalk on a board alike, and under uneven light: ink is what differs from the
paper around it, whichever way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAPER_WINDOW: Final = 0.64
"""Side of the median's window over a figure's height: a filled head is up to 0.2 across, and a median keeps to the
paper as long as ink fills less than half of the window."""
_REDUCED_HEIGHT_PX: Final = 64.0
"""Height of a figure where the paper is estimated: lines are a pixel wide and the median takes a millisecond."""
_SHARE_OF_FULL_INK: Final = 0.993
_FAINTEST_FULL_INK: Final = 18
"""Steps of 255 that count as full ink at least; empty paper's grain would be ink otherwise."""
_FAINTEST_INK: Final = 14
"""Steps of 255 that ink differs from paper at least."""
_SPECK: Final = 0.0015
"""Area of the smallest piece of ink kept, over a figure's height squared."""
_SHORTEST_ACROSS: Final = 0.33
_SHORTEST_UPRIGHT: Final = 0.7
"""Inked share of the picture's width or height that makes a long line; a figure standing upright must not be one."""
_TILT: Final = 0.12
_APART_PX: Final = 6.0
_MOST_CANDIDATES: Final = 60
_LINE_REACH: Final = 0.045
"""How far from the straight line its ink is looked for, over a figure's height: hands tremble."""
_LINE_WIDTH: Final = 0.07
"""Most ink across a ruled line, over a figure's height."""


def contrast_map(grey: NDArray[np.uint8], figure_height_px: float | None = None) -> NDArray[np.uint8]:
    """How far each point is from the paper around it.

    Args:
        grey: `(H, W)`.
        figure_height_px: of a figure standing upright; half of the picture's shorter side where unknown.

    Returns:
        `(H, W)`, |slightly blurred grey - paper| in steps of 255.
    """
    height, width = grey.shape
    figure = figure_height_px or 0.5 * min(height, width)
    scale = min(1.0, _REDUCED_HEIGHT_PX / figure)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    window = max(3, round(_PAPER_WINDOW * figure * scale)) | 1
    reduced = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else grey
    paper = cv2.resize(cv2.medianBlur(reduced, window), (width, height), interpolation=cv2.INTER_LINEAR)
    result: NDArray[np.uint8] = cv2.absdiff(cv2.GaussianBlur(grey, (0, 0), 0.6), paper)
    return result


def full_ink(contrast: NDArray[np.uint8]) -> int:
    """The contrast that counts as full ink in a picture: its 99.3rd percentile, at least 18."""
    shares = np.cumsum(np.bincount(contrast.ravel(), minlength=256)) / max(contrast.size, 1)
    return max(int(np.searchsorted(shares, _SHARE_OF_FULL_INK)), _FAINTEST_FULL_INK)


def ink_map(grey: NDArray[np.uint8], figure_height_px: float | None = None) -> NDArray[np.float32]:
    """How strongly each point is drawn.

    Args:
        grey: `(H, W)`.
        figure_height_px: of a figure standing upright; half of the picture's shorter side where unknown.

    Returns:
        `(H, W)` in [0, 1], 0 being paper.
    """
    return as_ink_map(contrast_map(grey, figure_height_px))


def as_ink_map(contrast: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`ink_map` of a picture whose `contrast_map` is at hand."""
    return np.minimum(contrast.astype(np.float32) / full_ink(contrast), np.float32(1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """What is drawn on one picture."""

    mask: NDArray[np.uint8]
    """`(H, W)`, 1 where there is ink, 0 on paper."""
    ruled: NDArray[np.uint8]
    """`(H, W)`, 1 on ink that is nothing but a long straight line: the ground, ruled or squared paper."""
    levels: tuple[tuple[float, float], ...]
    """The long lines across the picture: y at x = 0, and slope."""


def find_ink(contrast: NDArray[np.uint8], figure_height_px: float) -> Ink:
    """Tells ink from paper, and long straight lines from figures.

    Args:
        contrast: `(H, W)` from `contrast_map`.
        figure_height_px: of a figure standing upright; sizes of specks and widths of lines follow from it.
    """
    mask = _without_specks((contrast > _threshold(contrast)).astype(np.uint8), _SPECK * figure_height_px**2)
    across = _long_lines(mask, _SHORTEST_ACROSS, upright=False)
    upright = _long_lines(mask, _SHORTEST_UPRIGHT, upright=True)
    ruled = np.zeros_like(mask)
    for line in across:
        _mark_line(mask, ruled, line, figure_height_px)
    for line in upright:
        _mark_line(mask.T, ruled.T, line, figure_height_px)
    return Ink(mask, ruled, tuple(across))


def _threshold(contrast: NDArray[np.uint8]) -> int:
    """Three quarters of Otsu's threshold of the most contrasting tenth; of everything, Otsu would split the paper."""
    counts = np.bincount(contrast.ravel(), minlength=256)
    start = int(np.searchsorted(np.cumsum(counts), 0.9 * contrast.size)) + 1
    upper = np.repeat(np.arange(start, 256), counts[start:]).astype(np.uint8)
    if upper.size == 0:
        return _FAINTEST_INK
    otsu, _ = cv2.threshold(upper, 0, 255, cv2.THRESH_OTSU)
    return max(int(0.75 * otsu), _FAINTEST_INK)


def _without_specks(mask: NDArray[np.uint8], smallest_px: float) -> NDArray[np.uint8]:
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    kept = statistics[:, cv2.CC_STAT_AREA] >= smallest_px
    kept[0] = False
    result: NDArray[np.uint8] = kept.astype(np.uint8)[labels]
    return result


def _long_lines(mask: NDArray[np.uint8], shortest: float, *, upright: bool) -> list[tuple[float, float]]:
    """Lines within 7 degrees of an axis: the place where they meet the other axis, and slope; the strongest first."""
    image = np.ascontiguousarray(mask.T) if upright else mask
    length = image.shape[1]
    found = cv2.HoughLines(
        image, 1, np.pi / 360, int(shortest * length), min_theta=np.pi / 2 - _TILT, max_theta=np.pi / 2 + _TILT
    )
    lines: list[tuple[float, float]] = []
    for distance, angle in [] if found is None else found.reshape(-1, 2)[:_MOST_CANDIDATES]:
        start, slope = float(distance / math.sin(angle)), float(-math.cos(angle) / math.sin(angle))
        middle = start + slope * length / 2
        if all(abs(middle - (other + tilt * length / 2)) >= _APART_PX for other, tilt in lines):
            lines.append((start, slope))
    return lines


def _mark_line(
    mask: NDArray[np.uint8], ruled: NDArray[np.uint8], line: tuple[float, float], figure_height_px: float
) -> None:
    """Marks the ink of one line across, except where it is too thick: there a limb crosses or a foot stands."""
    height, width = mask.shape
    reach = max(3, round(_LINE_REACH * figure_height_px))
    columns = np.arange(width)
    rows = np.round(line[0] + line[1] * columns).astype(int) + np.arange(-reach, reach + 1)[:, None]
    inside = (rows >= 0) & (rows < height)
    places = np.clip(rows, 0, height - 1), np.broadcast_to(columns, rows.shape)
    inked = (mask[places] > 0) & inside
    thin = inked.sum(0) <= max(3, round(_LINE_WIDTH * figure_height_px))
    marked = inked & thin
    ruled[places[0][marked], places[1][marked]] = 1

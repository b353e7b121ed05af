"""Drawings without frames, in even rows and columns with clear paper between them, on a photographed sheet.

Where the gaps are not even, nothing is found: two figures with a gap between them would be taken for two panels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.sheet_frames import four_corners, ink_contrast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.conditions.sheet_frames import Quad
    from vid2vid.types import Picture

    Array = NDArray[np.float64]

MOST_PANELS: Final = 24
_INK: Final = 0.14
"""Contrast of ink to the paper."""
_EDGE: Final = 0.025
"""Share of the sheet along its edge in which nothing is looked for."""
_GAP: Final = 0.018
"""Least gap between panels, as a share of the sheet."""
_EVEN: Final = 0.12
"""Most that a gap is off its place in even rows or columns, as a share of their step."""
_SHEET_SHARE: Final = 0.2
"""Least share of the photograph that a sheet takes."""


def find_gutters(picture: Picture) -> tuple[list[Quad], bool]:
    """Finds the room of every drawing, in reading order; none where the gaps are not even.

    Args:
        picture: `(H, W, 3)` uint8, the photograph.

    Returns:
        Corners in the photograph, and whether the sheet is a board with chalk.
    """
    for bright in (False, True):
        sheet = _sheet_corners(picture, bright)
        size = np.linalg.norm(np.roll(sheet, -1, axis=0) - sheet, axis=1)
        width, height = round(float(size[[0, 2]].mean())), round(float(size[[1, 3]].mean()))
        square = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        matrix = cv2.getPerspectiveTransform(sheet.astype(np.float32), square)
        flat = np.asarray(
            cv2.warpPerspective(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
        )
        boxes = _boxes(_inked(flat, bright))
        if boxes:
            back = np.linalg.inv(matrix)
            corners = np.array([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]] for x0, y0, x1, y1 in boxes], np.float64)
            return list(cv2.perspectiveTransform(corners, back).astype(np.float64)), bright
    return [], False


def _sheet_corners(picture: Picture, bright: bool) -> Quad:
    """The sheet against what it lies on; the whole picture where that cannot be told."""
    height, width = picture.shape[:2]
    whole = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)
    small = cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    level = small.min(axis=2) if bright else small.max(axis=2)
    # Drawings must not cut the sheet apart.
    kernel = np.ones((9, 9), np.uint8)
    even = cv2.morphologyEx(level, cv2.MORPH_OPEN if bright else cv2.MORPH_CLOSE, kernel)
    _, mask = cv2.threshold(cv2.GaussianBlur(even, (0, 0), 1.5), 0, 255, cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return whole
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    quad = four_corners(hull)
    if quad is None or cv2.contourArea(hull) < _SHEET_SHARE * level.size:
        return whole
    return quad * 4 + 1.5


def _inked(sheet: Picture, bright: bool) -> NDArray[np.bool_]:
    height, width = sheet.shape[:2]
    ink = (ink_contrast(sheet, bright) > _INK * (3 if bright else 1)).astype(np.uint8)
    rows, columns = round(_EDGE * height), round(_EDGE * width)
    ink[:rows] = ink[-rows:] = 0
    ink[:, :columns] = ink[:, -columns:] = 0
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(ink, np.ones((5, 5), np.uint8)))
    large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] > 0.0004 * ink.size) + 1
    inked: NDArray[np.bool_] = np.isin(labels, large) if count > 1 else np.zeros(ink.shape, np.bool_)
    return inked


def _boxes(inked: NDArray[np.bool_]) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of every drawing's room, in reading order; all of one size."""
    across, down = (_edges(np.asarray(inked.any(axis=k))) for k in (0, 1))
    if across is None or down is None:
        return []
    columns, rows = len(across) - 1, len(down) - 1
    cells = [(across[c], down[r], across[c + 1], down[r + 1]) for r in range(rows) for c in range(columns)]
    used = [bool(inked[int(max(y0, 0)) : int(y1), int(max(x0, 0)) : int(x1)].any()) for x0, y0, x1, y1 in cells]
    count = sum(used)
    if not 4 <= count <= MOST_PANELS or not all(used[:count]) or count <= columns * (rows - 1):
        return []
    return cells[:count]


def _edges(line: NDArray[np.bool_]) -> Array | None:
    """Even borders between which ink lies along one direction; None where the gaps are not even."""
    inked = np.flatnonzero(line)
    if not len(inked):
        return None
    breaks = np.flatnonzero(np.diff(inked) > _GAP * len(line))
    starts, ends = inked[breaks], inked[breaks + 1]
    if not len(breaks):
        return np.array([inked[0] - 2.0, inked[-1] + 3.0])
    middles, gaps = (starts + ends) / 2, ends - starts
    # The outermost borders are not seen; a gap's half is taken for them where only one gap is there.
    if len(breaks) == 1:
        step = max(middles[0] - inked[0], inked[-1] - middles[0]) + gaps[0] / 2
        first = middles[0] - step
    else:
        step, first = np.polyfit(np.arange(1, len(middles) + 1), middles, 1)
        if np.abs(first + step * np.arange(1, len(middles) + 1) - middles).max() > _EVEN * step:
            return None
    edges: Array = first + step * np.arange(len(middles) + 2)
    slack = _EVEN * step
    if gaps.max() > 2.5 * gaps.min() or edges[0] > inked[0] + slack or edges[-1] < inked[-1] - slack:
        return None
    return edges

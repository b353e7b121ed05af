"""One photographed sheet of drawn panels -> upright pictures of the panels in reading order, paper white or board dark.

Convention:
    Corners are `(4, 2)` in pixels of the photograph, clockwise from the upper left one. The sheet may be turned by up
    to 30 degrees and seen at an angle; one that lies on its side or on its head has to be turned first.

Source: dividing by the paper seen without its ink is the usual way to take shadows off a scanned page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.sheet_frames import find_frames, fit_to_line, in_reading_order, ink_contrast, mean_sides
from vid2vid.conditions.sheet_gutters import find_gutters
from vid2vid.errors import InputError, InvalidFrames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.sheet_frames import Quad
    from vid2vid.types import Picture

WORKING_SIDE: Final = 1600
"""Longer side of the photograph in which panels are looked for."""
SMALLEST_PHOTOGRAPH: Final = 64
LARGEST_PANEL: Final = 1024
"""Longest side of the pictures given back."""
BOARD_LEVEL: Final = 40
"""What an empty board becomes."""
_LIT_BOARD: Final = 55.0
"""Level of a board in even light; where one is darker it lies in shadow, and so does its chalk."""
_WHITE: Final = 0.93
"""Share of the paper's own brightness from which on it is white: grain and noise go, faint pencil stays."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One panel of a sheet."""

    corners: NDArray[np.float32]
    """`(4, 2)` pixels of the photograph: the middle of the frame's line, or the room of a drawing without a frame."""
    picture: Picture
    """`(H, W, 3)` uint8 sRGB, upright, without the frame's line; one size for all panels of a sheet."""
    dark: bool
    """Whether it is a board with chalk; its ground is dark then, else white."""


def find_panels(picture: Picture) -> tuple[Panel, ...]:
    """Cuts the panels out of a photograph of one sheet.

    Args:
        picture: `(H, W, 3)` uint8 sRGB, the whole sheet, upright or nearly so.

    Returns:
        At least two panels, in reading order.

    Raises:
        InvalidFrames: not a picture of this form.
        InputError: fewer than two panels were found.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise InvalidFrames(f"A photograph of shape {picture.shape}, {picture.dtype}: (H, W, 3) uint8 is needed.")
    if min(picture.shape[:2]) < SMALLEST_PHOTOGRAPH:
        raise InputError(
            f"A photograph of {picture.shape[1]}x{picture.shape[0]} is too small for a sheet of panels: each side "
            f"needs {SMALLEST_PHOTOGRAPH} pixels at least. Take the picture at the camera's full size."
        )
    scale = min(1.0, WORKING_SIDE / max(picture.shape[:2]))
    small = picture if scale == 1.0 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    quads, inset, dark = _found(np.asarray(small, np.uint8))
    if len(quads) < 2:
        raise InputError(
            f"{len(quads)} panels were found on the sheet, and 2 at least are needed. Looked for were frames of one "
            "size drawn around the panels, dark on paper or light on a board, and drawings in even rows and columns "
            "with clear paper between them. Draw a closed line around every panel, take the whole sheet upright and in "
            "focus, or give the drawings as single pictures in a folder."
        )
    # Pixel centres: column x of the small picture shows column (x + 0.5) / scale - 0.5 of the large one.
    corners = [(quad + 0.5) / scale - 0.5 for quad in quads]
    cut = _upright(picture, corners, inset, dark)
    return tuple(Panel(quad.astype(np.float32), upright, dark) for quad, upright in zip(corners, cut, strict=True))


def _found(picture: Picture) -> tuple[list[Quad], float, bool]:
    """Panels in reading order, the share of their smaller side that their line takes, and whether it is a board."""
    best: list[Quad] = []
    covered, dark = 0.0, False
    for bright in (False, True):
        quads = find_frames(ink_contrast(picture, bright))
        area = sum(float(np.prod(mean_sides(quad))) for quad in quads)
        if area > covered:
            best, covered, dark = quads, area, bright
    if len(best) > 1:
        contrast = ink_contrast(picture, dark)
        fitted = [fit_to_line(contrast, quad) for quad in in_reading_order(best)]
        reaches = [reach / min(mean_sides(quad)) for quad, reach in fitted]
        return [quad for quad, _ in fitted], float(np.clip(np.percentile(reaches, 80) + 0.008, 0.012, 0.06)), dark
    quads, dark = find_gutters(picture)
    return quads, 0.0, dark


def _upright(picture: Picture, quads: Sequence[Quad], inset: float, dark: bool) -> list[Picture]:
    """Panels of one size, seen from straight above, cleaned."""
    sides = np.median([mean_sides(quad) for quad in quads], axis=0)
    width, height = np.maximum(2 * np.round(sides * min(1.0, LARGEST_PANEL / sides.max()) / 2).astype(int), 32)
    margin = inset * min(width, height)
    room = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    square = (room + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * margin - 0.5).astype(np.float32)
    cleaned = []
    for quad in quads:
        matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), square)
        seen = cv2.warpPerspective(picture, matrix, (int(width), int(height)), borderMode=cv2.BORDER_REPLICATE)
        clean = _cleaned(np.asarray(seen, np.uint8), dark)
        cleaned.append(_without_border(clean, dark) if inset else clean)
    return cleaned


def _cleaned(panel: Picture, dark: bool) -> Picture:
    """Paper made white (or a board evenly dark) wherever a shadow fell; ink keeps its hue."""
    height, width = panel.shape[:2]
    step = max(1, min(height, width) // 90)
    small = cv2.resize(panel, (width // step, height // step), interpolation=cv2.INTER_AREA)
    # Wider than a filled head, narrower than a shadow's edge is long.
    reach = max(3, round(0.16 * min(small.shape[:2]))) | 1
    over = cv2.MORPH_OPEN if dark else cv2.MORPH_CLOSE
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    ground = cv2.medianBlur(
        cv2.morphologyEx(small, over, kernel, borderType=cv2.BORDER_REPLICATE), 2 * (reach // 4) + 1
    )
    even = cv2.resize(cv2.GaussianBlur(ground, (0, 0), 1.5), (width, height), interpolation=cv2.INTER_LINEAR)
    seen, paper = panel.astype(np.float32), np.maximum(even.astype(np.float32), 8)
    if dark:
        paper += float(np.median(seen - paper))  # opening takes the darkest grain
        return np.asarray(np.clip(BOARD_LEVEL + (seen - paper) * np.maximum(1.0, _LIT_BOARD / paper), 0, 255), np.uint8)
    return np.asarray(np.clip(255 * seen / (paper * _WHITE), 0, 255), np.uint8)


def _without_border(panel: Picture, dark: bool) -> Picture:
    """Takes away what is left of the frame's line: ink along the edge that reaches no further in than a line does."""
    height, width = panel.shape[:2]
    reach = max(2, round(0.03 * min(height, width)))
    grey = panel.astype(np.int16)
    ink = (grey.max(2) > BOARD_LEVEL + 40) if dark else (grey.min(2) < 200)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    result = panel.copy()
    for label in range(1, count):
        left, top, wide, high, _ = stats[label]
        shallow = min(left + wide, width - left) <= reach or min(top + high, height - top) <= reach
        touching = left == 0 or top == 0 or left + wide == width or top + high == height
        if touching and shallow:
            patch = cv2.dilate((labels == label).astype(np.uint8), np.ones((5, 5), np.uint8))
            result[patch > 0] = BOARD_LEVEL if dark else 255
    return result

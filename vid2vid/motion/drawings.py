"""Which frames of a clip are new drawings, and which only hold the last one: animation on twos, on sixes, flip-books.

A frame is compared with the frame at which the last drawing appeared, so that slow motion adds up, and with the frame
before, which tells a new drawing's jump from motion that goes on: in a held drawing nothing moves until all moves at
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.errors import EmptyInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Ink = NDArray[np.float32]

COMPARED_COLUMNS: Final = 320
"""Width at which drawings are compared."""
BLOCK: Final = 8
"""Side of the squares in which change is summed, in pixels of that width: about a hand of a figure."""
CHANGED: Final = 0.13
"""Change of a square, as a share of full ink, that makes a new drawing. H.264 at rate 32 to 38, noise of 6 levels and
lamps that flicker by 8 % changed held drawings by 0.10 at most; next drawings on twos changed by 0.15 to 1.1."""
JUMP: Final = 1.7
"""How many times the change within a held drawing the change at a new one is."""
_STILL: Final = 0.35
"""Share of `CHANGED` below which a frame does not differ from the one before."""
_LEAST_INK: Final = 0.25
"""Contrast at which lines are taken for full ink even where the drawing has only faint ones or none."""


def find_drawings(frames: Iterable[Picture]) -> NDArray[np.int64]:
    """Finds the frames at which a new drawing appears, looking at each frame once.

    Even changes of light do not count. Where motion goes on from frame to frame, however slowly, every frame is new.

    Args:
        frames: `(H, W, 3)` uint8 sRGB each, of one size, the camera still.

    Returns:
        Numbers of frames, rising; the first is always 0.

    Raises:
        EmptyInput: there is no frame.
    """
    new: list[int] = []
    moved = 0.0
    shown = before = np.zeros((0, 0), np.float32)
    for index, frame in enumerate(frames):
        ink = _ink(frame)
        if not new:
            new, shown, before = [0], ink, ink
            continue
        step = _change(ink, before)
        if _change(ink, shown) > CHANGED:
            if index > new[-1] + 1 and step < JUMP * max(moved, _STILL * CHANGED):
                # It did not come at once: this was slow motion, not a held drawing.
                new += range(new[-1] + 1, index)
            new.append(index)
            shown, moved = ink, 0.0
        else:
            moved = max(moved, step)
        before = ink
    if not new:
        raise EmptyInput("The clip has no frames. Give at least one drawing.")
    return np.array(new, np.int64)


def _ink(frame: Picture) -> Ink:
    """Ink against the paper around it, 0 on the paper, about 1 or -1 in the lines: without light and shadow."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, COMPARED_COLUMNS / grey.shape[1])
    size = (max(BLOCK, round(grey.shape[1] * scale)), max(BLOCK, round(grey.shape[0] * scale)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    thumbnail = cv2.resize(small, (max(2, size[0] // 4), max(2, size[1] // 4)), interpolation=cv2.INTER_AREA)
    paper = cv2.resize(cv2.medianBlur(thumbnail, 17), size, interpolation=cv2.INTER_LINEAR)
    contrast = small.astype(np.float32) / np.maximum(paper.astype(np.float32), 16) - 1
    smooth = cv2.GaussianBlur(contrast, (0, 0), 0.8)
    full = max(_LEAST_INK, float(np.percentile(np.abs(smooth), 99.5)))
    return np.asarray(smooth / full, np.float32)


def _change(one: Ink, other: Ink) -> float:
    """Mean difference in the square that changed most, less what changed everywhere."""
    difference = cv2.absdiff(one, other)
    rows, columns = difference.shape
    squares = cv2.resize(
        difference, (max(1, columns // BLOCK * 2), max(1, rows // BLOCK * 2)), interpolation=cv2.INTER_AREA
    )
    summed = cv2.blur(squares, (2, 2))
    return float(summed.max() - 1.5 * np.median(summed))

"""Things drawn beside the figures, such as suns and houses: ink that stays while no figure is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.motion.skeleton import BONES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FRAMES: Final = 32
"""Enough, spread over the clip, to tell what stays."""
_FEWEST: Final = 8
_STAYS: Final = 0.8
"""Share of the frames in which clutter is inked."""
_FREE: Final = 0.3
"""Share of the frames in which no figure is near it."""
_NEAR: Final = 0.1
"""Heights around a figure's bones in which ink may be the figure's."""
_TREMBLE: Final = 0.02
"""Heights by which a thing drawn anew lies elsewhere."""


def find_clutter(
    masks: Sequence[NDArray[np.uint8]], joints: NDArray[np.floating], height_px: float
) -> NDArray[np.uint8] | None:
    """Finds what is no figure's ink.

    Args:
        masks: `(H, W)` ink of N frames spread over a clip.
        joints: `(N, F, 11, 2)` figures in them, in the same pixels.
        height_px: of a figure standing upright.

    Returns:
        `(H, W)`, 1 on clutter; None where there is none, or too few frames to tell.
    """
    if len(masks) < _FEWEST:
        return None
    grown = np.ones((2 * max(1, round(_TREMBLE * height_px)) + 1,) * 2, np.uint8)
    inked, free = np.zeros(masks[0].shape, np.float32), np.zeros(masks[0].shape, np.float32)
    for mask, figures in zip(masks, joints, strict=True):
        ink = cv2.dilate(mask, grown)
        near = np.zeros_like(ink)
        for figure in figures:
            for start, end in BONES:
                ends = [tuple(int(v) for v in np.round(figure[joint])) for joint in (start, end)]
                cv2.line(near, *ends, 1, max(1, round(2 * _NEAR * height_px)))
            middle = tuple(int(v) for v in np.round(figure[0]))
            cv2.circle(near, middle, round(0.2 * height_px), 1, -1)
        inked += ink
        free += ink * (1 - near)
    clutter = ((inked >= _STAYS * len(masks)) & (free >= _FREE * len(masks))).astype(np.uint8)
    return clutter if clutter.any() else None

"""Dense motion between frames by DIS, and how far it can be trusted.

Convention:
    Flow of shape `(H, W, 2)` in pixels, x then y: pixel p of the current picture looks like pixel p + flow of the
    other.

Source:
    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016, as OpenCV has it. The trust is our own: a
    Gaussian of the remaining colour difference, since a second flow for the forward-backward check costs more than it
    tells where the history is capped and mended by a generator anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Field = NDArray[np.float32]

TRUST_DEVIATION: Final = 0.05
"""Colour difference, sRGB in [0, 1], at which trust has fallen to exp(-1/2) of full."""
PRESETS: Final = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class FlowEstimator:
    """DIS flow at a chosen quality; not shared between threads."""

    def __init__(self, preset: str = "fast") -> None:
        self._dis = cv2.DISOpticalFlow_create(PRESETS[preset])

    def __call__(self, current: Picture, other: Picture, initial: Field | None = None) -> Field:
        """Finds where every pixel of `current` is in `other`.

        Args:
            current, other: `(H, W)` uint8 luma.
            initial: `(H, W, 2)` first guess, in pixels; it is not changed.

        Returns:
            `(H, W, 2)` float32.
        """
        if min(current.shape[:2]) < 16:
            return np.zeros((*current.shape[:2], 2), np.float32)
        flow = None if initial is None else np.ascontiguousarray(initial, np.float32).copy()
        return np.asarray(self._dis.calc(current, other, flow), np.float32)


def luma(picture: Picture) -> Picture:
    """`(H, W, 3)` uint8 sRGB -> `(H, W)` uint8."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def warp(picture: NDArray[Any], flow: Field) -> NDArray[Any]:
    """Reads `picture` at p + flow(p), bilinearly, edges repeated: `(H, W[, C])` -> the same shape and type."""
    return np.asarray(cv2.remap(picture, absolute(flow), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def absolute(flow: Field) -> Field:
    """Flow turned into the places it points at, `(H, W, 2)`."""
    height, width = flow.shape[:2]
    places = flow.copy()
    places[..., 0] += np.arange(width, dtype=np.float32)[None, :]
    places[..., 1] += np.arange(height, dtype=np.float32)[:, None]
    return places


def trust(current: Picture, warped: Picture, flow: Field, deviation: float = TRUST_DEVIATION) -> Field:
    """How far a correspondence explains the picture.

    Args:
        current: `(H, W, 3)` uint8, the picture whose pixels are explained.
        warped: the other picture moved onto it by `flow`.
        flow: `(H, W, 2)`; places outside the picture get no trust.
        deviation: see `TRUST_DEVIATION`.

    Returns:
        `(H, W)` float32 in [0, 1].
    """
    red, green, blue = cv2.split(cv2.blur(cv2.absdiff(current, warped), (3, 3)))
    difference = cv2.max(cv2.max(red, green), blue)  # ten times as quick as the maximum over the last axis
    table = np.exp(-0.5 * (np.arange(256, dtype=np.float32) / (255.0 * deviation)) ** 2)
    weight = np.asarray(cv2.LUT(difference, table), np.float32)
    places = absolute(flow)
    height, width = current.shape[:2]
    x, y = places[..., 0], places[..., 1]
    weight *= (x > -1.0) & (x < width) & (y > -1.0) & (y < height)
    return weight

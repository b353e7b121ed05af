"""Motion from frame to frame of a running clip, and where a new shot begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.conditions.flow import FlowEstimator, luma, trust, warp
from vid2vid.types import Motion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vid2vid.types import Picture

THUMBNAIL: Final = (64, 36)
"""Columns and rows at which shots are compared."""
CUT_COLOURS: Final = 0.12
"""Share of the colour histogram that must change at a cut."""
CUT_DIFFERENCE: Final = 22.0
"""Mean difference of thumbnails in luma levels that, together with a changed histogram, makes a cut."""
CUT_CONTRAST: Final = 2.5
"""How many times the usual difference between frames the difference at a cut must be."""


class CutDetector:
    """Finds the first frame of every shot, causally, one frame at a time.

    A cut is a frame whose layout differs much from the frame before, and far more than frames differed of late, and
    whose colours differ too: fast motion fails the second or the third test. A flash counts as a cut, which costs one
    frame without history.
    """

    def __init__(self) -> None:
        self._thumbnail: Picture | None = None
        self._histogram = np.zeros(512, np.float32)
        self._usual = 4.0

    def __call__(self, picture: Picture) -> bool:
        """Whether this frame begins a new shot; the first frame of a clip does not count as one.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
        """
        small = cv2.resize(picture, THUMBNAIL, interpolation=cv2.INTER_AREA)
        histogram = cv2.calcHist([small], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel()
        histogram /= histogram.sum()
        before, self._thumbnail = self._thumbnail, np.asarray(small, np.uint8)
        past, self._histogram = self._histogram, histogram
        if before is None:
            return False
        difference = float(cv2.absdiff(small, before).mean())
        colours = 0.5 * float(np.abs(histogram - past).sum())
        found = self._is_cut(difference, colours)
        if not found:
            self._usual = 0.8 * self._usual + 0.2 * difference
        return found

    def _is_cut(self, difference: float, colours: float) -> bool:
        return colours > CUT_COLOURS and difference > max(CUT_DIFFERENCE, CUT_CONTRAST * self._usual)


class MotionTracker:
    """Backward flow and its trust for every frame, in order; holds the last frame."""

    def __init__(self, preset: str = "fast") -> None:
        self._flow = FlowEstimator(preset)
        self._picture: Picture | None = None
        self._luma: Picture | None = None

    def __call__(self, pictures: Sequence[Picture], cuts: frozenset[int]) -> Motion:
        """Continues with T frames.

        Args:
            pictures: `(H, W, 3)` uint8 each.
            cuts: positions at which a new shot begins: no motion is sought across.

        Returns:
            Flow `(T, 2, H, W)` and trust `(T, 1, H, W)`.
        """
        height, width = pictures[0].shape[:2]
        flows = np.zeros((len(pictures), height, width, 2), np.float32)
        weights = np.zeros((len(pictures), 1, height, width), np.float32)
        for t, picture in enumerate(pictures):
            grey = luma(picture)
            if self._picture is not None and self._luma is not None and t not in cuts:
                flows[t] = self._flow(grey, self._luma)
                weights[t, 0] = trust(picture, np.asarray(warp(self._picture, flows[t]), np.uint8), flows[t])
            self._picture, self._luma = picture, grey
        return Motion(torch.from_numpy(flows).permute(0, 3, 1, 2), torch.from_numpy(weights))

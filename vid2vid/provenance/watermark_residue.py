"""What remains of a clip when its picture is taken away: the ground on which a mark is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import scipy.fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_AREA: Final = 480 * 270
"""Pixels at which frames are looked at; more cost time and show no more of the mark."""
_LINES: Final = 360.0
"""Short side to which the lengths below refer."""
_FINE: Final = 7.0
"""Deviation, in pixels, of the blur that is taken away: less than a cycle of the mark's longest wave."""
_AROUND: Final = 11.0
"""Deviation, in pixels, of the neighbourhood by whose contrast a residue is divided."""
_FAINT: Final = 1.0
"""Grey levels of contrast below which a place counts no further."""
_CLIP: Final = 2.5
"""Contrasts at which a residue is cut off, so that an edge counts no more than a grain."""
_BAR_RANGE: Final = 1.5
"""Grey levels within which a row or column at the picture's edge is one colour: a bar, not picture."""
_LEAST_PICTURE: Final = 0.25
"""Part of the side that is left between bars; where less is, the picture is smooth and has none."""
_BAR_EDGE: Final = 0.02
"""Part of the short side that is cut off with a bar: the bar's edge has spread into it."""
_BAND: Final = 9
"""Side, in bins, of the square over which a spectrum's power is averaged."""
_LONGEST: Final = 4
"""Long side over short side beyond which the middle is enough."""


class Residue:
    """Averages the frames of one clip, in memory that does not grow with it."""

    def __init__(self) -> None:
        self.frames = 0
        self._sum: Floats | None = None
        self._grey: Floats | None = None

    def add(self, picture: Picture) -> None:
        """Takes an `(H, W, 3)` uint8 picture; one of another size than the first is brought to it."""
        grey = self._small(picture)
        unit = min(grey.shape) / _LINES
        fine = grey - _blur(grey, _FINE * unit)
        contrast = np.sqrt(_blur(fine * fine, _AROUND * unit))
        fine /= contrast + np.float32(_FAINT)
        np.clip(fine, -_CLIP, _CLIP, out=fine)
        if self._sum is None or self._grey is None:
            self._sum, self._grey = fine, grey
        else:
            self._sum += fine
            self._grey += grey
        self.frames += 1

    def _small(self, picture: Picture) -> Floats:
        grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
        if self._sum is not None:
            height, width = self._sum.shape
        else:
            height, width = grey.shape
            factor = min(1.0, (_AREA / (height * width)) ** 0.5)
            height, width = max(1, round(height * factor)), max(1, round(width * factor))
        if grey.shape != (height, width):
            grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(grey, np.float32)

    def ground(self) -> Floats:
        """The averaged residue without bars, evened out in space and in frequency.

        Returns:
            (h, w) float32 of variance 1, or zeros where there is nothing; at least (1, 1).
        """
        if self._sum is None or self._grey is None:
            return np.zeros((1, 1), np.float32)
        rows, columns = _picture_within(self._grey / np.float32(self.frames))
        found = _middle(self._sum[rows, columns]).copy()
        unit = min(found.shape) / _LINES
        found /= np.sqrt(_blur(found * found, _AROUND * unit)) + np.float32(1e-3 * self.frames)
        return _whitened(found)


def _blur(values: Floats, sigma: float) -> Floats:
    """A Gaussian blur, taken at a coarser size where it is wide."""
    step = max(1, min(int(sigma / 2), min(values.shape) // 4))
    if step == 1:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), max(sigma, 0.3)))
    size = (-(-values.shape[1] // step), -(-values.shape[0] // step))
    small = cv2.GaussianBlur(cv2.resize(values, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / step)
    return np.asarray(cv2.resize(small, values.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _picture_within(grey: Floats) -> tuple[slice, slice]:
    """Rows and columns inside bars of one colour; everything where nothing else is left."""
    rows = _busy(np.ptp(grey, axis=1))
    columns = _busy(np.ptp(grey[rows], axis=0))
    return rows, columns


def _busy(ranges: Floats) -> slice:
    busy = np.flatnonzero(ranges > _BAR_RANGE)
    if len(busy) == 0 or busy[-1] - busy[0] < _LEAST_PICTURE * len(ranges):
        return slice(0, len(ranges))
    first, last = int(busy[0]), int(busy[-1]) + 1
    edge = round(_BAR_EDGE * (last - first))
    return slice(first + edge if first > 0 else 0, last - edge if last < len(ranges) else last)


def _middle(values: Floats) -> Floats:
    height, width = values.shape
    most = _LONGEST * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return values[top : top + most, left : left + most]


def _whitened(values: Floats) -> Floats:
    """All frequencies brought to the same power, measured around each."""
    size = tuple(scipy.fft.next_fast_len(length, real=True) for length in values.shape)
    spectrum = scipy.fft.rfft2(values, s=size)
    power = cv2.blur(np.abs(spectrum) ** 2, (_BAND, _BAND), borderType=cv2.BORDER_REFLECT_101)
    even = scipy.fft.irfft2(spectrum / np.sqrt(power + 1e-6 * float(power.max()) + 1e-20), s=size)
    even = even[: values.shape[0], : values.shape[1]]
    return np.asarray(even / max(float(even.std()), 1e-9), np.float32)

"""Whether a generator that works on 4x4 blocks of pixels leaves a grid of them in its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

PERIOD_PX = 4


def grid_energy(outputs: Sequence[Picture], sources: Sequence[Picture]) -> float:
    """Energy of the 4-pixel period in what was added to the source, over that of neighbouring frequencies.

    The power spectra of all rows and of all columns are averaged, each line under a Hann window; the bin at a quarter
    of the sampling rate is compared with the median of the bins 4 to 16 to either side.

    Args:
        outputs: `(H, W, 3)` uint8 sRGB pictures of one size, at least 80 pixels a side.
        sources: what they were made from, likewise.

    Returns:
        The larger ratio of the two directions; about 1 without a grid.
    """
    added = [(o.astype(np.float32) - s.astype(np.float32)).mean(-1) for o, s in zip(outputs, sources, strict=True)]
    return max(_peak(added), _peak([picture.T for picture in added]))


def _peak(pictures: Sequence[NDArray[np.float32]]) -> float:
    length = pictures[0].shape[1] // PERIOD_PX * PERIOD_PX
    window = np.hanning(length + 1)[:length]
    power = np.mean([np.square(np.abs(np.fft.rfft(p[:, :length] * window))).mean(0) for p in pictures], axis=0)
    middle = length // PERIOD_PX
    near = np.concatenate((power[middle - 16 : middle - 3], power[middle + 4 : middle + 17]))
    floor = float(np.median(near))
    return float(power[middle - 1 : middle + 2].max()) / floor if floor > 0.0 else 1.0

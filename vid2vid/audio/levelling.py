"""Brings a soundtrack of any length to a loudness without passing a true peak, with one window in memory at a time.

Source: loudness is ITU-R BS.1770-4, its weighting and its 400 ms blocks measured by pyloudnorm window by window; only
the means over the gated blocks are taken here, because the library wants the whole sound at once. True peaks are read
from 4x oversampled samples (BS.1770-4, annex 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pyloudnorm
from scipy.ndimage import minimum_filter1d
from scipy.signal import oaconvolve, resample_poly

from vid2vid.audio.mixing import BLOCK
from vid2vid.audio.synthesis import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.audio.mixing import Samples

TARGET_LUFS: Final = -16.0
TOLERANCE_LU: Final = 0.3
"""Below the half unit that is promised, so that an encoder's rounding stays within it."""
CEILING_DBTP: Final = -2.0
"""Room above it is for the encoder: AAC may add more than 1 dB."""
_MARGIN_DB: Final = 0.1
"""The limiter aims this much lower: between two samples its gain is not constant."""
_ROUNDS: Final = 12
_SPREAD: Final = RATE // 50
"""The limiter looks this many samples ahead and lets go over as many."""
_EDGE: Final = 64
"""Samples that oversampling needs on either side."""
_CONTEXT: Final = 2 * _SPREAD + _EDGE
"""Samples on either side that decide about one; with them, windows meet without a seam."""
_HOP, _GATE_BLOCK = RATE // 10, RATE * 4 // 10
_WARM_HOPS: Final = 5
"""Hops before a window in which the weighting filters forget that they began there."""
_FRAME_BYTES: Final = 8


class Scratch:
    """A soundtrack on disk, `(N, 2)` float32; silence takes no room. A context manager; gone when it is left."""

    def __init__(self, folder: Path) -> None:
        """Opens an unnamed file in a folder."""
        self._file = TemporaryFile(dir=folder, prefix=".vid2vid-sound-")  # noqa: SIM115  # closed on leaving
        self.length = 0
        """Samples so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, block: Samples) -> None:
        """Adds `(N, 2)` samples at the end."""
        self._file.seek(self.length * _FRAME_BYTES)
        self.length += len(block)
        if block.any():
            self._file.write(np.ascontiguousarray(block, np.float32).tobytes())
        else:
            self._file.truncate(self.length * _FRAME_BYTES)

    def read(self, start: int, end: int) -> Samples:
        """Gives samples from `start` to `end`, silence where these lie outside: `(end - start, 2)`."""
        made = np.zeros((end - start, 2), np.float32)
        low, high = max(start, 0), min(end, self.length)
        if low < high:
            self._file.seek(low * _FRAME_BYTES)
            content = np.frombuffer(self._file.read((high - low) * _FRAME_BYTES), np.float32)
            made[low - start : high - start] = content.reshape(-1, 2)
        return made


@dataclass(frozen=True, slots=True)
class Level:
    """A soundtrack with a gain and a limiter, read in order and as often as wanted."""

    raw: Scratch
    gain: float
    limit: bool = True

    def blocks(self, block: int = BLOCK) -> Iterator[Samples]:
        """Gives `(N, 2)` float32 from beginning to end."""
        for start in range(0, self.raw.length, block):
            yield self.read(start, min(start + block, self.raw.length))

    def read(self, start: int, end: int) -> Samples:
        """Gives one stretch; any two stretches agree where they overlap."""
        if not self.limit:
            return self.raw.read(start, end) * np.float32(self.gain)
        around = self.raw.read(start - _CONTEXT, end + _CONTEXT).astype(np.float64) * self.gain
        inner = slice(_CONTEXT, _CONTEXT + end - start)
        return (around[inner] * _limiter(around)[inner, None]).astype(np.float32)


def levelled(raw: Scratch, target_lufs: float = TARGET_LUFS) -> tuple[Level, float]:
    """Finds the gain at which the limited sound has a loudness.

    Returns:
        The levelled sound, and its loudness in LUFS: the target within `TOLERANCE_LU`, or the nearest that was reached
        where the limiter takes as much as the gain gives.
    """
    loudness = integrated(Level(raw, 1.0, limit=False))
    if loudness == -np.inf:
        return Level(raw, 1.0), loudness
    gain_db, best, step = target_lufs - loudness, (np.inf, 0.0, loudness), 1.0
    for _ in range(_ROUNDS):
        reached = integrated(Level(raw, _factor(gain_db)))
        if abs(reached - target_lufs) < best[0]:
            best = (abs(reached - target_lufs), gain_db, reached)
        if best[0] <= TOLERANCE_LU:
            break
        # The limiter eats part of every step, so the steps grow.
        gain_db += step * (target_lufs - reached)
        step = min(step * 1.25, 3.0)
    return Level(raw, _factor(best[1])), best[2]


def integrated(level: Level) -> float:
    """Integrated loudness in LUFS; minus infinity for silence. Sound below 0.4 s is measured with silence after it."""
    hops = max(1, round((level.raw.length - _GATE_BLOCK) / _HOP) + 1)
    per_window = BLOCK // _HOP
    found = [_blocks(level, first, min(first + per_window, hops)) for first in range(0, hops, per_window)]
    blocks = np.concatenate(found)
    power = 10 ** (blocks[blocks >= -70.0] / 10)
    if not len(power):
        return float(-np.inf)
    return float(10 * np.log10(power[power > 0.1 * power.mean()].mean()))


def true_peak_db(level: Level) -> float:
    """Largest true peak in dBTP; minus infinity for silence."""
    largest = 0.0
    for start in range(0, level.raw.length, BLOCK):
        around = level.read(start - _EDGE, min(start + BLOCK, level.raw.length) + _EDGE).astype(np.float64)
        least = max(largest, float(np.abs(around).max())) / 2
        if least:
            largest = max(largest, float(_peaks(around, least).max()))
    return float(20 * np.log10(largest)) if largest else float(-np.inf)


def _blocks(level: Level, first: int, end: int) -> NDArray[np.float64]:
    """Loudness of the 400 ms blocks `first` to `end` of the whole sound, in LUFS."""
    warm = min(first, _WARM_HOPS)
    stretch = level.read((first - warm) * _HOP, (end - 1) * _HOP + _GATE_BLOCK)
    if not stretch.any():
        return np.full(end - first, -np.inf)
    meter = pyloudnorm.Meter(RATE)
    meter.integrated_loudness(stretch.astype(np.float64))
    return np.asarray(meter.blockwise_loudness[warm:], np.float64)


def _limiter(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gains `(N,)` in [0, 1] under which no true peak passes the ceiling."""
    ceiling = _factor(CEILING_DBTP - _MARGIN_DB)
    # Between samples a wave rises by a few dB; what is 6 dB below the ceiling stays below it.
    peaks = _peaks(samples, 0.5 * ceiling)
    if peaks.max() <= ceiling:
        return np.ones(len(samples))
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9))
    lowest = minimum_filter1d(needed, 2 * _SPREAD + 1, mode="nearest")
    window = np.hanning(2 * _SPREAD + 3)[1:-1]
    # Reduction, not gain, is smoothed: it is 0 where nothing happens, beyond the ends too.
    return np.asarray(1.0 - oaconvolve(1.0 - lowest, window / window.sum(), "same"))


def _peaks(samples: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Size of the true peaks near each sample, the larger of both channels; below `least`, of the samples alone."""
    size: NDArray[np.float64] = np.maximum(np.abs(samples[:, 0]), np.abs(samples[:, 1]))
    loud = np.flatnonzero(size >= least)
    if not len(loud):
        return size
    # Oversampling is most of the work, and most of a film is quiet.
    breaks = np.flatnonzero(np.diff(loud) > 4 * _EDGE)
    for first, last in zip(loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, -1]], strict=True):
        start, end = max(first - _EDGE, 0), min(last + _EDGE + 1, len(size))
        fine = np.abs(resample_poly(samples[start:end], 4, 1, axis=0))
        points = np.maximum(fine[:, 0], fine[:, 1])
        near = np.maximum(np.maximum(points[0::4], points[1::4]), np.maximum(points[2::4], points[3::4]))
        # The points before a sample belong to it as much as those behind.
        near[1:] = np.maximum(near[1:], near[:-1])
        size[start:end] = np.maximum(size[start:end], near)
    return size


def _factor(decibels: float) -> float:
    return float(10 ** (decibels / 20))

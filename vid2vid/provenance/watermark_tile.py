"""The pattern that a key makes: which waves it has, and how they carry the number.

Convention:
    A pattern repeats every `TILE` grid points in both directions. A wave is `(ky, kx)` in cycles a tile; its spectrum
    is held as `(2 * RADIUS + 1, RADIUS)` complex64: rows ky = -RADIUS..RADIUS, columns kx = 1..RADIUS. Waves along an
    axis (ky = 0 or kx = 0) are left out: edges of bars and of coding blocks lie there.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.provenance.watermark_code import CODED_BITS, decode, encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Spectrum = NDArray[np.complex64]
    """`(2 * RADIUS + 1, RADIUS)`."""

TILE: Final = 128
"""Grid points along a tile."""
RADIUS: Final = 18
"""Cycles a tile of the shortest wave: seven grid points a cycle, which half the size and a coarse codec still keep."""
_LEAST_RADIUS: Final = 6
"""Cycles a tile of the longest wave; longer ones drown in what pictures show."""
_PILOT: Final = 0.4
"""Share of the waves with known phases, by which a mark is found; the others carry the number."""
ROWS: Final = np.arange(-RADIUS, RADIUS + 1)
COLUMNS: Final = np.arange(1, RADIUS + 1)


class Pattern:
    """What one key makes; the same in every version, since old files must be readable for ever."""

    def __init__(self, key: int) -> None:
        """Draws waves and phases from the key.

        Args:
            key: any number from 0 on; public or secret.
        """
        across, down = np.meshgrid(COLUMNS, ROWS)
        radius = np.hypot(across, down)
        waves = np.flatnonzero((radius >= _LEAST_RADIUS) & (radius <= RADIUS) & (down != 0))
        stream = _Stream(key)
        waves = waves[stream.order(len(waves))]
        pilots = int(_PILOT * len(waves))
        self.pilot, self._carriers = waves[:pilots], waves[pilots:]
        """Places of the pilot's waves in a flattened spectrum."""
        self.phases = stream.phases(pilots)
        """(pilots,) complex64 of size 1: the pilot itself."""
        self._scrambling = stream.phases(len(self._carriers))
        self._slots = stream.order(2 * len(self._carriers)) % CODED_BITS
        """Which coded bit each part of a carrier holds; some are held more often than others."""

    def spectrum(self, payload: int) -> Spectrum:
        """Waves of size 1: the pilot and the carriers of a number."""
        signs = encode(payload)[self._slots]
        half = len(self._carriers)
        waves = np.zeros(len(ROWS) * len(COLUMNS), np.complex64)
        waves[self.pilot] = self.phases
        waves[self._carriers] = (signs[:half] + 1j * signs[half:]) / np.sqrt(2) * self._scrambling
        return waves.reshape(len(ROWS), len(COLUMNS))

    def tile(self, payload: int, side: int) -> NDArray[np.float32]:
        """One period of the pattern.

        Args:
            payload: 0 to 2**48 - 1.
            side: pixels of the period, at least `TILE`.

        Returns:
            (side, side) float32 of mean 0 and variance 1.
        """
        made = shifts(self.spectrum(payload), side)
        return np.asarray(made / made.std(), np.float32)

    def read(self, spectrum: Spectrum) -> int | None:
        """The number in a spectrum that lies as the pattern does; None where it cannot be read."""
        turned = spectrum.reshape(-1)[self._carriers] * self._scrambling.conj()
        soft = np.bincount(self._slots, np.concatenate([turned.real, turned.imag]), CODED_BITS)
        return decode(soft.astype(np.float32))


@lru_cache(maxsize=16)
def pattern(key: int) -> Pattern:
    """The pattern of a key; kept, since every file asks for the same few."""
    return Pattern(key)


def shifts(spectrum: Spectrum, side: int = TILE) -> NDArray[np.float32]:
    """Sum of the real waves `2 Re(spectrum * exp(2 pi i (ky y + kx x) / side))` at each of (side, side) points."""
    down, across = _waves(side)
    rows = down @ spectrum
    return np.asarray(np.concatenate([rows.real, rows.imag], axis=1) @ across, np.float32)


@lru_cache(maxsize=8)
def _waves(side: int) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """All rows' waves at `side` points, and twice the columns' as real parts over negative imaginary ones."""
    turn = 2j * np.pi * np.arange(side)[:, None] / side
    across = 2 * np.exp(turn * COLUMNS).T
    return np.exp(turn * ROWS).astype(np.complex64), np.concatenate([across.real, -across.imag]).astype(np.float32)


class _Stream:
    """Random numbers from a key by SHAKE-256: NumPy does not promise to keep its generators' results."""

    def __init__(self, key: int) -> None:
        self._key, self._drawn = key, 0

    def _draw(self, count: int) -> NDArray[np.uint64]:
        self._drawn += 1
        seed = f"vid2vid mark 1, key {self._key:x}, draw {self._drawn}".encode()
        return np.frombuffer(hashlib.shake_256(seed).digest(8 * count), "<u8")

    def order(self, count: int) -> NDArray[np.int_]:
        """A permutation of 0..count-1."""
        return np.asarray(np.argsort(self._draw(count), kind="stable"), np.int_)

    def phases(self, count: int) -> NDArray[np.complex64]:
        """(count,) of size 1, equally likely in all directions."""
        return np.asarray(np.exp(2j * np.pi * (self._draw(count) / 2.0**64)), np.complex64)

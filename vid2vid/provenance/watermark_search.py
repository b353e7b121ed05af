"""Looking for a pattern at all scales and places, mirrored or not, turned or stretched.

A score is compared with a bound that holds for any picture whatever, since only the key is random. For fixed numbers
`a` and independent phases of equal chance, `sum Re(a * phase)` is sub-Gaussian with variance proxy `sum |a|^2 / 2`, so
a score of `z` or more has chance at most `exp(-z^2 / 2)`; over all hypotheses looked at, that many times as much.
Source: Hoeffding 1963, "Probability inequalities for sums of bounded random variables", and I0(x) <= exp(x^2 / 4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.provenance.watermark_tile import COLUMNS, ROWS, TILE, Pattern, shifts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.provenance.watermark_tile import Spectrum

    Floats = NDArray[np.float32]

FALSE_ALARMS: Final = 1e-6
"""Chance, at most, that any unmarked clip whatever is called marked, over everything that is tried on it."""
LINES: Final = 256
"""Short side of a picture of which a tile takes `TILE` pixels: half a picture's height, two tiles in a narrow crop."""
_STEP: Final = 0.008
"""Between scales, as a logarithm: half of it puts the edge of a 16:9 picture out by an eighth of a cycle at most."""
_SMALLEST, _LARGEST = 0.8, 2.2
"""Of a tile in the picture, over what its short side makes expect: pictures enlarged by a border; cropped, or small."""
SCALES: Final = np.exp(np.arange(math.log(_SMALLEST), math.log(_LARGEST), _STEP))
ASPECTS: Final = (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)
"""Steps by which columns are stretched against rows: up to 4.9 per cent."""
ANGLES: Final = (-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)
"""Degrees, counter-clockwise."""
_PLAIN: Final = len(SCALES) * 2 * TILE * TILE
_THOROUGH: Final = _PLAIN * (len(ASPECTS) + len(ANGLES))
_CANDIDATES: Final = 4
"""Best hypotheses that are read; the best but one is often the right scale's neighbour."""
_LEAST_SIDE: Final = 16
"""Pixels below which nothing is looked for."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A place where the pattern may lie, and how well it fits there."""

    score: float
    down: float
    """Period along y, in pixels of the ground."""
    across: float
    """Period along x."""
    angle: float
    flipped: bool
    key: int


def thresholds(keys: int) -> tuple[float, float]:
    """Scores that plain and turned or stretched hypotheses must reach; each kind has half of `FALSE_ALARMS`."""
    plain, thorough = (math.sqrt(2 * math.log(2 * keys * tried / FALSE_ALARMS)) for tried in (_PLAIN, _THOROUGH))
    return plain, thorough


class Search:
    """Hypotheses about one ground."""

    def __init__(self, ground: Floats) -> None:
        self._ground = ground
        self.unit = TILE * min(ground.shape) / LINES
        """Period in pixels that the ground's size makes expect."""
        self._periods = self.unit * SCALES
        if min(ground.shape) >= _LEAST_SIDE:
            self._rows = _kernel(ground.shape[0], self._periods, ROWS)
            self._columns = _kernel(ground.shape[1], self._periods, COLUMNS)

    def plain(self, patterns: Sequence[tuple[int, Pattern]]) -> list[Hypothesis]:
        """All scales, as the picture stands and mirrored; the best first."""
        return _ranked(self._at(patterns, 0.0, (0,)))

    def thorough(self, patterns: Sequence[tuple[int, Pattern]]) -> list[Hypothesis]:
        """All scales again, stretched or turned; the best first."""
        found = self._at(patterns, 0.0, ASPECTS)
        for angle in ANGLES:
            found += self._at(patterns, angle, (0,))
        return _ranked(found)

    def _at(self, patterns: Sequence[tuple[int, Pattern]], angle: float, aspects: Sequence[int]) -> list[Hypothesis]:
        if min(self._ground.shape) < _LEAST_SIDE:
            return []
        found = []
        for down, across, spectrum in self._spectra(_turned(self._ground, angle), aspects):
            for flipped in (False, True):
                seen = mirrored(spectrum) if flipped else spectrum
                for key, pattern in patterns:
                    score = float(correlation(seen, pattern).max())
                    found.append(Hypothesis(score, down, across, angle, flipped, key))
        return found

    def _spectra(self, ground: Floats, aspects: Sequence[int]) -> Iterator[tuple[float, float, Spectrum]]:
        """Periods along y and x, `aspects` steps between the two, with the spectrum there."""
        for number, across in enumerate(self._periods):
            half = _onto(ground, self._columns[number])
            for other in (number - aspect for aspect in aspects):
                if 0 <= other < len(self._periods):
                    spectrum = np.asarray(self._rows[other] @ half, np.complex64)
                    yield float(self._periods[other]), float(across), spectrum

    def read(self, hypothesis: Hypothesis, pattern: Pattern) -> int | None:
        """The number at a hypothesis, after its periods and place are made finer; None where it cannot be read."""
        ground = _turned(self._ground, hypothesis.angle)
        best, aligned = -math.inf, None
        fine = np.exp(_STEP / 2 * np.array((-1.0, 0.0, 1.0)))
        for down in hypothesis.down * fine:
            for across in hypothesis.across * fine:
                spectrum = spectrum_at(ground, down, across)
                spectrum = mirrored(spectrum) if hypothesis.flipped else spectrum
                fits = correlation(spectrum, pattern, 2 * TILE)
                if fits.max() > best:
                    best = float(fits.max())
                    aligned = _moved(spectrum, *divmod(int(fits.argmax()), 2 * TILE))
        return None if aligned is None else pattern.read(_weighted(aligned))


def correlation(spectrum: Spectrum, pattern: Pattern, side: int = TILE) -> Floats:
    """Scores of the pattern moved by each of (side, side) parts of a tile."""
    waves = _weighted(spectrum.reshape(-1)[pattern.pilot])
    size = float(np.sqrt(2 * np.sum(np.abs(waves) ** 2))) or 1.0
    matched = np.zeros(spectrum.size, np.complex64)
    matched[pattern.pilot] = waves * pattern.phases.conj() / np.float32(size)
    return shifts(matched.reshape(spectrum.shape), side)


def mirrored(spectrum: Spectrum) -> Spectrum:
    """The spectrum of the picture with left and right exchanged, up to where it lies."""
    return spectrum[::-1].conj()


def spectrum_at(ground: Floats, down: float, across: float) -> Spectrum:
    """The ground's waves of a tile with these periods in pixels."""
    rows = _kernel(ground.shape[0], np.array([down]), ROWS)[0]
    columns = _kernel(ground.shape[1], np.array([across]), COLUMNS)[0]
    return np.asarray(rows @ _onto(ground, columns), np.complex64)


def _onto(ground: Floats, columns: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Each row's waves along x: as two real products, which spares making the ground complex."""
    return np.asarray((ground @ columns.real.T) + 1j * (ground @ columns.imag.T), np.complex64)


def _kernel(length: int, periods: NDArray[np.float64], waves: NDArray[np.int_]) -> NDArray[np.complex64]:
    """(periods, waves, length): `exp(-2 pi i wave x / period)`, by powers, which are faster than exponentials."""
    base = np.exp(-2j * np.pi * np.arange(length) / periods[:, None])
    powers = np.ones((int(np.abs(waves).max()) + 1, *base.shape), np.complex64)
    power = np.ones_like(base)
    for number in range(1, len(powers)):
        power = power * base
        powers[number] = power
    made = powers[np.abs(waves)]
    made[waves < 0] = made[waves < 0].conj()
    return np.ascontiguousarray(made.transpose(1, 0, 2))


def _weighted(waves: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Divided by the root of their size: between counting all alike and each as strong as it is."""
    return np.asarray(waves / np.sqrt(np.abs(waves) + np.float32(1e-12)), np.complex64)


def _moved(spectrum: Spectrum, down: int, across: int) -> Spectrum:
    """The spectrum with its ground moved back by half steps of a tile."""
    turn = 2j * np.pi / (2 * TILE)
    waves = np.exp(turn * down * ROWS)[:, None] * np.exp(turn * across * COLUMNS)
    return np.asarray(spectrum * waves, np.complex64)


def _turned(ground: Floats, angle: float) -> Floats:
    if angle == 0.0:
        return ground
    height, width = ground.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return np.asarray(cv2.warpAffine(ground, turn, (width, height), flags=cv2.INTER_LINEAR))


def _ranked(found: list[Hypothesis]) -> list[Hypothesis]:
    return sorted(found, key=lambda hypothesis: -hypothesis.score)[:_CANDIDATES]

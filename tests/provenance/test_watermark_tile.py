"""The pattern of a key: always the same one, far from every other key's."""

from __future__ import annotations

import numpy as np
import pytest

from vid2vid.provenance.watermark import PUBLIC_KEY
from vid2vid.provenance.watermark_search import correlation, mirrored, spectrum_at
from vid2vid.provenance.watermark_tile import COLUMNS, RADIUS, ROWS, TILE, Pattern, pattern, shifts

PILOT = [175, 37, 206, 426, 268, 275]
ANGLES = [-2.4599900245666504, 2.438260078430176, 0.3990899920463562, 2.6474900245666504]
POINTS = [-1.2907099723815918, -1.7059799432754517, -1.5687999725341797, -0.9776800274848938]


def test_the_public_pattern_never_changes() -> None:
    """Old files must stay readable, with any version of NumPy."""
    public = Pattern(PUBLIC_KEY)
    assert public.pilot[:6].tolist() == PILOT
    assert np.angle(public.phases[:4]) == pytest.approx(ANGLES, abs=1e-4)
    assert public.tile(0x123456789ABC, TILE)[5, :4] == pytest.approx(POINTS, abs=1e-3)


def test_a_tile_has_the_waves_it_should() -> None:
    tile = pattern(7).tile(99, 182)
    assert tile.shape == (182, 182) and tile.mean() == pytest.approx(0, abs=1e-4) and tile.std() == pytest.approx(1)
    power = np.abs(np.fft.fft2(tile)) ** 2
    down, across = np.meshgrid(np.fft.fftfreq(182, 1 / 182), np.fft.fftfreq(182, 1 / 182), indexing="ij")
    inside = (np.hypot(down, across) >= 6) & (np.hypot(down, across) <= RADIUS) & (down != 0) & (across != 0)
    assert power[~inside].sum() < 1e-6 * power.sum()


def test_shifts_are_the_inverse_transform() -> None:
    rng = np.random.default_rng(0)
    spectrum = (rng.normal(size=(2 * RADIUS + 1, RADIUS)) + 1j * rng.normal(size=(2 * RADIUS + 1, RADIUS))).astype(
        np.complex64
    )
    full = np.zeros((TILE, TILE), np.complex128)
    for row, ky in enumerate(ROWS):
        for column, kx in enumerate(COLUMNS):
            full[ky, kx] += spectrum[row, column]
            full[-ky, -kx] += spectrum[row, column].conj()
    assert shifts(spectrum) == pytest.approx(np.fft.ifft2(full).real * TILE**2, abs=1e-3)


@pytest.mark.parametrize("flipped", [False, True])
def test_the_pattern_is_found_where_it_lies(flipped: bool) -> None:
    """Moved by (12, 30) points of the tile: the number is read there and nowhere else."""
    tile = np.roll(pattern(7).tile(0xABCDEF, TILE), (12, 30), (0, 1))
    ground = np.tile(tile, (2, 3))
    spectrum = spectrum_at(ground[:, ::-1] if flipped else ground, float(TILE), float(TILE))
    scores = correlation(mirrored(spectrum) if flipped else spectrum, pattern(7))
    place = np.unravel_index(int(scores.argmax()), scores.shape)
    assert flipped or place == (12, 30)
    assert scores.max() == pytest.approx(np.sqrt(2 * len(pattern(7).pilot)), rel=0.01), "the best there can be"
    assert np.sort(scores.ravel())[-30] < 0.8 * scores.max()


def test_scores_of_a_random_key_stay_under_the_bound() -> None:
    """One picture, many keys: the chance of a score beyond z is at most exp(-z^2 / 2)."""
    rng = np.random.default_rng(0)
    ground = np.cumsum(np.cumsum(rng.normal(size=(200, 300)), 0), 1).astype(np.float32)
    spectrum = spectrum_at(ground - ground.mean(), 91.0, 91.0)
    scores = np.concatenate([correlation(spectrum, Pattern(key)).ravel() for key in range(60)])
    for z in (1.0, 2.0, 3.0):
        assert np.mean(scores > z) <= np.exp(-z * z / 2)
    assert scores.std() == pytest.approx(1.0, abs=0.1), "the scale of the scores is the bound's"


def test_keys_make_different_patterns() -> None:
    own, other = pattern(1).tile(5, TILE), pattern(2).tile(5, TILE)
    transform = np.fft.fft2(own) * np.fft.fft2(other).conj()
    assert np.abs(np.fft.ifft2(transform).real).max() / TILE**2 < 0.35, "at any shift"

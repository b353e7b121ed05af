"""The grid detector finds a grid and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.held_out import back_and_forth
from benchmarks.pixel_grid import grid_energy

Picture = NDArray[np.uint8]


def pictures(amplitude: float, period: int, axis: int = 0) -> tuple[list[Picture], list[Picture]]:
    rng = np.random.default_rng(0)
    sources = [rng.integers(60, 180, (128, 160, 3), dtype=np.uint8) for _ in range(3)]
    wave = amplitude * np.cos(2 * np.pi * np.indices((128, 160))[axis] / period)[..., None]
    made = [np.clip(s + rng.normal(0, 3, s.shape) + wave, 0, 255).round().astype(np.uint8) for s in sources]
    return made, sources


@pytest.mark.parametrize("axis", [0, 1])
def test_a_faint_grid_is_found(axis: int) -> None:
    assert grid_energy(*pictures(1.0, 4, axis)) > 5.0


@pytest.mark.parametrize(("amplitude", "period"), [(0.0, 4), (1.0, 16), (1.0, 8)])
def test_noise_and_other_periods_are_no_grid(amplitude: float, period: int) -> None:
    assert grid_energy(*pictures(amplitude, period)) < 1.5


def test_nothing_added_is_no_grid() -> None:
    _, sources = pictures(0.0, 4)
    assert grid_energy(sources, sources) == 1.0


def test_back_and_forth_repeats_no_end() -> None:
    frames = [np.full((1, 1, 3), value, np.uint8) for value in range(3)]
    assert [int(frame[0, 0, 0]) for frame in back_and_forth(frames, 8)] == [0, 1, 2, 1, 0, 1, 2, 1]

"""What every test may use: one small clip, made on the spot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vid2vid.io import VideoWriter


@pytest.fixture(scope="session")
def square_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of 96x64: a light square moves over a dark ramp."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    ramp = np.linspace(20, 110, 96, dtype=np.uint8)
    with VideoWriter(path, width=96, height=64, fps=25, quality=10) as writer:
        for index in range(12):
            picture = np.repeat(np.tile(ramp, (64, 1))[..., None], 3, 2)
            picture[20:40, 10 + 4 * index : 30 + 4 * index] = (210, 180, 160)
            writer.write(picture, Fraction(index, 25))
    return path

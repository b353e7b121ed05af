"""What every test may use: one small clip, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.robustness.plugin import Follower
from vid2vid.io import VideoWriter


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Follower())


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keys and the list of renders go to a folder of this session, never to the user's own."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VID2VID_HOME", str(folder))
        patch.delenv("VID2VID_CERTIFICATE", raising=False)
        patch.delenv("VID2VID_KEY", raising=False)
        yield folder


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


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the folder of a tiny pipeline by its name in `tests.diffusion.tiny.BUILDERS`; each is built once a session.

    Nobody writes into these folders.
    """

    @cache
    def folder(name: str) -> Path:
        from tests.diffusion.tiny import BUILDERS

        return BUILDERS[name](tmp_path_factory.mktemp("models") / name)

    return folder

"""Live shots that no generator was trained on."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from vid2vid.composite import shrunk
from vid2vid.io import open_source

if TYPE_CHECKING:
    from vid2vid.types import Picture


@dataclass(frozen=True, slots=True)
class HeldOutShot:
    """A range of frames of one file."""

    file: str
    """Name within the folder of clips."""
    start: int = 0
    stop: int | None = None
    """First frame that does not belong to the shot; None for the end of the file."""

    @property
    def name(self) -> str:
        """Short name for tables."""
        return f"{Path(self.file).stem}_{self.start}"


HELD_OUT: tuple[HeldOutShot, ...] = (
    HeldOutShot("bikes.mp4", 188, 241),
    HeldOutShot("single_face.mp4"),
    HeldOutShot("cup.mp4"),
    HeldOutShot("cityCC0.mpg", 117, 190),
)
"""The project's own held-out shots: the rest of `bikes` and `cityCC0` is training footage."""


def read_listing(path: Path) -> tuple[HeldOutShot, ...]:
    """Reads `[[shot]]` tables with `file`, `start` and `stop` from a TOML file."""
    shots = tomllib.loads(path.read_text())["shot"]
    return tuple(HeldOutShot(shot["file"], shot.get("start", 0), shot.get("stop")) for shot in shots)


def load(shot: HeldOutShot, clips: Path, frames: int, short_side: int) -> list[Picture]:
    """At most `frames` consecutive frames from the shot's start, shrunk to `short_side` where they are larger."""
    stop = shot.start + frames if shot.stop is None else min(shot.stop, shot.start + frames)
    with open_source(clips / shot.file) as source:
        return [shrunk(frame.pixels, short_side).copy() for frame in islice(source, shot.start, stop)]


def back_and_forth(frames: Sequence[Picture], count: int) -> list[Picture]:
    """`count` frames of the clip played forwards, backwards, forwards ... without repeating its ends."""
    period = max(1, 2 * len(frames) - 2)
    places = (index % period for index in range(count))
    return [frames[place if place < len(frames) else period - place] for place in places]

"""The windows on which the mark is measured: two seconds each, cut from clips at many places, and drawn ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from vid2vid.types import Picture

FRAMES: Final = 48
"""Two seconds at 24 frames a second."""
CLIPS: Final = (".mp4", ".mpg", ".mov", ".mkv", ".webm")
DRAWN: Final = ("gradient", "paper", "noise", "night")
"""Scenes that are made here: a smooth sky, a moving drawing on paper, a moving texture, lights in the dark."""


@dataclass(frozen=True, slots=True)
class Window:
    """Two seconds of one source, of one part of its picture, at one size."""

    number: int
    source: Path | str
    """A file, or one of `DRAWN`."""
    start: float
    """In [0, 1]: where in the source it begins."""
    zoom: float
    """Part of the picture's width and height that is cut out, at most 1."""
    place: tuple[float, float]
    """In [0, 1]: where the part lies, down and across."""


def windows(folders: list[Path], count: int) -> list[Window]:
    """`count` different windows, the same for the same files; neighbours come from different sources."""
    files = sorted(path for folder in folders for path in folder.iterdir() if path.suffix.lower() in CLIPS)
    sources: list[Path | str] = [*files, *DRAWN]
    rng = np.random.default_rng(20260)
    return [Window(number, sources[number % len(sources)], *_drawn_place(rng)) for number in range(count)]


def _drawn_place(rng: np.random.Generator) -> tuple[float, float, tuple[float, float]]:
    start, zoom, down, across = rng.random(4)
    return float(start), 0.6 + 0.4 * float(zoom), (float(down), float(across))


def read(window: Window, width: int, height: int, frames: int = FRAMES) -> list[Picture]:
    """The window's pictures, `(height, width, 3)` uint8 sRGB each; fewer where the source is shorter."""
    if isinstance(window.source, str):
        return _draw(window, width, height, frames)
    return [_cut(picture, window, width, height) for picture in _decoded(window.source, window.start, frames)]


def _decoded(path: Path, start: float, frames: int) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        known = stream.frames or int(float((container.duration or 0) / 1e6) * float(stream.average_rate or 25))
        first = int(start * max(0, known - frames - 2))
        for frame in islice(container.decode(stream), first, first + frames):
            yield cast("Picture", frame.to_ndarray(format="rgb24"))


def _cut(picture: Picture, window: Window, width: int, height: int) -> Picture:
    """The largest part of the wanted shape, made smaller by the zoom, at the window's place."""
    rows, columns = picture.shape[:2]
    unit = window.zoom * min(rows / height, columns / width)
    tall, wide = max(2, int(unit * height)), max(2, int(unit * width))
    top, left = int(window.place[0] * (rows - tall)), int(window.place[1] * (columns - wide))
    part = picture[top : top + tall, left : left + wide]
    how = cv2.INTER_AREA if unit > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=how))


def _draw(window: Window, width: int, height: int, frames: int) -> list[Picture]:
    rng = np.random.default_rng(window.number)
    draw = {"gradient": _gradient, "paper": _paper, "noise": _noise, "night": _night}[str(window.source)]
    return draw(rng, width, height, frames)


def _gradient(rng: np.random.Generator, width: int, height: int, frames: int) -> list[Picture]:
    """From one colour to another, drifting, with a camera's grain of half a level."""
    above, below = rng.uniform(60, 230, (2, 3))
    made = []
    for number in range(frames):
        down = np.linspace(0, 1, height)[:, None, None] + 0.002 * number
        colours = above * (1 - down) + below * down + rng.normal(0, 0.5, (height, width, 3))
        made.append(np.clip(np.rint(colours), 0, 255).astype(np.uint8))
    return made


def _paper(rng: np.random.Generator, width: int, height: int, frames: int) -> list[Picture]:
    """Lines that swing about on white paper."""
    ends, speeds = rng.random((12, 2, 2)), rng.normal(0, 0.004, (12, 2, 2))
    made = []
    for number in range(frames):
        picture = np.full((height, width, 3), 246, np.uint8)
        for one, other in ((ends + number * speeds) * (width, height)).astype(int):
            cv2.line(picture, tuple(map(int, one)), tuple(map(int, other)), (25, 25, 30), 3, cv2.LINE_AA)
        made.append(picture)
    return made


def _noise(rng: np.random.Generator, width: int, height: int, frames: int) -> list[Picture]:
    """A cloudy texture that pans."""
    large = rng.normal(0, 1, (height + frames, width + 2 * frames, 3)).astype(np.float32)
    cloudy = sum(cv2.GaussianBlur(large, (0, 0), sigma) * sigma for sigma in (1.5, 4.0, 12.0))
    whole = np.clip(128 + 45 * cloudy / cloudy.std(), 0, 255).astype(np.uint8)
    return [whole[n : n + height, 2 * n : 2 * n + width].copy() for n in range(frames)]


def _night(rng: np.random.Generator, width: int, height: int, frames: int) -> list[Picture]:
    """Lights that move in the dark, with grain."""
    places, speeds = rng.random((9, 2)), rng.normal(0, 0.003, (9, 2))
    made = []
    for number in range(frames):
        light = np.zeros((height, width), np.float32)
        for across, down in ((places + number * speeds) * (width, height)).astype(int):
            cv2.circle(light, (int(across), int(down)), 6, 230.0, -1, cv2.LINE_AA)
        light = light + 2 * cv2.GaussianBlur(light, (0, 0), 12)
        grainy = light[..., None] * np.array((1.0, 0.85, 0.6)) + 14 + rng.normal(0, 2, (height, width, 3))
        made.append(np.clip(grainy, 0, 255).astype(np.uint8))
    return made

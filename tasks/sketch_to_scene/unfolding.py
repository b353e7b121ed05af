"""From what came in to a clip at the wanted rate: panels of a sheet in turn, slow drawings held until the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.composite import resize
from vid2vid.conditions.ink import ink_map
from vid2vid.conditions.sheet import find_panels
from vid2vid.errors import InputError, InvalidOption, UsageError
from vid2vid.io import FrameSource

if TYPE_CHECKING:
    from vid2vid.types import Frame, Picture, VideoInfo

    from .options import Options

READ_ONCE: Final = (
    "sketch_to_scene looks through the whole drawing before it renders, and an iterator can be read only once. "
    "Give a file, a folder, an array or a list of frames."
)
DRAWINGS_FPS: Final = Fraction(4)
"""Rate of single drawings that come without one."""
MOST_DRAWINGS: Final = 60
COMPARED: Final = 24
NEAR_PX: Final = 2
"""Of 160 rows: ink that moves no farther belongs to a running animation."""
STAYS: Final = 0.89
"""Share of the ink that must stay near from picture to picture in a running animation."""
SLOW_FPS: Final = 13
"""Up to this many drawings a second, the frames between them are made."""
REST_S: Final = 0.4
"""For which the last panel of a sheet stays."""


def unfold(source: FrameSource, options: Options) -> FrameSource:
    """Gives the clip to render.

    Raises:
        InputError: the picture was said to be a sheet of panels, and is none.
        UsageError: frames that can be read only once.
    """
    if not source.reopenable:
        raise UsageError(READ_ONCE)
    if source.info.kind == "image":
        return _panels(source, options)
    if options.kind == "sheet":
        raise InvalidOption("kind='sheet': one picture of the sheet is needed, and a clip was given.")
    if options.kind == "lines":
        return source
    wanted = Fraction(options.rate).limit_denominator(1001)
    if source.info.fps <= SLOW_FPS:
        return _filled_in(source, source.info.fps, wanted)
    timeless = source.info.kind in ("folder", "array", "frames", "tensor")  # a file's own times stand
    few = (source.info.frame_count or 0) <= MOST_DRAWINGS
    if timeless and (options.kind == "drawings" or (options.kind == "auto" and few and far_apart(source))):
        return _filled_in(source, DRAWINGS_FPS, wanted)
    return source


def _panels(source: FrameSource, options: Options) -> FrameSource:
    if options.kind not in ("auto", "sheet"):
        return source
    picture = next(source).pixels
    try:
        panels = [panel.picture for panel in find_panels(picture)]
    except InputError:
        if options.kind == "sheet":
            raise
        fresh = source.reopen()
        source.close()
        return fresh
    source.close()
    return _held(panels, source.info, options)


def _held(panels: list[Picture], info: VideoInfo, options: Options) -> FrameSource:
    """Each panel for the pace asked, and the last one a little longer."""
    fps = Fraction(options.rate).limit_denominator(1001)
    hold = max(1, round(options.pace * fps))
    count = (len(panels) - 1) * hold + max(1, round(REST_S * fps))
    height, width = panels[0].shape[:2]
    told = replace(
        info, width=width, height=height, fps=fps, frame_count=count, kind="unfolded", duration_s=float(count / fps),
        notes=(*info.notes, f"{len(panels)} panels of a sheet"),
    )  # fmt: skip

    def read(_: Any) -> Iterator[tuple[Picture, Fraction, bool]]:
        for index in range(count):
            yield panels[min(index // hold, len(panels) - 1)], index / fps, False

    def again() -> FrameSource:
        return FrameSource(told, read, reopen=again)

    return again()


def far_apart(source: FrameSource) -> bool:
    """Whether figures move so far from picture to picture that these are single drawings and no running animation."""
    shares = []
    before = None
    with source.reopen() as pictures:
        for picture in islice(pictures, COMPARED):
            size = (round(160 * source.info.width / source.info.height), 160)
            ink = ink_map(cv2.cvtColor(resize(picture.pixels, *size), cv2.COLOR_RGB2GRAY))
            drawn = (ink > 0.4).astype(np.uint8)
            if before is not None and drawn.any():
                near = cv2.dilate(before, np.ones((2 * NEAR_PX + 1,) * 2, np.uint8))
                shares.append(float(near[drawn > 0].mean()))
            before = drawn
    return len(shares) > 0 and float(np.mean(shares)) < STAYS


def _filled_in(source: FrameSource, drawn_fps: Fraction, wanted: Fraction) -> FrameSource:
    """Every drawing is shown until the next one's time, at a multiple of the drawings' rate that is near the wanted."""
    info, slower = source.info, source.info.fps / drawn_fps
    fps = drawn_fps * max(1, round(wanted / drawn_fps))
    count = None if info.frame_count is None else round(info.frame_count * fps / drawn_fps)
    length_s = None if info.duration_s is None else info.duration_s * float(slower)
    note = f"{float(drawn_fps):g} drawings a second"
    told = replace(info, fps=fps, frame_count=count, duration_s=length_s, notes=(*info.notes, note))
    opener: Callable[[], FrameSource] = source.reopen

    def read(_: Any) -> Iterator[tuple[Picture, Fraction, bool]]:
        with opener() as drawings:
            later = (replace(drawing, time_s=drawing.time_s * slower) for drawing in drawings)
            yield from _on_grid(later, fps, 1 / drawn_fps)

    def again() -> FrameSource:
        return FrameSource(told, read, reopen=again, start_s=source.start_s, sample_aspect=source.sample_aspect)

    source.close()
    return again()


def _on_grid(drawings: Iterator[Frame], fps: Fraction, last_s: Fraction) -> Iterator[tuple[Picture, Fraction, bool]]:
    """The drawing shown at each moment of an even grid; the last one stays for `last_s`."""
    index = 0
    shown: Frame | None = None
    for drawing in drawings:
        while shown is not None and index / fps < drawing.time_s:
            yield shown.pixels, index / fps, shown.concealed
            index += 1
        shown = drawing
    if shown is not None:
        end = shown.time_s + last_s
        while index / fps < end or index == 0:
            yield shown.pixels, index / fps, shown.concealed
            index += 1

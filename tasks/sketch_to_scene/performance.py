"""What the figures of a drawing do: skeletons at every frame, which way they face, and what happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.composite import resize
from vid2vid.conditions.stick_nets import load_finder, load_reader
from vid2vid.motion.drawings import find_drawings
from vid2vid.motion.drawn_events import detect_events_at_drawings
from vid2vid.motion.embody import contralateral, facings
from vid2vid.motion.events import detect_events
from vid2vid.motion.inbetween import inbetween
from vid2vid.motion.stick_tracks import track_figures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.skeleton import Tracks
    from vid2vid.types import Event, Frame, Picture, Request, SourceOpener

    from .options import Options

HELD_SHARE: Final = 0.7
"""With fewer new drawings than this share of the frames, the rest is filled in."""
FAR_DRAWINGS_S: Final = 0.12
"""From this long between drawings, figures may be anywhere in the next one."""


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """A drawn clip, read."""

    tracks: Tracks
    """At every frame, in pixels of the working size."""
    facing: NDArray[np.float32]
    """`(T, F)`: +1 to the right, -1 to the left."""
    events: tuple[Event, ...]
    """In the order of time."""
    drawings: int
    """How many different drawings there are."""
    held: bool
    """Whether most frames only hold the drawing before."""
    fps: float
    times_s: tuple[float, ...]
    """Of every frame: where the rate varies, sounds go by these."""

    def begins_s(self, frame: int) -> float:
        """When a frame begins; without end for those after the last."""
        return self.times_s[frame] if frame < len(self.times_s) else float("inf")


def read_performance(request: Request, opener: SourceOpener, options: Options) -> Performance:
    """Reads the figures of a clip.

    Raises:
        NoFigures: there is none.
    """
    times_s: list[float] = []
    with opener() as frames:
        starts = find_drawings(_noted(frames, request, times_s))
    count = len(times_s)
    fps = float(request.info.fps)
    held = len(starts) < HELD_SHARE * count
    far = held and count / max(1, len(starts)) / fps >= FAR_DRAWINGS_S
    wanted = set(starts.tolist()) if held else None
    reader, finder = (load_reader(_weights("reader")), load_finder(_weights("finder")))
    tracks = track_figures(_pictures(request, opener, wanted), reader, finder, options.figures, held=far)
    size = (request.width, request.height)
    events = detect_events_at_drawings(tracks, [float(start) / fps for start in starts], size) if far else None
    if held:
        tracks = _filled(tracks, starts, count)
    tracks = replace(tracks, joints=_lettered(tracks.joints))
    facing = facings(tracks.joints, tracks.heights, fps)
    if events is None:
        events = detect_events(tracks, fps, size)
    events = tuple(
        replace(event, time_s=float(np.interp(event.time_s * fps, np.arange(count), times_s))) for event in events
    )
    return Performance(tracks, facing, events, len(starts), held, fps, tuple(times_s))


def _weights(name: str) -> Path:
    return Path(str(files(__package__) / f"{name}.safetensors"))


def _noted(frames: Iterator[Frame], request: Request, times_s: list[float]) -> Iterator[Picture]:
    """Pictures at the working size; their times are written down."""
    for frame in frames:
        times_s.append(float(frame.time_s))
        yield resize(frame.pixels, request.width, request.height)


def _pictures(request: Request, opener: SourceOpener, wanted: set[int] | None) -> Iterator[Picture]:
    with opener() as frames:
        for index, frame in enumerate(frames):
            if wanted is None or index in wanted:
                yield resize(frame.pixels, request.width, request.height)


def _filled(tracks: Tracks, starts: NDArray[np.int64], count: int) -> Tracks:
    """Every frame of a clip whose drawings begin at `starts`; each drawing is met exactly where it begins."""
    frames = np.arange(count)
    joints = inbetween(tracks.joints, starts, np.minimum(frames, starts[-1]))
    shown = np.clip(np.searchsorted(starts, frames, side="right") - 1, 0, None)
    return replace(tracks, joints=joints, present=tracks.present[shown])


def _lettered(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([contralateral(joints[:, figure]) for figure in range(joints.shape[1])], axis=1)

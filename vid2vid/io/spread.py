"""A few frames from all over a file, without decoding a whole film or converting what nobody looks at."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from av.error import FFmpegError

from vid2vid.io.colour import RgbConverter
from vid2vid.io.containers import open_input
from vid2vid.io.decode import open_source
from vid2vid.io.probe import Inspection, inspect

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

    from vid2vid.types import Picture

_DECODE_WHOLE: Final = 1500
"""Frames up to which a file is decoded from end to end: seeking would decode as many."""
_FARTHEST: Final = 600
"""Frames decoded from a key frame on the way to a place; beyond, the place is given up."""
_THREADS: Final = 2


def spread_frames(path: Path, places: int, run: int) -> tuple[float, Iterator[tuple[float, Picture]]]:
    """Gives a file's length, and frames from evenly spread places of it.

    Args:
        path: a video or image file.
        places: how many places to look at.
        run: frames in a row at each.

    Returns:
        Seconds, as far as they are known, at least one frame's; and an iterator of (seconds from the first frame,
        (H, W, 3) uint8 sRGB). Times rise; of a short file every frame may be among them.

    Raises:
        InputError: the file cannot be read; see `open_source`.
    """
    inspection = inspect(path)
    info = inspection.info
    count = info.frame_count or (round(info.duration_s * info.fps) if info.duration_s else 1)
    length_s = info.duration_s or float(count / info.fps)
    times = [(place + 0.5) / places * length_s for place in range(places)]
    if info.kind == "image" or not info.duration_s or inspection.by_decoding_time:
        return length_s, _read_through(path)
    return length_s, _or_else(_decode(inspection, times, run, seek=count > _DECODE_WHOLE), _read_through(path))


def _or_else(
    first: Iterator[tuple[float, Picture]], second: Iterator[tuple[float, Picture]]
) -> Iterator[tuple[float, Picture]]:
    """The first, or the second where the first gives nothing."""
    nothing = True
    for one in first:
        nothing = False
        yield one
    if nothing:
        yield from second


def _read_through(path: Path) -> Iterator[tuple[float, Picture]]:
    with open_source(path) as source:
        for frame in source:
            if frame.index >= _DECODE_WHOLE:
                return
            yield float(frame.time_s), frame.pixels


def _decode(inspection: Inspection, times: list[float], run: int, *, seek: bool) -> Iterator[tuple[float, Picture]]:
    path = cast(Path, inspection.info.path)
    converter = RgbConverter(
        inspection.stored_width, inspection.stored_height, inspection.orientation, inspection.codec
    )
    last = -1.0
    with open_input(path) as container:
        stream = cast(Any, container.streams[inspection.stream_index])
        stream.codec_context.thread_count, stream.codec_context.thread_type = _THREADS, "AUTO"
        for wanted in [[time] for time in times] if seek else [times]:
            try:
                if seek:
                    _go_to(container, stream, inspection, wanted[0])
                for shown_s, frame in _runs(container.decode(stream), inspection, wanted, run, bounded=seek):
                    if shown_s > last:
                        last = shown_s
                        yield shown_s, converter.convert(frame)
            except FFmpegError:
                continue  # damage at one place; the others tell enough


def _go_to(container: InputContainer, stream: Any, inspection: Inspection, time_s: float) -> None:
    start = Fraction(time_s).limit_denominator(1000) + inspection.start_s
    container.seek(int(start / inspection.time_base), stream=stream, backward=True)


def _runs(
    frames: Iterator[VideoFrame], inspection: Inspection, times: list[float], run: int, *, bounded: bool
) -> Iterator[tuple[float, VideoFrame]]:
    """The frames from each of the times on, as many as a run has."""
    waiting, left = list(times), 0
    for number, frame in enumerate(frames):
        if frame.pts is None or (bounded and number > _FARTHEST):
            return
        shown_s = float(frame.pts * inspection.time_base - inspection.start_s)
        while waiting and waiting[0] <= shown_s:
            waiting.pop(0)
            left = run
        if left > 0:
            yield shown_s, frame
            left -= 1
        if not waiting and left == 0:
            return

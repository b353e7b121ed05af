"""Reads any source frame by frame in constant memory: the only way frames enter vid2vid.

Example:
    with open_source("clip.mp4") as source:
        for frame in source:
            show(frame.pixels, frame.time_s)
    print(source.report)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from vid2vid.errors import InvalidFrames, InvalidOption, NoDecodableFrames, TruncatedInput, UsageError
from vid2vid.io import memory, pictures
from vid2vid.io.colour import RgbConverter
from vid2vid.io.containers import check_readable, open_input
from vid2vid.io.deinterlace import Deinterlacer
from vid2vid.io.integrity import missing_tail
from vid2vid.io.probe import DEFAULT_FPS, Inspection, Rate, check_fps, inspect
from vid2vid.io.recovery import PacketDecoder, Shown
from vid2vid.io.tally import DecodeReport, Tally
from vid2vid.types import Frame, VideoInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from vid2vid.types import Picture

    VideoInput = str | os.PathLike[str] | NDArray[Any] | Tensor | Iterable[NDArray[np.uint8]]
    """What `open_source` takes."""

_Timed = tuple["Picture", Fraction, bool]
"""Pixels, time in seconds, concealed."""


class FrameSource(Iterator[Frame]):
    """The frames of one source, once through; a context manager that closes what it opened.

    Owns its file handle and decoder. Not for use by two threads. `Frame.pixels` may share memory with the caller's
    array or with the frame before: copy before writing to it.
    """

    def __init__(
        self,
        info: VideoInfo,
        read: Callable[[Tally], Iterator[_Timed]],
        *,
        reopen: Callable[[], FrameSource] | None,
        start_s: Fraction = Fraction(0),
        time_base: Fraction | None = None,
        sample_aspect: Fraction = Fraction(1),
    ) -> None:
        """Keeps what is known; nothing is opened before the first frame is asked for. Use `open_source`."""
        self.info = info
        """The source, as known before its first frame."""
        self.start_s = start_s
        """Time of the first frame on the container's clock, which its audio shares."""
        self.time_base = time_base if time_base is not None else 1 / info.fps
        """Every frame's time is a multiple of this (unless times had to be repaired); fit for a writer."""
        self.sample_aspect = sample_aspect
        """Width of a pixel over its height."""
        self._reopen = reopen
        self._tally = Tally(str(info.path or f"the {info.kind} given"), info.frame_count)
        self._tally.note(*info.notes)
        self._frames = read(self._tally)
        self._over = False

    @property
    def reopenable(self) -> bool:
        """Whether `reopen` works: not for generators and other one-shot iterators."""
        return self._reopen is not None

    @property
    def report(self) -> DecodeReport:
        """What was met so far, frozen."""
        return self._tally.report()

    def reopen(self) -> FrameSource:
        """Gives a fresh source from the first frame; this one is not touched.

        Raises:
            UsageError: the frames come from an iterator that can be read only once.
        """
        if self._reopen is None:
            raise UsageError("A generator's frames can be read only once. Give a file, an array or a list instead.")
        return self._reopen()

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._over = True
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()

    def __iter__(self) -> Self:
        if self._over:
            raise UsageError("This source has been read to its end or closed. Use reopen() to read it again.")
        return self

    def __next__(self) -> Frame:
        if self._over:
            raise StopIteration
        try:
            pixels, time_s, concealed = next(self._frames)
            return Frame(pixels, self._tally.add(concealed=concealed), time_s, concealed)
        except StopIteration:
            self.close()
            self._tally.finish()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(
    video: VideoInput, *, fps: Rate | None = None, strict: bool = False, threads: int = 1, stream: int | None = None
) -> FrameSource:
    """Opens a video, an image, a folder of images or frames in memory.

    Args:
        video: path of a file or folder; (T, H, W, 3) uint8 array; (T, 3, H, W) float tensor in [0, 1]; iterable of
            (H, W, 3) uint8 frames of one size; one (H, W, 3) uint8 picture.
        fps: frames a second. For files it replaces every frame's own time; pictures and arrays have 25 without it.
        strict: refuse a file that ends early instead of reading what is there.
        threads: decoder threads. One keeps damage to the frames it hits; more read large clean files faster.
        stream: of several picture streams in a file, the number of the one to read, from 0 on; None takes the largest.

    Returns:
        A source at its first frame: sRGB, upright, progressive, times from 0 and rising.

    Raises:
        InputError: the source cannot be used; see `vid2vid.io.probe.probe` for files. TruncatedInput if `strict`.
            While reading: NoDecodableFrames, CorruptInput (over 5 % of the frames lost), ReadFailed, InvalidFrames.
        InvalidOption: `fps` is out of range, or there is no such `stream`.
    """
    rate = check_fps(fps)

    def again() -> FrameSource:
        return open_source(video, fps=fps, strict=strict, threads=threads, stream=stream)

    if isinstance(video, (str, os.PathLike)) and not Path(video).is_dir():
        return _file_source(Path(video), rate, stream, strict, threads, again)
    if stream is not None:
        raise InvalidOption(f"stream={stream!r}: only a video file has streams. Leave it out.")
    if isinstance(video, (str, os.PathLike)):
        return _folder_source(Path(video), rate, again)
    rate = rate or DEFAULT_FPS
    if isinstance(video, np.ndarray):
        frames, kind = memory.check_array(video)
        info = memory.memory_info(frames[0].shape[1], frames[0].shape[0], rate, len(frames), kind)
        return FrameSource(info, lambda _: _steady(iter(frames), rate), reopen=again)
    if memory.is_tensor(video):
        tensor = cast("Tensor", video)
        memory.check_tensor(tensor)
        info = memory.memory_info(tensor.shape[3], tensor.shape[2], rate, tensor.shape[0], "tensor")
        return FrameSource(info, lambda _: _steady(memory.tensor_frames(tensor), rate), reopen=again)
    if not isinstance(video, Iterable) or isinstance(video, (bytes, bytearray, dict, set)):
        raise InvalidFrames(f"A {type(video).__name__} is no video. Give a path, an array, a tensor or frames.")
    return _iterable_source(video, rate, again)


def _iterable_source(video: Iterable[Picture], rate: Fraction, again: Callable[[], FrameSource]) -> FrameSource:
    first, frames = memory.peek(video)
    count = len(video) if isinstance(video, Sequence) else None
    info = memory.memory_info(first.shape[1], first.shape[0], rate, count, "frames")
    reopen = None if isinstance(video, Iterator) else again
    return FrameSource(info, lambda _: _steady(memory.checked(frames, first.shape), rate), reopen=reopen)


def _folder_source(path: Path, rate: Fraction | None, again: Callable[[], FrameSource]) -> FrameSource:
    images = pictures.list_images(path)
    info = pictures.describe_folder(path, images, rate or DEFAULT_FPS)

    def read(tally: Tally) -> Iterator[_Timed]:
        for index, (picture, concealed) in enumerate(pictures.folder_pictures(images, info, tally)):
            yield picture, index / info.fps, concealed

    return FrameSource(info, read, reopen=again)


def _steady(frames: Iterator[Picture], rate: Fraction) -> Iterator[_Timed]:
    for index, frame in enumerate(frames):
        yield frame, index / rate, False


def _file_source(
    path: Path,
    rate: Fraction | None,
    stream: int | None,
    strict: bool,
    threads: int,
    again: Callable[[], FrameSource],
) -> FrameSource:
    inspection = inspect(path, fps=rate, stream=stream)
    info = inspection.info
    if strict:
        _refuse_truncated(inspection)
    return FrameSource(
        info,
        lambda tally: _read_file(inspection, tally, counted=rate is not None, strict=strict, threads=threads),
        reopen=again,
        start_s=inspection.start_s,
        time_base=None if rate is not None or info.kind == "image" else inspection.time_base,
        sample_aspect=inspection.sample_aspect,
    )


def _refuse_truncated(inspection: Inspection) -> None:
    path = cast(Path, inspection.info.path)
    with open_input(path) as container:
        reason = missing_tail(container, cast(Any, container.streams[inspection.stream_index]), path)
    if reason:
        raise TruncatedInput(f"{str(path)!r} ends early: {reason}. Copy it again, or read it without strict.")


def _read_file(inspection: Inspection, tally: Tally, *, counted: bool, strict: bool, threads: int) -> Iterator[_Timed]:
    info = inspection.info
    path = cast(Path, info.path)
    converter = RgbConverter(
        inspection.stored_width, inspection.stored_height, inspection.orientation, inspection.codec
    )
    with open_input(path) as container:
        stream = cast(Any, container.streams[inspection.stream_index])
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO" if threads > 1 else "NONE"
        decoder = PacketDecoder(
            container, stream, info.fps, counted=counted, by_decoding_time=inspection.by_decoding_time
        )
        weaver = Deinterlacer()
        for shown in _woven(decoder, weaver, lambda: _ends_early(decoder, container, stream, path, tally, strict)):
            pixels = converter.convert(shown.frame)
            tally.note(*converter.notes)
            tally.bad = decoder.bad_packets
            yield pixels, shown.time_s, shown.concealed
        _sum_up(decoder, weaver, tally)
        if tally.frames == 0:
            raise NoDecodableFrames(f"{str(path)!r}: not one frame of its {info.codec} video can be decoded.")


def _woven(decoder: PacketDecoder, weaver: Deinterlacer, ends_early: Callable[[], bool]) -> Iterator[Shown]:
    for shown in decoder:
        yield from weaver.push(shown)
    if not ends_early():
        for shown in decoder.leftovers():
            yield from weaver.push(shown)
    yield from weaver.flush()


def _ends_early(decoder: PacketDecoder, container: Any, stream: Any, path: Path, tally: Tally, strict: bool) -> bool:
    if decoder.read_failed:
        # A demuxer gives the same error where the file is damaged; then its bytes can be read.
        check_readable(path)
    reason = missing_tail(container, stream, path)
    if reason is None and decoder.read_failed:
        reason = "reading fails before the end"
    if reason is None:
        return False
    if strict:
        raise TruncatedInput(f"{str(path)!r} ends early: {reason}. Copy it again, or read it without strict.")
    tally.truncated = True
    tally.note(f"the file ends early: {reason}")
    return True


def _sum_up(decoder: PacketDecoder, weaver: Deinterlacer, tally: Tally) -> None:
    tally.bad, tally.damaged = decoder.bad_packets, decoder.damaged
    if decoder.lost_before_start:
        tally.note(f"{decoder.lost_before_start} damaged frame(s) before the first good one left out")
    if decoder.time_repairs:
        tally.note(f"{decoder.time_repairs} frame time(s) did not rise, or by too much, and were set anew")
    if weaver.used:
        tally.note("interlaced frames were made progressive (bwdif)")

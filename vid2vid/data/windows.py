"""Random access to short windows of a training clip.

decord is fast but wrong on some files (frames that an edit list hides, AVI with B-frames, colours of HD clips), so its
answers are compared with PyAV's when a clip is opened, and PyAV reads the clip where they differ. It can hang or crash
on damaged and hostile files, so it runs in a process of its own and is given a deadline.
"""

from __future__ import annotations

import os
import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import cv2
import numpy as np
from av.error import FFmpegError

from vid2vid.data.decord_reader import DecordFailed, DecordReader
from vid2vid.errors import InvalidOption, UnreadableContainer
from vid2vid.io.colour import RgbConverter
from vid2vid.io.containers import open_input
from vid2vid.io.decode import FrameSource, open_source
from vid2vid.io.probe import inspect

if TYPE_CHECKING:
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from vid2vid.types import Picture

_COMPARED_FRAMES = 5
_MAX_MEAN_DIFFERENCE = 2.0
"""Mean absolute difference in levels of 255; rounding and chroma upsampling stay under 1.5, a wrong matrix does not."""


ReaderName = Literal["decord", "seek", "sequential"]
"""decord; PyAV by seeking to key frames; PyAV from the start, for files whose timestamps cannot be trusted."""


class _Reader(Protocol):
    """Reads frames by their number in display order."""

    def read(self, start: int, length: int) -> NDArray[np.uint8]:
        """Gives (length, H, W, 3) uint8."""


class ClipWindows:
    """Windows of one clip by frame number; frames are numbered as `open_source` shows them.

    Each thread and each process opens its own reader on its first `read`, so an instance can be handed to data loader
    workers, forked or spawned.
    """

    def __init__(self, path: str | os.PathLike[str], *, short_side: int | None = None) -> None:
        """Counts the clip's frames with PyAV, by decoding them once, and decides who will read it.

        Args:
            path: a video file.
            short_side: scale windows so that the shorter side has this many pixels; None keeps the size.

        Raises:
            InputError: the file cannot be read; the errors of `open_source`.
            InvalidOption: `short_side` is not positive.
        """
        if short_side is not None and short_side < 1:
            raise InvalidOption(f"short_side={short_side} is no size; give a positive number of pixels.")
        self.path = Path(path).absolute()
        self._own = threading.local()
        with open_source(self.path) as source:
            self.width, self.height = _scaled(source.info.width, source.info.height, short_side)
            self.fps = source.info.fps
            wanted, times = _sample(source)
            steady = not source.report.notes and not source.report.concealed
            self._stamps = [round((source.start_s + time_s) / source.time_base) for time_s in times] if steady else []
        self._count = len(times)
        self._safe: ReaderName = "seek" if self._agrees("seek", wanted) else "sequential"
        self.reader: ReaderName = "decord" if self._agrees("decord", wanted) else self._safe
        """Which way the windows are read."""

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, length: int) -> NDArray[np.uint8]:
        """Gives consecutive frames.

        Args:
            start: number of the first frame, from 0.
            length: how many, at least 1.

        Returns:
            (T, H, W, 3) uint8 sRGB, T = length.

        Raises:
            InvalidOption: the window leaves the clip.
        """
        if start < 0 or length < 1 or start + length > self._count:
            raise InvalidOption(
                f"Frames {start} to {start + length - 1} are not in {self.path.name}, which has {self._count}."
            )
        frames = self._frames(start, length)
        if frames.shape[1:3] == (self.height, self.width):
            return frames
        resized = [cv2.resize(f, (self.width, self.height), interpolation=cv2.INTER_AREA) for f in frames]
        return cast("NDArray[np.uint8]", np.stack(resized))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_own"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._own = threading.local()

    def _frames(self, start: int, length: int) -> NDArray[np.uint8]:
        # Damage may lie between the frames compared, and decord may hang there: PyAV reads on then.
        names: tuple[ReaderName, ...] = (self.reader, self._safe)
        for name in names:
            try:
                return self._reader(name).read(start, length)
            except _Disagreement:
                self._own.process, self.reader = None, self._safe
        self._safe = self.reader = "sequential"
        return self._reader("sequential").read(start, length)

    def _reader(self, name: ReaderName) -> _Reader:
        own = self._own
        if getattr(own, "process", None) != os.getpid():
            reader = self._open(name)
            # A forked worker inherits the parent's reader, which is still the parent's to close.
            own.kept = [*getattr(own, "kept", ()), getattr(own, "reader", None)]
            own.reader, own.process = reader, os.getpid()
        return cast(_Reader, own.reader)

    def _open(self, name: ReaderName) -> _Reader:
        if name == "decord":
            return _DecordReader(self.path, self._count)
        return _SeekingReader(self.path, self._stamps) if name == "seek" else _SequentialReader(self.path)

    def _agrees(self, name: ReaderName, wanted: dict[int, Picture]) -> bool:
        try:
            reader = self._open(name)
            # Backwards, so that every comparison tests a real jump.
            agrees = all(_alike(reader.read(index, 1)[0], wanted[index]) for index in sorted(wanted, reverse=True))
        except _Disagreement:
            return False
        if agrees:
            self._own.reader, self._own.process = reader, os.getpid()
        return agrees


class _Disagreement(Exception):
    """A reader does not give the frames that `open_source` gives; never leaves this module."""


class _DecordReader:
    """decord, in a process of its own."""

    def __init__(self, path: Path, count: int) -> None:
        try:
            self._reader = DecordReader(path)
        except DecordFailed as error:
            raise _Disagreement from error
        if self._reader.count != count:
            self._reader.close()
            raise _Disagreement

    def read(self, start: int, length: int) -> NDArray[np.uint8]:
        try:
            return self._reader.read(start, length)
        except DecordFailed as error:
            raise _Disagreement from error


class _SeekingReader:
    """PyAV from the key frame before the window; frames are known by their timestamps."""

    def __init__(self, path: Path, stamps: list[int]) -> None:
        inspection = inspect(path)
        if not stamps or inspection.by_decoding_time:
            raise _Disagreement
        self._stamps = stamps
        self._container = open_input(path)
        self._stream = cast("VideoStream", self._container.streams[inspection.stream_index])
        self._converter = RgbConverter(
            inspection.stored_width, inspection.stored_height, inspection.orientation, inspection.codec
        )

    def read(self, start: int, length: int) -> NDArray[np.uint8]:
        wanted = self._stamps[start : start + length]
        frames: list[Picture] = []
        try:
            self._container.seek(wanted[0], stream=self._stream)
            for frame in self._container.decode(self._stream):
                if frame.pts == wanted[len(frames)]:
                    frames.append(self._converter.convert(frame))
                elif frame.pts is None or frame.pts > wanted[len(frames)]:
                    raise _Disagreement
                if len(frames) == length:
                    return np.stack(frames)
        except FFmpegError as error:
            raise _Disagreement from error
        raise _Disagreement


class _SequentialReader:
    """`open_source` from the start, kept open while windows move forward."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._source = open_source(path)
        self._next = 0

    def read(self, start: int, length: int) -> NDArray[np.uint8]:
        if start < self._next:
            self._source.close()
            self._source, self._next = open_source(self._path), 0
        frames = []
        for frame in self._source:
            self._next = frame.index + 1
            if frame.index >= start:
                frames.append(frame.pixels)
            if len(frames) == length:
                return np.stack(frames)
        raise UnreadableContainer(f"{str(self._path)!r} ended at frame {self._next}; it changed since it was opened.")


def _sample(source: FrameSource) -> tuple[dict[int, Picture], list[Fraction]]:
    """Gives every frame's time and keeps a few spread over the clip, without knowing its length beforehand."""
    kept: dict[int, Picture] = {}
    step, times = 1, []
    for frame in source:
        times.append(frame.time_s)
        if frame.index % step == 0:
            kept[frame.index] = frame.pixels
        if len(kept) > 2 * _COMPARED_FRAMES:
            step *= 2
            kept = {index: picture for index, picture in kept.items() if index % step == 0}
    return kept, times


def _alike(first: Picture, second: Picture) -> bool:
    if first.shape != second.shape:
        return False
    return float(np.abs(first.astype(np.int16) - second).mean()) <= _MAX_MEAN_DIFFERENCE


def _scaled(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    if short_side is None:
        return width, height
    factor = short_side / min(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))

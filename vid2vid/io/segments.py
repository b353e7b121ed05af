"""A film encoded piece by piece, each piece a file of its own, and put together without encoding anything again.

A segment begins with a key frame and refers to nothing outside itself, so it comes out the same whenever it is made.
Its own times only put its frames in order; the exact times of the film are kept beside it and set when joining.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av

from vid2vid.errors import InvalidFrames
from vid2vid.io.audio import AudioOutcome, AudioTracks
from vid2vid.io.containers import open_input
from vid2vid.io.encode import VideoWriter, container_options, usable_time_base
from vid2vid.io.output import PartialFile, muxer_for, writing
from vid2vid.io.soundtrack import EncodedSound, sound_for

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from vid2vid.io.soundtrack import Compose
    from vid2vid.types import Picture


@dataclass(frozen=True, slots=True)
class Film:
    """What all segments of one film share."""

    target: Path
    """The file that they become; its suffix picks container and codec."""
    width: int
    height: int
    fps: Fraction
    time_base: Fraction | None = None
    """Unit of the times; None takes one that holds multiples of 1 / fps."""
    sample_aspect: Fraction = Fraction(1)
    threads: int = 0
    """Encoder threads: the same for all segments, or they would not come out the same again."""

    @property
    def ticks_a_second(self) -> Fraction:
        """Of the film's clock."""
        return 1 / usable_time_base(self.time_base, self.fps)


@dataclass(frozen=True, slots=True)
class Piece:
    """One finished segment."""

    path: Path
    ticks: tuple[int, ...]
    """When each of its frames is shown, on the film's clock."""
    reorder: int
    """Frames by which decoding runs ahead of showing, at most."""


class SegmentWriter:
    """Encodes one segment; its file appears at its name whole or not at all.

    Args:
        path: of the segment, ending in .mp4.
        film: what it belongs to.
        after: the last tick before it; -1 for the first segment.
    """

    def __init__(self, path: Path, film: Film, after: int = -1) -> None:
        self._path, self._film, self._after = path, film, after
        codec = "libvpx-vp9" if muxer_for(film.target) == "webm" else "libx264"
        self._writer = VideoWriter(
            path,
            width=film.width,
            height=film.height,
            fps=film.fps,
            time_base=1 / film.ticks_a_second,
            codec=codec,
            overwrite=True,
            sample_aspect=film.sample_aspect,
            threads=film.threads,
            fragmented=True,
        )
        self._open = ExitStack()
        self._open.enter_context(self._writer)
        self._ticks: list[int] = []

    def write(self, pixels: Picture, time_s: Fraction) -> None:
        """Encodes one frame.

        Args:
            pixels: `(H, W, 3)` uint8 sRGB.
            time_s: when it is shown in the film, later than the frame before.

        Raises:
            InvalidFrames, OutputDiskFull, OutputNotWritable: see `VideoWriter.write`.
        """
        before = self._ticks[-1] if self._ticks else self._after
        ticks = max(round(time_s * self._film.ticks_a_second), before + 1)
        first = self._ticks[0] if self._ticks else ticks
        self._writer.write(pixels, (ticks - first) / self._film.ticks_a_second)
        self._ticks.append(ticks)

    def finish(self) -> Piece:
        """Brings the file to disk and to its name.

        Raises:
            OutputDiskFull, OutputNotWritable: the disk refuses.
        """
        self._open.close()
        places = [place for place, _ in _packets(self._path)]
        return Piece(self._path, tuple(self._ticks), max(n - place for n, place in enumerate(places)))

    def abandon(self, error: BaseException) -> None:
        """Leaves nothing behind."""
        self._open.__exit__(type(error), error, error.__traceback__)


def join_segments(
    film: Film,
    pieces: Sequence[Piece],
    *,
    audio_from: Path | None = None,
    audio_start_s: Fraction | None = None,
    compose: Compose | None = None,
    finished: Callable[[Path], None] | None = None,
) -> AudioOutcome:
    """Puts segments together, with sound; the file appears at its name whole or not at all.

    Args:
        film: what they belong to.
        pieces: in order.
        audio_from: file whose sound goes along, in sync with its first shown frame, cut at the film's end.
        audio_start_s: time of that frame on the file's clock; None finds that of its largest stream.
        compose: makes the sound; where it makes none, that of `audio_from` goes along.
        finished: told the partial file once it is complete, before it gets its name; may change it in place.

    Returns:
        What became of the sound.

    Raises:
        OutputDiskFull, OutputNotWritable: the disk refuses; an old file at the target is untouched then.
        InvalidFrames: there is no frame.
    """
    if not pieces:
        raise InvalidFrames(f"Not one frame was written to {str(film.target)!r}.")
    partial = PartialFile(film.target)
    try:
        outcome = _Joiner(film, pieces, partial.path).run(audio_from, audio_start_s, compose)
        if finished is not None:
            finished(partial.path)
    except BaseException:
        partial.discard()
        raise
    partial.commit()
    return outcome


class _Joiner:
    """One join."""

    def __init__(self, film: Film, pieces: Sequence[Piece], place: Path) -> None:
        self._film, self._pieces, self._place = film, pieces, place
        self._muxer = muxer_for(film.target)
        self._unit = 1 / film.ticks_a_second
        self._nominal = max(1, round(film.ticks_a_second / film.fps))

    def run(self, audio_from: Path | None, start_s: Fraction | None, compose: Compose | None) -> AudioOutcome:
        with ExitStack() as files:
            with writing(self._film.target):
                options = container_options(self._muxer)
                output = av.open(f"file:{self._place}", mode="w", format=self._muxer, container_options=options)
            files.callback(output.close)
            first = files.enter_context(open_input(self._pieces[0].path))
            stream = output.add_stream_from_template(first.streams.video[0], opaque=True)
            stream.time_base = self._unit
            sound = self._sound(output, audio_from, start_s, compose)
            if not isinstance(sound, AudioOutcome):
                files.callback(sound.close)
            self._mux(output, stream, None if isinstance(sound, AudioOutcome) else sound)
            with writing(self._film.target):
                output.close()
        return sound if isinstance(sound, AudioOutcome) else sound.outcome

    def _sound(
        self, output: OutputContainer, audio_from: Path | None, start_s: Fraction | None, compose: Compose | None
    ) -> AudioTracks | EncodedSound | AudioOutcome:
        if compose is not None:
            return sound_for(compose, audio_from, output, self._muxer, self._end * self._unit, start_s)
        if audio_from is not None:
            return AudioTracks(audio_from, output, self._muxer, start_s)
        return AudioOutcome("none", "no sound was asked for")

    @property
    def _end(self) -> int:
        last = list(islice(reversed([tick for piece in self._pieces[-2:] for tick in piece.ticks]), 2))
        return last[0] + (min(self._nominal, last[0] - last[1]) if len(last) > 1 else self._nominal)

    def _mux(self, output: OutputContainer, stream: VideoStream, sound: AudioTracks | EncodedSound | None) -> None:
        total = sum(len(piece.ticks) for piece in self._pieces)
        decoding = self._decoding_times()
        first_dts: int | None = None
        for number, (ticks, before, packet) in enumerate(self._timed()):
            packet.stream = stream
            packet.time_base = self._unit
            packet.pts, packet.dts = ticks, next(decoding)
            first_dts = packet.dts if first_dts is None else first_dts
            packet.duration = min(self._nominal, ticks - before) if before >= 0 else self._nominal
            if number == total - 1 and self._muxer in ("mp4", "mov"):
                # MP4 adds up the steps between decoding times; the last one has to bring the sum to the true length.
                packet.duration = self._end - (packet.dts - first_dts)
            if sound is not None:
                sound.pump(packet.dts * self._unit)
            with writing(self._film.target):
                output.mux_one(packet)
        if sound is not None:
            sound.finish(self._end * self._unit)

    def _timed(self) -> Iterator[tuple[int, int, Packet[VideoStream]]]:
        """In decoding order: when a frame is shown, when the one before it is, and its packet."""
        last = -1
        for piece in self._pieces:
            for place, packet in _packets(piece.path):
                yield piece.ticks[place], piece.ticks[place - 1] if place else last, packet
            last = piece.ticks[-1]

    def _decoding_times(self) -> Iterator[int]:
        """As an encoder gives them: times of showing, later by as many frames as decoding runs ahead."""
        delay = max(piece.reorder for piece in self._pieces)
        ahead = list(islice(self._shown(), delay + 1))
        lead = ahead[-1] - ahead[0] + (delay + 1 - len(ahead))
        return chain((ticks - lead for ticks in ahead[:delay]), self._shown())

    def _shown(self) -> Iterator[int]:
        return chain.from_iterable(piece.ticks for piece in self._pieces)


def _packets(path: Path) -> Iterator[tuple[int, Packet[VideoStream]]]:
    """A segment's packets in decoding order, each with the place of its frame in the order of showing."""
    with open_input(path) as container:
        times = sorted(cast(int, packet.pts) for packet in container.demux(video=0) if packet.size)
    place = {time: number for number, time in enumerate(times)}
    with open_input(path) as container:
        for packet in container.demux(video=0):
            if packet.size:
                yield place[cast(int, packet.pts)], cast(Any, packet)

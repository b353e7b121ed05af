"""Sound that was made rather than copied: encoded beside video packets that waited for it, read from a source, as WAV.

A soundtrack is known only after the last frame, while a file wants sound next to its picture. The encoded video
therefore waits on disk, packet for packet, and is written together with the sound; nothing is encoded twice.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.error import BlockingIOError as NeedsMore
from av.error import EOFError as EndOfStream
from av.error import FFmpegError
from av.filter import Graph
from av.packet import Packet

from vid2vid.io.audio import AudioOutcome, AudioTracks
from vid2vid.io.containers import open_input
from vid2vid.io.output import PartialFile, writing
from vid2vid.io.probe import inspect

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    """`(N, 2)` float32 at 48 kHz."""

RATE: Final = 48_000
_ENCODERS: Final[dict[str, tuple[Literal["aac", "opus", "flac"], str, str]]] = {
    "mp4": ("aac", "aac", "fltp"),
    "mov": ("aac", "aac", "fltp"),
    "matroska": ("flac", "flac", "s16"),
    "webm": ("opus", "libopus", "flt"),
}
"""Muxer -> what the report calls it, FFmpeg's encoder, its sample format."""
_BIT_RATE: Final = 192_000
_HEADER: Final = struct.Struct("<qqqqqq?")


@dataclass(frozen=True, slots=True)
class MadeSound:
    """A soundtrack for a film whose length is known by now."""

    blocks: Iterable[Samples] | None
    """`(N, 2)` float32 at 48 kHz from the first frame on; None for no sound, or for the source's own."""
    reason: str
    """Why it sounds so, in plain words."""


Compose = Callable[[Fraction], MadeSound]
"""Makes the sound for a film of so many seconds; called once, after the last frame."""


class WaitingPackets:
    """Encoded video on disk until its sound is there. Owns an unnamed file: close it."""

    def __init__(self, folder: Path) -> None:
        """Opens the file in a folder."""
        self._file = TemporaryFile(dir=folder, prefix=".vid2vid-video-")  # noqa: SIM115  # closed by `close`

    def add(self, packet: Packet[VideoStream]) -> None:
        """Puts a packet at the end."""
        base, content = packet.time_base, bytes(packet)
        times = (cast(int, packet.pts), cast(int, packet.dts), packet.duration or 0, base.numerator, base.denominator)
        self._file.write(_HEADER.pack(*times, len(content), packet.is_keyframe))
        self._file.write(content)

    def packets(self, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        """Gives the packets in order, as the stream's."""
        self._file.seek(0)
        while header := self._file.read(_HEADER.size):
            pts, dts, duration, numerator, denominator, size, key = _HEADER.unpack(header)
            packet: Any = Packet(self._file.read(size))
            packet.pts, packet.dts, packet.duration = pts, dts, duration
            packet.time_base, packet.is_keyframe, packet.stream = Fraction(numerator, denominator), key, stream
            yield packet

    def close(self) -> None:
        """Gives the room on disk back."""
        self._file.close()


class EncodedSound:
    """A made soundtrack on its way into an output."""

    def __init__(self, sound: MadeSound, output: OutputContainer, muxer: str) -> None:
        """Adds the stream to the output, before anything is written there.

        Args:
            sound: with blocks.
            output: open for writing; owned by the caller.
            muxer: the output's format name, one that holds sound.
        """
        action, encoder, self._format = _ENCODERS[muxer]
        self._target, self._output = Path(output.name.removeprefix("file:")), output
        self._stream: AudioStream = cast(Any, output.add_stream(encoder, rate=RATE))
        context = self._stream.codec_context
        context.layout, context.format = "stereo", self._format
        if action != "flac":
            self._stream.bit_rate = _BIT_RATE
        context.open(strict=False)
        self._frames = _frames(iter(sound.blocks or ()), context.frame_size or 1024)
        self._written = 0
        self.outcome = AudioOutcome(action, sound.reason)
        """What the sound is."""

    def pump(self, until_s: Fraction) -> None:
        """Writes the sound that begins before a time of the output."""
        while self._written < until_s * RATE and (samples := next(self._frames, None)) is not None:
            frame = self._frame(samples)
            with writing(self._target):
                self._output.mux(cast(Any, self._stream.encode(frame)))

    def finish(self, end_s: Fraction) -> None:
        """Writes the rest."""
        self.pump(end_s)
        with writing(self._target):
            self._output.mux(cast(Any, self._stream.encode(None)))

    def close(self) -> None:
        """Nothing is open here."""

    def _frame(self, samples: Samples) -> AudioFrame:
        if self._format == "s16":
            whole = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
            frame = AudioFrame.from_ndarray(cast(Any, whole.reshape(1, -1)), format="s16", layout="stereo")
        elif self._format == "flt":
            frame = AudioFrame.from_ndarray(cast(Any, samples.reshape(1, -1)), format="flt", layout="stereo")
        else:
            planes = np.ascontiguousarray(samples.T)
            frame = AudioFrame.from_ndarray(cast(Any, planes), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._written, Fraction(1, RATE)
        self._written += len(samples)
        return frame


def sound_for(
    compose: Compose,
    audio_from: str | os.PathLike[str] | None,
    output: OutputContainer,
    muxer: str,
    end_s: Fraction,
    start_s: Fraction | None = None,
) -> AudioTracks | EncodedSound | AudioOutcome:
    """Makes the sound of a film whose length is known, or takes the source's where none was made.

    Args:
        compose: makes it.
        audio_from: file whose sound goes along in its place.
        output: open for writing; a stream is added.
        muxer: the output's format name.
        end_s: length of the film.
        start_s: see `AudioTracks`.

    Returns:
        The sound on its way, or why there is none.
    """
    sound = compose(end_s)
    if sound.blocks is not None and muxer != "gif":
        return EncodedSound(sound, output, muxer)
    if sound.blocks is None and audio_from is not None:
        return AudioTracks(Path(audio_from), output, muxer, start_s)
    return AudioOutcome("none", sound.reason if sound.blocks is None else "gif holds no sound")


def _frames(blocks: Iterator[Samples], size: int) -> Iterator[Samples]:
    """Cuts blocks into an encoder's frames; the last may be shorter."""
    rest = np.zeros((0, 2), np.float32)
    for block in blocks:
        rest = np.concatenate((rest, block))
        whole = len(rest) - len(rest) % size
        for start in range(0, whole, size):
            yield np.ascontiguousarray(rest[start : start + size])
        rest = rest[whole:]
    if len(rest):
        yield np.ascontiguousarray(rest)


def read_sound(source: Path, start_s: Fraction | None = None) -> Iterator[Samples]:
    """Decodes a video's first sound track that has a decoder.

    Args:
        source: the video.
        start_s: time of the first frame shown, on the source's clock; None finds that of its largest stream.

    Gives:
        `(N, 2)` float32 at 48 kHz from the first frame shown on, gaps filled with silence; it ends where the sound is
        damaged beyond reading, and is empty where there is none that can be decoded.

    Raises:
        InputError: the file cannot be opened.
    """
    start_s = inspect(source, fps=Fraction(25)).start_s if start_s is None else start_s
    with open_input(source) as container:
        stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
        graph: Graph | None = None
        try:
            for frame in container.decode(stream) if stream is not None else ():
                if frame.pts is None or frame.time_base is None:
                    continue
                frame.pts -= round(start_s / frame.time_base)
                graph = graph or _stereo(frame)
                graph.push(frame)
                yield from _pulled(graph)
        except FFmpegError:
            # The video reader meets the same spot and reports it as truncation.
            pass
        if graph is not None:
            graph.push(None)
            yield from _pulled(graph)


def _stereo(frame: AudioFrame) -> Graph:
    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout, time_base=cast(Any, frame.time_base)
    )
    # async fills gaps; first_pts=0 pads or cuts so that the sound begins with the picture.
    resample = graph.add("aresample", f"{RATE}:async=1:first_pts=0")
    shape = graph.add("aformat", f"sample_fmts=fltp:channel_layouts=stereo:sample_rates={RATE}")
    graph.link_nodes(source, resample, shape, graph.add("abuffersink"))
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[Samples]:
    while True:
        try:
            frame = cast(AudioFrame, graph.pull())
        except (NeedsMore, EndOfStream):
            return
        yield np.ascontiguousarray(frame.to_ndarray().T, np.float32)


class WavWriter:
    """Writes a stereo WAV of 32-bit floats; it appears at its name whole or not at all. A context manager.

    Args:
        path: target.
    """

    def __init__(self, path: Path) -> None:
        self._partial = PartialFile(path)
        with writing(path):
            # Beyond 4 GB a plain WAV cannot tell its length; RF64 can.
            self._container: Any = av.open(
                f"file:{self._partial.path}", "w", format="wav", container_options={"rf64": "auto"}
            )
        self._stream = self._container.add_stream("pcm_f32le", rate=RATE, layout="stereo")
        self._written = 0

    def write(self, block: Samples) -> None:
        """Takes the next `(N, 2)` samples."""
        frame = AudioFrame.from_ndarray(cast(Any, block.reshape(1, -1)), format="flt", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._written, Fraction(1, RATE)
        self._written += len(block)
        with writing(self._partial.target):
            self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with writing(self._partial.target):
                self._container.mux(self._stream.encode(None))
                self._container.close()
        except BaseException:
            self._partial.discard()
            raise
        if error is None:
            self._partial.commit()
        else:
            self._partial.discard()

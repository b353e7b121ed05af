"""Carries the source's sound into the output: packet for packet where the container takes the codec, else re-encoded.

Sound is read by a second handle on the source, only as far as the video has been written, so memory does not grow with
the length. Its times are shifted by the time of the first frame shown, so that sound and picture stay together.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from av.error import BlockingIOError as NeedsMore
from av.error import EOFError as EndOfStream
from av.error import FFmpegError
from av.filter import Graph

from vid2vid.io.containers import check_file, open_input
from vid2vid.io.output import writing
from vid2vid.io.probe import inspect

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

_COPIED = {
    "mp4": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}),
    "mov": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"}),
    "matroska": frozenset(
        {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "vorbis", "flac", "dts", "pcm_s16le", "pcm_s24le"}
    ),
    "webm": frozenset({"opus", "vorbis"}),
}
"""What each container holds and common players play from it."""
_PREROLL_S = Fraction(1, 10)
"""MP4 keeps this much sound before the start, hidden by an edit list: decoders need it to begin cleanly."""
_AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})

_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_BITS_PER_CHANNEL = 96_000
_FFMPEG_CODES = 1 << 20
"""FFmpeg's own error codes are four letters, and so above this; the system's, such as a full disk's, are small."""


@dataclass(frozen=True, slots=True)
class AudioOutcome:
    """What became of the sound."""

    action: Literal["copied", "aac", "opus", "flac", "none"]
    """`copied`: every track bit by bit; `aac`, `opus`, `flac`: at least one was encoded to that; `none`: no sound."""
    reason: str
    """Why, in plain words."""


class _Track(Protocol):
    """One audio stream on its way."""

    lost: int
    """Damaged packets left out so far."""

    def feed(self, packet: Packet[AudioStream]) -> None:
        """Takes the next packet of the source."""

    def finish(self) -> None:
        """Writes what is still inside."""


class AudioTracks:
    """All audio streams of one source on their way into one output. Owns its handle on the source: close it."""

    def __init__(self, source: Path, output: OutputContainer, muxer: str, start_s: Fraction | None = None) -> None:
        """Adds the streams to the output, before anything is written there.

        Args:
            source: the video whose sound is kept.
            output: open for writing, its video stream added already; owned by the caller.
            muxer: the output's format name.
            start_s: time of the first frame shown, on the source's clock; None finds that of its largest stream.

        Raises:
            InputError: the source cannot be read.
        """
        self._tracks: dict[int, _Track] = {}
        self._head: Packet[AudioStream] | None = None
        self._target = Path(output.name.removeprefix("file:"))
        self._start_s = inspect(source, fps=Fraction(25)).start_s if start_s is None else start_s
        self._input: InputContainer | None = open_input(check_file(source))
        self._outcome = self._add_tracks(self._input, output, muxer)
        self._packets = self._read(self._input)

    @property
    def outcome(self) -> AudioOutcome:
        """What became of the sound so far."""
        lost = sum(track.lost for track in self._tracks.values())
        reason = f"{self._outcome.reason}; {lost} damaged packet(s) of sound left out"
        return replace(self._outcome, reason=reason) if lost else self._outcome

    def pump(self, until_s: Fraction) -> None:
        """Writes the sound that begins before a time of the output.

        Raises:
            OutputDiskFull, OutputNotWritable: the disk refuses.
        """
        while (packet := self._peek()) is not None and self._time(packet) < until_s:
            self._feed(packet)

    def finish(self, end_s: Fraction) -> None:
        """Writes the rest, cut with the packet that holds the end of the video.

        Raises:
            OutputDiskFull, OutputNotWritable: the disk refuses.
        """
        running = set(self._tracks)
        while running and (packet := self._peek()) is not None:
            if self._time(packet) < end_s:
                self._feed(packet)
            else:
                # Tracks are not interleaved exactly; another one may still be short of the end.
                running.discard(packet.stream_index)
                self._head = None
        for track in self._tracks.values():
            with writing(self._target):
                track.finish()

    def close(self) -> None:
        """Closes the source; a second call does nothing."""
        if self._input is not None:
            self._input.close()
            self._input = None

    def _add_tracks(self, container: InputContainer, output: OutputContainer, muxer: str) -> AudioOutcome:
        streams = container.streams.audio
        if not streams:
            return AudioOutcome("none", "the source has no sound")
        if muxer not in _COPIED:
            return AudioOutcome("none", f"{muxer} holds no sound")
        reasons: list[str] = []
        encoder: Literal["aac", "opus"] = "opus" if muxer == "webm" else "aac"
        for stream in streams:
            if stream.codec_context is None:
                reasons.append(f"stream {stream.index} has no decoder and was left out")
                continue
            if not stream.codec_context.sample_rate or not stream.codec_context.layout.nb_channels:
                reasons.append(f"stream {stream.index} has no sample rate or no channels and was left out")
                continue
            name = stream.codec_context.codec.canonical_name
            if name in _COPIED[muxer]:
                self._tracks[stream.index] = _Copy(stream, output, self._start_s, muxer)
            else:
                self._tracks[stream.index] = _Reencode(stream, output, self._start_s, encoder)
                reasons.append(f"{muxer} does not take {name}")
        if not self._tracks:
            return AudioOutcome("none", "; ".join(reasons))
        encoded = any(isinstance(track, _Reencode) for track in self._tracks.values())
        return AudioOutcome(encoder if encoded else "copied", "; ".join(reasons) or f"{muxer} takes the source's codec")

    def _read(self, container: InputContainer) -> Iterator[Packet[AudioStream]]:
        streams = tuple(container.streams[index] for index in self._tracks)
        try:
            for packet in container.demux(streams) if streams else ():
                if packet.size:
                    yield cast("Packet[AudioStream]", packet)
        except FFmpegError:
            # The video reader meets the same spot and reports it as truncation.
            return

    def _peek(self) -> Packet[AudioStream] | None:
        if self._head is None:
            self._head = next(self._packets, None)
        return self._head

    def _feed(self, packet: Packet[AudioStream]) -> None:
        self._head = None
        with writing(self._target):
            self._tracks[packet.stream_index].feed(packet)

    def _time(self, packet: Packet[AudioStream]) -> Fraction:
        stamp = packet.pts if packet.pts is not None else packet.dts
        # Without a time a packet follows the one before, so it is due at once.
        return Fraction(-1) if stamp is None else stamp * packet.time_base - self._start_s


class _Copy:
    """Moves packets over untouched, only their times shifted."""

    def __init__(self, stream: AudioStream, output: OutputContainer, start_s: Fraction, muxer: str) -> None:
        self._stream = output.add_stream_from_template(stream)
        self._output, self._start_s = output, start_s
        self._preroll = _PREROLL_S if muxer in ("mp4", "mov") else None
        self._last_dts: int | None = None
        self.lost = 0

    def feed(self, packet: Packet[AudioStream]) -> None:
        if packet.dts is None or packet.pts is None or not self._wanted(packet):
            return
        shift = round(self._start_s / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        if self._last_dts is not None and packet.dts <= self._last_dts:
            return
        self._last_dts = packet.dts
        packet.stream = self._stream
        try:
            self._output.mux_one(packet)
        except FFmpegError as error:
            # Some muxers look into packets (ADTS on its way into MP4) and refuse a damaged one.
            if error.errno != errno.EINVAL and (error.errno or 0) < _FFMPEG_CODES:
                raise
            self.lost += 1

    def finish(self) -> None:
        """Nothing waits here."""

    def _wanted(self, packet: Packet[AudioStream]) -> bool:
        begin = cast(int, packet.pts) * packet.time_base - self._start_s
        if self._preroll is not None:
            return begin + (packet.duration or 0) * packet.time_base > -self._preroll
        # Matroska would shift picture and sound to make room for a negative time, except for a codec's own priming.
        return begin >= 0 or (begin > -_PREROLL_S and packet.has_sidedata("skip_samples"))


class _Reencode:
    """Decodes, fills gaps with silence, and encodes to AAC or Opus."""

    def __init__(
        self, stream: AudioStream, output: OutputContainer, start_s: Fraction, encoder: Literal["aac", "opus"]
    ) -> None:
        self._input, self._output, self._start_s = stream, output, start_s
        source = stream.codec_context
        self._rate = 48000 if encoder == "opus" or source.sample_rate not in _AAC_RATES else source.sample_rate
        opus = encoder == "opus"
        # libopus takes few surround layouts and players fewer; some sources give a number of channels and no layout.
        channels = min(source.layout.nb_channels, 2) if opus else source.layout.nb_channels
        self._layout = _LAYOUTS.get(channels, "stereo")
        self._format = "flt" if opus else "fltp"
        self._stream = output.add_stream("libopus" if opus else "aac", rate=self._rate)
        self._stream.codec_context.layout = self._layout
        self._stream.codec_context.format = self._format
        self._stream.bit_rate = _BITS_PER_CHANNEL * channels
        self._graph: Graph | None = None
        self.lost = 0

    def feed(self, packet: Packet[AudioStream]) -> None:
        try:
            frames = self._input.decode(packet)
        except FFmpegError:
            # The filter fills the hole with silence.
            self.lost += 1
            return
        for frame in frames:
            self._push(frame)

    def finish(self) -> None:
        if self._graph is None:
            return
        try:
            for frame in self._input.decode(None):
                self._push(frame)
        except FFmpegError:
            pass
        self._graph.push(None)
        self._drain()
        self._output.mux(cast(Any, self._stream.encode(None)))

    def _push(self, frame: AudioFrame) -> None:
        if frame.pts is None or frame.time_base is None:
            return
        frame.pts -= round(self._start_s / frame.time_base)
        if self._graph is None:
            self._graph = self._filter(frame)
        self._graph.push(frame)
        self._drain()

    def _drain(self) -> None:
        while self._graph is not None:
            try:
                frame = cast("AudioFrame", self._graph.pull())
            except (NeedsMore, EndOfStream):
                return
            self._output.mux(cast(Any, self._stream.encode(frame)))

    def _filter(self, frame: AudioFrame) -> Graph:
        graph = Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout, time_base=frame.time_base
        )
        # async fills gaps; first_pts=0 pads or cuts so that the sound begins with the picture.
        resample = graph.add("aresample", f"{self._rate}:async=1:first_pts=0")
        shape = f"sample_fmts={self._format}:channel_layouts={self._layout}:sample_rates={self._rate}"
        graph.link_nodes(source, resample, graph.add("aformat", shape), graph.add("abuffersink"))
        graph.configure()
        self._stream.codec_context.open(strict=False)
        graph.set_audio_frame_size(self._stream.codec_context.frame_size)
        return graph

"""Writes frames to a video file with exact times, right colour tags and the source's sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vid2vid.errors import InvalidFrames, InvalidOption
from vid2vid.io.audio import AudioOutcome, AudioTracks
from vid2vid.io.gif import Palettes
from vid2vid.io.output import PartialFile, check_output, muxer_for, writing
from vid2vid.io.probe import Rate, check_fps
from vid2vid.io.soundtrack import EncodedSound, WaitingPackets, sound_for

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from vid2vid.io.soundtrack import Compose
    from vid2vid.types import Picture

_DEFAULT_CODEC = {"mp4": "libx264", "mov": "libx264", "matroska": "libx264", "webm": "libvpx-vp9", "gif": "gif"}
_CODECS = {
    "mp4": ("libx264", "libx265", "libsvtav1", "libvpx-vp9"),
    "mov": ("libx264", "libx265"),
    "matroska": ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1"),
    "webm": ("libvpx-vp9", "libsvtav1"),
    "gif": ("gif",),
}
_GIF_TIME_BASE = Fraction(1, 100)
_FINE, _FINEST = 90_000, 10_000_000
"""Ticks a second, so that times off the nominal rate are kept, too, and still fit MP4's 32 bits."""
_BT709 = 1
"""The number of BT.709 in each of H.273's lists: matrix, primaries and curve."""


class VideoWriter:
    """Encodes frames into one file; a context manager.

    The file is written beside its target as `.<name>.partial-<pid>`, moved into place on a clean exit and removed on an
    exception, so that an old file at the target survives. Memory does not grow with the length.

    Convention:
        BT.709 matrix, primaries and curve, limited range, tagged so. 8-bit 4:2:0; H.264 and H.265 at an odd width or
        height use 4:4:4, the only way they keep the exact size (some players, mostly hardware, refuse 4:4:4).
        MP4 and MOV keep times exactly, Matroska and WebM to the millisecond, GIF to the hundredth of a second.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        width: int,
        height: int,
        fps: Rate,
        time_base: Fraction | None = None,
        codec: str | None = None,
        quality: float = 18,
        preset: str = "veryfast",
        audio_from: str | os.PathLike[str] | None = None,
        audio_start_s: Fraction | None = None,
        compose: Compose | None = None,
        overwrite: bool = False,
        sample_aspect: Fraction = Fraction(1),
        threads: int = 0,
        fragmented: bool = False,
        finished: Callable[[Path], None] | None = None,
    ) -> None:
        """Checks everything; the partial file appears on entering.

        Args:
            path: target; its suffix picks the container.
            width: columns of the frames.
            height: rows of the frames.
            fps: nominal rate; gives the last frame's duration where it cannot be told otherwise.
            time_base: unit of the times, such as the source's; None takes one that holds multiples of 1 / fps.
            codec: encoder; None takes the container's usual one.
            quality: x264's CRF scale, 0 (lossless) to 51; other encoders get their like.
            preset: x264's speed names; used for H.264 and H.265.
            audio_from: file whose sound goes along, in sync with its first shown frame, cut at the video's end.
            audio_start_s: time of that frame on the file's clock; None finds that of its largest stream.
            compose: makes the sound once all frames are there; until then the encoded frames wait on disk beside the
                target. Where it makes none, the sound of `audio_from` goes along.
            overwrite: whether an existing target may be replaced.
            sample_aspect: width of a pixel over its height.
            threads: encoder threads; 0 lets the encoder choose. H.264's bits depend on their number, not on chance.
            fragmented: MP4 that can be read up to where its writing stopped.
            finished: told the partial file once it is complete, before it gets its name; may change it in place.

        Raises:
            InvalidOption: suffix, codec, fps, size or quality cannot be used.
            OutputExists, OutputIsInput, OutputNotWritable: see `check_output`.
        """
        self._target = check_output(path, audio_from, overwrite)
        self._muxer = muxer_for(self._target)
        self._codec = _check_codec(codec, self._muxer)
        if width < 1 or height < 1 or not 0 <= quality <= 51:
            raise InvalidOption(
                f"Cannot encode {width}x{height} at quality {quality}; sizes start at 1, quality is 0-51."
            )
        self._size = (width, height)
        self._fps = check_fps(fps) or Fraction(25)
        self._time_base = _GIF_TIME_BASE if self._muxer == "gif" else usable_time_base(time_base, self._fps)
        self._options = _encoder_options(self._codec, quality, preset)
        self._sample_aspect, self._threads = sample_aspect, threads
        self._audio_from, self._audio_start_s = audio_from, audio_start_s
        self._partial, self._reformatter = PartialFile(self._target), VideoReformatter()
        self._palettes = Palettes(width, height, self._time_base) if self._codec == "gif" else None
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._compose, self._fragmented, self._finished = compose, fragmented, finished
        self._waiting: WaitingPackets | None = None
        self._audio: AudioTracks | EncodedSound | None = None
        self._silence = AudioOutcome("none", "no sound was asked for")
        self._durations: dict[int, int] = {}
        self._last_s: Fraction | None = None
        self._last_ticks, self._last_duration, self._first_dts = -1, 0, 0
        self._held: Packet[VideoStream] | None = None
        self.frames = 0
        """Frames written so far."""

    @property
    def audio(self) -> AudioOutcome:
        """What became of the sound."""
        return self._audio.outcome if self._audio else self._silence

    def __enter__(self) -> Self:
        with writing(self._target):
            options = container_options(self._muxer, self._fragmented)
            container = av.open(f"file:{self._partial.path}", mode="w", format=self._muxer, container_options=options)
        self._container = container
        try:
            self._stream = self._add_stream(container)
            if self._compose is not None:
                with writing(self._target):
                    self._waiting = WaitingPackets(self._target.parent)
            elif self._audio_from is not None:
                self._audio = AudioTracks(Path(self._audio_from), container, self._muxer, self._audio_start_s)
        except BaseException:
            self._abandon()
            raise
        return self

    def write(self, pixels: Picture, time_s: Fraction) -> None:
        """Encodes one frame.

        Args:
            pixels: (H, W, 3) uint8 sRGB; copied before this returns.
            time_s: when it is shown, in seconds from the start, later than the frame before.

        Raises:
            InvalidFrames: shape, dtype or time do not fit.
            OutputDiskFull, OutputNotWritable: the disk refuses.
        """
        if self._container is None or self._stream is None:
            raise InvalidOption("The writer is not open; use it in a with statement.")
        width, height = self._size
        if pixels.shape != (height, width, 3) or pixels.dtype != np.uint8:
            got = f"{pixels.shape} {pixels.dtype}"
            raise InvalidFrames(f"Frame {self.frames} is {got}; this writer takes ({height}, {width}, 3) uint8.")
        if time_s < 0 or (self._last_s is not None and time_s <= self._last_s):
            raise InvalidFrames(f"Frame {self.frames} is shown at {float(time_s)} s, not after the one before.")
        self._last_s = time_s
        # A coarse clock (GIF) may round two frames to one tick; both are kept.
        ticks = max(round(Fraction(time_s) / self._time_base), self._last_ticks + 1)
        self._last_duration = self._durations[ticks] = self._duration(ticks)
        self._last_ticks = ticks
        self.frames += 1
        with writing(self._target):
            self._mux(packet for frame in self._prepared(pixels, ticks) for packet in self._encode(frame))
        if self._audio is not None:
            self._audio.pump(ticks * self._time_base)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon()
            return
        try:
            self._finish()
            if self._finished is not None:
                self._finished(self._partial.path)
        except BaseException:
            self._abandon()
            raise
        self._partial.commit()

    def _finish(self) -> None:
        if self.frames == 0:
            raise InvalidFrames(f"Not one frame was written to {str(self._target)!r}.")
        with writing(self._target):
            if self._palettes is not None:
                self._mux(packet for frame in self._palettes.flush() for packet in self._encode(frame))
            self._mux(self._encode(None))
        end_ticks = self._last_ticks + self._last_duration
        if self._audio is not None:
            self._audio.finish(end_ticks * self._time_base)
            self._audio.close()
        with writing(self._target):
            self._mux_last(end_ticks)
        if self._waiting is not None:
            self._join_sound(self._waiting, end_ticks * self._time_base)
        with writing(self._target):
            if self._container is not None:
                self._container.close()
        self._container = None

    def _join_sound(self, waiting: WaitingPackets, end_s: Fraction) -> None:
        """Makes the sound and writes the waiting frames with it, side by side."""
        container, stream = cast("OutputContainer", self._container), cast("VideoStream", self._stream)
        compose, start_s = cast("Compose", self._compose), self._audio_start_s
        made = sound_for(compose, self._audio_from, container, self._muxer, end_s, start_s)
        if isinstance(made, AudioOutcome):
            self._silence = made
        else:
            self._audio = made
        for packet in waiting.packets(stream):
            if self._audio is not None:
                self._audio.pump(cast(int, packet.dts) * packet.time_base)
            with writing(self._target):
                container.mux_one(packet)
        if self._audio is not None:
            self._audio.finish(end_s)
            self._audio.close()
        waiting.close()

    def _abandon(self) -> None:
        if self._waiting is not None:
            self._waiting.close()
        if self._audio is not None:
            self._audio.close()
        container, self._container = self._container, None
        # Removed first: closing would otherwise rewrite a file that nobody wants (faststart).
        self._partial.discard()
        if container is not None:
            # The error that led here is the one to tell.
            with suppress(FFmpegError, OSError):
                container.close()
        self._partial.discard()

    def _add_stream(self, container: OutputContainer) -> VideoStream:
        stream = cast("VideoStream", container.add_stream(self._codec, rate=self._fps, options=self._options))
        stream.width, stream.height = self._size
        stream.pix_fmt = _pixel_format(self._codec, *self._size)
        context = stream.codec_context
        context.time_base = self._time_base
        context.thread_count = self._threads
        context.sample_aspect_ratio = self._sample_aspect
        if self._codec != "gif":
            context.color_range = ColorRange.MPEG
            context.colorspace = context.color_primaries = context.color_trc = _BT709
        return stream

    def _prepared(self, pixels: Picture, ticks: int) -> Iterator[VideoFrame]:
        frame = VideoFrame.from_numpy_buffer(cast(Any, np.ascontiguousarray(pixels)), format="rgb24")
        frame.pts, frame.time_base = ticks, self._time_base
        if self._palettes is not None:
            yield from self._palettes.push(frame)
            return
        yield self._reformatter.reformat(
            frame,
            format=_pixel_format(self._codec, *self._size),
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC,
            threads=1,
        )

    def _encode(self, frame: VideoFrame | None) -> list[Packet[VideoStream]]:
        return [] if self._stream is None else cast(Any, self._stream.encode(frame))

    def _mux(self, packets: Iterable[Packet[VideoStream]]) -> None:
        for packet in packets:
            # Encoders leave this 0, and the muxer would then lose the last frame's time.
            packet.duration = self._durations.pop(packet.pts or 0, 0) or packet.duration
            if self._held is None:
                self._first_dts = packet.dts or 0
            else:
                self._send(self._held)
            self._held = packet

    def _mux_last(self, end_ticks: int) -> None:
        if self._held is None or self._container is None:
            return
        if self._muxer in ("mp4", "mov") and self._held.dts is not None:
            # MP4 adds up the steps between decoding times; the last one has to bring the sum to the true length.
            self._held.duration = end_ticks - (self._held.dts - self._first_dts)
        self._send(self._held)
        self._held = None

    def _send(self, packet: Packet[VideoStream]) -> None:
        if self._waiting is not None:
            self._waiting.add(packet)
        elif self._container is not None:
            self._container.mux_one(packet)

    def _duration(self, ticks: int) -> int:
        nominal = max(1, round(1 / (self._fps * self._time_base)))
        return min(nominal, ticks - self._last_ticks) if self._last_ticks >= 0 else nominal


def container_options(muxer: str, fragmented: bool = False) -> dict[str, str]:
    """How a container is laid out: MP4 with its index first, or in fragments that can be read one by one."""
    if muxer not in ("mp4", "mov"):
        return {}
    return {"movflags": "+frag_keyframe+empty_moov+default_base_moof" if fragmented else "+faststart"}


def _check_codec(codec: str | None, muxer: str) -> str:
    codec = codec or _DEFAULT_CODEC[muxer]
    if codec not in _CODECS[muxer]:
        raise InvalidOption(f"The codec {codec!r} does not go into {muxer}; one of {', '.join(_CODECS[muxer])} does.")
    return codec


def usable_time_base(time_base: Fraction | None, fps: Fraction) -> Fraction:
    """The unit of a film's times: the one given, or one that holds multiples of 1 / fps.

    Raises:
        InvalidOption: it is no fraction of a second.
    """
    if time_base is None:
        fine = lcm(fps.numerator, _FINE)
        return Fraction(1, fine if fine <= _FINEST else fps.numerator)
    if not 0 < time_base <= 1:
        raise InvalidOption(f"time_base={time_base} is no unit of time; give a fraction of a second such as 1/90000.")
    return time_base


def _pixel_format(codec: str, width: int, height: int) -> str:
    if codec == "gif":
        return "pal8"
    odd = width % 2 or height % 2
    return "yuv444p" if odd and codec in ("libx264", "libx265") else "yuv420p"


def _encoder_options(codec: str, quality: float, preset: str) -> dict[str, str]:
    if codec in ("libx264", "libx265"):
        return {"crf": f"{quality:g}", "preset": preset} | (
            {"x265-params": "log-level=error"} if codec == "libx265" else {}
        )
    if codec == "libvpx-vp9":
        # VP9's scale runs to 63; about 12 above x264's number looks alike.
        return {"crf": f"{min(63, round(quality + 12))}", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
    if codec == "libsvtav1":
        return {"crf": f"{min(63, round(quality + 12))}", "preset": "10"}
    return {}

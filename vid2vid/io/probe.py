"""Says what a video or image is, by decoding no more than its first frame."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from av.error import FFmpegError

from vid2vid.errors import BadTimebase, InvalidOption, NoDecodableFrames
from vid2vid.io.containers import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    best_stream,
    check_file,
    check_size,
    is_image,
    moving_streams,
    open_input,
    sniff,
)
from vid2vid.io.orientation import Orientation, orientation_of
from vid2vid.types import SourceKind, VideoInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

DEFAULT_FPS = Fraction(25)
"""Rate of pictures and arrays, which carry none."""
MIN_FPS, MAX_FPS = Fraction(1, 100), Fraction(1000)
"""Rates outside this range are not believed."""
_MAX_PACKETS_TO_FIRST_FRAME = 2000
_FRAMES_TO_JUDGE = 12

Rate = float | Fraction
"""A frame rate as callers give it."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the reader and the audio copier need beyond `VideoInfo`."""

    info: VideoInfo
    orientation: Orientation
    stream_index: int
    stored_width: int
    stored_height: int
    codec: str
    """Canonical codec name."""
    start_s: Fraction
    """Time of the first frame shown, on the container's clock that its audio shares."""
    time_base: Fraction
    by_decoding_time: bool
    """Whether frames must be timed by `dts` because `pts` are not in display order."""
    sample_aspect: Fraction
    """Width of an upright pixel over its height."""


def probe(path: str | os.PathLike[str], *, fps: Rate | None = None) -> VideoInfo:
    """Describes a video or image file.

    Args:
        path: a regular file; its name is never read as a URL, a pattern or an option.
        fps: frames a second to go by instead of the file's own rate.

    Returns:
        Size (upright), rate, codec, rotation and notes. `frame_count` and `duration_s` are the container's claims.

    Raises:
        InputNotFound, EmptyInput: there is no such regular file, or it has no bytes.
        NotAVideo, UnreadableContainer, UnsupportedCodec, NoVideoStream, NoDecodableFrames: its content is unusable.
        TooSmall, TooLarge: its frames are out of bounds.
        BadTimebase: it has no believable frame rate and `fps` is not given.
        InvalidOption: `fps` is out of range.
    """
    return inspect(path, fps=fps).info


def check_fps(fps: Rate | None) -> Fraction | None:
    """Gives the rate as a fraction.

    Raises:
        InvalidOption: it is not a number between `MIN_FPS` and `MAX_FPS`.
    """
    if fps is None:
        return None
    try:
        rate = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    except (TypeError, ValueError, OverflowError):
        rate = Fraction(0)
    if not MIN_FPS <= rate <= MAX_FPS:
        raise InvalidOption(f"fps={fps!r} is not a frame rate; give a number from {float(MIN_FPS)} to {MAX_FPS}.")
    return rate


def check_stream(stream: int | None) -> int | None:
    """Gives the number of a stream.

    Raises:
        InvalidOption: it is no whole number from 0 on.
    """
    if stream is not None and (isinstance(stream, bool) or not isinstance(stream, int) or stream < 0):
        raise InvalidOption(f"stream={stream!r} is no picture stream; give its number, from 0 on.")
    return stream


def inspect(path: str | os.PathLike[str], *, fps: Rate | None = None, stream: int | None = None) -> Inspection:
    """Does the work of `probe` and also tells what only readers need; raises the same errors."""
    rate = check_fps(fps)
    absolute = check_file(path)
    image = is_image(sniff(absolute))
    with open_input(absolute) as container:
        picked = best_stream(container, absolute, check_stream(stream))
        frame, by_decoding_time = _first_frame(container, picked, absolute)
        check_size(frame.width, frame.height, str(absolute))
        time_base = picked.time_base
        if not time_base or time_base <= 0:
            raise BadTimebase(f"{str(absolute)!r} has the time base {time_base}. Remux it first.")
        rate = rate or (DEFAULT_FPS if image else _own_rate(picked, absolute))
        orientation = orientation_of(frame)
        info = _describe(container, picked, frame, orientation, absolute, rate, "image" if image else "file")
        stamp = picked.start_time if by_decoding_time else frame.pts
        return Inspection(
            info=info,
            orientation=orientation,
            stream_index=picked.index,
            stored_width=frame.width,
            stored_height=frame.height,
            codec=picked.codec_context.codec.canonical_name,
            start_s=(stamp or 0) * time_base,
            time_base=time_base,
            by_decoding_time=by_decoding_time,
            sample_aspect=_upright_aspect(picked, orientation),
        )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> tuple[VideoFrame, bool]:
    """Gives the first frame shown, and whether only decoding times rise in display order.

    AVI stores no presentation times, and some muxers wrote decoding times in their place: FFmpeg's `pts` are then in
    decoding order. A few more frames tell, and are decoded only where the packets look like that.
    """
    packets = itertools.islice(container.demux(stream), _MAX_PACKETS_TO_FIRST_FRAME)
    first: VideoFrame | None = None
    stamps: list[int | None] = []
    suspicious, encrypted = True, False
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            encrypted = encrypted or packet.has_sidedata("encryption_info")
            suspicious = suspicious and packet.pts == packet.dts
            frames = packet.decode()
        except FFmpegError:
            continue
        stamps += [frame.pts for frame in frames]
        first = first or next(iter(frames), None)
        if first is not None and (not suspicious or len(stamps) >= _FRAMES_TO_JUDGE or not _reorders(stream)):
            break
    if first is None:
        locked = encrypted or stream.codec_tag in ("encv", "drmi")
        why = "it is encrypted" if locked else f"they are damaged, missing or over {MAX_PIXELS} pixels"
        name = stream.codec_context.name
        raise NoDecodableFrames(f"{str(path)!r}: not one frame of its {name} video decodes; {why}.")
    known = [stamp for stamp in stamps if stamp is not None]
    return first, container.format.name == "avi" or any(b <= a for a, b in itertools.pairwise(known))


def _reorders(stream: VideoStream) -> bool:
    return bool(stream.codec_context.has_b_frames)


def _own_rate(stream: VideoStream, path: Path) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and MIN_FPS <= rate <= MAX_FPS:
            return rate
    raise BadTimebase(
        f"{str(path)!r} claims {stream.average_rate} frames a second; {float(MIN_FPS)} to {MAX_FPS} is believable. "
        "Give the rate with fps=."
    )


def _upright_aspect(stream: VideoStream, orientation: Orientation) -> Fraction:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not Fraction(1, 8) <= aspect <= 8:
        return Fraction(1)
    return 1 / aspect if orientation.transpose else aspect


def _describe(
    container: InputContainer,
    stream: VideoStream,
    frame: VideoFrame,
    orientation: Orientation,
    path: Path,
    fps: Fraction,
    kind: SourceKind,
) -> VideoInfo:
    turned = orientation.transpose
    return VideoInfo(
        width=frame.height if turned else frame.width,
        height=frame.width if turned else frame.height,
        fps=fps,
        frame_count=1 if kind == "image" else stream.frames or None,
        kind=kind,
        path=path,
        has_audio=bool(container.streams.audio),
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=frame.format.name,
        container=container.format.name.split(",")[0],
        rotation=orientation.rotation,
        duration_s=_declared_duration(container, stream),
        notes=_notes(container, stream, orientation, path, kind),
    )


def _declared_duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration and container.duration > 0 else None


def _notes(
    container: InputContainer, stream: VideoStream, orientation: Orientation, path: Path, kind: SourceKind
) -> tuple[str, ...]:
    notes = []
    if orientation.note:
        notes.append(orientation.note)
    aspect = _upright_aspect(stream, orientation)
    if aspect != 1:
        notes.append(f"pixels are not square ({aspect.numerator}:{aspect.denominator}); kept as stored")
    moving = moving_streams(container)
    if len(moving) > 1:
        number = [one.index for one in moving].index(stream.index)
        notes.append(f"{len(moving) - 1} other picture stream(s) left out; stream={number} is read")
    if stream.metadata.get("alpha_mode") == "1":
        notes.append("the decoder drops this stream's alpha channel")
    if (path.suffix.lower() in IMAGE_SUFFIXES) != (kind == "image"):
        notes.append(f"named {path.suffix or 'without suffix'}, but holds {container.format.name.split(',')[0]}")
    return tuple(notes)

"""Opens video and image files so that neither their name nor their content can make FFmpeg read anything else.

A name is always a plain file name (`%03d.png`, `concat:a`, `-i` and `http:x` included), a playlist is never followed,
and a FIFO or device is refused before it could block.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from vid2vid.errors import (
    EmptyInput,
    InputNotFound,
    InvalidOption,
    NotAVideo,
    NoVideoStream,
    ReadFailed,
    TooLarge,
    TooSmall,
    UnreadableContainer,
    UnsupportedCodec,
)
from vid2vid.io.codec_name import stored_codec

MIN_SIDE = 8
"""Frames with a shorter side than this are refused."""
MAX_PIXELS = 8192 * 8192
"""Frames with more pixels than this are refused before memory is reserved for them."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""What counts as a picture within a folder."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "png_pipe"),
    (0, b"\xff\xd8\xff", "jpeg_pipe"),
    (8, b"WEBP", "webp_pipe"),
    (0, b"BM", "bmp_pipe"),
    (0, b"II*\0", "tiff_pipe"),
    (0, b"MM\0*", "tiff_pipe"),
    (0, b"GIF8", "gif"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"FLV\x01", "flv"),
    (0, b"OggS", "ogg"),
    (0, b"DKIF", "ivf"),
    (0, b"YUV4MPEG2 ", "yuv4mpegpipe"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    *((4, box, "mov") for box in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")),
)

_AT_ONCE = 1 << 20
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,gif,apng,flv,ogg,asf,h264,hevc,ivf,obu,mjpeg,"
    "dv,mxf,nut,rm,yuv4mpegpipe,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,mp3,wav,flac"
)
"""FFmpeg demuxers that read one file and nothing else; playlists, scripts and devices are left out on purpose."""


def check_file(path: str | os.PathLike[str]) -> Path:
    """Gives the absolute path of a regular, non-empty file.

    Raises:
        InputNotFound: nothing is there, or it is a folder, FIFO, socket or device, or it may not be looked at.
        EmptyInput: the file has no bytes.
    """
    absolute = Path(path).absolute()
    try:
        status = absolute.stat()
    except (OSError, ValueError) as error:
        raise InputNotFound(f"No file at {str(path)!r} ({error}). Check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputNotFound(f"{str(path)!r} is not a regular file. Give a video file, an image or a folder of images.")
    if status.st_size == 0:
        raise EmptyInput(f"{str(path)!r} has no bytes. Copy or download the file again.")
    return absolute


def sniff(path: Path) -> str | None:
    """Gives the demuxer that a file's first bytes call for, or None where only FFmpeg's own probing can tell.

    Raises:
        InputNotFound: the file may not be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise InputNotFound(f"{str(path)!r} cannot be read ({error}). Check its permissions.") from error
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(b"\x89PNG") and b"acTL" in head:
        return "apng"
    return next((name for at, magic, name in _SIGNATURES if head[at : at + len(magic)] == magic), None)


def is_image(demuxer: str | None) -> bool:
    """Tells whether a demuxer found by `sniff` holds exactly one picture."""
    return demuxer is not None and demuxer.endswith("_pipe")


def open_input(path: Path) -> InputContainer:
    """Opens a checked file for demuxing; the caller closes it.

    Args:
        path: absolute path, from `check_file`.

    Raises:
        NotAVideo: the content is no known video or image format, or a playlist.
        UnreadableContainer: the format is known and the file damaged, for instance without its index.
    """
    demuxer = sniff(path)
    _check_declared_image(path, demuxer)
    try:
        return av.open(
            f"file:{path}",
            mode="r",
            format=demuxer,
            metadata_errors="ignore",
            options={"max_pixels": str(MAX_PIXELS)},
            container_options={"protocol_whitelist": "file", "format_whitelist": _DEMUXERS},
        )
    except FFmpegError as error:
        if demuxer is None:
            raise NotAVideo(f"{str(path)!r} is not a video or image of a known format ({error.strerror}).") from error
        raise UnreadableContainer(
            f"{str(path)!r} starts like {demuxer.removesuffix('_pipe')} but cannot be opened ({error.strerror}). It is "
            "probably cut short or was never finished; copy it again, or try a repair tool such as untrunc."
        ) from error


def _check_declared_image(path: Path, demuxer: str | None) -> None:
    # FFmpeg decodes a picture while it opens the file, so a huge PNG would be allocated before its size is known here.
    if demuxer not in ("png_pipe", "apng", "bmp_pipe"):
        return
    with path.open("rb") as file:
        head = file.read(32)
    if demuxer == "bmp_pipe":
        at, sides = 18, struct.unpack("<2i", head[18:26].ljust(8, b"\0"))
    else:
        at, sides = 16, struct.unpack(">2I", head[16:24].ljust(8, b"\0"))
    if len(head) >= at + 8:
        check_size(abs(sides[0]), abs(sides[1]), str(path))


def check_size(width: int, height: int, what: str) -> None:
    """Refuses frames that are too small or too large.

    Raises:
        TooSmall: the shorter side is under `MIN_SIDE`.
        TooLarge: there are more than `MAX_PIXELS` pixels.
    """
    if min(width, height) < MIN_SIDE:
        raise TooSmall(f"{what} is {width}x{height}; at least {MIN_SIDE}x{MIN_SIDE} pixels are needed.")
    if width * height > MAX_PIXELS:
        raise TooLarge(
            f"{what} is {width}x{height}; at most {MAX_PIXELS} pixels a frame are read. Scale it down first."
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the system says of a file that it cannot read into this package's error.

    Raises:
        ReadFailed: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise ReadFailed(
            f"{str(path)!r} cannot be read to its end ({error.strerror}). Its disk, or the connection to it, fails. "
            "Get the file from elsewhere, or try again; segments that are finished are kept."
        ) from error


def check_readable(path: Path) -> None:
    """Makes sure that the system gives every byte of a file, whatever they mean.

    Raises:
        ReadFailed: it does not.
    """
    with reading(path), path.open("rb", buffering=0) as file:
        while file.read(_AT_ONCE):
            pass


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures, decodable or not; cover art is none."""
    video = (cast(VideoStream, stream) for stream in container.streams if stream.type == "video")
    return [stream for stream in video if not stream.disposition & Disposition.attached_pic]


def best_stream(container: InputContainer, path: Path, number: int | None = None) -> VideoStream:
    """Gives the largest stream of moving pictures, or the one of a number.

    Args:
        container: open.
        path: of the file.
        number: place among its `moving_streams`, from 0 on; None for the largest that can be decoded.

    Raises:
        NoVideoStream: there is none.
        InvalidOption: there are not so many.
        UnsupportedCodec: there is one and no decoder for it.
        TooLarge, TooSmall: its declared size is out of bounds.
    """
    moving = moving_streams(container)
    if not moving:
        held = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise NoVideoStream(f"{str(path)!r} holds no moving pictures (found: {held}). Give a file with a video track.")
    if number is not None and number >= len(moving):
        there = f"{len(moving)} picture streams, 0 to {len(moving) - 1}" if len(moving) > 1 else "one picture stream, 0"
        raise InvalidOption(f"stream={number}: {str(path)!r} has {there}. Give another number, or none.")
    wanted = moving if number is None else [moving[number]]
    decodable = [stream for stream in wanted if stream.codec_context is not None]
    if not decodable:
        codec = stored_codec(container, wanted[0].index, path)
        raise UnsupportedCodec(
            f"{str(path)!r}: there is no decoder for its video ({codec}). Convert it first, for instance to H.264."
        )
    stream = max(decodable, key=lambda s: (s.width * s.height, -s.index))
    if stream.width and stream.height:
        check_size(stream.width, stream.height, str(path))
    return stream

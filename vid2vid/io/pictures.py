"""Reads single images and folders of images, through the same colour path as videos."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from av.error import FFmpegError

from vid2vid.errors import EmptyInput, InputError, InputNotFound, NoDecodableFrames
from vid2vid.io.colour import RgbConverter
from vid2vid.io.containers import IMAGE_SUFFIXES, best_stream, check_file, check_size, open_input
from vid2vid.io.orientation import orientation_of
from vid2vid.io.probe import probe
from vid2vid.types import VideoInfo

if TYPE_CHECKING:
    from vid2vid.io.tally import Tally
    from vid2vid.types import Picture


def list_images(folder: Path) -> tuple[Path, ...]:
    """Gives a folder's images in natural order (`2.png` before `10.png`), hidden files left out.

    Raises:
        EmptyInput: there is none; InputNotFound: the folder cannot be read.
    """
    try:
        entries = [Path(entry.path) for entry in os.scandir(folder) if entry.is_file()]
    except OSError as error:
        raise InputNotFound(f"{str(folder)!r} cannot be read ({error}). Check its permissions.") from error
    images = [p for p in entries if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    if not images:
        raise EmptyInput(f"{str(folder)!r} holds no images; looked for {', '.join(sorted(IMAGE_SUFFIXES))}.")
    return tuple(sorted(images, key=_natural))


def describe_folder(folder: Path, images: Sequence[Path], fps: Fraction) -> VideoInfo:
    """Describes a folder by its first image."""
    first = probe(images[0])
    count = len(images)
    return replace(
        first, fps=fps, frame_count=count, kind="folder", path=folder, duration_s=float(count / fps), rotation=0
    )


def read_image(path: str | os.PathLike[str], *, size: tuple[int, int] | None = None) -> Picture:
    """Reads one image (or a video's first frame) upright.

    Args:
        path: a regular file.
        size: (width, height) to scale to; None keeps the image's own.

    Returns:
        (H, W, 3) uint8 sRGB, alpha over black.

    Raises:
        InputError: any of the errors of `probe`.
    """
    return _read(check_file(path), size)[0]


def folder_pictures(images: Sequence[Path], info: VideoInfo, tally: Tally) -> Iterator[tuple[Picture, bool]]:
    """Yields each image at the first one's size, and whether it stands in for one that cannot be read.

    Raises:
        InputError: the first image cannot be read.
    """
    last: Picture | None = None
    for path in images:
        try:
            picture, notes = _read(path, (info.width, info.height))
        except InputError as error:
            if last is None:
                raise
            tally.bad += 1
            tally.note(f"{path.name} cannot be read ({error.code}); the image before stands in")
            yield last, True
            continue
        tally.note(*notes)
        last = picture
        yield picture, False


def _read(path: Path, size: tuple[int, int] | None) -> tuple[Picture, tuple[str, ...]]:
    with open_input(check_file(path)) as container:
        stream = best_stream(container, path)
        try:
            frame = next(container.decode(stream), None)
        except FFmpegError as error:
            raise NoDecodableFrames(f"{str(path)!r} is damaged ({error.strerror}). Replace it.") from error
        if frame is None:
            raise NoDecodableFrames(f"{str(path)!r} holds no picture that decodes. Replace it.")
        check_size(frame.width, frame.height, str(path))
        orientation = orientation_of(frame)
        stored = (frame.width, frame.height)
        notes: tuple[str, ...] = ()
        if size is not None:
            wanted = (size[1], size[0]) if orientation.transpose else size
            if wanted != stored:
                notes = ("images differ in size; scaled to the first one's",)
            stored = wanted
        converter = RgbConverter(*stored, orientation, stream.codec_context.codec.canonical_name, expect_size=False)
        picture = converter.convert(frame)
        return picture, (*notes, *converter.notes)


def _natural(path: Path) -> tuple[tuple[bool, int, str], ...]:
    pieces = re.split(r"(\d+)", path.name.casefold())
    return tuple((piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in pieces)

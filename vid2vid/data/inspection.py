"""Looks at training examples one by one and tells why one cannot be used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vid2vid.errors import InputError
from vid2vid.hashing import file_hash
from vid2vid.io.decode import open_source
from vid2vid.io.pictures import list_images

MIN_SIDE: Final = 32
"""Pixels; the smallest crop of a training batch."""
DECODED_FRAMES: Final = 1500
"""A minute of film. Longer clips are counted as their container says, so that a feature film does not have to be
decoded before its training starts."""
_ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known of one file, or of one folder of frames."""

    width: int
    height: int
    frames: int | None
    """None where the clip is long and its container does not say."""
    still: bool
    sha256: str


class Inspector:
    """Looks at examples in turn and remembers them, so that the second of two equal ones is found out."""

    def __init__(self, min_frames: int) -> None:
        self._min_frames = min_frames
        self._seen: dict[str, str] = {}

    def size(self, path: Path) -> tuple[int, int]:
        """Width and height of a clip.

        Raises:
            InputError: it cannot be read.
        """
        with open_source(path) as source:
            return source.info.width, source.info.height

    def fault_of_pair(self, source: Path, target: Path, name: str) -> str | None:
        """Why a pair cannot be used, or None."""
        try:
            before, after = _look(source), _look(target)
        except InputError as error:
            return f"cannot be read: {error}"
        sizes = f"source is {before.width}x{before.height}, target {after.width}x{after.height}"
        if before.sha256 == after.sha256:
            return "source and target are the same file, which teaches nothing"
        if not _alike(before.width, before.height, after.width, after.height):
            return f"{sizes}; both need the same ratio of width to height"
        if before.frames != after.frames and None not in (before.frames, after.frames):
            return f"source has {before.frames} frame(s), target {after.frames}; both need as many"
        return self._limits(before, "source") or self._limits(after, "target") or self._repeated(before.sha256, name)

    def fault_of(self, path: Path, name: str, size: tuple[int, int] | None) -> str | None:
        """Why a clip or picture cannot be used, or None.

        Args:
            path: a file.
            name: under which to remember it.
            size: width and height of the clip that a key frame belongs to.
        """
        try:
            found = _look(path)
        except InputError as error:
            return f"cannot be read: {error}"
        if size is not None and not found.still:
            return f"is a clip of {found.frames} frame(s); a key frame is one picture"
        if size is not None and not _alike(found.width, found.height, *size):
            return f"is {found.width}x{found.height}, its clip {size[0]}x{size[1]}; both need the same ratio of sides"
        return self._limits(found, None) or self._repeated(found.sha256, name)

    def _limits(self, found: _Look, side: str | None) -> str | None:
        what = f"{side} " if side else ""
        if min(found.width, found.height) < MIN_SIDE:
            return f"{what}is {found.width}x{found.height}; at least {MIN_SIDE} pixels on each side are needed"
        if not found.still and found.frames is not None and found.frames < self._min_frames:
            return f"{what}has {found.frames} frame(s); at least {self._min_frames} are needed"
        return None

    def _repeated(self, sha256: str, name: str) -> str | None:
        first = self._seen.setdefault(sha256, name)
        return None if first == name else f"shows the same as {first!r}, byte for byte"


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of the hashes of a folder's pictures in their order, in hexadecimal.

    Raises:
        EmptyInput: the folder holds no pictures.
    """
    if path.is_dir():
        return hashlib.sha256("".join(map(content_hash, list_images(path))).encode()).hexdigest()
    return file_hash(path)


def _look(path: Path) -> _Look:
    """Decodes a file or folder as far as `DECODED_FRAMES`.

    Raises:
        InputError: it cannot be read.
    """
    with open_source(path) as source:
        frames: int | None = 0
        for frame in source:
            frames = frame.index + 1
            if frames == DECODED_FRAMES:
                frames = source.info.frame_count
                break
        info = source.info
    return _Look(info.width, info.height, frames, info.kind == "image", content_hash(path))


def _alike(width: int, height: int, other_width: int, other_height: int) -> bool:
    """Whether the second size is the first one scaled, but for rounding to whole pixels."""
    wanted = other_width * height / width
    return abs(wanted - other_height) <= max(1.0, _ASPECT_TOLERANCE * other_height)

"""Where a result goes: checks before any model loads, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from av.error import FFmpegError

from vid2vid.errors import (
    InvalidOption,
    OutputDiskFull,
    OutputExists,
    OutputIsInput,
    OutputNotWritable,
)
from vid2vid.folders import sync
from vid2vid.locking import is_running

if TYPE_CHECKING:
    from vid2vid.types import Picture

CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".gif": "gif",
}
"""File suffix to FFmpeg muxer."""
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
"""Suffixes of outputs that hold one picture."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
MAX_NAME_BYTES = 255
"""Of a file's name, on all common file systems."""


def check_output(
    path: str | os.PathLike[str], source_path: str | os.PathLike[str] | None = None, overwrite: bool = False
) -> Path:
    """Gives the absolute output path after every check that can be made before the work starts.

    Args:
        path: where the result should go.
        source_path: the input, which must never be the same file (by any name or link).
        overwrite: whether an existing file may be replaced, at the very end.

    Raises:
        InvalidOption: it is no name, or its suffix is none of `CONTAINERS` or `PICTURES`.
        OutputIsInput: path and source are one file, even with `overwrite`.
        OutputExists: a file is there and `overwrite` is off.
        OutputNotWritable: it is a folder or device, or its folder is missing or may not be written.
        OutputDiskFull: the disk has no room for even an empty file.
    """
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise InvalidOption(f"output={path!r} names no file. Give a name such as 'out.mp4'.")
    absolute = Path(path).absolute()
    if absolute.suffix.lower() not in PICTURES:
        muxer_for(absolute)
    with writing(absolute):  # a name may be too long even to be looked for
        if source_path is not None and _same_file(absolute, source_path):
            raise OutputIsInput(f"Output and input are the same file, {str(path)!r}. Choose another output.")
        if absolute.exists() and not stat.S_ISREG(absolute.stat().st_mode):
            raise OutputNotWritable(f"{str(path)!r} is a folder or device, not a file. Give a file name.")
        if os.path.lexists(absolute) and not overwrite:
            raise OutputExists(f"{str(path)!r} exists. Choose another name or allow overwriting it (overwrite=True).")
        folder = absolute.parent
        if not folder.is_dir():
            raise OutputNotWritable(f"The folder {str(folder)!r} does not exist. Create it first.")
    with writing(absolute), tempfile.TemporaryFile(dir=folder):
        pass
    return absolute


def muxer_for(path: Path) -> str:
    """Gives the muxer for a file's suffix.

    Raises:
        InvalidOption: there is none; the message lists the suffixes.
    """
    muxer = CONTAINERS.get(path.suffix.lower())
    if muxer is None:
        allowed = ", ".join(CONTAINERS)
        raise InvalidOption(f"Cannot write {path.name!r}: the suffix {path.suffix!r} is none of {allowed}.")
    return muxer


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what FFmpeg and the system raise while writing into this package's errors.

    Raises:
        OutputDiskFull: no space, quota or file size left; OutputNotWritable: anything else.
    """
    try:
        yield
    except (OSError, FFmpegError) as error:
        if error.errno in _FULL:
            raise OutputDiskFull(
                f"No room left while writing {str(path)!r} ({error.strerror}). Free some space or choose another disk."
            ) from error
        raise OutputNotWritable(
            f"{str(path)!r} cannot be written ({error.strerror}). Check its folder and the disk."
        ) from error


class PartialFile:
    """A file written beside its target under a hidden name and moved into place when complete.

    The target's old content stays untouched until `commit`; after `discard` nothing is left.
    """

    def __init__(self, target: Path) -> None:
        """Names the partial file; creates nothing."""
        self.target = target
        self.path = target.with_name(_partial_name(target))

    def commit(self) -> None:
        """Brings the content to disk, then the name.

        Raises:
            OutputDiskFull, OutputNotWritable: the system refuses; the partial file is gone then.
        """
        try:
            with writing(self.target):
                sync(self.path)
                self.path.replace(self.target)
                sync(self.target.parent)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Removes the partial file if there is one."""
        self.path.unlink(missing_ok=True)


def sweep(target: Path) -> None:
    """Removes partial files that killed processes left beside a target. Only for who holds the target's lock."""
    start = _partial_name(target).removesuffix(str(os.getpid()))
    for path in target.parent.iterdir():
        owner = path.name.removeprefix(start).partition(".")[0]
        if path.name.startswith(start) and owner.isdigit() and not is_running(int(owner)):
            path.unlink(missing_ok=True)


def _partial_name(target: Path) -> str:
    """Short enough for `.signed` to be put behind it."""
    after = ".signed"
    return fitting_name(target.name, ".", f".partial-{os.getpid()}{after}").removesuffix(after)


def check_room(target: Path, needed: int) -> None:
    """Makes sure that the disk has room.

    Raises:
        OutputDiskFull: it has less than so many bytes.
    """
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise OutputDiskFull(
            f"{str(target)!r} takes at least {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free. "
            "Free some space or choose another disk."
        )


def fitting_name(name: str, before: str, after: str) -> str:
    """A file name with something put before and after it, shortened to its hash where that would be too long."""
    whole = f"{before}{name}{after}"
    if len(os.fsencode(whole)) <= MAX_NAME_BYTES:
        return whole
    return f"{before}{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}{after}"


def write_image(path: Path, picture: Picture, finished: Callable[[Path], None] | None = None) -> None:
    """Writes one picture; it appears at its name whole or not at all.

    Args:
        path: target.
        picture: `(H, W, 3)` uint8 sRGB.
        finished: told the partial file once it is complete, before it gets its name; may change it in place.

    Raises:
        OutputDiskFull, OutputNotWritable: the system refuses.
    """
    partial = PartialFile(path)
    encoded = cv2.imencode(path.suffix.lower(), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    try:
        with writing(path):
            partial.path.write_bytes(encoded.tobytes())
        if finished is not None:
            finished(partial.path)
    except BaseException:
        partial.discard()
        raise
    partial.commit()


def _same_file(path: Path, other: str | os.PathLike[str]) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False

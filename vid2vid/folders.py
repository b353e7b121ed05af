"""Folders that appear whole or not at all, and replace each other without a moment at which neither can be read.

A folder is made under a hidden name beside its place, brought to disk, and moved there. No system call exchanges two
folders everywhere, so the old one is first moved to a name that readers know (`standing`) until the new one is in.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vid2vid.errors import OutputExists


def standing(path: Path) -> Path:
    """The path, or what stands in for it after a kill between moving the old folder away and the new one in."""
    return _aside(path) if path.name and not os.path.lexists(path) and _aside(path).is_dir() else path


@contextlib.contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Gives a new hidden folder beside the target, which is gone afterwards unless it was published.

    Raises:
        OSError: the system refuses.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.parent / f".{target.name}.partial-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, target: Path, *, replace: bool) -> None:
    """Brings the folder's content to disk, then its name.

    Args:
        folder: what `beside` gave, complete.
        target: where it goes; an empty folder there makes way.
        replace: whether a folder with content makes way too.

    Raises:
        OutputExists: something is there that may not be replaced.
        OSError: the system refuses; what was there is there again.
    """
    for path in (*folder.rglob("*"), folder):
        sync(path)
    aside = _aside(target)
    if standing(target) == aside:
        aside.rename(target)
    shutil.rmtree(aside, ignore_errors=True)
    if os.path.lexists(target):
        _make_way(target, aside, replace)
    try:
        folder.rename(target)
    except BaseException:
        if aside.is_dir():
            aside.rename(target)
        raise
    sync(target.parent)
    if aside.is_dir():
        aside.rename(folder)  # first its name, so that a kill amid the removal leaves nothing that stands in
        shutil.rmtree(folder, ignore_errors=True)


def _make_way(target: Path, aside: Path, replace: bool) -> None:
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    elif replace and target.is_dir():
        target.rename(aside)
    else:
        raise OutputExists(f"'{target}' is there and may not be replaced. Choose another name.")


def _aside(path: Path) -> Path:
    return path.parent / f".{path.name}.replaced"


def sync(path: Path) -> None:
    """Brings a file, or a folder's names, to disk; Windows has no such call for folders and needs none."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Writes a file and waits until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, content: bytes) -> None:
    """As `write_durably`, but the path holds the old content or the new one at every moment."""
    partial = path.with_name(f".{path.name}.partial")
    write_durably(partial, content)
    partial.replace(path)
    sync(path.parent)

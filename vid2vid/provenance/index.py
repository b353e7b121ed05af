"""The local list of renders: which render a watermark stands for, once a copy has lost its manifest.

`renders.jsonl` holds a line for each file signed here, `manifests/` the signed store of each. Both stay here.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from vid2vid.errors import MarkingError
from vid2vid.provenance.home import home, private_folder, write_whole

_LINES, _STORES = "renders.jsonl", "manifests"
_LONGEST_LINE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that was signed here."""

    payload: str
    """Of its watermark, as twelve hexadecimal digits."""
    name: str
    """Of the file, without its folder."""
    task: str
    sha256: str
    """Of the signed file."""
    store: str
    """Name of the manifest store in `manifests/`."""
    made: str
    """When it was signed, ISO 8601 in UTC."""


def check_writable() -> None:
    """Makes the folders.

    Raises:
        MarkingError: the system refuses.
    """
    try:
        private_folder(home())
        private_folder(home() / _STORES)
        descriptor = os.open(home() / _LINES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.close(descriptor)
    except OSError as error:
        raise MarkingError(
            f"The list of renders cannot be written in '{home()}' ({error.strerror}). Allow writing there, or set "
            "VID2VID_HOME to another folder. Nothing is rendered without it."
        ) from error


def remember(payload: str, name: str, task: str, sha256: str, store: bytes) -> None:
    """Adds a signed file.

    Args:
        payload: of its watermark, as twelve hexadecimal digits.
        name: of the file.
        task: what was done.
        sha256: of the signed file.
        store: its manifest store.

    Raises:
        MarkingError: the system refuses.
    """
    check_writable()
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = Entry(payload, name, task, sha256, f"{hashlib.sha256(store).hexdigest()}.c2pa", made)
    try:
        write_whole(home() / _STORES / entry.store, store)
        line = (json.dumps(asdict(entry)) + "\n").encode()
        descriptor = os.open(home() / _LINES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write in append mode, so that lines of two renders do not mix.
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise MarkingError(
            f"'{name}' cannot be added to the list of renders in '{home()}' ({error.strerror}). Free some space there."
        ) from error


def entries(payload: str) -> tuple[Entry, ...]:
    """All files signed here with this payload, the latest last; damaged lines are passed over."""
    return tuple(entry for entry in _all() if entry.payload == payload)


def store_path(entry: Entry) -> Path:
    """Where the manifest store of a file lies."""
    return home() / _STORES / Path(entry.store).name


def _all() -> Iterator[Entry]:
    try:
        file = (home() / _LINES).open(encoding="utf-8", errors="replace")
    except OSError:
        return
    with file:
        for line in file:
            try:
                yield Entry(**json.loads(line[:_LONGEST_LINE]))
            except (ValueError, TypeError):
                continue  # a kill amid the write leaves half a line

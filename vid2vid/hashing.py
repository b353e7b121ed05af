"""Hashes by which files are known again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from vid2vid.errors import InputChanged


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was when work on it began."""

    path: Path
    sha256: str
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path, sha256: str) -> Stamp:
        """Of a file whose hash is known."""
        status = path.stat()
        return cls(path, sha256, status.st_size, status.st_mtime_ns)

    def check(self) -> None:
        """Makes sure that the file still holds the same; it is read again only where its size or time differ.

        Raises:
            InputChanged: it was changed, replaced or removed.
        """
        try:
            status = self.path.stat()
            if (status.st_size, status.st_mtime_ns) == (self.size, self.modified_ns):
                return
            if status.st_size == self.size and file_hash(self.path) == self.sha256:
                return
        except OSError as error:
            raise InputChanged(f"{str(self.path)!r} was removed while it was rendered ({error.strerror}).") from error
        raise InputChanged(f"{str(self.path)!r} was changed while it was rendered. Render it again once it stays.")

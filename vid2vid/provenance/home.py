"""The folder where vid2vid keeps what belongs to the user: the signing key and the list of renders."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from platformdirs import user_data_dir

from vid2vid.folders import sync


def home() -> Path:
    """`$VID2VID_HOME`, else the system's folder for users' data; it need not exist yet."""
    chosen = os.environ.get("VID2VID_HOME")
    return Path(chosen).expanduser().absolute() if chosen else Path(user_data_dir("vid2vid", appauthor=False))


def private_folder(path: Path) -> Path:
    """Makes a folder that only its owner may enter, with its parents.

    Raises:
        OSError: the system refuses.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Writes a file that appears whole or not at all, and is never readable with a wider mode than asked.

    Raises:
        OSError: the system refuses; nothing is left behind.
    """
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # created with mode 0600
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(mode)
        partial.replace(path)
        sync(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise

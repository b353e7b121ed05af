"""One writer at a time for one place: a lock file that names its owner, so that what a killed owner left is known.

Owners are told apart by process number, start of the process and start of the machine. Machines and containers that
share a folder but not their processes cannot see each other's owners; each takes the other's lock for left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from vid2vid.errors import OutputBusy

if os.name != "nt":
    import fcntl

_TRIES = 20
"""Times a folder that vanishes while it is locked is made anew."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process."""

    pid: int
    boot: str
    """Which start of which machine."""
    started: str
    """When the process started, in ticks of that machine's clock."""


class Lock:
    """The right to write into a folder.

    Args:
        folder: made where it is missing.
        what: what is written there, for the message.
    """

    def __init__(self, folder: Path, what: Path) -> None:
        self._folder, self._what = folder, what
        self.path = folder / "lock"
        """Names the owner."""

    def acquire(self) -> None:
        """Takes the lock; one that a dead process left is broken.

        Raises:
            OutputBusy: another process, or another render of this one, has it.
            OSError: the system refuses.
        """
        for attempt in range(_TRIES):
            try:
                self._folder.mkdir(exist_ok=True)
                with _alone(self._folder):
                    self._take()
                return
            except FileNotFoundError:
                # Its last owner removed the folder just now.
                if attempt == _TRIES - 1:
                    raise

    def release(self) -> None:
        """Gives the lock back."""
        self.path.unlink(missing_ok=True)

    def _take(self) -> None:
        if (owner := _read(self.path)) is not None and _alive(owner):
            raise OutputBusy(
                f"Another render (process {owner.pid}) is writing {str(self._what)!r}. "
                "Wait for it, or choose another output."
            )
        self.path.unlink(missing_ok=True)
        descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(_of(os.getpid())), file)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While one process looks at the lock and breaks it, no other does; the system ends this with the process."""
    if os.name == "nt":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> Owner | None:
    """Whose lock it is; None where there is none, or one that was not written to its end."""
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _alive(owner: Owner) -> bool:
    return owner == _of(owner.pid) and is_running(owner.pid)


def _of(pid: int) -> Owner:
    return Owner(pid, _boot(), _started(pid))


def is_running(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return socket.gethostname()


def _started(pid: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        # The name in brackets may hold anything; the start is the 20th field after it.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    return ""

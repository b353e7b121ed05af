"""What a render takes of the machine's memory, told before it starts."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from vid2vid.errors import OutOfMemory

FULL: Final = 190
"""Bytes a pixel of the source on its way through the render: measured peak of 8 frames of 3840x2160, chunks of one."""
WORKING: Final = 450
"""Bytes a pixel of the working size: maps, motion and the generator's layers, counted from their shapes."""


def frame_megabytes(width: int, height: int, working_width: int, working_height: int) -> float:
    """Memory in MB that a render takes beside its models at chunks of one frame, which is how large frames travel."""
    return (FULL * width * height + WORKING * working_width * working_height) / 2**20


def check_headroom(width: int, height: int, working_width: int, working_height: int) -> None:
    """Makes sure that frames of this size can be rendered here.

    Raises:
        OutOfMemory: they take more memory than there is; names both.
    """
    needed, free = frame_megabytes(width, height, working_width, working_height), available_megabytes()
    if free is not None and needed > free:
        raise OutOfMemory(
            f"Frames of {width}x{height} worked on at {working_width}x{working_height} take about "
            f"{needed:,.0f} MB, and {free:,.0f} MB are free. Try a smaller size=, a smaller source, or free memory."
        )


def available_megabytes() -> float | None:
    """Memory that a new process could have, a container's limit included; None where the system does not tell."""
    found: list[float] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) / 1024)
    with contextlib.suppress(OSError, ValueError):
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        cache = _inactive(Path("/sys/fs/cgroup/memory.stat"))
        found.append((limit - used + cache) / 2**20)
    return min(found) if found else None


def _inactive(path: Path) -> int:
    """Bytes of files kept in memory that make way when it is needed."""
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("inactive_file "):
            return int(line.split()[1])
    return 0

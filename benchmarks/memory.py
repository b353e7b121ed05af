"""Memory, open files and threads of one long render must not grow with its length. Linux only.

A fresh process renders a synthesised clip from a generator into a file and looks at itself whenever frame 300, 600 ...
is asked for.

    python -m benchmarks.memory [--frames 3001] [--width 128] [--height 96]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.machine import save, table

if TYPE_CHECKING:
    from vid2vid.types import Picture

EVERY: Final = 300
LIMIT: Final = 1.03
"""Largest allowed memory at the end over that at frame 300."""
COLUMNS: Final = ["frame", "rss_mb", "open_files", "threads"]


def main() -> int:
    """Runs the child, prints its looks at itself; 1 if anything grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10 * EVERY + 1)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--height", type=int, default=96)
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.frames <= 2 * EVERY:
        parser.error(f"--frames={given.frames}: more than {2 * EVERY} are needed to tell anything.")
    if given.inside:
        print(json.dumps(_looks(given.frames, given.width, given.height, given.engine)))
        return 0
    command = [sys.executable, "-m", "benchmarks.memory", *sys.argv[1:], "--inside"]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    looks = json.loads(child.stdout.splitlines()[-1])
    grown = looks[-1]["rss_mb"] / looks[0]["rss_mb"]
    constant = all(look[name] == looks[0][name] for look in looks for name in ("open_files", "threads"))
    print(table(looks, COLUMNS))
    print(f"memory at frame {looks[-1]['frame']} over that at {looks[0]['frame']}: {grown:.4f} (at most {LIMIT})")
    print(f"open files and threads: {'constant' if constant else 'CHANGED'}")
    settings = {name: value for name, value in vars(given).items() if name != "inside"}
    save("memory", {"settings": settings, "grown": grown, "constant": constant, "looks": looks})
    return 0 if grown <= LIMIT and constant else 1


def _looks(frames: int, width: int, height: int, engine: str) -> list[dict[str, Any]]:
    """Renders in this process; gives what was seen at every 300th frame."""
    import vid2vid

    looks: list[dict[str, Any]] = []

    def watched() -> Iterator[Picture]:
        for index, picture in enumerate(_clip(frames, width, height)):
            if index and index % EVERY == 0:
                looks.append({"frame": index, **look()})
            yield picture

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output.mp4"
        vid2vid.translate(watched(), "cartoon_to_photoreal", output, engine=engine, fps=25, progress=False)
    return looks


def _clip(frames: int, width: int, height: int) -> Iterator[Picture]:
    """A camera that sways over a drawn scene, every frame a new array."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (2 * width, 2 * height))
    for index in range(frames):
        left = round(width / 2 * (1 + np.sin(index / 40)))
        top = round(height / 2 * (1 + np.cos(index / 55)))
        yield scene[top : top + height, left : left + width].copy()


def look() -> dict[str, float | int]:
    """Resident memory, open files and threads of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2),
        "open_files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


if __name__ == "__main__":
    raise SystemExit(main())

"""An hour of film in constant memory: what the process holds on the way, beside a film of a minute. Linux only.

Two fresh processes each write a synthetic source of 64x64 pixels and render it with a small compact generator that
looks back along the motion, journalled, marked and signed as every film is. Each looks at itself whenever so many
frames are finished.

    python -m benchmarks.long_run [--frames 108000] [--short 1800] [--every 500]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from benchmarks.machine import save, table
from benchmarks.memory import look

if TYPE_CHECKING:
    from vid2vid.types import Picture

SIDE: Final = 64
SETTLED: Final = 500
"""Frames after which memory counts: engines and caches have settled."""
ENDING: Final = 100
"""Frames at the end, when threads have nothing left to do and go."""
SLOPE_MB: Final = 1.0
"""Largest allowed growth in 1,000 frames."""
PEAK: Final = 1.1
"""Largest allowed peak of the long film over that of the short one."""
COLUMNS: Final = ["frame", "rss_mb", "open_files", "threads"]


def main() -> int:
    """Runs both films, prints what was seen; 1 if anything grew too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=108_000)
    parser.add_argument("--short", type=int, default=1_800)
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(_film(given.inside, given.every)))
        return 0
    short, long = (_child(frames, given.every) for frames in (given.short, given.frames))
    looks = [look for look in long["looks"] if SETTLED <= look["frame"] <= long["frames"] - ENDING]
    slope = _slope([look["frame"] for look in looks], [look["rss_mb"] for look in looks])
    found = {
        "slope_mb_per_1000_frames": round(slope, 4),
        "peak_ratio": round(long["peak_mb"] / short["peak_mb"], 4),
        "threads": sorted({look["threads"] for look in looks}),
        "open_files": sorted({look["open_files"] for look in looks}),
        "frames": long["frames"],
        "seconds": long["seconds"],
        "fps": round(long["frames"] / long["seconds"], 1),
    }
    print(table(looks[:: max(1, len(looks) // 20)], COLUMNS))
    print(json.dumps(found, indent=1))
    settings = {name: value for name, value in vars(given).items() if name != "inside"}
    save("long_run", {"settings": settings, **found, "short": short, "long": long})
    # Of files, the segment that is being written may or may not be open at the moment of a look.
    constant = len(found["threads"]) == 1 and max(found["open_files"]) - min(found["open_files"]) <= 1
    return 0 if slope <= SLOPE_MB and found["peak_ratio"] <= PEAK and constant else 1


def _child(frames: int, every: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.long_run", "--inside", str(frames), "--every", str(every)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return told


def _film(frames: int, every: int) -> dict[str, Any]:
    """Renders in this process; gives what was seen on the way."""
    import resource

    import vid2vid
    from vid2vid import output, pipeline

    looks: list[dict[str, Any]] = []
    finished = 0
    original = pipeline.Pipeline._output

    def watched(self: Any, chunks: Any) -> None:
        advance = self._advance

        def counted(count: int) -> None:
            nonlocal finished
            finished += count
            if finished // every > (finished - count) // every:
                looks.append({"frame": finished, **look()})
            advance(count)

        self._advance = counted
        original(self, chunks)

    pipeline.Pipeline._output = watched  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VID2VID_HOME"] = folder
        source = Path(folder) / "source.mp4"
        _write(source, frames)
        began = time.perf_counter()
        made = vid2vid.translate(source, _task(), Path(folder) / "film.mp4", progress=False)
        seconds = time.perf_counter() - began
    looks.append({"frame": finished, **look()})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"frames": made.report["frames"], "seconds": round(seconds, 1), "peak_mb": round(peak, 1)}
    return {**told, "segment_frames": round(output.SEGMENT_S * 30), "looks": looks}


def _task() -> Any:
    """The frame itself, through a small generator with everything that a render carries from frame to frame."""
    import torch

    from vid2vid import Conditions, Task
    from vid2vid.backbones import make_generator
    from vid2vid.config import BackboneConfig
    from vid2vid.lesson import FittedGenerator

    class Plain(Task[None]):
        name = "plain"
        summary = "The frame, a little changed."
        backbone = BackboneConfig(width=8, blocks=(1, 1))
        channels: ClassVar[Mapping[str, int]] = {"source": 3}

        def setup(self, request: Any, device: torch.device) -> None:
            return None

        def generator(self, request: Any, setup: None, device: torch.device) -> FittedGenerator:
            torch.manual_seed(3)
            return FittedGenerator(make_generator(self.backbone, self.channels), self.backbone, self.channels)

        def condition(self, chunk: Any, setup: None) -> Conditions:
            return Conditions({"source": chunk.frames})

    return Plain()


def _write(path: Path, frames: int) -> None:
    """A camera that sways over a drawn scene, written like any film."""
    from vid2vid.io import VideoWriter

    scene = _scene()
    with VideoWriter(path, width=SIDE, height=SIDE, fps=30, threads=1) as writer:
        for index in range(frames):
            writer.write(_view(scene, index), Fraction(index, 30))


def _scene() -> Picture:
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    return np.asarray(cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (2 * SIDE, 2 * SIDE)), np.uint8)


def _view(scene: Picture, index: int) -> Picture:
    import numpy as np

    left = round(SIDE / 2 * (1 + np.sin(index / 40)))
    top = round(SIDE / 2 * (1 + np.cos(index / 55)))
    return scene[top : top + SIDE, left : left + SIDE].copy()


def _slope(frames: list[int], megabytes: list[float]) -> float:
    """Growth in 1,000 frames: of the straight line through what was seen."""
    import numpy as np

    return float(np.polyfit(np.array(frames) / 1000.0, megabytes, 1)[0])


if __name__ == "__main__":
    raise SystemExit(main())

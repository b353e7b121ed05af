"""The whole way from file to file: decode, optical flow, generator, finish, encode.

Rate and CPU time are those of the steady state, from the moment frame 120 is asked for, when all queues are full, to
the last one: loading and compiling are over by then. The stages' times are those of the whole render by its length, so
that the generator's hold what the engine took to compile.

python -m benchmarks.pipeline_speed [--clip FILE] [--sizes 256 512] [--frames 300]
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

import vid2vid
from benchmarks.held_out import back_and_forth
from benchmarks.machine import save, table
from vid2vid.io import VideoWriter, open_source
from vid2vid.samples import load_samples

if TYPE_CHECKING:
    from vid2vid.types import Picture

_LOG = logging.getLogger(__name__)
TASK: Final = "cartoon_to_photoreal"
FPS: Final = Fraction(25)
WARM_FRAMES: Final = 120
"""More than all queues hold together."""
STAGES: Final = ("read", "conditions", "generator", "output")
COLUMNS: Final = ["size", "engine", "dtype", "finish", "fps", "cpu_ms", *(f"{stage}_ms" for stage in STAGES), "total_s"]


def main() -> int:
    """Renders one clip in all settings, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="any video; default: a bundled sample")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--finishes", nargs="+", default=["none", "film"])
    given = parser.parse_args()
    if given.frames < 2 * WARM_FRAMES:
        parser.error(f"--frames={given.frames}: at least {2 * WARM_FRAMES} are needed.")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    clip = given.clip or load_samples()[0].path
    engines = ["torch"] + (["openvino"] if find_spec("openvino") is not None else [])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            source = _square_clip(clip, size, given.frames, Path(folder) / f"source_{size}.mp4")
            for engine in engines:
                for finish in given.finishes:
                    rows.append({"size": size, **_render(source, engine, finish)})
                    _LOG.info("%s", rows[-1])
    print(table(rows, COLUMNS))
    save("pipeline_speed", {"frames": given.frames, "load_1_min": os.getloadavg()[0], "rows": rows})
    return 0


def _square_clip(clip: Path, size: int, frames: int, path: Path) -> Path:
    """The middle square of a clip's first 100 frames at `size`, played back and forth, as H.264."""
    with open_source(clip) as source:
        pictures = list(_squares((frame.pixels for frame in islice(source, 100)), size))
    with VideoWriter(path, width=size, height=size, fps=FPS) as writer:
        for index, picture in enumerate(back_and_forth(pictures, frames)):
            writer.write(picture, index / FPS)
    return path


def _squares(pictures: Iterator[Picture], size: int) -> Iterator[Picture]:
    for picture in pictures:
        side = min(picture.shape[:2])
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        square = picture[top : top + side, left : left + side]
        method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
        yield np.asarray(cv2.resize(square, (size, size), interpolation=method), np.uint8)


def _render(source: Path, engine: str, finish: str) -> dict[str, Any]:
    """One render, from file to file, watched at its source end."""
    asked: list[tuple[float, float]] = []

    def watched() -> Iterator[Picture]:
        with open_source(source) as frames:
            for frame in frames:
                asked.append((time.perf_counter(), _cpu_s()))
                yield frame.pixels

    output = source.with_name("output.mp4")
    made = vid2vid.translate(
        watched(), TASK, output, engine=engine, finish=finish, fps=FPS, overwrite=True, progress=False
    )
    seconds, count = made.report["seconds"], len(asked) - 1 - WARM_FRAMES
    wall, cpu = (after - before for before, after in zip(asked[WARM_FRAMES], asked[-1], strict=True))
    return {
        "engine": engine,
        "dtype": made.report["dtype"],
        "finish": finish,
        "fps": count / wall,
        "cpu_ms": 1e3 * cpu / count,
        **{f"{stage}_ms": 1e3 * seconds[stage] / len(asked) for stage in STAGES},
        "total_s": seconds["total"],
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())

"""How well the mark survives, how often it is seen where it is not, and what it costs.

python -m benchmarks.watermark --clips DIR [DIR ...] [--marked 300] [--unmarked 1000] [--minutes 40] [--work FILE]
    [--document docs/watermark.md]

Every measurement is one line of the work file; a run goes on where the last one stopped. Without `--clips` only the
bundled samples and drawn scenes are used.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

import vid2vid.samples
from benchmarks.machine import save, table
from benchmarks.watermark_attacks import CORE, LARGE, MORE, SMALL
from benchmarks.watermark_clips import Window, read, windows
from vid2vid.provenance.watermark import PUBLIC_KEY, Marker, MarkReading, find_mark

if TYPE_CHECKING:
    from benchmarks.watermark_attacks import Attack
    from vid2vid.types import Picture

_LOG = logging.getLogger(__name__)
OTHER_KEY: Final = 0x5EC4E7
PARTS: Final = 10
"""A run that is stopped early has measured everything on some clips, and not some things on all."""
THOROUGH: Final = 5
"""Of so many unmarked clips, one is also looked at turned and stretched, which takes far longer."""
UNMARKED, FOREIGN = "unmarked", "marked with another key"
MEASURED: Final = ("<!-- measured -->", "<!-- end of what was measured -->")
COLUMNS: Final = ["attack", "clips", "detected", "95 %", "decoded", "95 % ", "wrong", "PSNR dB"]


def main() -> int:
    """Measures until done or out of time, then prints and saves the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--marked", type=int, default=300)
    parser.add_argument("--unmarked", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--work", type=Path, default=Path("watermark_measured.jsonl"))
    parser.add_argument("--document", type=Path, help="text between whose two comments the table goes")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    folders = [Path(vid2vid.samples.__file__).parent, *given.clips]
    chosen = windows(folders, max(given.marked, given.unmarked))
    work = Work(given.work, time.monotonic() + 60 * given.minutes)
    for part in range(PARTS):
        some = chosen[part::PARTS]
        marked = [window for window in some if window.number < given.marked]
        for step in (
            work.marked(marked, (640, 360), CORE),
            work.unmarked(some),
            work.marked(marked[::3], (256, 256), SMALL),
            work.marked(marked[::6], (640, 360), MORE),
            work.marked(marked[::10], (1280, 720), LARGE),
        ):
            for line in step:
                _LOG.info("%s", line)
    rows = summary(work.lines)
    print(table(rows, COLUMNS))
    sources = len({window.source for window in chosen[: given.marked]})
    save("watermark", {"sources": sources, "rows": rows, "speed_ms": speed()})
    if given.document is not None:
        insert(given.document, f"Windows of two seconds from {sources} sources.\n\n{table(rows, COLUMNS)}")
    return 0


def insert(document: Path, text: str) -> None:
    """Replaces what stands between the two comments."""
    before, rest = document.read_text().split(MEASURED[0])
    document.write_text(f"{before}{MEASURED[0]}\n{text}\n{MEASURED[1]}{rest.split(MEASURED[1])[1]}")


class Work:
    """The measurements so far, on disk."""

    def __init__(self, path: Path, deadline: float) -> None:
        self._path, self._deadline = path, deadline
        self.lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        self._done = {(line["window"], line["attack"]) for line in self.lines}

    def marked(
        self, chosen: list[Window], size: tuple[int, int], attacks: Mapping[str, Attack]
    ) -> Iterator[dict[str, Any]]:
        """All attacks on each window, marked with a number of its own."""
        for window in chosen:
            left = [name for name in attacks if (window.number, name) not in self._done]
            if not left or time.monotonic() > self._deadline:
                continue
            clip = read(window, *size)
            payload = payload_of(window)
            marker = Marker(*size, payload)
            marked = [marker(picture) for picture in clip]
            quality = psnr_db(clip, marked)
            for name in left:
                yield self._add(window, name, find_mark(attacks[name](marked)), payload, psnr_db=quality)

    def unmarked(self, chosen: list[Window]) -> Iterator[dict[str, Any]]:
        """Looks for both keys where there is none, then for the public one in marks of the other."""
        for window in chosen:
            if (window.number, FOREIGN) in self._done or time.monotonic() > self._deadline:
                continue
            clip = read(window, 640, 360, 12)
            marker = Marker(640, 360, payload_of(window), OTHER_KEY)
            thorough = window.number // PARTS % THOROUGH == 0
            for name, keys in ((UNMARKED, (PUBLIC_KEY, OTHER_KEY)), (FOREIGN, (PUBLIC_KEY,))):
                yield self._add(window, name, find_mark(clip, keys=keys, thorough=thorough), thorough=thorough)
                clip = [marker(picture) for picture in clip]

    def _add(
        self, window: Window, attack: str, reading: MarkReading, payload: int | None = None, **more: float
    ) -> dict[str, Any]:
        right = reading.payload is not None and reading.payload == payload
        line = {
            "window": window.number,
            "source": window.source if isinstance(window.source, str) else window.source.name,
            "attack": attack,
            "detected": reading.detected,
            "decoded": right,
            "wrong": reading.payload is not None and not right,
            "score": round(reading.score, 2),
            "threshold": round(reading.threshold, 2),
            **{name: round(value, 2) for name, value in more.items()},
        }
        self.lines.append(line)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return line


def payload_of(window: Window) -> int:
    """A number of 48 bits that differs between windows."""
    return (0x9E3779B97F4A7C15 * (window.number + 1)) % 2**48


def psnr_db(clip: list[Picture], marked: list[Picture]) -> float:
    """Of all frames together."""
    squares = [cv2.norm(one, other, cv2.NORM_L2SQR) for one, other in zip(clip, marked, strict=True)]
    return float(10 * np.log10(255**2 * clip[0].size / max(np.mean(squares), 1e-9)))


def summary(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row an attack."""
    groups = defaultdict(list)
    for line in lines:
        groups[line["attack"]].append(line)
    order = [*CORE, *MORE, *SMALL, *LARGE, UNMARKED, FOREIGN]
    return [_row(name, groups[name]) for name in order if name in groups]


def _row(name: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    detected, decoded = (sum(line[what] for line in lines) for what in ("detected", "decoded"))
    quality = [line["psnr_db"] for line in lines if "psnr_db" in line]
    return {
        "attack": name,
        "clips": len(lines),
        "detected": detected / len(lines),
        "95 %": interval(detected, len(lines)),
        "decoded": decoded / len(lines),
        "95 % ": interval(decoded, len(lines)),
        "wrong": sum(line["wrong"] for line in lines),
        "PSNR dB": float(np.mean(quality)) if quality else None,
        "largest score": max(line["score"] for line in lines),
    }


def interval(hits: int, tries: int) -> str:
    """Wilson's 95 % interval of a rate."""
    z = 1.96
    rate, unit = hits / tries, 1 + z * z / tries
    half = z * math.sqrt(rate * (1 - rate) / tries + z * z / (4 * tries * tries)) / unit
    middle = (rate + z * z / (2 * tries)) / unit
    return f"{max(0.0, middle - half):.3f}-{min(1.0, middle + half):.3f}"


def speed() -> dict[str, float]:
    """Milliseconds of CPU time for marking a frame, and for looking at 48 of them without a mark."""
    rng = np.random.default_rng(0)
    found = {}
    for width, height in ((256, 256), (640, 360), (1280, 720), (1920, 1080)):
        picture = rng.integers(0, 255, (height, width, 3), np.uint8)
        marker = Marker(width, height, 1)
        found[f"mark {width}x{height}"] = _least(lambda marker=marker, picture=picture: marker(picture), 12)
    clip = [rng.integers(0, 255, (360, 640, 3), np.uint8) for _ in range(48)]
    found["find plain, 48 frames of 640x360"] = _least(lambda: find_mark(clip, thorough=False), 2)
    found["find thorough, 48 frames of 640x360"] = _least(lambda: find_mark(clip), 2)
    return found


def _least(call: Any, times: int) -> float:
    """The least of several, since others may be using the machine."""
    best = math.inf
    for _ in range(times):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return round(1000 * best, 2)


if __name__ == "__main__":
    raise SystemExit(main())

"""What mark, journal and signature take of a render: cartoon_to_photoreal over the bundled cartoon at some sizes.

Seconds are those of the processor, over all threads: a machine that is busy otherwise changes them little. A longer
film has smaller shares, since the trial signature before the work takes the same for any length. What the journal
waits for the disk is not in them; it waits while other threads go on.

    python -m benchmarks.marking_cost [--sizes 256x256 1280x720 1920x1080] [--frames 156]
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import Any, Final

import cv2

from benchmarks.machine import save, table

FPS: Final = 24
LIMIT: Final = 0.15
"""Share of a render that all three together may take."""
COLUMNS: Final = ["size", "frames", "total_s", "mark_s", "journal_s", "sign_s", "share", "mark_ms_a_frame"]


class Clock:
    """Seconds of the processor, by what they were spent on; what is timed inside something else counts once."""

    def __init__(self) -> None:
        self.spent = {"mark": 0.0, "journal": 0.0, "sign": 0.0}
        self._inner = threading.local()

    def follow(self, owner: Any, name: str, what: str) -> None:
        """Times a function of a class or module from now on."""
        followed = getattr(owner, name)

        @wraps(followed)
        def timed(*given: Any, **words: Any) -> Any:
            outer, self._inner.s = getattr(self._inner, "s", 0.0), 0.0
            began = time.thread_time()
            try:
                return followed(*given, **words)
            finally:
                took = time.thread_time() - began
                self.spent[what] += took - self._inner.s
                self._inner.s = outer + took

        setattr(owner, name, timed)


def main() -> int:
    """Renders at each size and prints the table; 1 if a share is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["256x256", "1280x720", "1920x1080"])
    parser.add_argument("--frames", type=int, default=156, help="more than 144, or the film is not kept in segments")
    given = parser.parse_args()
    cv2.setNumThreads(1)  # or marking would be done by threads that its own does not count
    clock = _followed()
    rows: list[dict[str, Any]] = []
    for size in given.sizes:
        rows.append(_measured(clock, size, given.frames))
        print(table(rows[-1:], COLUMNS), flush=True)
    save("marking_cost", {"limit": LIMIT, "rows": rows})
    return 0 if all(row["share"] <= LIMIT for row in rows) else 1


def _followed() -> Clock:
    from vid2vid import api, output, sealing
    from vid2vid.journal import Journal
    from vid2vid.provenance.marks import Marks

    clock = Clock()
    clock.follow(Marks, "mark", "mark")
    for name in ("__init__", "settle", "append", "close"):
        clock.follow(Journal, name, "journal")
    clock.follow(output, "join_segments", "journal")
    clock.follow(Marks, "seal", "sign")
    clock.follow(sealing, "prepare_marks", "sign")
    clock.follow(api, "source_hash", "sign")
    return clock


def _measured(clock: Clock, size: str, frames: int) -> dict[str, Any]:
    import vid2vid

    width, height = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        film = _film(Path(folder) / "film.mp4", width, height, frames)
        before, began = dict(clock.spent), time.process_time()
        made = vid2vid.translate(film, "cartoon_to_photoreal", Path(folder) / "out.mp4", progress=False)
        total = time.process_time() - began
    spent = {f"{what}_s": seconds - before[what] for what, seconds in clock.spent.items()}
    return {
        "size": size,
        "frames": made.report["frames"],
        "total_s": total,
        **spent,
        "share": sum(spent.values()) / total,
        "mark_ms_a_frame": 1000 * spent["mark_s"] / frames,
        "stages": made.report["seconds"],
    }


def _film(path: Path, width: int, height: int, frames: int) -> Path:
    """The bundled cartoon, enlarged, over and over."""
    from vid2vid.io import VideoWriter, open_source
    from vid2vid.samples import load_samples

    cartoon = next(sample.path for sample in load_samples() if sample.name == "rabbit")
    with VideoWriter(path, width=width, height=height, fps=FPS) as writer:
        while writer.frames < frames:
            for frame in open_source(cartoon):
                picture = cv2.resize(frame.pixels, (width, height), interpolation=cv2.INTER_CUBIC)
                writer.write(picture, Fraction(writer.frames, FPS))
                if writer.frames == frames:
                    break
    return path


if __name__ == "__main__":
    raise SystemExit(main())

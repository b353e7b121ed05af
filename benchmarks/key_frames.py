"""Key frames on held-out shots: cartoonised live clips, two of their live frames given back as key frames.

python -m benchmarks.key_frames --clips CLIPS
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from vid2vid_tasks.cartoon_to_photoreal.cartoonise import cartoonise, sample_style

import vid2vid
from benchmarks.held_out import HELD_OUT, load
from benchmarks.machine import table
from vid2vid.metrics import psnr_db

FRAMES, KEYS, NEAR = 36, (4, 30), 5


def main() -> None:
    """Prints PSNR of cartoon, net alone, two key frames carried, and fitted, on frames at least six from a key."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--short-side", type=int, default=270)
    parser.add_argument("--minutes", type=float, default=1.0, help="of fitting to the key frames")
    parser.add_argument("--shots", nargs="*", help="names of clips; all where left out")
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    for shot in [shot for shot in HELD_OUT if not given.shots or Path(shot.file).stem in given.shots]:
        live = np.stack(load(shot, given.clips, FRAMES, given.short_side))
        style = sample_style(np.random.default_rng(20_260), held_out=True)
        drawn = cartoonise(live, dataclasses.replace(style, nominal_height=live.shape[1]))
        plain = vid2vid.translate(drawn, "cartoon_to_photoreal", finish="none", progress=False)
        keys = [live[k] for k in KEYS]
        keyed = vid2vid.translate(drawn, "cartoon_to_photoreal", reference=keys, minutes=0, progress=False)
        fitted = vid2vid.translate(drawn, "cartoon_to_photoreal", reference=keys, minutes=given.minutes, progress=False)
        far = [t for t in range(len(live)) if min(abs(t - k) for k in KEYS) > NEAR]

        def score(clip: np.ndarray, live: np.ndarray = live, far: list[int] = far) -> float:
            return round(float(np.mean([psnr_db(clip[t], live[t]) for t in far])), 2)

        found = [key["frame"] for key in keyed.report["task_report"]["key_frames"]]
        rows.append(
            {
                "clip": shot.file,
                "cartoon": score(drawn),
                "net": score(plain.frames),
                "2 keys carried": score(keyed.frames),
                "2 keys fitted": score(fitted.frames),
                "keys found at": str(found),
            }
        )
    print(table(rows, list(rows[0])))


if __name__ == "__main__":
    main()

"""Teaches a look from three painted frames, then renders the whole clip in it; needs nothing but the package.

    python examples/train_a_look.py --minutes 1

Three frames of a bundled clip are painted over, here by a few lines of OpenCV in place of a person. `train()` learns
the look from them, `translate()` renders every frame, and `evaluate()` compares the result with the look made on all
frames, which neither of them has seen. With a clip of your own: `vid2vid train my_paintings --clip my_clip.mp4`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import vid2vid
from vid2vid.io import VideoWriter, open_source, write_image
from vid2vid.samples import load_samples

Picture = NDArray[np.uint8]


def paint(picture: Picture) -> Picture:
    """A print of the frame `(H, W, 3)` in dusky colours: three tones of each, and light lines where it is steep."""
    flat = cv2.medianBlur(picture, 5)
    dusk = np.array([[0.75, 0.1, 0.05, 18], [0.15, 0.5, 0.1, 12], [0.2, 0.3, 0.6, 50]], np.float32)
    inks = cv2.transform(np.floor(flat / np.float32(64)) * 64 + 16, dusk)
    slope = cv2.magnitude(*(cv2.Scharr(cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY), cv2.CV_32F, x, 1 - x) for x in (0, 1)))
    lines = np.clip(slope[..., None] / 900 - 0.3, 0, 1)
    return np.asarray(np.clip(inks + lines * (np.array([250, 225, 170], np.float32) - inks), 0, 255), np.uint8)


def cut(clip: Path, count: int, target: Path) -> Path:
    """The first frames of a clip as a clip of their own: following painted frames through a long one takes minutes."""
    with open_source(clip) as source:
        info = source.info
        with VideoWriter(target, width=info.width, height=info.height, fps=info.fps, overwrite=True) as writer:
            for frame in islice(source, count):
                writer.write(frame.pixels, frame.time_s)
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains, renders and measures; 0 if the result is closer to the look than the untouched clip is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="time to train")
    parser.add_argument("--sample", choices=[sample.name for sample in load_samples()], default="meadow")
    parser.add_argument("--frames", type=int, default=60, help="how much of the sample is used")
    parser.add_argument("--preset", choices=("fast", "default", "fine"), default="default")
    parser.add_argument("--output", type=Path, default=Path("look_demo"), help="folder for all that is written")
    given = parser.parse_args(arguments)
    sample = next(sample.path for sample in load_samples() if sample.name == given.sample)
    given.output.mkdir(parents=True, exist_ok=True)
    clip = cut(sample, given.frames, given.output / f"{given.sample}.mp4")

    with open_source(clip) as source:
        truth = [paint(frame.pixels) for frame in source]
    keys = given.output / f"{given.sample}_paintings"
    keys.mkdir(exist_ok=True)
    for number in (len(truth) // 6, len(truth) // 2, 5 * len(truth) // 6):
        write_image(keys / f"frame_{number:04}.png", truth[number])

    trained = vid2vid.train(
        keys,
        task="paired",
        clip=clip,
        output=given.output / "bundle",
        minutes=given.minutes,
        preset=given.preset,
        resume=False,
        overwrite=True,
    )
    print(f"{trained.steps} steps in {trained.seconds:.0f} s; the look is in {trained.path}")

    made = vid2vid.translate(
        clip, task=trained.path, output=given.output / f"{given.sample}_in_the_look.mp4", overwrite=True
    )
    print(f"{made.path}: {made.info.frame_count} frames in {made.seconds:.0f} s")

    measured = vid2vid.evaluate(made, source=clip, target=np.stack(truth))
    pairs = [("PSNR (dB, higher is better)", measured.psnr_db, measured.source_psnr_db, 1.0)]
    pairs += [("ST-LPIPS (lower is better)", measured.st_lpips, measured.source_st_lpips, -1.0)]
    better = True
    for name, result, untouched, sign in pairs:
        if result is None or untouched is None:
            print(f"{name}: not measured; `pip install vid2vid[metrics]`")
            continue
        print(f"{name}: {result:.3f}, untouched clip {untouched:.3f}")
        better = better and sign * (result - untouched) > 0.0
    return 0 if better else 1


if __name__ == "__main__":
    sys.exit(main())

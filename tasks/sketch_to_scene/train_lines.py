"""A recipe for a net over carried key frames; none is bundled, since none so far bettered what is carried.

`python -m vid2vid_tasks.sketch_to_scene.train_lines --clips DIR --output DIR`

It runs the same on a CPU and a GPU, and continues where it stopped.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import torch

from vid2vid.backbones import make_generator
from vid2vid.backbones.weights import save_weights
from vid2vid.data.footage import live_shots
from vid2vid.training import FitConfig, fit

from .line_lesson import LineWindows, line_examples
from .lines import BACKBONE, CHANNELS

HELD_OUT: Final = {
    "single_face": 0,
    "jwpIntro": 0,
    "pose2sim_single_cam03": 0,
    "pose2sim_single_cam04": 0,
    "bikes": 188,
    "cup": 140,
    "cityCC0": 117,
}
"""Clip -> the first frame that training never sees, nor any after it: figures are measured on these."""
SHORT_SIDE: Final = 360
LEAST_FRAMES: Final = 16
CLOSED_GATE: Final = -1.0
"""Start of the residual's gate: the output begins as the carried key frame, and leaves it only where that pays."""
LOSSES: Final = {"l1": 2.0, "gradient": 0.2, "perceptual": 0.15, "regret": 6.0}
"""Little for sharpness: what is out of place and sharp is farther from the truth than the key frame was."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of live clips")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and weights")
    parser.add_argument("--minutes", type=float, default=50.0, help="of learning")
    parser.add_argument("--episodes", type=int, default=80)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, cuda or cuda:N; left out: a GPU where there is one")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(given.threads)
    torch.set_num_threads(given.threads)
    shots = list(live_shots(given.clips, short_side=SHORT_SIDE, least_frames=LEAST_FRAMES, held_out=HELD_OUT))
    examples = list(line_examples(shots, given.episodes, given.seed))
    logging.info("%d frames of %d shots", len(examples), len(shots))
    torch.manual_seed(given.seed)
    net = make_generator(BACKBONE, CHANNELS)
    with torch.no_grad():
        net.detail.bias[3] = CLOSED_GATE  # type: ignore[index]
    windows = LineWindows(examples, batch=given.batch, crop=given.crop, seed=given.seed)
    config = FitConfig(
        minutes=given.minutes,
        learning_rate=6e-4,
        warmup_steps=100,
        ema_decay=0.998,
        perceptual_crop=given.crop,
        perceptual_every=3,
        recurrent=False,
        textured=False,
        device=given.device,
        save_every_s=180.0,
        seed=given.seed,
        losses=LOSSES,
    )
    fit(net, windows, config, given.output)
    save_weights(net, given.output / "lines.safetensors")


if __name__ == "__main__":
    main()

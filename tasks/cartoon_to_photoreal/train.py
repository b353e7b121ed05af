"""The recipe of the bundled weights: `python -m vid2vid_tasks.cartoon_to_photoreal.train --clips DIR --output DIR`.

Live clips are cut into shots, photographs get a moving camera, both are cartoonised in random styles, and the compact
generator learns the way back in closed loop. It runs the same on a CPU and a GPU, and continues where it stopped.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import torch

from vid2vid.backbones.generator import CompactGenerator
from vid2vid.backbones.weights import load_weights, save_weights
from vid2vid.data.footage import live_shots, photographs
from vid2vid.training import FitConfig, fit

from .pairs import PairStream, StreamConfig

HELD_OUT: Final = {"single_face": 0, "cup": 0, "bikes": 188, "cityCC0": 117, "bigbuckbunny": 0}
"""Clip -> the first frame that training never sees, nor any after it: all figures of the model card are measured on
these. The last is drawn."""
SHORT_SIDE: Final = 432
POLISH: Final = {"l1": 3.0, "gradient": 1.0, "perceptual": 2.0, "temporal": 1.0, "grid": 300.0, "lines": 20.0}
"""For a short second leg: with the first leg's weights, ST-LPIPS is also lowered by specks that nobody wants to see."""
LOSSES: Final = {"l1": 2.0, "gradient": 0.3, "perceptual": 4.0, "temporal": 1.0, "grid": 100.0, "lines": 20.0}
LEAST_FRAMES: Final = 16


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of live clips")
    parser.add_argument("--photographs", type=Path, help="folder of photographs")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and weights")
    parser.add_argument("--steps", type=int, default=26_000)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the trainer; loading takes another")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate at its highest")
    parser.add_argument("--polish", type=Path, help="weights of a first leg, to go on from with other losses")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    live = live_shots(given.clips, short_side=SHORT_SIDE, least_frames=LEAST_FRAMES, held_out=HELD_OUT, enlarge=True)
    shots = [*live, *(photographs(given.photographs) if given.photographs else ())]
    stream = PairStream(shots, StreamConfig(slots=given.slots, seed=given.seed))
    net = CompactGenerator(3)
    if given.polish:
        load_weights(net, given.polish)
    losses = POLISH if given.polish else LOSSES
    config = FitConfig(steps=given.steps, learning_rate=given.rate, losses=losses, seed=given.seed)
    fit(net, stream, config, given.output)
    save_weights(net, given.output / "bundle.safetensors")


if __name__ == "__main__":
    main()

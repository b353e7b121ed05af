"""The recipe of the net that works over actors.

`python -m vid2vid_tasks.sketch_to_scene.train --clips DIR --output DIR`

People of live clips play their own clips from views of other moments, and the compact generator learns what moving
pictures cannot do: seams, shading, cloth, shadows. Runs the same on a CPU and a GPU, and continues where it stopped.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.backbones import make_generator
from vid2vid.backbones.generator import CLOSINGS
from vid2vid.backbones.weights import save_weights
from vid2vid.composite import shrunk
from vid2vid.conditions.people import PeopleFinder
from vid2vid.io import open_source
from vid2vid.motion.cutout import cut_out
from vid2vid.motion.plates import empty_scene
from vid2vid.training import FitConfig, fit

from .rehearsal import Passage, RehearsalWindows, Role, rehearse
from .task import SketchToScene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.conditions.people import Person
    from vid2vid.types import Picture

ROLES: Final = (
    ("sports2d_demo", 2),
    ("pose2sim_single_cam01", 1),
    ("pose2sim_single_cam02", 1),
    ("pose2sim_single_cam03", 1),
    ("pose2sim_single_cam04", 1),
)
"""Clip, and how many of its people play."""
LEARNED: Final = 0.8
"""Share of every clip, from its start, that is learned from; figures are measured on the rest."""
SHORT_SIDE: Final = 540
VIEW_PX: Final = 260.0
VIEW_EVERY: Final = 4
LOSSES: Final = {"l1": 3.0, "gradient": 1.0, "perceptual": 2.0, "temporal": 1.0, "grid": 100.0}
_LOG = logging.getLogger(__name__)


def read_clip(path: Path, share: float = LEARNED) -> list[Picture]:
    """The first frames of a clip, at most 540 px on the shorter side."""
    with open_source(path) as source:
        frames = [shrunk(frame.pixels, SHORT_SIDE).copy() for frame in source]
    return frames[: round(share * len(frames))]


def find_roles(frames: Sequence[Picture], count: int) -> Iterator[Role]:
    """The people of a clip who are seen longest."""
    finder = PeopleFinder()
    found: dict[int, dict[int, Person]] = {}
    masks = []
    for index, people in enumerate(finder.follow(frames)):
        mask = np.zeros(frames[0].shape[:2], np.uint8)
        for person in people:
            mask = np.maximum(mask, np.round(person.mask * 255).astype(np.uint8))
            if _whole(person, frames[index]):
                found.setdefault(person.number, {})[index] = person
        masks.append(mask)
    step = max(1, len(frames) // 40)
    plate = empty_scene(frames[::step], masks[::step])
    if plate is None:
        plate = _guessed_scene(frames[len(frames) // 2], masks)
    for seen in sorted(found.values(), key=len, reverse=True)[:count]:
        views = {
            index: cut_out(frames[index], person, finder, VIEW_PX)
            for index, person in seen.items()
            if index % VIEW_EVERY == 0
        }
        people_seen = [seen.get(index) for index in range(len(frames))]
        yield Role(frames, people_seen, views, VIEW_PX, plate)


def _guessed_scene(frame: Picture, masks: Sequence[NDArray[np.uint8]]) -> Picture:
    """A frame with everybody painted out, where the scene behind them is never seen; good enough to learn before."""
    hidden = cv2.dilate((np.max(masks, axis=0) > 12).astype(np.uint8), np.ones((15, 15), np.uint8))
    return np.asarray(cv2.inpaint(frame, hidden, 7, cv2.INPAINT_TELEA), np.uint8)


def _whole(person: Person, picture: Picture) -> bool:
    height, width = picture.shape[:2]
    inside = ((person.joints >= 2) & (person.joints <= np.array([width - 3, height - 3]))).all()
    return bool(inside) and float(person.visibility.mean()) > 0.6


def rehearsals(roles: Sequence[Role], count: int, seed: int) -> Iterator[Passage]:
    """Passages of all roles in turn, without end where roles allow any; at most `count`."""
    rng = np.random.default_rng((seed, 77))

    def tries() -> Iterator[Passage]:
        for number in range(20 * count):
            passage = rehearse(roles[number % len(roles)], rng)
            if passage is not None:
                yield passage

    yield from islice(tries(), count)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of live clips")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and weights")
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--share", type=float, default=0.3, help="of the learned residual that is kept, 0 to 1")
    parser.add_argument("--passages", type=int, default=240)
    parser.add_argument("--slots", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=4e-4, help="learning rate at its highest")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    clips = {path.stem: path for path in sorted(given.clips.iterdir())}
    roles = [role for name, count in ROLES for role in find_roles(read_clip(clips[name]), count)]
    passages = list(rehearsals(roles, given.passages, given.seed))
    _LOG.info("%d roles, %d passages", len(roles), len(passages))
    task = SketchToScene()
    net = make_generator(task.backbone, task.channels)
    with torch.no_grad():  # the lines of actors are their own, none are to be closed
        net.local.bias[-len(CLOSINGS) :] = -8.0  # type: ignore[index]
    config = FitConfig(
        steps=given.steps, learning_rate=given.rate, losses=LOSSES, seed=given.seed,
        recurrent=task.backbone.recurrent, textured=task.backbone.textured,
    )  # fmt: skip
    fit(net, RehearsalWindows(passages, given.slots, given.seed), config, given.output)
    with torch.no_grad():  # at full strength it softens more than it mends
        net.detail.weight[:3] *= given.share
        net.detail.bias[:3] *= given.share  # type: ignore[index]
    save_weights(net, given.output / "bundle.safetensors")


if __name__ == "__main__":
    main()

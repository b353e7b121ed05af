"""Makes the bundled actors from clips that may ship.

    python -m vid2vid_tasks.sketch_to_scene.make_actors CLIPS tasks/sketch_to_scene/actors [NAME ...]

CLIPS holds `sports2d_demo.mp4` (from the package sports2d 0.8.34) and `pose2sim_single_cam01.mp4` to `04` (pose2sim
0.10.49), both BSD-3-Clause. The last fifth of each clip is never looked at: it is kept for measuring.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vid2vid.conditions.people import PeopleFinder
from vid2vid.io import open_source
from vid2vid.motion.actor import save_actor
from vid2vid.motion.casting import actor_from_clip, join_actors

from .sunbeam import Beam, without_beam, without_haze

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from vid2vid.motion.actor import Actor
    from vid2vid.types import Picture

SEEN = 0.8
"""Part of each clip that is used."""


@dataclass(frozen=True, slots=True)
class Take:
    """A part of a clip that shows an actor."""

    clip: str
    count: int
    """Views to choose."""
    first: int = 0
    last: int | None = None
    """One past the last frame; None for all that may be used."""
    person: int = 0
    """As in `actor_from_clip`."""
    without: tuple[int, ...] = ()
    """Views thrown away by eye, counted from 0."""
    beam: Beam | None = None
    """Sunlight in the lens, to be taken off the person with its haze; the clip then gives no plate."""


SPORTS2D = "Sports2D demo (PyPI sports2d 0.8.34), BSD-3-Clause, (c) 2022 perfanalytics"
POSE2SIM = "Pose2Sim demo (PyPI pose2sim 0.10.49), BSD-3-Clause, (c) 2022 perfanalytics"
ACTORS: dict[str, tuple[str, tuple[Take, ...]]] = {
    "woman": (SPORTS2D, (Take("sports2d_demo.mp4", 14, first=60, without=(8, 10)),)),
    "runner": (SPORTS2D, (Take("sports2d_demo.mp4", 14, last=150, without=(0, 9), beam=Beam(375, 418, 0.137)),)),
    "athlete": (
        POSE2SIM,
        (
            Take("pose2sim_single_cam01.mp4", 5, without=(2,)),
            Take("pose2sim_single_cam02.mp4", 4),
            Take("pose2sim_single_cam03.mp4", 6, without=(0, 1, 3, 5)),
            Take("pose2sim_single_cam04.mp4", 4),
        ),
    ),
}


def make(name: str, clips: Path) -> Actor:
    """Makes one of `ACTORS`.

    Args:
        name: which.
        clips: folder of the clips.
    """
    credit, takes = ACTORS[name]
    made = []
    for take in takes:
        frames = _frames(clips / take.clip, take)
        if take.beam is not None:
            frames = without_beam(frames, _masks(frames), take.beam)
        actor = actor_from_clip(frames, take.count, name, credit, take.person)
        views = tuple(view for number, view in enumerate(actor.views) if number not in take.without)
        if take.beam is not None:
            actor, views = replace(actor, plate=None), without_haze(views)
        made.append(replace(actor, views=views))
    return join_actors(made, name, credit)


def _frames(path: Path, take: Take) -> list[Picture]:
    with open_source(path) as video:
        pictures = [frame.pixels for frame in video]
    return pictures[: int(SEEN * len(pictures))][take.first : take.last]


def _masks(frames: list[Picture]) -> Iterator[NDArray[np.float32]]:
    """Of everybody, frame by frame."""
    for people, frame in zip(PeopleFinder().follow(frames), frames, strict=True):
        yield np.max([np.zeros(frame.shape[:2], np.float32), *(person.mask for person in people)], axis=0)


def main() -> None:
    """Makes all of them, or those named after the two folders."""
    clips, target = Path(sys.argv[1]), Path(sys.argv[2])
    for name in sys.argv[3:] or ACTORS:
        save_actor(make(name, clips), target / name)


if __name__ == "__main__":
    main()

"""Events and skeletons of drawn fights that nothing was tuned on.

python -m benchmarks.sticks --motion examples/assets/motion --fights 90
python -m benchmarks.sticks --motion MOTION --fights 12 --reader READER --finder FINDER

The first measures the detector of events on true skeletons with noise added, the second what is tracked in the drawn
film. Fights have numbers from `HELD_OUT` on, which are never used while anything is tuned or trained. Results are added
to those in the file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from benchmarks.machine import RESULTS, facts
from vid2vid.audio.events import KINDS
from vid2vid.conditions.stick_nets import load_finder, load_reader
from vid2vid.data.drawn_fights import Fight, make_fight, render_fight
from vid2vid.data.fight_moves import load_moves
from vid2vid.data.stick_drawings import random_style
from vid2vid.folders import replace_durably
from vid2vid.motion.events import detect_events
from vid2vid.motion.skeleton import HEAD, Tracks, nearest_letters
from vid2vid.motion.stick_tracks import track_figures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Event, Picture

HELD_OUT: Final = 1_000_000
"""Number of the first fight."""
TOLERANCE_S: Final = 0.15
"""Within which an event is the one that was meant."""
NOISE: Final = 0.01
"""Standard deviation added to true joints, in standing heights."""


@dataclass(slots=True)
class Tally:
    """Events of one kind, over all fights."""

    true: int = 0
    missed: int = 0
    spurious: int = 0
    errors_ms: list[float] = field(default_factory=list)

    def add(self, truth: Sequence[Event], found: Sequence[Event]) -> None:
        """Pairs events of the same figure, the nearest in time first."""
        pairs = sorted(
            (abs(one.time_s - other.time_s), i, j)
            for i, one in enumerate(truth)
            for j, other in enumerate(found)
            if one.figure == other.figure and abs(one.time_s - other.time_s) <= TOLERANCE_S
        )
        taken: tuple[set[int], set[int]] = (set(), set())
        for apart, i, j in pairs:
            if i not in taken[0] and j not in taken[1]:
                taken[0].add(i)
                taken[1].add(j)
                self.errors_ms.append(1000 * apart)
        self.true += len(truth)
        self.missed += len(truth) - len(taken[0])
        self.spurious += len(found) - len(taken[1])

    def summary(self, seconds: float) -> dict[str, float]:
        """Shares and errors, as JSON values."""
        errors = self.errors_ms or [0.0]
        return {
            "true": self.true,
            "missed": self.missed / max(1, self.true),
            "spurious_in_10_s": 10 * self.spurious / seconds,
            "mean_ms": float(np.mean(errors)),
            "p95_ms": float(np.percentile(errors, 95)),
            "max_ms": max(errors),
        }


@dataclass(slots=True)
class Skeletons:
    """How near tracked joints come to the true ones, over all fights."""

    errors: list[NDArray[np.float64]] = field(default_factory=list)
    """Of each fight `(T, F, 11)`, in standing heights."""
    switches: int = 0
    miscounted: int = 0
    """Fights with more or fewer figures found than drawn."""
    ms: list[float] = field(default_factory=list)
    """A frame, per fight."""

    def add(self, truth: Tracks, found: Tracks) -> tuple[Tracks, list[int]]:
        """Measures one fight.

        Returns:
            Those found figures that are true ones, and which they are.
        """
        count = truth.figures
        self.miscounted += found.figures != count
        apart = np.linalg.norm(truth.joints[:, :, None, HEAD] - found.joints[:, None, :, HEAD], axis=-1)
        rows, columns = linear_sum_assignment(apart.mean(0))
        nearest = [linear_sum_assignment(frame) for frame in apart]
        orders = np.array([order for _, order in nearest]) if found.figures >= count else np.zeros((1, 1))
        self.switches += int((np.diff(orders, axis=0) != 0).any(1).sum())
        errors = np.full((truth.length, count, truth.joints.shape[2]), np.inf)
        for true, other in zip(rows, columns, strict=True):
            for at in range(truth.length):
                joints = nearest_letters(found.joints[at, other], truth.joints[at, true])
                errors[at, true] = np.linalg.norm(joints - truth.joints[at, true], axis=-1) / truth.heights[true]
        self.errors.append(errors)
        chosen = [int(column) for column in columns]
        kept = Tracks(found.joints[:, chosen], found.present[:, chosen], found.heights[chosen], found.ground)
        return kept, [int(row) for row in rows]

    def summary(self) -> dict[str, float]:
        """Shares and errors, as JSON values."""
        errors = np.concatenate([each.ravel() for each in self.errors])
        return {
            "pck_0.1": float((errors < 0.1).mean()),
            "pck_0.05": float((errors < 0.05).mean()),
            "mean_error_percent": float(100 * np.minimum(errors, 1).mean()),
            "switches": self.switches,
            "miscounted": self.miscounted,
            "ms_a_frame": float(np.mean(self.ms)),
        }


def disturbed(fight: Fight, rng: np.random.Generator) -> Tracks:
    """True skeletons with noise on every joint."""
    noise = rng.normal(0, NOISE, fight.tracks.joints.shape) * fight.tracks.heights[None, :, None, None]
    return replace(fight.tracks, joints=(fight.tracks.joints + noise).astype(np.float32))


def fights(given: argparse.Namespace) -> Iterable[tuple[int, Fight]]:
    """The fights to measure on."""
    moves = load_moves(given.motion)
    for number in range(HELD_OUT, HELD_OUT + given.fights):
        yield number, make_fight(moves, number, seconds=given.seconds, figures=given.figures)


def measure(given: argparse.Namespace, tracked: Callable[[Iterable[Picture], int], Tracks] | None) -> dict[str, Any]:
    """Runs all fights, on truth and noise or on what is tracked in the drawn film."""
    tallies, skeletons, seconds = {kind: Tally() for kind in KINDS}, Skeletons(), 0.0
    for number, fight in fights(given):
        rng = np.random.default_rng(number)
        if tracked is None:
            tracks, numbers = disturbed(fight, rng), list(range(fight.tracks.figures))
        else:
            pictures = list(render_fight(fight, random_style(rng), number))
            began = time.perf_counter()
            found = tracked(pictures, fight.tracks.figures)
            skeletons.ms.append(1000 * (time.perf_counter() - began) / len(pictures))
            tracks, numbers = skeletons.add(fight.tracks, found)
        heard = [
            replace(event, figure=None if event.figure is None else numbers[event.figure])
            for event in detect_events(tracks, float(fight.fps), fight.size)
        ]
        for kind, tally in tallies.items():
            tally.add([e for e in fight.events if e.kind == kind], [e for e in heard if e.kind == kind])
        seconds += fight.tracks.length / float(fight.fps)
    result: dict[str, Any] = {kind: tally.summary(seconds) for kind, tally in tallies.items()}
    return result if tracked is None else {**result, "skeletons": skeletons.summary()}


def keep(path: Path, results: Mapping[str, Any]) -> None:
    """Adds results to a file; those of the same name are replaced."""
    before = json.loads(path.read_text()) if path.is_file() else {}
    rounded = json.loads(json.dumps(results), parse_float=lambda text: float(f"{float(text):.4g}"))
    replace_durably(path, (json.dumps(dict(sorted({**before, **rounded}.items())), indent=1) + "\n").encode())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", type=Path, required=True, help="folder of motion capture")
    parser.add_argument("--fights", type=int, default=90)
    parser.add_argument("--figures", type=int, help="two to four where left out")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--reader", type=Path, help="weights; with them the drawn films are tracked")
    parser.add_argument("--finder", type=Path)
    parser.add_argument("--told", action="store_true", help="tell the tracker how many figures there are")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS / "sticks.json")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    tracked: Callable[[Iterable[Picture], int], Tracks] | None = None
    if given.reader is not None:
        reader, finder = load_reader(given.reader), load_finder(given.finder)

        def tracked(pictures: Iterable[Picture], count: int) -> Tracks:
            return track_figures(pictures, reader, finder, count if given.told else None)

    found = measure(given, tracked)
    name = "truth with noise" if tracked is None else "tracked, number told" if given.told else "tracked"
    print(json.dumps(found, indent=1))
    keep(given.output, {f"{name}, {given.figures or 'two to four'} figures": {**found, "machine": facts()}})


if __name__ == "__main__":
    main()

"""Which frames of a clip are worth painting: those whose pixels, carried along, explain most of all others.

Convention:
    A *candidate* is a frame seen at a small size. One candidate covers a pixel of another where the pixel, found in it
    by optical flow there and back, looks the same; nothing is covered across a cut.

Source:
    Greedy choice of a monotone submodular cover, which is within 1 - 1/e of the best: Nemhauser, Wolsey and Fisher, "An
    Analysis of Approximations for Maximizing Submodular Set Functions", 1978.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.flow import FlowEstimator, luma, trust, warp
from vid2vid.conditions.motion import CutDetector
from vid2vid.errors import EmptyInput
from vid2vid.motion.keyframes import search_where_worse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Frame, Picture

ROWS: Final = 72
"""Rows at which frames are compared."""
MOST_CANDIDATES: Final = 24
"""Candidates kept at any moment: each is compared with all others of its shot."""
LEAST_GAIN: Final = 0.003
"""Share of all pixels that one more key must explain for the first time, to be worth diffusing."""
LOOKS_ALIKE: Final = 0.08
"""Colour difference at which a pixel counts as half explained; the trust in carried keys falls as fast."""
RETURN_PX: Final = 1.0
"""Distance at which flow there and back halves the cover: beyond it the pixel was hidden."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Frames to paint, and what they explain."""

    frames: tuple[int, ...]
    """Numbers of the chosen frames, in the order of time."""
    covered: float
    """Share of the clip's pixels that they explain, in [0, 1]."""
    shots: int
    """Shots seen."""
    missed_shots: int
    """Shots without any chosen frame, because there are more shots than keys."""


@dataclass(slots=True)
class _Candidate:
    index: int
    shot: int
    picture: Picture
    weight: float = 1.0
    """Frames for which it stands."""


@dataclass(slots=True)
class _Gathered:
    """Candidates of a clip that is read once, thinned where they are densest whenever there are too many."""

    kept: list[_Candidate] = field(default_factory=list)
    shots: int = 1

    def add(self, candidate: _Candidate) -> None:
        self.kept.append(candidate)
        if len(self.kept) <= MOST_CANDIDATES:
            return
        gaps = [
            (later.index - earlier.index, place)
            for place, (earlier, later) in enumerate(zip(self.kept, self.kept[1:], strict=False), 1)
            if later.shot == earlier.shot
        ]
        if gaps:
            _, place = min(gaps)
        else:  # every shot has one left: the shortest goes
            place = min(range(len(self.kept)), key=lambda number: self.kept[number].weight)
        gone = self.kept.pop(place)
        if place and self.kept[place - 1].shot == gone.shot:
            self.kept[place - 1].weight += gone.weight


def choose_keys(frames: Iterable[Frame], most: int) -> Coverage:
    """Chooses the frames to paint.

    Args:
        frames: the clip, read once, in order; memory does not grow with its length.
        most: frames that may be chosen; fewer are where more would add little.

    Returns:
        One frame at least.

    Raises:
        EmptyInput: there is no frame.
    """
    gathered, detector = _Gathered(), CutDetector()
    for frame in frames:
        gathered.shots += detector(frame.pixels)
        gathered.add(_Candidate(frame.index, gathered.shots - 1, _small(frame.pixels)))
    if not gathered.kept:
        raise EmptyInput("There is not one frame to choose key frames from. Give a clip with at least one frame.")
    chosen, covered = _greedy(gathered.kept, most)
    numbers = tuple(sorted(gathered.kept[place].index for place in chosen))
    seen = {gathered.kept[place].shot for place in chosen}
    return Coverage(numbers, covered, gathered.shots, gathered.shots - len(seen))


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    rows = min(height, ROWS)
    size = (max(16, round(width * rows / height)), rows)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _greedy(candidates: list[_Candidate], most: int) -> tuple[list[int], float]:
    """Places of the chosen candidates, and the share that they cover."""
    weights = np.array([candidate.weight for candidate in candidates], np.float32)
    weights /= weights.sum()
    covers = _covers(candidates)
    now = np.zeros(covers[0].shape, np.float32)
    chosen: list[int] = []
    while len(chosen) < min(most, len(candidates)):
        gains = [float(weights @ np.maximum(cover - now, 0.0).mean(1)) for cover in covers]
        best = int(np.argmax(gains))
        if best in chosen or (chosen and gains[best] < LEAST_GAIN):
            break
        chosen.append(best)
        now = np.maximum(now, covers[best])
    return chosen, float(weights @ now.mean(1))


def _covers(candidates: list[_Candidate]) -> list[NDArray[np.float32]]:
    """For every candidate what it explains of each other: `(candidates, pixels)` in [0, 1] each."""
    greys = [luma(candidate.picture) for candidate in candidates]
    near = _steps(candidates, greys)
    fields = [_fields(candidates, greys, near, key) for key in range(len(candidates))]
    pixels = greys[0][::2, ::2].size
    covers = [np.zeros((len(candidates), pixels), np.float32) for _ in candidates]
    for i, one in enumerate(candidates):
        covers[i][i] = 1.0
        for j in fields[i]:
            there, back = (flow.astype(np.float32) for flow in (fields[i][j], fields[j][i]))
            covers[i][j] = _explained(candidates[j].picture, one.picture, there, back)
    return covers


def _steps(candidates: list[_Candidate], greys: list[Picture]) -> dict[tuple[int, int], NDArray[np.float32]]:
    """Flow from each candidate to its neighbours in the same shot, by the numbers of both."""
    search, steps = FlowEstimator("fast"), {}
    for number in range(1, len(candidates)):
        if candidates[number].shot == candidates[number - 1].shot:
            for one, other in ((number, number - 1), (number - 1, number)):
                steps[one, other] = search(greys[one], greys[other])
    return steps


def _fields(
    candidates: list[_Candidate],
    greys: list[Picture],
    near: Mapping[tuple[int, int], NDArray[np.float32]],
    key: int,
) -> dict[int, NDArray[np.float16]]:
    """Number of each other candidate of the shot -> where its pixels are in this one.

    Followed from neighbour to neighbour: a search from far away finds nothing.
    """
    search, fields = FlowEstimator("fast"), {}
    for step in (1, -1):
        carried = np.zeros((*greys[key].shape, 2), np.float32)
        number = key + step
        while 0 <= number < len(candidates) and candidates[number].shot == candidates[key].shot:
            to_last = near[number, number - step]
            carried = np.asarray(to_last + warp(carried, to_last), np.float32)
            carried = search_where_worse(greys[number], greys[key], carried, search)
            fields[number] = carried.astype(np.float16)
            number += step
    return fields


def _explained(
    picture: Picture, key: Picture, flow: NDArray[np.float32], back: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far each second pixel of a picture is found in a key."""
    alike = trust(picture, np.asarray(warp(key, flow), np.uint8), flow, LOOKS_ALIKE)
    lost = np.linalg.norm(flow + warp(back, flow), axis=-1)
    return np.asarray((alike / (1.0 + (lost / RETURN_PX) ** 2))[::2, ::2].ravel(), np.float32)

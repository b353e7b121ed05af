"""The figures of a clip and their heads, once all of it was seen: how many there are, and which head is whose."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.stick_association import TOGETHER, Heads, associate
from vid2vid.motion.stick_cast import OFTEN, Cast, settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.stick_nets import FoundHead
    from vid2vid.motion.stick_heads import HeadFollower
    from vid2vid.motion.stick_trails import Trail

    Floats = NDArray[np.float64]

_SURE: Final = 0.6
"""Score from which a head counts when figures are counted."""
_BRIDGED: Final = 16
"""Frames unseen through which a figure is taken to be there."""
_ON_TRAIL: Final = 0.05
"""Heights between a head and the trail that it is on."""


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """The heads of a clip and what was read below them."""

    follower: HeadFollower
    bodies: Mapping[tuple[int, int], NDArray[np.floating]]
    """Trail's `id` and frame -> `(2, 2)` neck and hip in pixels."""

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.follower.found)


def name_figures(sightings: Sightings, count: int | None, most: int) -> Cast | None:
    """Decides how many figures there are and whose each head is.

    Args:
        sightings: of the whole clip.
        count: how many figures there are; as many as are seen together for a tenth of the clip where None.
        most: figures taken where `count` is None.

    Returns:
        The figures: those there from the start, from left to right, then those that come; None where there is none.
    """
    first = settle(sightings.follower.trails, sightings.length, count, most)
    if first is None:
        return None
    figures = count or min(first.heads.shape[1], _seen_together(sightings.follower.found, most))
    height, radius = first.height, float(np.median(first.radii))
    owners = associate(_heads(sightings, height), figures, radius / height)
    owners = owners[:, (owners >= 0).any(0)]
    if not owners.shape[1]:
        return first
    places, seen = _places(sightings.follower.found, owners)
    start = [int(np.flatnonzero(seen[:, figure])[0]) for figure in range(owners.shape[1])]
    order = sorted(
        range(len(start)), key=lambda one: (start[one] > OFTEN * sightings.length, float(places[start[one], one, 0]))
    )
    places, seen, owners = places[:, order], seen[:, order], owners[:, order]
    present = np.stack([_bridged(column) for column in seen.T], 1)
    hidden = _hidden(places, owners, present, TOGETHER * radius)
    sizes = [
        _size(sightings.follower.trails, places[:, figure], seen[:, figure], first) for figure in range(len(order))
    ]
    return Cast(places, present, hidden, np.array([size[0] for size in sizes]), np.array([size[1] for size in sizes]))


def _seen_together(found: Sequence[Sequence[FoundHead]], most: int) -> int:
    """How many heads are surely seen at once in a tenth of the frames; at least one."""
    counts = np.array([sum(head.score >= _SURE for head in heads) for heads in found])
    return max((number for number in range(1, most + 1) if (counts >= number).mean() >= OFTEN), default=1)


def _heads(sightings: Sightings, height: float) -> list[Heads]:
    """What was found in each frame, in heights."""
    follower, result = sightings.follower, []
    alive: list[list[Trail]] = [[] for _ in follower.found]
    for trail in follower.trails:
        for frame in range(trail.start, min(len(alive), trail.start + len(trail.places))):
            alive[frame].append(trail)
    for frame, (heads, pens) in enumerate(zip(follower.found, follower.pens, strict=True)):
        places = np.array([(head.x, head.y) for head in heads]).reshape(-1, 2)
        bodies = np.full((len(heads), 2, 2), np.nan)
        for trail in alive[frame]:
            body = sightings.bodies.get((id(trail), frame))
            if body is None or not len(places) or trail.doubtful(frame):
                continue
            apart = np.linalg.norm(places - trail.places[frame - trail.start], axis=1)
            if apart.min() < _ON_TRAIL * height:
                bodies[apart.argmin()] = body
        scores = np.array([head.score for head in heads])
        result.append(Heads(places / height, scores, np.array(pens).reshape(-1, 3), bodies / height))
    return result


def _places(found: Sequence[Sequence[FoundHead]], owners: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
    """Heads `(T, K, 2)` in pixels, straight over frames without, and whether they were found, `(T, K)`."""
    seen = owners >= 0
    places = np.zeros((*owners.shape, 2))
    for figure in range(owners.shape[1]):
        frames = np.flatnonzero(seen[:, figure])
        heads = [found[frame][owners[frame, figure]] for frame in frames.tolist()]
        for axis, values in enumerate(([head.x for head in heads], [head.y for head in heads])):
            places[:, figure, axis] = np.interp(np.arange(len(owners)), frames, values)
    return places, seen


def _bridged(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """When a figure is there: where it is seen, and in short gaps."""
    result, frames = seen.copy(), np.flatnonzero(seen)
    for before, after in itertools.pairwise(frames):
        if after - before <= _BRIDGED:
            result[before:after] = True
    return result


def _hidden(places: Floats, owners: NDArray[np.intp], present: NDArray[np.bool_], reach_px: float) -> NDArray[np.bool_]:
    """`(T, K)`: figures of whose heads one was found, or that was not found so near to another that it may be its."""
    hidden = np.zeros(owners.shape, bool)
    for one, other in itertools.combinations(range(owners.shape[1]), 2):
        near = np.linalg.norm(places[:, one] - places[:, other], axis=-1) < reach_px
        shared = (owners[:, one] == owners[:, other]) & (owners[:, one] >= 0)
        lost = near & ((owners[:, one] < 0) | (owners[:, other] < 0))
        both = (shared | lost) & present[:, one] & present[:, other]
        hidden[:, [one, other]] |= both[:, None]
    return hidden


def _size(trails: Sequence[Trail], places: Floats, seen: NDArray[np.bool_], first: Cast) -> tuple[float, float]:
    """Standing height and radius of the head in pixels, by the trails that the figure's head was on."""
    heights, radii, weights = [first.height], [float(np.median(first.radii))], [1e-3]
    for trail in trails:
        stop = min(len(seen), trail.end)
        if trail.seen < 2 or stop <= trail.start:
            continue
        apart = np.linalg.norm(places[trail.start : stop] - np.array(trail.places)[: stop - trail.start], axis=1)
        weight = int((seen[trail.start : stop] & (apart < _ON_TRAIL * first.height)).sum())
        if weight:
            heights.append(trail.height)
            radii.append(trail.radius)
            weights.append(float(weight))
    return float(np.average(heights, weights=weights)), float(np.average(radii, weights=weights))

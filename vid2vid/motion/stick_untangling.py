"""Tells figures apart again after their heads were found as one: they passed one another, or met and went back."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.stick_paths import distance, follow, refine, usual_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vid2vid.conditions.stick_fit import Evidence, Shape
    from vid2vid.motion.stick_readings import Readings

    Floats = NDArray[np.float64]

_CLEARLY: Final = 0.18
"""Heights by which the exchanged figures must agree better: heads are mostly followed rightly."""
_VELOCITY_WEIGHT: Final = 3.0
"""Frames; of a change of the heads' velocity."""
_AROUND: Final = 4
"""Frames before and after over which heads have a velocity."""


def untangle(readings: Readings, evidence_of: Callable[[int, int], Evidence]) -> Readings:
    """Exchanges figures from where their heads come apart, if they were taken for one another.

    Bodies are followed through the frames in question both ways, guided by either path of the heads. On the right one
    they arrive at the poses that are read there.

    Args:
        readings: of the whole clip.
        evidence_of: gives the ink of frames from the first number up to before the second.
    """
    usual = usual_shape(readings)
    for one, other, start, stop in _encounters(readings):
        pair = np.array([one, other])
        part, evidence = readings.part(start - 1, stop + 1), evidence_of(start - 1, stop + 1)
        refined = refine(part, evidence, usual)
        doubts = [
            _distance_missed(part, evidence, usual, refined, pair, after)
            + _VELOCITY_WEIGHT * _turn(readings.heads, start, stop, pair, after)
            for after in (pair, pair[::-1])
        ]
        if doubts[1] < doubts[0] - _CLEARLY:
            readings = _exchanged(readings, pair, start, stop)
    return readings


def _encounters(readings: Readings) -> Iterator[tuple[int, int, int, int]]:
    """Pairs of figures, and the frames from which and up to before which their heads were found as one."""
    for one, other in itertools.combinations(range(readings.hidden.shape[1]), 2):
        both = readings.hidden[:, one] & readings.hidden[:, other]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], both.astype(int), [0]])))
        for start, stop in edges.reshape(-1, 2):
            if start > 0 and stop < readings.length:
                yield one, other, int(start), int(stop)


def _distance_missed(
    part: Readings,
    evidence: Evidence,
    usual: Shape,
    refined: Floats,
    pair: NDArray[np.intp],
    after: NDArray[np.intp],
) -> float:
    """How far bodies followed through all frames of `part` end from what is read, if `pair` goes on as `after`."""
    poses, heads, hidden = refined.copy(), part.heads.copy(), part.hidden.copy()
    poses[-1, pair], heads[-1, pair], hidden[:, pair] = refined[-1, after], part.heads[-1, after], True
    heads[:, pair] = _straight(heads[:, pair])
    forwards, backwards = follow(replace(part, heads=heads, hidden=hidden), evidence, usual, poses)
    missed = distance(forwards[-1, pair], poses[-1, pair]) + distance(backwards[0, pair], poses[0, pair])
    return float(missed.sum())


def _turn(heads: Floats, start: int, stop: int, pair: NDArray[np.intp], after: NDArray[np.intp]) -> float:
    """Change of the heads' velocities in heights a frame, if `pair` goes on as `after`."""
    first, last = max(0, start - 1 - _AROUND), min(len(heads) - 1, stop + _AROUND)
    before = (heads[start - 1, pair] - heads[first, pair]) / max(1, start - 1 - first)
    then = (heads[last, after] - heads[stop, after]) / max(1, last - stop)
    return float(np.linalg.norm(then - before, axis=-1).sum())


def _straight(places: Floats) -> Floats:
    """`(T, K, 2)`: from the first frame's places straight to the last's."""
    share = np.linspace(0.0, 1.0, len(places))[:, None, None]
    return np.asarray((1 - share) * places[0] + share * places[-1])


def _exchanged(readings: Readings, pair: NDArray[np.intp], start: int, stop: int) -> Readings:
    """The readings with two figures exchanged from frame `stop` on."""
    order = np.tile(np.arange(readings.present.shape[1]), (readings.length, 1))
    order[stop:, pair] = pair[::-1]
    result = readings.ordered(order)
    heads = result.heads.copy()
    heads[start - 1 : stop + 1, pair] = _straight(heads[start - 1 : stop + 1, pair])
    return replace(result, heads=heads)

"""Decides over the whole clip which found head is whose: the figures' paths together that explain all heads best.

A figure that was lost for a moment, hid behind another or was mistaken for a knee is decided here by what came after.

Convention:
    K figures, D heads in a frame, B hypotheses, A ways to hand out a frame's heads. Lengths are in standing heights;
    costs are in nats where they can be.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_HYPOTHESES: Final = 64
_MOST_HEADS: Final = {1: 6, 2: 6, 3: 5, 4: 4}
"""Heads looked at in a frame, the surest, by the number of figures."""
_MISSED: Final = 2.0
"""Cost of a figure that is there and not seen in a frame."""
_SHARED: Final = 0.4
"""Of two figures for whom one head was found."""
_UNEXPLAINED: Final = 6.0
"""Of a head of score 1 that is no figure's; none below `_LIKELY`."""
_LIKELY: Final = 0.45
_DOUBT: Final = 1.5
"""Of a figure's head of score 0."""
_ENTRY: Final = 5.0
"""Of a figure that comes, or comes back from where nobody knows."""
_PATIENCE: Final = 24
"""Frames after which a figure not seen is away."""
_SPREAD: Final = 0.03
_SPREAD_MORE: Final = 0.025
"""How far a head lies from where it is expected, and more for each frame in which it was not seen."""
_REACH: Final = 0.3
_REACH_MORE: Final = 0.05
_LONGEST_REACH: Final = 0.9
_DAMPED: Final = 0.93
"""Share of its velocity that a head not seen keeps from frame to frame."""
_NEW_VELOCITY: Final = 0.4
"""Share of a new step in the velocity."""
_PEN_SPREAD: Final = 15.0
"""Distance in CIELAB at which two pens are two for sure."""
_PEN_WEIGHT: Final = 0.8
_PEN_FRAMES: Final = 8.0
"""After which a figure's pen is known."""
_PEN_MEMORY: Final = 60.0
_BODY_SPREAD: Final = 0.12
_BODY_WEIGHT: Final = 0.6
TOGETHER: Final = 1.7
"""Radii between two figures' heads within which they may be found as one."""
_FORBIDDEN: Final = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """The heads found in one frame, in standing heights."""

    places: Floats
    """`(D, 2)`."""
    scores: Floats
    """`(D,)` in [0, 1]."""
    pens: Floats
    """`(D, 3)` CIELAB."""
    bodies: Floats
    """`(D, 2, 2)`: neck and hip as read there; NaN where nothing was."""


@dataclass(slots=True, eq=False)
class _Beam:
    """Hypotheses about all figures, the best first."""

    places: Floats
    """`(B, K, 2)`."""
    velocities: Floats
    bodies: Floats
    """`(B, K, 2, 2)`: neck and hip where they were last read."""
    pens: Floats
    """`(B, K, 3)`."""
    counts: Floats
    """`(B, K)`: frames in which the pen was seen."""
    missed: NDArray[np.intp]
    """`(B, K)`: frames since a figure was seen; -1 before it came."""
    last: NDArray[np.intp]
    """`(B, K)`: frame and head last taken, as one number."""
    costs: Floats
    """`(B,)`."""

    @classmethod
    def begin(cls, figures: int) -> _Beam:
        return cls(
            np.zeros((1, figures, 2)),
            np.zeros((1, figures, 2)),
            np.full((1, figures, 2, 2), np.nan),
            np.zeros((1, figures, 3)),
            np.zeros((1, figures)),
            np.full((1, figures), -1),
            np.full((1, figures), -1),
            np.zeros(1),
        )

    @property
    def away(self) -> NDArray[np.bool_]:
        return np.asarray((self.missed < 0) | (self.missed > _PATIENCE))


@cache
def _ways(figures: int, heads: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """`(A, K)` heads for figures, -1 for none, and `(A, D)` which heads are taken."""
    ways = np.array(list(itertools.product(range(-1, heads), repeat=figures)), np.intp)
    taken = (ways[:, :, None] == np.arange(heads)).any(1)
    return ways, taken


def associate(frames: Sequence[Heads], figures: int, radius: float) -> NDArray[np.intp]:
    """Finds whose each head is.

    Args:
        frames: the heads of T frames.
        figures: K, how many there are.
        radius: of a head, in heights.

    Returns:
        `(T, K)`: which of a frame's heads is the figure's, -1 where none is; the same one for two figures where their
        heads were found as one.

    Source: multiple hypothesis tracking (Reid 1979) with a beam of joint hypotheses; those that hold the same heads
        last are one, as in Viterbi's algorithm.
    """
    beam = _Beam.begin(figures)
    history: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    for number, heads in enumerate(frames):
        kept = np.argsort(-heads.scores)[: _MOST_HEADS[figures]]
        part = Heads(heads.places[kept], heads.scores[kept], heads.pens[kept], heads.bodies[kept])
        beam, parents, taken = _advance(beam, part, number, radius)
        history.append((parents, np.where(taken < 0, -1, np.append(kept, -1)[taken])))
    result, at = np.full((len(frames), figures), -1), int(beam.costs.argmin())
    for number in range(len(frames) - 1, -1, -1):
        parents, taken = history[number]
        result[number] = taken[at]
        at = int(parents[at])
    return result


def _advance(beam: _Beam, heads: Heads, number: int, radius: float) -> tuple[_Beam, NDArray[np.intp], NDArray[np.intp]]:
    """The beam after one more frame, which hypothesis each came from, and `(B, K)` the heads it hands out."""
    count = len(heads.scores)
    ways, used = _ways(beam.missed.shape[1], count)
    single = np.concatenate([_fits(beam, heads), _absence(beam)[..., None]], -1)
    total = sum(single[:, figure, ways[:, figure]] for figure in range(ways.shape[1]))
    total = beam.costs[:, None] + total + _together(beam, ways, radius)
    unexplained = _UNEXPLAINED * np.maximum(heads.scores - _LIKELY, 0) / (1 - _LIKELY)
    total = total + (~used * unexplained).sum(-1)
    flat = total.ravel()
    order = np.argsort(flat, kind="stable")[: 4 * _HYPOTHESES]
    parents, chosen = np.unravel_index(order[flat[order] < flat[order[0]] + 60.0], total.shape)
    parents, chosen = _distinct(beam, ways, number, parents, chosen)
    return _moved(beam, heads, ways[chosen], parents, total[parents, chosen], number), parents, ways[chosen]


def _distinct(
    beam: _Beam, ways: NDArray[np.intp], number: int, parents: NDArray[np.intp], chosen: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The best of those that hold the same heads last."""
    new = np.where(ways[chosen] < 0, beam.last[parents], 1000 * number + ways[chosen])
    _, first = np.unique(new, axis=0, return_index=True)
    first = np.sort(first)[:_HYPOTHESES]
    return parents[first], chosen[first]


def _fits(beam: _Beam, heads: Heads) -> Floats:
    """Cost of each head for each figure: `(B, K, D)`."""
    missed = np.maximum(beam.missed, 0)[..., None]
    way = heads.places - (beam.places + beam.velocities)[:, :, None]
    apart = np.hypot(way[..., 0], way[..., 1])
    cost = np.log1p((apart / (_SPREAD + _SPREAD_MORE * missed)) ** 2)
    cost[apart > np.minimum(_REACH + _REACH_MORE * missed, _LONGEST_REACH)] = _FORBIDDEN
    cost += _body_misfit(beam, heads)
    cost = np.where(beam.away[..., None], _ENTRY, cost)
    strange = np.nan_to_num(np.linalg.norm(heads.pens - beam.pens[:, :, None], axis=-1) / _PEN_SPREAD, nan=0.5)
    known = np.minimum(beam.counts / _PEN_FRAMES, 1.0)[..., None]
    return np.asarray(cost + _DOUBT * (1 - heads.scores) + _PEN_WEIGHT * known * np.minimum(strange, 2.0))


def _body_misfit(beam: _Beam, heads: Heads) -> Floats:
    """How far neck and hip lie from where they went: `(B, K, D)`."""
    expected = beam.bodies + beam.velocities[:, :, None]
    apart = np.linalg.norm(heads.bodies - expected[:, :, None], axis=-1).mean(-1)
    return np.asarray(_BODY_WEIGHT * np.minimum(np.nan_to_num(apart / _BODY_SPREAD, nan=0.5), 2.0))


def _absence(beam: _Beam) -> Floats:
    """Cost of each figure not being seen: `(B, K)`."""
    return np.where(beam.away, 0.0, _MISSED)


def _together(beam: _Beam, ways: NDArray[np.intp], radius: float) -> Floats:
    """Cost of one head for two figures: `(B, A)`."""
    total = np.zeros((len(beam.costs), len(ways)))
    expected = beam.places + beam.velocities
    for one, other in itertools.combinations(range(ways.shape[1]), 2):
        same = (ways[:, one] == ways[:, other]) & (ways[:, one] >= 0)
        apart = np.linalg.norm(expected[:, one] - expected[:, other], axis=-1)
        absent = beam.away[:, one] | beam.away[:, other] | (apart > TOGETHER * radius)
        total[:, same] += np.where(absent, _FORBIDDEN, _SHARED)[:, None]
        untold = (beam.missed[:, one] < 0) & (beam.missed[:, other] < 0)
        exchanged = (ways[:, other] >= 0) & ((ways[:, one] < 0) | (ways[:, one] > ways[:, other]))
        total[np.ix_(untold, exchanged)] = _FORBIDDEN  # who was never seen comes in order: names are free
    return total


def _moved(
    beam: _Beam, heads: Heads, taken: NDArray[np.intp], parents: NDArray[np.intp], costs: Floats, number: int
) -> _Beam:
    """The hypotheses `parents` with heads handed out."""
    seen = taken >= 0
    at = np.where(seen, taken, 0)
    if len(heads.scores):
        places, pens, bodies = heads.places[at], heads.pens[at], heads.bodies[at]
    else:
        places, pens, bodies = beam.places[parents], beam.pens[parents], beam.bodies[parents]
    before, velocity, missed = beam.places[parents], beam.velocities[parents], beam.missed[parents]
    shared = seen & (np.sum(taken[:, :, None] == taken[:, None], -1) > 1)
    new, alone = beam.away[parents], seen & ~shared
    told = alone & ~np.isnan(pens[..., 0])
    step = places - before
    share = (_NEW_VELOCITY / (1 + np.maximum(missed, 0)))[..., None]
    faster = np.where(new[..., None], 0.0, (1 - share) * velocity + share * step)
    counts = beam.counts[parents]
    grown = np.minimum(counts + 1, _PEN_MEMORY)
    learnt = beam.pens[parents] + (pens - beam.pens[parents]) / np.maximum(grown, 1)[..., None]
    drift = before + velocity
    read = alone[..., None, None] & ~np.isnan(bodies)
    return _Beam(
        np.where(alone[..., None], places, np.where(shared[..., None], 0.5 * (drift + places), drift)),
        np.where(alone[..., None], faster, _DAMPED * velocity),
        np.where(read, bodies, beam.bodies[parents] + velocity[:, :, None]),
        np.where(told[..., None], learnt, beam.pens[parents]),
        np.where(told, grown, counts),
        np.where(seen, 0, np.where(missed < 0, -1, missed + 1)),
        np.where(seen, 1000 * number + taken, beam.last[parents]),
        costs - costs.min(),
    )

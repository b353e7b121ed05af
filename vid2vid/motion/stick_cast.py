"""Decides from the trails of heads which drawn figures a clip has, and when each is there."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.stick_heads import COLOUR_SCALE
from vid2vid.motion.stick_trails import HIDDEN_SCORE, PATIENCE, Trail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEAST_SEEN: Final = 5
"""Frames in which a figure is seen at least; half the frames of shorter clips."""
_MOST_OVERLAP: Final = 0.15
"""Share of two trails of one figure in which they overlap at most."""
OFTEN: Final = 0.1
"""Share of the clip in which that many figures must be there together."""


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """The figures of a clip and where their heads are."""

    heads: NDArray[np.float64]
    """`(T, F, 2)` pixels; where a figure is away, where it was last or will be next."""
    present: NDArray[np.bool_]
    """`(T, F)`."""
    hidden: NDArray[np.bool_]
    """`(T, F)`: whether its head and another's were found as one, so that which is which is a guess."""
    heights: NDArray[np.float64]
    """`(F,)`: standing heights in pixels."""
    radii: NDArray[np.float64]
    """`(F,)`: of the heads."""

    @property
    def height(self) -> float:
        """The figures' height in pixels, as one number."""
        return float(np.median(self.heights))


def settle(trails: Sequence[Trail], length: int, count: int | None, most: int) -> Cast | None:
    """Decides which trails are figures, and joins those of one figure that left and came back.

    Args:
        trails: of the whole clip.
        length: T, number of frames.
        count: how many figures there are; as many as are there together for a tenth of the clip where None.
        most: figures taken where `count` is None.

    Returns:
        The figures: those there from the start, from left to right, then those that come; None where there is none.
    """
    least = min(_LEAST_SEEN, math.ceil(0.5 * length))
    solid = [trail for trail in trails if trail.seen >= least and trail.clear]
    together = np.zeros(length, int)
    for trail in solid:
        together[trail.start : trail.end] += 1
    usual = [number for number in range(1, most + 1) if length and (together >= number).mean() >= OFTEN]
    wanted = count or max(usual, default=0)
    slots = sorted(_joined(solid), key=lambda slot: -sum(trail.total for trail in slot))[:wanted]
    if not slots:
        return None
    slots.sort(key=lambda slot: (slot[0].start > OFTEN * length, float(slot[0].places[0][0])))
    heads, present, hidden = zip(*(_places(slot, length) for slot in slots), strict=True)
    heights = [np.average([trail.height for trail in slot], weights=[trail.seen for trail in slot]) for slot in slots]
    radii = [np.median([radius for trail in slot for radius in trail.radii]) for slot in slots]
    seen = (np.stack(heads, 1), np.stack(present, 1), np.stack(hidden, 1))
    return Cast(*seen, np.array(heights), np.array(radii))


def _joined(trails: Sequence[Trail]) -> list[list[Trail]]:
    """Trails that follow one another in time, the nearest first, as one figure.

    They may overlap a little: one that strays from its head does not end before the head's new trail begins.
    """
    slots: list[list[Trail]] = []
    for trail in sorted(trails, key=lambda one: one.start):
        free = [slot for slot in slots if slot[-1].end - trail.start <= _MOST_OVERLAP * min(slot[-1].seen, trail.seen)]
        if free:
            min(free, key=lambda slot: _strangeness(slot[-1], trail)).append(trail)
        else:
            slots.append([trail])
    return slots


def _strangeness(before: Trail, after: Trail) -> float:
    """How unlike the end of one trail the start of another is: its distance in heights, and that of its colour."""
    last = before.places[min(before.end, after.start + 1) - before.start - 1]
    away = float(np.linalg.norm(after.places[0] - last)) / after.height
    if before.colour is None or after.colour is None:
        return away
    return away + float(np.linalg.norm(before.colour - after.colour)) / COLOUR_SCALE


def _places(slot: Sequence[Trail], length: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Head `(T, 2)`, presence and whether it is hidden `(T,)` of one figure; short gaps are bridged."""
    known = {trail.start + i: trail.places[i] for trail in slot for i, score in enumerate(trail.scores) if score > 0}
    frames = sorted(known)
    places = np.array([known[frame] for frame in frames])
    every = np.arange(length)
    heads = np.stack([np.interp(every, frames, places[:, axis]) for axis in (0, 1)], -1)
    present = np.zeros(length, bool)
    present[frames] = True
    for before, after in itertools.pairwise(frames):
        if after - before <= PATIENCE:
            present[before:after] = True
    hidden = np.zeros(length, bool)
    for trail in slot:
        hidden[trail.start : trail.start + len(trail.scores)] |= np.isclose(trail.scores, HIDDEN_SCORE)
    return heads, present, hidden

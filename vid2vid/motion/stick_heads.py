"""Follows the heads of drawn figures through a clip: which one it is in the next frame, who comes and goes."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from vid2vid.motion.stick_trails import Trail, hide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.stick_nets import FoundHead

    Colours = Sequence[NDArray[np.float64]]

_SURE: Final = 0.5
"""Score at which a head nobody expected starts a new trail."""
_REACH: Final = 0.35
"""Heights that a head may lie from where it was expected; less where its score is low."""
_HELD_REACH: Final = 1.5
"""The same between drawings that are held for several frames."""
_LONGEST_REACH: Final = 0.8
"""The same where it was not seen for long."""
_CROWDED: Final = 1.6
"""Radii between two expected heads within which they may be found as one."""
_APART: Final = 0.65
"""Score at which a second head there is one, and neither hand nor knee."""
_NOTHING_NEW: Final = 3.0
"""Radii around two heads found as one in which no trail begins."""
_DOUBT_WEIGHT: Final = 0.3
"""Of a head's low score in the cost of following it, in heights."""
_COLOUR_WEIGHT: Final = 0.3
COLOUR_SCALE: Final = 60.0
"""Distance in CIELAB at which two pens are as different as they get."""
_OUTSIDE: Final = 0.35
"""Heights beyond the picture's edge at which a figure is gone."""
_FORBIDDEN: Final = 10.0


class HeadFollower:
    """Links heads from frame to frame. Lives for one clip.

    Args:
        size: width and height of the frames in pixels.
        held: whether frames are drawings far apart in time.
    """

    def __init__(self, size: tuple[int, int], *, held: bool = False) -> None:
        self._size, self._held = size, held
        self.trails: list[Trail] = []
        """All that were ever begun."""
        self.found: list[list[FoundHead]] = []
        """In each frame, with the pens that they are drawn in below."""
        self.pens: list[list[NDArray[np.float64]]] = []
        self._alive: list[Trail] = []

    def step(self, frame: int, heads: Sequence[FoundHead], colours: Colours) -> list[Trail]:
        """Takes in one frame's heads.

        Args:
            frame: its number; one more than in the call before.
            heads: found in it, down to low scores, in pixels.
            colours: `(3,)` of each head's pen in CIELAB.

        Returns:
            The trails alive in this frame; their last place is in it.
        """
        self.found.append(list(heads))
        self.pens.append(list(colours))
        rest, waiting = list(range(len(heads))), list(self._alive)
        taken: list[FoundHead] = []
        for one, other, number in [] if self._held else self._merged(heads):
            hide(one, other, heads[number])
            rest.remove(number)
            waiting = [trail for trail in waiting if trail not in (one, other)]
            taken.append(replace(heads[number], radius=_NOTHING_NEW * heads[number].radius))
        for firm in (True, False):
            ready = [trail for trail in waiting if trail.firm is firm]
            for trail, number in self._matches(ready, rest, heads, colours):
                trail.see(heads[number], colours[number])
                rest.remove(number)
                waiting.remove(trail)
                taken.append(heads[number])
        for trail in waiting:
            trail.guess()
        self._alive = [trail for trail in self._alive if not trail.lost and self._inside(trail)]
        self._begin(frame, [number for number in rest if heads[number].score >= _SURE], heads, colours, taken)
        return list(self._alive)

    def _merged(self, heads: Sequence[FoundHead]) -> list[tuple[Trail, Trail, int]]:
        """Pairs of trails that should be in one place, where only one head was found: with its number."""
        pairs: list[tuple[Trail, Trail, int]] = []
        for one, other in itertools.combinations([trail for trail in self._alive if trail.firm], 2):
            middle, reach = 0.5 * (one.expected() + other.expected()), _CROWDED * max(one.radius, other.radius)
            if np.linalg.norm(one.expected() - other.expected()) > reach:
                continue
            near = [
                number
                for number, head in enumerate(heads)
                if head.score >= _APART and math.hypot(head.x - middle[0], head.y - middle[1]) < 1.5 * reach
            ]
            if len(near) == 1 and not any(near[0] == number or {one, other} & {a, b} for a, b, number in pairs):
                pairs.append((one, other, near[0]))
        return pairs

    def _matches(
        self, trails: Sequence[Trail], rest: Sequence[int], heads: Sequence[FoundHead], colours: Colours
    ) -> list[tuple[Trail, int]]:
        """Which of the heads numbered `rest` continue which trails."""
        costs = np.full((len(trails), len(rest)), _FORBIDDEN)
        for row, trail in enumerate(trails):
            for column, number in enumerate(rest):
                costs[row, column] = self._cost(trail, heads[number], colours[number])
        pairs = zip(*linear_sum_assignment(costs), strict=True)
        return [(trails[row], rest[column]) for row, column in pairs if costs[row, column] < _FORBIDDEN]

    def _cost(self, trail: Trail, head: FoundHead, colour: NDArray[np.float64]) -> float:
        place = trail.places[-1] if self._held else trail.expected()
        distance = math.hypot(head.x - place[0], head.y - place[1]) / trail.height
        reach = _HELD_REACH if self._held else min(_REACH + 0.03 * trail.missed, _LONGEST_REACH)
        if distance > reach * min(1.0, 2 * head.score) or ((trail.hidden or self._held) and head.score < _SURE):
            return _FORBIDDEN
        strange = 0.0 if trail.colour is None else min(1.0, float(np.linalg.norm(trail.colour - colour)) / COLOUR_SCALE)
        return distance + _DOUBT_WEIGHT * (1 - head.score) + _COLOUR_WEIGHT * strange

    def _begin(
        self,
        frame: int,
        numbers: Sequence[int],
        heads: Sequence[FoundHead],
        colours: Colours,
        taken: list[FoundHead],
    ) -> None:
        """Begins trails at heads that nothing else is at."""
        for number in numbers:
            head = heads[number]
            if all(math.hypot(head.x - one.x, head.y - one.y) > one.radius for one in taken):
                trail = Trail(frame)
                trail.see(head, colours[number])
                self._alive.append(trail)
                self.trails.append(trail)
                taken.append(head)

    def _inside(self, trail: Trail) -> bool:
        margin = _OUTSIDE * trail.height
        x, y = trail.places[-1]
        return bool(-margin <= x <= self._size[0] + margin and -margin <= y <= self._size[1] + margin)

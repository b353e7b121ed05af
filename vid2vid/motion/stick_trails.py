"""The trail of one drawn head through a clip, and what happens to two trails while one head hides the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.stick_heights import standing_height

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.conditions.stick_nets import FoundHead

_FIRM_TOTAL: Final = 3.0
"""Sum of scores after which a trail is trusted and chooses among the heads before new ones do."""
_FIRM_MEAN: Final = 0.65
PATIENCE: Final = 16
"""Frames for which an unseen head of a trusted trail is waited for."""
_SHORT_PATIENCE: Final = 3
_VELOCITY_FRAMES: Final = 4
"""Over which a head's velocity is the mean: drawings tremble, and some stand for two frames."""
_RECENT: Final = 25
_LONG: Final = 120
_ENOUGH: Final = 8
"""Readings after which a figure's height is taken from its bones alone."""
_SIDE_BY_SIDE: Final = 1.4
"""Radii by which the middles of two heads found as one are apart at most."""
HIDDEN_SCORE: Final = 0.1
"""Of a place where it was found as one with another head; lower than of any head found."""
_STAND_STILL: Final = 0.9
"""Share of their velocity past one another that heads keep from frame to frame while one hides the other."""


@dataclass(slots=True, eq=False)
class Trail:
    """One head from where it first appears to where it is lost. Owned and extended by a `HeadFollower`."""

    start: int
    """Frame of its first place."""
    places: list[NDArray[np.float64]] = field(default_factory=list)
    """`(2,)` in pixels for each frame from `start` on, guessed where it was not seen."""
    scores: list[float] = field(default_factory=list)
    """Of each place; 0 where it is guessed, little where another head hid it."""
    heights: list[float] = field(default_factory=list)
    """Of the figure standing upright, in pixels, wherever it was seen."""
    radii: list[float] = field(default_factory=list)
    """Of the head, wherever it was seen."""
    lengths: list[float] = field(default_factory=list)
    """Its figure's `stretched_lengths` in pixels, wherever it was read clearly."""
    total: float = 0.0
    """Sum of the scores where it was seen."""
    colour: NDArray[np.float64] | None = None
    """Running mean of the pen's colour in CIELAB."""
    pen: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    """The pen's colour where it was last seen."""
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    missed: int = 0
    """Frames since it was last seen."""
    hidden: bool = False
    """Whether it was found as one with another head in the frame before."""

    @property
    def firm(self) -> bool:
        """Whether it is a figure's head for sure: seen often enough, and clearly."""
        return self.total >= _FIRM_TOTAL and self.clear

    @property
    def clear(self) -> bool:
        """Whether it was seen clearly on the whole."""
        return self.total >= _FIRM_MEAN * self.seen

    @property
    def lost(self) -> bool:
        """Whether it was not seen for too long."""
        return self.missed > (PATIENCE if self.firm else _SHORT_PATIENCE)

    @property
    def height(self) -> float:
        """Standing height of its figure in pixels: by its bones as soon as they are known."""
        by_head = float(np.median(self.heights[-_RECENT:]))
        if not self.lengths:
            return by_head
        by_bones = standing_height(self.lengths[-_LONG:])
        share = min(1.0, len(self.lengths) / _ENOUGH)
        return (1 - share) * by_head + share * by_bones

    @property
    def radius(self) -> float:
        """Of its head in pixels."""
        return float(np.median(self.radii[-_RECENT:]))

    @property
    def seen(self) -> int:
        """In how many frames it was seen."""
        return len(self.heights)

    @property
    def end(self) -> int:
        """Frame after the last in which it was seen."""
        return self.start + len(self.places) - self.missed

    def doubtful(self, frame: int) -> bool:
        """Whether its place in a frame is guessed, or another head's as well."""
        return self.scores[frame - self.start] <= HIDDEN_SCORE

    def expected(self) -> NDArray[np.float64]:
        """Where it should be next; `(2,)`."""
        return np.asarray(self.places[-1] + 0.8**self.missed * self.velocity)

    def see(self, head: FoundHead, colour: NDArray[np.float64]) -> None:
        """Goes on to a head found in the next frame."""
        place = np.array([head.x, head.y])
        if self.places:
            back = min(_VELOCITY_FRAMES + self.missed, len(self.places))
            self.velocity = (place - self.places[-back]) / back
        self.pen = colour
        self.colour = colour if self.colour is None else 0.9 * self.colour + 0.1 * colour
        self.go_on(place, head.score, missed=0)
        self.total += head.score
        self.heights.append(head.height)
        self.radii.append(head.radius)

    def guess(self) -> None:
        """Goes on to where it should be in the next frame."""
        self.go_on(self.expected(), 0.0, missed=self.missed + 1)

    def go_on(self, place: NDArray[np.float64], score: float, *, missed: int, hidden: bool = False) -> None:
        """Goes on to a place in the next frame."""
        self.places.append(place)
        self.scores.append(score)
        self.missed, self.hidden = missed, hidden


def hide(one: Trail, other: Trail, head: FoundHead) -> None:
    """Lets two trails go on where a single head was found for both: around it, past one another as they were going.

    Args:
        one, other: trails that should be where the head was found.
        head: found in the next frame.
    """
    found = np.array([head.x, head.y])
    apart = other.expected() - one.expected()
    apart *= min(1.0, _SIDE_BY_SIDE * one.radius / max(float(np.linalg.norm(apart)), 1e-6))
    together = found - 0.5 * (one.places[-1] + other.places[-1])
    past = _STAND_STILL * (other.velocity - one.velocity)
    for trail, side in ((one, -0.5), (other, 0.5)):
        trail.go_on(found + side * apart, HIDDEN_SCORE, missed=0, hidden=True)
    shared = 0.5 * together + 0.25 * (one.velocity + other.velocity)
    one.velocity, other.velocity = shared - 0.5 * past, shared + 0.5 * past

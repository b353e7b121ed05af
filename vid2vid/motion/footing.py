"""Where feet come down.

A foot is known to be down when it is low and rests; heels of walkers touch while the ankle is still sinking, so height
alone would be late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Curve = NDArray[np.float64]

_LOW: Final = 0.04
"""Standing heights above its rest at which a foot may be down."""
_RESTING: Final = 0.45
"""Standing heights a second below which it rests."""
_LIFTED: Final = 0.04
"""Standing heights above its rest at which it has been lifted; what slides along the ground takes no step."""
_ALOFT: Final = 0.06
"""Standing heights above its rest at which it is in the air."""
_FLIGHT_S: Final = 0.15
"""How long both feet are in the air in a jump; in running it is less."""
_TOGETHER_S: Final = 0.15
"""Feet that end one flight within this are one landing."""


@dataclass(frozen=True, slots=True)
class Touch:
    """A foot, or after a flight both, coming down."""

    time_s: float
    foot: int
    """0 or 1."""
    landing: bool
    """Whether both feet were in the air before."""
    speed: float
    """Standing heights a second at which it came down."""


def find_touches(feet: Curve, fps: float) -> list[Touch]:
    """Finds where feet come down.

    Args:
        feet: `(T, 2, 2)` in standing heights: along the ground, and above where the feet rest.
        fps: poses a second.

    Returns:
        In the order of time.
    """
    velocity = np.gradient(feet, axis=0) * fps
    speed, height = np.linalg.norm(velocity, axis=-1), feet[..., 1]
    flown = np.convolve((height > _ALOFT).all(1), np.ones(max(1, round(0.3 * fps))))[: len(feet)] / fps
    found: list[Touch] = []
    for foot in range(2):
        lifted = False
        for at in range(len(feet)):
            lifted = lifted or height[at, foot] > _LIFTED
            if lifted and height[at, foot] < _LOW and speed[at, foot] < _RESTING:
                lifted = False
                came = -float(velocity[max(0, at - round(0.2 * fps)) : at + 1, foot, 1].min())
                found.append(Touch((at - _share(speed[:, foot], at)) / fps, foot, bool(flown[at] >= _FLIGHT_S), came))
    found.sort(key=lambda touch: touch.time_s)
    return [touch for number, touch in enumerate(found) if not _second(touch, found[:number])]


def _share(speed: Curve, at: int) -> float:
    """How far before sample `at` the speed passed the limit, in samples."""
    if at == 0 or speed[at - 1] <= _RESTING:
        return 0.0
    return float((_RESTING - speed[at]) / (speed[at - 1] - speed[at]))


def _second(touch: Touch, before: list[Touch]) -> bool:
    """Whether another foot has just ended the same flight."""
    return any(other.landing and touch.time_s - other.time_s < _TOGETHER_S for other in before)

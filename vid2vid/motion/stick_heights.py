"""How tall a drawn figure stands, told by its bones in whatever poses it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.skeleton import FOOT_A, FOOT_B, HIP, KNEE_A, KNEE_B, NECK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LONGEST: Final = 85
"""Percentile of a length over many poses that is the length: limbs that point to the viewer look shorter."""
_HEIGHT: Final = 1.23
"""Standing height over the length from neck over hip to foot, in people."""


def stretched_lengths(joints: NDArray[np.floating]) -> NDArray[np.floating]:
    """Lengths from the neck over the hip to the foot of the longer leg: `(..., 11, 2)` -> `(...)`."""

    def bone(start: int, end: int) -> NDArray[np.floating]:
        return np.asarray(np.linalg.norm(joints[..., start, :] - joints[..., end, :], axis=-1))

    legs = [bone(HIP, knee) + bone(knee, foot) for knee, foot in ((KNEE_A, FOOT_A), (KNEE_B, FOOT_B))]
    return np.asarray(bone(NECK, HIP) + np.maximum(*legs))


def standing_height(lengths: Sequence[float] | NDArray[np.floating]) -> float:
    """Height from the crown to the feet of a figure with these `stretched_lengths`, in their unit; at least one."""
    return _HEIGHT * float(np.percentile(lengths, _LONGEST))

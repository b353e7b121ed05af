"""The ground that drawn figures stand on: the line drawn near their feet, or else where their feet come down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.skeleton import FOOT_A, FOOT_B

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NEAR: Final = 0.14
"""Heights between feet and a drawn line that is their ground."""


def find_ground(
    joints: NDArray[np.floating],
    present: NDArray[np.bool_],
    levels: Sequence[Sequence[tuple[float, float]]],
    height_px: float,
) -> NDArray[np.float32] | None:
    """Finds the ground.

    Args:
        joints: `(T, F, 11, 2)` pixels.
        present: `(T, F)`.
        levels: for each frame its long lines: y at x = 0 and slope.
        height_px: of a standing figure.

    Returns:
        `(2,)`: y at x = 0 and slope, or None where no figure is ever there.
    """
    feet = joints[:, :, [FOOT_A, FOOT_B]][present].reshape(-1, 2)
    if not len(feet):
        return None
    low = feet[feet[:, 1] >= np.percentile(feet[:, 1], 80)]
    x, y = np.median(low, axis=0)
    near = [
        line
        for frame in levels
        for line in _nearest(frame, float(x), float(y))
        if abs(line[0] + line[1] * x - y) < _NEAR * height_px
    ]
    if len(near) >= max(1, len(levels) // 8):
        return np.asarray(np.median(np.array(near), axis=0), np.float32)
    return np.array([np.percentile(low[:, 1], 50), 0.0], np.float32)


def _nearest(frame: Sequence[tuple[float, float]], x: float, y: float) -> list[tuple[float, float]]:
    return sorted(frame, key=lambda line: abs(line[0] + line[1] * x - y))[:1]

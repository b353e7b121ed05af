"""Which figure of one drawing is which in the next, where drawings are far apart in time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.skeleton import HEAD, HIP, NECK
from vid2vid.motion.stick_paths import distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_GOES_ON: Final = 0.7
"""Share of its movement that a figure is expected to repeat."""
_POSE_WEIGHT: Final = 0.5
"""Of a change of pose against a change of place."""
_COLOUR_WEIGHT: Final = 0.3
_COLOUR_SCALE: Final = 60.0
"""Distance in CIELAB at which two pens are as different as they get."""
_CORE: Final = (HEAD, NECK, HIP)


def order_figures(joints: Floats, colours: Floats) -> NDArray[np.intp]:
    """Orders the figures of every drawing so that each keeps its number.

    Args:
        joints: `(T, F, 11, 2)` in heights, figures in any order.
        colours: `(T, F, 3)` of their pens in CIELAB.

    Returns:
        `(T, F)`: which of a drawing's figures each is; in the first drawing they keep their order.

    Source: Viterbi's algorithm over pairs of orders; half of the cost is movement and change of pose and pen, half is
        change of movement.
    """
    length, figures = joints.shape[:2]
    orders = np.array(list(itertools.permutations(range(figures))))
    if length < 2 or figures < 2:
        return np.tile(np.arange(figures), (length, 1))
    core = joints[:, :, _CORE].mean(2)[:, orders]
    change = [
        _change(joints[i : i + 2], colours[i : i + 2])[orders[:, None], orders[None]].sum(-1) for i in range(length - 1)
    ]
    total, came_from = change[0], []
    for frame in range(2, length):
        movement = core[frame - 1][None] - core[frame - 2][:, None]
        turn = core[frame][None, None] - core[frame - 1][None, :, None] - _GOES_ON * movement[:, :, None]
        ways = total[:, :, None] + 0.5 * change[frame - 1][None] + 0.5 * np.linalg.norm(turn, axis=-1).sum(-1)
        came_from.append(ways.argmin(0))
        total = ways.min(0)
    before, last = np.unravel_index(int(total.argmin()), total.shape)
    sequence = [int(last), int(before)]
    for pointers in reversed(came_from):
        sequence.append(int(pointers[sequence[-1], sequence[-2]]))
    return _from_the_first(orders[sequence[::-1]])


def _change(joints: Floats, colours: Floats) -> Floats:
    """How unlike each figure of one drawing is to each of the next: `(F, F)`."""
    core = joints[:, :, _CORE].mean(2)
    moved = np.linalg.norm(core[0][:, None] - core[1][None], axis=-1)
    poses = joints - joints[:, :, HIP : HIP + 1]
    strange = np.minimum(np.linalg.norm(colours[0][:, None] - colours[1][None], axis=-1) / _COLOUR_SCALE, 1.0)
    return np.asarray(moved + _POSE_WEIGHT * distance(poses[0][:, None], poses[1][None]) + _COLOUR_WEIGHT * strange)


def _from_the_first(sequence: NDArray[np.intp]) -> NDArray[np.intp]:
    """The same, numbered as in the first drawing."""
    return sequence[:, np.argsort(sequence[0])]

"""Skeletons of drawn figures and of people: names of joints, bones, tracks through a clip.

Convention:
    F figures, J joints. Joints are `(..., J, 2)` float32 in pixels, x to the right, y downwards. A drawn figure's left
    cannot be told from its right; its limbs are called `a` and `b` and keep their letter through the clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STICK: Final = (
    "head", "neck", "hip",
    "elbow_a", "hand_a", "elbow_b", "hand_b",
    "knee_a", "foot_a", "knee_b", "foot_b",
)  # fmt: skip
"""Joints of a drawn figure: the middle of the head; where arms meet the trunk; where legs do; limbs outwards."""
HEAD, NECK, HIP, ELBOW_A, HAND_A, ELBOW_B, HAND_B, KNEE_A, FOOT_A, KNEE_B, FOOT_B = range(11)
BONES: Final = ((1, 2), (1, 3), (3, 4), (1, 5), (5, 6), (2, 7), (7, 8), (2, 9), (9, 10))
"""Lines drawn between joints of `STICK`, from the trunk outwards; the head is a circle around its joint."""
ARMS: Final = ((3, 4), (5, 6))
LEGS: Final = ((7, 8), (9, 10))
SWAPPED_ARMS: Final = (0, 1, 2, 5, 6, 3, 4, 7, 8, 9, 10)
"""Order of the joints with the arms' letters exchanged."""
SWAPPED_LEGS: Final = (0, 1, 2, 3, 4, 5, 6, 9, 10, 7, 8)

BODY: Final = (
    "head", "neck", "hip",
    "shoulder_l", "elbow_l", "hand_l", "shoulder_r", "elbow_r", "hand_r",
    "thigh_l", "knee_l", "foot_l", "thigh_r", "knee_r", "foot_r",
)  # fmt: skip
"""Joints of a person: the drawn figure's, and the roots of its limbs. `l` is the person's own left. `neck` is midway
between the shoulders, `hip` midway between the thighs, `foot` the ankle, `hand` the wrist."""
STICK_IN_BODY: Final = (0, 1, 2, 4, 5, 7, 8, 10, 11, 13, 14)
"""Where the joints of `STICK` stand in `BODY`, `a` being the left."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Drawn figures followed through a clip."""

    joints: NDArray[np.float32]
    """`(T, F, 11, 2)` in pixels of the clip's frames, joints as in `STICK`; figures keep their number."""
    present: NDArray[np.bool_]
    """`(T, F)`: whether the figure is in the picture. Where it is not, its joints are where they were last or will
    be next."""
    heights: NDArray[np.float32]
    """`(F,)`: height of each figure standing upright, in pixels, from the crown to the feet."""
    ground: NDArray[np.float32] | None
    """`(2,)`: the drawn ground, y = ground[0] + ground[1] * x; None where none is drawn and no foot tells it."""

    @property
    def length(self) -> int:
        """Number of frames."""
        return int(self.joints.shape[0])

    @property
    def figures(self) -> int:
        """Number of figures."""
        return int(self.joints.shape[1])


def nearest_letters(joints: NDArray[np.float32], towards: NDArray[np.float32]) -> NDArray[np.float32]:
    """Exchanges arms and legs where that brings a figure nearer to another.

    Args:
        joints: `(11, 2)`.
        towards: `(11, 2)`, the figure to come near to.

    Returns:
        `(11, 2)`, a copy.
    """
    result = joints.copy()
    for limbs, order in ((slice(3, 7), SWAPPED_ARMS), (slice(7, 11), SWAPPED_LEGS)):
        other = joints[list(order)][limbs]
        kept = np.linalg.norm(joints[limbs] - towards[limbs], axis=-1).sum()
        if np.linalg.norm(other - towards[limbs], axis=-1).sum() < kept:
            result[limbs] = other
    return result

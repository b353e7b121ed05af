"""One person's motion on another person's proportions.

Convention:
    Joints as in `vid2vid.motion.skeleton.BODY`. Lengths of bones are in body heights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vid2vid.motion.skeleton import BODY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_BONES: Final = (
    ("hip", "neck"), ("neck", "head"), ("neck", "shoulder_l"), ("neck", "shoulder_r"),
    ("shoulder_l", "elbow_l"), ("elbow_l", "hand_l"), ("shoulder_r", "elbow_r"), ("elbow_r", "hand_r"),
    ("hip", "thigh_l"), ("hip", "thigh_r"),
    ("thigh_l", "knee_l"), ("knee_l", "foot_l"), ("thigh_r", "knee_r"), ("knee_r", "foot_r"),
)  # fmt: skip
"""From the hip outwards."""
_START: Final = tuple(BODY.index(start) for start, _ in _BONES)
_END: Final = tuple(BODY.index(end) for _, end in _BONES)
_TWINS: Final = ((2, 3), (4, 6), (5, 7), (8, 9), (10, 12), (11, 13))
"""Bones of left and right, which are equally long."""
_RATIO: Final = (0.82, 1.22)
"""Limits of what a bone may become longer or shorter: more is an error of measuring."""
_SEEN: Final = 0.5
"""Visibility of both ends from which a bone is measured."""
_LEGS: Final = ((9, 10, 11), (12, 13, 14))
_LEANS: Final = 0.05
"""Body heights by which a foot has to be higher for the body to stand on the other one."""
_SETTLES_S: Final = 0.05
"""Time over which the body's weight goes from one foot to the other."""


def bone_lengths(joints: Floats, depth: Floats, heights: Floats, visibility: Floats) -> Floats:
    """Lengths of a person's bones in space.

    Args:
        joints: `(N, 15, 2)` px, of N pictures.
        depth: `(N, 15)` body heights.
        heights: `(N,)` standing height in px.
        visibility: `(N, 15)`.

    Returns:
        `(14,)` medians, left and right alike.
    """
    start, end = list(_START), list(_END)
    flat = (joints[:, end] - joints[:, start]) / heights[:, None, None]
    away = depth[:, end] - depth[:, start]
    lengths = np.sqrt(np.square(flat).sum(-1) + np.square(away))
    seen = np.minimum(visibility[:, end], visibility[:, start]) > _SEEN
    result = np.array(
        [np.median(column[ok] if ok.any() else column) for column, ok in zip(lengths.T, seen.T, strict=True)]
    )
    for left, right in _TWINS:
        result[[left, right]] = result[[left, right]].mean()
    return result.astype(np.float32)


def retarget(joints: Floats, heights: Floats, driver: Floats, actor: Floats, fps: float) -> Floats:
    """Puts a motion on another body, standing height to standing height, feet on the same places.

    Every bone keeps its direction and its foreshortening and takes on the actor's length; then the body is moved so
    that the foot it stands on is where it was, and the legs are bent to reach both places.

    Args:
        joints: `(T, 15, 2)` px.
        heights: `(T,)` px, standing.
        driver, actor: `(14,)` lengths as `bone_lengths` gives.
        fps: frames a second.

    Returns:
        `(T, 15, 2)` px.
    """
    ratios = np.clip(actor / np.maximum(driver, 1e-3), *_RATIO)
    made = np.empty_like(joints)
    made[:, 2] = joints[:, 2]
    for start, end, ratio in zip(_START, _END, ratios, strict=True):
        made[:, end] = made[:, start] + (joints[:, end] - joints[:, start]) * ratio
    missed = joints[:, [11, 14]] - made[:, [11, 14]]
    lead = (joints[:, 11, 1] - joints[:, 14, 1]) / heights / _LEANS
    left = gaussian_filter1d(0.5 + 0.5 * np.tanh(lead), max(0.3, _SETTLES_S * fps), mode="nearest")
    made += (left[:, None] * missed[:, 0] + (1.0 - left[:, None]) * missed[:, 1])[:, None]
    for _, knee, foot in _LEGS:
        left_over = joints[:, foot] - made[:, foot]
        made[:, knee] += 0.5 * left_over
        made[:, foot] = joints[:, foot]
    return made

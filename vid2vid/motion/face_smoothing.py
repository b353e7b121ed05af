"""Landmarks of a clip made steady, without lag and without losing blinks.

Convention:
    Landmarks as in `vid2vid.motion.face_mesh`, `(T, 478, 3)` for T frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter
from scipy.spatial.transform import Rotation

from vid2vid.motion.face_goal import neutral_shape, pose_between
from vid2vid.motion.face_mesh import INNER_LIPS, IRISES, LIDS, OUTER_LIPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]

_QUICK: Final = sorted({*INNER_LIPS, *OUTER_LIPS, *(point for lids in LIDS for lid in lids for point in lid)})
"""Points of lids and lips, which move within a few frames."""
_LOOKING: Final = [point for iris in IRISES for point in iris]
_POSE_S: Final = 0.25
"""Seconds that a parabola is fitted to for the head's pose: it keeps nods, which a mean would flatten."""
_SHAPE_S: Final = 0.065
"""Standard deviation in seconds for what is left of the shape: it changes slowly."""
_QUICK_S: Final = 0.022
"""The same for lids and lips: a blink takes 0.1 to 0.2."""
_LOOKING_S: Final = 0.045
"""The same for irises, whose landmarks wander in small eyes."""


def smoothed(points: Floats, present: NDArray[np.bool_], fps: float) -> Floats:
    """Smooths a face's landmarks over time, from both sides: strongly its pose and rim, lightly lids and lips.

    Args:
        points: `(T, 478, 3)`.
        present: `(T,)`, whether the face is there; stretches between are smoothed by themselves, so mark a cut as
            absent or give the shots one by one.
        fps: frames a second.

    Source: Savitzky and Golay, "Smoothing and Differentiation of Data by Simplified Least Squares Procedures", 1964,
        for turn, size and place of the head; Gaussian means for the shape that is left in the head's own axes.

    Returns:
        `(T, 478, 3)` float32; frames without the face as they were.
    """
    steady = np.array(points, np.float32)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(present, bool), [False]])))
    for start, end in edges.reshape(-1, 2).tolist():
        if end - start > 3:
            steady[start:end] = _run(steady[start:end], fps)
    return steady


def _run(points: Floats, fps: float) -> Floats:
    """`(T, 478, 3)` smoothed, with the face in all of them."""
    shape = neutral_shape(points)
    poses = [pose_between(shape, one) for one in points]
    own = np.stack([pose.undone(one) for pose, one in zip(poses, points, strict=True)]).astype(np.float64)
    turns = Rotation.from_matrix(np.stack([pose.turn for pose in poses]))
    # Turns are smoothed as they differ from their mean: there the three numbers behave like a plain space.
    middle = turns.mean()
    sizes = np.log([max(pose.size, 1e-6) for pose in poses])
    state = np.column_stack([(middle.inv() * turns).as_rotvec(), sizes, [pose.place for pose in poses]])
    state = _parabolas(state, fps)
    calm = gaussian_filter1d(own, _SHAPE_S * fps, axis=0)
    calm[:, _QUICK] = gaussian_filter1d(own[:, _QUICK], _QUICK_S * fps, axis=0)
    calm[:, _LOOKING] = gaussian_filter1d(own[:, _LOOKING], _LOOKING_S * fps, axis=0)
    turned = np.einsum("tpd,tkd->tpk", calm, (middle * Rotation.from_rotvec(state[:, :3])).as_matrix())
    return np.asarray(np.exp(state[:, 3])[:, None, None] * turned + state[:, None, 4:], np.float32)


def _parabolas(values: Doubles, fps: float) -> Doubles:
    """`(T, C)` smoothed over time; the window is odd and no longer than the clip."""
    count = len(values)
    window = min(2 * round(_POSE_S * fps / 2) + 1, count - 1 + count % 2)
    if window < 5:
        return values
    return np.asarray(savgol_filter(values, window, 2, axis=0, mode="interp"), np.float64)

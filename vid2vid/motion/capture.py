"""Motion capture in the JSON form of DeepMimic's humanoid, as stick figures in space.

Source: Peng et al. 2018, "DeepMimic", whose humanoid3d clips PyPI's pybullet carries; bone lengths and the order of the
44 numbers of a frame are read off its humanoid.urdf.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.spatial.transform import Rotation

from vid2vid.errors import InvalidFrames
from vid2vid.motion.skeleton import STICK

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STANDING_M: Final = 1.62
"""Height of the humanoid from the crown to the soles."""
_SCALE: Final = 0.25
_CHEST, _NECK, _HEAD = (0.0, 0.944604, 0.0), (0.0, 0.895576, 0.0), (0.0, 0.7, 0.0)
_SHOULDER, _HIP = (-0.0962, 0.974, 0.73244), (0.0, 0.0, 0.339548)
_HINGE: Final = np.array([0.0, 0.0, 1.0])
"""Axis of knees and elbows."""
_UPPER_ARM, _FOREARM, _THIGH, _SHIN = 1.099152, 1.035788, 1.686184, 1.63948


def read_motion(path: Path, fps: float) -> NDArray[np.float32]:
    """Reads a clip of motion capture.

    Args:
        path: a `humanoid3d_*.txt` file: JSON with `Frames`, 44 numbers each: duration, root's place and quaternion
            (w first), then joints' rotations.
        fps: rate to resample to.

    Returns:
        `(T, 11, 3)` metres, joints as in `STICK` with `a` the left side; y upwards, the figure looks along x.

    Raises:
        InvalidFrames: the file does not hold such frames.
    """
    try:
        frames = np.asarray(json.loads(path.read_text())["Frames"], float)
        durations, poses = frames[:, 0], frames[:, 1:44]
        if poses.shape[1] != 43:
            raise ValueError("a frame has 44 numbers")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InvalidFrames(f"'{path}' is no humanoid3d motion ({error}). Give a file of DeepMimic's form.") from error
    times = np.r_[0.0, np.cumsum(durations[:-1])]
    joints = _joints(poses)
    wanted = np.arange(int(times[-1] * fps) + 1) / fps
    flat = joints.reshape(len(joints), -1)
    resampled = np.stack([np.interp(wanted, times, column) for column in flat.T], axis=1)
    return resampled.reshape(len(wanted), *joints.shape[1:]).astype(np.float32)


def _joints(poses: NDArray[Any]) -> NDArray[np.float64]:
    """`(T, 43)` numbers without the duration -> `(T, 11, 3)`."""
    root = Rotation.from_quat(poses[:, 3:7], scalar_first=True)
    chest = root * Rotation.from_quat(poses[:, 7:11], scalar_first=True)
    neck = chest * Rotation.from_quat(poses[:, 11:15], scalar_first=True)
    found = {"hip": poses[:, :3]}
    base = found["hip"] + root.apply(_scaled(_CHEST))
    found["neck"] = base + chest.apply(_scaled((_SHOULDER[0], _SHOULDER[1], 0.0)))
    found["head"] = base + chest.apply(_scaled(_NECK)) + neck.apply(_scaled(_HEAD))
    for letter, side, leg, arm in (("a", -1, 29, 38), ("b", 1, 15, 24)):
        thigh = root * Rotation.from_quat(poses[:, leg : leg + 4], scalar_first=True)
        shin = thigh * Rotation.from_rotvec(poses[:, leg + 4, None] * _HINGE)
        top = found["hip"] + root.apply(_scaled((0.0, 0.0, side * _HIP[2])))
        found[f"knee_{letter}"] = top + thigh.apply(_scaled((0.0, -_THIGH, 0.0)))
        found[f"foot_{letter}"] = found[f"knee_{letter}"] + shin.apply(_scaled((0.0, -_SHIN, 0.0)))
        upper = chest * Rotation.from_quat(poses[:, arm : arm + 4], scalar_first=True)
        lower = upper * Rotation.from_rotvec(poses[:, arm + 4, None] * _HINGE)
        root_of_arm = base + chest.apply(_scaled((_SHOULDER[0], _SHOULDER[1], side * _SHOULDER[2])))
        found[f"elbow_{letter}"] = root_of_arm + upper.apply(_scaled((0.0, -_UPPER_ARM, 0.0)))
        found[f"hand_{letter}"] = found[f"elbow_{letter}"] + lower.apply(_scaled((0.0, -_FOREARM, 0.0)))
    return np.stack([found[name] for name in STICK], axis=1)


def _scaled(offset: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.asarray(offset) * _SCALE


def project(joints: NDArray[np.float32], yaw: float = 0.0, mirrored: bool = False) -> NDArray[np.float32]:
    """Looks at a figure from the side.

    Args:
        joints: `(..., J, 3)` metres as `read_motion` gives.
        yaw: radians by which the camera goes around the figure; at 0 it looks to the right.
        mirrored: whether it looks to the left instead.

    Returns:
        `(..., J, 2)` in standing heights, x to the right, y downwards.
    """
    x = joints[..., 0] * np.cos(yaw) + joints[..., 2] * np.sin(yaw)
    flat = np.stack([-x if mirrored else x, -joints[..., 1]], axis=-1) / STANDING_M
    return flat.astype(np.float32)

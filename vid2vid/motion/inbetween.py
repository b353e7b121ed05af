"""Drawings between key drawings: every key is met, limbs keep their length, planted feet stay where they are.

Convention:
    K key drawings, F figures, joints as in `STICK`. A bone is the vector from its inner to its outer joint.

Source: Catmull and Rom 1974 for the slopes; two-bone reach and reflection are textbook. Angles alone, interpolated from
bone to bone, lost to straight lines on captured motion seen from the side (3.0 % of the standing height against 3.1,
and 24 % worse on a backflip): a limb that swings towards the viewer shortens, and its angle jumps. So a bone is lifted
into depth by what is missing from its full length, turned there, and seen again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from vid2vid.errors import InvalidFrames
from vid2vid.motion.skeleton import ARMS, HEAD, HIP, LEGS, NECK, STICK

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

PLANTED: Final = 0.04
"""Hands and feet that two successive drawings show nearer to each other than this, in body heights, did not move."""
_TREE: Final = ((HIP, NECK), (NECK, HEAD), (NECK, 3), (3, 4), (NECK, 5), (5, 6), (HIP, 7), (7, 8), (HIP, 9), (9, 10))
"""Inner and outer joint of every bone, inner ones first."""
_ALIKE: Final = ((0,), (1,), (2, 4), (3, 5), (6, 8), (7, 9))
"""Bones of `_TREE` that have one length."""
_LIMBS: Final = (*((NECK, *arm) for arm in ARMS), *((HIP, *leg) for leg in LEGS))
"""Root, middle and tip of every limb."""
_STIFF: Final = 0.75
"""How far a turning bone keeps its length; the rest takes the straight way, which is the safe one when in doubt."""
_SURE_DEG, _UNSURE_DEG = 80.0, 140.0
"""Turns from key to key below which their direction is certain, and above which it could be the other one."""


def inbetween(joints: ArrayLike, times: ArrayLike, wanted: ArrayLike) -> NDArray[np.float32]:
    """Draws figures at any times between key drawings.

    Args:
        joints: `(K, F, 11, 2)` pixels of the key drawings.
        times: `(K,)` of the keys, rising, in any unit.
        wanted: `(T,)` in the same unit; before the first and after the last key the figures stand still.

    Returns:
        `(T, F, 11, 2)` float32; at a key's time, the key itself.

    Raises:
        InvalidFrames: shapes that do not fit, times that do not rise, or numbers that are not finite.
    """
    keys, at = np.asarray(joints, np.float64), np.asarray(times, np.float64)
    _check(keys, at)
    asked = np.clip(np.asarray(wanted, np.float64), at[0], at[-1])
    if len(keys) == 1:
        return np.repeat(keys, len(asked), axis=0).astype(np.float32)
    segment = np.clip(np.searchsorted(at, asked, side="right") - 1, 0, len(at) - 2)
    share = (asked - at[segment]) / (at[segment + 1] - at[segment])
    drawn = _jointed(_smooth(keys[:, :, HIP], at)(asked), _turned(keys, at, asked, segment))
    for limb in _LIMBS:
        _finish_limb(drawn, keys, limb, segment, share)
    for k, time in enumerate(at):
        drawn[asked == time] = keys[k]  # rounding aside they are met already
    return drawn.astype(np.float32)


def _check(keys: Array, times: Array) -> None:
    if keys.ndim != 4 or keys.shape[2:] != (len(STICK), 2) or times.shape != keys.shape[:1] or not len(times):
        raise InvalidFrames(
            f"Key drawings of shape {keys.shape} at times of shape {times.shape}: (K, figures, {len(STICK)}, 2) and "
            "(K,) are needed, K at least 1."
        )
    if not (np.isfinite(keys).all() and (np.diff(times) > 0).all()):
        raise InvalidFrames("Key drawings need finite joints and times that rise from each to the next.")


def _smooth(values: Array, times: Array) -> CubicHermiteSpline:
    """Spline through the keys; a thrown body's parabola comes out exactly between inner keys."""
    return CubicHermiteSpline(times, values, np.gradient(values, times, axis=0))


def _turned(keys: Array, times: Array, wanted: Array, segment: NDArray[np.int64]) -> Array:
    """Bones at the wanted times, `(T, F, 10, 2)`."""
    inner, outer = (list(side) for side in zip(*_TREE, strict=True))
    flat = keys[:, :, outer] - keys[:, :, inner]
    lengths = np.linalg.norm(flat, axis=-1)
    full = np.empty(lengths.shape[1:])
    for alike in _ALIKE:
        full[:, alike] = lengths[:, :, alike].max((0, 2))[:, None]
    depth = np.sqrt(np.maximum(full**2 - lengths**2, 0.0))
    lifted = np.concatenate([flat, depth[..., None]], axis=-1)
    between = _smooth(lifted, times)(wanted)
    towards: Any = lifted / np.maximum(full, 1e-9)[None, ..., None]
    turn = np.degrees(np.arccos(np.clip((towards[1:] * towards[:-1]).sum(-1), -1, 1)))
    stiff = _STIFF * np.clip((_UNSURE_DEG - turn) / (_UNSURE_DEG - _SURE_DEG), 0, 1)[segment]
    stretch = full / np.maximum(np.linalg.norm(between, axis=-1), 1e-9)
    bones: Array = between[..., :2] * (1 + stiff * (stretch - 1))[..., None]
    return bones


def _jointed(hip: Array, bones: Array) -> Array:
    """Puts bones together from the hip outwards."""
    joints = np.empty((*bones.shape[:2], len(STICK), 2))
    joints[:, :, HIP] = hip
    for number, (inner, outer) in enumerate(_TREE):
        joints[:, :, outer] = joints[:, :, inner] + bones[:, :, number]
    return joints


def _finish_limb(
    drawn: Array, keys: Array, limb: tuple[int, int, int], segment: NDArray[np.int64], share: Array
) -> None:
    """Holds a planted tip in place and keeps the side to which the limb bends, in place."""
    root, middle, tip = limb
    here, there = keys[segment, :, tip], keys[segment + 1, :, tip]
    planted = np.linalg.norm(there - here, axis=-1) < PLANTED * _heights(keys)
    eased = (share * share * (3 - 2 * share))[:, None, None]
    missing = (here + (there - here) * eased - drawn[:, :, tip]) * planted[..., None]
    drawn[:, :, tip] += missing
    drawn[:, :, middle] += missing / 2
    bends = _bend(keys[:, :, root], keys[:, :, middle], keys[:, :, tip])
    bend = _bend(drawn[:, :, root], drawn[:, :, middle], drawn[:, :, tip])
    wrong = (bends[segment] * bends[segment + 1] > 0) & (bend * bends[segment] < 0)
    axis = drawn[:, :, tip] - drawn[:, :, root]
    square = np.maximum((axis**2).sum(-1, keepdims=True), 1e-9)
    offset = drawn[:, :, middle] - drawn[:, :, root]
    along = axis * (offset * axis).sum(-1, keepdims=True) / square
    drawn[:, :, middle] -= 2 * (offset - along) * wrong[..., None]


def _bend(root: Array, middle: Array, tip: Array) -> Array:
    """Positive where a limb bends to one side, negative where to the other."""
    upper, lower = middle - root, tip - middle
    side: Array = upper[..., 0] * lower[..., 1] - upper[..., 1] * lower[..., 0]
    return side


def _heights(keys: Array) -> Array:
    """Standing height of every figure as its longest bones tell it, `(F,)`."""
    chain = ((HEAD, NECK), (NECK, HIP), (HIP, 7), (7, 8))
    longest = [np.linalg.norm(keys[:, :, a] - keys[:, :, b], axis=-1).max(0) for a, b in chain]
    total: Array = np.sum(longest, axis=0) * 1.1  # the crown is above the head's middle, the sole below the ankle
    return total

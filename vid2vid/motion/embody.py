"""From a drawn figure to a body: its shoulders and thighs, which way it faces, which arm goes with which leg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vid2vid.motion.skeleton import (
    ARMS,
    BODY,
    FOOT_A,
    FOOT_B,
    HAND_A,
    HAND_B,
    HEAD,
    HIP,
    LEGS,
    NECK,
    STICK_IN_BODY,
    SWAPPED_ARMS,
)  # fmt: skip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.actor import View

    Field = NDArray[np.float32]

_ROOTS: Final = (3, 6, 9, 12)
"""Shoulders and thighs in `BODY`."""
_STEADY_S: Final = 0.35
"""Evidence of which way a figure faces is gathered over about this long."""
_SWITCH: Final = 0.15
"""How far the evidence must lean to the other side before a figure turns round; a clear sign gives 0.5."""


def embody(stick: Field, view: View, scale: float) -> Field:
    """Gives a drawn figure the trunk and head of an actor.

    Drawn joints stay where they are. Shoulders and thighs follow the spine as in the view; the head keeps its drawn
    direction and has the actor's distance from the neck.

    Args:
        stick: `(11, 2)` px, joints as in `STICK`, `a` the left.
        view: whose trunk is taken; it faces the way the figure shall.
        scale: px of the drawing per px of the view.

    Returns:
        `(15, 2)` float32 px, joints as in `BODY`.
    """
    body = np.empty((len(BODY), 2), np.float32)
    body[list(STICK_IN_BODY)] = stick
    spine, own = stick[NECK] - stick[HIP], view.joints[1] - view.joints[2]
    length, own_length = max(float(np.hypot(*spine)), 1e-2), max(float(np.hypot(*own)), 1e-2)
    up, own_up = spine / length, own / own_length
    for root in _ROOTS:
        base = 1 if root in (3, 6) else 2
        offset = view.joints[root] - view.joints[base]
        along = float(offset @ own_up) * length / own_length
        across = float(offset @ _across(own_up)) * scale
        body[root] = body[base] + along * up + across * _across(up)
    nod = stick[HEAD] - stick[NECK]
    reach = scale * float(np.hypot(*(view.joints[0] - view.joints[1])))
    body[0] = stick[NECK] + reach * nod / max(float(np.hypot(*nod)), 1e-2)
    return body


def _across(up: Field) -> Field:
    return np.array((-up[1], up[0]), np.float32)


def facings(joints: Field, heights: Field, fps: float) -> Field:
    """Tells which way drawn figures face.

    A figure faces its nearest opponent, the way it moves, and the way its knees bend forwards and its hands are held;
    it turns round only where these together clearly say so.

    Args:
        joints: `(T, F, 11, 2)` px.
        heights: `(F,)` px, standing.
        fps: frames per second.

    Returns:
        `(T, F)` float32: +1 to the right, -1 to the left.
    """
    count, figures = joints.shape[:2]
    result = np.empty((count, figures), np.float32)
    for figure in range(figures):
        own = joints[:, figure] / heights[figure]
        evidence = 0.6 * _opponent(joints, figure, float(heights[figure]))
        evidence += 0.5 * np.tanh(_speed(own[:, HIP, 0], fps) / 0.8)
        evidence += 0.6 * _bends(own)
        result[:, figure] = _turned(gaussian_filter1d(evidence, _STEADY_S * fps, axis=0, mode="nearest"))
    return result


def _opponent(joints: Field, figure: int, height: float) -> Field:
    """`(T,)` in [-1, 1]: on which side the nearest other figure is; 0 where there is none."""
    others = [other for other in range(joints.shape[1]) if other != figure]
    if not others:
        return np.zeros(len(joints), np.float32)
    offsets = joints[:, others, HIP, 0] - joints[:, figure, None, HIP, 0]
    nearest = np.take_along_axis(offsets, np.abs(offsets).argmin(axis=1)[:, None], axis=1)[:, 0]
    return np.asarray(np.tanh(nearest / (0.25 * height)), np.float32)


def _speed(x: Field, fps: float) -> Field:
    if len(x) < 2:
        return np.zeros_like(x)
    return np.asarray(gaussian_filter1d(np.gradient(x), 0.2 * fps, mode="nearest") * fps, np.float32)


def _bends(own: Field) -> Field:
    """`(T,)`: knees stand out forwards of the line from hip to foot, elbows backwards, hands before the trunk."""
    spine = own[:, NECK] - own[:, HIP]
    spine = spine / np.maximum(np.linalg.norm(spine, axis=-1, keepdims=True), 1e-3)
    right = np.stack([-spine[:, 1], spine[:, 0]], axis=-1)
    total = np.zeros(len(own), np.float32)
    for knee, foot in LEGS:
        total += 5.0 * _stands_out(own[:, HIP], own[:, knee], own[:, foot])
    for elbow, hand in ARMS:
        total -= 2.5 * _stands_out(own[:, NECK], own[:, elbow], own[:, hand])
        total += 1.0 * ((own[:, hand] - own[:, NECK]) * right).sum(-1)
    return np.tanh(total)


def _stands_out(root: Field, middle: Field, tip: Field) -> Field:
    """`(T,)` heights by which a limb's middle stands out to the right of the way from tip to root."""
    line = root - tip
    across = np.stack([-line[:, 1], line[:, 0]], axis=-1) / np.maximum(
        np.linalg.norm(line, axis=-1, keepdims=True), 0.15
    )
    return np.asarray(((middle - 0.5 * (root + tip)) * across).sum(-1), np.float32)


def _turned(evidence: Field) -> Field:
    """Signs of the evidence, changed only where it passes `_SWITCH` on the other side."""
    sign = 1.0 if float(evidence[: max(1, len(evidence) // 4)].mean()) >= 0.0 else -1.0
    result = np.empty(len(evidence), np.float32)
    for index, value in enumerate(evidence):
        if value * sign < -_SWITCH:
            sign = -sign
        result[index] = sign
    return result


def contralateral(joints: Field) -> Field:
    """Exchanges a figure's arms where that makes them swing against the legs of their side, as in walking.

    Args:
        joints: `(T, 11, 2)` of one figure, letters kept through the clip.

    Returns:
        `(T, 11, 2)`; the same exchange in every frame.
    """
    hip = joints[:, HIP, 0]
    arms = joints[:, HAND_A, 0] - joints[:, HAND_B, 0]
    legs = joints[:, FOOT_A, 0] - joints[:, FOOT_B, 0]
    if float(((arms - arms.mean()) * (legs - legs.mean())).sum()) <= 0.0 or not np.isfinite(hip).all():
        return joints
    return joints[:, list(SWAPPED_ARMS)]

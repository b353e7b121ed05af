"""What a blow does to the one who takes it: thrown back, bent, stumbling or falling on the back.

Convention:
    As in `fight_moves`, in the fight's own space: `away` is +1 or -1, the direction along x in which the blow goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.data.fight_moves import RATE
from vid2vid.motion.skeleton import ARMS, BONES, FOOT_A, FOOT_B, HEAD, HIP, LEGS, NECK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.data.fight_moves import Motion

    Pose = NDArray[np.float64]
    Curve = NDArray[np.float64]

_FLOOR_M: Final = 0.04


@dataclass(frozen=True, slots=True)
class Blow:
    """How a blow takes effect."""

    away: int
    speed: float
    """Metres a second that it gives to the trunk."""
    rise_s: float
    """Until that speed is reached."""
    high: bool
    """Whether it meets chest or head; otherwise the belly: then the body folds."""


def stagger(pose: Pose, blow: Blow, facing: int, rng: np.random.Generator) -> Motion:
    """Knocked back, on the feet.

    Args:
        pose: `(11, 3)` at the moment of contact.
        blow: what happens.
        facing: +1 or -1, to which side the knees bend.
        rng: decides the details.
    """
    time = np.arange(round(rng.uniform(0.8, 1.1) * RATE)) / RATE
    decay = rng.uniform(0.1, 0.2)
    speed = blow.speed * _risen(time, blow.rise_s, rng) * np.exp(-np.maximum(time - blow.rise_s, 0) / decay)
    shift = np.cumsum(speed) / RATE * blow.away
    peak = rng.uniform(0.14, 0.24)
    swing = (time / peak * np.exp(1 - time / peak)) ** 2
    folds = -rng.uniform(0.05, 0.13) * blow.speed  # the head keeps its place at first
    lean = (rng.uniform(0.15, 0.5) if blow.high else folds) * blow.away * swing
    motion = np.repeat(pose[None], len(time), 0)
    motion[:, HIP, 0] += shift
    motion[:, HIP, 1] -= rng.uniform(0.03, 0.1) * swing
    motion[:, NECK] = motion[:, HIP] + _rotated(pose[NECK] - pose[HIP], lean)
    whip = lean + blow.away * rng.uniform(-0.3, 0.5) * (time / 0.1 * np.exp(1 - time / 0.1)) ** 2
    motion[:, HEAD] = motion[:, NECK] + _rotated(pose[HEAD] - pose[NECK], whip)
    _trail_arms(motion, pose, lean, rng)
    _stumble(motion, pose, float(shift[-1]), rng)
    _bend_legs(motion, pose, facing)
    return motion


def _risen(time: Curve, rise_s: float, rng: np.random.Generator) -> Curve:
    """From 0 to 1 within the rise, in one of the ways in which bodies and animators do it."""
    share = np.clip(time / rise_s, 0, 1)
    shapes = (share, share**2 * (3 - 2 * share), np.sin(share * np.pi / 2), 1 - (1 - share) ** 2)
    return np.asarray(shapes[int(rng.integers(len(shapes)))])


def _rotated(vector: NDArray[np.float64], towards: Curve) -> NDArray[np.float64]:
    """An upright vector `(3,)` leaning towards +x by angles `(N,)`: `(N, 3)`."""
    sine, cosine = np.sin(towards), np.cos(towards)
    x, y = vector[0] * cosine + vector[1] * sine, -vector[0] * sine + vector[1] * cosine
    return np.stack([x, y, np.full(len(towards), vector[2])], 1)


def _late(curve: NDArray[np.float64], delay_s: float) -> NDArray[np.float64]:
    """The same, later; what was before the first is the first."""
    count = round(delay_s * RATE)
    return np.concatenate([np.repeat(curve[:1], count, 0), curve])[: len(curve)]


def _trail_arms(motion: Motion, pose: Pose, lean: Curve, rng: np.random.Generator) -> None:
    """Arms hang on the trunk and come after it."""
    for elbow, hand in ARMS:
        delay = rng.uniform(0.02, 0.06)
        fling = lean * rng.uniform(0.5, 1.8)
        for joint, root, wait in ((elbow, NECK, delay), (hand, elbow, 2 * delay)):
            bone = pose[joint] - pose[root]
            wish = _late(motion[:, root] + _rotated(bone, fling), wait) - motion[:, root]
            length = np.linalg.norm(bone) / np.maximum(np.linalg.norm(wish, axis=1, keepdims=True), 1e-6)
            motion[:, joint] = motion[:, root] + wish * length


def _stumble(motion: Motion, pose: Pose, way: float, rng: np.random.Generator) -> None:
    """Feet stay where they are until they must follow, the one behind first."""
    behind = FOOT_A if pose[FOOT_A, 0] * way > pose[FOOT_B, 0] * way else FOOT_B
    time = np.arange(len(motion)) / RATE
    begin = rng.uniform(0.04, 0.14)
    for foot in (behind, FOOT_A + FOOT_B - behind):
        lasts = rng.uniform(0.16, 0.24)
        share = np.clip((time - begin) / lasts, 0, 1)
        motion[:, foot, 0] += way * rng.uniform(0.8, 1.15) * share**2 * (3 - 2 * share)
        lift = rng.uniform(0.06, 0.14) * min(1.0, abs(way) / 0.3)
        motion[:, foot, 1] += lift * np.sin(np.pi * share) ** 0.8
        begin += lasts * rng.uniform(0.9, 1.4)


def _bend_legs(motion: Motion, pose: Pose, facing: int) -> None:
    """Puts knees where thigh and shin meet; feet that cannot be reached are dragged."""
    for knee, foot in LEGS:
        thigh, shin = np.linalg.norm(pose[knee] - pose[HIP]), np.linalg.norm(pose[foot] - pose[knee])
        line = motion[:, foot] - motion[:, HIP]
        length = np.maximum(np.linalg.norm(line, axis=1, keepdims=True), 1e-6)
        reach = np.minimum(length, 0.995 * (thigh + shin))
        along = line / length
        motion[:, foot] = motion[:, HIP] + along * reach
        near = (thigh**2 - shin**2 + reach**2) / (2 * reach)
        aside = np.sqrt(np.maximum(thigh**2 - near**2, 0))
        forwards = np.stack([-along[:, 1], along[:, 0], np.zeros(len(along))], 1) * facing
        motion[:, knee] = motion[:, HIP] + along * near + forwards * aside


def knock_down(pose: Pose, lying: Pose, blow: Blow, rng: np.random.Generator) -> tuple[Motion, float]:
    """Thrown on the back.

    Args:
        pose: `(11, 3)` at the moment of contact.
        lying: `(11, 3)`, how the figure comes to lie; its place does not matter.
        blow: what happens.
        rng: decides the details.

    Returns:
        What it does, and when the body meets the ground, in seconds from the blow.
    """
    fall_s = rng.uniform(0.4, 0.56)
    time = np.arange(round((fall_s + rng.uniform(0.35, 0.6)) * RATE)) / RATE
    risen = _risen(time, blow.rise_s, rng)
    slides = np.exp(-np.maximum(time - fall_s, 0) / rng.uniform(0.04, 0.12))
    motion = np.repeat(pose[None], len(time), 0)
    motion[:, HIP, 0] += np.cumsum(blow.speed * risen * slides * rng.uniform(0.7, 1.0)) / RATE * blow.away
    lift, ground = rng.uniform(0.1, 0.9) * np.cumsum(risen) / RATE, lying[HIP, 1]
    drop = 2 * (pose[HIP, 1] - ground + np.interp(fall_s, time, lift)) / fall_s**2
    after = np.maximum(time - fall_s, 0)
    bounce = rng.uniform(0.0, 0.05) * np.exp(-after / 0.1) * np.abs(np.sin(np.pi * after / 0.17))
    motion[:, HIP, 1] = np.where(time < fall_s, pose[HIP, 1] + lift - drop * time**2 / 2, ground + bounce)
    _tip_over(motion, pose, lying, fall_s, blow.away, rng)
    motion[..., 1] = np.maximum(motion[..., 1], np.minimum(_FLOOR_M, lying[:, 1].min()))
    return motion, float(fall_s)


def _tip_over(motion: Motion, pose: Pose, lying: Pose, fall_s: float, away: int, rng: np.random.Generator) -> None:
    """Bones turn from where they are to how they lie; legs and arms come down after the trunk."""
    shoulders_s = fall_s + rng.uniform(-0.02, 0.06)
    limbs = {joint: shoulders_s + rng.uniform(0.0, 0.18) for joint in (*ARMS[0], *ARMS[1], *LEGS[0], *LEGS[1])}
    for bone in ((HIP, NECK), (NECK, HEAD), *BONES[1:]):
        _turn_bone(motion, pose, lying, bone, limbs.get(bone[1], shoulders_s), away, rng)


def _turn_bone(
    motion: Motion, pose: Pose, lying: Pose, bone: tuple[int, int], done_s: float, away: int, rng: np.random.Generator
) -> None:
    """Turns one bone in the picture's plane on the shorter way and past it a little."""
    root, joint = bone
    share = np.clip(np.arange(len(motion)) / RATE / done_s, 0, 1)
    before, after = pose[joint] - pose[root], lying[joint] - lying[root]
    first, last = np.arctan2(before[1], before[0]), np.arctan2(after[1], after[0])
    way = (last - first + np.pi) % (2 * np.pi) - np.pi
    swing = 0.0 if joint in (NECK, HEAD) else rng.uniform(-0.1, 0.5) * -away
    angle = first + way * share ** rng.uniform(1.3, 1.8) + swing * np.sin(np.pi * share)
    length = np.hypot(*before[:2]) * (1 - share) + np.hypot(*after[:2]) * share
    depth = before[2] * (1 - share) + after[2] * share
    motion[:, joint] = motion[:, root] + np.stack([length * np.cos(angle), length * np.sin(angle), depth], 1)

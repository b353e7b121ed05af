"""From single readings of drawn figures to steady motion: fits both ways, the best of them, letters.

Convention:
    T frames, F figures, C candidates. Joints are in standing heights, `(..., 11, 2)` as in `skeleton.STICK`.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.signal import savgol_filter

from vid2vid.conditions.stick_fit import (
    Evidence,
    Poses,
    Shape,
    Trust,
    bone_lengths,
    figures_to_ink,
    fit,
    ink_to_figures,
    misfit,
    neck_lengths,
)
from vid2vid.motion.skeleton import HEAD, SWAPPED_ARMS, SWAPPED_LEGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vid2vid.motion.stick_readings import Readings

    Floats = NDArray[np.float64]

_ARMS: Final = slice(3, 7)
_LEGS: Final = slice(7, 11)
WINDOW: Final = 64
"""Frames whose ink is held at once."""
_OVERLAP: Final = 8
"""Frames before and after a window from which fits come in, so that they have settled."""
_BATCH: Final = 16
_READ_WEIGHT: Final = 0.4
"""Of a fit's distance from what the net reads. Without it figures trade limbs where they cross."""
_LENGTH_WEIGHT: Final = 0.4
_STEADY_WEIGHT: Final = 0.1
_CHANGE_WEIGHT: Final = 1.0
"""Of movement from frame to frame in the choice among candidates."""


def nearest_order(joints: Floats, towards: Floats) -> Floats:
    """Exchanges the letters of arms and of legs wherever that brings poses `(..., 11, 2)` nearer to others."""
    result = joints.copy()
    for limbs, order in ((_ARMS, SWAPPED_ARMS), (_LEGS, SWAPPED_LEGS)):
        other = joints[..., order, :][..., limbs, :]
        kept = np.linalg.norm(joints[..., limbs, :] - towards[..., limbs, :], axis=-1).sum(-1)
        exchanged = np.linalg.norm(other - towards[..., limbs, :], axis=-1).sum(-1)
        result[..., limbs, :] = np.where((exchanged < kept)[..., None, None], other, result[..., limbs, :])
    return result


def distance(one: Floats, other: Floats, weights: Floats | None = None) -> Floats:
    """Mean distance of joints of poses `(..., 11, 2)`, whichever way their limbs are lettered.

    Args:
        one, other: the poses.
        weights: `(..., 11)` of the joints of `other`; 1 where None.

    Returns:
        `(...)`.
    """
    share = (np.float64(1) if weights is None else weights) / one.shape[-2]
    plain = np.linalg.norm(one - other, axis=-1) * share
    total = plain[..., :3].sum(-1)
    for limbs, order in ((_ARMS, SWAPPED_ARMS), (_LEGS, SWAPPED_LEGS)):
        exchanged = (np.linalg.norm(one[..., order, :] - other, axis=-1) * share)[..., limbs].sum(-1)
        total = total + np.minimum(plain[..., limbs].sum(-1), exchanged)
    return np.asarray(total)


def usual_shape(readings: Readings) -> Shape:
    """The figures' build, as the median over the frames in which they are there; `N` is 1."""
    lengths, necks = bone_lengths(readings.joints), neck_lengths(readings.joints)
    away = ~readings.present
    lengths[away], necks[away] = np.nan, np.nan
    return Shape(np.nanmedian(lengths, axis=0, keepdims=True), np.nanmedian(necks, axis=0, keepdims=True))


def find_paths(readings: Readings, evidence_of: Callable[[int, int], Evidence]) -> Floats:
    """Finds the motion that explains the ink and is steady.

    Args:
        readings: of the whole clip.
        evidence_of: gives the ink of frames from the first number up to before the second.

    Returns:
        `(T, F, 11, 2)`.

    Source: candidates from fits that follow the clip forwards, backwards, and start from each reading; one sequence
        of them by Viterbi's algorithm.
    """
    usual = usual_shape(readings)
    figures = readings.present.shape[1]
    choices = np.array(list(itertools.product(range(3), repeat=figures)))
    candidates, costs = [], []
    for start in range(0, readings.length, WINDOW):
        stop = min(start + WINDOW, readings.length)
        first, last = max(0, start - _OVERLAP), min(readings.length, stop + _OVERLAP)
        window = readings.part(first, last)
        evidence = evidence_of(first, last)
        refined = refine(window, evidence, usual)
        both = follow(window, evidence, usual, refined)
        found = np.stack([both[0], both[1], refined], 2)
        inner = slice(start - first, stop - first)
        candidates.append(found[inner])
        costs.append(_costs(window, evidence, usual, found, choices)[inner])
    every = np.concatenate(candidates)
    return best_sequence(every, np.concatenate(costs), choices, readings.present)


def find_poses(readings: Readings, evidence_of: Callable[[int, int], Evidence]) -> Floats:
    """Finds the poses that explain the ink, each frame on its own: `(T, F, 11, 2)`; arguments as of `find_paths`."""
    usual = usual_shape(readings)
    parts = []
    for first in range(0, readings.length, WINDOW):
        stop = min(first + WINDOW, readings.length)
        parts.append(refine(readings.part(first, stop), evidence_of(first, stop), usual))
    return np.concatenate(parts)


def refine(readings: Readings, evidence: Evidence, usual: Shape) -> Floats:
    """Fits that start from each reading on its own: `(T, F, 11, 2)`."""
    parts = []
    for start in range(0, readings.length, _BATCH):
        part = slice(start, start + _BATCH)
        joints = readings.joints[part]
        poses = Poses(joints, np.arange(start, start + len(joints)), readings.present[part], readings.hidden[part])
        lengths = 0.6 * bone_lengths(joints) + 0.4 * usual.lengths
        shape = Shape(lengths, np.broadcast_to(usual.necks, lengths.shape[:2]))
        parts.append(fit(evidence, poses, shape, Trust(target=0.04, steps=6)))
    return np.concatenate(parts)


def follow(readings: Readings, evidence: Evidence, usual: Shape, refined: Floats) -> Floats:
    """Fits that carry each pose to the next frame, forwards and backwards at once: `(2, T, F, 11, 2)`."""
    length = readings.length
    result = np.zeros((2, *refined.shape))
    joints = refined[[0, -1]]
    velocity = np.zeros_like(joints)
    lengths = 0.5 * bone_lengths(joints) + 0.5 * usual.lengths
    result[0, 0], result[1, -1] = joints
    for step in range(1, length):
        frames = np.array([step, length - 1 - step])
        before = np.array([step - 1, length - step])
        new = (readings.present[frames] & ~readings.present[before])[..., None, None]
        joints, velocity = np.where(new, refined[frames], joints), np.where(new, 0.0, velocity)
        moved = _carry(readings, evidence, Shape(lengths, usual.necks), refined, (joints, velocity), frames)
        velocity = 0.5 * velocity + 0.5 * (moved - joints)
        joints = moved
        lengths = 0.9 * lengths + 0.07 * bone_lengths(joints) + 0.03 * usual.lengths
        result[[0, 1], frames] = joints
    return result


def _carry(
    readings: Readings,
    evidence: Evidence,
    shape: Shape,
    refined: Floats,
    state: tuple[Floats, Floats],
    frames: NDArray[np.intp],
) -> Floats:
    """The best of three fits, from three predictions, in each direction: `(2, F, 11, 2)`."""
    joints, velocity = state
    expected = joints + 0.6 * velocity
    shift = readings.heads[frames] - joints[:, :, HEAD]
    hidden = readings.hidden[frames]
    read = np.where(hidden[..., None, None], expected, nearest_order(refined[frames], expected))
    predictions = np.stack([joints + 0.8 * velocity, joints + shift[:, :, None], read], 1)
    seen = readings.heads[frames][:, None]
    predictions[:, :, :, HEAD] = np.where(hidden[:, None, :, None], predictions[:, :, :, HEAD], seen)
    count, ways = predictions.shape[:2]
    flat = predictions.reshape(count * ways, *predictions.shape[2:])
    present, hidden = (np.repeat(array[frames], ways, 0) for array in (readings.present, readings.hidden))
    poses = Poses(flat, np.repeat(frames, ways), present, hidden)
    lengths = np.repeat(shape.lengths, ways, 0)
    fitted = fit(evidence, poses, Shape(lengths, np.broadcast_to(shape.necks, lengths.shape[:2])), Trust())
    there = poses.present / np.maximum(poses.present.sum(1, keepdims=True), 1)
    strain = np.minimum(np.abs(bone_lengths(fitted) - lengths), 0.1).mean(-1)
    unread = distance(fitted, np.repeat(readings.joints[frames], ways, 0), np.repeat(readings.weights[frames], ways, 0))
    unsteady = distance(fitted, np.repeat(expected, ways, 0))
    cost = misfit(evidence, replace(poses, joints=fitted))
    cost += (there * (_LENGTH_WEIGHT * strain + _READ_WEIGHT * unread + _STEADY_WEIGHT * unsteady)).sum(1)
    best = cost.reshape(count, ways).argmin(1)
    return np.asarray(fitted.reshape(predictions.shape)[np.arange(count), best])


def _costs(readings: Readings, evidence: Evidence, usual: Shape, found: Floats, choices: NDArray[np.intp]) -> Floats:
    """How badly each choice of candidates, one for each figure, explains each frame: `(T, S)`."""
    strain = np.minimum(np.abs(bone_lengths(found) - usual.lengths[0][:, None]), 0.1).mean(-1)
    alone = 0.3 * strain + _READ_WEIGHT * distance(found, readings.joints[:, :, None], readings.weights[:, :, None])
    figures = np.arange(found.shape[1])
    costs = []
    for frame in range(readings.length):
        present = readings.present[frame]
        joints, there = found[frame].swapaxes(0, 1), np.broadcast_to(present, (3, len(present)))
        poses = Poses(joints, np.full(3, frame), there, np.zeros_like(there))
        away = ink_to_figures(evidence, poses)[choices, figures].min(1)
        weights = evidence.weights[frame]
        uncovered = (np.minimum(away, 0.12) * weights).sum(-1) / max(float(weights.sum()), 1.0)
        astray = figures_to_ink(evidence, poses).T + alone[frame]
        share = present / max(int(present.sum()), 1)
        costs.append(uncovered + (astray[figures, choices] * share).sum(-1))
    return np.stack(costs)


def best_sequence(candidates: Floats, costs: Floats, choices: NDArray[np.intp], present: NDArray[np.bool_]) -> Floats:
    """The cheapest choice in every frame, changes of pose counted.

    Args:
        candidates: `(T, F, C, 11, 2)`.
        costs: `(T, S)` of each choice in each frame.
        choices: `(S, F)`: the candidate that it takes for each figure.
        present: `(T, F)`.

    Returns:
        `(T, F, 11, 2)`.
    """
    figures = np.arange(candidates.shape[1])
    steps = distance(candidates[:-1, :, :, None], candidates[1:, :, None])
    steps *= (present[:-1] & present[1:])[..., None, None] * (_CHANGE_WEIGHT / len(figures))
    total, came_from = costs[0], np.zeros(costs.shape, np.intp)
    for frame in range(1, len(costs)):
        change = steps[frame - 1][figures, choices[:, None], choices[None]].sum(-1)
        ways = total[:, None] + change
        came_from[frame] = ways.argmin(0)
        total = ways.min(0) + costs[frame]
    state = int(total.argmin())
    result = np.empty(candidates[:, :, 0].shape)
    for frame in range(len(costs) - 1, -1, -1):
        result[frame] = candidates[frame, figures, choices[state]]
        state = int(came_from[frame, state])
    return result


def letter_limbs(joints: Floats, present: NDArray[np.bool_]) -> Floats:
    """Letters arms and legs so that they keep their letter: `(T, F, 11, 2)`.

    Source: Viterbi's algorithm over exchanged or not; the cost is the limbs' movement and change of movement.
    """
    result = joints.copy()
    for figure in range(joints.shape[1]):
        for limbs, order in ((_ARMS, SWAPPED_ARMS), (_LEGS, SWAPPED_LEGS)):
            both = np.stack([joints[:, figure], joints[:, figure][:, list(order)]])[:, :, limbs]
            chosen = _steadiest(both, present[:, figure])
            result[:, figure, limbs] = both[chosen, np.arange(len(joints))]
    return result


def _steadiest(both: Floats, present: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Which of two letterings `(2, T, 4, 2)` to take in every frame: `(T,)`."""
    step = both[:, None, 1:] - both[None, :, :-1]
    cost = np.linalg.norm(step, axis=-1).sum(-1)
    straight = both[:, :-1][:, 1:] - both[:, :-2]
    change = np.linalg.norm(step[:, :, 1:] - straight[None], axis=-1).sum(-1)
    cost[:, :, 1:] += change
    cost *= present[1:] & present[:-1]
    total, came_from = np.zeros(2), np.zeros((both.shape[1], 2), np.intp)
    for frame in range(1, both.shape[1]):
        ways = total[None] + cost[:, :, frame - 1]
        came_from[frame] = ways.argmin(1)
        total = ways.min(1)
    chosen = np.zeros(both.shape[1], np.intp)
    chosen[-1] = total.argmin()
    for frame in range(both.shape[1] - 1, 0, -1):
        chosen[frame - 1] = came_from[frame, chosen[frame]]
    return chosen


def smooth(joints: Floats, present: NDArray[np.bool_]) -> Floats:
    """Takes out single outliers and trembling without lag: median of three, then a parabola over five frames."""
    result = joints.copy()
    for figure in range(joints.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], present[:, figure].astype(int), [0]])))
        for start, stop in edges.reshape(-1, 2):
            if stop - start < 5:
                continue
            run = joints[start:stop, figure].copy()
            run[1:-1] = np.median(np.stack([run[:-2], run[1:-1], run[2:]]), axis=0)
            result[start:stop, figure] = savgol_filter(run, 5, 2, axis=0, mode="interp")
    return result

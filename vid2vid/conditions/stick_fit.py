"""Fits stick figures to ink: every piece of ink near a bone, every bone on ink, bones as long as they were.

Many fits run at once, each with its own frame and start. Lengths are in heights of a standing figure throughout, so
that the weights below hold for any size of drawing.

Convention:
    N fits, F figures in each, P ink points, B bones as in `skeleton.BONES`, J joints as in `skeleton.STICK`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.motion.skeleton import BONES, HEAD, NECK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.ink import Ink

    Floats = NDArray[np.float64]

START: Final = np.array([bone[0] for bone in BONES])
END: Final = np.array([bone[1] for bone in BONES])
POINTS: Final = 320
"""Ink points a frame: more change nothing, and time grows with them."""
_FARTHEST: Final = 0.15
_HEAD_CUT: Final = 1.18
"""Radius cut out around a head, over its own: the ring is no limb."""
_LONGEST_LIMBS: Final = 1.15
"""Heights from its head within which a figure's ink is; what else is drawn is no figure's."""
_ALONG: Final = np.linspace(0.08, 1.0, 8)
"""Where on a bone the ink below is looked up; its start belongs to the bone before."""
_SPREAD: Final = 0.012
"""How far ink lies from the bone it draws."""
_INK_WEIGHT: Final = 12.5 / _SPREAD**2
"""Of all ink together."""
_BONE_WEIGHT: Final = 1.6 / _SPREAD**2
"""Of each bone's samples together. Much less, and limbs leave their ink for another figure's."""
_HEAD_WEIGHT: Final = 1.0 / 0.008**2
_HIDDEN_HEAD_WEIGHT: Final = 1.0 / 0.03**2
_NECK_WEIGHT: Final = 1.0 / 0.010**2
_DAMPING: Final = 1.0 / 0.1**2
_LONGEST_STEP: Final = 0.08


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The ink of some frames as fits need it, in heights."""

    points: NDArray[np.float32]
    """`(T, POINTS, 2)`: middles of strokes, heads and ruled lines left out."""
    weights: NDArray[np.float32]
    """`(T, POINTS)`: 1, or 0 where there were fewer points."""
    fields: NDArray[np.float32]
    """`(T, h, w)`: distance of each pixel to the nearest ink, heads left out."""
    scale: float
    """Pixels in a height."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How figures are built, in heights."""

    lengths: Floats
    """`(N, F, B)` of the bones."""
    necks: Floats
    """`(N, F)`: from the middle of the head to the neck."""


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """Where the joints of figures are, or should be."""

    joints: Floats
    """`(N, F, J, 2)`."""
    frames: NDArray[np.intp]
    """`(N,)`: each fit's frame in the evidence."""
    present: NDArray[np.bool_]
    """`(N, F)`: figures in the picture; the others draw no ink and stay where they are."""
    hidden: NDArray[np.bool_]
    """`(N, F)`: figures whose head may be elsewhere."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a fit may go, in heights."""

    target: float = 0.06
    """From the pose that was predicted."""
    lengths: float = 0.04
    """From the lengths of bones."""
    steps: int = 8


def gather_evidence(inks: Sequence[Ink], heads: Sequence[NDArray[np.floating]], height_px: float) -> Evidence:
    """Prepares the ink of frames for fits.

    Args:
        inks: of T frames of one size.
        heads: T times `(K, 3)`: x, y and radius of the heads in pixels.
        height_px: of a standing figure.
    """
    prepared = [_prepare(ink, circles, height_px) for ink, circles in zip(inks, heads, strict=True)]
    points, weights, fields = (np.stack(parts) for parts in zip(*prepared, strict=True))
    return Evidence(points, weights, fields, height_px)


def _prepare(
    ink: Ink, heads: NDArray[np.floating], height_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    headless = ink.mask.copy()
    for x, y, radius in heads:
        cv2.circle(headless, (round(float(x)), round(float(y))), round(float(radius) * _HEAD_CUT), 0, -1)
    limbs = headless * (1 - ink.ruled)
    inner = cv2.distanceTransform(limbs, cv2.DIST_L2, 3)
    rows, columns = np.nonzero((inner > 0) & (inner >= cv2.dilate(inner, np.ones((3, 3), np.uint8))))
    if len(heads):
        away = np.hypot(columns[:, None] - heads[:, 0], rows[:, None] - heads[:, 1]).min(1)
        rows, columns = rows[away < _LONGEST_LIMBS * height_px], columns[away < _LONGEST_LIMBS * height_px]
    picked = np.linspace(0, len(rows) - 1, POINTS).astype(int) if len(rows) > POINTS else np.arange(len(rows))
    points, weights = np.full((POINTS, 2), -1e3, np.float32), np.zeros(POINTS, np.float32)
    points[: len(picked)] = np.stack([columns[picked], rows[picked]], 1) / height_px
    weights[: len(picked)] = 1.0
    outside = np.minimum(cv2.distanceTransform(1 - headless, cv2.DIST_L2, 3) / height_px, _FARTHEST)
    return points, weights, cv2.GaussianBlur(outside.astype(np.float32), (0, 0), max(0.6, 0.008 * height_px))


def fit(evidence: Evidence, poses: Poses, shape: Shape, trust: Trust) -> Floats:
    """Moves figures onto the ink, from where they are predicted.

    Args:
        evidence: of the frames.
        poses: start and prediction; the heads are where they were seen.
        shape: what the figures should keep to.
        trust: how far they may go.

    Returns:
        `(N, F, J, 2)` joints.

    Source: Gauss-Newton on free joints with soft lengths; both directions of iterated closest points, reweighted by
        Geman and McClure's function.
    """
    joints = poses.joints.copy()
    for step in range(trust.steps):
        reach = 0.10 if step < trust.steps // 2 else 0.05
        moved = replace(poses, joints=joints)
        blocks, slopes = _pull_of_ink(evidence, moved, reach)
        for more_blocks, more_slopes in (_pull_to_ink(evidence, moved), _pull_of_lengths(joints, shape, trust)):
            blocks += more_blocks
            slopes += more_slopes
        system, slope = _assemble(blocks, slopes)
        _hold_heads_and_target(system, slope, joints, poses, shape, trust)
        change = np.linalg.solve(system, slope[..., None])[..., 0].reshape(joints.shape)
        length = np.linalg.norm(change, axis=-1, keepdims=True)
        change *= np.minimum(1.0, _LONGEST_STEP / (length + 1e-9)) * poses.present[..., None, None]
        joints = joints - change
    return joints


def misfit(evidence: Evidence, poses: Poses) -> Floats:
    """How badly figures explain the ink: `(N,)`, mean distances of ink to bones and bones to ink, in heights."""
    weights = evidence.weights[poses.frames]
    near = np.minimum(ink_to_figures(evidence, poses).min(1), 0.12)
    share = poses.present / np.maximum(poses.present.sum(1, keepdims=True), 1)
    uncovered = (near * weights).sum(1) / np.maximum(weights.sum(1), 1.0)
    return np.asarray(uncovered + (figures_to_ink(evidence, poses) * share).sum(1))


def ink_to_figures(evidence: Evidence, poses: Poses) -> NDArray[np.float32]:
    """Distance of each ink point to each figure: `(N, F, P)`, large for figures that are away."""
    _, _, _, square = _towards_bones(evidence, poses)
    count, points, _ = square.shape
    nearest = square.reshape(count, points, -1, len(START)).min(-1)
    return np.asarray(np.sqrt(np.swapaxes(nearest, 1, 2)))


def figures_to_ink(evidence: Evidence, poses: Poses) -> Floats:
    """Mean distance of each figure's bones to ink: `(N, F)`, at most 0.1."""
    values, _, inside = _look_up(evidence, poses, _samples(poses.joints))
    return np.asarray(np.where(inside, np.minimum(values, 0.10), 0.01).mean((2, 3)))


def bone_lengths(joints: NDArray[np.floating]) -> Floats:
    """`(..., B)` of joints `(..., J, 2)`."""
    return np.asarray(np.linalg.norm(joints[..., START, :] - joints[..., END, :], axis=-1))


def neck_lengths(joints: NDArray[np.floating]) -> Floats:
    """`(...)` from head to neck of joints `(..., J, 2)`."""
    return np.asarray(np.linalg.norm(joints[..., NECK, :] - joints[..., HEAD, :], axis=-1))


def _towards_bones(
    evidence: Evidence, poses: Poses
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """For each ink point and bone, `(N, P, F * B)`: place on the bone in [0, 1], x and y of the way from there to the
    point, and its length squared.
    """
    points = evidence.points[poses.frames]
    count = len(points)
    starts = poses.joints[:, :, START].reshape(count, -1, 2).astype(np.float32)
    along = poses.joints[:, :, END].reshape(count, -1, 2).astype(np.float32) - starts
    square = (along**2).sum(-1)[:, None] + np.float32(1e-6)
    way_x = points[:, :, None, 0] - starts[:, None, :, 0]
    way_y = points[:, :, None, 1] - starts[:, None, :, 1]
    place = (way_x * along[:, None, :, 0] + way_y * along[:, None, :, 1]) / square
    np.clip(place, 0.0, 1.0, out=place)
    way_x -= place * along[:, None, :, 0]
    way_y -= place * along[:, None, :, 1]
    distance = way_x**2 + way_y**2
    distance += np.where(np.repeat(poses.present, len(START), axis=1), 0.0, 1e6).astype(np.float32)[:, None]
    return place, way_x, way_y, distance


def _nearest_bones(
    evidence: Evidence, poses: Poses
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """For each ink point `(N, P)`: number of the nearest bone among F * B, place on it in [0, 1], `(N, P, 2)` way from
    the bone to the point, and its length.
    """
    towards = _towards_bones(evidence, poses)
    nearest = towards[3].argmin(-1)[..., None]
    place, way_x, way_y, square = (np.take_along_axis(array, nearest, -1)[..., 0] for array in towards)
    return nearest[..., 0], place, np.stack([way_x, way_y], -1), np.sqrt(square)


def _samples(joints: Floats) -> Floats:
    """`(N, F, B, S, 2)` places along the bones."""
    start, end = joints[:, :, START, None], joints[:, :, END, None]
    return start + (end - start) * _ALONG[:, None]


def _look_up(evidence: Evidence, poses: Poses, places: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """The distance field at places, its slope `(..., 2)`, and which places are inside the picture."""
    height, width = evidence.fields.shape[1:]
    pixels = places * evidence.scale
    inside = np.asarray(((pixels >= 0) & (pixels < (width - 1, height - 1))).all(-1))
    corner = np.clip(pixels.astype(np.intp), 0, (width - 2, height - 2))
    part = np.clip(pixels - corner, 0.0, 1.0)
    first = (poses.frames[:, None, None, None] * height + corner[..., 1]) * width + corner[..., 0]
    field = evidence.fields.reshape(-1)
    top_left, top_right = field[first], field[first + 1]
    low_left, low_right = field[first + width], field[first + width + 1]
    right, down = part[..., 0], part[..., 1]
    top, low = top_left + (top_right - top_left) * right, low_left + (low_right - low_left) * right
    slope_x = (top_right - top_left) * (1 - down) + (low_right - low_left) * down
    return top + (low - top) * down, np.stack([slope_x, low - top], -1) * evidence.scale, inside


def _pull_of_ink(evidence: Evidence, poses: Poses, reach: float) -> tuple[Floats, Floats]:
    """Second and first derivatives by the ends of each bone of the ink's distance to it: `(N, F, B, 4, 4)`, `(..., 4)`.

    Rows are x and y of the bone's start, x and y of its end.
    """
    nearest, place, way, distance = _nearest_bones(evidence, poses)
    weights = evidence.weights[poses.frames]
    pull = weights / (1 + (distance / reach) ** 2) ** 2
    pull *= _INK_WEIGHT / np.maximum(weights.sum(1, keepdims=True), 1.0)
    count, bones = len(pull), poses.present.shape[1] * len(START)
    bins = (nearest + np.arange(count)[:, None] * bones).ravel()

    blocks, slopes = np.zeros((*poses.present.shape, len(START), 4, 4)), np.zeros((*poses.present.shape, len(START), 4))

    def total(values: NDArray[np.float32]) -> Floats:
        return np.bincount(bins, values.ravel(), count * bones).reshape(blocks.shape[:3])

    early, late = pull * (1 - place), pull * place
    both, end = total(late * (1 - place)), total(late * place)
    start = total(early * (1 - place))
    for axis in (0, 1):
        blocks[..., axis, axis], blocks[..., axis + 2, axis + 2] = start, end
        blocks[..., axis, axis + 2] = blocks[..., axis + 2, axis] = both
        slopes[..., axis], slopes[..., axis + 2] = -total(early * way[..., axis]), -total(late * way[..., axis])
    return blocks, slopes


def _pull_to_ink(evidence: Evidence, poses: Poses) -> tuple[Floats, Floats]:
    """The same of the bones' distance to ink."""
    values, slope, inside = _look_up(evidence, poses, _samples(poses.joints))
    pull = inside / (1 + (values / 0.05) ** 2) ** 2 * (_BONE_WEIGHT / len(_ALONG))
    shares = np.stack([1 - _ALONG, 1 - _ALONG, _ALONG, _ALONG], -1)
    rows = np.concatenate([slope, slope], -1) * shares
    weighted = rows * pull[..., None]
    return np.swapaxes(weighted, -1, -2) @ rows, (weighted * values[..., None]).sum(-2)


def _pull_of_lengths(joints: Floats, shape: Shape, trust: Trust) -> tuple[Floats, Floats]:
    """The same of the bones' departure from their lengths."""
    along = joints[:, :, END] - joints[:, :, START]
    length = np.linalg.norm(along, axis=-1, keepdims=True) + 1e-6
    row = np.concatenate([-along, along], -1) / length
    weight = 1.0 / trust.lengths**2
    return weight * row[..., :, None] * row[..., None, :], weight * row * (length[..., 0] - shape.lengths)[..., None]


_ROWS: Final = np.array([[2 * start, 2 * start + 1, 2 * end, 2 * end + 1] for start, end in BONES])
"""`(B, 4)`: which coordinate of a figure each row of a bone's block is."""
_ENTRIES: Final = (22 * _ROWS[:, :, None] + _ROWS[:, None, :]).reshape(-1)
"""`(B * 16,)`: which entry of a figure's system each entry of a bone's block is."""


def _assemble(blocks: Floats, slopes: Floats) -> tuple[Floats, Floats]:
    """Bones' blocks as one system for each figure: `(N, F, 22, 22)`, `(N, F, 22)`."""
    system = _summed(blocks.reshape(-1, _ENTRIES.size), _ENTRIES, 22 * 22)
    slope = _summed(slopes.reshape(-1, _ROWS.size), _ROWS.reshape(-1), 22)
    return system.reshape(*blocks.shape[:2], 22, 22), slope.reshape(*slopes.shape[:2], 22)


def _summed(parts: Floats, places: NDArray[np.intp], size: int) -> Floats:
    """`(N, size)`: columns of `(N, K)` added up at their places: a product with a nearly empty matrix is slower."""
    columns, total = np.ascontiguousarray(parts.T), np.zeros((size, len(parts)))
    for column, place in zip(columns, places, strict=True):
        total[place] += column
    return np.ascontiguousarray(total.T)


def _hold_heads_and_target(
    system: Floats, slope: Floats, joints: Floats, target: Poses, shape: Shape, trust: Trust
) -> None:
    """Adds, in place, the pull of heads seen, of the pose predicted and of the distance from head to neck."""
    weights = np.full(slope.shape, 1.0 / trust.target**2)
    weights[..., 2 * HEAD : 2 * HEAD + 2] = np.where(target.hidden[..., None], _HIDDEN_HEAD_WEIGHT, _HEAD_WEIGHT)
    diagonal = np.arange(22)
    system[..., diagonal, diagonal] += weights + _DAMPING
    slope += weights * (joints - target.joints).reshape(slope.shape)
    way = joints[:, :, NECK] - joints[:, :, HEAD]
    length = np.linalg.norm(way, axis=-1, keepdims=True) + 1e-6
    row = np.concatenate([-way, way], -1) / length
    pair = np.array([2 * HEAD, 2 * HEAD + 1, 2 * NECK, 2 * NECK + 1])
    system[..., pair[:, None], pair] += _NECK_WEIGHT * row[..., :, None] * row[..., None, :]
    slope[..., pair] += _NECK_WEIGHT * row * (length[..., 0] - shape.necks)[..., None]

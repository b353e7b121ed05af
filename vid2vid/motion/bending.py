"""Where the pixels of a bent limb come from: backward maps from the pose wanted to the picture of another pose.

Convention:
    Places are `(..., 2)` px, x to the right. A box is (left, top, width, height) in px of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Field = NDArray[np.float32]
    Box = tuple[int, int, int, int]

_SOFTNESS: Final = 0.2
"""Half-widths over which one bone's movement turns into the next one's."""

_WEDGE: Final = 0.6
"""Part of the way past a bone's end that adds to the distance from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """Where the pixels of a box come from."""

    box: Box
    places: Field
    """`(h, w, 2)` px of the texture."""
    weights: Field
    """`(h, w, B)`: how far each bone moves the pixel; they add up to 1."""
    distance: Field | None = None
    """`(h, w)`: from the nearest bone, in half-widths."""


def box_around(points: Field, margin: float, size: tuple[int, int], multiple: int = 1) -> Box:
    """The part of a frame within `margin` of some points; of width or height 0 where that lies outside.

    Args:
        points: `(N, 2)`.
        margin: px.
        size: width, height of the frame.
        multiple: width and height are multiples of this, and may then reach beyond the frame.
    """
    low = np.floor(points.min(axis=0) - margin).clip(0, size)
    high = np.ceil(points.max(axis=0) + margin + 1).clip(0, size)
    extent = np.maximum(high - low, 0)
    extent = np.ceil(extent / multiple) * multiple
    return int(low[0]), int(low[1]), int(extent[0]), int(extent[1])


def bend(target: Field, source: Field, widths: Sequence[float], scale: float, box: Box, step: int) -> Map:
    """Map of a chain of bones: stretched along each bone, moved rigidly across it and beyond its ends.

    Args:
        target: `(P, 2)` px of the frame, where the bones' ends shall be.
        source: `(P, 2)` px of the texture, where they are.
        widths: half-widths of the P - 1 bones in px of the frame.
        scale: px of the texture per px of the frame.
        box: part of the frame wanted.
        step: computed at every step-th pixel and interpolated.
    """
    x, y = _grid(box, step)
    bones = len(target) - 1
    places = np.empty((bones, 2, *np.broadcast_shapes(x.shape, y.shape)), np.float32)
    distances, beyond = np.empty((bones, *places.shape[2:]), np.float32), np.empty(places.shape[2:], np.float32)
    farness = np.empty_like(distances)
    for bone in range(bones):
        _move(x, y, target[bone : bone + 2], source[bone : bone + 2], scale, places[bone], distances[bone], beyond)
        # On the outside of a bent joint both bones are equally far: there the turn is spread over the whole wedge.
        past = beyond.clip(0.0 if bone == 0 else -np.inf, 0.0 if bone == bones - 1 else np.inf)
        farness[bone] = distances[bone] + _WEDGE * np.abs(past)
        distances[bone] /= widths[bone]
    farness -= farness.min(axis=0)
    weights = np.exp(farness * (-1.0 / (_SOFTNESS * float(np.mean(widths)))))
    weights /= weights.sum(axis=0)
    return _finished(_blended(places, weights, source), weights, box, step, distances.min(axis=0))


def _blended(places: Field, weights: Field, source: Field) -> Field:
    """`(2, h, w)`: the bones' movements blended, turning around joints instead of cutting corners."""
    result: Any = places[0]
    total: Any = weights[0]
    for bone in range(1, len(places)):
        total = total + weights[bone]
        share = weights[bone] / np.maximum(total, 1e-6)
        joint = source[bone][:, None, None]
        first, second = result - joint, places[bone] - joint
        mean = first + share * (second - first)
        reach, next_reach = np.hypot(*first), np.hypot(*second)
        length = reach + share * (next_reach - reach)
        result = joint + mean * (length / np.maximum(np.hypot(*mean), 0.4 * length + 1e-6))
    return np.asarray(result, np.float32)


def _move(
    x: Field, y: Field, target: Field, source: Field, scale: float, places: Field, distance: Field, beyond: Field
) -> None:
    """Fills in where a bone brings pixels from, how far they are from it, and how far past its ends."""
    bone, origin = target[1] - target[0], source[1] - source[0]
    length, source_length = max(float(np.hypot(*bone)), 1e-2), max(float(np.hypot(*origin)), 1e-2)
    (cosine, sine), (source_cosine, source_sine) = bone / length, origin / source_length
    dx, dy = x - target[0, 0], y - target[0, 1]
    along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
    within = along.clip(0.0, length)
    np.subtract(along, within, out=beyond)
    np.hypot(beyond, across, out=distance)
    source_along = within * (source_length / length) + beyond * scale
    source_across = across * scale
    places[0] = source[0, 0] + source_along * source_cosine - source_across * source_sine
    places[1] = source[0, 1] + source_along * source_sine + source_across * source_cosine


def drape(target: Field, source: Field, scale: float, box: Box, step: int) -> Map:
    """Map of a trunk: a smooth movement that brings every joint where it shall be.

    Points beside the spine keep its width where the joints do not tell it, as in a side view.

    Args:
        target, source: `(6, 2)`, joints of `limbs.TRUNK_JOINTS`, in px of the frame and of the texture.
        scale: px of the texture per px of the frame.
        box, step: as for `bend`.

    Source: Schaefer, McPhail and Warren, "Image Deformation Using Moving Least Squares", SIGGRAPH 2006,
        equation 5 (affine).
    """
    width = 0.5 * float(np.hypot(*(target[0] - target[1])))
    wanted, known = _with_sides(target, width), _with_sides(source, width * scale)
    importance = np.array([1.0] * len(target) + [0.5] * 4, np.float32)
    x, y = _grid(box, step)
    dx, dy = x[..., None] - wanted[:, 0], y[..., None] - wanted[:, 1]
    spread = float(np.square(target[0] - target[1]).sum()) * 0.05 + 1.0
    weights = importance / (dx * dx + dy * dy + spread)
    weights /= weights.sum(axis=-1, keepdims=True)
    middle, source_middle = weights @ wanted, weights @ known
    near, far = wanted - middle[..., None, :], known - source_middle[..., None, :]
    weighted = near * weights[..., None]
    moments = np.swapaxes(weighted, -1, -2) @ near
    moments += np.eye(2, dtype=np.float32) * 1e-2
    cross = np.swapaxes(weighted, -1, -2) @ far
    matrices = np.linalg.solve(moments, cross)
    offsets = np.stack(np.broadcast_arrays(x, y), axis=-1) - middle
    places = (offsets[..., None, :] @ matrices)[..., 0, :] + source_middle
    return _finished(
        np.moveaxis(places, -1, 0).astype(np.float32), np.ones((1, *places.shape[:2]), np.float32), box, step
    )


def _with_sides(joints: Field, width: float) -> Field:
    """Adds two points beside the neck and two beside the hip, `width` px from the spine."""
    neck, hip = joints[0], joints[1]
    spine = neck - hip
    across = np.array((-spine[1], spine[0])) / max(float(np.hypot(*spine)), 1e-2)
    sides = [end + side * width * across for end in (neck, hip) for side in (-1, 1)]
    return np.vstack([joints, *sides]).astype(np.float32)


def _grid(box: Box, step: int) -> tuple[Field, Field]:
    left, top, width, height = box
    x = left - 0.5 + step * (np.arange(width // step, dtype=np.float32) + 0.5)
    y = top - 0.5 + step * (np.arange(height // step, dtype=np.float32) + 0.5)
    return x[None], y[:, None]


def _finished(places: Field, weights: Field, box: Box, step: int, distance: Field | None = None) -> Map:
    places, weights = (np.ascontiguousarray(np.moveaxis(field, 0, -1), np.float32) for field in (places, weights))
    if step > 1:
        size = box[2:]
        places, weights = cv2.resize(places, size), cv2.resize(weights, size)
        weights = weights.reshape(*weights.shape[:2], -1)
        distance = None if distance is None else np.asarray(cv2.resize(distance, size), np.float32)
    return Map(box, places, weights, distance)

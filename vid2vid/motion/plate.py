"""Figures standing in a scene: the scene fitted to the drawing's ground, depth order, shadows, light, limb maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.errors import InvalidOption
from vid2vid.motion.cutting import to_segment
from vid2vid.motion.limbs import CHAINS, HEAD, LEG_R
from vid2vid.motion.skeleton import BODY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.puppet import Layer
    from vid2vid.types import Picture

    Field = NDArray[np.float32]

SOLE: Final = 0.04
"""Body heights from the ankle down to the sole."""
_TIPS: Final = (0, 2, 5, 8, 10, 11, 13, 14)
"""Joints of `BODY` that cast a shadow where they come near the ground: head, hip, hands, knees, feet."""
_CONTACT, _CAST = 0.6, 0.32
"""Share of the light that contact and body take away."""
_LIGHT: Final = (0.8, 1.25)
_LIGHT_SHARE: Final = 0.35
"""Of the difference between two scenes' light, how much a figure takes on."""
_REACH: Final = 0.12
"""Hands and feet this near to another's trunk, in body heights, are before it."""
_STAYS: Final = 0.06
"""Difference in depth, in body heights, that changes an order once found."""
_MAP_WIDTH: Final = 0.045


def fit_plate(plate: Picture, plate_ground: float, size: tuple[int, int], ground: float) -> Picture:
    """Scales and crops a scene so that its ground meets the drawing's.

    Args:
        plate: `(h, w, 3)`.
        plate_ground: where people stand in it, from 0 at its top to 1 at its bottom.
        size: width, height wanted.
        ground: y of the drawing's ground in px of the size wanted.

    Raises:
        InvalidOption: the plate's ground is not inside the plate.
    """
    if not 0.0 < plate_ground < 1.0:
        raise InvalidOption(f"The plate's ground is at {plate_ground}; it must lie between 0 (top) and 1 (bottom).")
    (height, width), (wide, high) = plate.shape[:2], size
    ground = float(np.clip(ground, 0.02 * high, 0.98 * high))
    scale = max(wide / width, ground / (plate_ground * height), (high - ground) / ((1.0 - plate_ground) * height))
    shrinks = scale < 1.0
    fitted = (max(wide, round(width * scale)), max(high, round(height * scale)))
    whole = cv2.resize(plate, fitted, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    top = int(np.clip(round(plate_ground * fitted[1] - ground), 0, fitted[1] - high))
    left = (fitted[0] - wide) // 2
    return np.ascontiguousarray(whole[top : top + high, left : left + wide], np.uint8)


def light(scene: Picture, own: Picture) -> Field:
    """Gain per channel, `(3,)`, that brings a person from the light of `own` some way into that of `scene`."""
    wanted, given = (np.median(picture.reshape(-1, 3), axis=0) + 8.0 for picture in (scene, own))
    return np.asarray(((wanted / given) ** _LIGHT_SHARE).clip(*_LIGHT), np.float32)


def depth_order(joints: Sequence[Field], heights: Sequence[float], last: Sequence[int] = ()) -> list[int]:
    """Orders figures from the farthest to the nearest.

    Who stands lower in the picture is nearer, and who strikes is before the one who is struck.

    Args:
        joints: `(15, 2)` px of each figure.
        heights: of each, standing, in px.
        last: the order of the frame before, which changes only where the difference is clear.

    Returns:
        Numbers of the figures.
    """
    size = float(np.mean(heights)) if len(heights) else 1.0
    nearness = [float(pose[:, 1].max()) / size for pose in joints]
    for one, pose in enumerate(joints):
        for other, struck in enumerate(joints):
            if one != other and _reaches(pose, struck, size):
                nearness[one] += 2.0 * _STAYS
    for place, figure in enumerate(last):
        if figure < len(nearness):
            nearness[figure] += _STAYS * place
    return sorted(range(len(nearness)), key=lambda figure: nearness[figure])


def _reaches(pose: Field, struck: Field, size: float) -> bool:
    tips = pose[[5, 8, 11, 14]]
    x, y = tips[:, 0], tips[:, 1]
    distance = np.minimum(to_segment(x, y, struck[1], struck[2]), to_segment(x, y, struck[0], struck[1]))
    return bool(distance.min() < _REACH * size)


def shadows(size: tuple[int, int], joints: Field, height: float, ground: float, strength: float = 1.0) -> Field:
    """Light that a figure leaves on the ground.

    Args:
        size: width, height of the frame.
        joints: `(15, 2)` px.
        height: of the figure standing, px.
        ground: y of the ground on which its soles stand, px.
        strength: 1 is usual, 0 none.

    Returns:
        `(H, W)` float32 in [0, 1] to multiply the scene with.
    """
    left = np.ones((size[1], size[0]), np.float32)
    tips = joints[list(_TIPS)]
    lifts = np.maximum(0.0, (ground - tips[:, 1]) / height - SOLE)
    for (x, _), lift in zip(tips, lifts, strict=True):
        width = (0.075 + 0.25 * lift) * height
        _darken(left, (float(x), ground), (width, 0.24 * width), strength * _CONTACT * float(np.exp(-lift / 0.05)))
    middle, spread = float(tips[:, 0].mean()), float(np.ptp(tips[:, 0]))
    lowest = float(lifts.min())
    wide = 0.16 * height + 0.45 * spread
    _darken(left, (middle, ground), (wide, 0.07 * height), strength * _CAST * float(np.exp(-lowest / 0.35)))
    return left


def _darken(light_left: Field, centre: tuple[float, float], radii: tuple[float, float], share: float) -> None:
    """Takes `share` of the light away in the middle of a soft ellipse."""
    share = min(share, 0.95)
    if share < 0.004:
        return
    reach = 2.2
    high, wide = light_left.shape
    left, right = (int(np.clip(centre[0] + side * reach * radii[0], 0, wide)) for side in (-1, 1))
    top, bottom = (int(np.clip(centre[1] + side * reach * radii[1], 0, high)) for side in (-1, 1))
    x = (np.arange(left, right, dtype=np.float32) - centre[0]) / radii[0]
    y = (np.arange(top, bottom, dtype=np.float32) - centre[1]) / radii[1]
    fall = np.outer(np.exp(-y * y), np.exp(-x * x)).astype(np.float32)
    light_left[top:bottom, left:right] *= 1.0 - np.float32(share) * fall


def compose(
    plate: Picture,
    layers: Sequence[Layer],
    *,
    ground: Field | None = None,
    shadow: float = 1.0,
    order: Sequence[int] | None = None,
    gains: Sequence[Field] = (),
) -> Picture:
    """Lays figures over a scene.

    Args:
        plate: `(H, W, 3)`.
        layers: of the same size.
        ground: `(2,)`, y = ground[0] + ground[1] * x of the line on which ankles stand; None casts no shadows.
        shadow: strength of shadows; 1 is usual, 0 none.
        order: of the layers from the farthest to the nearest; `depth_order`'s where it is not given.
        gains: `(3,)` each, colours' gain of each layer, as `light` gives.

    Raises:
        InvalidOption: a layer's size is not the plate's.
    """
    for layer in layers:
        if layer.rgba.shape[:2] != plate.shape[:2]:
            raise InvalidOption(
                f"A layer is {layer.rgba.shape[:2]} and the plate {plate.shape[:2]}; both must be alike."
            )
    size = (plate.shape[1], plate.shape[0])
    picture = plate.astype(np.float32)
    if ground is not None and shadow > 0.0:
        for layer in layers:
            at = float(ground[0] + ground[1] * layer.joints[2, 0]) + SOLE * layer.height
            picture *= shadows(size, layer.joints, layer.height, at, shadow)[..., None]
    found = order if order is not None else depth_order([i.joints for i in layers], [i.height for i in layers])
    for number in found:
        _lay(picture, layers[number], gains[number] if len(gains) else None)
    return np.asarray(picture.clip(0, 255).round(), np.uint8)


def _lay(picture: Field, layer: Layer, gain: Field | None) -> None:
    left, top, width, height = cv2.boundingRect(layer.rgba[..., 3])
    if not width:
        return
    place = picture[top : top + height, left : left + width]
    figure = layer.rgba[top : top + height, left : left + width].astype(np.float32)
    colour = figure[..., :3] if gain is None else np.minimum(figure[..., :3] * gain, figure[..., 3:])
    place *= 1.0 - figure[..., 3:] / np.float32(255.0)
    place += colour


def limb_map(joints: Field, height: float, size: tuple[int, int]) -> Picture:
    """Draws a body's bones for a net: `(H, W, 3)` uint8, left limbs red, right ones green, trunk and head blue.

    Lower arms and legs are brighter than upper ones.

    Args:
        joints: `(15, 2)` px.
        height: of the figure standing, px.
        size: width, height of the map.

    Raises:
        InvalidOption: the joints are not a body's.
    """
    if joints.shape != (len(BODY), 2):
        raise InvalidOption(f"A limb map is drawn of {(len(BODY), 2)} joints, not {joints.shape}. Use `embody` first.")
    channels = [np.zeros((size[1], size[0]), np.uint8) for _ in range(3)]
    points = np.round(joints * 16).astype(np.int32)
    width = max(1, round(_MAP_WIDTH * height))
    for limb, chain in enumerate(CHAINS):
        channel = channels[2 if limb > LEG_R else (0 if limb % 2 == 0 else 1)]
        for place, (start, end) in enumerate(pairwise(chain)):
            value = 255 if place or limb > LEG_R else 150
            cv2.line(channel, points[start].tolist(), points[end].tolist(), value, width, cv2.LINE_AA, 4)
    head, radius = points[CHAINS[HEAD][1]].tolist(), round(0.06 * height * 16)
    cv2.circle(channels[2], head, radius, 255, -1, cv2.LINE_AA, 4)
    return np.dstack(channels)

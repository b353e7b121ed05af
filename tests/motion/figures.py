"""A person made of coloured limbs, in any pose."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from vid2vid.motion.actor import Actor, View

HEIGHT = 200.0
STANDING = np.array(
    [(0, -88), (0, -72), (0, -45), (8, -71), (13, -54), (16, -38), (-8, -71), (-13, -54), (-16, -38),
     (5, -45), (6, -25), (7, -3), (-5, -45), (-6, -25), (-7, -3)], np.float32,
) * HEIGHT / 100  # fmt: skip
"""Feet at y = 0; seen from the front, so that the left side is to the right."""
LIMBS = (
    ((3, 4, 5), (230, 60, 50), 0.034), ((6, 7, 8), (60, 200, 70), 0.034),
    ((9, 10, 11), (70, 90, 230), 0.048), ((12, 13, 14), (230, 200, 60), 0.048),
)  # fmt: skip
TRUNK, SKIN = (150, 120, 180), (225, 180, 150)


def turned(joints: np.ndarray, chain: tuple[int, ...], degrees: float) -> np.ndarray:
    """Turns what hangs on a chain's first joint around it."""
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    result = joints.copy()
    result[list(chain[1:])] = (joints[list(chain[1:])] - joints[chain[0]]) @ matrix.T + joints[chain[0]]
    return result.astype(np.float32)


def picture(joints: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Colours and mask of the person; colours go on beyond the mask."""
    colour, mask = np.full((*shape, 3), TRUNK, np.uint8), np.zeros(shape, np.uint8)
    for image, colours in ((colour, True), (mask, False)):
        for chain, value, width in LIMBS[2:]:
            _limb(image, joints[list(chain)], value if colours else 255, width * HEIGHT)
        corners = joints[[3, 6, 12, 9]]
        _limb(image, np.vstack([corners, corners[:1]]), TRUNK if colours else 255, 0.025 * HEIGHT)
        cv2.fillPoly(image, [_fixed(corners)], TRUNK if colours else 255, cv2.LINE_AA, 4)
        _limb(image, joints[[1, 0]], SKIN if colours else 255, 0.025 * HEIGHT)
        centre = tuple(int(v) for v in _fixed(joints[0]))
        cv2.circle(image, centre, round(0.065 * HEIGHT * 16), SKIN if colours else 255, -1, cv2.LINE_AA, 4)
        for chain, value, width in LIMBS[:2]:
            _limb(image, joints[list(chain)], value if colours else 255, width * HEIGHT)
    return colour, mask


def _limb(image: np.ndarray, points: np.ndarray, value: object, width: float) -> None:
    cv2.polylines(image, [_fixed(points)], False, value, round(2 * width), cv2.LINE_AA, 4)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * 16).astype(np.int32)


def view(joints: np.ndarray, facing: float = 0.0) -> View:
    """A view cropped around the person."""
    low = joints.min(0) - 0.15 * HEIGHT
    placed = (joints - low).astype(np.float32)
    extent = np.ceil(placed.max(0) + 0.15 * HEIGHT).astype(int)
    colour, mask = picture(placed, (int(extent[1]), int(extent[0])))
    return View(colour, mask, placed, np.ones(15, np.float32), np.zeros(15, np.float32), facing)


@cache
def standing_view() -> View:
    """A view with spread arms and legs; made once."""
    return view(spread())


def actor(*poses: np.ndarray) -> Actor:
    """An actor with a view of each pose; one standing with spread arms and legs where none is given."""
    return Actor("limbs", tuple(view(pose) for pose in poses) or (standing_view(),), HEIGHT)


def spread() -> np.ndarray:
    """Standing, arms half raised, legs apart."""
    joints = turned(turned(STANDING, (3, 4, 5), -40), (6, 7, 8), 40)
    return turned(turned(joints, (9, 10, 11), -15), (12, 13, 14), 15)

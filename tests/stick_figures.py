"""Stick-men in pen on paper, drawn with known joints."""

from __future__ import annotations

import cv2
import numpy as np

from vid2vid.motion.skeleton import BONES

HEIGHT = 100.0
RADIUS = 7.0
STANDING = np.array(
    [(0, -93), (0, -82), (0, -48), (12, -70), (18, -56), (-12, -68), (-8, -52), (9, -25), (8, 0), (-9, -25), (-14, 0)],
    np.float32,
)
"""Feet at y = 0."""


def walking(frame: int, x: float, speed: float, ground: float = 150.0) -> np.ndarray:
    """`(11, 2)`: arms and legs swing, without crossing."""
    joints = STANDING.copy()
    swing = np.sin(frame * 0.45)
    joints[3:7:2, 0] += np.array([5, -5]) * swing
    joints[4:7:2, 0] += np.array([8, -8]) * swing
    joints[7:11:2, 0] += np.array([-4, 4]) * swing
    joints[8:11:2, 0] += np.array([-7, 7]) * swing
    return joints + np.array([x + speed * frame, ground], np.float32)


def drawn(
    figures: list[np.ndarray], size: tuple[int, int] = (320, 180), pen: int = 30, paper: int = 225, filled: bool = False
) -> np.ndarray:
    """`(H, W, 3)` uint8; the light falls off to the right."""
    picture = np.full((size[1], size[0]), paper, np.float32)
    for joints in figures:
        for start, end in BONES:
            _line(picture, joints[start], joints[end], pen)
        head = tuple(int(v) for v in np.round(joints[0] * 16))
        cv2.circle(picture, head, round(RADIUS * 16), pen, -1 if filled else 2, cv2.LINE_AA, 4)
    light = np.linspace(1.0, 0.75, size[0], dtype=np.float32)
    return np.repeat((picture * light).astype(np.uint8)[..., None], 3, axis=2)


def _line(picture: np.ndarray, start: np.ndarray, end: np.ndarray, pen: int) -> None:
    cv2.line(picture, *(tuple(int(v) for v in np.round(point * 16)) for point in (start, end)), pen, 2, cv2.LINE_AA, 4)

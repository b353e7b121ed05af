"""Takes sunlight in the lens off a person: a beam that lies over the picture of a still camera, and haze."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.actor import View
    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_SURE = 0.94
_DARK = 1.0
"""Percentage of the pixels that are taken for black."""
_BLACK = 20.0
_TALLER = 2
"""The background of a beam is looked for within this many times its width."""


@dataclass(frozen=True, slots=True)
class Beam:
    """Where a beam lies."""

    top: int
    bottom: int
    """Rows between which it lies, once columns are moved down by `slope` pixels a pixel."""
    slope: float
    """Pixels that it rises from one column to the next."""


def without_beam(frames: Sequence[Picture], masks: Iterable[Floats], beam: Beam) -> list[Picture]:
    """Subtracts a beam that is seen best before dark clothes.

    Args:
        frames: `(H, W, 3)` uint8 sRGB each.
        masks: `(H, W)` in [0, 1] of a person who walks through the beam, one for each frame.
        beam: where it lies.

    Returns:
        The frames without it.
    """
    darkest = np.full(frames[0].shape, 255, np.uint8)
    times = np.zeros(frames[0].shape[:2], np.float32)
    for frame, mask in zip(frames, masks, strict=True):
        inside = cv2.erode((mask > _SURE).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        darkest[inside] = np.minimum(darkest[inside], frame[inside])
        times += inside
    light = _light(darkest, (times >= 3).astype(np.float32), beam)
    return [np.clip(np.round(frame - light), 0, 255).astype(np.uint8) for frame in frames]


def _light(darkest: Picture, known: Floats, beam: Beam) -> Floats:
    """`(H, W, 3)`: what rises above the dark above and below it, levelled, smoothed along the beam."""
    height, width = known.shape
    thickness = beam.bottom - beam.top
    column = np.ones((_TALLER * thickness + 1, 1), np.uint8)
    risen = (darkest - cv2.morphologyEx(darkest, cv2.MORPH_OPEN, column)).astype(np.float32) * known[..., None]
    level = np.array([[1.0, 0.0, 0.0], [beam.slope, 1.0, 0.0]])
    size = (width, height + round(beam.slope * width) + 1)
    blurred = (
        cv2.GaussianBlur(cv2.warpAffine(part, level, size), (0, 0), sigmaX=0.7 * thickness, sigmaY=0.05 * thickness)
        for part in (risen, known)
    )
    summed, weight = blurred
    rows = np.zeros(size[1], np.float32)
    rows[beam.top : beam.bottom] = 1.0
    rows = cv2.GaussianBlur(rows[:, None], (0, 0), 0.1 * thickness)
    light = summed / (weight[..., None] + 1e-3) * rows[..., None]
    return np.asarray(cv2.warpAffine(light, level, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


def without_haze(views: Sequence[View]) -> tuple[View, ...]:
    """Takes off the even light that a lens facing the sun lays over everything: the darkest cloth becomes dark again.

    Source:
        The dark pixel of Chavez, "An improved dark-object subtraction technique", 1988, with the whites kept apart.
    """
    inside = np.concatenate([view.picture[view.mask > 200] for view in views]).astype(np.float32)
    dark, light = np.percentile(inside, (_DARK, 100.0 - _DARK), axis=0)
    bright = light.max()
    gain = (bright - _BLACK) / (bright - dark)
    return tuple(
        replace(view, picture=np.clip(np.round((view.picture - dark) * gain + _BLACK), 0, 255).astype(np.uint8))
        for view in views
    )

"""The actor's own scene, and the film's motion brought to where the actor stood in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.people import PeopleFinder
from vid2vid.errors import ReferenceMismatch

from .background import guessed
from .parts import Part, moved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vid2vid.types import Picture

    from .actors import Player

_GROWN: Final = 0.03
"""Body heights by which the actor's mask is grown before the scene is continued behind them."""


def own_scene(player: Player, parts: Sequence[Part], size: tuple[int, int]) -> tuple[Picture, list[Part]]:
    """Fits the actor's scene to the film's frames and moves everybody into it.

    Args:
        player: whose scene it is.
        parts: in pixels of the film.
        size: columns and rows of the film.

    Returns:
        The scene `(H, W, 3)` uint8, and the parts in it: of the actor's size, about the actor's place.

    Raises:
        ReferenceMismatch: the reference's first picture shows nobody.
    """
    people = PeopleFinder().find(player.first)
    if not people:
        raise ReferenceMismatch("mode='animate' needs the actor in the reference's first picture; nobody is there.")
    person = people[0]
    plate = player.actor.plate
    if plate is None:
        reach = 2 * max(1, round(_GROWN * person.height)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        plate = guessed(player.first, cv2.dilate((person.mask > 0.1).astype(np.uint8), kernel) > 0)
    high, wide = plate.shape[:2]
    shrink = high / player.first.shape[0]
    scale = max(size[0] / wide, size[1] / high)
    stood = person.joints[[11, 14]].mean(0) * shrink * scale
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    whole = cv2.resize(plate, (max(size[0], round(wide * scale)), max(size[1], round(high * scale))), interpolation=way)
    left = int(np.clip(round(float(stood[0])) - size[0] // 2, 0, whole.shape[1] - size[0]))
    top = int(np.clip(round(float(stood[1])) - round(0.85 * size[1]), 0, whole.shape[0] - size[1]))
    scene = np.ascontiguousarray(whole[top : top + size[1], left : left + size[0]], np.uint8)
    middle = np.array([stood[0] - left, stood[1] - top], np.float32)
    return scene, _placed(parts, middle, person.height * shrink * scale)


def _placed(parts: Sequence[Part], middle: np.ndarray[tuple[int], np.dtype[np.float32]], height: float) -> list[Part]:
    """Scales everybody's motion about its middle on the ground, and puts that where the actor stood."""
    if not parts:
        return []
    tall = float(np.median(np.concatenate([part.heights[part.present] for part in parts])))
    scale = height / tall
    hips = np.concatenate([part.joints[part.present, 2, 0] for part in parts])
    ground = np.concatenate([part.ground[part.present] for part in parts])
    centre = np.array([(hips.min() + hips.max()) / 2, np.median(ground)], np.float32)
    result = []
    for part in parts:
        joints = (part.joints - centre) * scale + middle
        result.append(
            moved(part, joints.astype(np.float32), part.heights * np.float32(scale),
                  ((part.ground - centre[1]) * scale + middle[1]).astype(np.float32))
        )  # fmt: skip
    return result

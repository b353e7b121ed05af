"""The empty scene behind people, from a clip of a camera that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

_GROWN: Final = 0.012
"""Masks are grown by this part of the picture's longer side: shadows and soft edges go as well."""
_SEEN: Final = 3
"""Frames that have to show a place."""
_GAP: Final = 0.03
"""Half width of the widest gap that may be filled by guessing, in the picture's longer side; wider ones smear."""
_SHIFT: Final = 0.75
"""Pixels by which a camera that stands still may move."""
_STRIP: Final = 64


def empty_scene(frames: Sequence[Picture], masks: Sequence[NDArray[np.uint8]]) -> Picture | None:
    """Puts the scene together from what frames show beside the people.

    Args:
        frames: `(H, W, 3)` uint8 sRGB each; about 30 spread over the clip are enough.
        masks: of everybody in each, `(h, w)` uint8 of any size, 0 where nobody is.

    Returns:
        `(H, W, 3)` uint8 sRGB; None where the camera moves or too much is hidden throughout.
    """
    if len(frames) < _SEEN or not stands_still(frames):
        return None
    plate, seen = usual_scene(frames, masks)
    return _filled(plate, (seen < _SEEN).astype(np.uint8))


def usual_scene(frames: Sequence[Picture], masks: Sequence[NDArray[np.uint8]]) -> tuple[Picture, NDArray[np.intp]]:
    """Median of what frames of a camera that stands still show beside the people.

    Args:
        frames: `(H, W, 3)` uint8 sRGB each.
        masks: of everybody in each, `(h, w)` uint8 of any size, 0 where nobody is.

    Returns:
        `(H, W, 3)` uint8 sRGB, white where no frame shows the place; `(H, W)`: how many frames do.
    """
    height, width = frames[0].shape[:2]
    hidden = np.stack([hidden_in(mask, (width, height)) for mask in masks])
    plate = np.zeros((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        rows = slice(top, top + _STRIP)
        plate[rows] = median_of(np.stack([frame[rows] for frame in frames]), hidden[:, rows])
    return plate, (~hidden).sum(0)


def stands_still(frames: Sequence[Picture]) -> bool:
    """Whether the camera does: the middle and the last frame lie on the first one."""
    first, *others = (
        cv2.cvtColor(frames[number], cv2.COLOR_RGB2GRAY).astype(np.float32) for number in (0, len(frames) // 2, -1)
    )
    window = cv2.createHanningWindow(first.shape[::-1], cv2.CV_32F)
    return all(np.hypot(*cv2.phaseCorrelate(first, other, window)[0]) < _SHIFT for other in others)


def hidden_in(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where people hide a frame of `size` columns and rows, a little more than their mask, which may be smaller."""
    grown = max(1, round(_GROWN * max(size)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1))
    return np.asarray(cv2.dilate(cv2.resize(mask, size), kernel) > 12, bool)


def median_of(values: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Median over frames of what is not hidden: `(T, h, w, 3)` and `(T, h, w)` -> `(h, w, 3)`."""
    ordered = np.where(hidden[..., None], np.int16(256), values.astype(np.int16))
    ordered.sort(axis=0)
    middle = np.maximum((~hidden).sum(0) - 1, 0) // 2
    chosen = np.take_along_axis(ordered, middle[None, ..., None], 0)[0]
    return np.asarray(np.minimum(chosen, 255), np.uint8)


def _filled(plate: Picture, unseen: NDArray[np.uint8]) -> Picture | None:
    """Guesses small gaps at reduced size."""
    longer = max(unseen.shape)
    if not unseen.any():
        return plate
    if cv2.distanceTransform(unseen, cv2.DIST_L2, 5).max() > _GAP * longer:
        return None
    scale = min(1.0, 480 / longer)
    small = cv2.resize(plate, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    gaps = cv2.resize(unseen, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    gaps = cv2.dilate((gaps > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    guessed = cv2.resize(cv2.inpaint(small, gaps, 3, cv2.INPAINT_TELEA), plate.shape[1::-1])
    part = cv2.GaussianBlur(cv2.dilate(unseen, np.ones((5, 5), np.uint8)).astype(np.float32), (0, 0), 1.5)[..., None]
    return np.asarray(np.round(plate * (1.0 - part) + guessed * part), np.uint8)

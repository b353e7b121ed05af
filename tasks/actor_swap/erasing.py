"""Where the old person has to go: the mask, and what near it differs from the empty scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.motion.cutting import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    from .watching import Sighting

    Floats = NDArray[np.float32]

_GROWN: Final = 0.022
"""Body heights by which the mask is grown in any case."""
_NEAR: Final = 0.11
"""Body heights within which what differs from the empty scene is the person's: hair, shoes, hands, bags."""
_SOFT: Final = 0.012
"""Width of the soft edge in body heights."""
_LEAST_DIFFERENCE: Final = 9.0
"""Levels of 255 above the noise from which a place differs."""
_BELOW: Final = 0.3
"""Coverage from which a place is the person's."""
_FAINT: Final = 0.1
_FILLED_AT: Final = 160


@dataclass(frozen=True, slots=True, eq=False)
class Erased:
    """Where a person is taken out."""

    window: tuple[slice, slice]
    alpha: Floats
    """`(h, w)` in [0, 1]: how far the background shows."""
    hidden: NDArray[np.bool_]
    """`(h, w)`: where the frame shows somebody."""
    plate: Picture | None
    """`(h, w, 3)`: the empty scene; None where it is not known."""
    filling: Picture
    """`(h, w, 3)`: what surrounds the person, spread over them; empty where there is a background."""


def erased(
    picture: Picture,
    behind: Callable[[tuple[slice, slice]], Picture | None],
    own: Sequence[Sighting],
    others: Sequence[Sighting],
    height: float,
) -> Erased:
    """Finds where a person is to be taken out of a frame.

    Args:
        picture: `(H, W, 3)` uint8.
        behind: gives the empty scene of a window, if known.
        own: where the person was seen in this frame, or about it.
        others: everybody who stays.
        height: of the person standing, px.
    """
    window = _window(own, picture.shape, 0.25 * height)
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    empty = np.zeros((0, 0, 3), np.uint8)
    if 0 in shape:
        return Erased(window, np.zeros((0, 0), np.float32), np.zeros((0, 0), bool), None, empty)
    mask, stays = laid(own, window, shape), laid(others, window, shape)
    body = mask > _BELOW
    grown = _dilated(body, _GROWN * height)
    part, plate = picture[window], behind(window)
    if plate is not None:
        grown |= _differing(part, plate, _dilated(body, _NEAR * height), mask + stays, height)
    grown &= ~((stays > 0.5) & (stays > mask))
    soft = max(0.8, _SOFT * height)
    alpha = cv2.GaussianBlur(_dilated(grown, soft).astype(np.float32), (0, 0), 0.5 * soft)
    alpha[alpha < 0.02] = 0.0
    alpha = np.maximum(alpha, body & grown) * (1.0 - np.where(stays > mask, stays, 0.0))
    hidden = _dilated(grown | (stays > 0.1), 2.0 * soft)
    filling = _surroundings(part, hidden) if plate is None else empty
    return Erased(window, alpha.astype(np.float32), hidden, plate, filling)


def _window(own: Sequence[Sighting], shape: tuple[int, ...], margin: float) -> tuple[slice, slice]:
    kept = [one.mask for one in own if one.mask.width]
    if not kept:
        return slice(0, 0), slice(0, 0)
    top, left = min(mask.top for mask in kept) - margin, min(mask.left for mask in kept) - margin
    bottom = max(mask.top + mask.height for mask in kept) + margin
    right = max(mask.left + mask.width for mask in kept) + margin
    return (
        slice(max(0, round(top)), min(shape[0], round(bottom))),
        slice(max(0, round(left)), min(shape[1], round(right))),
    )


def spared(others: Sequence[Sighting], window: tuple[slice, slice], height: float) -> Floats:
    """`(h, w)` in [0, 1]: 1 where somebody is who stays, falling off softly around them.

    Args:
        others: who stays.
        window: of the picture.
        height: about that of the people standing, px.
    """
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    there = laid(others, window, shape) > _FAINT
    near, wide = _dilated(there, _GROWN * height), _dilated(there, 2.0 * _GROWN * height)
    soft = cv2.GaussianBlur(wide.astype(np.float32), (0, 0), max(0.8, 0.5 * _GROWN * height))
    return np.asarray(np.maximum(soft, near), np.float32)


def laid(sightings: Sequence[Sighting], window: tuple[slice, slice], shape: tuple[int, int]) -> Floats:
    """The masks of some people within a window."""
    result = np.zeros(shape, np.float32)
    for one in sightings:
        rows, columns = one.mask.window
        top, bottom = max(rows.start, window[0].start), min(rows.stop, window[0].stop)
        left, right = max(columns.start, window[1].start), min(columns.stop, window[1].stop)
        if top >= bottom or left >= right:
            continue
        mask = one.mask.unpacked()[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
        place = result[
            top - window[0].start : bottom - window[0].start, left - window[1].start : right - window[1].start
        ]
        np.maximum(place, mask, out=place)
    return result


def _dilated(flags: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    reach = max(1, round(radius))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(flags.astype(np.uint8), kernel), bool)


def _differing(
    part: Picture, plate: Picture, near: NDArray[np.bool_], people: Floats, height: float
) -> NDArray[np.bool_]:
    """What near the person is not the empty scene, without specks."""
    difference = cv2.GaussianBlur(cv2.absdiff(part, plate).max(-1).astype(np.float32), (0, 0), 1.2)
    free = (people < 0.02) & ~near
    noise = float(np.percentile(difference[free], 75)) if free.sum() > 64 else 6.0
    flags = ((difference > noise + _LEAST_DIFFERENCE) & near).astype(np.uint8)
    size = 2 * max(1, round(0.006 * height)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    opened = cv2.morphologyEx(flags, cv2.MORPH_OPEN, kernel)
    return np.asarray(cv2.dilate(opened, kernel), bool)


def _surroundings(part: Picture, hidden: NDArray[np.bool_]) -> Picture:
    """What surrounds a person spread smoothly over them, at reduced size."""
    height, width = hidden.shape
    scale = min(1.0, _FILLED_AT / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    known = (~hidden).astype(np.float32)
    weighted = cv2.resize(part * known[..., None], size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    small = filled(weighted / np.maximum(weight, 1e-3)[..., None], (weight > 0.99).astype(np.float32))
    return np.asarray(cv2.resize(small, (width, height)).clip(0, 255).round(), np.uint8)

"""Cuts a person out of a picture: an actor's view with a clean edge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.motion.actor import View, resized
from vid2vid.motion.cutting import filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.people import PeopleFinder, Person
    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_MARGIN: Final = 0.06
"""Around the person, in body heights."""
_HAZE: Final = 0.15
"""Coverage below this is taken for none, and that far from full for full."""
_ALIKE: Final = 10
"""Levels of 255 within which a place shows the empty scene."""
_TOLD: Final = 2.0
"""Weight of the difference to an empty scene, in log odds."""
_GAIN: Final = 1.6
_CORE: Final = 0.97
"""Coverage from which a pixel's colour is the person's alone."""
_PIECE: Final = 0.004
"""Pieces apart from the person are dropped if smaller, in squares of the body height."""


def cut_out(
    picture: Picture,
    person: Person,
    finder: PeopleFinder,
    height: float,
    plate: Picture | None = None,
    mask: Floats | None = None,
) -> View:
    """Cuts one person out.

    Args:
        picture: `(H, W, 3)` uint8 sRGB.
        person: found in it.
        finder: looks again for a finer mask.
        height: standing height in pixels that the view is scaled to.
        plate: the same scene without the person, if known.
        mask: what `finder.fine_mask` gives, where that is known already.

    Returns:
        The view, cropped with a margin.
    """
    seen = finder.fine_mask(picture, person) if mask is None else mask
    mask = firm(seen if plate is None else against_plate(seen, picture, plate), person.height)
    columns, rows = np.nonzero(mask.max(0) > 0)[0], np.nonzero(mask.max(1) > 0)[0]
    margin = round(_MARGIN * person.height)
    left, top = max(0, int(columns[0]) - margin), max(0, int(rows[0]) - margin)
    window = (slice(top, int(rows[-1]) + margin + 1), slice(left, int(columns[-1]) + margin + 1))
    view = View(
        picture=own_colours(picture[window], mask[window]),
        mask=np.round(mask[window] * 255.0).astype(np.uint8),
        joints=(person.joints - np.array([left, top])).astype(np.float32),
        visibility=person.visibility,
        depth=person.depth,
        facing=person.facing,
    )
    return resized(view, height / person.height)


def against_plate(mask: Floats, picture: Picture, plate: Picture) -> Floats:
    """Decides where a mask hesitates by what differs from the empty scene.

    Args:
        mask: `(H, W)` in [0, 1].
        picture, plate: `(H, W, 3)` uint8 sRGB.

    Returns:
        `(H, W)` in [0, 1]; as before where the mask is sure.
    """
    difference = cv2.blur(cv2.absdiff(picture, plate), (3, 3)).max(-1).astype(np.float32)
    noise = 3.0 * float(np.median(difference[mask < 0.01])) + 6.0
    told = cv2.GaussianBlur(np.clip((difference - noise) / noise, -1.0, 1.0), (0, 0), 1.2) * _TOLD
    odds = np.log(np.clip(mask, 0.01, 0.99) / (1.0 - np.clip(mask, 0.01, 0.99))) + told
    open_to_doubt = (mask > 0.04) & (mask < 0.985)
    return np.where(open_to_doubt, 1.0 / (1.0 + np.exp(-odds)), mask).astype(np.float32)


def hidden_share(mask: Floats, picture: Picture, plate: Picture) -> float:
    """Part of a person's mask, from 0 to 1, that shows the empty scene: something there stands before the person.

    Args:
        mask: `(H, W)` in [0, 1].
        picture, plate: `(H, W, 3)` uint8 sRGB.
    """
    difference = cv2.blur(cv2.absdiff(picture, plate), (3, 3)).max(-1)
    core = mask > 0.9
    return float((difference[core] < _ALIKE).mean()) if core.any() else 0.0


def in_one_light(views: Sequence[View]) -> tuple[View, ...]:
    """Brings views to one brightness, contrast and colour: their median mean and spread in CIE Lab.

    Source:
        Reinhard et al., "Color Transfer between Images", 2001, with bounded gain.
    """
    labs = [np.asarray(cv2.cvtColor(view.picture, cv2.COLOR_RGB2LAB), np.float32) for view in views]
    inside = [lab[view.mask > 200] for lab, view in zip(labs, views, strict=True)]
    means, spreads = (np.stack([moment(values, 0) for values in inside]) for moment in (np.mean, np.std))
    mean, spreading = np.median(means, 0), np.median(spreads, 0)
    result = []
    for view, lab, own, width in zip(views, labs, means, spreads, strict=True):
        gain = np.clip(spreading / np.maximum(width, 1e-3), 1.0 / _GAIN, _GAIN)
        matched = np.clip(np.round((lab - own) * gain + mean), 0, 255).astype(np.uint8)
        result.append(replace(view, picture=np.asarray(cv2.cvtColor(matched, cv2.COLOR_LAB2RGB), np.uint8)))
    return tuple(result)


def firm(mask: Floats, height: float) -> Floats:
    """Takes haze and loose pieces out of a mask.

    Args:
        mask: `(H, W)` in [0, 1].
        height: of the person, in pixels.

    Returns:
        `(H, W)` in [0, 1].
    """
    clear = np.clip((mask - _HAZE) / (1.0 - 2.0 * _HAZE), 0.0, 1.0).astype(np.float32)
    count, labels, facts, _ = cv2.connectedComponentsWithStats((clear > 0.5).astype(np.uint8), connectivity=8)
    if count <= 1:
        return np.asarray(clear, np.float32)
    areas = facts[:, cv2.CC_STAT_AREA].astype(float)
    areas[0] = 0.0
    kept = (areas >= _PIECE * height**2) | (areas == areas.max())
    kept[0] = False
    near = cv2.dilate(kept[labels].astype(np.uint8), np.ones((5, 5), np.uint8))
    return np.asarray(clear * near, np.float32)


def own_colours(picture: Picture, mask: Floats) -> Picture:
    """Lets the person's colours go on beyond the mask's edge, so that none of the old scene is left in it.

    Args:
        picture: `(h, w, 3)` uint8 sRGB.
        mask: `(h, w)` in [0, 1].

    Returns:
        `(h, w, 3)` uint8: as it was where the mask is full, elsewhere what the nearest full places show.
    """
    core = np.asarray(cv2.erode((mask >= _CORE).astype(np.uint8), np.ones((3, 3), np.uint8)), np.float32)
    if not core.any():
        return picture
    outward = filled(picture, core)
    weight = cv2.GaussianBlur(core, (0, 0), 1.0)
    weight = np.minimum(weight * 1.5, 1.0)[..., None] * (mask >= _CORE)[..., None]
    return np.asarray(np.round(picture * weight + outward * (1.0 - weight)), np.uint8)

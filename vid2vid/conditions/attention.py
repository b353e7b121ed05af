"""Which parts of a clip's frames are worth another search for people: those where something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.pose_networks import Landmarks, Region
    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_SIDE: Final = 160
"""Longer side at which frames are compared: noise and leaves are averaged away."""
_CHANGED: Final = 10.0
"""Levels of 255 by which a place has changed."""
_AREA: Final = 10
"""Changed places, of `_SIDE` a side, from which somebody may have come in: a person who can be found covers 100."""
_STALE: Final = 30
"""Frames after which a part is searched again in any case."""
_GROWN: Final = 0.04
"""Around people already known, in sides of their regions, that counts as theirs."""


class Attention:
    """Remembers how each part of the picture looked when it was last searched."""

    def __init__(self) -> None:
        self._searched: dict[Region, tuple[int, Floats]] = {}

    def due(
        self, index: int, picture: Picture, tiles: Sequence[Region], known: Sequence[Landmarks], lost: Sequence[Region]
    ) -> list[Region]:
        """The parts to be searched now.

        Args:
            index: of the frame.
            picture: `(H, W, 3)` uint8 sRGB.
            tiles: upright squares, the same ones in each call.
            known: who is followed; what moves there is nobody new.
            lost: where people were last seen who are not followed any more: these parts are searched always.
        """
        scale = min(1.0, _SIDE / max(picture.shape[:2]))
        now = _grey(picture, scale)
        for one in known:
            now[_hidden_by(one, now.shape, scale)] = np.nan
        return [tile for tile in tiles if self._is_due(index, tile, _part(now, tile, scale), lost)]

    def _is_due(self, index: int, tile: Region, now: Floats, lost: Sequence[Region]) -> bool:
        last, before = self._searched.get(tile, (-_STALE, now))
        reach = tile.size / 2
        missing = any(max(abs(one.x - tile.x), abs(one.y - tile.y)) < reach for one in lost)
        if not missing and index - last < _STALE and (np.abs(now - before) > _CHANGED).sum() < _AREA:
            # What somebody hid then is remembered as soon as it is seen.
            self._searched[tile] = (last, np.where(np.isnan(before), now, before))
            return False
        self._searched[tile] = (index, now)
        return True


def _grey(picture: Picture, scale: float) -> Floats:
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)


def _hidden_by(one: Landmarks, shape: tuple[int, ...], scale: float) -> NDArray[np.bool_]:
    """Where a person is, and a little around."""
    way = one.region.to_picture(one.mask.shape[0])
    way = np.column_stack([way[:, :2] * scale, (way[:, 2] + 0.5) * scale - 0.5])
    mask = cv2.warpAffine(one.mask, way, (shape[1], shape[0]), flags=cv2.INTER_LINEAR)
    reach = 2 * max(1, round(_GROWN * one.region.size * scale)) + 1
    return np.asarray(cv2.dilate((mask > 0.1).astype(np.uint8), np.ones((reach, reach), np.uint8)), bool)


def _part(small: Floats, tile: Region, scale: float) -> Floats:
    high, wide = small.shape
    top, left = (max(0, round((middle - tile.size / 2) * scale)) for middle in (tile.y, tile.x))
    bottom, right = (round((middle + tile.size / 2) * scale) for middle in (tile.y, tile.x))
    return small[top : min(high, bottom + 1), left : min(wide, right + 1)]

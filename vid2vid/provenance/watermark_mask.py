"""How strong the mark may be at each place without being seen.

A pattern of one strength everywhere is seen first in a clear sky and on a wall; among leaves or hair twice and four
times as much is not. So strength follows texture, and an edge between two smooth surfaces counts as smooth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

LEAST_PSNR_DB: Final = 40.7
"""Of the marked picture to the unmarked one; pictures full of texture come down to it, smooth ones stay near 45."""
_SMOOTH: Final = 1.2
"""Deviation in grey levels where there is no texture at all. Much less is mostly rounded away, and what is left is
lost at half size; 1.96 (42.3 dB everywhere) is plainly seen in a sky."""
_GRAIN: Final = (0.8, 2.4)
"""Texture up to which the mark rises fast, and by how much a level of it: a camera's grain hides a mark well."""
_TEXTURE: Final = 0.35
"""Rise with each further level of texture."""
_STRONGEST: Final = 3.0
_DARK: Final = (16.0, 66.0, 0.8)
"""Grey levels at which the mark is faintest and from which it is full, and its part of full strength below."""
_LINES: Final = 180
"""Short side, about, at which texture is measured."""
_GRAIN_SIDE, _SURFACE_SIDE = 5, 9
"""Pixels, at that size, over which texture is averaged, and over which its least value is taken."""


def strength(picture: Picture, into: Floats | None = None) -> Floats:
    """The mark's deviation at every pixel.

    Args:
        picture: (H, W, 3) uint8 sRGB.
        into: (H, W) float32 to write to; fresh memory costs more than the sums.

    Returns:
        (H, W) float32, grey levels of 255.
    """
    height, width = picture.shape[:2]
    step = max(1, round(min(height, width) / _LINES))
    whole = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(whole, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA)
    grey = np.asarray(small, np.float32).reshape(-(-height // step), -(-width // step))
    limited = _limited(_hidden(_texture(grey)) * _lit(grey))
    return np.asarray(cv2.resize(limited, (width, height), dst=into, interpolation=cv2.INTER_LINEAR))


def _texture(grey: Floats) -> Floats:
    """Mean deviation from the neighbours in a row or in a column, in levels, whichever is less, and its least nearby.

    Bars, beams and what motion has smeared vary in one direction only, and a lone line hides nothing beside it.
    """
    grain, surface = (_GRAIN_SIDE, _GRAIN_SIDE), (_SURFACE_SIDE, _SURFACE_SIDE)
    along, across = (
        cv2.blur(np.abs(grey - cv2.blur(grey, size)), grain) for size in ((_GRAIN_SIDE, 1), (1, _GRAIN_SIDE))
    )
    return np.asarray(cv2.blur(cv2.erode(np.minimum(along, across), np.ones(surface, np.uint8)), surface))


def _hidden(texture: Floats) -> Floats:
    top, rise = _GRAIN
    grain = np.minimum(texture, top)
    return np.minimum(_SMOOTH + rise * grain + _TEXTURE * (texture - grain), np.float32(_STRONGEST))


def _lit(grey: Floats) -> Floats:
    black, full, part = _DARK
    return np.asarray(np.clip(part + (1 - part) / (full - black) * (grey - black), part, 1.0), np.float32)


def _limited(levels: Floats) -> Floats:
    """Lowered as a whole where the picture would otherwise fall below `LEAST_PSNR_DB`."""
    most = 255 / 10 ** (LEAST_PSNR_DB / 20)
    deviation = float(np.sqrt(np.mean(levels * levels)))
    return levels * np.float32(min(1.0, most / max(deviation, 1e-9)))

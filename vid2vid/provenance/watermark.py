"""The mark that every frame carries and nobody sees: writing it, and finding it in a copy.

A faint pattern, the same in all frames, repeats over the picture. A part of its waves is known from a key and tells
that there is a mark; the others carry a number of 48 bits, which names the file's manifest. It survives re-encoding, a
smaller size, cropping and mirroring (docs/watermark.md has the measured rates). Whoever knows the key can find it, and
whoever averages many marked clips of one key can copy or remove it: a mark alone proves no origin.

Source: Cox et al. 1997, "Secure spread spectrum watermarking for multimedia"; Kutter 1998, "Watermarking resistant to
translation, rotation and scaling", for the repeated pattern.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.provenance.watermark_code import PAYLOAD_BITS
from vid2vid.provenance.watermark_mask import strength
from vid2vid.provenance.watermark_residue import Residue
from vid2vid.provenance.watermark_search import LINES, Search, thresholds
from vid2vid.provenance.watermark_tile import TILE, pattern

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

PUBLIC_KEY: Final[int] = 0x7669643276696400
"""The key of all marks unless a private one is set, so that anybody can look for them."""
_LEAST_TILE: Final = 48
"""Pixels of a tile below which its shortest waves could not be drawn."""
_ALL_FRAMES: Final = 120
"""Frames of which every one is looked at; beyond, ever fewer, since their mean hardly changes."""


class Marker:
    """Marks the frames of one render; for one caller at a time.

    Each picture is marked by itself and gets the same bits whenever it comes, so cutting or resuming a render changes
    nothing.
    """

    def __init__(self, width: int, height: int, payload: int, key: int = PUBLIC_KEY) -> None:
        """Makes the pattern for frames of one size.

        Args:
            width: columns of the frames, at least 1.
            height: rows of the frames, at least 1.
            payload: number to carry, 0 to 2**48 - 1.
            key: any number from 0 on.

        Raises:
            ValueError: a number is out of its range.
        """
        if min(width, height) < 1 or not 0 <= payload < 1 << PAYLOAD_BITS or key < 0:
            raise ValueError(f"Cannot mark {width}x{height} with payload {payload}, which has {PAYLOAD_BITS} bits.")
        side = max(_LEAST_TILE, round(TILE * min(width, height) / LINES))
        tile = pattern(key).tile(payload, side)
        self._strip = np.tile(tile, (1, -(-width // side)))[:, :width].copy()
        self._shape = (height, width, 3)
        self._levels = np.empty((height, width), np.float32)
        self._shade = np.empty((side, width), np.uint8)
        self._channels = np.empty((side, width, 3), np.uint8)

    def __call__(self, picture: Picture) -> Picture:
        """Gives the marked picture.

        Args:
            picture: (H, W, 3) uint8 sRGB of the size given; it is left as it is.

        Returns:
            (H, W, 3) uint8 sRGB.
        """
        if picture.shape != self._shape:
            raise ValueError(f"A picture of shape {picture.shape} came to a marker for {self._shape}.")
        picture = np.ascontiguousarray(picture)
        levels, marked = strength(picture, self._levels), np.empty_like(picture)
        side = len(self._strip)
        for top in range(0, len(picture), side):
            rows = slice(top, top + side)
            self._add(picture[rows], levels[rows], marked[rows])
        return marked

    def _add(self, picture: Picture, levels: NDArray[np.float32], into: Picture) -> None:
        """Raises and lowers all channels alike; OpenCV rounds, and cuts off at 0 and 255."""
        count = len(picture)
        shade, all_channels, strip = self._shade[:count], self._channels[:count], self._strip[:count]
        cv2.multiply(levels, strip, dst=shade, dtype=cv2.CV_8U)
        cv2.add(picture, cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB, dst=all_channels), dst=into)
        cv2.multiply(levels, strip, dst=shade, scale=-1.0, dtype=cv2.CV_8U)
        cv2.subtract(into, cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB, dst=all_channels), dst=into)


@dataclass(frozen=True, slots=True)
class MarkReading:
    """What was found in a clip."""

    detected: bool
    """Whether there is a mark; wrongly so in at most one unmarked clip of a million."""
    payload: int | None
    """Its number; None where there is no mark, or too little is left of it to read."""
    score: float
    """The best fit found."""
    threshold: float
    """Fit from which there is a mark, for the kind of hypothesis that fitted best."""
    frames: int
    """Frames looked at."""
    scale: float = 1.0
    """Size of the pattern over what the picture's size makes expect; above 1 in a crop."""
    flipped: bool = False
    """Whether left and right are exchanged."""
    rotation: float = 0.0
    """Degrees by which the copy is turned, clockwise."""
    aspect: float = 1.0
    """Width over height of what was a square."""
    key: int | None = None
    """The key whose mark it is; None where there is none."""


def find_mark(
    pictures: Iterable[Picture], *, keys: Sequence[int] = (PUBLIC_KEY,), thorough: bool = True
) -> MarkReading:
    """Looks for a mark in frames of one clip.

    Memory does not grow with their number. Of a long clip ever fewer frames are looked at, spread over all of it.

    Args:
        pictures: (H, W, 3) uint8 sRGB each, of one size, in order.
        keys: keys to try; each of them raises the threshold a little.
        thorough: where nothing is found, look also for copies turned by up to 2 degrees or stretched by up to 5 per
            cent, which takes some seconds.
    """
    residue = Residue()
    for number, picture in enumerate(pictures):
        if number % (1 << (number // _ALL_FRAMES).bit_length()) == 0:
            residue.add(picture)
    search = Search(residue.ground())
    patterns = [(key, pattern(key)) for key in keys]
    bounds = thresholds(max(1, len(keys)))
    tries = (search.plain, search.thorough) if thorough else (search.plain,)
    reading = MarkReading(False, None, 0.0, bounds[0], residue.frames)
    for look, bound in zip(tries, bounds, strict=False):
        found = look(patterns)
        if not found or found[0].score - bound <= reading.score - reading.threshold:
            continue
        best = found[0]
        detected = best.score > bound
        numbers = (search.read(one, pattern(one.key)) for one in found if detected and one.key == best.key)
        payload = next((number for number in numbers if number is not None), None)
        scale = (best.down * best.across) ** 0.5 / search.unit
        place = (scale, best.flipped, best.angle, best.across / best.down, best.key if detected else None)
        reading = MarkReading(detected, payload, best.score, bound, residue.frames, *place)
        if detected:
            break
    return reading

"""Turns stored pictures upright as the container's display matrix asks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

    from vid2vid.types import Picture

_ONE = 65536
"""The display matrix holds 16.16 fixed point numbers."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture becomes upright: transpose first, then mirror."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False
    note: str | None = None
    """What had to be decided, for the report."""

    @property
    def rotation(self) -> int:
        """Degrees clockwise, mirroring aside: 0, 90, 180 or 270."""
        if self.transpose:
            return 90 if self.mirror_x else 270
        return 180 if self.mirror_y else 0

    def apply(self, picture: Picture) -> Picture:
        """Gives the upright picture, C-contiguous.

        Args:
            picture: (H, W, 3) uint8.

        Returns:
            (H, W, 3) or, when transposed, (W, H, 3) uint8; the input itself where nothing is to be done.
        """
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        if self.mirror_x:
            picture = picture[:, ::-1]
        if self.mirror_y:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Reads a decoded frame's display matrix (also made by FFmpeg from EXIF), rounded to quarter turns.

    A matrix that no camera would write counts as none, with a note.
    """
    try:
        held = cast("Iterable[SideData]", frame.side_data)
        matrix = next((side for side in held if side.type.name == "DISPLAYMATRIX"), None)
    except ValueError:
        # PyAV 18 cannot list side data of a kind it does not know (FFmpeg 8.1's newer ones); it still gives the angle.
        quarter = -round(frame.rotation / 90) % 4
        return Orientation(quarter % 2 == 1, quarter in (1, 2), quarter in (2, 3))
    if matrix is None:
        return Orientation()
    values = np.frombuffer(bytes(matrix), dtype=np.int32).astype(np.int64)
    return from_matrix(int(values[0]), int(values[1]), int(values[3]), int(values[4]))


def from_matrix(a: int, b: int, c: int, d: int) -> Orientation:
    """Rounds x' = a x + c y, y' = b x + d y (16.16 fixed point, y down) to quarter turns and mirroring."""
    determinant = a * d - b * c
    scale = math.sqrt(abs(determinant)) / _ONE
    if not 1 / 64 <= scale <= 64 or max(map(abs, (a, b, c, d))) >= 2**31 - 1:
        return Orientation(note=f"rotation ignored: the display matrix ({a}, {b}, {c}, {d}) makes no sense")
    transpose = abs(b) > abs(a)
    horizontal, vertical = (c, b) if transpose else (a, d)
    skewed = min(abs(a), abs(b)) > 0.02 * max(abs(a), abs(b))
    mirrored = determinant < 0
    note = "rotation rounded to a quarter turn" if skewed else "the container mirrors the picture" if mirrored else None
    return Orientation(transpose, horizontal < 0, vertical < 0, note)

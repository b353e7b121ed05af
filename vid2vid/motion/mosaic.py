"""The empty scene of a camera that moves: frames laid over one another where the camera saw the same.

Convention:
    Ways as in `vid2vid.motion.camera`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.motion.plates import hidden_in, median_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Matrix = NDArray[np.float64]

LARGEST: Final = 4.0
"""Frames' areas that a scene may take; a shot that shows more is divided."""
_FEWEST: Final = 6
"""Frames that a scene is made of at least."""
_STRIP: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Mosaic:
    """What several frames show together."""

    picture: Picture
    """`(H, W, 3)`."""
    seen: NDArray[np.intp]
    """`(H, W)`: how many frames show the place without people."""
    way: Matrix
    """From the shot's first frame to the picture."""


def runs_of(ways: Sequence[Matrix], size: tuple[int, int]) -> list[range] | None:
    """Divides frames in turn so that each run's scene stays small.

    Args:
        ways: of the frames.
        size: columns and rows of a frame.

    Returns:
        Ranges of frames that follow one another; None where a run would have too few.
    """
    todo, done = [range(len(ways))], []
    while todo:
        run = todo.pop()
        if len(run) < min(_FEWEST, len(ways)):
            return None
        if _extent([ways[n] for n in run], size) is not None:
            done.append(run)
            continue
        middle = (run.start + run.stop) // 2
        todo += [range(run.start, middle), range(middle, run.stop)]
    return sorted(done, key=lambda one: one.start)


def _extent(ways: Sequence[Matrix], size: tuple[int, int]) -> tuple[Matrix, tuple[int, int]] | None:
    """The way from the shot's first frame into a picture that holds all frames, as the middle one sees them, and its
    columns and rows; None where that is too large.
    """
    back = np.linalg.inv(ways[len(ways) // 2])
    corners = np.array([[0, 0], [size[0] - 1, 0], [size[0] - 1, size[1] - 1], [0, size[1] - 1]], np.float64)[:, None]
    places = []
    for way in ways:
        whole = back @ way
        if (whole[2, :2] @ corners[:, 0].T + whole[2, 2]).min() < 0.2 * whole[2, 2]:
            return None
        places.append(cv2.perspectiveTransform(corners, whole)[:, 0])
    low, high = np.floor(np.concatenate(places).min(0)), np.ceil(np.concatenate(places).max(0))
    wide, tall = (int(side) + 1 for side in high - low)
    if wide * tall > LARGEST * size[0] * size[1]:
        return None
    return np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]], np.float64) @ back, (wide, tall)


def laid_together(
    frames: Sequence[Picture], masks: Sequence[NDArray[np.uint8]], ways: Sequence[Matrix]
) -> Mosaic | None:
    """Median of what frames show beside the people, each moved to where the middle one sees it.

    Args:
        frames: `(H, W, 3)` uint8 sRGB each.
        masks: of everybody in each, `(h, w)` uint8 of any size, 0 where nobody is.
        ways: of the camera.

    Returns:
        The scene; None where it would be too large.
    """
    size = (frames[0].shape[1], frames[0].shape[0])
    found = _extent(ways, size)
    if found is None:
        return None
    way, (wide, tall) = found
    hidden = [hidden_in(mask, size).astype(np.uint8) for mask in masks]
    picture, seen = np.zeros((tall, wide, 3), np.uint8), np.zeros((tall, wide), np.intp)
    for top in range(0, tall, _STRIP):
        strip = (wide, min(_STRIP, tall - top))
        up = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1]], np.float64) @ way
        rows = slice(top, top + strip[1])
        moves = [up @ own for own in ways]
        layers = np.stack([cv2.warpPerspective(frame, one, strip) for frame, one in zip(frames, moves, strict=True)])
        gone = np.stack([_gone(each, one, strip) for each, one in zip(hidden, moves, strict=True)])
        picture[rows], seen[rows] = median_of(layers, gone), (~gone).sum(0)
    return Mosaic(picture, seen, way)


def _gone(hidden: NDArray[np.uint8], way: Matrix, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a moved frame shows nothing of the scene."""
    moved = cv2.warpPerspective(hidden * 255, way, size, borderMode=cv2.BORDER_CONSTANT, borderValue=255)
    return np.asarray(moved > 0, bool)


def seen_from(picture: Picture, way: Matrix, window: tuple[slice, slice]) -> Picture:
    """A window of a frame, as a scene shows it.

    Args:
        picture: the scene.
        way: from the frame to the scene.
        window: rows and columns of the frame.
    """
    left, top = window[1].start, window[0].start
    size = (window[1].stop - left, window[0].stop - top)
    inverse: Any = way @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(picture, inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))

"""The canvas: every actor upright at one size in a cell of their own, as the generator sees them.

Convention:
    A cell is `CELL` pixels square. Its way, `(2, 3)`, leads from the film's pixels into it, and only scales and shifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.motion.plate import limb_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    from .parts import Part
    from .swapping import Drawn, Staged

    Floats = NDArray[np.float32]
    Way = NDArray[np.float64]

CELL: Final = 224
CHANNELS: Final = {"source": 3, "limbs": 3, "cover": 1, "plate": 3}
_TALL: Final = 150.0
"""Standing height in a cell."""
_HIP: Final = 0.5
"""Where the hip is, from the top."""
_REACH: Final = 0.045
"""Standing heights around the actor within which the generator may change the picture."""
_SOFT: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """What the generator looks at for one actor of one frame; all uint8."""

    source: Picture
    """`(CELL, CELL, 3)`: the actor's moved pictures in the film."""
    limbs: Picture
    """`(CELL, CELL, 3)`: bones, as `limb_map` draws them."""
    cover: NDArray[np.uint8]
    """`(CELL, CELL)`: where the actor is."""
    plate: Picture
    """`(CELL, CELL, 3)`: the film without the person taken over."""

    @staticmethod
    def empty() -> Cell:
        """Of an actor who is not there."""
        black = np.zeros((CELL, CELL, 3), np.uint8)
        return Cell(black, black, black[..., 0], black)


def way_into(part: Part, place: int) -> Way:
    """From the film to the part's cell."""
    scale = _TALL / float(part.heights[place])
    hip = part.joints[place, 2].astype(np.float64)
    corner = np.array([0.5 * (CELL - 1), _HIP * (CELL - 1)]) - scale * hip
    return np.array([[scale, 0.0, corner[0]], [0.0, scale, corner[1]]], np.float64)


def cut(picture: NDArray[Any], way: Way, border: int = cv2.BORDER_REPLICATE) -> NDArray[np.uint8]:
    """The cell of a picture `(H, W[, C])` uint8; what lies beyond its edge is its edge or as `border` says."""
    scale = float(way[0, 0])
    low = np.floor(-way[:, 2] / scale - 2.0)
    high = np.ceil((CELL - way[:, 2]) / scale + 2.0)
    left, top = (int(np.clip(low[axis], 0, picture.shape[1 - axis] - 1)) for axis in (0, 1))
    right, bottom = (int(np.clip(high[axis], 1, picture.shape[1 - axis])) for axis in (0, 1))
    part = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    if scale < 0.9:  # bilinear reading alone would skip pixels
        part = cv2.GaussianBlur(part, (0, 0), 0.4 / scale)
    moved = way.copy()
    moved[:, 2] += way[:, :2] @ [left, top]
    return np.asarray(cv2.warpAffine(part, moved, (CELL, CELL), flags=cv2.INTER_LINEAR, borderMode=border), np.uint8)


def make_cell(staged: Staged, drawn: Drawn, way: Way) -> Cell:
    """Cuts out what the generator looks at."""
    cover = np.zeros(staged.picture.shape[:2], np.uint8)
    cover[drawn.window] = np.round(drawn.cover * 255.0)
    joints = drawn.joints @ way[:, :2].T.astype(np.float32) + way[:, 2].astype(np.float32)
    return Cell(
        cut(staged.picture, way),
        limb_map(joints.astype(np.float32), _TALL, (CELL, CELL)),
        cut(cover, way, cv2.BORDER_CONSTANT),
        cut(staged.empty, way),
    )


def reach_of(cover: NDArray[np.uint8]) -> Floats:
    """`(CELL, CELL)` in [0, 1]: where the generator may change the picture: on the actor and close by."""
    size = 2 * max(1, round(_REACH * _TALL)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    near = cv2.dilate((cover > 25).astype(np.float32), kernel)
    return np.asarray(cv2.GaussianBlur(near, (0, 0), _SOFT * _TALL), np.float32)


def stacked(rows: Sequence[Sequence[Cell]]) -> tuple[dict[str, Any], Any]:
    """Maps and reference as tensors, the cells of one frame side by side.

    Args:
        rows: for each frame its cells, of equal number.

    Returns:
        `(T, C, CELL, K * CELL)` by name as `CHANNELS` says, in [0, 1], and `(T, 4, CELL, K * CELL)`: the moved
        pictures, valid where the actor is.
    """
    import torch

    def whole(name: str) -> Any:
        pictures = [np.concatenate([getattr(cell, name) for cell in row], 1) for row in rows]
        pictures = [picture[..., None] if picture.ndim == 2 else picture for picture in pictures]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255.0

    maps = {name: whole(name) for name in CHANNELS}
    return maps, torch.cat([maps["source"], maps["cover"]], 1)


def put_back(picture: Picture, change: Floats, way: Way, allowed: NDArray[np.bool_]) -> Picture:
    """Adds to a frame what the generator changed in a cell.

    Args:
        picture: `(H, W, 3)` uint8; it stays as it is.
        change: `(CELL, CELL, 3)` levels of 255.
        way: into the cell.
        allowed: `(H, W)`: pixels that may change.
    """
    scale = float(way[0, 0])
    corner = -way[:, 2] / scale
    left, top = (int(np.clip(np.floor(corner[axis]), 0, picture.shape[1 - axis])) for axis in (0, 1))
    right, bottom = (int(np.clip(np.ceil(corner[axis] + CELL / scale), 0, picture.shape[1 - axis])) for axis in (0, 1))
    result = picture.copy()
    if right <= left or bottom <= top:
        return result
    back = way.copy()
    back[:, 2] += way[:, :2] @ [left, top]
    added = cv2.warpAffine(
        change, back, (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT,
    )  # fmt: skip
    window = (slice(top, bottom), slice(left, right))
    made = (picture[window] + added).clip(0, 255).round().astype(np.uint8)
    result[window] = np.where(allowed[window][..., None], made, picture[window])
    return result

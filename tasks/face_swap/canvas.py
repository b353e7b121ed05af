"""The canvas: every face upright in a cell of its own, as the generator sees it when rendering and when learning.

Convention:
    A cell is `CELL` pixels square; its points are landmarks moved into it. Maps are float32 in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.motion.face_mesh import EYES, INNER_LIPS, IRISES, OUTER_LIPS, OVAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.face_light import LightMatcher
    from vid2vid.motion.face_mesh import WarpedFace
    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

CELL: Final = 192
CHANNELS: Final = {"light": 3, "landmarks": 3, "cover": 1, "trust": 1}
_FILLED: Final = 0.68
"""Height of the face's outline in a cell."""
_MIDDLE: Final = 0.52
"""Where the middle of the outline lies, from the top."""
_BROAD: Final = 0.28
"""What counts as broad light and shade: deviation of the blur in distances between the eyes' outer corners."""
_BROWS: Final = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300))


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """What the generator looks at for one face of one frame."""

    light: Floats
    """`(CELL, CELL, 3)`: broad light and shade of the moved key, which is lit as the frame."""
    landmarks: Floats
    """`(CELL, CELL, 3)`: lines of eyes, mouth, and outline with brows."""
    cover: Floats
    """`(CELL, CELL)`: where the face is to be made."""
    trust: Floats
    """`(CELL, CELL)`: how well the key shows what is there."""
    reference: Floats
    """`(CELL, CELL, 4)`: the key moved into place, beyond it the broad light; valid all over, since a generator that
    starts from less than the moved key has to learn it first."""
    target: Picture
    """`(CELL, CELL, 3)` uint8: the frame itself, from which motion is taken and to which learning looks."""

    @staticmethod
    def empty() -> Cell:
        """Of a face that is not there."""
        black = np.zeros((CELL, CELL, 3), np.float32)
        reference = np.zeros((CELL, CELL, 4), np.float32)
        return Cell(black, black, black[..., 0], black[..., 0], reference, np.zeros((CELL, CELL, 3), np.uint8))


def into_cell(points: Floats) -> NDArray[np.float64]:
    """`(2, 3)` matrix from the picture of a face's points to its cell: upright, of one size."""
    outline = points[list(OVAL), :2].astype(np.float64)
    across = (points[263, :2] - points[33, :2]).astype(np.float64)
    across /= np.linalg.norm(across) + 1e-9
    turn = np.array([[across[0], across[1]], [-across[1], across[0]]])
    upright = outline @ turn.T
    low, high = upright.min(0), upright.max(0)
    scale = _FILLED * CELL / max(high[1] - low[1], high[0] - low[0], 1e-6)
    matrix = turn * scale
    middle = turn.T @ ((low + high) / 2)
    place = np.array([(CELL - 1) / 2, _MIDDLE * CELL])
    return np.column_stack([matrix, place - matrix @ middle])


def moved(points: Floats, matrix: NDArray[np.float64]) -> Floats:
    """Points `(N, 3)` under a similarity `(2, 3)`; depth is scaled alike."""
    scale = float(np.hypot(*matrix[:, 0]))
    flat = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([flat, points[:, 2] * scale]).astype(np.float32)


def cut(picture: Picture, matrix: NDArray[np.float64]) -> Picture:
    """The cell of a picture; what lies beyond the picture's edge is its edge."""
    scale = float(np.hypot(*matrix[:, 0]))
    if scale < 0.5:  # bilinear reading alone would skip pixels
        picture = np.asarray(cv2.resize(picture, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA))
        matrix = read_at(matrix, 2 * scale)
    return np.asarray(
        cv2.warpAffine(picture, matrix, (CELL, CELL), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def read_at(matrix: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """The same way into a cell from a picture `scale` times as large; the edges of pixels are what scales."""
    return np.column_stack([matrix[:, :2] / scale, matrix[:, 2] + matrix[:, :2] @ np.full(2, 0.5 / scale - 0.5)])


def broad_light(cell: Floats, points: Floats) -> Floats:
    """A cell `(CELL, CELL, 3)` in [0, 1] without anything finer than its light and shade."""
    deviation = _BROAD * float(np.linalg.norm(points[33, :2] - points[263, :2]))
    small = cv2.resize(cell, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), deviation / 4)
    return np.asarray(cv2.resize(blurred, (CELL, CELL), interpolation=cv2.INTER_LINEAR), np.float32)


def drawn_landmarks(points: Floats) -> Floats:
    """`(CELL, CELL, 3)` in [0, 1]: eyes with irises, lips, outline with brows, a channel each, in soft lines."""
    sheets = [np.zeros((CELL, CELL), np.uint8) for _ in range(3)]
    for number, lines in enumerate((EYES, (INNER_LIPS, OUTER_LIPS), (OVAL,))):
        for line in lines:
            _line(sheets[number], points[list(line)], closed=True)
    for iris in IRISES:
        _line(sheets[0], points[list(iris)[1:]], closed=True, filled=True)
    for brow in _BROWS:
        _line(sheets[2], points[list(brow)], closed=False)
    return np.stack(sheets, -1).astype(np.float32) / 255.0


def _line(sheet: NDArray[np.uint8], points: Floats, *, closed: bool, filled: bool = False) -> None:
    places = np.round(points[:, :2] * 16).astype(np.int32)[:, None]
    if filled:
        cv2.fillPoly(sheet, [places], 255, cv2.LINE_AA, 4)
    else:
        cv2.polylines(sheet, [places], closed, 255, 1, cv2.LINE_AA, 4)


def make_cell(target: Picture, points: Floats, warped: WarpedFace, mask: Floats, match: LightMatcher) -> Cell:
    """Puts together what the generator looks at.

    Args:
        target: `(CELL, CELL, 3)` uint8: the frame, cut into the cell.
        points: `(478, 3)`: where the face's points are to be, in the cell.
        warped: the key moved onto those points.
        mask: `(CELL, CELL)` in [0, 1]: where the face is to be made.
        match: of this face, for the light.
    """
    unit = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    key = match(warped.picture, target, mask * warped.cover, unit).astype(np.float32) / 255.0
    cover = (mask * warped.cover)[..., None]
    # Of the key in the frame's light, not of the frame's own face, whose shape would be seen in it.
    light = broad_light(key * cover + target / np.float32(255) * (1.0 - cover), points)
    shown = key * cover + light * (1.0 - cover)
    reference = np.concatenate([shown, np.ones_like(cover)], -1).astype(np.float32)
    return Cell(light, drawn_landmarks(points), mask, cover[..., 0] * warped.trust, reference, target)


def stacked(rows: list[list[Cell]]) -> tuple[dict[str, Any], Any]:
    """Maps and reference as tensors, the cells of one frame side by side.

    Args:
        rows: for each frame its cells, of equal number.

    Returns:
        `(T, C, CELL, K * CELL)` by name as `CHANNELS` says, and `(T, 4, CELL, K * CELL)`.
    """
    import torch

    def whole(name: str) -> Any:
        pictures = [np.concatenate([getattr(cell, name) for cell in row], 1) for row in rows]
        pictures = [picture[..., None] if picture.ndim == 2 else picture for picture in pictures]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()

    return {name: whole(name) for name in CHANNELS}, whole("reference")

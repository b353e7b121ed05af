"""The face mesh: its triangles, and a face brought from one set of landmarks to another.

Convention:
    Landmarks are the 478 points of `vid2vid.conditions.faces`: `(478, 3)` float32, x and y in pixel indices, (0, 0) is
    the middle of the first pixel, z in the same unit, smaller is nearer. Left and right are the person's. An area has a
    `size` (rows, columns) and an `origin` (x, y): the place of its first pixel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np

from vid2vid.motion.face_eyes import COLUMNS, Eye, eyeball_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int32]

Part = Literal["skin", "mouth", "left_eye", "right_eye"]

OVAL: Final = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Rim of the mesh, from the middle of the forehead towards the person's left."""
LIPS: Final = (
    ((78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308), (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)),
    ((61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291), (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)),
)
"""Upper and lower edge of the lips' inner rim, then of the outer one; each from the right corner to the left one."""
LIDS: Final = (
    ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
)
"""Upper and lower lid of the left eye, then of the right one; each from the outer corner to the inner one."""
IRISES: Final = ((473, 474, 475, 476, 477), (468, 469, 470, 471, 472))
"""Middle of the left iris and four points around it, then of the right one."""


def _ring(upper: Sequence[int], lower: Sequence[int]) -> tuple[int, ...]:
    return (*upper, *lower[-2:0:-1])


INNER_LIPS: Final = _ring(*LIPS[0])
OUTER_LIPS: Final = _ring(*LIPS[1])
EYES: Final = tuple(_ring(*lids) for lids in LIDS)
"""Rims of the left and the right eye."""


def _strip(upper: Sequence[int], lower: Sequence[int]) -> list[tuple[int, int, int]]:
    """Triangles between two edges that start and end together."""
    found: list[tuple[int, int, int]] = []
    for index in range(len(upper) - 1):
        first, second, below, after = upper[index], upper[index + 1], lower[index], lower[index + 1]
        found += [(first, second, below), (below, second, after)]
    return [corners for corners in found if len(set(corners)) == 3]


def _triangles() -> tuple[Ints, NDArray[np.uint8]]:
    stored = json.loads((Path(__file__).parent.parent / "weights" / "face_mesh.json").read_text(encoding="utf-8"))
    # The left eye's edges run towards the screen's left: there the strip has to be turned over.
    fills = [_strip(*LIPS[0]), _strip(*reversed(LIDS[0])), _strip(*LIDS[1])]
    parts = [0] * len(stored["triangles"]) + [number for number, fill in enumerate(fills, 1) for _ in fill]
    return np.array([*stored["triangles"], *fills[0], *fills[1], *fills[2]], np.int32), np.array(parts, np.uint8)


TRIANGLES, TRIANGLE_PARTS = _triangles()
"""`(898, 3)` corners, clockwise on the screen where they face the camera, and `(898,)`: index in `PARTS`."""
PARTS: Final[tuple[Part, ...]] = ("skin", "mouth", "left_eye", "right_eye")
NOTHING: Final = 255
"""Marks pixels of no part."""

_RINGS: Final[dict[str, tuple[int, ...]]] = {
    "skin": OVAL,
    "mouth": INNER_LIPS,
    "left_eye": EYES[0],
    "right_eye": EYES[1],
}
_POINTS: Final = 478
_SKIN: Final = TRIANGLES[TRIANGLE_PARTS == 0]
_SHARED: Final = np.maximum(np.bincount(_SKIN.ravel(), minlength=_POINTS), 1)
"""`(478,)`: triangles around each point."""
_APRON: Final = 0.3
"""Width of what is brought along around the oval, in its distance from the middle: blending looks beyond its mask."""
_FACING: Final = (0.0, 0.2)
"""Cosines between a source triangle's normal and the line of sight: not trusted, fully trusted."""
_STRETCH: Final = (0.3, 0.65)
"""The same for source pixels per goal pixel where fewest, relative to the whole face."""
_THIN: Final = 0.15
"""Height in pixels below which a triangle is a sliver."""
_FINE: Final = 1.5
"""Source pixels per goal pixel from which the source is made smaller first, since reading skips pixels."""
_SHIFT: Final = 6
"""Binary digits below a pixel when triangles are drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class WarpedFace:
    """A face brought to where another one is, in an area of that one's picture."""

    picture: Picture
    """`(h, w, 3)` uint8 sRGB; around the oval some of the source's surroundings, then its edge repeated."""
    cover: Floats
    """`(h, w)` in [0, 1]: what the mesh covers."""
    trust: Floats
    """`(h, w)` in [0, 1]: falls where the source shows its skin aslant or not at all, or has to be stretched."""
    parts: NDArray[np.uint8]
    """`(h, w)`: index in `PARTS`, or `NOTHING`."""


def part_mask(name: Part, points: Floats, size: tuple[int, int], origin: tuple[float, float] = (0.0, 0.0)) -> Floats:
    """Area of a part: of the whole oval, or within the lips or the lids.

    Args:
        name: `skin` means the oval, with eyes and mouth.
        points: `(478, 2 or 3)` landmarks.
        size, origin: the area.

    Returns:
        `(h, w)` in [0, 1], smooth at its edge over about a pixel.
    """
    mask = np.zeros(size, np.uint8)
    ring = np.round((points[list(_RINGS[name]), :2] - np.array(origin, np.float32)) * 2**_SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [ring], 255, cv2.LINE_AA, _SHIFT)
    return (mask / np.float32(255)).astype(np.float32)


def oriented_areas(points: Floats, triangles: Ints) -> Floats:
    """`(N,)` px^2: twice the triangles' areas, positive where they face the camera."""
    first, second, third = (points[triangles[:, corner], :2] for corner in range(3))
    one, other = second - first, third - first
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0], np.float32)


def rasterise(points: Floats, size: tuple[int, int], triangles: Ints = TRIANGLES) -> tuple[Ints, Floats]:
    """Tells which triangle is seen at each pixel, and where in it.

    Args:
        points: `(P, 3)` places in the area, z smaller where nearer.
        size: rows and columns of the area.
        triangles: `(N, 3)` corners; those that turn their backs are not drawn.

    Returns:
        `(h, w)` int32 indices of triangles, -1 where there is none, and `(h, w, 3)` weights of their corners, which add
        up to 1 and are up to a pixel outside [0, 1] at edges.
    """
    numbers = _drawn(points, size, triangles)
    corners = np.broadcast_to(np.eye(3, dtype=np.float32), (len(triangles), 3, 3))
    return numbers, np.dstack(_interpolated(_planes(points, triangles, corners), numbers, (0.0, 0.0, 0.0)))


def _drawn(points: Floats, size: tuple[int, int], triangles: Ints) -> Ints:
    """Indices of triangles, the farthest drawn first; each reaches a pixel farther, so that there are no cracks."""
    corners = points[triangles, :2]
    longest = np.square(corners - np.roll(corners, 1, axis=1)).sum(2).max(1)
    # Slivers are left out: drawn a pixel thick, they would show a line of what lies far away, or a closed eye's ball.
    shown = oriented_areas(points, triangles) > _THIN * np.sqrt(longest)
    depth = points[triangles, 2].mean(1)
    order = np.argsort(-depth, kind="stable")
    corners = np.round(corners * 2**_SHIFT).astype(np.int32)
    numbers = np.full(size, -1, np.int32)
    for index in order[shown[order]].tolist():
        cv2.fillConvexPoly(numbers, corners[index], index, cv2.LINE_8, _SHIFT)
    return numbers


def _planes(points: Floats, triangles: Ints, values: Floats) -> Floats:
    """`(N, 3, C)`: what x, y and 1 are multiplied by to interpolate the corners' values `(N, 3, C)`."""
    first, second, third = (points[triangles[:, corner], :2].astype(np.float64) for corner in range(3))
    one, other = second - first, third - first
    area = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    area = np.where(np.abs(area) < 1e-6, 1.0, area)[:, None]  # not drawn
    rises, across = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    slopes = np.stack(
        [(rises * other[:, 1:] - across * one[:, 1:]) / area, (across * one[:, :1] - rises * other[:, :1]) / area], 1
    )
    constant = values[:, 0] - (slopes * first[:, :, None]).sum(1)
    return np.concatenate([slopes, constant[:, None]], 1).astype(np.float32)


def _interpolated(planes: Floats, numbers: Ints, beyond: Sequence[float]) -> list[Floats]:
    """C fields `(h, w)`; `beyond` is what they hold where there is no triangle."""
    background = np.zeros((1, *planes.shape[1:]), np.float32)
    background[0, 2] = beyond
    tables = np.ascontiguousarray(np.concatenate([planes, background]).transpose(2, 1, 0))
    # Faster than rows of a table of all channels: whole columns stay in the cache.
    places = np.where(numbers < 0, len(planes), numbers).astype(np.intp)
    x = np.arange(numbers.shape[1], dtype=np.float32)
    y = np.arange(numbers.shape[0], dtype=np.float32)[:, None]
    fields: list[Floats] = []
    for by_x, by_y, constant in tables:
        field = by_x.take(places)
        field *= x
        rising = by_y.take(places)
        rising *= y
        field += rising
        field += constant.take(places)
        fields.append(field)
    return fields


def warp_face(
    picture: Picture,
    source_points: Floats,
    goal_points: Floats,
    size: tuple[int, int],
    origin: tuple[float, float] = (0.0, 0.0),
) -> WarpedFace:
    """Brings a face to where the goal's landmarks are.

    Eyeballs are carried rigidly with the iris, and lids uncover or hide them; that is how eyes close.

    Args:
        picture: `(H, W, 3)` uint8 sRGB, the source.
        source_points: `(478, 3)` landmarks in it.
        goal_points: `(478, 3)` landmarks wanted.
        size, origin: the area wanted, in the pixels of `goal_points`.
    """
    goal = goal_points.astype(np.float32) - np.array((*origin, 0.0), np.float32)
    picture, source = _in_proportion(picture, source_points.astype(np.float32), goal)
    trusted = vertex_trust(source, goal)
    source, goal = _with_eyeballs(source, goal)
    source, goal = _with_apron(source), _with_apron(goal)
    trusted = np.concatenate(
        [trusted, *(np.full(4 * COLUMNS, trusted[list(ring)].mean()) for ring in EYES), np.zeros(len(OVAL))]
    )
    values = np.concatenate([source[_ALL, :2], trusted[_ALL, None]], 2, dtype=np.float32)
    numbers = _drawn(goal, size, _ALL)
    columns, rows, trust = _interpolated(_planes(goal, _ALL, values), numbers, (-1.0, -1.0, 0.0))
    warped = cv2.remap(picture, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    parts = np.append(_ALL_PARTS, np.uint8(NOTHING)).take(numbers, mode="wrap")
    cover = cv2.blur((parts != NOTHING).astype(np.float32), (3, 3), borderType=cv2.BORDER_REPLICATE)
    return WarpedFace(warped, cover, trust.clip(0.0, 1.0), parts)


def _in_proportion(picture: Picture, source: Floats, goal: Floats) -> tuple[Picture, Floats]:
    """The part of the source around its face, not much finer than the goal, and the landmarks in it."""
    margin = 0.25 * np.ptp(source[:, :2], axis=0).max() + 4
    height, width = picture.shape[:2]
    left, top = np.floor(source[:, :2].min(0) - margin).clip(0, (width - 1, height - 1)).astype(int).tolist()
    right, bottom = np.ceil(source[:, :2].max(0) + margin).clip(0, (width - 1, height - 1)).astype(int).tolist()
    finer = extent(source) / max(extent(goal), 1e-3)
    moved = source - np.array((left, top, 0), np.float32)
    part = picture[top : bottom + 1, left : right + 1]
    if finer < _FINE or min(part.shape[:2]) < 2 * finer:
        return part, moved
    columns, rows = round(part.shape[1] / finer), round(part.shape[0] / finer)
    scale = np.array((columns / part.shape[1], rows / part.shape[0]), np.float32)
    moved[:, :2] = (moved[:, :2] + 0.5) * scale - 0.5
    moved[:, 2] *= scale.mean()
    return np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8), moved


def extent(points: Floats) -> float:
    """Size of a face in pixels, about the same from all sides: spread of the landmarks around their middle."""
    return float(np.sqrt(np.square(points - points.mean(0)).sum(1).mean()))


def _with_eyeballs(source: Floats, goal: Floats) -> tuple[Floats, Floats]:
    """`(478 + 8 * COLUMNS, 3)` each: with the places of both eyeballs along the lids."""
    known, wanted = [source], [goal]
    for lids, iris in zip(LIDS, IRISES, strict=True):
        found = eyeball_places(*(Eye.of(points, lids, iris) for points in (source, goal)))
        # Drawn after the lids, which reach a pixel into the eye and would bring in the iris at its old place.
        depth = np.full(4 * COLUMNS, goal[[*lids[0], *lids[1]], 2].min())
        for places, points in zip(found, (known, wanted), strict=True):
            points.append(np.column_stack([places, depth]).astype(np.float32))
    return np.concatenate(known), np.concatenate(wanted)


def _with_apron(points: Floats) -> Floats:
    """`(P + 36, 3)`: with a ring of places around the oval, behind everything else."""
    rim = points[list(OVAL)]
    outer = rim + _APRON * (rim - rim.mean(0))
    outer[:, 2] = points[:, 2].max() + np.ptp(points[:, 2])
    return np.concatenate([points, outer])


def _between(rim: Sequence[int], inside: Sequence[int]) -> list[tuple[int, int, int]]:
    """Triangles between two edges that run beside each other."""
    found = []
    for index in range(len(rim) - 1):
        found += [(rim[index], rim[index + 1], inside[index]), (inside[index], rim[index + 1], inside[index + 1])]
    return found


def _drawn_triangles() -> tuple[Ints, NDArray[np.uint8]]:
    """Those of `TRIANGLES`, with eyes that are made of eyeballs and bands beside the lids, and the apron."""
    found, parts = TRIANGLES[TRIANGLE_PARTS < 2].tolist(), TRIANGLE_PARTS[TRIANGLE_PARTS < 2].tolist()
    start = _POINTS
    for part in (2, 3):
        upper, above, lower, below = (range(start + COLUMNS * row, start + COLUMNS * (row + 1)) for row in range(4))
        rows = [upper, above, below, lower] if part == 3 else [lower, below, above, upper]
        eye = [corners for pair in pairwise(rows) for corners in _between(*pair)]
        found += eye
        parts += [part] * len(eye)
        start += 4 * COLUMNS
    ring = [*range(start, start + len(OVAL)), start]
    apron = _between(ring, (*OVAL, OVAL[0]))
    return np.array(found + apron, np.int32), np.array(parts + [NOTHING] * len(apron), np.uint8)


_ALL, _ALL_PARTS = _drawn_triangles()


def vertex_trust(source: Floats, goal: Floats) -> Floats:
    """How well each point's surroundings are seen in the source, for what the goal wants of them.

    Args:
        source, goal: `(478, 3)`.

    Returns:
        `(478,)` in [0, 1], smooth over the mesh.
    """
    corners = source[_SKIN]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normals = np.cross(one, other)
    facing = normals[:, 2] / np.maximum(np.linalg.norm(normals, axis=1), 1e-9)
    planes = _planes(goal, _SKIN, corners[..., :2])[:, :2]
    squares = np.square(planes).sum((1, 2))
    area = planes[:, 0, 0] * planes[:, 1, 1] - planes[:, 0, 1] * planes[:, 1, 0]
    # Smaller singular value of a 2 x 2 matrix, from the sum of squares and the product of both.
    narrow = np.sqrt(np.maximum(squares - np.sqrt(np.maximum(squares**2 - 4 * area**2, 0.0)), 0.0) / 2)
    narrow *= extent(goal) / max(extent(source), 1e-3)
    trusted = smooth_step(facing, *_FACING) * smooth_step(narrow, *_STRETCH)
    seen: Any = trusted
    for _ in range(3):
        points = np.bincount(_SKIN.ravel(), np.repeat(seen, 3), _POINTS) / _SHARED
        seen = points[_SKIN].mean(1)
    points[list(IRISES[0])], points[list(IRISES[1])] = (points[list(ring)].mean() for ring in EYES)
    return np.asarray(points, np.float32)


def smooth_step(values: Any, low: float, high: float) -> Any:
    """0 up to `low`, 1 from `high`, with a smooth rise between."""
    part = ((values - low) / (high - low)).clip(0.0, 1.0)
    return part * part * (3 - 2 * part)

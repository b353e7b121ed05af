"""Where a made face shows, and how it is put into the picture without a seam.

Convention:
    Pictures are `(h, w, 3)` of one crop, whose upper left pixel is at `origin` of the whole picture; points are the
    mesh's in pixels of the whole picture. Masks are `(h, w)` float32 in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.motion.face_goal import opening
from vid2vid.motion.face_light import FAINT, light_of, to_lab
from vid2vid.motion.face_mesh import EYES, INNER_LIPS, LIDS, OVAL, smooth_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

ERODED: Final = 0.01
"""How far inside the mesh's oval the mask begins, in `iod`: the mesh's edge lies on hair and background."""
FEATHER: Final = 0.1
"""Width of the mask's edge, in `iod`, from nothing to all."""
_STEP: Final = 0.09
"""Side of the squares, in `iod`, in which distances to the oval are taken."""
_TRUSTED_EDGE: Final = 0.05
"""Width, in `iod`, over which the mask fades beside what is hidden or not covered."""
_TRUST_SEEN: Final = 0.2
"""Deviation, in `iod`, of the blur of trust: a nostril or a lid alone makes no hole for the target to shine through."""
_TRUSTED: Final = (0.25, 0.6)
"""Blurred trust at which the face begins to show, and shows."""
_HAIR: Final = (12.0, 26.0)
"""How much darker than skin, in L, hair begins and is certain."""
_HAIR_SEEN_AT: Final = 40.0
"""`iod` at which hair is looked for: single hairs do not count."""
_HAIR_REACH: Final = 0.45
"""How far inside the oval hair is looked for, in `iod`; brows lie farther in."""
_BROWS_AND_EYES: Final = (
    (33, 133, 145, 70, 63, 105, 66, 107, 55, 46),
    (263, 362, 374, 300, 293, 334, 296, 336, 285, 276),
)
_BROW_EDGE: Final = 0.14
"""Width of the line, in `iod`, drawn around brow and eye, within which nothing counts as hair."""
_COARSEST: Final = 55
"""Pixels of the coarsest level along the side of the mask: fewer pull in dark hair and the shade of a beard."""
_SLOWER: Final = 1.5
"""Deviation, in pixels of a coarse level, by which its change-over is wider than the mask's edge."""
_LEAST_SIDE: Final = 6
"""Rows and columns below which a picture is not halved again."""
_GATE: Final = 0.3
"""Value of the mask up to which the last of what the coarse levels spread is faded out."""
_OPENER: Final = 1.6
"""How many times as far as the source's mouth the target's must be open before its own interior is kept."""
_BARELY, _SURELY = 0.02, 0.05
"""Further opening, in `iod`, from which and at which the target's interior shows."""
_CLOSING: Final = (0.35, 0.65)
"""Openings of an eye, of its opening at rest: the target's own lids show, they do not."""
_LASHES: Final = 0.06
"""Width of the line, in `iod`, drawn around the lids, within which the target's own eye shows."""


def face_mask(
    points: Floats,
    size: tuple[int, int],
    origin: tuple[float, float],
    iod: float,
    cover: Floats | None = None,
    *,
    occluders: Floats | None = None,
    trust: Floats | None = None,
) -> Floats:
    """Where a face is to show: the mesh's oval drawn in, with a soft edge, without what is before it.

    Args:
        points: `(478, 2)` or more columns.
        size: rows, columns of the crop.
        origin: x, y of its upper left pixel.
        iod: distance of the eyes' outer corners in pixels.
        cover: `(h, w)` in [0, 1], where there is a face to show; everywhere without it.
        occluders: `(h, w)` in [0, 1], what is before the face, such as hands.
        trust: `(h, w)` in [0, 1], by which the mask is multiplied.

    Returns:
        `(h, w)` float32 in [0, 1]; exactly 0 outside the oval.
    """
    mask = _smooth((_inside(points, size, origin, iod) - ERODED) / FEATHER)
    edge = max(0.6, _TRUSTED_EDGE * iod)
    if cover is not None:
        mask = mask * _drawn_in(cover, edge)
    if occluders is not None:
        mask = mask * _drawn_in(1.0 - occluders, 0.5 * edge)
    if trust is not None:
        broad = _blurred(trust, _TRUST_SEEN * iod)
        mask = mask * _smooth((broad - _TRUSTED[0]) / (_TRUSTED[1] - _TRUSTED[0]))
    return np.asarray(mask, np.float32)


def _blurred(mask: Floats, deviation: float) -> Floats:
    """A wide blur, taken on a smaller picture."""
    factor = min(1.0, 4.0 / deviation)
    height, width = (max(1, round(side * factor)) for side in mask.shape)
    small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), deviation * factor, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, mask.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def hair_mask(picture: Picture, points: Floats, origin: tuple[float, float], iod: float) -> Floats:
    """Dark hair on forehead and temples, which the mesh knows nothing of; light hair is not told from skin.

    As `occluders` of `face_mask` it keeps the target's fringe, and a source's hair off the target's forehead.

    Args:
        picture: `(h, w, 3)` uint8, the crop.
        points: `(478, 2)` or more columns, of the face in it.
        origin: x, y of the crop's upper left pixel.
        iod: distance of the eyes' outer corners in pixels.

    Returns:
        `(h, w)` float32 in [0, 1].
    """
    factor = min(1.0, _HAIR_SEEN_AT / iod)
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    small = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
    scale = np.array([width, height], np.float32) / np.array(picture.shape[1::-1], np.float32)
    places = ((points[:, :2] - np.asarray(origin, np.float32) + 0.5) * scale - 0.5).astype(np.float32)
    hair = _hair(small, places, iod * factor)
    return np.asarray(cv2.resize(hair, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _hair(picture: Picture, points: Floats, iod: float) -> Floats:
    inside = _inside(points, picture.shape[:2], (0.0, 0.0), iod)
    middle = np.clip(4.0 * (inside - _HAIR_REACH), 0.0, 1.0)
    if float(middle.max(initial=0.0)) <= FAINT:
        return np.zeros(picture.shape[:2], np.float32)
    lab = to_lab(picture)
    skin = light_of(lab, middle).mean[0]
    dark = _smooth((skin - cv2.GaussianBlur(lab[..., 0], (0, 0), 0.8) - _HAIR[0]) / (_HAIR[1] - _HAIR[0]))
    eyes, mouth = points[[33, 263]].mean(0), points[[61, 291]].mean(0)
    down = (mouth - eyes) / max(float(np.linalg.norm(mouth - eyes)), 1e-6)
    y, x = np.indices(picture.shape[:2], np.float32)
    below = ((x - eyes[0]) * down[0] + (y - eyes[1]) * down[1]) / iod
    rim = _smooth((_HAIR_REACH - inside) / 0.15) * _smooth((0.35 - below) / 0.3)
    return np.asarray(dark * rim * (1.0 - _brows_and_eyes(points, picture.shape[:2], iod)), np.float32)


def _brows_and_eyes(points: Floats, size: tuple[int, int], iod: float) -> Floats:
    drawn = np.zeros(size, np.uint8)
    for side in _BROWS_AND_EYES:
        hull = np.round(cv2.convexHull(points[list(side)])).astype(np.int32)
        cv2.fillConvexPoly(drawn, hull, 255)
        cv2.polylines(drawn, [hull], True, 255, max(1, round(_BROW_EDGE * iod)))
    return np.asarray(cv2.GaussianBlur(drawn.astype(np.float32) / 255.0, (0, 0), 0.8), np.float32)


def _inside(points: Floats, size: tuple[int, int], origin: tuple[float, float], iod: float) -> Floats:
    """Distance to the mesh's oval in `iod`, more than 0 inside."""
    outline = points[list(OVAL), :2] - np.asarray(origin, np.float32)
    return np.asarray(_distances(outline, size, max(1.0, _STEP * iod)) / iod, np.float32)


def _distances(outline: Floats, size: tuple[int, int], step: float) -> Floats:
    """`(h, w)` signed distance to a closed line, more than 0 inside; taken coarsely, for it changes slowly."""
    rows, columns = (max(2, int(np.ceil(side / step)) + 1) for side in size)
    x, y = np.meshgrid(np.linspace(0, size[1] - 1, columns), np.linspace(0, size[0] - 1, rows))
    places = np.stack([x, y], -1)[:, :, None]
    start, along = outline, np.roll(outline, -1, axis=0) - outline
    share = ((places - start) * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-9)
    apart = places - (start + share.clip(0, 1)[..., None] * along)
    nearest = np.sqrt((apart * apart).sum(-1).min(-1))
    crossed = (start[:, 1] > y[..., None]) != ((start + along)[:, 1] > y[..., None])
    rise = np.where(along[:, 1] == 0, 1e-9, along[:, 1])
    right = x[..., None] < start[:, 0] + (y[..., None] - start[:, 1]) / rise * along[:, 0]
    signed = np.where((crossed & right).sum(-1) % 2 == 1, nearest, -nearest).astype(np.float32)
    there_x = np.linspace(0, columns - 1, size[1], dtype=np.float32)
    there_y = np.linspace(0, rows - 1, size[0], dtype=np.float32)
    maps = np.meshgrid(there_x, there_y)
    return np.asarray(cv2.remap(signed, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _smooth(share: Floats) -> Floats:
    """0 below 0, 1 above 1, without a corner at either end."""
    held = np.clip(share, 0.0, 1.0)
    return np.asarray(held * held * (3.0 - 2.0 * held), np.float32)


def _drawn_in(mask: Floats, edge: float) -> Floats:
    """A mask with a softer edge that lies inside it; at the crop's border there is no edge."""
    blurred = cv2.GaussianBlur(mask, (0, 0), edge, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.minimum(mask, _smooth(2.0 * blurred - 1.0)), np.float32)


def multiband(
    inner: NDArray[Any], outer: NDArray[Any], mask: Floats, levels: int | None = None, *, amount: float = 1.0
) -> NDArray[Any]:
    """Puts one picture into another: broad light changes over slowly, fine detail at once.

    Args:
        inner, outer: `(h, w, 3)`, both uint8, or float32 of any range.
        mask: 1 where `inner` shows, feathered.
        levels: how often the pictures are halved; None: as the mask's size asks for. With too many the coarse levels
            find no room inside a small mask, and its tone stays the target's.
        amount: in [0, 1], how far the blend replaces `outer`, for fades; less of `mask` would draw it in instead.

    Returns:
        `(h, w, 3)` of the kind of `outer`; exactly `outer` where the mask is 0, and `inner` where all of it is 1.

    Source:
        Burt & Adelson 1983, "A multiresolution spline with application to image mosaics". Blending is linear, so one
        pyramid of the difference replaces two. Unlike the paper's, the coarse levels change over inside the mask
        instead of to both sides of its edge, so that nothing outside changes.
    """
    if levels is None:
        levels = _levels(mask)
    wide, seen = inner.astype(np.float32) - outer.astype(np.float32), np.asarray(mask, np.float32)
    differences, weights = [], [seen]
    for _ in range(levels):
        if min(wide.shape[:2]) < _LEAST_SIDE:
            break
        narrow = cv2.pyrDown(wide)
        differences.append(wide - cv2.pyrUp(narrow, dstsize=wide.shape[1::-1]))
        wide, seen = narrow, cv2.pyrDown(seen)
        weights.append(_smooth(2.0 * cv2.GaussianBlur(seen, (0, 0), _SLOWER) - 1.0))
    change = wide * weights.pop()[..., None]
    for difference, weight in zip(reversed(differences), reversed(weights), strict=True):
        change = cv2.pyrUp(change, dstsize=difference.shape[1::-1]) + difference * weight[..., None]
    change *= np.float32(amount) * _smooth(mask / np.float32(_GATE))[..., None]
    blended = outer + change
    if outer.dtype == np.uint8:
        return np.asarray(np.clip(blended, 0, 255).round(), np.uint8)
    return np.asarray(blended, np.float32)


def _levels(mask: Floats) -> int:
    side = float(np.sqrt(max(1.0, float(mask.sum()))))
    return max(0, int(np.log2(max(1.0, side / _COARSEST))) + 1)


def mouth_opening(points: Floats) -> float:
    """Gap between the lips' inner edges in `iod`, `points` `(478, 2)` or more columns."""
    unit = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    return float(np.linalg.norm(points[13, :2] - points[14, :2])) / max(unit, 1e-6)


def mouth_kept(
    picture: Picture, target: Picture, points: Floats, goal: Floats, source: Floats, origin: tuple[float, float]
) -> Picture:
    """Shows the target's own teeth and tongue where the source's mouth is closed and has none.

    Args:
        picture: the face made, in the target's light.
        target: the picture it goes into.
        points: `(478, 2)` or more columns, of the target.
        goal: where they are in `picture`.
        source: of the picture from which the face was made, whatever its pose.
        origin: x, y of the crop's upper left pixel.

    Returns:
        `(h, w, 3)` uint8; `picture` itself where its own mouth is open enough.
    """
    open_more = mouth_opening(points) - _OPENER * mouth_opening(source)
    share = float(np.clip((open_more - _BARELY) / (_SURELY - _BARELY), 0.0, 1.0))
    if share == 0.0:
        return picture
    iod = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    return _shown(picture, target, (points, goal), INNER_LIPS, origin, share, edge=0, soft=0.015 * iod)


def eyes_kept(
    picture: Picture, target: Picture, points: Floats, goal: Floats, rest: Floats, origin: tuple[float, float]
) -> Picture:
    """Shows the target's own lids while an eye closes: lids of an open eye, pressed together, still read as a slit.

    Args:
        picture: the face made, in the target's light.
        target: the picture it goes into.
        points: `(478, 2)` or more columns, of the target.
        goal: where they are in `picture`.
        rest: the target's face at rest, eyes open; see `face_goal.neutral_shape`.
        origin: x, y of the crop's upper left pixel.

    Returns:
        `(h, w, 3)` uint8; `picture` itself where both eyes are open.
    """
    iod = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    edge = max(1, round(_LASHES * iod))
    for lids, outline in zip(LIDS, EYES, strict=True):
        open_now = opening(points, lids) / max(opening(rest, lids), 1e-3)
        share = 1.0 - float(smooth_step(np.float32(open_now), *_CLOSING))
        if share > 0.0:
            picture = _shown(picture, target, (points, goal), outline, origin, share, edge=edge, soft=0.03 * iod)
    return picture


def _shown(
    picture: Picture,
    target: Picture,
    points: tuple[Floats, Floats],
    places: tuple[int, ...],
    origin: tuple[float, float],
    share: float,
    *,
    edge: int,
    soft: float,
) -> Picture:
    """The target's own pixels within an outline, moved to where the outline is in the picture.

    Args:
        picture, target: `(h, w, 3)` uint8 of one crop.
        points: of the target, and where they are in `picture`.
        places: landmarks of the outline, in order.
        origin: x, y of the crop's upper left pixel.
        share: in [0, 1], how far it replaces the picture.
        edge, soft: pixels that are added around the outline, and the deviation of the mask's blur.
    """
    own, wanted = (each[list(places), :2] - np.asarray(origin, np.float32) for each in points)
    matrix = np.linalg.lstsq(np.column_stack([own, np.ones(len(own))]), wanted, rcond=None)[0].T
    size = picture.shape[1::-1]
    shown = cv2.warpAffine(target, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros(picture.shape[:2], np.uint8)
    outline = [np.round(wanted * 16).astype(np.int32)]
    cv2.fillPoly(mask, outline, 255, cv2.LINE_AA, 4)
    if edge:
        cv2.polylines(mask, outline, True, 255, edge, cv2.LINE_AA, 4)
    weight = share / 255.0 * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.7, soft))[..., None]
    return np.asarray((picture * (1.0 - weight) + shown * weight).round(), np.uint8)

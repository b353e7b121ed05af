"""Cuts a picture of a person into overlapping limbs that can be moved apart without gaps.

A pixel belongs to the limb whose bone is nearest, measured in the limb's own half-widths, nearer limbs first. Limbs
overlap at the joints, and what another limb hides is filled from the limb's own colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.motion.limbs import (
    ARM_L,
    ARM_R,
    CHAINS,
    FOOT_LENGTH,
    HAND_LENGTH,
    HEAD,
    LEG_L,
    LEG_R,
    OTHER_SIDE,
    TRUNK,
    TRUNK_JOINTS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.motion.actor import View

    Field = NDArray[np.float32]
    Flags = NDArray[np.bool_]

DISTANCE_UNIT: Final = 64.0
_TRUNK_SWAPPED: Final = (0, 1, 3, 2, 5, 4)
"""Order of `TRUNK_JOINTS` with left and right exchanged."""
_TRUNK_INSIDE: Final = 0.7
"""What the inside of the trunk counts as, in half-widths: a limb's middle wins over it, its rim does not."""
_TRUNK_DEPTH: Final = 0.055
"""Half of the trunk's depth in body heights, which the joints of a side view do not tell."""
_ARM_REACH: Final = 1.3
"""Half-widths from its bone within which a pixel is rather an arm's than the trunk's."""
_REACHES: Final = (2.0, 2.0, 1.7, 1.7, 4.0, 3.0)
"""Half-widths beyond which nothing is a limb's: what is left is another person, or the mask's fault."""
_DEPTH_WEIGHT: Final = 6.0
"""Half-widths that a body height of depth counts as."""
_UNCLEAR: Final = 0.85
"""Half-widths from another limb's bone within which a pixel may as well be that one's."""
_HAND_WIDTH: Final = 1.3
"""Of a hand, in half-widths of the forearm."""
_MEMBER: Final = 0.6
"""Half-widths beyond its own share that a bone moves wholly, so that bent joints stay closed."""
_UNDERLAP: Final = 1.3
"""Of a limb's half-width, how far around its root the trunk reaches beneath it."""
_RIM: Final = 0.012
"""Body heights beside an arm that are not taken for the trunk's."""
_CHIN: Final = 0.45
"""Where the head begins on the way from the neck's joint to the head's."""


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """One limb of a view."""

    texture: NDArray[np.uint8]
    """`(h, w, 4)`: colour multiplied by coverage, and coverage."""
    members: NDArray[np.uint8]
    """`(h, w, B + 1)`: how far a pixel may move with each of the limb's B bones; its distance from the nearest, in
    half-widths, times `DISTANCE_UNIT`. Of the trunk, 255."""
    points: Field
    """`(P, 2)` px of the texture: the bones' ends from the root outwards; of the trunk, its `TRUNK_JOINTS`."""
    doubt: float
    """Share of the limb, from 0 to 1, that was hidden and filled in, or may as well be a part of another limb."""


def cut(view: View, widths: Sequence[Sequence[float]], height: float) -> tuple[Cutout, ...]:
    """Cuts a view into limbs.

    Args:
        view: at the size it will be used in.
        widths: half-widths in body heights, as `limbs.half_widths` gives.
        height: of the actor standing, in pixels of this view.

    Returns:
        Limbs in the order of `limbs.CHAINS`.
    """
    chains = [_chain(view, limb, height) for limb in range(6)]
    raw = [_distances(view.mask.shape, limb, chains[limb], widths[limb], height) for limb in range(6)]
    raw[TRUNK] = _trunk_distance(view, widths[TRUNK][0] * height, height)[..., None]
    owner = _owners(view, raw, max(1, round(0.02 * height)))
    nearest = np.stack([distance.min(axis=-1) for distance in raw])
    beside = _beside_arms(owner, height)
    return tuple(_cut_limb(view, limb, chains[limb], owner, nearest, beside, widths, height) for limb in range(6))


def _cut_limb(
    view: View,
    limb: int,
    chain: Field,
    owner: NDArray[np.intp],
    nearest: Field,
    beside: Flags,
    widths: Sequence[Sequence[float]],
    height: float,
) -> Cutout:
    """One limb, of the pixels that are its own and those that it shares with its neighbours."""
    mask, distance = view.mask.astype(np.float32) / 255.0, nearest[limb]
    core, inside = (_TRUNK_INSIDE, _TRUNK_INSIDE + 0.2) if limb == TRUNK else (0.8, 0.9)
    rim, feather = _overlap(view, limb, widths, height)
    owned = _connected(owner == limb, distance <= core)
    hidden = (distance < inside) & ~owned & (mask > 0.5)
    if limb == TRUNK:
        # At the shoulder an arm's pixels are the trunk's as well; a hand at the hip is not.
        x, y = _places(mask.shape)
        lower = to_segment(x, y, view.joints[9], view.joints[12]) < to_segment(x, y, view.joints[3], view.joints[6])
        rim = np.where(beside & lower, np.float32(0.0), rim)
        ghost = owned & beside & (rim == 0.0)
        owned, hidden = owned & ~ghost, hidden | ghost
    unclear = owned & (np.delete(nearest, limb, axis=0).min(axis=0) < _UNCLEAR) & (rim == 0.0)
    doubt = float((hidden.sum() + 0.3 * unclear.sum()) / max(1.0, float((owned | hidden).sum())))
    texture = _texture(view, mask, owned, hidden, rim, feather)
    if limb == TRUNK:
        members = np.full((*mask.shape, 1), 255, np.uint8)
        return _trimmed(texture, members, view.joints[list(TRUNK_JOINTS)], doubt)
    return _trimmed(texture, _members(mask.shape, chain, widths[limb], height), chain, doubt)


def mirrored_cut(limbs: Sequence[Cutout]) -> tuple[Cutout, ...]:
    """Limbs of the view's mirror image."""
    result = []
    for limb, other in enumerate(OTHER_SIDE):
        cutout = limbs[other]
        points = cutout.points[list(_TRUNK_SWAPPED)] if limb == TRUNK else cutout.points.copy()
        points[:, 0] = cutout.texture.shape[1] - 1 - points[:, 0]
        texture, members = (np.ascontiguousarray(layer[:, ::-1]) for layer in (cutout.texture, cutout.members))
        result.append(Cutout(texture, members, points, cutout.doubt))
    return tuple(result)


def _texture(view: View, mask: Field, owned: Flags, hidden: Flags, rim: Field, feather: Field) -> NDArray[np.uint8]:
    """`(h, w, 4)` of a limb on the whole view: its own pixels, what it shares, and guesses where it is hidden."""
    own = cv2.GaussianBlur(owned.astype(np.float32), (0, 0), 0.7)
    guessed = cv2.GaussianBlur(hidden.astype(np.float32), (0, 0), 0.7)
    coverage = mask * feather * (own + guessed + rim).clip(0, 1)
    known = (owned if owned.any() else rim > 0.5) & (mask > 0.5)
    colour = filled(view.picture, known.astype(np.float32))
    shown = np.maximum(own, rim)[..., None].clip(0, 1)
    colour = colour + shown * (view.picture - colour)
    texture = np.dstack([colour * coverage[..., None], coverage * 255.0])
    return np.asarray(texture.clip(0, 255).round(), np.uint8)


def filled(colour: NDArray[Any], weight: Field) -> Field:
    """Spreads colours from where they are known to everywhere else, smoothly.

    Args:
        colour: `(H, W, C)`.
        weight: `(H, W)` in [0, 1]: 1 where the colour is known.

    Returns:
        `(H, W, C)` float32: the colour where it is known.

    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, push-pull.
    """
    premultiplied = np.dstack([colour.astype(np.float32) * weight[..., None], weight])
    return np.asarray(_push_pull(premultiplied)[..., :-1], np.float32)


def _push_pull(image: Field) -> Field:
    """`(H, W, C + 1)` with the weight last -> colours everywhere, weight 1."""
    weight = image[..., -1:]
    if min(image.shape[:2]) < 4 or float(weight.min()) >= 1.0:
        colour = image[..., :-1]
        mean = colour.sum((0, 1)) / max(float(weight.sum()), 1e-6)
        known = np.where(weight > 1e-4, colour / np.maximum(weight, 1e-4), mean)
        return np.dstack([known, np.ones_like(weight)]).astype(np.float32)
    small = cv2.pyrDown(image)
    sure = np.minimum(1.0, 4.0 * small[..., -1:]) / np.maximum(small[..., -1:], 1e-4)
    coarse = cv2.pyrUp(_push_pull(small * sure), dstsize=image.shape[1::-1])
    return np.asarray(image + (1.0 - weight) * coarse, np.float32)


def _owners(view: View, distances: Sequence[Field], fine: int) -> NDArray[np.intp]:
    """`(h, w)`: number of the limb that each pixel belongs to, 6 where it is nobody's."""
    covered = view.mask > 12
    weighed = np.stack([_weighed(distances[limb], view, limb) for limb in range(6)])
    near = np.stack([distance.min(axis=-1) for distance in distances])
    weighed[near > np.array(_REACHES, np.float32)[:, None, None]] = np.inf
    first = weighed.copy()
    # Cloth and flesh beside an arm are the trunk's, however near the arm is ...
    first[:2][near[:2] > _ARM_REACH] = np.inf
    owner = np.where(covered & (first.min(axis=0) < np.inf), first.argmin(axis=0), 6)
    # ... but slivers along an arm are not: they would stay behind when it moves.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * fine + 1, 2 * fine + 1))
    trunk = (owner == TRUNK).astype(np.uint8)
    slivers = (trunk > 0) & (cv2.morphologyEx(trunk, cv2.MORPH_OPEN, kernel) == 0)
    slivers &= near[TRUNK] > _TRUNK_INSIDE
    weighed[TRUNK] = np.inf
    return np.where(slivers, np.where(weighed.min(axis=0) < np.inf, weighed.argmin(axis=0), 6), owner)


def _beside_arms(owner: NDArray[np.intp], height: float) -> Flags:
    """Where an arm's rim may still lie on the trunk, to stay behind as its ghost when the arm moves."""
    reach = 2 * max(1, round(_RIM * height)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return np.asarray(cv2.dilate((owner <= ARM_R).astype(np.uint8), kernel), bool)


def _connected(owned: Flags, core: Flags) -> Flags:
    """What of a limb's pixels hangs together with its bone."""
    _, labels = cv2.connectedComponents(owned.astype(np.uint8), connectivity=4)
    kept = np.unique(labels[core & owned])
    return np.asarray(np.isin(labels, kept[kept > 0]), bool)


def _chain(view: View, limb: int, height: float) -> Field:
    """`(P, 2)` ends of a limb's bones; a leg has its toes as well."""
    points = view.joints[list(CHAINS[limb])].astype(np.float32)
    if limb not in (LEG_L, LEG_R):
        return points
    other = view.joints[CHAINS[LEG_L + LEG_R - limb][2]]
    return np.vstack([points, _toes(view.mask, points, other, height)])


def _toes(mask: NDArray[np.uint8], leg: Field, other: Field, height: float) -> Field:
    """Where the foot points: the middle of what is covered around its ankle, but not along the shin."""
    ankle, shin = leg[2], leg[2] - leg[1]
    shin = shin / max(float(np.linalg.norm(shin)), 1e-3)
    rows, columns = np.nonzero(mask > 127)
    places = np.stack([columns, rows], axis=1)
    offsets = places - ankle
    lengths = np.linalg.norm(offsets, axis=1)
    chosen = (lengths < 1.3 * FOOT_LENGTH * height) & (lengths > 0.3 * FOOT_LENGTH * height)
    chosen &= (offsets @ shin > 0.0) & (lengths < np.linalg.norm(places - other, axis=1))
    direction = offsets[chosen].mean(axis=0) if chosen.sum() > 4 else shin
    direction = direction / max(float(np.linalg.norm(direction)), 1e-3)
    return np.asarray(ankle + FOOT_LENGTH * height * direction, np.float32)


def to_segment(x: Field, y: Field, start: Field, end: Field) -> Field:
    """Distance of places to a line between two points, in pixels; the shape of `x`."""
    along = end - start
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1e-3)
    share = share.clip(0, 1)
    distance: Field = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    return distance


def _places(shape: tuple[int, ...]) -> tuple[Field, Field]:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return x, y


def _distances(shape: tuple[int, ...], limb: int, points: Field, widths: Sequence[float], height: float) -> Field:
    """`(h, w, B)`: distance to each bone in its half-widths; a hand goes on from the forearm, and is wider."""
    x, y = _places(shape)
    start = points.copy()
    if limb == HEAD:
        start[0] += _CHIN * (points[1] - points[0])
    bones = zip(pairwise(start), widths, strict=False)
    found = [to_segment(x, y, *bone) / (width * height) for bone, width in bones]
    if limb in (ARM_L, ARM_R):
        forearm = points[2] - points[1]
        fingers = points[2] + HAND_LENGTH * height * forearm / max(float(np.linalg.norm(forearm)), 1e-3)
        hand = to_segment(x, y, points[2], fingers) / (_HAND_WIDTH * widths[1] * height)
        found[1] = np.minimum(found[1], hand)
    return np.stack(found, axis=-1)


def _trunk_distance(view: View, margin: float, height: float) -> Field:
    """`(h, w)`: distance to the trunk in its margins."""
    corners = view.joints[[3, 6, 12, 9, 1, 2]].astype(np.float32)
    outline = cv2.convexHull(corners).reshape(-1, 2)
    inside = np.zeros(view.mask.shape, np.uint8)
    cv2.fillConvexPoly(inside, outline.round().astype(np.int32), 1)
    # Neither rounded end may reach into the neck or between the legs.
    neck, hip = view.joints[1], view.joints[2]
    inset = (hip - neck) * min(0.5, _TRUNK_DEPTH * height / max(float(np.hypot(*(hip - neck))), 1e-3))
    ends = [tuple(int(value) for value in end.round()) for end in (neck + inset, hip - 0.5 * inset)]
    cv2.line(inside, *ends, 1, max(1, round(2 * _TRUNK_DEPTH * height)))
    outside = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    return np.asarray(_TRUNK_INSIDE + outside / margin, np.float32)


def _weighed(distances: Field, view: View, limb: int) -> Field:
    """`(h, w)`: distance to a limb, less where the limb is nearer to the camera than the trunk."""
    if limb in (TRUNK, HEAD):
        return np.asarray(distances.min(axis=-1), np.float32)
    chain = list(CHAINS[limb])
    depth = view.depth[chain] - view.depth[chain[0]]
    bones = [0.5 * (depth[0] + depth[1]), 0.5 * (depth[1] + depth[2]), depth[2]][: distances.shape[-1]]
    root = view.depth[chain[0]] * 0.5
    return np.asarray((distances + _DEPTH_WEIGHT * (root + np.array(bones, np.float32))).min(axis=-1), np.float32)


def _overlap(view: View, limb: int, widths: Sequence[Sequence[float]], height: float) -> tuple[Field, Field]:
    """How a limb meets its neighbour at its root.

    Returns:
        Two `(h, w)` in [0, 1]: where the limb shows the picture whoever owns it, and what its coverage is multiplied
        with: limbs begin softly, over a trunk that reaches beneath them.
    """
    x, y = _places(view.mask.shape)
    neck, head = view.joints[1], view.joints[0]
    if limb == TRUNK:
        roots = [(view.joints[chain[0]], _UNDERLAP * widths[number][0]) for number, chain in enumerate(CHAINS[:4])]
        reach = [1.0 - np.hypot(x - place[0], y - place[1]) / (width * height) for place, width in roots]
        reach.append(1.0 - to_segment(x, y, neck, neck + _CHIN * (head - neck)) / (0.045 * height))
        return np.asarray((2.0 * np.max(reach, axis=0)).clip(0, 1), np.float32), np.ones_like(x)
    if limb == HEAD:
        spine = head - neck
        share = ((x - neck[0]) * spine[0] + (y - neck[1]) * spine[1]) / max(float(spine @ spine), 1e-3)
        throat = neck + _CHIN * spine
        rim = 2.0 - 2.0 * np.hypot(x - throat[0], y - throat[1]) / (0.045 * height)
        return rim.clip(0, 1).astype(np.float32), ((share - 0.2) / 0.25).clip(0, 1).astype(np.float32)
    root = view.joints[CHAINS[limb][0]]
    distance = np.hypot(x - root[0], y - root[1]) / (widths[limb][0] * height)
    return (2.0 - 2.0 * distance).clip(0, 1).astype(np.float32), (0.3 + 1.4 * distance).clip(0, 1).astype(np.float32)


def _members(shape: tuple[int, ...], points: Field, widths: Sequence[float], height: float) -> NDArray[np.uint8]:
    """`Cutout.members`: 255 where a bone is the nearest and a little beyond, then fading to 0."""
    x, y = _places(shape)
    pairs = list(zip(pairwise(points), widths, strict=False))
    distances = np.stack([to_segment(x, y, *bone) / height for bone, _ in pairs], axis=-1)
    nearest = (distances / np.array([width for _, width in pairs], np.float32)).min(axis=-1)
    others = [np.delete(distances, bone, axis=-1) for bone in range(distances.shape[-1])]
    beside = np.stack([other.min(axis=-1, initial=np.inf) for other in others], axis=-1)
    share = (_MEMBER + 1.0 + (beside - distances) / float(np.mean(widths))).clip(0, 1)
    return np.asarray(np.dstack([255 * share, DISTANCE_UNIT * nearest]).clip(0, 255).round(), np.uint8)


def _trimmed(texture: NDArray[np.uint8], members: NDArray[np.uint8], points: Field, doubt: float) -> Cutout:
    """Keeps the covered part of a limb and a pixel around it."""
    left, top, width, height = cv2.boundingRect(texture[..., 3])
    rows = slice(max(0, top - 1), top + height + 1)
    columns = slice(max(0, left - 1), left + width + 1)
    if not width:
        rows = columns = slice(0, 2)
    start = np.array((columns.start, rows.start), np.float32)
    texture, members = (np.ascontiguousarray(layer[rows, columns]) for layer in (texture, members))
    return Cutout(texture, members, (points - start).astype(np.float32), min(1.0, doubt))

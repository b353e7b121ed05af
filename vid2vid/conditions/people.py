"""People in pictures and clips: joints, depth, facing and mask of each.

Convention:
    Joints as in `vid2vid.motion.skeleton.BODY`, in pixel indices. A person keeps a number through a clip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.attention import Attention
from vid2vid.conditions.pose_networks import Detector, LandmarkNetwork, Landmarks, Region, tiles_of
from vid2vid.motion.skeleton import BODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_EARS: Final = (7, 8)
_SHOULDERS: Final = (11, 12)
_HIPS: Final = (23, 24)
_LIMBS: Final = {"shoulder": 11, "elbow": 13, "hand": 15, "thigh": 23, "knee": 25, "foot": 27}
"""Landmark of the person's left; the right one comes next."""
_TRUNK_AND_LEG: Final = 0.78
"""Trunk, thigh and shin together, in body heights (Winter, "Biomechanics and Motor Control of Human Movement")."""
_SCORE: Final = 0.5
_TILES: Final = (1.0, 0.6)
"""Sides of the tiles a picture is looked through with, in its shorter side; people are missed who are smaller than a
third of the smallest."""
_QUICK_TILES: Final = (1.0,)
"""The same for frames of a clip."""
_LOOKS: Final = ((1.0, 0.0, 0.0), (0.9, 0.0, 0.0), (1.1, 0.0, 0.0), (1.0, 0.02, 0.02), (1.0, -0.02, -0.02))
"""Scales and shifts of the region for a fine mask."""
_INSIDE: Final = 0.7
"""Somebody is a part of a person already known if this much of their mask lies within that person's."""
_FORGOTTEN: Final = 30
"""Frames after which a lost person who comes back is somebody new."""
_KNOWN: Final = 5
"""Frames for which somebody who came in later is followed before they are looked for when lost: briefer ones are
mistakes as a rule."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One person in one picture."""

    joints: Floats
    """`(15, 2)` in pixels."""
    visibility: Floats
    """`(15,)` in [0, 1]."""
    depth: Floats
    """`(15,)` relative to the hip, in body heights; less is nearer."""
    mask: Floats
    """`(H, W)` in [0, 1], as large as the picture."""
    box: Floats
    """`(4,)`: left, top, right, bottom of the landmarks that are seen, face, fingers and toes among them."""
    score: float
    """In [0, 1]: how surely it is a person."""
    facing: float
    """Sine of the direction looked in: +1 to the right of the picture, -1 to the left, 0 to or from the camera."""
    towards: float
    """Its cosine: +1 to the camera, -1 away from it."""
    height: float
    """Standing height in pixels, from the lengths of trunk and legs in space."""
    tips: Floats
    """`(6, 3)`: x, y and visibility of left and right fingertips, heels and toes."""
    region: Region
    """Where the networks looked at the person."""
    number: int = 0
    """Kept through a clip."""


class PeopleFinder:
    """Finds people; holds the networks, and while it follows a clip, where they were last."""

    def __init__(self, every: int = 10) -> None:
        """Loads the networks.

        Args:
            every: frames of a clip between two searches for people not seen so far.
        """
        self._detector = Detector()
        self._measure = LandmarkNetwork()
        self._every = every

    def find(self, picture: Picture) -> list[Person]:
        """Finds the people in one picture.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.

        Returns:
            The largest first; empty where there is nobody.
        """
        found = self._new(picture, [], tiles_of(picture.shape[0], picture.shape[1], _TILES))
        found.sort(key=lambda one: -_reach(one))
        return [replace(_person(one, picture), number=number) for number, one in enumerate(found)]

    def follow(self, frames: Iterable[Picture]) -> Iterator[list[Person]]:
        """Follows people through a clip.

        Args:
            frames: `(H, W, 3)` uint8 sRGB each, in order.

        Yields:
            The people in each frame, by number.
        """
        here: dict[int, Landmarks] = {}
        lost: dict[int, tuple[int, Region]] = {}
        since: dict[int, int] = {}
        attention = Attention()
        for index, frame in enumerate(frames):
            numbers = list(here)
            measured = self._measure(frame, [here[number].following for number in numbers])
            kept = {number: one for number, one in zip(numbers, measured, strict=True) if _plausible(one)}
            kept = _distinct(kept)
            gone = [number for number in numbers if number not in kept]
            known = [number for number in gone if since[number] == 0 or index - since[number] >= _KNOWN]
            lost |= {number: (index, here[number].following) for number in known}
            lost = {number: entry for number, entry in lost.items() if index - entry[0] < _FORGOTTEN}
            here = kept
            if index % self._every == 0 or (lost and index % 3 == 0):
                missing = {number: region for number, (_, region) in lost.items()}
                tiles = tiles_of(frame.shape[0], frame.shape[1], _QUICK_TILES)
                due = attention.due(index, frame, tiles, list(here.values()), list(missing.values()))
                for one in self._new(frame, list(here.values()), due) if due else ():
                    number = _returning(one.region, {key: missing[key] for key in missing if key in lost})
                    number = len(since) if number is None else number
                    since.setdefault(number, index)
                    lost.pop(number, None)
                    here[number] = one
            yield [replace(_person(here[number], frame), number=number) for number in sorted(here)]

    def fine_mask(self, picture: Picture, person: Person) -> Floats:
        """A person's mask with more care: the mean of what the network sees in slightly moved regions.

        Args:
            picture: `(H, W, 3)` uint8 sRGB, the one that the person was found in.
            person: as found.

        Returns:
            `(H, W)` in [0, 1].
        """
        region = person.region
        moved = [
            replace(region, x=region.x + x * region.size, y=region.y + y * region.size, size=scale * region.size)
            for scale, x, y in _LOOKS
        ]
        masks = [laid_out(one, picture.shape[0], picture.shape[1]) for one in self._measure(picture, moved)]
        return drawn_to_edges(np.mean(masks, 0, dtype=np.float32), picture, region.size)

    def _new(self, picture: Picture, known: list[Landmarks], tiles: list[Region]) -> list[Landmarks]:
        """People who are not known yet, measured twice: the second time in the region that the first one told."""
        regions = self._detector(picture, tiles)
        regions = [region for region in regions if not any(_near(region, one.following) for one in known)]
        first = [one for one in self._measure(picture, regions) if _plausible(one)]
        second = [one for one in self._measure(picture, [one.following for one in first]) if _plausible(one)]
        second.sort(key=lambda one: -_reach(one))
        fresh: list[Landmarks] = []
        for one in second:
            if not any(_same(one, other) or _part_of(one, other) for other in [*known, *fresh]):
                fresh.append(one)
        return fresh


def find_people(picture: Picture) -> list[Person]:
    """Finds the people in one picture; for many pictures keep a `PeopleFinder`.

    Args:
        picture: `(H, W, 3)` uint8 sRGB.

    Returns:
        The largest first; empty where there is nobody.
    """
    return PeopleFinder().find(picture)


def _plausible(one: Landmarks) -> bool:
    """Whether landmarks are those of a person who fills the region."""
    before, after = one.region, one.following
    return bool(
        one.score > _SCORE
        and one.presence[[*_SHOULDERS, *_HIPS]].min() > 0.5
        and 0.35 < after.size / before.size < 2.0
        and np.hypot(after.x - before.x, after.y - before.y) < 0.35 * before.size
    )


def _near(one: Region, other: Region) -> bool:
    distance = np.hypot(one.x - other.x, one.y - other.y)
    return bool(distance < 0.2 * max(one.size, other.size) and 0.5 < one.size / other.size < 2.0)


def _same(one: Landmarks, other: Landmarks) -> bool:
    """Whether two regions led to one person: their trunks and limbs lie on each other."""
    places = [*_SHOULDERS, 13, 14, *_HIPS, 25, 26]
    distance = np.linalg.norm(one.points[places] - other.points[places], axis=1).mean()
    return bool(distance < 0.12 * min(one.region.size, other.region.size))


def _part_of(one: Landmarks, other: Landmarks) -> bool:
    """Whether somebody is seen within somebody else: in a tile that ends there, legs can pass for a body."""
    side = one.mask.shape[0]
    rows, columns = np.nonzero(one.mask[::8, ::8] > 0.5)
    if rows.size == 0:
        return True
    forth, back = one.region.to_picture(side), cv2.invertAffineTransform(other.region.to_picture(side))
    places = 8 * np.stack([columns, rows], 1) @ forth[:, :2].T + forth[:, 2]
    x, y = (places @ back[:, :2].T + back[:, 2]).round().astype(int).T
    there = (x >= 0) & (x < side) & (y >= 0) & (y < side)
    return bool((there & (other.mask[y.clip(0, side - 1), x.clip(0, side - 1)] > 0.5)).mean() > _INSIDE)


def _distinct(people: dict[int, Landmarks]) -> dict[int, Landmarks]:
    """Drops who has slipped onto somebody else; the one who was there first stays."""
    kept: dict[int, Landmarks] = {}
    for number in sorted(people):
        if not any(_same(people[number], other) for other in kept.values()):
            kept[number] = people[number]
    return kept


def _returning(region: Region, lost: dict[int, Region]) -> int | None:
    """Number of the lost person nearest to a new region, if near enough."""
    near = {
        number: float(np.hypot(region.x - last.x, region.y - last.y))
        for number, last in lost.items()
        if 0.5 < region.size / last.size < 2.0
    }
    number = min(near, key=lambda key: near[key], default=None)
    return number if number is not None and near[number] < 0.5 * region.size else None


def _person(one: Landmarks, picture: Picture) -> Person:
    points = np.column_stack([one.points, one.metres, one.visibility])
    joints = body_of(points)
    scale, tall = _scale(one), _tall(one.metres)
    across = one.metres[[11, 23]] - one.metres[[12, 24]]
    sideways = np.array([across[:, 2].sum(), across[:, 0].sum()])
    sideways = sideways / (np.linalg.norm(sideways) + 1e-6)
    tips = [19, 20, 29, 30, 31, 32]
    return Person(
        joints=joints[:, :2].astype(np.float32),
        visibility=joints[:, 5].astype(np.float32),
        depth=((joints[:, 4] - joints[BODY.index("hip"), 4]) / tall).astype(np.float32),
        mask=drawn_to_edges(laid_out(one, picture.shape[0], picture.shape[1]), picture, one.region.size),
        box=_box(one),
        score=one.score,
        facing=float(sideways[0]),
        towards=float(sideways[1]),
        height=scale * tall,
        region=one.region,
        tips=np.column_stack([one.points[tips], one.visibility[tips]]).astype(np.float32),
    )


def body_of(landmarks: Floats) -> Floats:
    """Joints from landmarks.

    Args:
        landmarks: `(33, C)`, any columns.

    Returns:
        `(15, C)` as in `BODY`; the head is midway between the ears, which is the skull's middle from every side.
    """
    middles = [landmarks[list(pair)].mean(0) for pair in (_EARS, _SHOULDERS, _HIPS)]
    limbs = [landmarks[_LIMBS[name[:-2]] + (name[-1] == "r")] for name in BODY[3:]]
    return np.stack([*middles, *limbs])


def _box(one: Landmarks) -> Floats:
    """`(4,)`: left, top, right, bottom of the landmarks that are seen."""
    seen = one.visibility > 0.5
    shown = one.points[seen] if seen.sum() > 4 else one.points
    return np.concatenate([shown.min(0), shown.max(0)]).astype(np.float32)


def _reach(one: Landmarks) -> float:
    """Diagonal of what is seen of a person, in pixels."""
    left, top, right, bottom = _box(one)
    return float(np.hypot(right - left, bottom - top))


def _tall(metres: Floats) -> float:
    """Standing height in metres from trunk, thighs and shins."""
    joints = body_of(metres)
    chains = [("neck", "hip"), ("thigh_l", "knee_l", "foot_l"), ("thigh_r", "knee_r", "foot_r")]
    trunk, left, right = (
        sum(
            float(np.linalg.norm(joints[BODY.index(end)] - joints[BODY.index(start)])) for start, end in pairwise(chain)
        )
        for chain in chains
    )
    return (trunk + (left + right) / 2) / _TRUNK_AND_LEG


def _scale(one: Landmarks) -> float:
    """Pixels a metre: what the landmarks in space have to be scaled by to lie on those in the picture."""
    weight = one.visibility[:, None] + 1e-3
    space = one.metres[:, :2] - (one.metres[:, :2] * weight).sum(0) / weight.sum()
    flat = one.points - (one.points * weight).sum(0) / weight.sum()
    return float((weight * space * flat).sum() / ((weight * space * space).sum() + 1e-9))


def laid_out(one: Landmarks, height: int, width: int) -> Floats:
    """A region's mask in the picture: `(height, width)` in [0, 1]."""
    matrix = one.region.to_picture(one.mask.shape[0])
    return np.asarray(cv2.warpAffine(one.mask, matrix, (width, height), flags=cv2.INTER_LINEAR), np.float32)


def drawn_to_edges(mask: Floats, picture: Picture, size: float) -> Floats:
    """Draws a coarse mask to the picture's edges.

    Args:
        mask: `(H, W)` in [0, 1].
        picture: `(H, W, 3)` uint8 sRGB.
        size: of the region around the person, in pixels.

    Source:
        He et al., "Guided Image Filtering", 2010, on grey; then more contrast, since the filter widens the edge.

    Returns:
        `(H, W)` in [0, 1].
    """
    left, top, width, height = cv2.boundingRect((mask > 0.02).astype(np.uint8))
    if width == 0:
        return mask
    window = (slice(max(0, top - 8), top + height + 8), slice(max(0, left - 8), left + width + 8))
    grey = np.asarray(cv2.cvtColor(picture[window], cv2.COLOR_RGB2GRAY), np.float32) / 255.0
    sharp = guided(grey, mask[window], max(1, round(0.006 * size)), 1e-3)
    drawn = np.zeros_like(mask)
    drawn[window] = np.clip((sharp - 0.5) * 1.8 + 0.5, 0.0, 1.0)
    return drawn


def guided(guide: Floats, values: Floats, radius: int, softness: float) -> Floats:
    """Smooths values along the guide's edges.

    Args:
        guide, values: `(h, w)` in [0, 1].
        radius: of the window, in pixels.
        softness: variance of the guide below which an area counts as flat.
    """
    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean = cv2.blur(guide, size), cv2.blur(values, size)
    variance = cv2.blur(guide * guide, size) - mean_guide**2
    slope = (cv2.blur(guide * values, size) - mean_guide * mean) / (variance + softness)
    return np.asarray(cv2.blur(slope, size) * guide + cv2.blur(mean - slope * mean_guide, size), np.float32)

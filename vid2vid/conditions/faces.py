"""Faces in pictures and clips: the points of each, where it looks, and a number that it keeps.

Convention:
    Points as in `vid2vid.conditions.face_networks`: `(478, 3)` pixel indices, z smaller is nearer. "IOD" is the
    distance of the outer corners of the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.face_networks import (
    ALL_TILES,
    EYE_CORNERS,
    QUICK_TILES,
    FaceDetector,
    Mesh,
    MeshNetwork,
    around,
)
from vid2vid.conditions.face_traits import Traits
from vid2vid.conditions.motion import CutDetector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.pose_networks import Region
    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_SCORE: Final = 0.5
_DETECTED: Final = 0.5
_CERTAIN: Final = 0.68
"""Least certainty of a face not seen before; windows of cars reach .65, blurred faces of 30 pixels .66 to .8."""
_SMALLEST: Final = 6.0
"""Least IOD in pixels; below, the points are invented."""
_FORGOTTEN: Final = 30
"""Frames after which a lost face is no longer known by its place."""
_LOOKED_CLOSER: Final = 4
"""Each so many searches go through small tiles, too."""
_INSIDE: Final = 0.6
"""A face is part of another if this much of its points lies within that one's rim."""
_ACROSS: Final = ((127, 356), (234, 454), (33, 263), (93, 323))
"""Points to the left and right of a face seen from the front."""
_DOWN: Final = (10, 152)
"""The top of the forehead and the chin."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one picture."""

    points: Floats
    """`(478, 3)` in pixels of the picture."""
    score: float
    """In [0, 1]: whether it is a face at all. A hand before it does not lower this."""
    number: int
    """Kept through a clip."""
    region: Region
    """The turned square around it."""

    @property
    def iod(self) -> float:
        """Distance of the outer corners of the eyes in space, in pixels."""
        return float(np.linalg.norm(self.points[EYE_CORNERS[1]] - self.points[EYE_CORNERS[0]]))

    @property
    def box(self) -> Floats:
        """`(4,)`: left, top, right, bottom of the points."""
        return np.concatenate([self.points[:, :2].min(0), self.points[:, :2].max(0)])

    @property
    def yaw(self) -> float:
        """Radians; above 0 it looks to the right of the picture."""
        ahead = self._ahead()
        return float(np.arctan2(ahead[0], -ahead[2]))

    @property
    def pitch(self) -> float:
        """Radians; above 0 it looks down."""
        ahead = self._ahead()
        return float(np.arctan2(ahead[1], np.hypot(ahead[0], ahead[2])))

    @property
    def roll(self) -> float:
        """Radians, clockwise on the screen: the slope of the line from eye to eye."""
        return self.region.angle

    def _ahead(self) -> NDArray[np.float64]:
        """`(3,)` of length 1: where the face looks."""
        across = np.sum([self.points[right] - self.points[left] for left, right in _ACROSS], axis=0, dtype=np.float64)
        down = self.points[_DOWN[1]] - self.points[_DOWN[0]]
        ahead = np.cross(down, across)
        return np.asarray(ahead / (np.linalg.norm(ahead) + 1e-9))


class FaceFinder:
    """Finds faces; holds the networks, and while it follows a clip, where faces were last and what they are like."""

    def __init__(self, every: int = 8) -> None:
        """Loads the networks.

        Args:
            every: frames of a clip between two searches for faces not seen so far.
        """
        self._detector = FaceDetector()
        self._measure = MeshNetwork()
        self._every = every
        self.cuts: list[int] = []
        """Frames of the clip followed last at which a new shot began, as far as it was read."""

    def find(self, picture: Picture) -> list[Face]:
        """Finds the faces in one picture.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.

        Returns:
            The largest first, numbered from 0; empty where there is none.
        """
        return [_face(one, number) for number, one in enumerate(self._new(picture, [], ALL_TILES))]

    def follow(self, frames: Iterable[Picture]) -> Iterator[list[Face]]:
        """Follows faces through a clip.

        A face that was lost for less than a second takes its number up again where it was. Later, and after a cut, it
        does so only if it looks as before and its bones lie alike: the same person in other light or at another angle
        may become a new number, and one that is much alike may take the number over.

        Args:
            frames: `(H, W, 3)` uint8 sRGB each, in order.

        Yields:
            The faces in each frame, by number.
        """
        memory = _Memory()
        cut = CutDetector()
        self.cuts = []
        here: dict[int, Mesh] = {}
        searches = 0
        for index, frame in enumerate(frames):
            fresh_shot = cut(frame)
            if fresh_shot:
                self.cuts.append(index)
                memory.places.clear()
                here = {}
            here = self._followed(frame, index, here, memory)
            # Without anybody, or with somebody lost, it is worth looking more often.
            soon = (not here or bool(memory.places)) and index % 2 == 0
            if index % self._every == 0 or soon or fresh_shot:
                closer = fresh_shot or searches % _LOOKED_CLOSER == 0
                searches += 1
                for one in self._new(frame, list(here.values()), ALL_TILES if closer else QUICK_TILES):
                    here[memory.number_of(one, frame, here)] = one
                for number, one in here.items():
                    memory.learn(number, one, frame)
            yield [_face(here[number], number) for number in sorted(here)]

    def _followed(self, frame: Picture, index: int, here: dict[int, Mesh], memory: _Memory) -> dict[int, Mesh]:
        """The faces that are still there; the others' places are remembered for a while."""
        numbers = list(here)
        measured = self._measure(frame, [here[number].following for number in numbers])
        kept: dict[int, Mesh] = {}
        for number, one in sorted(zip(numbers, measured, strict=True), key=lambda entry: entry[0]):
            if _plausible(one) and not any(_same(one, other) for other in kept.values()):
                kept[number] = one
        memory.places |= {number: (index, here[number].following) for number in numbers if number not in kept}
        memory.places = {key: entry for key, entry in memory.places.items() if index - entry[0] < _FORGOTTEN}
        return kept

    def _new(self, picture: Picture, known: Sequence[Mesh], sizes: Sequence[float]) -> list[Mesh]:
        """Faces not known yet, the largest first, measured twice: the second time where the first one told."""
        regions = self._detector(picture, _DETECTED, sizes)
        regions = [region for region in regions if not any(_near(region, one.following) for one in known)]
        first = [one for one in self._measure(picture, regions) if _plausible(one)]
        second = [one for one in self._measure(picture, [one.following for one in first]) if _plausible(one)]
        certain = self._detector.certainty(picture, [one.following for one in second])
        second = [one for one, score in zip(second, certain, strict=True) if score > _CERTAIN]
        second.sort(key=lambda one: -one.following.size)
        fresh: list[Mesh] = []
        for one in second:
            if not any(_same(one, other) for other in [*known, *fresh]):
                fresh.append(one)
        return fresh


class _Memory:
    """What is known of faces by number while a clip runs."""

    def __init__(self) -> None:
        self.places: dict[int, tuple[int, Region]] = {}
        """Of those lost a short time ago: the frame, and where they would be looked for."""
        self._traits: dict[int, Traits] = {}

    def learn(self, number: int, one: Mesh, picture: Picture) -> None:
        """Keeps what a face is like."""
        seen = Traits.of(one.points, one.following, picture)
        before = self._traits.get(number)
        self._traits[number] = seen if before is None else before.blended(seen)

    def number_of(self, one: Mesh, picture: Picture, here: dict[int, Mesh]) -> int:
        """The number of a face that comes up: that of one lost nearby, or far away but alike, or a new one."""
        seen = Traits.of(one.points, one.following, picture)
        at = one.following
        near = {
            number: float(np.hypot(at.x - region.x, at.y - region.y))
            for number, (_, region) in self.places.items()
            if number not in here and 0.6 < at.size / region.size < 1.7 and self._traits[number].possible(seen)
        }
        found = min(near, key=lambda key: near[key], default=None)
        if found is None or near[found] > 0.5 * at.size:
            alike = {key: traits.unlike(seen) for key, traits in self._traits.items() if key not in here}
            found = min(alike, key=lambda key: alike[key], default=None)
            if found is None or alike[found] > 1.0:
                found = max(self._traits, default=-1) + 1
        self.places.pop(found, None)
        self._traits.setdefault(found, seen)
        return found


def find_faces(picture: Picture) -> list[Face]:
    """Finds the faces in one picture; for many pictures keep a `FaceFinder`.

    Args:
        picture: `(H, W, 3)` uint8 sRGB.

    Returns:
        The largest first; empty where there is none.
    """
    return FaceFinder().find(picture)


def _face(one: Mesh, number: int) -> Face:
    return Face(one.points, one.score, number, around(one.points))


def _plausible(one: Mesh) -> bool:
    """Whether points are those of a face that fills the region."""
    before, after = one.region, one.following
    eyes = one.points[EYE_CORNERS[1]] - one.points[EYE_CORNERS[0]]
    return bool(
        one.score > _SCORE
        and np.linalg.norm(eyes) > _SMALLEST
        and 0.4 < after.size / before.size < 2.0
        and np.hypot(after.x - before.x, after.y - before.y) < 0.4 * before.size
    )


def _near(one: Region, other: Region) -> bool:
    distance = np.hypot(one.x - other.x, one.y - other.y)
    return bool(distance < 0.2 * max(one.size, other.size) and 0.5 < one.size / other.size < 2.0)


def _same(one: Mesh, other: Mesh) -> bool:
    """Whether one of two faces lies within the other: in a tile that ends there, nose and mouth can pass for one."""
    small, large = sorted((one.points[:, :2], other.points[:, :2]), key=lambda points: float(np.ptp(points, 0).max()))
    rim = cv2.convexHull(np.ascontiguousarray(large))[:, 0]
    sides = np.roll(rim, -1, 0) - rim
    away = small[None] - rim[:, None]
    turns = sides[:, None, 0] * away[..., 1] - sides[:, None, 1] * away[..., 0]
    within = (turns >= 0).all(0) | (turns <= 0).all(0)
    return bool(within.mean() > _INSIDE)

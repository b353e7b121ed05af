"""Hands near faces: 21 points of each, and a mask drawn along their bones.

Convention:
    Points are pixel indices: 0 the wrist, then four of each finger from its root to its tip, the thumb first. A hand is
    looked at in a turned square in which the fingers point up.

Source:
    Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020, and the graphs of MediaPipe 0.10.21.
    Departure: palms are looked for around faces only. The mask is this module's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.graph import Graph
from vid2vid.conditions.people import drawn_to_edges
from vid2vid.conditions.pose_networks import Region, anchors, cut_all, decoded, tiles_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_WEIGHTS: Final = Path(__file__).parent.parent / "weights"
_LAYERS: Final = ((24, 2), (12, 6))
"""Cells a side and guesses a cell of the palm detector's layers."""
_PALM: Final = 0.1
"""Low, since the second network decides: a hand before a face scores .11 to .4, a face without one .01 to .04."""
_SCORE: Final = 0.3
_NEW_SCORE: Final = 0.7
"""The same for a hand not seen before: the shade of a chin on a neck scored .5."""
_EVERY: Final = 6
"""Frames between two searches for palms."""
_ROOM: Final = 2.2
"""Side of the square around a face in which palms are looked for, in the longer side of the face's box."""
_TILES: Final = (1.0,)
_STILL: Final = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Points that the next region is drawn around: fingertips move too much."""
_ROOTS: Final = (5, 9, 13)
_FINGERS: Final = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
_RIM: Final = (0, 1, 2, 5, 9, 13, 17)
"""Points around the palm."""
_THICK: Final = (0.35, 0.32, 0.28, 0.25)
"""Widths at a finger's joints, in the palm's, a little more than a finger has: its edges draw the mask back."""
_TIP: Final = 0.25
"""How far a finger reaches beyond its last point, which lies under the nail, in the length of its last bone."""


@dataclass(frozen=True, slots=True, eq=False)
class Hand:
    """One hand in one picture."""

    points: Floats
    """`(21, 2)` in pixels."""
    score: float
    """In [0, 1]: whether it is a hand."""

    @property
    def width(self) -> float:
        """Of the palm, in pixels, as if it were seen flat."""
        across = np.linalg.norm(self.points[5] - self.points[17])
        along = np.linalg.norm(self.points[9] - self.points[0])
        return float(max(across * 1.25, along * 0.8))

    @property
    def following(self) -> Region:
        """Where the hand is to be looked for next."""
        points = self.points[list(_STILL)]
        root = self.points[list(_ROOTS)]
        ahead = (root[0] + root[2]) / 4 + root[1] / 2 - self.points[0]
        return _region(points, ahead, 2.0, 0.1)


def _region(points: Floats, ahead: Floats, margin: float, shift: float) -> Region:
    """A square around points `(N, 2)`, the way `ahead` up, moved that way by a part of its height."""
    angle = float(np.arctan2(ahead[0], -ahead[1]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = points @ turn
    low, high = upright.min(0), upright.max(0)
    x, y = turn @ ((low + high) / 2 - [0.0, shift * (high[1] - low[1])])
    return Region(float(x), float(y), margin * float((high - low).max()), angle)


class PalmDetector:
    """Finds regions that may hold a hand."""

    def __init__(self) -> None:
        self._graph = Graph(_WEIGHTS / "palm_detection", alone=True)
        self._anchors = anchors(_LAYERS)

    def __call__(self, picture: Picture, tiles: Sequence[Region], threshold: float = _PALM) -> list[Region]:
        """Looks through square tiles of a picture.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            tiles: without a turn.
            threshold: least score of a guess.

        Returns:
            Regions, the surest first; each hand once.
        """
        side = self._graph.size[0]
        outputs = self._graph(cut_all(picture, tiles, side) / 255.0)
        found = decoded(outputs, self._anchors, tiles, side, threshold, (4, 8))
        return [_palm(guess) for guess in found]


def _palm(guess: Floats) -> Region:
    """Around a box `(4,)` that the wrist and the middle finger's root `(4,)` follow."""
    (x, y), size = (guess[:2] + guess[2:4]) / 2, guess[2:4] - guess[:2]
    ahead = guess[6:8] - guess[4:6]
    ahead = ahead / (np.linalg.norm(ahead) + 1e-6)
    reach = 0.5 * float(size.max())
    return Region(
        float(x + reach * ahead[0]), float(y + reach * ahead[1]), 2.6 * float(size.max()),
        float(np.arctan2(ahead[0], -ahead[1])),
    )  # fmt: skip


class HandNetwork:
    """Measures hands in their regions."""

    def __init__(self) -> None:
        self._graph = Graph(_WEIGHTS / "hand_landmark", alone=True)

    def __call__(self, picture: Picture, regions: Sequence[Region]) -> list[Hand]:
        """Measures one picture's hands as one batch.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            regions: one for each hand.
        """
        if not regions:
            return []
        side = self._graph.size[0]
        places, scores, *_ = self._graph(cut_all(picture, regions, side) / 255.0)
        hands = []
        for region, place, score in zip(regions, places.reshape(-1, 21, 3).numpy(), scores.flatten(), strict=True):
            matrix = region.to_picture(side)
            points = (place[:, :2] @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
            hands.append(Hand(points, float(score)))
        return hands


class HandFinder:
    """Finds hands; holds the networks, and while it follows a clip, where hands were last."""

    def __init__(self) -> None:
        self._detector = PalmDetector()
        self._measure = HandNetwork()
        self._here: list[Hand] = []
        self._since = _EVERY

    def find(self, picture: Picture) -> list[Hand]:
        """Finds the hands in one picture.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
        """
        return self._new(picture, tiles_of(picture.shape[0], picture.shape[1], _TILES), [])

    def follow(self, picture: Picture, near: Sequence[Floats]) -> list[Hand]:
        """Continues with the next frame of a clip.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            near: boxes `(4,)`, left, top, right, bottom, of the faces around which hands matter.
        """
        rooms = [_room(box) for box in near]
        before = self._here
        measured = self._measure(picture, [hand.following for hand in before])
        here: list[Hand] = []
        for hand, last in zip(measured, before, strict=True):
            if _plausible(hand, last.following) and _within(hand, rooms) and not any(_same(hand, o) for o in here):
                here.append(hand)
        self._since += 1
        if rooms and (self._since >= _EVERY or len(here) < len(before)):
            self._since = 0
            here += [hand for hand in self._new(picture, rooms, here) if _within(hand, rooms)]
        self._here = here
        return list(here)

    def forget(self) -> None:
        """Forgets where hands were, as at a cut."""
        self._here, self._since = [], _EVERY

    def _new(self, picture: Picture, tiles: Sequence[Region], known: Sequence[Hand]) -> list[Hand]:
        """Hands not known yet, measured twice: the second time where the first one told."""
        regions = self._detector(picture, tiles)
        first = zip(self._measure(picture, regions), regions, strict=True)
        again = [hand.following for hand, at in first if _plausible(hand, at)]
        fresh: list[Hand] = []
        for hand, at in zip(self._measure(picture, again), again, strict=True):
            sure = hand.score > _NEW_SCORE and _plausible(hand, at)
            if sure and not any(_same(hand, other) for other in [*known, *fresh]):
                fresh.append(hand)
        return fresh


def hand_mask(hands: Sequence[Hand], picture: Picture) -> Floats:
    """Draws hands: the palm, fingers as thick as they usually are, then to the picture's edges.

    Args:
        hands: as found in the picture.
        picture: `(H, W, 3)` uint8 sRGB.

    Returns:
        `(H, W)` in [0, 1].
    """
    mask = np.zeros(picture.shape[:2], np.float32)
    for hand in hands:
        drawn = np.zeros(picture.shape[:2], np.uint8)
        _draw(drawn, hand)
        soft = cv2.GaussianBlur(drawn, (0, 0), 0.03 * hand.width + 0.5).astype(np.float32) / 255.0
        mask = np.maximum(mask, drawn_to_edges(soft, picture, 3.0 * hand.width))
    return mask


def _draw(canvas: NDArray[np.uint8], hand: Hand) -> None:
    """Palm and fingers at 255; places are kept to a thirty-second of a pixel."""
    points = hand.points.copy()
    tips = [finger[-1] for finger in _FINGERS]
    points[tips] += _TIP * (hand.points[tips] - hand.points[[finger[-2] for finger in _FINGERS]])
    width, fixed = hand.width, np.round(points * 32).astype(np.int32)
    rim = cv2.convexHull(np.ascontiguousarray(fixed[list(_RIM)]))
    cv2.fillConvexPoly(canvas, rim, 255, shift=5)
    edge = max(1, round(_THICK[1] * width))
    cv2.polylines(canvas, [rim], True, 255, edge, shift=5)
    for finger in _FINGERS:
        for joint, (start, end) in enumerate(pairwise(finger)):
            for part in range(4):  # a cone as four capsules
                one, other = (
                    np.round(fixed[start] + (fixed[end] - fixed[start]) * share).astype(int)
                    for share in (part / 4, (part + 1) / 4)
                )
                thick = _THICK[joint] + (_THICK[joint + 1] - _THICK[joint]) * (part + 0.5) / 4
                cv2.line(canvas, tuple(one.tolist()), tuple(other.tolist()), 255, max(1, round(thick * width)), shift=5)


def _room(box: Floats) -> Region:
    side = _ROOM * float(max(box[2] - box[0], box[3] - box[1]))
    return Region(float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2, side, 0.0)


def _within(hand: Hand, rooms: Sequence[Region]) -> bool:
    """Whether some of a hand lies where it matters."""
    return any(bool((np.abs(hand.points - [room.x, room.y]).max(1) < room.size / 2).any()) for room in rooms)


def _plausible(hand: Hand, before: Region) -> bool:
    after = hand.following
    return bool(
        hand.score > _SCORE
        and 0.4 < after.size / before.size < 2.0
        and np.hypot(after.x - before.x, after.y - before.y) < 0.4 * before.size
    )


def _same(one: Hand, other: Hand) -> bool:
    distance = np.linalg.norm(one.points - other.points, axis=1).mean()
    return bool(distance < 0.4 * min(one.width, other.width))

"""One face put into one frame: keys moved into place, lit, what is before the face kept, blended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.hands import hand_mask
from vid2vid.motion.face_blend import eyes_kept, face_mask, hair_mask, mouth_kept, multiband
from vid2vid.motion.face_light import LightMatcher
from vid2vid.motion.face_mesh import WarpedFace, warp_face

from .canvas import CELL, Cell, cut, into_cell, make_cell, moved, read_at
from .parts import goal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.hands import Hand
    from vid2vid.types import Picture

    from .options import Options
    from .parts import Part

    Floats = NDArray[np.float32]

_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_COLOUR: Final = 4.0
"""Deviation, in pixels of a cell, of the blur of a change of colour: finer ones turn eyes and teeth green."""
_ROOM: Final = 0.35
"""Picture worked on around a face, in distances between the eyes' outer corners."""


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """Where a face is worked on."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, points: Floats, height: int, width: int) -> Box:
        """Around landmarks, within the picture; it may be empty."""
        room = _ROOM * float(np.linalg.norm(points[33, :2] - points[263, :2]))
        low, high = points[:, :2].min(0) - room, points[:, :2].max(0) + room
        return cls(
            max(0, int(low[0])), max(0, int(low[1])), min(width, int(high[0]) + 1), min(height, int(high[1]) + 1)
        )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return max(0, self.bottom - self.top), max(0, self.right - self.left)

    @property
    def window(self) -> tuple[slice, slice]:
        """Of the picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def moved(self, points: Floats) -> Floats:
        """Points of the picture as points of the box."""
        return np.asarray(points - np.array([self.left, self.top, 0]), np.float32)


def move_keys(part: Part, place: int, points: Floats, size: tuple[int, int]) -> WarpedFace:
    """The keys that show in a frame, moved onto points and mixed by their shares.

    Args:
        part: whose keys.
        place: of the frame in the part's arrays.
        points: `(478, 3)` where the face goes, in pixels of an area.
        size: rows and columns of that area.
    """
    mixed: WarpedFace | None = None
    so_far = 0.0
    for key, share in zip(part.identity.keys, part.shares[place].tolist(), strict=True):
        if share < 0.01:
            continue
        warped = warp_face(key.picture, key.points, points, size)
        so_far += share
        mixed = warped if mixed is None else _mixed(mixed, warped, share / so_far)
    assert mixed is not None, "shares sum to 1"
    return mixed


def _mixed(one: WarpedFace, other: WarpedFace, share: float) -> WarpedFace:
    picture = cv2.addWeighted(one.picture, 1.0 - share, other.picture, share, 0.0)
    cover, trust = (
        np.asarray(getattr(one, name) * (1.0 - share) + getattr(other, name) * share, np.float32)
        for name in ("cover", "trust")
    )
    return WarpedFace(np.asarray(picture, np.uint8), cover, trust, one.parts)


@dataclass(slots=True, eq=False)
class Swapper:
    """Puts one part's face into frames, in order; keeps the light of earlier frames."""

    part: Part
    options: Options
    _match: LightMatcher = field(init=False)
    _cells: LightMatcher = field(init=False)

    def __post_init__(self) -> None:
        self._match, self._cells = LightMatcher(self.options.light), LightMatcher(self.options.light)

    def memory(self) -> dict[str, NDArray[np.float64]]:
        """What `put` remembers of earlier frames: their light, as named arrays."""
        return self._match.memory()

    def recall(self, memory: Mapping[str, NDArray[np.float64]]) -> None:
        """Goes on from what `memory` gave."""
        self._match.recall(memory)

    def cell(self, picture: Picture, scale: float, frame: int) -> Cell | None:
        """What the generator looks at; None where the face is not swapped in this frame.

        Args:
            picture: `(h, w, 3)` uint8, the frame at the working size.
            scale: its pixels per pixel of the source.
            frame: number in the clip.
        """
        place = self.part.at(frame)
        if place is None:
            return None
        if self.part.fresh[place]:
            self._cells.reset()
        wanted, matrix = self._placed(place)
        target = cut(picture, read_at(matrix, scale))
        warped = move_keys(self.part, place, wanted, (CELL, CELL))
        mask = face_mask(moved(self.part.points[place], matrix), (CELL, CELL), (0.0, 0.0), _unit(wanted))
        return make_cell(target, wanted, warped, mask, self._cells)

    def put(self, picture: Picture, frame: int, hands: Sequence[Hand], change: Floats | None = None) -> Picture:
        """The frame with the face in it.

        Args:
            picture: `(H, W, 3)` uint8, the frame; it stays as it is.
            frame: number in the clip.
            hands: what is before the face, in pixels of the frame.
            change: `(CELL, CELL, 3)` float32 in levels of 255: what a trained generator adds in the face's cell.

        Returns:
            A new picture; the same one where the face is not swapped.
        """
        place = self.part.at(frame)
        if place is None:
            return picture
        if self.part.fresh[place]:
            self._match.reset()
        points, wanted = self.part.points[place], goal(self.part, place, self.options)
        box = Box.around(np.concatenate([points, wanted]), *picture.shape[:2])
        if min(box.size) < 2:
            return picture
        made, mask = self._made(picture[box.window], place, box, wanted, hands, change)
        result = picture.copy()
        if not mask.any():
            return picture
        weight = float(self.part.weight[place])
        result[box.window] = multiband(made, picture[box.window], mask, amount=weight)
        return result

    def _made(
        self, target: Picture, place: int, box: Box, wanted: Floats, hands: Sequence[Hand], change: Floats | None
    ) -> tuple[Picture, Floats]:
        points = self.part.points[place]
        unit = _unit(wanted)
        origin = (float(box.left), float(box.top))
        warped = move_keys(self.part, place, box.moved(wanted), box.size)
        before = np.maximum(hair_mask(target, points, origin, unit), hair_mask(warped.picture, wanted, origin, unit))
        if hands:
            before = np.maximum(before, _hands_in(hands, box, target))
        mask = face_mask(points, box.size, origin, unit, warped.cover, occluders=before, trust=warped.trust)
        made = self._match(warped.picture, target, mask, unit)
        if change is not None:
            made = self._changed(made, place, box, change)
        strongest = int(self.part.shares[place].argmax())
        source = self.part.identity.keys[strongest].points
        made = eyes_kept(made, target, points, wanted, self.part.neutral, origin)
        return mouth_kept(made, target, points, wanted, source, origin), mask

    def _placed(self, place: int) -> tuple[Floats, NDArray[np.float64]]:
        """Where the points go in the cell, and the way there from the source."""
        matrix = into_cell(self.part.points[place])
        return moved(goal(self.part, place, self.options), matrix), matrix

    def _changed(self, made: Picture, place: int, box: Box, change: Floats) -> Picture:
        matrix = into_cell(self.part.points[place])
        back = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ [box.left, box.top]])
        height, width = box.size
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        light = change @ _LUMA
        colour = cv2.GaussianBlur(change - light[..., None], (0, 0), _COLOUR)
        added = cv2.warpAffine(
            light[..., None] + colour, back, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT
        )
        return np.asarray(np.clip(made + added, 0, 255).round(), np.uint8)


def _unit(points: Floats) -> float:
    return float(np.linalg.norm(points[33, :2] - points[263, :2])) + 1e-6


def _hands_in(hands: Sequence[Hand], box: Box, target: Picture) -> Floats:
    corner = np.array([box.left, box.top], np.float32)
    moved_ = [replace(hand, points=hand.points - corner) for hand in hands]
    return hand_mask(moved_, target)

"""Actors play themselves in their own clips, with pictures of other moments: what the generator learns from.

The film with the moved pictures in it is what it sees, the film's own frames are the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.composite import shrunk
from vid2vid.errors import ReferenceMismatch
from vid2vid.io import open_source
from vid2vid.motion.actor import MAX_VIEWS, Actor
from vid2vid.motion.casting import cast_from_clip
from vid2vid.motion.keyframes import KeyFrame
from vid2vid.types import Frame

from .actors import KEPT_HEIGHT, Player
from .canvas import Cell, cut, make_cell, reach_of, way_into
from .options import Options
from .parts import part_of
from .swapping import Painter, Swapper
from .watching import watch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    from .parts import Part
    from .watching import Watched

MOST_FRAMES: Final = 360
"""Frames learned from, of all clips together: a cell takes 0.65 MB."""
SHORT_SIDE: Final = 540
HELD_OUT: Final = 0.15
"""Share at the end of every clip that is measured on; neither learned from nor kept."""
LEAST: Final = 12
"""Frames in which the person has to be seen."""
APART: Final = 4
"""Frames around a stretch from which no picture plays in it: nearer ones would show the answer."""
STRETCHES: Final = (2, 6)
"""Fewest and most parts into which a clip is divided for that."""
_STRETCH: Final = 16
_FEWEST_VIEWS: Final = 3
_ROOM: Final = 0.2
"""Standing heights around the actor that a kept picture shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """Cells of frames in turn; `(T, CELL, CELL[, C])` uint8."""

    source: NDArray[np.uint8]
    limbs: NDArray[np.uint8]
    cover: NDArray[np.uint8]
    plate: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    """What is wanted: the film where the generator may change it, else `source`."""

    def __len__(self) -> int:
        return len(self.cover)

    def cell(self, number: int) -> Cell:
        """As a render would make it."""
        return Cell(self.source[number], self.limbs[number], self.cover[number], self.plate[number])


@dataclass(frozen=True, slots=True, eq=False)
class Role:
    """The person who is largest in a clip, and pictures of them."""

    frames: list[Picture]
    seen: Watched
    number: int
    actor: Actor
    shown: tuple[int, ...]
    """Numbers of the frames that the actor's views were taken from."""
    fps: float

    @property
    def there(self) -> list[int]:
        """Numbers of the frames that show the person."""
        return sorted(self.seen.people[self.number])

    @property
    def taught(self) -> int:
        """Number of the frame from which on nothing is learned."""
        there = self.there
        return there[round((1.0 - HELD_OUT) * (len(there) - 1))]


def read_role(path: Path, most: int) -> Role | None:
    """Looks through the middle of a clip; None where nobody is seen whole for long enough."""
    with open_source(path) as source:
        count, fps = source.info.frame_count or most, float(source.info.fps)
        begin = max(0, (count - most) // 2)
        frames = [shrunk(frame.pixels, SHORT_SIDE).copy() for frame in islice(source, begin, begin + most)]
    seen = watch(Frame(picture, n, Fraction(n) / Fraction(fps)) for n, picture in enumerate(frames))
    number = seen.largest
    if number is None or len(seen.people[number]) < LEAST:
        return None
    role = Role(frames, seen, number, Actor("", (), 1.0), (), fps)
    box = _around(role, role.there)
    try:
        actor, shown = cast_from_clip([frame[box] for frame in frames[: role.taught]], MAX_VIEWS)
    except ReferenceMismatch:
        return None
    return replace(role, actor=actor, shown=shown) if len(shown) >= _FEWEST_VIEWS else None


def _around(role: Role, numbers: Sequence[int]) -> tuple[slice, slice]:
    """The part of a picture that shows the person in some frames, and not much more."""
    track, (height, width) = role.seen.people[role.number], role.frames[0].shape[:2]
    masks = [track[number].mask for number in numbers if track[number].mask.width]
    room = _ROOM * float(np.median([track[number].height for number in numbers]))
    top, left = min(mask.top for mask in masks) - room, min(mask.left for mask in masks) - room
    bottom = max(mask.top + mask.height for mask in masks) + room
    right = max(mask.left + mask.width for mask in masks) + room
    return slice(max(0, int(top)), min(height, int(bottom))), slice(max(0, int(left)), min(width, int(right)))


def rehearsed(role: Role, rng: np.random.Generator) -> Iterator[Shot]:
    """The frames learned from, each stretch played with pictures from elsewhere: with all, and with a few."""
    numbers = [number for number in role.there if number < role.taught]
    count = int(np.clip(len(numbers) // _STRETCH, *STRETCHES))
    for part in np.array_split(np.array(numbers), count):
        stretch = range(int(part[0]), int(part[-1]) + 1)
        free = [n for n, at in enumerate(role.shown) if not stretch.start - APART <= at < stretch.stop + APART]
        if len(free) < _FEWEST_VIEWS:
            continue
        few = rng.choice(free, min(len(free), max(_FEWEST_VIEWS, len(free) // 3)), replace=False).tolist()
        for views in (free, sorted(few)):
            yield from _played(role, views, stretch)


def held_out(role: Role) -> Iterator[Shot]:
    """The frames that nothing was learned from."""
    stretch = range(role.taught, role.there[-1] + 1)
    free = [n for n, at in enumerate(role.shown) if at < stretch.start - APART] or list(range(len(role.shown)))
    yield from _played(role, free, stretch)


def _played(role: Role, views: Sequence[int], stretch: range) -> Iterator[Shot]:
    actor = replace(role.actor, views=tuple(role.actor.views[number] for number in views))
    part = part_of(role.seen, role.number, Player(actor, role.frames[0]), role.fps)
    painter = Painter(role.seen, [Swapper(part, Options(), role.seen.size)], Options())
    rows: list[tuple[Cell, Picture]] = []
    for number in stretch:
        row = _row(role, part, painter, number)
        if row is not None:
            rows.append(row)
        if len(rows) and (row is None or number == stretch[-1]):
            yield _shot(rows)
            rows = []


def _row(role: Role, part: Part, painter: Painter, number: int) -> tuple[Cell, Picture] | None:
    place = part.at(number)
    staged = painter.stage(role.frames[number], number)
    drawn = staged.drawn.get(role.number)
    if place is None or drawn is None:
        return None
    way = way_into(part, place)
    cell = make_cell(staged, drawn, way)
    share = reach_of(cell.cover)[..., None]
    wanted = cut(role.frames[number], way) * share + cell.source * (1.0 - share)
    return cell, np.asarray(wanted.round(), np.uint8)


def _shot(rows: Sequence[tuple[Cell, Picture]]) -> Shot:
    def whole(name: str) -> NDArray[np.uint8]:
        return np.stack([getattr(cell, name) for cell, _ in rows])

    truth = np.stack([wanted for _, wanted in rows])
    return Shot(whole("source"), whole("limbs"), whole("cover"), whole("plate"), truth)


def kept_pictures(role: Role) -> Iterator[KeyFrame]:
    """The pictures that a bundle keeps: each with the same place without the actor, where that is known."""
    for number in role.shown:
        sighting = role.seen.people[role.number].get(number)
        if sighting is None:
            continue
        box = _around(role, [number])
        picture, plate = role.frames[number][box], role.seen.backgrounds.at(number, box)
        scale = KEPT_HEIGHT / sighting.height
        way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
        both = [
            cv2.resize(one, None, fx=scale, fy=scale, interpolation=way) for one in (picture, plate) if one is not None
        ]
        yield KeyFrame(number, np.asarray(both[0], np.uint8), np.asarray(both[-1], np.uint8))

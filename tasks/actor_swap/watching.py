"""The first look through a film: who is where, kept small, and what is behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.motion import CutDetector
from vid2vid.conditions.people import PeopleFinder
from vid2vid.motion.camera import CameraTracker

from .actors import spread_of
from .background import Backgrounds, Gathering, everybody

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.people import Person
    from vid2vid.types import Frame, Picture

    Floats = NDArray[np.float32]

_EVERY: Final = 5
"""Frames between two searches for people who came in."""
_MASK_SIDE: Final = 224
"""Longest side of a kept mask; the network's own has 256 for a square around the person."""
_LIT_AT: Final = (1, 10, 30, 60, 100)
"""Which of a person's frames tell the contrast of the light on them."""
_FAINT: Final = 0.04
"""Coverage below which a mask is not kept."""


_HIDDEN: Final = 12
"""Levels of 255 from which a mask hides the scene."""


@dataclass(frozen=True, slots=True, eq=False)
class PackedMask:
    """Where a person is, compressed."""

    left: int
    top: int
    width: int
    height: int
    content: bytes
    """PNG, at most `_MASK_SIDE` a side."""

    @property
    def window(self) -> tuple[slice, slice]:
        """Of the picture."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def unpacked(self) -> Floats:
        """`(height, width)` in [0, 1], of the window at `left`, `top`."""
        if not self.width:
            return np.zeros((0, 0), np.float32)
        small = cv2.imdecode(np.frombuffer(self.content, np.uint8), cv2.IMREAD_GRAYSCALE)
        whole = cv2.resize(small, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole, np.float32) / 255.0


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One person in one frame; places in pixels of the source."""

    joints: Floats
    """`(15, 2)`."""
    visibility: Floats
    """`(15,)`."""
    depth: Floats
    """`(15,)` body heights."""
    facing: float
    height: float
    mask: PackedMask
    colour: Floats
    """`(3,)`: mean R, G, B within the mask."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What was seen in the film."""

    people: dict[int, dict[int, Sighting]]
    """By number and frame."""
    times_s: tuple[float, ...]
    """Of every frame."""
    cuts: tuple[int, ...]
    """First frames of the shots after the first."""
    backgrounds: Backgrounds
    size: tuple[int, int]
    """Columns and rows."""
    spreads: dict[int, float]
    """Of each person, the standard deviation of L, looked at once."""

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.times_s)

    @property
    def largest(self) -> int | None:
        """Who covers most of the film; None where nobody is there."""
        return max(
            self.people, key=lambda number: sum(one.height**2 for one in self.people[number].values()), default=None
        )

    def others(self, frame: int, chosen: Sequence[int]) -> Iterator[Sighting]:
        """Everybody in a frame but the chosen."""
        for number, track in self.people.items():
            if number not in chosen and frame in track:
                yield track[frame]


def watch(source: Iterable[Frame]) -> Watched:
    """Follows everybody through the whole film.

    Args:
        source: at its first frame; it is read to the end.
    """
    finder, is_cut = PeopleFinder(_EVERY), CutDetector()
    now: list[Picture] = []
    times_s: list[float] = []
    people: dict[int, dict[int, Sighting]] = {}
    cuts: list[int] = []
    spreads: dict[int, list[float]] = {}
    gathering, backgrounds, camera = Gathering(), Backgrounds(), CameraTracker()

    def pictures() -> Iterator[Picture]:
        for frame in source:
            now[:] = [frame.pixels]
            times_s.append(float(frame.time_s))
            yield frame.pixels

    for index, found in enumerate(finder.follow(pictures())):
        picture = now[0]
        if is_cut(picture):
            cuts.append(index)
            backgrounds.add(gathering, index)
            gathering = Gathering()
            camera.reset()
        masks = [one.mask for one in found]
        gathering.add(picture, masks, camera(picture, everybody(masks, picture.shape[:2]) > _HIDDEN))
        for one in found:
            people.setdefault(one.number, {})[index] = sighting = _sighting(one, picture)
            if len(people[one.number]) in _LIT_AT:
                window, mask = sighting.mask.window, sighting.mask.unpacked()
                spreads.setdefault(one.number, []).append(spread_of(picture[window], mask))
    backgrounds.add(gathering, len(times_s))
    usual = {number: float(np.median(values)) for number, values in spreads.items()}
    size = (now[0].shape[1], now[0].shape[0]) if now else (0, 0)
    return Watched(people, tuple(times_s), tuple(cuts), backgrounds, size, usual)


def _sighting(person: Person, picture: Picture) -> Sighting:
    left, top, width, height = cv2.boundingRect((person.mask > _FAINT).astype(np.uint8))
    window = (slice(top, top + height), slice(left, left + width))
    mask, colour = person.mask[window], np.full(3, 128.0, np.float32)
    content = b""
    if width:
        scale = min(1.0, _MASK_SIDE / max(width, height))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        packed = np.round(small * 255.0).astype(np.uint8)
        content = cv2.imencode(".png", packed, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
        colours = cv2.resize(picture[window], size, interpolation=cv2.INTER_AREA)
        colour = np.asarray(cv2.mean(colours, (small > 0.8).astype(np.uint8))[:3], np.float32)
    return Sighting(
        joints=person.joints,
        visibility=person.visibility,
        depth=person.depth,
        facing=person.facing,
        height=person.height,
        mask=PackedMask(left, top, width, height, content),
        colour=colour,
    )

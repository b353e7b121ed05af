"""What the net learns from: actors of a clip play their own clip, with views taken from other moments of it.

The pictures that moved views make are the input, the clip's own frames the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.conditions.motion import MotionTracker
from vid2vid.episodes import EpisodeWindows
from vid2vid.fitting import Window
from vid2vid.motion.actor import Actor, View
from vid2vid.motion.plate import compose, limb_map
from vid2vid.motion.puppet import Puppet
from vid2vid.motion.skeleton import STICK_IN_BODY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.conditions.people import Person
    from vid2vid.types import Picture

LENGTH: Final = 2
"""Frames of a window."""
WINDOWS: Final = 4
"""Windows in which a slot continues one passage."""
CROP: Final = 128
VIEWS: Final = (3, 12)
"""Fewest and most pictures that an actor of a rehearsal has."""
APART: Final = 3
"""Frames around a passage from which no view is taken."""
HEIGHTS_PX: Final = (100.0, 230.0)
"""Standing heights at which clips are played."""
MARGIN: Final = 0.35
"""Around the passage's people, in standing heights."""


@dataclass(frozen=True, slots=True, eq=False)
class Role:
    """One person of one clip."""

    frames: Sequence[Picture]
    people: Sequence[Person | None]
    """The person in each frame; None where they are not whole. Their masks are not used."""
    views: dict[int, View]
    """Cut-outs by number of the frame, all at one scale."""
    height: float
    """Standing height in pixels of the views."""
    plate: Picture
    """The scene without people, as large as the frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """Consecutive frames of a rehearsal, cut out around the person; all uint8."""

    staged: NDArray[np.uint8]
    """`(T, H, W, 3)`: moved views over the empty scene."""
    limbs: NDArray[np.uint8]
    """`(T, H, W, 3)`."""
    cover: NDArray[np.uint8]
    """`(T, H, W)`."""
    truth: NDArray[np.uint8]
    """`(T, H, W, 3)`."""


def rehearse(role: Role, rng: np.random.Generator, length: int = LENGTH * WINDOWS) -> Passage | None:
    """Plays a random passage of a role.

    Returns:
        The passage, or None where the person is not whole or too few views are left.
    """
    first = int(rng.integers(0, len(role.frames) - length + 1))
    people = [role.people[index] for index in range(first, first + length)]
    there = [person for person in people if person is not None]
    free = [index for index in role.views if index < first - APART or index >= first + length + APART]
    if len(there) < length or len(free) < VIEWS[0]:
        return None
    count = min(len(free), int(rng.integers(VIEWS[0], VIEWS[1] + 1)))
    chosen = sorted(int(index) for index in rng.choice(free, count, replace=False))
    actor = Actor("rehearsal", tuple(role.views[index] for index in chosen), role.height)
    scale = float(np.exp(rng.uniform(*np.log(HEIGHTS_PX)))) / float(np.median([person.height for person in there]))
    return _play(role, actor, first, there, scale, drawn=bool(rng.random() < 0.7))


def _play(role: Role, actor: Actor, first: int, people: Sequence[Person], scale: float, drawn: bool) -> Passage:
    """Moves the actor through the passage; `drawn` leaves out what a drawn figure does not tell."""
    height = float(np.median([person.height for person in people])) * scale
    left, top, width, tall = _box(people, scale, role.frames[0].shape, MARGIN * height)
    size = (width, tall)
    place = np.array([[scale, 0, -left], [0, scale, -top]], np.float32)
    plate = _cut(role.plate, place, size)
    puppet = Puppet(actor, height, size)
    parts: list[tuple[Picture, Picture, NDArray[np.uint8], Picture]] = []
    for number, person in enumerate(people):
        joints = (person.joints * scale - [left, top]).astype(np.float32)
        facing = 1.0 if person.facing >= 0 else -1.0
        given = joints[list(STICK_IN_BODY)] if drawn else joints
        ground = float(joints[[11, 14], 1].max())
        depth = None if drawn else person.depth
        layer = puppet.pose(given, facing if drawn else person.facing, ground, depth)
        picture = compose(plate, [layer], ground=np.array([ground, 0.0], np.float32))
        truth = _cut(role.frames[first + number], place, size)
        parts.append((picture, limb_map(layer.joints, height, size), layer.rgba[..., 3], truth))
    return Passage(*(np.stack([part[column] for part in parts]) for column in range(4)))


def _box(people: Sequence[Person], scale: float, shape: Sequence[int], margin: float) -> tuple[int, int, int, int]:
    """Left, top, width and height around all people, in scaled pixels, inside the scaled frame."""
    boxes = np.stack([person.box for person in people]) * scale
    low, high = boxes[:, :2].min(0) - margin, boxes[:, 2:].max(0) + margin
    left, top = (int(max(0, value)) for value in low)
    right, bottom = (int(min(value, side * scale)) for value, side in zip(high, (shape[1], shape[0]), strict=True))
    return left, top, max(CROP, right - left), max(CROP, bottom - top)


def _cut(picture: Picture, place: NDArray[np.float32], size: tuple[int, int]) -> Picture:
    scale = float(place[0, 0])
    small = cv2.resize(
        picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    shift = np.array([[1, 0, place[0, 2]], [0, 1, place[1, 2]]], np.float32)
    return np.asarray(cv2.warpAffine(small, shift, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


class RehearsalWindows(EpisodeWindows):
    """Patches of passages, without end."""

    def __init__(self, passages: Sequence[Passage], slots: int, seed: int = 0, crop: int = CROP) -> None:
        super().__init__(slots=slots, windows=WINDOWS, seed=seed)
        self.passages, self.crop = passages, crop

    def chance(self, slot: int, episode: int) -> np.random.Generator:
        """In another order than elsewhere: the bundled weights were learned from these windows."""
        return np.random.default_rng((self.seed, episode, slot))

    def episode(self, rng: np.random.Generator) -> Iterator[Window]:
        """A patch of one passage, perhaps mirrored, in one light."""
        passage = self.passages[int(rng.integers(len(self.passages)))]
        rows, columns = self._place(passage, rng)
        flip = -1 if rng.random() < 0.5 else 1
        gain = rng.uniform(0.85, 1.15, 3).astype(np.float32)
        staged, limbs, cover, truth = (
            np.ascontiguousarray(getattr(passage, name)[:, rows, columns][:, :, ::flip])
            for name in ("staged", "limbs", "cover", "truth")
        )
        if flip < 0:
            limbs = limbs[..., [1, 0, 2]]  # left limbs are red and right ones green
        motion = MotionTracker()(list(staged), frozenset())
        shown, wanted = (np.clip(part / np.float32(255.0) * gain, 0, 1) for part in (staged, truth))
        maps = np.concatenate((shown, limbs / np.float32(255.0), cover[..., None] / np.float32(255.0)), -1)
        stacked = torch.from_numpy(maps.astype(np.float32)).permute(0, 3, 1, 2)
        target = torch.from_numpy(wanted.astype(np.float32)).permute(0, 3, 1, 2)
        nothing = target.new_zeros(len(target), 4, *target.shape[-2:])
        whole = Window(stacked[None], target[None], nothing[None], motion.flow[None], motion.weight[None])
        return whole.cut(LENGTH)

    def _place(self, passage: Passage, rng: np.random.Generator) -> tuple[slice, slice]:
        """A square that shows something of the person."""
        cover = passage.cover[len(passage.cover) // 2]
        height, width = cover.shape
        y, x = np.nonzero(cover > 128)
        number = int(rng.integers(len(y))) if len(y) else 0
        middle = (int(y[number]), int(x[number])) if len(y) else (height // 2, width // 2)
        top, left = (
            int(np.clip(at + rng.integers(-self.crop // 4, self.crop // 4) - self.crop // 2, 0, side - self.crop))
            for at, side in zip(middle, (height, width), strict=True)
        )
        return slice(top, top + self.crop), slice(left, left + self.crop)

"""What the refining generator learns from: live shots, their lines in random styles, frames of them as carried keys.

Every episode is one shot in one style with one or two of its frames as keys, carried along the lines exactly as at
render time. Episodes are made once, before learning; patches are cut from them at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from vid2vid.composite import resize
from vid2vid.conditions.line_art import extract_lines, random_line_style, soften
from vid2vid.errors import InvalidExamples, InvalidOption
from vid2vid.fitting import Window
from vid2vid.motion.keyframes import KeyFrame, plan_carries
from vid2vid.types import Frame

from .line_carrying import chain_keys
from .lines import look_at, without_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.data.footage import Shot
    from vid2vid.types import Picture

DISTANCES: Final = (1, 60)
"""Frames from a key to the frame that is learned."""
PER_EPISODE: Final = 8
TWO_KEYS: Final = 0.25
"""Share of episodes that have a key on both sides."""
SHORT_SIDES: Final = (180, 360)
"""To which a shot is brought, at random: fields have at most 270 rows, frames may have more."""
WITHOUT_KEY: Final = 0.1
"""Share of patches that are shown without any key frame."""
WINDING_PATCHES: Final = 0.5
"""Share of patches for which, of two places, the one where the key fits worse is taken."""


@dataclass(frozen=True, slots=True)
class LineExample:
    """One frame, its softened drawing and the key carried onto it, all uint8 to save memory."""

    target: Picture
    maps: NDArray[np.uint8]
    """`(H, W, 6)`."""
    reference: NDArray[np.uint8]
    """`(H, W, 4)`."""


def line_examples(shots: Sequence[Shot], episodes: int, seed: int = 0) -> Iterator[LineExample]:
    """Makes episodes; episode n follows from (seed, n) alone.

    Args:
        shots: live footage of at least a few frames each.
        episodes: how many.
        seed: of all choices.
    """
    if not shots:
        raise InvalidExamples("There is no shot to learn lines from. Give a folder with clips of live footage.")
    weights = np.sqrt([len(shot.frames) for shot in shots])
    for number in range(episodes):
        rng = np.random.default_rng((seed, number))
        shot = shots[int(rng.choice(len(shots), p=weights / weights.sum()))]
        yield from _episode(shot, rng)


def _episode(shot: Shot, rng: np.random.Generator) -> Iterator[LineExample]:
    total, rows, columns = shot.frames.shape[:3]
    key, wanted, other = _plan(total, rng)
    short = int(np.exp(rng.uniform(*np.log(SHORT_SIDES))))
    scale = min(1.0, short / min(rows, columns))
    width, height = round(columns * scale), round(rows * scale)
    numbers = [key] if other is None else [key, other]
    first, last = min(*numbers, *wanted), max(*numbers, *wanted)
    style, mirror = random_line_style(rng), bool(rng.random() < 0.5)
    live = {}
    for number in range(first, last + 1):
        picture = resize(shot.frames[number], width, height)
        live[number] = np.ascontiguousarray(picture[:, ::-1]) if mirror else picture
    soft = {number: soften(extract_lines(picture, style, number)) for number, picture in live.items()}
    frames = [Frame(soft[number], number, Fraction(number, 25)) for number in soft]
    fields = plan_carries(frames, numbers, width, height)
    planned = [KeyFrame(n, soft[n], live[n], found) for n, found in zip(numbers, fields, strict=True)]
    keys = chain_keys(planned, frames)
    for number in wanted:
        maps, reference = look_at(soft[number], keys, number)
        yield LineExample(live[number], _bytes(maps), _bytes(reference))


def _plan(total: int, rng: np.random.Generator) -> tuple[int, list[int], int | None]:
    """A key frame, the frames it is carried to, all on one side of it, and perhaps a second key beyond them."""
    reach = min(DISTANCES[1], total - 1)
    key = int(rng.integers(total))
    ahead = key + reach < total if rng.random() < 0.5 else key - reach < 0
    room = min(reach, total - 1 - key if ahead else key)
    if room < 2:
        ahead, room = not ahead, min(reach, key if ahead else total - 1 - key)
    away = np.unique(np.exp(rng.uniform(np.log(DISTANCES[0]), np.log(room + 0.49), PER_EPISODE)).round().astype(int))
    sign = 1 if ahead else -1
    wanted = [key + sign * int(distance) for distance in away]
    other = key + sign * room if room > int(away[-1]) and rng.random() < TWO_KEYS else None
    return key, wanted if other is None else [*wanted, other - sign], other


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(values * 255.0, 0.0, 255.0).round(), np.uint8)


class LineWindows:
    """Patches of examples as windows of one frame; patch i of step s follows from (seed, s, i) alone.

    Args:
        examples: what patches are cut from.
        batch: patches in a window.
        crop: side of a patch.
        seed: of the choice of patches.
    """

    def __init__(self, examples: Sequence[LineExample], *, batch: int, crop: int, seed: int = 0) -> None:
        smallest = min(side for example in examples for side in example.target.shape[:2])
        if crop > smallest:
            raise InvalidOption(f"crop={crop}: the smallest example has {smallest} pixels on its short side.")
        self.examples, self.batch, self.crop, self.seed = examples, batch, crop, seed

    def start(self, step: int, rank: int = 0, world: int = 1) -> Iterator[Window]:
        """Windows from a step onwards; of several processes each takes every `world`-th patch."""
        if world > self.batch:
            raise InvalidOption(f"{world} processes share {self.batch} patches. Give batch={world} or more.")
        while True:
            yield Window.together(
                [self._patch(np.random.default_rng((self.seed, step, i))) for i in range(rank, self.batch, world)]
            )
            step += 1

    def _patch(self, rng: np.random.Generator) -> Window:
        example = self.examples[int(rng.integers(len(self.examples)))]
        box = self._place(example, rng)
        maps, reference = (
            part[box].astype(np.float32) / np.float32(255.0) for part in (example.maps, example.reference)
        )
        if rng.random() < WITHOUT_KEY:
            maps, reference = without_key(maps[..., :3])
        target = example.target[box].astype(np.float32) / np.float32(255.0)
        seen, wanted, shown = (
            torch.from_numpy(part).permute(2, 0, 1)[None, None] for part in (maps, target, reference)
        )
        nothing = torch.zeros(1, 1, 3, self.crop, self.crop)
        return Window(seen, wanted, shown, nothing[:, :, :2], nothing[:, :, :1])

    def _place(self, example: LineExample, rng: np.random.Generator) -> tuple[slice, slice]:
        height, width = example.target.shape[:2]

        def box() -> tuple[slice, slice]:
            top, left = (int(rng.integers(0, side - self.crop + 1)) for side in (height, width))
            return slice(top, top + self.crop), slice(left, left + self.crop)

        first, second = box(), box()
        if rng.random() >= WINDING_PATCHES:
            return first
        return min(first, second, key=lambda place: float(example.reference[place][..., 3].mean()))

"""Examples of a look from whatever the user has: paintings over frames, or clips and pictures before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.composite import resize
from vid2vid.config import RenderConfig
from vid2vid.errors import InvalidExamples
from vid2vid.io import open_source, read_image
from vid2vid.look_fitting import bundled_trunk, look_lesson
from vid2vid.looks import Aligned, Example, carried_by_search, key_examples, pair_examples
from vid2vid.motion.keyed_clip import keyed_clip
from vid2vid.motion.keyframes import KeyFrame, colour_change
from vid2vid.motion.matching import match_to_frames

if TYPE_CHECKING:
    from pathlib import Path

    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.lesson import Lesson
    from vid2vid.types import Picture

MAX_FRAMES: Final = 64
"""Frames taken from all clips together: as pictures in memory, with two key frames carried onto each."""
HELD_OUT: Final = 0.15
"""Share at the end of every clip that is measured on and never learned from."""
KEPT_KEYS: Final = 8
_REHEARSAL = (
    "Its numbers are of the key frames themselves, each shown to the net as carried from another frame: it learned "
    "from these pictures, so they tell how far it has come and not how good it is elsewhere."
)


_NEAR = (
    "Its numbers are of the last frames of each clip, with a learned frame nearby carried onto them; clips without "
    "such a frame were not measured."
)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Frames of one clip before and after."""

    numbers: list[int]
    pairs: list[tuple[Picture, Picture]]


def paired_lesson(examples: Examples, config: TrainConfig) -> Lesson:
    """Makes the lesson of `paired`.

    Raises:
        InputError, UsageError: what was given cannot be read, or shows no frame of the clip.
    """
    if examples.kind == "clips":
        raise InvalidExamples(
            "The task 'paired' learns from pictures before and after. Give folders with source and target in each, or "
            "painted key frames together with clip=."
        )
    if examples.clip is not None:
        return _from_keys(examples, examples.clip, config)
    return _from_pairs(examples, config)


def _from_keys(examples: Examples, clip: Path, config: TrainConfig) -> Lesson:
    looks = [read_image(path) for path in examples.keys or [pair.target for pair in examples.pairs]]
    shown = [read_image(pair.source) for pair in examples.pairs] or looks
    with open_source(clip) as source:
        info, opener = source.info, source.reopen
        width, height = _size(info.width, info.height, config)
        with opener() as frames:
            matches = match_to_frames(shown, frames, info.width, info.height)
        numbers = [match.frame for match in matches]
        found = keyed_clip(looks, numbers, [match.agreement for match in matches], opener, width, height)
        with opener() as frames:
            taught = key_examples(found.keys, (resize(f.pixels, width, height) for f in frames), config.seed)
    judged = [(example, _farthest(example)) for example in taught]
    return look_lesson(
        taught,
        found.colours,
        config,
        judged=judged,
        keys=found.keys,
        trunk=bundled_trunk(config.preset),
        limits=(_REHEARSAL,),
        measured="the key frames themselves",
        summary=f"A look painted on {len(looks)} frames of {clip.name}.",
    )


def _farthest(example: Example) -> Aligned | None:
    """The key frame carried onto this one that fits worst: the hardest case that examples hold."""
    there = (*example.near, *example.trips)
    return min(there, key=lambda aligned: float(aligned.validity.mean()), default=None)


def _from_pairs(examples: Examples, config: TrainConfig) -> Lesson:
    rng = np.random.default_rng((config.seed, 29))
    taught: list[Example] = []
    judged: list[tuple[Example, Aligned | None]] = []
    keys: list[KeyFrame] = []
    share = max(4, MAX_FRAMES // len(examples.pairs))
    pictures = examples.kind == "paired pictures"
    for pair in examples.pairs:
        taken = _take(pair.source, pair.target, share, config)
        held_back = 0 if pictures or len(taken.pairs) < 2 else max(1, round(HELD_OUT * len(taken.pairs)))
        kept = len(taken.pairs) - held_back
        taught += pair_examples(taken.pairs[:kept], rng)
        judged += [(_plain(pair), carried_by_search(taken.pairs[kept - 1], pair[0])) for pair in taken.pairs[kept:]]
        keys += [KeyFrame(n, *both) for n, both in zip(taken.numbers[:kept], taken.pairs[:kept], strict=True)]
    limits = [_NEAR] if judged else ["The clips are too short to hold any frame back, so nothing was measured."]
    if pictures:
        count = max(1, round(HELD_OUT * len(taught))) if len(taught) > 1 else 0
        held = {int(number) for number in rng.permutation(len(taught))[:count]}
        judged = [(taught[number], None) for number in sorted(held)]
        taught = [example for i, example in enumerate(taught) if i not in held]
        keys = [key for i, key in enumerate(keys) if i not in held]
        limits = [] if judged else ["There is one pair only, so nothing was held back to measure on."]
    spread = np.unique(np.linspace(0, len(keys) - 1, min(KEPT_KEYS, len(keys))).round().astype(int))
    bundled = [keys[int(i)] for i in spread]  # a render has these alone to tell the colours by
    return look_lesson(
        taught,
        colour_change(bundled),
        config,
        judged=judged,
        keys=bundled,
        trunk=bundled_trunk(config.preset),
        limits=limits,
        summary=f"A look learned from {len(examples.pairs)} {examples.kind}.",
    )


def _plain(pair: tuple[Picture, Picture]) -> Example:
    return Example(*pair, (), ())


def _take(source: Path, target: Path, share: int, config: TrainConfig) -> _Taken:
    """Frames spread over a clip that is read once, whatever its length; two pictures are a clip of one frame."""
    numbers: list[int] = []
    pairs: list[tuple[Picture, Picture]] = []
    step = 3
    for number, before, after in _together(source, target):
        if number % step:
            continue
        width, height = _size(before.shape[1], before.shape[0], config)
        numbers.append(number)
        pairs.append((resize(before, width, height), resize(after, width, height)))
        if len(pairs) > share:
            numbers, pairs, step = numbers[::2], pairs[::2], step * 2
    return _Taken(numbers, pairs)


def _together(source: Path, target: Path) -> Iterator[tuple[int, Picture, Picture]]:
    with open_source(source) as before, open_source(target) as after:
        for number, (one, other) in enumerate(zip(before, after, strict=False)):
            yield number, one.pixels, other.pixels


def _size(width: int, height: int, config: TrainConfig) -> tuple[int, int]:
    """As large as a render works by default, so that patches have the scale that the generator meets there."""
    short = min(width, height)
    wanted = min(short, config.size or RenderConfig().max_size)
    return max(1, round(width * wanted / short)), max(1, round(height * wanted / short))

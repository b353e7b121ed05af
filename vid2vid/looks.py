"""What a generator learns a look from: a few frames before and after, and the same frames as if carried from elsewhere.

At render time a key frame arrives at another frame along optical flow: torn where things came into view, wrong where
people moved. The examples here show the generator exactly that damage beside the truth. A key frame is carried to
another key frame (their true distance), or out along the clip and back again (any distance).

Convention:
    Pictures are `(H, W, 3)` uint8 sRGB of one size. Maps: `source` (3), the frame in the look's average colours;
    `original` (3), the frame itself; `key_source` (3), the key's own frame carried along, which shows where it fits.

Source:
    Training on the painted frames alone: Texler et al., "Interactive Video Stylization Using Few-Shot Patch-Based
    Training", 2020. Departures: an aligned key frame comes in as reference, and is often withheld, whole or in part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from vid2vid.composite import to_pictures
from vid2vid.conditions.flow import FlowEstimator, luma, trust, warp
from vid2vid.data.distortion import distort_reference
from vid2vid.errors import InvalidOption
from vid2vid.fitting import Window
from vid2vid.motion.keyframes import KEY_TRUST_DEVIATION, KeyFrame, carry, full_size
from vid2vid.types import Conditions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.conditions.flow import Field
    from vid2vid.motion.keyed_clip import KeyedClip
    from vid2vid.types import Chunk, Frame, Picture

CHANNELS: Final[Mapping[str, int]] = {"source": 3, "original": 3, "key_source": 3}
TRIPS: Final = (3, 17)
"""Least and most frames to which a key is carried out and back: as far as frames lie from their keys at render."""
TRIPS_PER_KEY: Final = 14
WITHHELD_WHOLE: Final = 0.35
WITHHELD_RECTANGLE: Final = 0.35
"""Shares of patches whose reference is missing, so that the generator learns to do without."""
WINDING_PATCHES: Final = 0.5
"""Share of patches for which, of two places, the one where the reference fits worse is taken."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """A key frame carried onto another frame."""

    look: Picture
    key_source: Picture
    validity: NDArray[np.uint8]
    """`(H, W)`, 255 where the key frame explains the frame fully."""


@dataclass(frozen=True, slots=True)
class Example:
    """One frame before and after, and key frames carried onto it."""

    source: Picture
    target: Picture
    near: tuple[Aligned, ...]
    """Carried from other key frames."""
    trips: tuple[Aligned, ...]
    """Carried from itself, there and back."""


def key_examples(keys: Sequence[KeyFrame], frames: Iterable[Frame | Picture], seed: int = 0) -> list[Example]:
    """Examples from key frames of one clip.

    Args:
        keys: with the fields that `plan_carries` gives.
        frames: the clip at the working size, read once: only those near key frames are kept.
        seed: of the choice of frames that keys are carried to.
    """
    rng = np.random.default_rng((seed, 417))
    wanted = {key.index: _destinations(key, rng) for key in keys}
    stops = {number for numbers in wanted.values() for number in numbers}
    pictures = {}
    for number, frame in enumerate(frames):
        if number in stops:
            pictures[number] = frame if isinstance(frame, np.ndarray) else frame.pixels
    examples = []
    for key in keys:
        others = [other for other in keys if other is not key and key.index in other.fields]
        near = tuple(carried(other, key.index, key.source) for other in others)
        trips = tuple(_round_trip(key, stop, pictures[stop]) for stop in wanted[key.index] if stop in pictures)
        examples.append(Example(key.source, key.look, near, trips))
    return examples


def pair_examples(pairs: Sequence[tuple[Picture, Picture]], rng: np.random.Generator) -> list[Example]:
    """Examples from frames of a clip that exists before and after: each frame is told of by two of its neighbours.

    Args:
        pairs: (source, target) pictures of one clip in order, some frames apart.
        rng: chooses the neighbours.
    """
    search = FlowEstimator("medium")
    examples = []
    for number, (source, target) in enumerate(pairs):
        offsets = [offset for offset in (-2, -1, 1, 2) if 0 <= number + offset < len(pairs)]
        chosen = rng.permutation(offsets)[:2]
        near = tuple(carried_by_search(pairs[number + int(o)], source, search) for o in chosen)
        examples.append(Example(source, target, near, ()))
    return examples


def carried(key: KeyFrame, index: int, picture: Picture) -> Aligned:
    """One key frame on another frame of its clip."""
    flow = full_size(key.fields[index], picture.shape[1], picture.shape[0])
    return _aligned(key.look, key.source, flow, picture)


def _aligned(look: Picture, key_source: Picture, flow: Field, picture: Picture) -> Aligned:
    moved = np.asarray(warp(key_source, flow), np.uint8)
    believed = trust(picture, moved, flow, KEY_TRUST_DEVIATION)
    return Aligned(np.asarray(warp(look, flow), np.uint8), moved, np.asarray(believed * 255.0 + 0.5, np.uint8))


def carried_by_search(pair: tuple[Picture, Picture], picture: Picture, search: FlowEstimator | None = None) -> Aligned:
    """A frame before and after, carried onto another by one search for their flow."""
    search = search or FlowEstimator("medium")
    return _aligned(pair[1], pair[0], search(luma(picture), luma(pair[0])), picture)


def _round_trip(key: KeyFrame, stop: int, picture: Picture) -> Aligned:
    """The key frame carried to another frame and from there back to its own."""
    out = carried(key, stop, picture)
    back = FlowEstimator("medium")(luma(key.source), luma(picture))
    home = _aligned(out.look, out.key_source, back, key.source)
    seen = np.asarray(warp(out.validity, back), np.uint8)
    return Aligned(home.look, home.key_source, np.minimum(home.validity, seen))


def _destinations(key: KeyFrame, rng: np.random.Generator) -> list[int]:
    reachable = [number for number in key.fields if TRIPS[0] <= abs(number - key.index) <= TRIPS[1]]
    return sorted(int(number) for number in rng.permutation(reachable)[:TRIPS_PER_KEY])


class LookWindows:
    """Patches of examples as windows of one frame; patch i of step s follows from (seed, s, i) alone.

    Args:
        examples: what patches are cut from.
        colours: `(3, 4)` change of colours.
        batch: patches in a window.
        crop: side of a patch; less where a picture is smaller.
        multiple_of: what the side is rounded down to a multiple of, as the generator needs it.
        seed: of the choice of patches.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        colours: NDArray[np.float32],
        *,
        batch: int,
        crop: int,
        multiple_of: int = 1,
        seed: int = 0,
    ) -> None:
        self.examples = examples
        self.colours = colours
        self.batch = batch
        crop = min(crop, *(side for example in examples for side in example.source.shape[:2]))
        self.crop = crop - crop % multiple_of
        self.seed = seed

    def start(self, step: int, rank: int = 0, world: int = 1) -> Iterator[Window]:
        """Windows from a step onwards; of several processes each takes every `world`-th patch."""
        if world > self.batch:
            raise InvalidOption(f"{world} processes share {self.batch} patches. Give batch={world} or more.")
        while True:
            patches = [self._patch(np.random.default_rng((self.seed, step, i))) for i in range(rank, self.batch, world)]
            yield _window([self._mapped(*patch) for patch in patches])
            step += 1

    def _patch(self, rng: np.random.Generator) -> tuple[Picture, Picture, Picture, NDArray[np.float32]]:
        """Source, target, the key's source and the reference `(H, W, 4)` of one patch."""
        example = self.examples[int(rng.integers(len(self.examples)))]
        kinds = [kind for kind in (example.near, example.trips) if kind]
        aligned = None
        if kinds:
            kind = kinds[int(rng.integers(len(kinds)))]
            aligned = kind[int(rng.integers(len(kind)))]
        box = self._place(example, aligned, rng)
        source, target = example.source[box], example.target[box]
        reference = np.zeros((*source.shape[:2], 4), np.float32)
        key_source = np.zeros_like(source)
        if aligned is not None and rng.random() >= WITHHELD_WHOLE:
            reference[..., :3] = aligned.look[box] / np.float32(255.0)
            reference[..., 3] = aligned.validity[box] / np.float32(255.0)
            key_source = aligned.key_source[box]
            reference = distort_reference(reference, rng)
            if rng.random() < WITHHELD_RECTANGLE / (1.0 - WITHHELD_WHOLE):
                hole = _rectangle(self.crop, rng)
                reference[hole], key_source = 0.0, key_source.copy()
                key_source[hole] = 0
        if rng.random() < 0.5:
            return source[:, ::-1], target[:, ::-1], key_source[:, ::-1], reference[:, ::-1]
        return source, target, key_source, reference

    def _place(self, example: Example, aligned: Aligned | None, rng: np.random.Generator) -> tuple[slice, slice]:
        height, width = example.source.shape[:2]

        def box() -> tuple[slice, slice]:
            top = int(rng.integers(0, height - self.crop + 1))
            left = int(rng.integers(0, width - self.crop + 1))
            return slice(top, top + self.crop), slice(left, left + self.crop)

        first, second = box(), box()
        if aligned is None or rng.random() >= WINDING_PATCHES:
            return first
        return min(first, second, key=lambda place: float(aligned.validity[place].mean()))

    def _mapped(
        self, source: Picture, target: Picture, key_source: Picture, reference: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        return look_maps(source, key_source, self.colours), target.astype(np.float32) / np.float32(255.0), reference


def look_maps(source: Picture, key_source: Picture, colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(H, W, 9)` float32: the maps named in `CHANNELS`, in their order."""
    original = source / np.float32(255.0)
    graded = np.clip(original @ colours[:, :3].T + colours[:, 3], 0.0, 1.0)
    return np.concatenate((graded, original, key_source / np.float32(255.0)), 2)


def look_conditions(chunk: Chunk, clip: KeyedClip) -> Conditions:
    """What a fitted generator looks at, for `Task.condition()`.

    Args:
        chunk: frames at the working size.
        clip: key frames followed through it; without any, the generator goes by what it has learned.
    """
    maps, references = [], []
    for t, picture in enumerate(to_pictures(chunk.frames)):
        here = carry(clip.keys, chunk.start + t, picture)
        key_source = np.asarray(here.key_source * 255.0 + 0.5, np.uint8)
        maps.append(look_maps(picture, key_source, clip.colours))
        references.append(here.reference)
    planes = torch.from_numpy(np.stack(maps)).permute(0, 3, 1, 2)
    named = {name: planes[:, 3 * place : 3 * place + 3] for place, name in enumerate(CHANNELS)}
    return Conditions(maps=named, reference=torch.from_numpy(np.stack(references)).permute(0, 3, 1, 2))


def _rectangle(side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    high, wide = (int(rng.integers(side // 8, max(side // 8 + 1, int(side * 0.7)))) for _ in range(2))
    top, left = int(rng.integers(0, side - high + 1)), int(rng.integers(0, side - wide + 1))
    return slice(top, top + high), slice(left, left + wide)


def _window(patches: Sequence[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]) -> Window:
    maps, target, reference = (
        torch.from_numpy(np.stack([patch[part] for patch in patches])).permute(0, 3, 1, 2)[:, None].contiguous()
        for part in range(3)
    )
    nothing = torch.zeros(len(patches), 1, 3, *maps.shape[-2:])
    return Window(maps, target, reference, nothing[:, :, :2], nothing[:, :, :1])

"""The general way to teach a task: windows of its examples, maps by its own `condition()`, closed loop.

Nothing here knows what the task does. A task that learns from targets alone says by `simulate()` what their source may
have looked like; the same `condition()` that serves rendering then derives what the generator looks at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from vid2vid.backbones import make_generator
from vid2vid.backbones.compact import CompactBackbone
from vid2vid.backbones.weights import start_from
from vid2vid.composite import resize, shrunk
from vid2vid.conditions.motion import MotionTracker
from vid2vid.config import RenderConfig
from vid2vid.data.distortion import distort_reference
from vid2vid.data.windows import ClipWindows
from vid2vid.episodes import EpisodeWindows
from vid2vid.errors import InvalidExamples
from vid2vid.fitting import FitConfig, Score, Window
from vid2vid.io import open_source, read_image
from vid2vid.io.containers import IMAGE_SUFFIXES
from vid2vid.judging import Comparison
from vid2vid.lesson import Lesson
from vid2vid.options import parse_options
from vid2vid.types import Chunk, Conditions, Motion, Request, VideoInfo

if TYPE_CHECKING:
    from pathlib import Path

    from vid2vid.backbones.generator import CompactGenerator
    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.task import Task
    from vid2vid.types import Picture

LENGTH: Final = 2
"""Frames of a window."""
EPISODE: Final = 3
"""Windows in which a slot continues one passage; longer ones fill the batch with near copies."""
SLOTS: Final = 4
CROP: Final = 96
HELD_OUT: Final = 0.15
"""Share at the end of every clip that is measured on and never learned from."""
JUDGED_CLIPS: Final = 4
JUDGED_FRAMES: Final = 4
JUDGED_SIDE: Final = 256
DEFAULT_MINUTES: Final = 10.0


class Footage:
    """Frames of one example: a clip, a folder of frames, or a photograph; as large as another where one is given."""

    def __init__(self, path: Path, short_side: int, like: Footage | None = None) -> None:
        self.path = path
        self._clip = None
        if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
            files = sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else [path]
            self._still = np.stack([shrunk(read_image(file), short_side) for file in files])
            self.count = len(self._still)
            self.height, self.width = self._still.shape[1:3]
        else:
            with open_source(path) as opened:
                own = min(opened.info.width, opened.info.height)
            self._clip = ClipWindows(path, short_side=min(short_side, own))
            self.count, self.height, self.width = len(self._clip), self._clip.height, self._clip.width
        if like is not None:
            self.height, self.width = like.height, like.width

    def read(self, start: int, length: int) -> Picture:
        """`(T, H, W, 3)` uint8."""
        frames = self._still[start : start + length] if self._clip is None else self._clip.read(start, length)
        if frames.shape[1:3] != (self.height, self.width):
            frames = np.stack([resize(frame, self.width, self.height) for frame in frames])
        return np.asarray(frames, np.uint8)

    @cached_property
    def taught(self) -> int:
        """Frames that are learned from; those after them are measured on. A photograph is learned from."""
        return self.count if self.count < 4 * LENGTH else self.count - max(LENGTH, round(HELD_OUT * self.count))


@dataclass(frozen=True, slots=True)
class Passage:
    """Where windows of one episode are cut from."""

    target: Footage
    source: Footage | None
    """None where the task makes up its own sources."""
    first: int
    length: int
    box: tuple[slice, slice]
    seed: int


class TaskWindows(EpisodeWindows):
    """Windows of a task's examples."""

    def __init__(
        self,
        task: Task[Any],
        footage: Sequence[tuple[Footage, Footage | None]],
        *,
        slots: int,
        crop: int,
        seed: int = 0,
    ) -> None:
        super().__init__(slots=slots, windows=EPISODE, seed=seed)
        self.task, self.footage = task, footage
        crop = min(crop, *(side for target, _ in footage for side in (target.height, target.width)))
        self.crop = crop - crop % task.backbone.multiple_of
        if self.crop == 0:
            raise InvalidExamples(
                f"The task '{task.name}' needs pictures of at least {task.backbone.multiple_of} pixels on either side; "
                f"the smallest example has {crop}. Leave it out."
            )

    def elsewhere(self) -> Iterator[Window]:
        """In a new process, not a forked one: a task may hold what a fork would break."""
        if type(self.task).__module__ == "__main__":  # typed into a shell: another process could not import it
            return iter(self)
        loader = DataLoader(self, batch_size=None, num_workers=1, prefetch_factor=6, multiprocessing_context="spawn")
        with _without_main():
            return iter(loader)

    def __iter__(self) -> Iterator[Window]:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        return super().__iter__()

    def episode(self, rng: np.random.Generator) -> Iterator[Window]:
        """The windows of a passage that is drawn by chance."""
        return windows_of(self.task, self._passage(rng))

    def _passage(self, rng: np.random.Generator) -> Passage:
        weights = np.sqrt([target.taught for target, _ in self.footage])
        target, source = self.footage[int(rng.choice(len(self.footage), p=weights / weights.sum()))]
        length = min(EPISODE * LENGTH, target.taught)
        top, left = (int(rng.integers(0, side - self.crop + 1)) for side in (target.height, target.width))
        box = (slice(top, top + self.crop), slice(left, left + self.crop))
        first = int(rng.integers(0, target.taught - length + 1))
        return Passage(target, source, first, length, box, int(rng.integers(2**31)))


@contextmanager
def _without_main() -> Iterator[None]:
    """A spawned worker would run the caller's script once more, and it needs nothing of it."""
    main = sys.modules["__main__"]
    file, spec = main.__dict__.pop("__file__", None), main.__spec__
    main.__spec__ = None
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file


def windows_of(task: Task[Any], passage: Passage) -> Iterator[Window]:
    """The windows of one passage, `EPISODE` of them; a shorter one stands still at its end."""
    targets = _filled(passage.target.read(passage.first, passage.length)[:, *passage.box])
    if passage.source is None:
        sources = np.stack([task.simulate(frame, passage.seed, t) for t, frame in enumerate(targets)])
    else:
        sources = _filled(passage.source.read(passage.first, passage.length)[:, *passage.box])
    if passage.seed % 2:  # mirrored: what is left and right in a picture seldom matters to a task
        targets, sources = (np.ascontiguousarray(frames[:, :, ::-1]) for frames in (targets, sources))
    rng = np.random.default_rng(passage.seed)
    conditions = conditions_of(task, sources, targets, passage, rng)
    motion = conditions.motion
    assert motion is not None
    maps = torch.cat([conditions.maps[name] for name in task.channels], 1)
    reference = conditions.reference
    if reference is None:
        reference = maps.new_zeros(len(maps), 4, *maps.shape[-2:])
    target = torch.from_numpy(targets).permute(0, 3, 1, 2).float() / 255.0
    return Window(*(each[None] for each in (maps, target, reference, motion.flow, motion.weight))).cut(LENGTH)


def conditions_of(
    task: Task[Any], sources: Picture, targets: Picture, passage: Passage, rng: np.random.Generator
) -> Conditions:
    """What a task's own `condition()` derives from the frames of a passage, each `(T, H, W, 3)` uint8."""
    count, height, width = sources.shape[:3]
    other = passage.target.read(int(rng.integers(passage.target.taught)), 1)[0][passage.box]
    request = Request(
        info=VideoInfo(width, height, Fraction(25), count, "array"),
        width=width,
        height=height,
        options=parse_options(task, {}),
        references=(other,) if "reference" in task.needs else (),
        consent="licensed" if "consent" in task.needs else None,
        seed=passage.seed,
    )
    chunk = Chunk(torch.from_numpy(sources).permute(0, 3, 1, 2).float() / 255.0, 0)
    made = task.condition(chunk, task.setup(request, torch.device("cpu")))
    reference = made.reference
    if reference is not None:
        distorted = [distort_reference(np.ascontiguousarray(one.permute(1, 2, 0).numpy()), rng) for one in reference]
        reference = torch.from_numpy(np.stack(distorted)).permute(0, 3, 1, 2)
    motion: Motion = made.motion or MotionTracker()(list(sources), frozenset())
    return Conditions(maps=made.maps, reference=reference, motion=motion)


def _filled(frames: Picture) -> Picture:
    missing = EPISODE * LENGTH - len(frames)
    return np.ascontiguousarray(np.concatenate((frames, np.repeat(frames[-1:], max(0, missing), 0))))


def general_lesson(task: Task[Any], examples: Examples, config: TrainConfig, weights: Path | None) -> Lesson:
    """Puts together what one fit of a task takes.

    Args:
        task: any.
        examples: pairs, or clips of the target where the task makes up its own sources.
        config: budget and seed; the preset does not matter, the shape is the task's own.
        weights: the task's bundled ones, which are the start unless `config.start` says otherwise.

    Raises:
        InvalidExamples: key frames were given, which only `paired` learns from.
    """
    if examples.kind == "key frames":
        raise InvalidExamples(
            f"The task '{task.name}' learns from clips, not from key frames. Use task='paired', or give the key "
            "frames to translate() as reference=."
        )
    short = config.size or RenderConfig().max_size // 2
    targets = [Footage(pair.target, short) for pair in examples.pairs]
    pairs = [
        (target, Footage(pair.source, short, like=target)) for target, pair in zip(targets, examples.pairs, strict=True)
    ]
    footage: list[tuple[Footage, Footage | None]] = [*pairs, *((Footage(path, short), None) for path in examples.clips)]
    torch.manual_seed(config.seed)
    net = make_generator(task.backbone, task.channels)
    start = start_from(net, config.start, weights, f"the generator of '{task.name}'")
    slots, crop = config.batch or SLOTS, config.crop or CROP
    windows = TaskWindows(task, footage, slots=slots, crop=crop, seed=config.seed)
    own = FitConfig(
        minutes=DEFAULT_MINUTES,
        warmup_steps=50,
        recurrent=task.backbone.recurrent,
        textured=task.backbone.textured,
        losses=task.loss_weights(),
    )
    judged = [both for both in footage if both[0].taught < both[0].count]
    judge = TaskJudge(task, judged, config.seed) if judged else None
    return Lesson(
        net,
        task.backbone,
        task.channels,
        windows,
        own.asked(config),
        judge,
        start=start,
        summary=f"The task `{task.name}`, taught on {len(footage)} {examples.kind}.",
        limits=() if judge else ("Its examples are too short to hold any back, so nothing was measured.",),
    )


class TaskJudge:
    """Measures a net on the last frames of every clip, run in closed loop as at render time."""

    def __init__(self, task: Task[Any], footage: Sequence[tuple[Footage, Footage | None]], seed: int) -> None:
        self._task = task
        chosen = np.unique(np.linspace(0, len(footage) - 1, min(JUDGED_CLIPS, len(footage))).round().astype(int))
        self._passages = [_middle(*footage[int(number)], seed + int(number)) for number in chosen]
        self._compare = Comparison()

    def __call__(self, net: CompactGenerator) -> Score:
        """ST-LPIPS and PSNR of the last frame of every passage, and a sheet of source, output and truth."""
        rows = [[_picture(frame) for frame in self._last(net, passage)] for passage in self._passages]
        return self._compare([(source, made, target) for source, made, target in rows], net.stem_maps.weight.device)

    def _last(self, net: CompactGenerator, passage: Passage) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Source, output and target of the last frame, each `(1, 3, H, W)`."""
        targets = passage.target.read(passage.first, passage.length)[:, *passage.box]
        if passage.source is None:
            sources = np.stack([self._task.simulate(frame, passage.seed, t) for t, frame in enumerate(targets)])
        else:
            sources = passage.source.read(passage.first, passage.length)[:, *passage.box]
        conditions = conditions_of(self._task, sources, targets, passage, np.random.default_rng(passage.seed))
        backbone = CompactBackbone(net, tuple(self._task.channels), self._task.backbone)
        frames = torch.from_numpy(np.ascontiguousarray(sources)).permute(0, 3, 1, 2).float() / 255.0
        made, _ = backbone.step(Chunk(frames, 0), conditions, backbone.start(_request_of(passage)))
        wanted = torch.from_numpy(np.ascontiguousarray(targets[-1:])).permute(0, 3, 1, 2).float() / 255.0
        return frames[-1:], made[-1:], wanted


def _request_of(passage: Passage) -> Request:
    info = VideoInfo(passage.target.width, passage.target.height, Fraction(25), passage.length, "array")
    return Request(info=info, width=info.width, height=info.height, options=None, seed=passage.seed)


def _middle(target: Footage, source: Footage | None, seed: int) -> Passage:
    rows, columns = (min(JUDGED_SIDE, side // 32 * 32 or side) for side in (target.height, target.width))
    top, left = (target.height - rows) // 2, (target.width - columns) // 2
    length = min(JUDGED_FRAMES, target.count - target.taught)
    return Passage(target, source, target.taught, length, (slice(top, top + rows), slice(left, left + columns)), seed)


def _picture(frame: torch.Tensor) -> Picture:
    return np.asarray((frame[0].clamp(0, 1).permute(1, 2, 0) * 255.0).round().byte().cpu().numpy(), np.uint8)

"""Diffuse few, propagate all: a few frames go through a pretrained model, and their look is carried to all others.

    clip ──> the task by itself ──> guide ──> key frames by coverage ──> diffused together
                                      │                                        │
                                      └──> flow from every key <── looks <─────┘
                                                   │
                                      fit of a small generator, then all frames

The *guide* is the clip as the task makes it without the model: what a cartoon looks like undrawn, an actor's puppet in
the scene, a face moved into place. The model works over key frames of the guide, so that it serves every task.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import torch
import torch.nn.functional as F

from vid2vid.backbones.diffusion.key_options import KeyFramesOptions
from vid2vid.composite import blend, resize, to_pictures, to_tensor
from vid2vid.config import RenderConfig
from vid2vid.errors import NonFiniteOutput, UsageError
from vid2vid.io import VideoWriter, open_source
from vid2vid.lesson import FittedGenerator
from vid2vid.look_fitting import PRESETS, fit_look
from vid2vid.looks import CHANNELS, look_conditions
from vid2vid.motion.coverage import choose_keys
from vid2vid.motion.keyed_clip import keyed_clip
from vid2vid.pipeline import Pipeline
from vid2vid.staging import changed
from vid2vid.task import Task
from vid2vid.types import Chunk, Conditions

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.backbones.diffusion.joint import Diffused
    from vid2vid.config import BackboneConfig, NumberFormat
    from vid2vid.motion.coverage import Coverage
    from vid2vid.motion.keyed_clip import KeyedClip
    from vid2vid.pretrained import Pretrained
    from vid2vid.types import Event, Frame, Ground, Picture, Request, SourceOpener

_LOG = logging.getLogger(__name__)
MASK_SHRINK: Final = 2
"""Masks are kept at half of the working size: their edges are soft."""
GUIDE_QUALITY: Final = 4
"""Of the guide's intermediate film, on x264's scale: no difference is left that the eye or optical flow would see."""
LOCAL_SHARE: Final = 0.8
"""Share of the frame that the task may change at most, for the rest to be kept as it came in."""
READ_ONCE: Final = (
    "backbone='keyframes:...' looks through the clip first: give a file, a folder or an array instead of frames that "
    "pass by once."
)


@dataclass(frozen=True, slots=True)
class Own:
    """How the task makes the guide: its own generator, or a bundle's."""

    task: Task[Any]
    backbone: BackboneConfig
    channels: Mapping[str, int]
    weights: Path | None
    prompt: str = ""
    """What the task says of the wanted picture where the call says nothing."""


@dataclass(slots=True, eq=False)
class Guide:
    """The clip as the task makes it by itself, on disk."""

    folder: tempfile.TemporaryDirectory[str]
    path: Path
    setup: Any
    """The task's own, after the last frame."""
    mask_size: tuple[int, int]
    """Columns and rows of a mask."""
    events: tuple[Event, ...] = ()
    times_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def masks_path(self) -> Path:
        """Where masks are, one after the other, a byte a pixel."""
        return self.path.with_suffix(".masks")

    def masks(self, numbers: Sequence[int]) -> Tensor:
        """`(T, 1, h, w)` in [0, 1]: where the task has changed these frames, measured before the film was encoded."""
        columns, rows = self.mask_size
        with self.masks_path.open("rb") as file:
            found = []
            for number in numbers:
                file.seek(number * columns * rows)
                found.append(np.frombuffer(file.read(columns * rows), np.uint8).reshape(1, rows, columns))
        return torch.from_numpy(np.stack(found)).float() / 255.0

    def open(self) -> AbstractContextManager[Iterator[Frame]]:
        """Opens it anew from its first frame."""
        return _opened(self.path)


@dataclass(slots=True, eq=False)
class Setup:
    """What lives for one render."""

    guide: Guide
    coverage: Coverage
    diffused: Diffused
    keyed: KeyedClip
    local: bool
    """Whether only the places that the task has changed are taken from the generator."""
    facts: Mapping[str, Any]
    """What the report says of the model."""
    seen: _Reader
    """The guide's frames, read along with the clip's."""
    pending: list[Event] = field(default_factory=list)


class KeyFramed(Task[Setup]):
    """A task whose key frames go through a pretrained model.

    Args:
        own: the task, and how it makes the guide.
        model: `keyframes:<hub id or folder>[@revision]`.
        options: how the model is to run.
        dtype: number format of the model and the guide's generator; None chooses by device.
    """

    name: ClassVar[str] = "key_framed"
    channels: ClassVar[Mapping[str, int]] = CHANNELS
    keeps_detail: ClassVar[bool] = False

    def __init__(self, own: Own, model: str, options: KeyFramesOptions, dtype: NumberFormat | None = None) -> None:
        self.own, self.model, self.options, self.dtype = own, model, options, dtype
        self.name = own.task.name  # type: ignore[misc]  # errors speak of the task that the caller named

    def setup(self, request: Request, device: torch.device) -> Setup:
        """Makes the guide, chooses key frames, diffuses them and follows them through the clip.

        Raises:
            UsageError: a clip that can be read only once.
            ModelError, InvalidOption: the model, or an option, cannot be used.
        """
        if request.open_source is None:
            raise UsageError(READ_ONCE)
        guide = self._guide(request, device)
        with guide.open() as frames:
            coverage = choose_keys(frames, self.options.most_keys)
        _LOG.info("Diffusing the frames %s, which show %.0f %%", coverage.frames, 100.0 * coverage.covered)
        pictures = _taken(guide.open, coverage.frames)
        small = to_tensor([resize(picture, request.width, request.height) for picture in pictures])
        changed_there = guide.masks(coverage.frames)
        local = float(changed_there.mean()) < LOCAL_SHARE
        fine = F.interpolate(changed_there, small.shape[-2:], mode="bilinear", align_corners=False)
        mask = fine if local else None
        diffused, facts = self._diffused(request, small, mask, device)
        looks = diffused.pictures if mask is None else torch.lerp(small, diffused.pictures, mask)
        numbers = coverage.frames
        keyed = keyed_clip(to_pictures(looks), numbers, [1.0] * len(numbers), guide.open, request.width, request.height)
        return Setup(guide, coverage, diffused, keyed, local, facts, _Reader(guide.open), list(guide.events))

    def generator(self, request: Request, setup: Setup, device: torch.device) -> FittedGenerator:
        """The look of the key frames, fitted; with `fit_minutes=0` one that shows them as carried."""
        minutes, preset = self.options.fit_minutes, self.options.fit_preset
        if minutes > 0.0:
            return fit_look(setup.keyed, replace(request, open_source=setup.guide.open), minutes, preset, device)
        from vid2vid.backbones import make_generator

        net = make_generator(PRESETS[preset].backbone, CHANNELS)
        net.silence()
        return FittedGenerator(net, PRESETS[preset].backbone, CHANNELS)

    def condition(self, chunk: Chunk, setup: Setup) -> Conditions:
        """The guide's frames, and key frames carried onto them."""
        height, width = chunk.frames.shape[-2:]
        pictures = [resize(picture, width, height) for picture in setup.seen.read(chunk.start, chunk.length)]
        made = look_conditions(Chunk(to_tensor(pictures), chunk.start, chunk.cuts), setup.keyed)
        end, times_s = chunk.start + chunk.length, setup.guide.times_s
        until = times_s[end] if end < len(times_s) else float("inf")
        heard = tuple(event for event in setup.pending if event.time_s < until)
        setup.pending = setup.pending[len(heard) :]
        return replace(made, events=heard)

    def composite(self, source: Chunk, generated: Tensor, conditions: Conditions, setup: Setup) -> Tensor:
        """The generated frame; where the task changed only a part, that part in the frame that came in."""
        if not setup.local:
            return generated
        mask = setup.guide.masks(range(source.start, source.start + source.length))
        return blend(source.frames, generated, mask)

    def ground(self, setup: Setup) -> Ground:
        """As the task tells."""
        return self.own.task.ground(setup.guide.setup)

    def report(self, setup: Setup) -> Mapping[str, Any]:
        """The task's own, of the guide, and what was diffused."""
        count, total = len(setup.coverage.frames), len(setup.guide.times_s)
        said = f"{count} of {total} frames went through {self.model}, the others follow them"
        keyed = {
            **setup.facts,
            "frames": list(setup.coverage.frames),
            "covered": round(setup.coverage.covered, 4),
            "shots": setup.coverage.shots,
            "shots_without": setup.coverage.missed_shots,
            "agreement": setup.diffused.way,
            "evaluations": setup.diffused.evaluations,
            "guide_seconds": round(setup.guide.seconds, 3),
            "fit_minutes": self.options.fit_minutes,
            "part_of_the_frame": setup.local,
        }
        return {**self.own.task.report(setup.guide.setup), "summary": said, "diffused": keyed}

    def _guide(self, request: Request, device: torch.device) -> Guide:
        """Renders the clip as the task makes it by itself."""
        from vid2vid.backbones import build

        began, own, task = time.perf_counter(), self.own, self.own.task
        bare = replace(request, options=task.bare(request.options), strength=1.0)
        setup = task.setup(bare, device)
        fitted = task.generator(bare, setup, device)
        config, channels = (fitted.backbone, fitted.channels) if fitted else (own.backbone, own.channels)
        net, weights = (fitted.net, None) if fitted else (None, own.weights)
        backbone = build(config, channels, weights=weights, net=net, device=device, dtype=self.dtype)
        folder, info = tempfile.TemporaryDirectory(prefix="vid2vid-guide-"), request.info
        mask_size = (max(1, request.width // MASK_SHRINK), max(1, request.height // MASK_SHRINK))
        guide = Guide(folder, Path(folder.name) / "guide.mkv", setup, mask_size)
        film = VideoWriter(guide.path, width=info.width, height=info.height, fps=info.fps, quality=GUIDE_QUALITY)
        with film as writer, guide.masks_path.open("wb") as masks:

            def write(picture: Picture, frame: Frame) -> None:
                # Its own even times: those of the source matter only in the end.
                writer.write(picture, Fraction(len(guide.times_s)) / info.fps)
                guide.times_s.append(float(frame.time_s))
                masks.write(np.asarray(changed(picture, frame.pixels, *mask_size) * 255.0, np.uint8).tobytes())

            config_ = RenderConfig(seed=request.seed, progress=False)
            pipeline = Pipeline(task, setup, backbone, bare, config_, write, lambda count: None)
            assert request.open_source is not None  # checked by the caller
            with request.open_source() as frames:
                pipeline.run(frames)
        guide.events = tuple(sorted(pipeline.events, key=lambda event: event.time_s))
        guide.seconds = time.perf_counter() - began
        return guide

    def _diffused(
        self, request: Request, pictures: Tensor, mask: Tensor | None, device: torch.device
    ) -> tuple[Diffused, Mapping[str, Any]]:
        """Key frames `(K, 3, H, W)` through the model, which is let go afterwards."""
        from vid2vid.backbones import default_dtype

        dtype = self.dtype or default_dtype(device)
        try:
            return self._through(request, pictures, mask, device, dtype)
        except NonFiniteOutput:
            if dtype == "float32":
                raise
            _LOG.warning("Key frames are diffused in float32: %s gave values that are not finite.", dtype)
        return self._through(request, pictures, mask, device, "float32")

    def _through(
        self, request: Request, pictures: Tensor, mask: Tensor | None, device: torch.device, dtype: NumberFormat
    ) -> tuple[Diffused, Mapping[str, Any]]:
        """See `_diffused`: in these numbers."""
        from vid2vid.backbones.diffusion.gathering import gather
        from vid2vid.backbones.diffusion.joint import diffuse_together
        from vid2vid.backbones.diffusion.loading import load_model

        height, width = pictures.shape[-2:]
        model = load_model(
            self.model, self.options, device=device, dtype=dtype, prompt=self.own.prompt, size=(height, width)
        )
        given = Conditions(maps={"source": pictures}, mask=mask)
        brief = gather(Chunk(pictures, 0), given, 0, len(pictures), model.wanted).brief(model, request)
        began = time.perf_counter()
        made = diffuse_together(model, brief, self.options.agree)
        took = round(time.perf_counter() - began, 3)
        facts = {**model.facts(), "dtype": dtype, "steps": brief.steps, "seconds": took}
        del model
        if device.type == "cuda":
            torch.cuda.empty_cache()
        return replace(made, pictures=made.pictures[..., :height, :width]), facts


def key_framed(own: Own, pretrained: Pretrained, dtype: NumberFormat | None) -> KeyFramed:
    """A task that goes over key frames alone with the model that a call names."""
    options = pretrained.options
    assert isinstance(options, KeyFramesOptions)  # read so for this scheme
    return KeyFramed(own, pretrained.backbone, options, dtype)


class _Reader:
    """Frames of a clip that is read once, in order, in pieces; what lies before a piece is passed over."""

    def __init__(self, opener: SourceOpener) -> None:
        self._opener, self._stack = opener, ExitStack()
        self._frames: Iterator[Frame] | None = None

    def read(self, start: int, count: int) -> list[Picture]:
        """Pictures from number `start` on, no earlier than where the last piece ended."""
        if self._frames is None:
            self._frames = iter(self._stack.enter_context(self._opener()))
        found: list[Picture] = []
        while len(found) < count:
            frame = next(self._frames)
            if frame.index >= start:
                found.append(frame.pixels)
        return found


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[Frame]]:
    with open_source(path) as source:
        yield iter(source)


def _taken(opener: SourceOpener, numbers: Sequence[int]) -> list[Picture]:
    """The frames of these ascending numbers."""
    found: list[Picture] = []
    with opener() as frames:
        for frame in frames:
            if frame.index in numbers:
                found.append(frame.pixels)
            if len(found) == len(numbers):
                break
    return found

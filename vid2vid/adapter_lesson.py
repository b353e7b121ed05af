"""What a pretrained diffusion model learns a task from: whole windows of examples, briefed as at render time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from vid2vid.backbones.diffusion.gathering import Gathered, gather
from vid2vid.backbones.diffusion.objectives import objective_of
from vid2vid.config import RenderConfig
from vid2vid.description import Adapter
from vid2vid.errors import InvalidExamples
from vid2vid.general_lesson import Footage, Passage, conditions_of
from vid2vid.options import parse_options
from vid2vid.task import Task
from vid2vid.types import Chunk, Conditions, Request, VideoInfo

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.loading import Model
    from vid2vid.config import NumberFormat, TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.types import Picture

HELD_OUT: Final = 4
"""Windows that are measured on."""
LEVELS: Final = 4
"""Noise levels at which each is measured, always the same: the loss of a single one says next to nothing."""
_HELD_KEY: Final = 1_000_003


def load_to_teach(task: Task[Any], config: TrainConfig) -> Model:
    """Loads the model that `config.backbone` names, whole and where it is to be taught.

    Raises:
        ModelError, InvalidOption: see `load_model`.
    """
    from vid2vid.backbones import choose_device, default_dtype
    from vid2vid.backbones.diffusion.loading import load_model
    from vid2vid.backbones.diffusion.options import DiffusionOptions

    assert config.backbone is not None
    device = choose_device(config.device)
    asked: dict[str | None, NumberFormat] = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
    numbers: NumberFormat = "float32" if device.type == "cpu" else default_dtype(device)
    options = DiffusionOptions(window=config.window, offload="none")
    return load_model(
        config.backbone,
        options,
        device=device,
        dtype=asked.get(config.precision, numbers),
        prompt=getattr(task, "prompt", ""),
        controls=getattr(task, "controls", {}),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """One window to learn from."""

    brief: Brief
    target: Tensor
    """`(T, 3, H, W)` in [0, 1]."""


class AdapterLesson:
    """Windows of examples for a pretrained model; number n follows from (seed, n) alone.

    Args:
        task: whose conditions the model is shown.
        examples: pairs, or clips of the target where the task makes up its own sources.
        model: loaded.
        config: size, crop and seed; `prompt` goes before the task's own.

    Raises:
        InvalidExamples: key frames were given, or pictures are too small.
        InvalidOption: the model's family cannot be taught.
    """

    def __init__(self, task: Task[Any], examples: Examples, model: Model, config: TrainConfig) -> None:
        if examples.kind == "key frames":
            raise InvalidExamples(
                "A diffusion model learns from clips, not from key frames. Give folders with source and target in each."
            )
        self.task, self.model, self.seed, self.prompt = task, model, config.seed, config.prompt
        self.objective = objective_of(model)
        short = config.size or min(RenderConfig().max_size, model.family.recommended.height)
        targets = [Footage(pair.target, short) for pair in examples.pairs]
        sources = [Footage(pair.source, short, like=t) for t, pair in zip(targets, examples.pairs, strict=True)]
        self.footage: list[tuple[Footage, Footage | None]] = [
            *zip(targets, sources, strict=True),
            *((Footage(path, short), None) for path in examples.clips),
        ]
        self._crop, self._multiple = config.crop, model.family.multiple_of
        _check_sizes(self.footage, self._multiple)

    def study(self, number: int) -> Study:
        """The window of this number, from the part of the examples that is learned from."""
        rng = np.random.default_rng((self.seed % 2**63, number))
        weights = np.sqrt([target.taught for target, _ in self.footage])
        target, source = self.footage[int(rng.choice(len(self.footage), p=weights / weights.sum()))]
        length = min(self.model.window, target.taught)
        first = int(rng.integers(0, target.taught - length + 1))
        return self._study(target, source, first, length, rng)

    def held_out(self) -> list[Study]:
        """Windows of the ends of clips, which nothing is learned from."""
        ends = [pair for pair in self.footage if pair[0].taught < pair[0].count]
        chosen = np.unique(np.linspace(0, len(ends) - 1, min(HELD_OUT, len(ends))).round().astype(int)) if ends else ()
        studies = []
        for number in chosen:
            target, source = ends[int(number)]
            length = min(self.model.window, target.count - target.taught)
            rng = np.random.default_rng((self.seed % 2**63, _HELD_KEY, int(number)))
            studies.append(self._study(target, source, target.taught, length, rng))
        return studies

    def loss(self, study: Study, *key: int) -> Tensor:
        """The model's loss on one window; noise follows from the key."""
        return self.objective.loss(study.brief, study.target, *key)

    @torch.no_grad()
    def measured(self, studies: Sequence[Study]) -> float:
        """Mean loss over windows at the same noise levels every time."""
        losses = [self.loss(study, _HELD_KEY, n, k) for n, study in enumerate(studies) for k in range(LEVELS)]
        return float(torch.stack(losses).double().mean())

    def base(self, rank: int) -> Adapter:
        """What the adapters are added to, for their bundle."""
        from vid2vid.backbones.diffusion.location import fingerprint

        model = self.model
        # A folder of the hub's cache is named after the commit that was fetched.
        commit = model.folder.name if model.location.folder is None else None
        return Adapter(
            base=model.location.name,
            revision=commit,
            fingerprint=fingerprint(model.folder, model.index),
            family=model.family.name,
            pipeline=model.index.pipeline,
            rank=rank,
            window=model.window,
            control=model.wanted.control,
            prompt=model.prompt if self.prompt is None else self.prompt,
        )

    def _study(
        self, target: Footage, source: Footage | None, first: int, length: int, rng: np.random.Generator
    ) -> Study:
        passage = Passage(target, source, first, length, self._box(target, rng), int(rng.integers(2**31)))
        targets = passage.target.read(first, length)[:, *passage.box]
        if source is None:
            sources = np.stack([self.task.simulate(frame, passage.seed, t) for t, frame in enumerate(targets)])
        else:
            sources = source.read(first, length)[:, *passage.box]
        sources = np.ascontiguousarray(sources)
        chunk = Chunk(_frames(sources), first)
        gathered = gather(chunk, self._conditions(sources, targets, passage, rng), 0, length, self.model.wanted)
        whole = self.model.family.grid.fit(length)
        brief = gathered.padded(whole).brief(self.model, self._request(passage))
        wanted = Gathered(first, {"video": torch.from_numpy(np.ascontiguousarray(targets)).permute(0, 3, 1, 2)})
        return Study(brief, wanted.padded(whole).pictures["video"].float() / 255.0)

    def _conditions(self, sources: Picture, targets: Picture, passage: Passage, rng: np.random.Generator) -> Conditions:
        """The task's own, where it can derive them from a few frames; else the frames alone."""
        kind = type(self.task)
        if kind.lesson is not Task.lesson or kind.canvas is not Task.canvas:
            return Conditions(maps={"source": _frames(sources)})
        return conditions_of(self.task, sources, targets, passage, rng)

    def _box(self, footage: Footage, rng: np.random.Generator) -> tuple[slice, slice]:
        """The whole picture, or a square of it, in multiples that the model takes."""
        box = []
        for side in (footage.height, footage.width):
            kept = min(side, self._crop or side) // self._multiple * self._multiple
            begin = int(rng.integers(0, side - kept + 1))
            box.append(slice(begin, begin + kept))
        return box[0], box[1]

    def _request(self, passage: Passage) -> Request:
        rows, columns = (place.stop - place.start for place in passage.box)
        info = VideoInfo(columns, rows, Fraction(25), passage.length, "array")
        options = parse_options(self.task, {})
        return Request(info, columns, rows, options, prompt=self.prompt, seed=passage.seed)


def _frames(pictures: Picture) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255.0


def _check_sizes(footage: Sequence[tuple[Footage, Footage | None]], multiple: int) -> None:
    for target, _ in footage:
        if min(target.height, target.width) < multiple:
            raise InvalidExamples(
                f"'{target.path}' is {target.width}x{target.height}; this model needs at least {multiple} pixels on "
                "either side. Leave it out."
            )

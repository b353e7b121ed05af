"""Settings of a render, checked where they are made. Importing this module loads no model library."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

from vid2vid.errors import InvalidOption

DeviceName = str
NumberFormat = Literal["float32", "bfloat16", "float16"]
NUMBER_FORMATS: tuple[NumberFormat, ...] = ("float32", "bfloat16", "float16")
ENGINES = ("torch", "openvino")
PresetName = Literal["fast", "default", "fine"]
PRESETS: tuple[PresetName, ...] = ("fast", "default", "fine")


MAX_SEED = 2**32 - 1
"""What every source of chance takes."""


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidOption(message)


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """Which generator a task uses and how it is shaped; `backbones.build()` makes it."""

    name: str = "compact"
    """Family of the generator."""
    width: int = 32
    """Channels at a quarter of the frame's size; levels below have 2, 4 and 8 times as many."""
    blocks: tuple[int, ...] = (1, 1, 1, 2)
    """Residual blocks at each level, from a quarter of the size downwards."""
    reduction: int = 4
    """Side of the pixel block that the stem folds into channels: 4, 2 or 1."""
    recurrent: bool = True
    """Whether the last output, moved along the source's flow, comes in."""
    textured: bool = True
    """Whether noise that moves with the scene comes in, to make texture of."""
    weights: str | None = None
    """File name of the bundled weights, relative to the package that owns the task; None starts untrained."""

    def __post_init__(self) -> None:
        _require(self.width % 8 == 0 and self.width > 0, f"width={self.width}: a positive multiple of 8 is needed.")
        _require(
            len(self.blocks) >= 2 and min(self.blocks) >= 1, f"blocks={self.blocks}: two or more counts, each >= 1."
        )
        _require(self.reduction in (1, 2, 4), f"reduction={self.reduction}: 1, 2 or 4 is needed.")

    @property
    def multiple_of(self) -> int:
        """Pixels that a frame's sides must be multiples of; the pipeline pads."""
        return self.reduction * int(2 ** (len(self.blocks) - 1))


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How `train()` runs, apart from what the task decides."""

    preset: PresetName = "default"
    """`fast` renders quickest, `fine` sees single pixels and learns and renders slowest."""
    minutes: float | None = None
    """Time to train, checks and last save included; where steps are not given either, 4 for looks and 10 for others."""
    steps: int | None = None
    """Optimiser steps."""
    seed: int = 0
    size: int | None = None
    """Short side in pixels at which examples are looked at; None keeps theirs up to 720 for looks, 360 for others."""
    device: DeviceName | None = None
    """`cpu`, `cuda`, `cuda:N`; None takes a GPU if there is one."""
    precision: str | None = None
    """`no`, `bf16` or `fp16`; None chooses by device."""
    start: str = "trunk"
    """`trunk`: the bundled weights where their shape fits; `scratch`: nothing; else a file of weights."""
    batch: int | None = None
    """Patches a step; None leaves it to the preset."""
    crop: int | None = None
    """Side of a patch in pixels; None leaves it to the preset."""
    learning_rate: float | None = None
    """None leaves it to the task."""
    patience_minutes: float | None = None
    """Stops when the score has not improved for this long."""
    judge_every_s: float = 60.0
    """Seconds between scores and preview sheets."""
    save_every_s: float = 60.0
    """Seconds between checkpoints."""
    tracker: bool = False
    """Whether scalars are written for TensorBoard."""
    backbone: str | None = None
    """None teaches the task's own generator; `diffusers:<hub id or folder>[@revision]` adapters for that model."""
    prompt: str | None = None
    """Text that goes with every example, for a diffusion model; None takes the task's own."""
    rank: int = 8
    """Columns of a diffusion model's adapters: more can learn more, and forget more."""
    window: int | None = None
    """Frames of a window of a diffusion model; None takes what its family recommends."""
    strict: bool = False
    """Whether one faulty example stops everything, instead of being left out and listed."""
    overwrite: bool = False
    """Whether a bundle that is there already may be replaced."""
    progress: bool = True
    """Whether a progress bar is drawn on stderr."""

    def __post_init__(self) -> None:
        _require(self.preset in PRESETS, f"preset={self.preset!r}: one of {', '.join(PRESETS)} is needed.")
        _require(self.minutes is None or self.minutes > 0, f"minutes={self.minutes}: a positive number is needed.")
        _require(self.steps is None or self.steps >= 1, f"steps={self.steps}: at least 1 is needed.")
        _require(self.size is None or self.size >= 64, f"size={self.size}: at least 64 pixels are needed.")
        _require(self.batch is None or self.batch >= 1, f"batch={self.batch}: at least 1 is needed.")
        _require(1 <= self.rank <= 256, f"rank={self.rank}: 1 to 256 is needed.")
        _require(self.window is None or self.window >= 1, f"window={self.window}: at least 1 frame is needed.")
        _require(self.crop is None or self.crop >= 32, f"crop={self.crop}: at least 32 pixels are needed.")
        _require(
            self.learning_rate is None or 0 < self.learning_rate < 1,
            f"learning_rate={self.learning_rate}: a number above 0 and below 1 is needed.",
        )
        _require(
            self.precision in (None, "no", "bf16", "fp16"), f"precision={self.precision!r}: no, bf16 or fp16 is needed."
        )


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """How `translate()` runs, apart from what the task decides."""

    size: int | None = None
    """Working size of the short side in pixels; None works at the source's size up to `max_size`."""
    max_size: int = 720
    """Short side above which the default working size is reduced; the output keeps the source's size all the same."""
    device: DeviceName | None = None
    """`cpu`, `cuda`, `cuda:N`; None takes a GPU if there is one."""
    dtype: NumberFormat | None = None
    """Number format of the generator; None chooses by device."""
    engine: str = "torch"
    """`torch`, or `openvino` where that extra is installed."""
    seed: int = 0
    strength: float = 1.0
    """0 returns the source, 1 the full translation."""
    chunk_length: int = 8
    """Frames handed on together; the result does not depend on it."""
    look_ahead: int = 2
    """Chunks that each stage may be ahead of the next."""
    detect_cuts: bool = True
    """Whether a new shot resets the temporal state."""
    strict: bool = False
    """Whether damage to the input is an error instead of a note in the report."""
    progress: bool = True
    """Whether a progress bar is drawn on stderr."""

    def __post_init__(self) -> None:
        _require(
            self.size is None or (_whole(self.size) and self.size >= 32),
            f"size={self.size!r}: a whole number of at least 32 pixels is needed.",
        )
        _require(
            isinstance(self.strength, Real) and 0.0 <= self.strength <= 1.0,
            f"strength={self.strength!r}: a number from 0 to 1 is needed.",
        )
        _require(
            _whole(self.seed) and 0 <= self.seed <= MAX_SEED,
            f"seed={self.seed!r}: a whole number from 0 to {MAX_SEED} is needed.",
        )
        _require(
            self.device is None or isinstance(self.device, str),
            f"device={self.device!r}: text such as 'cpu' or 'cuda:0' is needed.",
        )
        _require(
            self.dtype is None or self.dtype in NUMBER_FORMATS,
            f"dtype={self.dtype!r}: one of {', '.join(NUMBER_FORMATS)} is needed.",
        )
        _require(self.engine in ENGINES, f"engine={self.engine!r}: one of {', '.join(ENGINES)} is needed.")
        _require(self.chunk_length >= 1, f"chunk_length={self.chunk_length}: at least 1 is needed.")
        _require(self.look_ahead >= 1, f"look_ahead={self.look_ahead}: at least 1 is needed.")

"""What a training is told and what it tells: settings, windows, scores, and the learning rate's way to zero."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.backbones.generator import CompactGenerator
    from vid2vid.config import TrainConfig
    from vid2vid.types import Picture

LOSS_NAMES: Final = frozenset({"l1", "gradient", "perceptual", "temporal", "texture", "grid", "lines", "adversarial"})
PRECISIONS: Final = ("no", "bf16", "fp16")
Schedule = Literal["cosine", "step", "one_cycle"]
Ending = Literal["steps", "minutes", "no improvement"]
_FREE: Final = (
    "steps",
    "minutes",
    "judge_every_s",
    "save_every_s",
    "patience_minutes",
    "device",
    "tracker",
)
"""Settings that a continued run may change."""
_STEP_AT, _STEP_FACTOR = 0.6, 0.3
_RISE, _CYCLE_START, _CYCLE_END = 0.3, 1 / 25, 1e-5
"""Smith and Topin, "Super-Convergence", 2018, with the proportions that are usual in torch."""


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How a generator is taught."""

    steps: int | None = None
    """Optimiser steps in all; None for as many as the minutes allow."""
    minutes: float | None = None
    """Time in all, judging and saving included. Where both are given, whichever comes first ends the run, and the
    learning rate follows the one that is further on."""
    learning_rate: float = 4e-4
    """At 1e-3, with gradients clipped at 10, the loss rose fivefold after 300 steps."""
    schedule: Schedule = "cosine"
    """`cosine` to zero; `step`: times 0.3 after 60 %; `one_cycle`: up for 30 %, then down to nothing."""
    warmup_steps: int = 200
    """Steps over which `cosine` and `step` begin."""
    ema_decay: float = 0.998
    """Decay of the running mean of the weights that is judged and kept."""
    clip_norm: float = 1.0
    accumulate: int = 1
    """Windows whose gradients make one step."""
    perceptual_crop: int = 64
    """Side of the random square that the perceptual loss looks at, on one random frame of each window, since looking at
    all would cost several times the generator."""
    perceptual_every: int = 1
    """Every how many windows it looks. Rarer is quicker, but clipping then weighs it down."""
    recurrent: bool = True
    """Whether the net's last output, moved along the flow, comes in."""
    textured: bool = True
    """Whether noise that moves with the scene comes in."""
    precision: str | None = None
    """`no`, `bf16` or `fp16`, as accelerate names them; None takes the quickest that the device computes natively."""
    device: str | None = None
    """`cpu`, `cuda`, `cuda:N`; None takes a GPU if there is one."""
    save_every_s: float = 240.0
    """Seconds between checkpoints."""
    judge_every_s: float = 60.0
    """Seconds between judgements; in fact at least four times as long as one takes."""
    patience_minutes: float | None = None
    """Minutes without a better score after which the run ends; None for never."""
    tracker: bool = False
    """Whether scalars are written for TensorBoard, into `tracker/`."""
    seed: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    """Weight of each loss: l1, gradient, perceptual, temporal, texture, grid, lines, adversarial."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.losses) - LOSS_NAMES)
        if unknown:
            raise InvalidOption(f"Unknown losses {', '.join(unknown)}; there are {', '.join(sorted(LOSS_NAMES))}.")
        if self.steps is None and self.minutes is None:
            raise InvalidOption("Neither steps nor minutes is given: at least one must say when to end.")
        for name in ("steps", "accumulate", "perceptual_every"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name}={value}: at least 1 is needed.")
        for name in ("minutes", "patience_minutes"):
            value = getattr(self, name)
            _require(value is None or value > 0.0, f"{name}={value}: more than 0 is needed.")
        _require(
            self.schedule in ("cosine", "step", "one_cycle"),
            f"schedule={self.schedule!r}: one of cosine, step, one_cycle is needed.",
        )
        _require(
            self.precision is None or self.precision in PRECISIONS,
            f"precision={self.precision!r}: one of {', '.join(PRECISIONS)} is needed.",
        )

    def asked(self, config: TrainConfig) -> FitConfig:
        """These settings, a task's own, under what the caller of `train()` asked for."""
        return replace(
            self,
            steps=config.steps,
            minutes=config.minutes if config.minutes or config.steps else self.minutes,
            learning_rate=config.learning_rate or self.learning_rate,
            precision=config.precision,
            device=config.device,
            save_every_s=config.save_every_s,
            judge_every_s=config.judge_every_s,
            patience_minutes=config.patience_minutes,
            tracker=config.tracker,
            seed=config.seed,
        )

    def rate(self, step: int, share: float) -> float:
        """The learning rate of a step.

        Args:
            step: steps taken before.
            share: of the run that is over, in [0, 1].
        """
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.schedule == "one_cycle":
            return self.learning_rate * _cycle(share)
        if self.schedule == "step":
            return self.learning_rate * warm * (_STEP_FACTOR if share > _STEP_AT else 1.0)
        return self.learning_rate * (warm * 0.5 * (1.0 + math.cos(math.pi * share)))

    def facts(self) -> dict[str, Any]:
        """All settings as JSON gives them back."""
        known: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return known

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """What keeps a run with other settings (their `facts`) from being continued with these."""
        mine = self.facts()
        names = [name for name in mine if name not in _FREE and mine[name] != other.get(name)]
        return [f"{name} was {other.get(name)!r}, now {mine[name]!r}" for name in names]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidOption(message)


def _cycle(share: float) -> float:
    if share < _RISE:
        start, end, way = _CYCLE_START, 1.0, share / _RISE
    else:
        start, end, way = 1.0, _CYCLE_END, (share - _RISE) / (1.0 - _RISE)
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * way))


@dataclass(frozen=True, slots=True)
class Window:
    """T consecutive frames of B clips, each continuing the window before unless it is fresh."""

    maps: Tensor
    """`(B, T, C, H, W)` condition maps."""
    target: Tensor
    """`(B, T, 3, H, W)` the true pictures."""
    reference: Tensor
    """`(B, T, 4, H, W)` aligned reference and its validity."""
    flow: Tensor
    """`(B, T, 2, H, W)` to the frame before, in pixels."""
    trust: Tensor
    """`(B, T, 1, H, W)` in [0, 1]; 0 where there is no frame before."""

    @staticmethod
    def together(windows: Sequence[Window]) -> Window:
        """Windows of equal length and size as one batch."""
        import torch

        return Window(*(torch.cat([getattr(window, name) for window in windows]) for name in Window.__slots__))

    def cut(self, length: int) -> Iterator[Window]:
        """Windows of `length` frames in turn; frames left over at the end are dropped."""
        for start in range(0, self.maps.shape[1] - length + 1, length):
            yield Window(*(getattr(self, name)[:, start : start + length] for name in Window.__slots__))

    def to(self, device: Any) -> Window:
        """The same on another device."""
        return Window(*(getattr(self, name).to(device) for name in Window.__slots__))


class Windows(Protocol):
    """A source of training windows that can start anywhere."""

    def start(self, step: int, rank: int = 0, world: int = 1) -> Iterator[Window]:
        """Endless windows on the CPU, from number `step` on, the same whenever they are asked for.

        Args:
            step: number of the first window; a step of the optimiser takes `FitConfig.accumulate` of them.
            rank: which process asks: it gets the slots rank, rank + world, ... of every batch.
            world: number of processes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """How good a net is on material that it does not learn from."""

    values: Mapping[str, float]
    """By name; `st_lpips` decides, or `loss` where there is none. Lower is better."""
    sheet: Picture | None = None
    """`(H, W, 3)` uint8 sRGB: source, output and truth side by side."""


class Judge(Protocol):
    """Measures a net on held-out material."""

    def __call__(self, net: CompactGenerator) -> Score:
        """Gives the score of a net that holds the averaged weights, in evaluation mode, without gradients."""
        ...


@dataclass(frozen=True, slots=True)
class ScoredAt:
    """A judgement of the run."""

    step: int
    minutes: float
    values: Mapping[str, float]

    @property
    def deciding(self) -> float:
        """The value by which nets are compared; lower is better, and what is no number is worst."""
        value = self.values.get("st_lpips", self.values.get("loss", math.nan))
        return math.inf if math.isnan(value) else value


@dataclass(frozen=True, slots=True)
class Progress:
    """What a person who waits wants to know."""

    step: int
    steps: int | None
    share: float
    """Of the run that is over, in [0, 1]."""
    minutes: float
    """Spent so far, in earlier runs too."""
    seconds_left: float | None
    """None until it can be said."""
    losses: Mapping[str, float]
    """Running means by name."""
    score: Score | None
    """The last judgement of this run."""


Watch = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A finished training."""

    weights: Path
    steps: int
    """Steps taken."""
    kept_step: int
    """The step whose averaged weights were kept: the best judged one, or the last where fewer than two were judged."""
    seconds: float
    """Spent in all, in continued runs too."""
    scores: tuple[ScoredAt, ...]
    stopped: Ending


class Pace:
    """The run's clock, and what its parts cost, so that the end comes in time.

    Args:
        config: steps, minutes and how often to judge and save.
    """

    def __init__(self, config: FitConfig) -> None:
        self._config = config
        self._zero = time.monotonic()
        self._budget_s = math.inf if config.minutes is None else 60.0 * config.minutes
        self._steps: deque[float] = deque(maxlen=20)
        self._taken = 0
        self.judge_s = 0.0
        """What the last judgement took."""
        self.save_s = 0.0
        """What the last checkpoint took."""

    def carry(self, spent_s: float) -> None:
        """Adds what the runs that this one continues have spent."""
        self._zero -= spent_s

    @property
    def elapsed_s(self) -> float:
        """Time spent so far."""
        return time.monotonic() - self._zero

    @property
    def ending_s(self) -> float:
        """What the last judgement and the last checkpoint are going to take."""
        return self.judge_s + self.save_s

    def took(self, seconds: float) -> None:
        """Notes what one step took; the first, which waits for much to be made, is forgotten after the second."""
        if self._taken == 1:
            self._steps.clear()
        self._taken += 1
        self._steps.append(seconds)

    def share(self, step: int) -> float:
        """Share of the run that is over, in [0, 1]."""
        by_steps = 0.0 if self._config.steps is None else step / self._config.steps
        teaching_s = max(1e-3, self._budget_s - self.ending_s)
        return min(1.0, max(by_steps, self.elapsed_s / teaching_s))

    def ending(self, step: int) -> Ending | None:
        """Whether to end before the next step, and why."""
        if self._config.steps is not None and step >= self._config.steps:
            return "steps"
        late = self.elapsed_s + max(self._steps, default=0.0) + self.ending_s > self._budget_s
        return "minutes" if late and step > 0 else None

    def judgement_due(self, last_s: float | None) -> bool:
        """Whether to judge now, given when the last judgement was; never so late that the last one would not fit.

        A run by the clock judges early for the first time, to learn what judging costs.
        """
        every = max(self._config.judge_every_s, 4.0 * self.judge_s)
        first = min(every, 0.1 * self._budget_s)
        if self.elapsed_s + 2.0 * self.judge_s + self.save_s > self._budget_s:
            return False
        return self.elapsed_s >= (first if last_s is None else last_s + every)

    def seconds_left(self, step: int) -> float | None:
        """Until the end, as far as it can be foreseen."""
        left = self._budget_s - self.elapsed_s
        if self._config.steps is not None and self._steps:
            mean_s = sum(self._steps) / len(self._steps)
            left = min(left, (self._config.steps - step) * mean_s + self.ending_s)
        return max(0.0, left) if math.isfinite(left) else None

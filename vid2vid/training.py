"""Teaching a compact generator in closed loop, on accelerate: on CPU or GPU, in one process or several.

A run that is killed goes on from its last checkpoint, on a CPU to the same bits as if it had never stopped.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vid2vid import checkpoint
from vid2vid.backbones.generator import CompactGenerator
from vid2vid.closed_loop import ClosedLoop, Loop, dealt
from vid2vid.errors import EmptyInput, InvalidOption, NonFiniteOutput
from vid2vid.fitting import (
    LOSS_NAMES,
    Ending,
    FitConfig,
    Fitted,
    Judge,
    Pace,
    Progress,
    Score,
    ScoredAt,
    Watch,
    Window,
    Windows,
)
from vid2vid.folders import replace_durably
from vid2vid.judging import Judgements
from vid2vid.processes import average_gradients, mean_losses, start, take_from_main, told_by_main

__all__ = [
    "LOSS_NAMES",
    "FitConfig",
    "Fitted",
    "Judge",
    "Loop",
    "Progress",
    "Score",
    "ScoredAt",
    "Watch",
    "Window",
    "Windows",
    "fit",
    "parameters",
]

_LOG = logging.getLogger(__name__)
_ENDINGS: Final[tuple[Ending, ...]] = ("steps", "minutes", "no improvement")
_LIMITS: Final = ("steps", "minutes", "patience_minutes")
_LOG_EVERY, _TRACK_EVERY = 100, 10
_MEMORY: Final = 0.99
"""How much of the running means of the losses stays from step to step."""
_TELL_EVERY_S: Final = 0.5


def fit(
    net: CompactGenerator,
    windows: Windows,
    config: FitConfig,
    folder: Path,
    *,
    judge: Judge | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Teaches a generator and leaves its averaged weights in `folder`.

    Args:
        net: the generator, changed in place; it ends with the weights that are kept.
        windows: what it learns from.
        config: see `FitConfig`.
        folder: takes `checkpoint-<step>/`, `weights.safetensors`, `log.jsonl` and, with a judge, `scores.jsonl` and
            `previews/`; a checkpoint found there is continued.
        judge: measures the net on held-out material, in the main process only.
        watch: is told of the progress at most twice a second, and at the end, in the main process only.

    Returns:
        Where the weights are, and how the run went.

    Raises:
        NonFiniteOutput: the loss stopped being finite; nothing is saved after that.
        InvalidOption: the checkpoint is of a run with other settings, another net or other windows.
        CorruptCheckpoint: there are checkpoints, and none is good.
        EngineUnavailable: the device is not there, or the tracker is not installed.
        EmptyInput: the windows ended.
    """
    pace = Pace(config)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = start(config, folder)
    set_seed(config.seed)
    judgements = Judgements(judge if accelerator.is_main_process else None, folder)
    run = _Fit(net, config, folder, accelerator, pace, judgements, watch if accelerator.is_main_process else None)
    try:
        return run(windows)
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()


class _Plan(NamedTuple):
    """What all processes do next, as the main one decides."""

    share: float
    judge: bool
    save: bool
    ending: Ending | None


class _Fit:
    """One run of `fit`: the accelerator, the optimiser and the averaged weights."""

    def __init__(
        self,
        net: CompactGenerator,
        config: FitConfig,
        folder: Path,
        accelerator: Accelerator,
        pace: Pace,
        judgements: Judgements,
        watch: Watch | None,
    ) -> None:
        self.config, self.folder, self.accelerator = config, folder, accelerator
        self.pace, self.judgements, self.watch = pace, judgements, watch
        self.rank, self.world = accelerator.process_index, accelerator.num_processes
        self.net = net.to(accelerator.device).to(memory_format=torch.channels_last).train()
        self.adam = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=1e-4)
        # The net itself is not wrapped; `average_gradients` says why.
        self.optimiser = accelerator.prepare(self.adam)
        self.closed = ClosedLoop(net, config, accelerator.device, accelerator.autocast)
        self.step, self.saved_step, self.saved_s, self.told_s = 0, -1, pace.elapsed_s, 0.0
        self.means: dict[str, list[float]] = {}
        self.averaged: dict[str, Tensor] = {}

    def __call__(self, windows: Windows) -> Fitted:
        ended = self._resume()
        if ended is None:
            iterator = windows.start(self.step * self.config.accumulate, self.rank, self.world)
            try:
                ended = self._teach(iterator)
            finally:
                if isinstance(iterator, Generator):
                    iterator.close()
            if self.accelerator.is_main_process and not self.judgements.judged(self.step):
                self._judge()
            self._save(ended)
        return self._finish(ended)

    def _teach(self, windows: Iterator[Window]) -> Ending:
        """Steps until the plan says to end."""
        while True:
            plan = self._plan()
            if plan.ending is not None:
                return plan.ending
            if plan.judge and self.accelerator.is_main_process:
                self._judge()
            if plan.save:
                self._save(None)
            if plan.judge or plan.save:
                continue  # either takes time, so there may be none left for the next step
            started = time.monotonic()
            losses = self._learn(windows, self.config.rate(self.step, plan.share))
            self.step += 1
            self.pace.took(time.monotonic() - started)
            self._note(losses)

    def _plan(self) -> _Plan:
        plan = _Plan(0.0, False, False, None)
        if self.accelerator.is_main_process:
            ending = self.pace.ending(self.step)
            patience = self.config.patience_minutes
            if ending is None and patience is not None and self.judgements.stale_minutes() >= patience:
                ending = "no improvement"
            judge = not self.judgements.judged(self.step) and self.pace.judgement_due(self.judgements.last_s)
            save = self.step != self.saved_step and self.pace.elapsed_s - self.saved_s > self.config.save_every_s
            plan = _Plan(self.pace.share(self.step), judge, save and self.step > 0, ending)
        number = -1 if plan.ending is None else _ENDINGS.index(plan.ending)
        share, *rest = told_by_main(self.accelerator, (plan.share, plan.judge, plan.save, number))
        return _Plan(share, bool(rest[0]), bool(rest[1]), None if rest[2] < 0 else _ENDINGS[int(rest[2])])

    def _learn(self, windows: Iterator[Window], rate: float) -> dict[str, float]:
        """One step of the optimiser; gives the losses, means over windows and processes."""
        for group in self.adam.param_groups:
            group["lr"] = rate
        means: dict[str, float] = {}
        for part in range(self.config.accumulate):
            window = next(windows, None)
            if window is None:
                raise EmptyInput(f"The windows ended at step {self.step}; a source of windows must be endless.")
            window = window.to(self.accelerator.device)
            with self.accelerator.accumulate(self.net):
                losses = self._learn_from(window, self.step * self.config.accumulate + part)
            for name, value in losses.items():
                means[name] = means.get(name, 0.0) + value / self.config.accumulate
        self._average_weights()
        return means

    def _learn_from(self, window: Window, number: int) -> dict[str, float]:
        total, terms = self.closed.losses(window, number)
        slots = window.target.shape[0]
        whole, losses, weight = mean_losses(self.accelerator, total, terms, slots)
        if not math.isfinite(whole):
            raise NonFiniteOutput(f"The training loss became {whole} at step {self.step}; the last checkpoint is kept.")
        self.accelerator.backward(total * weight)
        if self.accelerator.sync_gradients:
            average_gradients(self.accelerator, self.net.parameters())
            self.accelerator.clip_grad_norm_(self.net.parameters(), self.config.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.closed.adversary is not None:
            average = partial(average_gradients, self.accelerator)
            taught = self.closed.teach_adversary(window.target[:, -1], weight, average)
            losses["discriminator"] = mean_losses(self.accelerator, taught, {}, slots)[0]
        return losses

    @torch.no_grad()
    def _average_weights(self) -> None:
        decay = min(self.config.ema_decay, (1.0 + self.step) / (10.0 + self.step))
        for name, value in self.net.state_dict().items():
            self.averaged[name].lerp_(value, 1.0 - decay)

    def _note(self, losses: Mapping[str, float]) -> None:
        """Keeps the running means, and tells the log, the tracker and the person who waits."""
        for name, value in losses.items():
            mean, count = self.means.get(name, (0.0, 0))
            self.means[name] = [mean * _MEMORY + (1.0 - _MEMORY) * value, count + 1]
        if not self.accelerator.is_main_process:
            return
        means = self._running_means()
        if self.step % _TRACK_EVERY == 0:
            rate = self.adam.param_groups[0]["lr"]
            self.accelerator.log({**{f"loss/{k}": v for k, v in losses.items()}, "learning_rate": rate}, self.step)
        if self.step % _LOG_EVERY == 0:
            line = {"step": self.step, **{name: round(value, 5) for name, value in means.items()}}
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            _LOG.info("%s", line)
        self._tell(self.pace.share(self.step), means)

    def _running_means(self) -> dict[str, float]:
        return {name: mean / (1.0 - _MEMORY**count) for name, (mean, count) in self.means.items()}

    def _tell(self, share: float, means: Mapping[str, float], last: bool = False) -> None:
        now = time.monotonic()
        if self.watch is None or (now - self.told_s < _TELL_EVERY_S and not last):
            return
        self.told_s = now
        minutes, left = self.pace.elapsed_s / 60.0, 0.0 if last else self.pace.seconds_left(self.step)
        self.watch(Progress(self.step, self.config.steps, share, minutes, left, means, self.judgements.latest))

    def _judge(self) -> None:
        started = time.monotonic()
        scored = self.judgements.add(self.net, self.averaged, self.step, self.pace.elapsed_s / 60.0)
        self.accelerator.log({f"score/{name}": value for name, value in scored.values.items()}, self.step)
        self.pace.judge_s = time.monotonic() - started
        _LOG.info("%s", scored)

    def _save(self, ended: Ending | None) -> None:
        """A checkpoint by all processes, and the averaged weights."""
        started = time.monotonic()
        main = self.accelerator.is_main_process
        place = checkpoint.begin(self.folder) if main else checkpoint.partial_folder(self.folder)
        self.accelerator.wait_for_everyone()
        own = {**self.closed.loop.tensors(), "random": torch.get_rng_state()}
        if self.accelerator.device.type == "cuda":
            own["random_cuda"] = torch.cuda.get_rng_state()
        checkpoint.write_tensors(place, f"process-{self.rank}", own)
        self.accelerator.wait_for_everyone()
        if main:
            checkpoint.write_tensors(place, "net", self.net.state_dict())
            checkpoint.write_tensors(place, "averaged", self.averaged)
            checkpoint.write_tensors(place, "optimiser", checkpoint.optimiser_tensors(self.adam))
            if self.judgements.best is not None:
                checkpoint.write_tensors(place, "best", self.judgements.best)
            if self.closed.adversary is not None:
                adam = self.closed.adversary_optimiser
                checkpoint.write_tensors(place, "adversary", self.closed.adversary.state_dict())
                checkpoint.write_tensors(place, "adversary_optimiser", checkpoint.optimiser_tensors(adam))
            self._write_weights(self.averaged)
            checkpoint.finish(self.folder, self.step, self._facts(ended))
        self.accelerator.wait_for_everyone()
        self.saved_step, self.saved_s = self.step, self.pace.elapsed_s
        self.pace.save_s = time.monotonic() - started

    def _facts(self, ended: Ending | None) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {
            "config": self.config.facts(),
            "net": _shape(self.net),
            "world": self.world,
            "frames": self.closed.loop.frames,
            "elapsed_s": self.pace.elapsed_s,
            "means": self.means,
            "scores": [[scored.step, scored.minutes, dict(scored.values)] for scored in self.judgements.scores],
            "scaler": None if scaler is None else scaler.state_dict(),
            "ended": ended,
        }

    def _write_weights(self, weights: Mapping[str, Tensor]) -> None:
        plain = {name: value.detach().to("cpu").contiguous() for name, value in weights.items()}
        content = save(plain, metadata={"form": self.net.form})
        replace_durably(self.folder / "weights.safetensors", content)

    def _resume(self) -> Ending | None:
        """Goes on from the newest checkpoint; gives how that run ended where the same limits would end it again."""
        found = checkpoint.newest(self.folder)
        self.averaged = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
        if found is not None:
            self._restore(found)
        take_from_main(self.accelerator, (*self.net.state_dict().values(), *self.averaged.values()))
        if self.accelerator.is_main_process:
            _cut(self.folder / "log.jsonl", self.step)
            self.judgements.write_scores()
        self.accelerator.wait_for_everyone()
        if found is None or any(getattr(self.config, name) != found.facts["config"][name] for name in _LIMITS):
            return None
        return cast("Ending | None", found.facts["ended"])

    def _restore(self, found: checkpoint.Checkpoint) -> None:
        facts = found.facts
        differences = self.config.differences(facts["config"]) + _reshaped(facts["net"], _shape(self.net))
        if differences:
            raise InvalidOption(
                f"'{found.path}' belongs to a run with other settings: {'; '.join(differences)}. "
                "Use those again, or train into another folder."
            )
        self.step = self.saved_step = found.step
        self.pace.carry(facts["elapsed_s"])
        self.saved_s = self.pace.elapsed_s
        self.means = facts["means"]
        self.net.load_state_dict(found.tensors("net"))
        for name, value in found.tensors("averaged").items():
            self.averaged[name].copy_(value)
        checkpoint.restore_optimiser(self.adam, found.tensors("optimiser"))
        if self.closed.adversary is not None:
            self.closed.adversary.load_state_dict(found.tensors("adversary"))
            checkpoint.restore_optimiser(self.closed.adversary_optimiser, found.tensors("adversary_optimiser"))
        if facts["scaler"] and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(facts["scaler"])
        parts = [found.tensors(f"process-{rank}") for rank in range(facts["world"])]
        self.closed.loop.restore(dealt(parts, self.rank, self.world), facts["frames"], self.accelerator.device)
        if self.rank < len(parts):
            torch.set_rng_state(parts[self.rank]["random"])
            if "random_cuda" in parts[self.rank] and self.accelerator.device.type == "cuda":
                torch.cuda.set_rng_state(parts[self.rank]["random_cuda"])
        best = found.tensors("best") if found.has("best") else None
        best = best and {name: value.to(self.accelerator.device) for name, value in best.items()}
        scores = [ScoredAt(*values) for values in facts["scores"]]
        self.judgements = Judgements(self.judgements.judge, self.folder, scores, best)

    def _finish(self, ended: Ending) -> Fitted:
        kept_step = self.step
        weights = self.folder / "weights.safetensors"
        if self.accelerator.is_main_process:
            kept, kept_step = self.judgements.kept(self.averaged, self.step)
            self._write_weights(kept)
            _LOG.info("Ended (%s) after step %d; the weights of step %d are kept.", ended, self.step, kept_step)
        self.accelerator.wait_for_everyone()
        self.net.load_state_dict(load_file(weights))
        self._tell(1.0, self._running_means(), last=True)
        scores = tuple(self.judgements.scores)
        return Fitted(weights, self.step, kept_step, self.pace.elapsed_s, scores, ended)


def _shape(net: CompactGenerator) -> dict[str, Any]:
    """What makes two nets the same but for their values."""
    return {"form": net.form, **{name: list(value.shape) for name, value in net.state_dict().items()}}


def _reshaped(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    shown = [f"the net's {name} was {before.get(name)}, now {now.get(name)}" for name in names[:3]]
    return shown + ([f"{len(names) - 3} more of the net"] if len(names) > 3 else [])


def _cut(log: Path, step: int) -> None:
    """Drops the lines that a killed run wrote after its last checkpoint."""
    if log.exists():
        lines = [line for line in log.read_text().splitlines() if line.endswith("}")]
        kept = "".join(f"{line}\n" for line in lines if json.loads(line)["step"] <= step)
        replace_durably(log, kept.encode())


def parameters(net: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)

"""Teaching adapters of a pretrained diffusion model, on accelerate.

A run that is killed goes on from its last checkpoint, on a CPU to the same bits as if it had never stopped: windows,
noise and noise levels follow from the seed and the step alone.
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from vid2vid import checkpoint
from vid2vid.backbones.diffusion import adapters
from vid2vid.backbones.weights import save_weights
from vid2vid.errors import InvalidOption, NonFiniteOutput
from vid2vid.fitting import FitConfig, Fitted, Pace, Progress, ScoredAt
from vid2vid.processes import average_gradients, mean_losses, start, take_from_main, told_by_main

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.adapter_lesson import AdapterLesson, Study
    from vid2vid.fitting import Ending, Watch

_LOG = logging.getLogger(__name__)
OWN: Final = FitConfig(minutes=30.0, learning_rate=1e-4, schedule="cosine", warmup_steps=20)
"""How adapters are learned, apart from what the caller asks for."""
_MEMORY: Final = 0.95


def fit_adapters(
    lesson: AdapterLesson, config: FitConfig, folder: Path, *, rank: int, batch: int = 1, watch: Watch | None = None
) -> Fitted:
    """Puts adapters into the lesson's model, teaches them, and leaves them in `folder`.

    Args:
        lesson: with a freshly loaded model, whose pipeline is changed in place.
        config: budget, learning rate, seed, device.
        folder: where checkpoints are; a run that is found there is continued.
        rank: of the adapters.
        batch: windows whose gradients make one step.
        watch: told about progress.

    Returns:
        The result; `weights` is a file of adapters.

    Raises:
        InvalidOption: the folder's run had other settings.
        NonFiniteOutput: the loss stopped being finite; the last checkpoint is kept.
    """
    return _Fit(lesson, config, folder, rank, batch, watch)()


class _Fit:
    """One run of `fit_adapters`."""

    def __init__(
        self, lesson: AdapterLesson, config: FitConfig, folder: Path, rank: int, batch: int, watch: Watch | None
    ) -> None:
        self.lesson, self.config, self.folder = lesson, config, folder
        self.rank, self.batch, self.watch = rank, batch, watch
        self.accelerator = start(config, folder)
        self.pipe = lesson.model.pipe
        adapters.put_in(self.pipe, rank, config.seed)
        if self.accelerator.device.type == "cuda":
            for part in adapters.bearing(self.pipe).values():
                part.train()
                part.enable_gradient_checkpointing()  # type: ignore[operator]
        self.values = dict(adapters.parameters(self.pipe))
        take_from_main(self.accelerator, [value.data for value in self.values.values()])
        self.adam = torch.optim.AdamW(self.values.values(), lr=config.learning_rate, weight_decay=1e-4)
        self.pace = Pace(config)
        self.held: list[Study] = []
        self.scores: list[ScoredAt] = []
        self.step, self.saved_s, self.mean = 0, 0.0, (0.0, 0)

    def __call__(self) -> Fitted:
        self._resume()
        self.held = self.lesson.held_out() if self.accelerator.is_main_process else []
        while (ended := self._ending()) is None:
            if self._told(self._judging()):
                self._judge()
            if self._told(self.pace.elapsed_s - self.saved_s > self.config.save_every_s and self.step > 0):
                self._save()
            began = time.monotonic()
            loss = self._learn()
            self.step += 1
            self.pace.took(time.monotonic() - began)
            self._note(loss)
        self._judge()
        self._save()
        return self._finish(ended)

    def _ending(self) -> Ending | None:
        endings: tuple[Ending, ...] = ("steps", "minutes")
        ending = self.pace.ending(self.step)
        number = told_by_main(self.accelerator, [-1.0 if ending is None else float(endings.index(ending))])[0]
        return None if number < 0 else endings[int(number)]

    def _told(self, wish: bool) -> bool:
        return bool(told_by_main(self.accelerator, [float(wish)])[0])

    def _judging(self) -> bool:
        if not self.held or any(scored.step == self.step for scored in self.scores):
            return False
        return self.step == 0 or self.pace.judgement_due(60.0 * self.scores[-1].minutes if self.scores else None)

    def _judge(self) -> None:
        if not self.held or any(scored.step == self.step for scored in self.scores):
            return
        began = time.monotonic()
        scored = ScoredAt(self.step, self.pace.elapsed_s / 60.0, {"loss": self.lesson.measured(self.held)})
        self.scores.append(scored)
        self.pace.judge_s = time.monotonic() - began
        _LOG.info("%s", scored)

    def _learn(self) -> float:
        """One step of the optimiser; gives the mean loss."""
        share = told_by_main(self.accelerator, [self.pace.share(self.step)])[0]
        for group in self.adam.param_groups:
            group["lr"] = self.config.rate(self.step, share)
        total = 0.0
        for part in range(self.batch):
            number = (self.step * self.batch + part) * self.accelerator.num_processes + self.accelerator.process_index
            loss = self.lesson.loss(self.lesson.study(number), self.config.seed, number)
            total += mean_losses(self.accelerator, loss, {}, 1)[0] / self.batch
            (loss / self.batch).backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(total):
            raise NonFiniteOutput(f"The training loss became {total} at step {self.step}; the last checkpoint is kept.")
        for value in self.values.values():
            if value.grad is None:  # of two networks, one had no turn
                value.grad = torch.zeros_like(value)
        average_gradients(self.accelerator, self.values.values())
        torch.nn.utils.clip_grad_norm_(list(self.values.values()), self.config.clip_norm)
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        return total

    def _note(self, loss: float) -> None:
        mean, count = self.mean
        self.mean = (mean * _MEMORY + (1.0 - _MEMORY) * loss, count + 1)
        if self.step % 10 == 0:
            self.accelerator.log({"loss": loss, "learning_rate": self.adam.param_groups[0]["lr"]}, self.step)
        if self.watch is not None and self.accelerator.is_main_process:
            smooth = self.mean[0] / (1.0 - _MEMORY ** self.mean[1])
            share, left = self.pace.share(self.step), self.pace.seconds_left(self.step)
            minutes = self.pace.elapsed_s / 60.0
            self.watch(Progress(self.step, self.config.steps, share, minutes, left, {"loss": smooth}, None))

    def _save(self) -> None:
        began = time.monotonic()
        if self.accelerator.is_main_process:
            place = checkpoint.begin(self.folder)
            checkpoint.write_tensors(place, "adapters", dict(self.values))
            checkpoint.write_tensors(place, "optimiser", checkpoint.optimiser_tensors(self.adam))
            checkpoint.finish(self.folder, self.step, self._facts())
        self.accelerator.wait_for_everyone()
        self.saved_s = self.pace.elapsed_s
        self.pace.save_s = time.monotonic() - began

    def _facts(self) -> dict[str, Any]:
        return {
            "config": self.config.facts(),
            "rank": self.rank,
            "batch": self.batch,
            "shapes": {name: list(value.shape) for name, value in self.values.items()},
            "elapsed_s": self.pace.elapsed_s,
            "mean": list(self.mean),
            "scores": [[scored.step, scored.minutes, dict(scored.values)] for scored in self.scores],
        }

    def _resume(self) -> None:
        found = checkpoint.newest(self.folder)
        if found is None:
            return
        mine = self._facts()
        differences = self.config.differences(found.facts["config"])
        differences += [
            f"{name} was {found.facts[name]!r}, now {mine[name]!r}"
            for name in ("rank", "batch")
            if found.facts[name] != mine[name]
        ]
        if not differences and found.facts["shapes"] != mine["shapes"]:
            differences = ["the model has another shape"]
        if differences:
            raise InvalidOption(
                f"'{found.path}' belongs to a run with other settings: {'; '.join(differences)}. "
                "Use those again, or train into another folder."
            )
        self.step, self.mean = found.step, (found.facts["mean"][0], int(found.facts["mean"][1]))
        self.pace.carry(found.facts["elapsed_s"])
        self.saved_s = self.pace.elapsed_s
        self.scores = [ScoredAt(*values) for values in found.facts["scores"]]
        for name, value in found.tensors("adapters").items():
            self.values[name].data.copy_(value)
        checkpoint.restore_optimiser(self.adam, _on(found.tensors("optimiser"), self.accelerator.device))

    def _finish(self, ended: Ending) -> Fitted:
        weights = self.folder / "weights.safetensors"
        if self.accelerator.is_main_process:
            save_weights(adapters.taken_out(self.pipe), weights)
        self.accelerator.wait_for_everyone()
        _LOG.info("Ended (%s) after step %d.", ended, self.step)
        return Fitted(weights, self.step, self.step, self.pace.elapsed_s, tuple(self.scores), ended)


def _on(tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value if name.endswith(".step") else value.to(device) for name, value in tensors.items()}

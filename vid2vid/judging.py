"""The scores of a training, the best weights so far, and the pictures by which a person follows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from vid2vid.backbones.generator import CompactGenerator
from vid2vid.errors import InvalidOption
from vid2vid.fitting import Judge, Score, ScoredAt
from vid2vid.folders import replace_durably
from vid2vid.losses import ShiftTolerantLPIPS
from vid2vid.metrics import as_tensor, psnr_db
from vid2vid.previews import curve, sheet, write_png

if TYPE_CHECKING:
    from vid2vid.types import Picture

_LEAST_JUDGED: Final = 2
"""Judgements without which the last weights are kept: one alone says nothing of which are better."""


class Comparison:
    """Compares pictures with the truth, and the untouched source beside them."""

    def __init__(self) -> None:
        self._distance: ShiftTolerantLPIPS | None = None

    def __call__(self, rows: Sequence[tuple[Picture, Picture, Picture]], device: torch.device) -> Score:
        """ST-LPIPS and PSNR, and a sheet.

        Args:
            rows: source, output and truth, `(H, W, 3)` uint8 each.
            device: where ST-LPIPS runs.
        """
        distance = self._distance = self._distance or ShiftTolerantLPIPS("alex").to(device)
        sums: dict[str, float] = {}
        for source, made, target in rows:
            truth = as_tensor(target).to(device)
            for prefix, picture in (("", made), ("source_", source)):
                found = float(distance(as_tensor(picture).to(device), truth))
                for name, value in (("st_lpips", found), ("psnr_db", psnr_db(picture, target))):
                    sums[prefix + name] = sums.get(prefix + name, 0.0) + value
        means = {name: value / len(rows) for name, value in sums.items()}
        return Score(means, sheet(rows, ("source", "output", "truth")))


class Judgements:
    """Judges a net now and then; keeps the scores and the best weights.

    Args:
        judge: measures a net; None for a run that is never judged.
        folder: takes `scores.jsonl` and `previews/`.
        scores: of the runs that this one continues.
        best: averaged weights that had the best of them.
    """

    def __init__(
        self,
        judge: Judge | None,
        folder: Path,
        scores: Sequence[ScoredAt] = (),
        best: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.judge, self.folder = judge, folder
        self.scores = list(scores)
        self.best = best
        self.latest: Score | None = None

    @property
    def last_s(self) -> float | None:
        """When the last judgement was, in seconds of the run."""
        return 60.0 * self.scores[-1].minutes if self.scores else None

    def judged(self, step: int) -> bool:
        """Whether the net of this step needs no judgement: it has one, or there is no judge."""
        return self.judge is None or (bool(self.scores) and self.scores[-1].step == step)

    def stale_minutes(self) -> float:
        """From the best judgement to the last one."""
        return self.scores[-1].minutes - self._best_score().minutes if self.scores else 0.0

    def add(self, net: CompactGenerator, averaged: Mapping[str, Tensor], step: int, minutes: float) -> ScoredAt:
        """Judges the averaged weights; the net has its own again afterwards.

        Raises:
            InvalidOption: the score holds neither `st_lpips` nor `loss`.
        """
        assert self.judge is not None
        with holding(net, averaged), torch.no_grad():
            score = self.judge(net)
        if not {"st_lpips", "loss"} & set(score.values):
            raise InvalidOption(f"The judge gave {', '.join(score.values) or 'no value'}; st_lpips or loss is needed.")
        scored = ScoredAt(step, minutes, {name: float(value) for name, value in score.values.items()})
        if self.best is None or scored.deciding < self._best_score().deciding:
            self.best = {name: value.detach().clone() for name, value in averaged.items()}
        self.latest = score
        self.scores.append(scored)
        self.write_scores()
        self._write_previews(score, minutes)
        return scored

    def kept(self, averaged: Mapping[str, Tensor], step: int) -> tuple[Mapping[str, Tensor], int]:
        """The weights to keep in the end, and their step."""
        if len(self.scores) < _LEAST_JUDGED or self.best is None:
            return averaged, step
        return self.best, self._best_score().step

    def _best_score(self) -> ScoredAt:
        """The best, and of equals the first, whose weights are the ones kept."""
        return min(self.scores, key=lambda scored: scored.deciding)

    def write_scores(self) -> None:
        """Brings `scores.jsonl` to what is known."""
        if self.judge is None:
            return
        lines = [
            json.dumps({"step": scored.step, "minutes": round(scored.minutes, 4), **scored.values})
            for scored in self.scores
        ]
        replace_durably(self.folder / "scores.jsonl", "".join(f"{line}\n" for line in lines).encode())

    def _write_previews(self, score: Score, minutes: float) -> None:
        previews = self.folder / "previews"
        previews.mkdir(exist_ok=True)
        if score.sheet is not None:
            for name in (f"sheet-{minutes:07.2f}.png", "latest.png"):
                write_png(previews / name, score.sheet)
        names = list(dict.fromkeys(name for scored in self.scores for name in scored.values))
        points = {
            name: [(scored.minutes, scored.values[name]) for scored in self.scores if name in scored.values]
            for name in names
        }
        write_png(previews / "curve.png", curve(points))


@contextmanager
def holding(net: CompactGenerator, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Lends a net other weights, in evaluation mode; random numbers drawn meanwhile are not missed afterwards."""
    own = {name: value.detach().clone() for name, value in net.state_dict().items()}
    was_training = net.training
    needed = [parameter.requires_grad for parameter in net.parameters()]
    try:
        with torch.random.fork_rng():
            net.load_state_dict(dict(weights))
            net.eval()
            yield
    finally:
        net.load_state_dict(own)
        net.train(was_training)
        for parameter, wanted in zip(net.parameters(), needed, strict=True):
            parameter.requires_grad_(wanted)

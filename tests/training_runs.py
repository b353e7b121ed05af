"""A tiny net, pictures and a judge to train it with, for every test of the engine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vid2vid import checkpoint
from vid2vid.backbones.generator import CompactGenerator
from vid2vid.training import FitConfig, Score, Window

LOSSES = {"l1": 2.0, "gradient": 0.3, "temporal": 0.5}
ALL_LOSSES = {**LOSSES, "texture": 1.0, "grid": 1.0, "adversarial": 0.1}
SIDE = 32


def net(seed: int = 0, width: int = 8) -> CompactGenerator:
    torch.manual_seed(seed)
    return CompactGenerator(3, width=width, blocks=(1, 1))


class Pictures:
    """Smooth pictures whose target is darker and tinted: a global change that a few steps can learn."""

    def __init__(self, slots: int = 2, side: int = SIDE, stop_at: int | None = None, poison_at: int | None = None):
        self.slots, self.side, self.stop_at, self.poison_at = slots, side, stop_at, poison_at
        self.given: list[int] = []

    def start(self, step: int, rank: int = 0, world: int = 1) -> Iterator[Window]:
        while True:
            if step == self.stop_at:
                raise KeyboardInterrupt
            self.given.append(step)
            yield self.window(step, slice(rank, None, world))
            step += 1

    def window(self, step: int, slots: slice = slice(None)) -> Window:
        chance = torch.Generator().manual_seed(step)
        small = torch.rand(self.slots * 2, 3, 4, 4, generator=chance)
        large = torch.nn.functional.interpolate(small, size=(SIDE, self.side), mode="bilinear")
        source = large.view(self.slots, 2, 3, SIDE, self.side)
        flow = torch.randn(self.slots, 2, 2, SIDE, self.side, generator=chance)
        trust = torch.full((self.slots, 2, 1, SIDE, self.side), 0.6)
        target = source * torch.tensor([0.8, 0.6, 0.5])[:, None, None] + 0.05
        if step == self.poison_at:
            target[0, 0, 0, 0, 0] = float("nan")
        nothing = torch.zeros(self.slots, 2, 4, SIDE, self.side)
        return Window(*(tensor[slots] for tensor in (source, target, nothing, flow, trust)))


class Examiner:
    """A judge that gives what it is told to, after a while."""

    def __init__(self, *values: float, takes_s: float = 0.0, name: str = "st_lpips") -> None:
        self.values, self.takes_s, self.name = list(values), takes_s, name
        self.seen: list[dict[str, torch.Tensor]] = []

    def __call__(self, net: CompactGenerator) -> Score:
        assert not net.training and not torch.is_grad_enabled()
        torch.rand(3)
        self.seen.append({name: value.clone() for name, value in net.state_dict().items()})
        time.sleep(self.takes_s)
        sheet = np.full((4, 6, 3), (200, 100, 50), np.uint8)
        return Score({self.name: self.values[min(len(self.seen), len(self.values)) - 1], "psnr_db": 20.0}, sheet)


def config(steps: int | None, **changes: Any) -> FitConfig:
    usual = FitConfig(steps=steps or 1, learning_rate=2e-3, warmup_steps=5, precision="no", device="cpu", losses=LOSSES)
    return replace(usual, steps=steps, **changes)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def bits(folder: Path) -> dict[str, bytes]:
    """All that the newest checkpoint holds, but for the time that it took."""
    found = checkpoint.newest(folder)
    assert found is not None
    named = {path.name: path.read_bytes() for path in found.path.glob("*.safetensors")}
    facts = {name: value for name, value in found.facts.items() if name not in ("elapsed_s", "config", "scores")}
    return {**named, "facts": json.dumps(facts).encode(), "step": str(found.step).encode()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())

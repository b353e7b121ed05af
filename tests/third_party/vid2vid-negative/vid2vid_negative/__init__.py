"""A task as someone else would ship it: in a package of its own, knowing nothing but `vid2vid`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vid2vid import BackboneConfig, Conditions, Task

if TYPE_CHECKING:
    import torch

    from vid2vid import Chunk, Request


@dataclass(frozen=True)
class NegativeOptions:
    white: float = field(default=1.0, metadata={"help": "what black becomes"})


class Negative(Task[float]):
    name = "negative"
    summary = "Turns every picture into its negative."
    backbone = BackboneConfig(width=8, blocks=(1, 1))
    channels = {"source": 3}
    Options = NegativeOptions

    def setup(self, request: Request, device: torch.device) -> float:
        return float(request.options.white)

    def condition(self, chunk: Chunk, setup: float) -> Conditions:
        return Conditions(maps={"source": setup * (1 - chunk.frames)})


task = Negative()

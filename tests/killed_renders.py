"""Renders a clip over and over, kills each render at a random moment, and lets another go on from there.

Run as a program of its own: it forks before anything has started a thread, so that twenty renders need not each load
the model libraries.

    python killed_renders.py SOURCE FOLDER MOMENTS
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

import vid2vid
import vid2vid.backbones
import vid2vid.backbones.compact
import vid2vid.output
import vid2vid.pipeline
import vid2vid.provenance.watermark
from vid2vid import Chunk, Conditions, Request, Task
from vid2vid.config import BackboneConfig
from vid2vid.lesson import FittedGenerator

SEGMENT = 8


class Remembering(Task[dict[str, Any]]):
    """Everything that can remember does: the generator, its texture, the conditions, the composite."""

    name: ClassVar[str] = "remembering"
    summary: ClassVar[str] = "Looks back in every way there is."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(width=8, blocks=(1, 1))
    channels: ClassVar[Mapping[str, int]] = {"source": 3}

    def setup(self, request: Request, device: torch.device) -> dict[str, Any]:
        return {"seen": torch.zeros(3, 1, 1), "mean": None, "frames": 0}

    def generator(self, request: Request, setup: dict[str, Any], device: torch.device) -> FittedGenerator:
        torch.manual_seed(3)
        net = vid2vid.backbones.make_generator(self.backbone, self.channels)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, 0.0, 0.1)
        return FittedGenerator(net, self.backbone, self.channels)

    def condition(self, chunk: Chunk, setup: dict[str, Any]) -> Conditions:
        kept = []
        for frame in chunk.frames:
            setup["seen"] = 0.9 * setup["seen"] + 0.1 * frame.mean((1, 2), keepdim=True)
            kept.append((frame + setup["seen"]) / 2)
        return Conditions({"source": torch.stack(kept)})

    def composite(
        self, source: Chunk, generated: torch.Tensor, conditions: Conditions, setup: dict[str, Any]
    ) -> torch.Tensor:
        made = []
        for picture in generated:
            setup["mean"] = picture if setup["mean"] is None else 0.5 * (setup["mean"] + picture)
            setup["frames"] += 1
            made.append(setup["mean"])
        return torch.stack(made)

    def save_memory(self, setup: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"mean": setup["mean"], "frames": torch.tensor(setup["frames"])}

    def load_memory(self, setup: dict[str, Any], memory: Mapping[str, torch.Tensor]) -> None:
        setup["mean"], setup["frames"] = memory["mean"], int(memory["frames"])

    def report(self, setup: dict[str, Any]) -> dict[str, Any]:
        return {"composited": setup["frames"]}


class StopsAt(Remembering):
    """Fails, or does something else, when it comes to a frame."""

    def __init__(self, frame: int, act: Callable[[], None]) -> None:
        self.frame, self.act = frame, act

    def composite(self, source: Any, generated: Any, conditions: Any, setup: Any) -> Any:
        if source.start + source.length > self.frame:
            self.act()
        return super().composite(source, generated, conditions, setup)


def main() -> None:
    source, folder, moments = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    vid2vid.output.SEGMENT_FRAMES = (SEGMENT, SEGMENT)  # type: ignore[misc]
    whole = folder / "whole.mp4"
    began = time.perf_counter()
    wait(forked(lambda: render(source, whole)))
    took = time.perf_counter() - began
    chance = random.Random(7)
    told = [attempt(source, folder / f"killed_{n}.mp4", chance.uniform(0.15, 1.0) * took) for n in range(moments)]
    sys.stdout.write(json.dumps({"took": took, "told": told}) + "\n")


def attempt(source: Path, target: Path, delay_s: float) -> dict[str, Any]:
    """Kills a render after so many seconds and lets a second one end it."""
    child = forked(lambda: render(source, target))
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    lines = target.parent / f"{target.name}.v2v" / "journal.jsonl"
    kept = lines.read_bytes().count(b"\n") if lines.exists() else 0
    ended = target.exists()
    wait(forked(lambda: render(source, target)))
    report = json.loads(target.with_suffix(".report.json").read_text())
    told = {"resumed": report["resumed"], "composited": report["task_report"]["composited"]}
    return {"delay_s": delay_s, "kept": kept, "ended": ended, **told}


def render(source: Path, target: Path) -> None:
    vid2vid.translate(source, Remembering(), target, overwrite=True, progress=False, dtype="float32")


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait(child: int) -> None:
    status = os.waitpid(child, 0)[1]
    if status:
        raise SystemExit(f"a render that nobody killed ended with {status}")


if __name__ == "__main__":
    main()

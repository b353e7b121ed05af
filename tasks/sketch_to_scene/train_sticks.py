"""The recipe of the nets that read stick-men.

`python -m vid2vid_tasks.sketch_to_scene.train_sticks --motions DIR --output DIR`

Drawings are made as they are needed, from motion capture and random poses, in random styles; no drawing is seen twice.
Runs the same on a CPU and a GPU, and continues where it stopped, with other drawings.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch
from torch import nn

from vid2vid import checkpoint
from vid2vid.backbones.weights import save_weights
from vid2vid.conditions.stick_nets import Finder, Reader, finder_loss, joint_maps, reader_loss
from vid2vid.data.stick_scenes import StickStream
from vid2vid.data.workers import forked
from vid2vid.motion.capture import read_motion

_LOG = logging.getLogger(__name__)
WARM_UP = 200
SAVE_EVERY = 500
SAY_EVERY = 100
FINDER_EVERY = 2
"""The finder's task is the easier one: it learns at every other step."""


class Lesson:
    """Both nets, their optimiser and how far they are."""

    def __init__(self, steps: int, rate: float, device: torch.device) -> None:
        self.reader = Reader().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.finder = Finder().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.steps, self.rate, self.device, self.step = steps, rate, device, 0
        parameters = [*self.reader.parameters(), *self.finder.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-3)

    def learn(self, batch: tuple[torch.Tensor, ...]) -> dict[str, float]:
        """One step on one batch; gives the losses."""
        ink, joints, pictures, heads, sizes = (part.to(self.device) for part in batch)
        fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.step / self.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * min(1.0, (self.step + 1) / WARM_UP) * fall + 1e-6
        self.optimiser.zero_grad(set_to_none=True)
        losses = {"reader": reader_loss(self._run(self.reader, ink), joint_maps(joints))}
        if self.step % FINDER_EVERY == 0:
            losses["finder"] = finder_loss(self._run(self.finder, pictures), heads, sizes)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"The loss is not finite at step {self.step}; the last checkpoint is good.")
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for group in self.optimiser.param_groups for p in group["params"]], 20.0)
        self.optimiser.step()
        self.step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _run(self, net: nn.Module, ink: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16):
            output: torch.Tensor = net(ink.contiguous(memory_format=torch.channels_last))
        return output.float()

    def save(self, folder: Path) -> None:
        """Writes a checkpoint, and the weights as they are now beside it."""
        partial = checkpoint.begin(folder)
        checkpoint.write_tensors(partial, "reader", self.reader.state_dict())
        checkpoint.write_tensors(partial, "finder", self.finder.state_dict())
        checkpoint.write_tensors(partial, "optimiser", checkpoint.optimiser_tensors(self.optimiser))
        checkpoint.finish(folder, self.step, {})
        save_weights(self.reader, folder / "reader.safetensors")
        save_weights(self.finder, folder / "finder.safetensors")

    def resume(self, folder: Path) -> None:
        """Takes up the newest checkpoint, if there is one."""
        found = checkpoint.newest(folder) if folder.is_dir() else None
        if found is None:
            return
        self.reader.load_state_dict(found.tensors("reader"))
        self.finder.load_state_dict(found.tensors("finder"))
        checkpoint.restore_optimiser(self.optimiser, found.tensors("optimiser"))
        self.step = found.step


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--motions", type=Path, required=True, help="folder of humanoid3d_*.txt")
    parser.add_argument("--leave-out", nargs="*", default=[], help="motions that are only measured on, such as 'kick'")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and weights")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--scenes", type=int, default=12, help="drawings in a batch")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate at its highest")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    left_out = {f"humanoid3d_{name}" for name in given.leave_out}
    paths = [path for path in sorted(given.motions.glob("humanoid3d_*.txt")) if path.stem not in left_out]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lesson = Lesson(given.steps, given.rate, device)
    lesson.resume(given.output)
    stream = StickStream([read_motion(path, fps=24) for path in paths], given.scenes, given.seed + lesson.step)
    means: dict[str, float] = {}
    for batch in itertools.islice(forked(stream, given.workers), given.steps - lesson.step):
        for name, loss in lesson.learn(batch).items():
            means[name] = loss if name not in means else 0.98 * means[name] + 0.02 * loss
        if lesson.step % SAY_EVERY == 0:
            _LOG.info("step %d %s", lesson.step, {name: round(value, 3) for name, value in means.items()})
        if lesson.step % SAVE_EVERY == 0 or lesson.step == given.steps:
            lesson.save(given.output)


if __name__ == "__main__":
    main()

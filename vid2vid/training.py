"""Teaching a compact generator in closed loop, on accelerate.

Every slot of a batch continues its own clip on the generator's own last output, as it will at render time. Training on
true last frames instead gave stripes that ran away within six frames.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vid2vid.backbones.generator import CompactGenerator, Parts, sample_at
from vid2vid.backbones.texture import carried_places, look_up, make_tile, new_places
from vid2vid.errors import InvalidOption, NonFiniteOutput
from vid2vid.losses import HighPassDiscriminator, ShiftTolerantLPIPS, TextureLoss, gradient_loss

_LOG = logging.getLogger(__name__)
LOSS_NAMES: Final = frozenset({"l1", "gradient", "perceptual", "temporal", "texture", "adversarial"})


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How a generator is taught."""

    steps: int = 10_000
    """Optimiser steps in all; the learning rate follows a cosine to zero over them."""
    learning_rate: float = 4e-4
    """At 1e-3, with gradients clipped at 10, the loss rose fivefold after 300 steps."""
    warmup_steps: int = 200
    ema_decay: float = 0.998
    """Decay of the running mean of the weights that is kept in the end."""
    clip_norm: float = 1.0
    perceptual_crop: int = 64
    """Side of the random square that the perceptual loss looks at, on one random frame of half the slots, since looking
    at all would cost several times the generator. It joins every step, else clipping would weigh it down."""
    precision: str = "bf16"
    """`no`, `bf16` or `fp16`, as accelerate names them."""
    save_every_s: float = 240.0
    """Seconds between checkpoints."""
    seed: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    """Weight of each loss: l1, gradient, perceptual, temporal, texture, adversarial."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InvalidOption(f"steps={self.steps}: at least 1 is needed.")
        unknown = sorted(set(self.losses) - LOSS_NAMES)
        if unknown:
            raise InvalidOption(f"Unknown losses {', '.join(unknown)}; there are {', '.join(sorted(LOSS_NAMES))}.")


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


@dataclass(slots=True)
class Loop:
    """What one slot-wise closed loop carries from window to window."""

    output: Tensor | None = None
    target: Tensor | None = None
    places: Tensor | None = None
    frames: int = 0


def fit(net: CompactGenerator, windows: Iterable[Window], config: FitConfig, folder: Path) -> Path:
    """Teaches a generator and leaves its averaged weights in `folder`.

    Args:
        net: the generator, changed in place; it ends with its averaged weights.
        windows: endless source of windows on the CPU.
        config: see `FitConfig`.
        folder: takes `checkpoint/`, `weights.safetensors` and `log.jsonl`; a checkpoint found there is continued.

    Returns:
        The path of the weights.

    Raises:
        NonFiniteOutput: if the loss stops being finite; nothing is saved after that.
    """
    set_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    return _Fit(net, config, folder).run(iter(windows))


class _Parts(nn.Module):
    """Lets wrappers that call `forward` alone give a generator's parts."""

    def __init__(self, net: CompactGenerator) -> None:
        super().__init__()
        self.net = net

    def forward(self, maps: Tensor, reference: Tensor, history: Tensor, texture: Tensor) -> Parts:
        return self.net.parts(maps, reference, history, texture)


class _Fit:
    """One run of `fit`: the accelerator, the optimiser and the averaged weights."""

    def __init__(self, net: CompactGenerator, config: FitConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.accelerator = Accelerator(mixed_precision=config.precision)
        optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._rate)
        net = net.to(memory_format=torch.channels_last)
        self.net, self.optimiser, self.schedule = self.accelerator.prepare(_Parts(net), optimiser, schedule)
        self.plain = net
        self.averaged = {name: value.detach().clone() for name, value in net.state_dict().items()}
        weight = config.losses.get("perceptual", 0.0)
        self.perceptual = ShiftTolerantLPIPS("alex").to(self.accelerator.device) if weight else None
        self.adversary = (
            HighPassDiscriminator().to(self.accelerator.device) if config.losses.get("adversarial") else None
        )
        if self.adversary is not None:
            self.adversary_optimiser = torch.optim.AdamW(self.adversary.parameters(), lr=2e-4, betas=(0.5, 0.99))
        self.tile = make_tile().to(self.accelerator.device)
        self.texture = TextureLoss(self.tile[:, :-1, :-1]).to(self.accelerator.device)
        self.step = 0

    def _rate(self, step: int) -> float:
        warm = min(1.0, (step + 1) / self.config.warmup_steps)
        return warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / self.config.steps)))

    def run(self, windows: Iterator[Window]) -> Path:
        self._resume()
        loop, saved, sums = Loop(), time.monotonic(), dict[str, float]()
        while self.step < self.config.steps:
            parts = self._learn(next(windows), loop)
            self.step += 1
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) * 0.99 + 0.01 * value
            if self.step % 100 == 0:
                self._log(sums)
            if time.monotonic() - saved > self.config.save_every_s:
                self._save()
                saved = time.monotonic()
        self._save()
        self.plain.load_state_dict(self.averaged)
        return self.folder / "weights.safetensors"

    def _learn(self, window: Window, loop: Loop) -> dict[str, float]:
        device = self.accelerator.device
        window = Window(*(getattr(window, name).to(device) for name in Window.__slots__))
        total = torch.zeros((), device=device)
        parts: dict[str, float] = {}
        looks_at = int(torch.randint(window.target.shape[1], ()))
        for t in range(window.target.shape[1]):
            output, terms = self._frame(window, t, loop, t == looks_at)
            for name, value in terms.items():
                total = total + self.config.losses.get(name, 0.0) * value
                parts[name] = parts.get(name, 0.0) + float(value.detach()) / window.target.shape[1]
            loop.output, loop.target = output.detach().clamp(0.0, 1.0), window.target[:, t]
        if not torch.isfinite(total):
            raise NonFiniteOutput(
                f"The training loss became {float(total.detach())} at step {self.step}; the last checkpoint is kept."
            )
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(total)
        self.accelerator.clip_grad_norm_(self.net.parameters(), self.config.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        self._average()
        if self.adversary is not None and loop.output is not None:
            parts["discriminator"] = self._teach_adversary(loop.output, window.target[:, -1])
        return parts

    def _frame(self, window: Window, t: int, loop: Loop, perceptual: bool) -> tuple[Tensor, dict[str, Tensor]]:
        flow, trust, target = window.flow[:, t], window.trust[:, t], window.target[:, t]
        fresh = new_places(target, self.config.seed, loop.frames)
        if loop.output is None or loop.target is None or loop.places is None:
            loop.output, loop.target, loop.places = torch.zeros_like(target), torch.zeros_like(target), fresh
        history = torch.cat((sample_at(loop.output, flow), trust), 1)
        loop.places = carried_places(sample_at(loop.places, flow), trust, fresh)
        loop.frames += 1
        with self.accelerator.autocast():
            output, clean, amplitude = self.net(
                window.maps[:, t].contiguous(memory_format=torch.channels_last),
                window.reference[:, t],
                history,
                look_up(self.tile, loop.places),
            )
        before = sample_at(loop.target, flow)
        terms = {
            "l1": F.l1_loss(output, target),
            "gradient": gradient_loss(output, target),
            "texture": self.texture(clean, amplitude, target),
            "temporal": (trust * ((output - history[:, :3]) - (target - before)).abs()).mean(),
        }
        if perceptual and self.perceptual is not None:
            terms["perceptual"] = self._perceived(output, target)
        if self.adversary is not None:
            with self.accelerator.autocast():
                terms["adversarial"] = -self.adversary(output).float().mean()
        return output, terms

    def _perceived(self, output: Tensor, target: Tensor) -> Tensor:
        assert self.perceptual is not None
        chosen = torch.randperm(output.shape[0], device=output.device)[: (output.shape[0] + 1) // 2]
        rows, columns = _random_box(target.shape[-1], self.config.perceptual_crop)
        with self.accelerator.autocast():
            distance: Tensor = self.perceptual(output[chosen, :, rows, columns], target[chosen, :, rows, columns])
        return distance.float().mean()

    def _teach_adversary(self, made: Tensor, true: Tensor) -> float:
        assert self.adversary is not None
        with self.accelerator.autocast():
            loss = F.relu(1.0 + self.adversary(made)).mean() + F.relu(1.0 - self.adversary(true)).mean()
        self.adversary_optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.adversary_optimiser.step()
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.ema_decay, (1.0 + self.step) / (10.0 + self.step))
        for name, value in self.plain.state_dict().items():
            self.averaged[name].lerp_(value, 1.0 - decay)

    def _log(self, sums: Mapping[str, float]) -> None:
        scale = 1.0 - 0.99**self.step
        line = {"step": self.step, **{name: round(value / scale, 5) for name, value in sums.items()}}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        _LOG.info("%s", line)

    def _save(self) -> None:
        """Weights, optimiser and step in one new folder that takes the old one's place only when complete."""
        fresh, place, old = (self.folder / name for name in ("checkpoint.new", "checkpoint", "checkpoint.old"))
        for path in (fresh, old):
            _remove(path)
        fresh.mkdir()
        save_file(_packed(self.plain.state_dict()), fresh / "net.safetensors")
        save_file(_packed(self.averaged), fresh / "averaged.safetensors")
        torch.save(
            {"optimiser": self.optimiser.state_dict(), "schedule": self.schedule.state_dict()}, fresh / "optimiser.pt"
        )
        (fresh / "state.json").write_text(json.dumps({"step": self.step, "config": asdict(self.config)}, default=str))
        if place.exists():
            place.rename(old)
        fresh.rename(place)
        _remove(old)
        partial = self.folder / ".weights.partial"
        save_file(_packed(self.averaged), partial)
        partial.replace(self.folder / "weights.safetensors")

    def _resume(self) -> None:
        place = self.folder / "checkpoint"
        if not (place / "state.json").exists():
            return
        self.step = int(json.loads((place / "state.json").read_text())["step"])
        self.plain.load_state_dict(load_file(place / "net.safetensors"))
        self.averaged = load_file(place / "averaged.safetensors", device=str(self.accelerator.device))
        saved = torch.load(place / "optimiser.pt", map_location="cpu", weights_only=True)
        self.optimiser.load_state_dict(saved["optimiser"])
        self.schedule.load_state_dict(saved["schedule"])


def _packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors in plain memory order, which safetensors needs."""
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _random_box(size: int, side: int) -> tuple[slice, slice]:
    side = min(side, size)
    top, left = (int(torch.randint(0, size - side + 1, ())) for _ in range(2))
    return slice(top, top + side), slice(left, left + side)


def _remove(path: Path) -> None:
    if path.exists():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()


def parameters(net: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)

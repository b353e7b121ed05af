"""What a generator's output is compared by, window after window, while it works on its own last outputs.

Every slot of a batch continues its own clip on the generator's own last output, as it will at render time. Training on
true last frames instead gave stripes that ran away within six frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vid2vid.backbones.generator import CLOSINGS, CompactGenerator, Parts, closed, sample_at
from vid2vid.backbones.texture import carried_places, look_up, make_tile, new_places
from vid2vid.errors import InvalidOption
from vid2vid.fitting import FitConfig, Window
from vid2vid.losses import (
    HighPassDiscriminator,
    ShiftTolerantLPIPS,
    TextureLoss,
    closing_loss,
    gradient_loss,
    grid_loss,
)

_CARRIED: Final = ("output", "target", "places")


@dataclass(slots=True)
class Loop:
    """What one slot-wise closed loop carries from window to window."""

    output: Tensor | None = None
    target: Tensor | None = None
    places: Tensor | None = None
    frames: int = 0

    def tensors(self) -> dict[str, Tensor]:
        """What is carried, by name, slots first."""
        named = ((name, getattr(self, name)) for name in _CARRIED)
        return {name: value for name, value in named if value is not None}

    def restore(self, tensors: Mapping[str, Tensor], frames: int, device: torch.device) -> None:
        """Goes on from what `tensors` gave; other entries are ignored."""
        for name in _CARRIED:
            setattr(self, name, tensors[name].to(device) if name in tensors else None)
        self.frames = frames

    def check(self, target: Tensor) -> None:
        """Raises InvalidOption where the next frames cannot continue what is carried."""
        if self.target is not None and self.target.shape != target.shape:
            raise InvalidOption(
                f"The windows hold {tuple(target.shape)} values a frame, those before held {tuple(self.target.shape)}. "
                "Continue with the same batch and crop, or train into another folder."
            )


def dealt(parts: Sequence[Mapping[str, Tensor]], rank: int, world: int) -> dict[str, Tensor]:
    """Deals the slots that some processes carried out anew among `world` of them.

    Args:
        parts: of each earlier process, its slots r, r + n, ... of the batch.
        rank, world: whose share is wanted.
    """
    mine = {}
    for name in parts[0]:
        if name in _CARRIED:
            whole = parts[0][name].new_empty(sum(part[name].shape[0] for part in parts), *parts[0][name].shape[1:])
            for number, part in enumerate(parts):
                whole[number :: len(parts)] = part[name]
            mine[name] = whole[rank::world].contiguous()
    return mine


class ClosedLoop:
    """Runs a generator over windows and says how far its output is from the truth.

    Args:
        net: the generator, on `device`.
        config: weights of the losses, and what comes into the net.
        device: where windows are.
        autocast: gives the context in which networks run.
    """

    def __init__(
        self,
        net: CompactGenerator,
        config: FitConfig,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.net, self.config, self.autocast = net, config, autocast
        self.loop = Loop()
        weighted = {name for name, weight in config.losses.items() if weight}
        self.weighted = weighted - (set() if config.textured else {"texture"})
        self.perceptual = ShiftTolerantLPIPS("alex").to(device) if "perceptual" in weighted else None
        self.adversary: nn.Module | None = None
        if "adversarial" in weighted:
            self.adversary = HighPassDiscriminator().to(device)
            self.adversary_optimiser = torch.optim.AdamW(self.adversary.parameters(), lr=2e-4, betas=(0.5, 0.99))
        self.tile = make_tile().to(device)
        self.texture = TextureLoss(self.tile[:, :-1, :-1]).to(device)

    def losses(self, window: Window, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Runs over one window.

        Args:
            window: on the device.
            number: of the window in the run; random choices follow from it and the seed alone, so that a continued run
                and all processes make the same ones.

        Returns:
            The weighted sum to be made less, and its terms, each a mean over the frames and without gradient.
        """
        frames = window.target.shape[1]
        self.loop.check(window.target[:, 0])
        chance = np.random.default_rng((self.config.seed % 2**63, number))
        looks_at = int(chance.integers(frames)) if number % self.config.perceptual_every == 0 else -1
        box = _random_box(window.target.shape[-2:], self.config.perceptual_crop, chance)
        total = torch.zeros((), device=window.target.device)
        parts: dict[str, Tensor] = {}
        for t in range(frames):
            output, terms = self._frame(window, t, box if t == looks_at else None)
            for name, value in terms.items():
                total = total + self.config.losses.get(name, 0.0) * value
                parts[name] = parts.get(name, 0.0) + value.detach() / frames
            self.loop.output = output.detach().clamp(0.0, 1.0).contiguous()
            self.loop.target = window.target[:, t].contiguous()
        return total, parts

    def teach_adversary(
        self, target: Tensor, weight: float, average: Callable[[Iterable[nn.Parameter]], None]
    ) -> Tensor:
        """One step of the discriminator on the last output.

        Args:
            target: `(B, 3, H, W)` the true picture.
            weight: of this process's slots.
            average: averages gradients over the processes.

        Returns:
            The discriminator's loss.
        """
        assert self.adversary is not None and self.loop.output is not None
        with self.autocast():
            loss = F.relu(1.0 + self.adversary(self.loop.output)).mean() + F.relu(1.0 - self.adversary(target)).mean()
        self.adversary_optimiser.zero_grad(set_to_none=True)
        (loss * weight).backward()  # type: ignore[no-untyped-call]
        average(self.adversary.parameters())
        self.adversary_optimiser.step()
        return loss.detach().float()

    def _frame(self, window: Window, t: int, box: tuple[slice, slice] | None) -> tuple[Tensor, dict[str, Tensor]]:
        flow, trust, target = window.flow[:, t], window.trust[:, t], window.target[:, t]
        loop = self.loop
        if loop.output is None or loop.target is None:
            loop.output, loop.target = torch.zeros_like(target), torch.zeros_like(target)
        texture = self._texture(target, flow, trust) if self.config.textured else None
        loop.frames += 1
        history = None
        if self.config.recurrent or "temporal" in self.weighted:
            history = torch.cat((sample_at(loop.output, flow), trust), 1)
        with self.autocast():
            made = self.net.parts(
                window.maps[:, t].contiguous(memory_format=torch.channels_last),
                window.reference[:, t],
                history if self.config.recurrent else None,
                texture,
            )
        terms = self._compared(made, target, window.maps[:, t, :3])
        if "temporal" in self.weighted and history is not None:
            change = (made.picture - history[:, :3]) - (target - sample_at(loop.target, flow))
            terms["temporal"] = (trust * change.abs()).mean()
        if box is not None and self.perceptual is not None:
            with self.autocast():
                terms["perceptual"] = self.perceptual(made.picture[..., *box], target[..., *box]).float().mean()
        if self.adversary is not None:
            with self.autocast():
                terms["adversarial"] = -self.adversary(made.picture).float().mean()
        return made.picture, terms

    def _texture(self, target: Tensor, flow: Tensor, trust: Tensor) -> Tensor:
        """Noise at the places that the flow carried here."""
        fresh = new_places(target, self.config.seed, self.loop.frames)
        before = fresh if self.loop.places is None else self.loop.places
        self.loop.places = carried_places(sample_at(before, flow), trust, fresh).contiguous()
        return look_up(self.tile, self.loop.places)

    def _compared(self, made: Parts, target: Tensor, source: Tensor) -> dict[str, Tensor]:
        """Terms of one picture; all but the first cost time, so they are left out where they weigh nothing."""
        terms = {"l1": F.l1_loss(made.picture, target)}
        if "gradient" in self.weighted:
            terms["gradient"] = gradient_loss(made.picture, target)
        if "texture" in self.weighted:
            terms["texture"] = self.texture(made.clean, made.amplitude, target)
        if "grid" in self.weighted:
            terms["grid"] = grid_loss(made.picture, target, self.net.reduction)
        if "lines" in self.weighted:
            closings = [closed(source, side) for side in CLOSINGS]
            terms["lines"] = closing_loss(made.lines, source, closings, target)
        return terms


def _random_box(size: Sequence[int], side: int, chance: np.random.Generator) -> tuple[slice, slice]:
    """A random square within a picture; a shorter side where the picture is smaller."""
    rows, columns = (min(side, length) for length in size)
    top, left = int(chance.integers(size[0] - rows + 1)), int(chance.integers(size[1] - columns + 1))
    return slice(top, top + rows), slice(left, left + columns)

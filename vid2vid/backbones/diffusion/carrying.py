"""Latents carried from one window to the next.

At every denoising step the latents of the frames that two windows share are kept by the first and blended into the
second, which so comes to agree with what was made before it while it is still free to change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.family import Family


def fade(frames: int, device: torch.device | str = "cpu") -> Tensor:
    """`(frames,)`: the share of the new window in each shared frame, rising from near 0 to near 1."""
    return (torch.arange(frames, device=device, dtype=torch.float32) + 1.0) / (frames + 1.0)


@dataclass(slots=True)
class Carrier:
    """Hears every step of one window: blends what the window before left, keeps what the next one needs."""

    family: Family
    brief: Brief
    kept_from: int
    """Picture frame of the window at which the next window begins."""
    shared: int
    """Picture frames shared with the next window."""
    before: tuple[Tensor, ...] = ()
    """One tensor for each step, from the window before; empty at a shot's beginning."""
    kept: list[Tensor] = field(default_factory=list)
    """What the window after gets."""

    def __call__(self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """As `callback_on_step_end` of diffusers."""
        latents: Tensor = tensors["latents"]
        unpacked = self.family.unpacked(latents, self.brief)
        if step < len(self.before):
            unpacked = self._blended(unpacked, self.before[step])
            latents = self.family.packed(unpacked, latents)
        self.kept.append(self._tail(unpacked))
        return {**tensors, "latents": latents}

    def _first(self) -> int:
        """The first latent frame that both windows can have.

        Where latents stand for several pictures, the very first stands for a single one: the window before has no like.
        """
        return self.family.grid.offset

    def _blended(self, latents: Tensor, before: Tensor) -> Tensor:
        axis, lead, first = self.family.latent_axis, self.family.lead(self.brief), self._first()
        count = min(before.shape[axis], latents.shape[axis] - lead - first)
        if count <= 0:
            return latents
        old = before.narrow(axis, 0, count).to(latents.device, latents.dtype)
        new = latents.narrow(axis, lead + first, count)
        if old.shape != new.shape:
            return latents
        share = fade(before.shape[axis], latents.device)[:count].to(latents.dtype)
        share = share.reshape([-1 if k == axis else 1 for k in range(latents.ndim)])
        result = latents.clone()
        result.narrow(axis, lead + first, count).copy_(torch.lerp(old, new, share))
        return result

    def _tail(self, latents: Tensor) -> Tensor:
        """The latents of the frames that the next window shares, on the CPU."""
        axis, lead, grid = self.family.latent_axis, self.family.lead(self.brief), self.family.grid
        begin = lead + self.kept_from // grid.step + self._first()
        count = min(grid.latents(self.shared) - self._first(), latents.shape[axis] - begin) if self.shared else 0
        return latents.narrow(axis, min(begin, latents.shape[axis]), max(0, count)).detach().to("cpu").contiguous()

"""What the first window of a shot leaves for the later ones, so that colours and faces do not drift.

A model that carries on from its own last frames slowly walks away: a little more contrast in every window. What is held
here is not the first window's colours themselves, which change with what the shot shows, but how they relate to the
picture that the window started from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from vid2vid.types import Picture

GAIN: Final = (0.8, 1.25)
OFFSET: Final = 0.1
"""Limits of a correction: what lies beyond is taken for a change of the scene."""
_SIDE: Final = 64
_LEAST_DEVIATION: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Colours:
    """Mean and standard deviation of each channel."""

    mean: Tensor
    """`(3,)`."""
    deviation: Tensor
    """`(3,)`."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Of the first window of a shot."""

    made: Colours
    """Of its pictures."""
    began: Colours
    """Of what they started from."""
    picture: Picture
    """`(H, W, 3)` uint8: its first frame."""

    def tensors(self) -> Mapping[str, Tensor]:
        """As named tensors."""
        colours = torch.stack([self.made.mean, self.made.deviation, self.began.mean, self.began.deviation])
        return {"memory.colours": colours, "memory.picture": torch.from_numpy(self.picture).clone()}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> Memory | None:
        """What `tensors` gave; None where there is nothing."""
        if "memory.colours" not in tensors:
            return None
        rows = tensors["memory.colours"].unbind(0)
        return Memory(Colours(rows[0], rows[1]), Colours(rows[2], rows[3]), tensors["memory.picture"].numpy())


def remember(made: Tensor, began: Tensor, mask: Tensor | None) -> Memory:
    """The memory of a shot's first window.

    Args:
        made: `(T, 3, H, W)` in [0, 1].
        began: `(T, 3, H, W)`, what the window started from.
        mask: `(T, 1, H, W)`, where it was made; None for everywhere.
    """
    from vid2vid.composite import to_pictures

    return Memory(measure(made, mask), measure(began, mask), to_pictures(made[:1])[0])


def corrected(made: Tensor, began: Tensor, mask: Tensor | None, memory: Memory) -> Tensor:
    """A later window of the same shot, brought back to the first one's relation of colours.

    Args:
        made, began, mask: as for `remember`.
        memory: of the first window.

    Returns:
        `(T, 3, H, W)`; one gain and one offset a channel for the whole window, within narrow limits.
    """
    here, start = measure(made, mask), measure(began, mask)
    wanted_mean = start.mean + (memory.made.mean - memory.began.mean)
    spread = memory.made.deviation / memory.began.deviation.clamp_min(_LEAST_DEVIATION)
    gain = (start.deviation * spread / here.deviation.clamp_min(_LEAST_DEVIATION)).clamp(*GAIN)
    shift = (wanted_mean - here.mean).clamp(-OFFSET, OFFSET)
    shaped = [value.view(1, 3, 1, 1) for value in (here.mean, gain, shift)]
    return ((made - shaped[0]) * shaped[1] + shaped[0] + shaped[2]).clamp(0.0, 1.0)


def measure(frames: Tensor, mask: Tensor | None) -> Colours:
    """Colours of frames where the mask is 1; measured on small copies, so that noise does not count."""
    small = F.interpolate(frames, size=(_SIDE, _SIDE), mode="area")
    weight = torch.ones_like(small[:, :1]) if mask is None else F.interpolate(mask, size=(_SIDE, _SIDE), mode="area")
    total = weight.sum().clamp_min(1e-6)
    mean = (small * weight).sum((0, 2, 3)) / total
    spread = ((small - mean.view(1, 3, 1, 1)) ** 2 * weight).sum((0, 2, 3)) / total
    return Colours(mean, spread.sqrt())

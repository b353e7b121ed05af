"""What a U-Net saw of other pictures: self-attention that also looks at them.

Source:
    Feature bank of earlier frames for streams: Liang et al., "Looking Backward: Streaming Video-to-Video Translation
    with Feature Banks", 2024; there keys and values are banked and merged by likeness, here the inputs of the layers
    are kept, on a coarse grid, of one earlier frame, the shot's first and the references. References by attention:
    "reference-only" control of Zhang's ControlNet extension for Stable Diffusion, 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

Features = Mapping[str, Tensor]
"""`<step>.<layer>` -> `(B, N, C)`: what a layer was given at a denoising step, of one picture."""
_SELF: Final = ".attn1."
_LATE: Final = "up_blocks."
"""Only the decoder's layers look back: they hold what things look like, the earlier ones where they are."""
_ONE: Final = "transformer_blocks.0."
"""Of the layers that SDXL stacks at one place, the first: the others would multiply memory by ten."""
MOST_PLACES: Final = 1024
"""Places of another picture that a layer looks at: those of 512x512 one level down. More are averaged four to one, or
what a frame leaves for the next, which is also kept with a render that may be continued, would take 90 MB a step."""


class FeatureBank:
    """The meeting point of a U-Net's self-attention layers with what they saw before. Lives as long as its model.

    Args:
        net: a U-Net of diffusers; its decoder's self-attention is listened to from now on.
    """

    def __init__(self, net: Any) -> None:
        self.step = 0
        """Of the picture that is being made."""
        self.seen: dict[str, Tensor] = {}
        """What the layers were given of this picture so far."""
        self._shown: tuple[Features, ...] = ()
        self._size = (1, 1)
        own = net.attn_processors
        net.set_attn_processor(
            {name: _LookingBack(one, name, self) if _listens(name) else one for name, one in own.items()}
        )

    def begin(self, shown: Sequence[Features], size: tuple[int, int]) -> None:
        """Starts a new picture of `size`, height and width, in which the layers also look at these others."""
        self.step, self.seen, self._shown, self._size = 0, {}, tuple(shown), size

    def extended(self, layer: str, own: Tensor) -> Tensor | None:
        """A layer's input followed by those of the other pictures; None where there are none."""
        key = f"{self.step}.{layer}"
        self.seen[key] = coarser(own, self._size)
        others = [features[key].to(own.device, own.dtype) for features in self._shown if key in features]
        fitting = [other for other in others if other.shape[0] == own.shape[0]]
        if not fitting:
            return None
        return torch.cat((own, *fitting), 1)


class _LookingBack:
    """A processor of diffusers whose self-attention takes keys and values from other pictures as well."""

    def __init__(self, inner: Any, layer: str, bank: FeatureBank) -> None:
        self._inner, self._bank = inner, bank
        self._layer = layer.removesuffix(".processor")

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *rest: Any, **words: Any
    ) -> Tensor:
        if encoder_hidden_states is None:
            encoder_hidden_states = self._bank.extended(self._layer, hidden_states)
        made: Tensor = self._inner(attn, hidden_states, encoder_hidden_states, *rest, **words)
        return made


def coarser(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Averages places four to one until there are no more than `MOST_PLACES`.

    Args:
        values: `(B, N, C)`, the places of a picture row by row.
        size: its height and width in any unit: only their ratio counts.

    Returns:
        `(B, M, C)`; the values themselves where they are few, or where their grid cannot be told.
    """
    batch, places, channels = values.shape
    rows = round((places * size[0] / size[1]) ** 0.5)
    if places <= MOST_PLACES or rows < 1 or places % rows:
        return values
    grid = values.transpose(1, 2).reshape(batch, channels, rows, places // rows)
    while grid.shape[-1] * grid.shape[-2] > MOST_PLACES:
        grid = F.avg_pool2d(grid, 2, ceil_mode=True)
    return grid.flatten(2).transpose(1, 2).contiguous()


def _listens(name: str) -> bool:
    return name.startswith(_LATE) and _SELF in name and _ONE in name

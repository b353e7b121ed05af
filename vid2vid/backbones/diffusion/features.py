"""What a U-Net saw of other pictures: self-attention that also looks at them.

Source:
    Feature bank of earlier frames for streams: Liang et al., "Looking Backward: Streaming Video-to-Video Translation
    with Feature Banks", 2024; there keys and values are banked and merged by likeness, here the inputs of the layers
    are kept as they are, of one earlier frame, the shot's first and the references. References by attention alone:
    "reference-only" control of Zhang's ControlNet extension for Stable Diffusion, 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

Features = Mapping[str, Tensor]
"""`<step>.<layer>` -> `(B, N, C)`: what a layer was given at a denoising step, of one picture."""
_SELF: Final = ".attn1."
_LATE: Final = "up_blocks."
"""Only the decoder's layers look back: they hold what things look like, the earlier ones where they are."""


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
        own = net.attn_processors
        net.set_attn_processor(
            {name: _LookingBack(one, name, self) if _listens(name) else one for name, one in own.items()}
        )

    def begin(self, shown: Sequence[Features]) -> None:
        """Starts a new picture, in which the layers also look at these others."""
        self.step, self.seen, self._shown = 0, {}, tuple(shown)

    def extended(self, layer: str, own: Tensor) -> Tensor | None:
        """A layer's input followed by those of the other pictures; None where there are none."""
        key = f"{self.step}.{layer}"
        self.seen[key] = own
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


def _listens(name: str) -> bool:
    return name.startswith(_LATE) and _SELF in name

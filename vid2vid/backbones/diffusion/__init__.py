"""Pretrained diffusion models as backbones: `build_diffusion()` loads one, and only then is diffusers imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from vid2vid.backbones.base import Backbone
    from vid2vid.backbones.diffusion.options import DiffusionOptions
    from vid2vid.config import NumberFormat


def build_diffusion(
    backbone: str,
    options: DiffusionOptions,
    *,
    device: torch.device,
    dtype: NumberFormat,
    controls: Mapping[str, str] | None = None,
    prompt: str = "",
    size: tuple[int, int] | None = None,
) -> Backbone[Any]:
    """Loads a model and makes the backbone that runs it: windows, or a stream for image models.

    Args:
        backbone: `diffusers:<hub id or folder>[@revision]`.
        options: how it is to run.
        device, dtype: where and in what numbers.
        controls: control kind, `mask` or `plate` -> name of the task's condition map.
        prompt: what the task says where the call gives none.
        size: height and width it will run at.

    Raises:
        ModelError: the model is missing, damaged, unsafe or of a kind that no family runs.
        InvalidOption: an option that the family cannot follow.
    """
    from vid2vid.backbones.diffusion.loading import load_model
    from vid2vid.backbones.diffusion.windows import DiffusionBackbone

    model = load_model(backbone, options, device=device, dtype=dtype, controls=controls, prompt=prompt, size=size)
    return model.family.stream(model) or DiffusionBackbone(model)

"""Briefs of smooth random pictures, and tiny models loaded to be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from vid2vid.backbones.diffusion.brief import Brief
from vid2vid.backbones.diffusion.loading import Model, load_model
from vid2vid.backbones.diffusion.options import DiffusionOptions


def blobs(frames: int, seed: int, side: int) -> torch.Tensor:
    """`(T, 3, side, side)` in [0, 1]: soft blobs, other ones for every seed."""
    coarse = torch.rand(frames, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(side, side), mode="bilinear")


def picture(seed: int, side: int = 48) -> np.ndarray:
    return (blobs(1, seed, side)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def half(frames: int, side: int, *, left: bool = True) -> torch.Tensor:
    """A mask over one half of every frame."""
    mask = torch.zeros(frames, 1, side, side)
    mask[..., : side // 2] = 1.0
    return mask if left else 1.0 - mask


def loaded(folder: Path, **options: Any) -> Model:
    asked = DiffusionOptions(**options)
    return load_model(f"diffusers:{folder}", asked, device=torch.device("cpu"), dtype="float32", size=(64, 64))


def brief(frames: int, side: int, **changes: Any) -> Brief:
    """Everything that any family takes; a single control clip, of the kind that `control` names."""
    control = changes.pop("control", "line_art")
    words: dict[str, Any] = {
        "video": blobs(frames, 1, side),
        "source": blobs(frames, 2, side),
        "controls": {control: blobs(frames, 3, side), "face": blobs(frames, 4, side)},
        "control": control,
        "mask": half(frames, side),
        "plate": blobs(frames, 5, side),
        "references": (picture(6),),
        "prompt": "a photograph of a brown rabbit",
        "negative_prompt": "blurry",
        "strength": 0.7,
        "steps": 2,
        "guidance": 4.0,
    }
    return Brief(**{**words, **changes})

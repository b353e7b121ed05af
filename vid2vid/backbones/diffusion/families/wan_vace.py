"""Wan VACE (2.1 with one network, 2.2 with two): control clips, masks, references and finished frames in one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import torch

from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.pictures import to_image, to_images

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.backbones.diffusion.brief import Brief

MOST_REFERENCES: Final = 3
"""More were not in the model's training."""


class WanVace(Family):
    """What is masked is made from the control clip, the rest is given, and so are frames that are finished already."""

    name: ClassVar[str] = "wan_vace"
    pipelines: ClassVar[Mapping[str, str]] = {"WanVACEPipeline": "WanVACEPipeline"}
    takes: ClassVar[frozenset[str]] = frozenset(
        {"video", "prompt", "negative_prompt", "references", "mask", "pose", "line_art", "depth", "known"}
    )
    grid: ClassVar[Grid] = Grid(window=81, step=4, offset=1, overlap=17)
    multiple_of: ClassVar[int] = 16
    recommended: ClassVar[Settings] = Settings(
        steps=30, guidance=5.0, strength=1.0, width=832, height=480, memory_mb=9500
    )
    exact_parts: ClassVar[tuple[str, ...]] = ("vae",)
    control_kinds: ClassVar[tuple[str, ...]] = ("line_art", "pose", "depth")
    keeps_first: ClassVar[bool] = True
    from_noise: ClassVar[bool] = True

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """The control clip inside the mask, the window's picture outside, and references."""
        video, mask = given(brief)
        references = [to_image(picture) for picture in brief.references[-MOST_REFERENCES:]]
        return {
            "video": to_images(video),
            "mask": to_images(mask),
            "reference_images": references or None,
            "conditioning_scale": brief.control_scale,
            "num_frames": brief.length,
            **self.usual(brief),
        }

    def lead(self, brief: Brief) -> int:
        """One latent frame for each reference."""
        return min(len(brief.references), MOST_REFERENCES)


def given(brief: Brief) -> tuple[Tensor, Tensor]:
    """The clip that VACE looks at and which part of it is to be made.

    Returns:
        `(T, 3, H, W)`: the control clip where the mask is 1 (without one, the window's own picture), what is to be kept
        where it is 0; `(T, 1, H, W)` of 0 and 1.
    """
    control = brief.leading_control()
    control = brief.video if control is None else control
    mask = torch.ones_like(brief.video[:, :1]) if brief.mask is None else (brief.mask > 0.5).float()
    video = torch.where(mask > 0.5, control, brief.video)
    if brief.known is not None:
        count = brief.known.shape[0]
        video, mask = video.clone(), mask.clone()
        video[:count], mask[:count] = brief.known, 0.0
    return video, mask

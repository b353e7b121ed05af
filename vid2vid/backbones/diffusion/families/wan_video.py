"""Wan 2.1 and 2.2, video to video: the clip's own latents, noised as far as `denoise` says, are denoised again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.pictures import to_images
from vid2vid.backbones.diffusion.strength import whole_strength

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief


class WanVideo(Family):
    """Starts from the window's picture; text-to-video models are loaded the same way, from the same parts."""

    name: ClassVar[str] = "wan_video"
    pipelines: ClassVar[Mapping[str, str]] = {
        "WanVideoToVideoPipeline": "WanVideoToVideoPipeline",
        "WanPipeline": "WanVideoToVideoPipeline",
    }
    takes: ClassVar[frozenset[str]] = frozenset({"video", "prompt", "negative_prompt"})
    grid: ClassVar[Grid] = Grid(window=81, step=4, offset=1, overlap=17)
    multiple_of: ClassVar[int] = 16
    recommended: ClassVar[Settings] = Settings(
        steps=30, guidance=5.0, strength=0.6, width=832, height=480, memory_mb=8200
    )
    exact_parts: ClassVar[tuple[str, ...]] = ("vae",)

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """The clip, the prompt, and how far from the clip."""
        height, width = brief.size
        return {
            "video": to_images(brief.video),
            "prompt": brief.prompt,
            "negative_prompt": brief.negative_prompt,
            "height": height,
            "width": width,
            "strength": whole_strength(brief),
            "num_inference_steps": brief.steps,
            "guidance_scale": brief.guidance,
        }

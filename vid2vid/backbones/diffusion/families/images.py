"""Still-image models: Stable Diffusion 1.5 and 2, SDXL, their few-step kin (turbo, LCM), with a ControlNet or without.

They run as streams, frame by frame; see `vid2vid.backbones.diffusion.streaming`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import torch

from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.further import load_part, shown_references
from vid2vid.backbones.diffusion.pictures import to_images
from vid2vid.backbones.diffusion.strength import whole_strength
from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    from vid2vid.backbones.base import Backbone
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.loading import Model
    from vid2vid.backbones.diffusion.options import DiffusionOptions

FEW: Final = Settings(steps=4, guidance=1.0, strength=0.5, width=512, height=512, memory_mb=4000)
"""For models distilled to one to four steps, which are not guided: two steps a frame at this strength."""
_LED: Final[Mapping[str, str]] = {
    "StableDiffusionImg2ImgPipeline": "StableDiffusionControlNetImg2ImgPipeline",
    "StableDiffusionXLImg2ImgPipeline": "StableDiffusionXLControlNetImg2ImgPipeline",
}
"""Class -> the one with a ControlNet."""
_LCM_GUIDANCE: Final = 8.0
"""Latent consistency models that are told the guidance they were distilled with, as their authors use them."""


class Images(Family):
    """Image-to-image, frame by frame."""

    name: ClassVar[str] = "images"
    pipelines: ClassVar[Mapping[str, str]] = {
        "StableDiffusionPipeline": "StableDiffusionImg2ImgPipeline",
        "StableDiffusionImg2ImgPipeline": "StableDiffusionImg2ImgPipeline",
        "StableDiffusionXLPipeline": "StableDiffusionXLImg2ImgPipeline",
        "StableDiffusionXLImg2ImgPipeline": "StableDiffusionXLImg2ImgPipeline",
        "StableDiffusionControlNetPipeline": "StableDiffusionControlNetImg2ImgPipeline",
        "StableDiffusionControlNetImg2ImgPipeline": "StableDiffusionControlNetImg2ImgPipeline",
        "StableDiffusionXLControlNetPipeline": "StableDiffusionXLControlNetImg2ImgPipeline",
        "StableDiffusionXLControlNetImg2ImgPipeline": "StableDiffusionXLControlNetImg2ImgPipeline",
        "LatentConsistencyModelPipeline": "LatentConsistencyModelImg2ImgPipeline",
        "LatentConsistencyModelImg2ImgPipeline": "LatentConsistencyModelImg2ImgPipeline",
    }
    takes: ClassVar[frozenset[str]] = frozenset(
        {"video", "prompt", "negative_prompt", "references", "line_art", "pose", "depth"}
    )
    grid: ClassVar[Grid] = Grid(window=1, overlap=0)
    multiple_of: ClassVar[int] = 8
    recommended: ClassVar[Settings] = Settings(
        steps=20, guidance=6.0, strength=0.5, width=512, height=512, memory_mb=4000
    )
    control_kinds: ClassVar[tuple[str, ...]] = ("line_art", "pose", "depth")

    def takes_with(self, pipe: Any) -> frozenset[str]:
        """See `Family`: controls only where there is a ControlNet."""
        return self.takes if has_control(pipe) else self.takes - set(self.control_kinds)

    def recommended_with(self, pipe: Any) -> Settings:
        """See `Family`: few steps for models that were distilled to few."""
        guided_inside = pipe.unet.config.time_cond_proj_dim is not None
        if not (guided_inside or _takes_few_steps(pipe.scheduler)):
            return self.recommended
        guidance = _LCM_GUIDANCE if guided_inside else FEW.guidance
        return Settings(FEW.steps, guidance, FEW.strength, FEW.width, FEW.height, FEW.memory_mb)

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`: T pictures as one batch. Pipelines that take no control or no negative prompt get none."""
        height, width = brief.size
        control = brief.leading_control()
        words = {
            "prompt": [brief.prompt] * brief.length,
            "negative_prompt": [brief.negative_prompt] * brief.length,
            "image": to_images(brief.video),
            "control_image": to_images(torch.zeros_like(brief.video) if control is None else control),
            "controlnet_conditioning_scale": 0.0 if control is None else brief.control_scale,
            "strength": whole_strength(brief),
            "num_inference_steps": brief.steps,
            "guidance_scale": brief.guidance,
            "height": height,
            "width": width,
        }
        words |= shown_references(pipe, brief)
        known = inspect.signature(type(pipe).__call__).parameters
        return {name: value for name, value in words.items() if name in known}

    def pipeline(self, found: str, options: DiffusionOptions) -> str:
        """See `Family`.

        Raises:
            InvalidOption: a ControlNet is named for a kind of model that takes none.
        """
        own = self.pipelines[found]
        if options.controlnet is None or "ControlNet" in own:
            return own
        if own not in _LED:
            raise InvalidOption(f"controlnet={options.controlnet!r}: a {found} takes none. Leave it out.")
        return _LED[own]

    def parts(self, options: DiffusionOptions, dtype: torch.dtype) -> dict[str, Any]:
        """See `Family`."""
        if options.controlnet is None:
            return {}
        return {"controlnet": load_part("ControlNetModel", "controlnet", options.controlnet, dtype)}

    def loaded(self, pipe: Any, options: DiffusionOptions) -> None:
        """See `Family`: SDXL's autoencoder overflows in float16 only; elsewhere it need not change its numbers twice a
        frame.
        """
        if pipe.vae.dtype != torch.float16 and pipe.vae.config.get("force_upcast"):
            pipe.vae.register_to_config(force_upcast=False)

    def stream(self, model: Model) -> Backbone[Any] | None:
        """See `Family`."""
        from vid2vid.backbones.diffusion.streaming import ImageStream

        return ImageStream(model)


def has_control(pipe: Any) -> bool:
    """Whether a pipeline has a ControlNet."""
    return getattr(pipe, "controlnet", None) is not None


def _takes_few_steps(scheduler: Any) -> bool:
    """LCM's own scheduler, or steps counted from the noisy end, as turbo and lightning models have them set."""
    return "LCM" in type(scheduler).__name__ or scheduler.config.get("timestep_spacing") == "trailing"

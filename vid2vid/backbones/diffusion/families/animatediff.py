"""AnimateDiff: a still-image model with motion layers, from video to video, alone or led by a ControlNet.

What a ControlNet was trained on stands in no file of the model; `control=` of the call names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import torch

from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.further import has_ip_adapter, load_part, shown_references
from vid2vid.backbones.diffusion.pictures import to_images
from vid2vid.backbones.diffusion.strength import whole_strength
from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.options import DiffusionOptions

SPARSE_EVERY: Final = 4
"""Every so many frames SparseCtrl is shown its control; in between the motion layers fill in."""

_TRAINED_WITH: Final = {
    "beta_schedule": "linear",
    "clip_sample": False,
    "timestep_spacing": "linspace",
    "steps_offset": 1,
}
"""Of AnimateDiff's motion modules, as their authors give it."""


class AnimateDiff(Family):
    """Video-to-video: the frames are noised and denoised together. The motion layers know up to 32 frames."""

    name: ClassVar[str] = "animatediff"
    pipelines: ClassVar[Mapping[str, str]] = {
        "AnimateDiffVideoToVideoPipeline": "AnimateDiffVideoToVideoPipeline",
        "AnimateDiffPipeline": "AnimateDiffVideoToVideoPipeline",
    }
    takes: ClassVar[frozenset[str]] = frozenset({"video", "prompt", "negative_prompt"})
    grid: ClassVar[Grid] = Grid(window=16, overlap=4)
    multiple_of: ClassVar[int] = 8
    recommended: ClassVar[Settings] = Settings(
        steps=25, guidance=7.5, strength=0.6, width=512, height=512, memory_mb=7000
    )
    latent_axis: ClassVar[int] = 1
    control_class: ClassVar[str] = "ControlNetModel"

    def takes_with(self, pipe: Any) -> frozenset[str]:
        """See `Family`: references where there is an IP-Adapter."""
        return self.takes | ({"references"} if has_ip_adapter(pipe) else frozenset())

    def parts(self, options: DiffusionOptions, dtype: torch.dtype) -> dict[str, Any]:
        """See `Family`."""
        named = {"motion_adapter": ("MotionAdapter", options.motion_adapter)}
        named["controlnet"] = (self.control_class, options.controlnet)
        return {name: load_part(kind, name, where, dtype) for name, (kind, where) in named.items() if where is not None}

    def loaded(self, pipe: Any, options: DiffusionOptions) -> None:
        """See `Family`: still-image models bring the scheduler of stills; motion modules were trained with another.

        Raises:
            InvalidOption: the window is longer than the motion layers know.
        """
        most = int(pipe.unet.config.motion_max_seq_length)
        if options.window is not None and options.window > most:
            raise InvalidOption(f"window={options.window}: this model's motion layers know {most} frames at most.")
        if options.motion_adapter is not None:
            import diffusers

            kind: Any = diffusers.DDIMScheduler
            pipe.scheduler = kind.from_config(pipe.scheduler.config, **_TRAINED_WITH)

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`. All frames go through the encoder at once, so that each finds its own noise there too."""
        return {
            "video": to_images(brief.video),
            "strength": whole_strength(brief),
            "decode_chunk_size": brief.length,
            **shown_references(pipe, brief),
            **self.usual(brief),
        }

    def unpacked(self, latents: Tensor, brief: Brief) -> Tensor:
        """(B, C, F, H, W) as (B, F, C, H, W): in this order the pipeline draws its noise."""
        return latents.transpose(1, 2)

    def packed(self, latents: Tensor, like: Tensor) -> Tensor:
        """See `Family`."""
        return latents.transpose(1, 2)


class AnimateDiffControlNet(AnimateDiff):
    """Video-to-video led by a ControlNet; folders for text alone hold the same parts and are run like it."""

    name: ClassVar[str] = "animatediff_controlnet"
    pipelines: ClassVar[Mapping[str, str]] = {
        "AnimateDiffVideoToVideoControlNetPipeline": "AnimateDiffVideoToVideoControlNetPipeline",
        "AnimateDiffControlNetPipeline": "AnimateDiffVideoToVideoControlNetPipeline",
    }
    takes: ClassVar[frozenset[str]] = AnimateDiff.takes | {"line_art", "pose", "depth"}
    recommended: ClassVar[Settings] = Settings(
        steps=25, guidance=7.5, strength=0.8, width=512, height=512, memory_mb=9000
    )
    control_kinds: ClassVar[tuple[str, ...]] = ("line_art", "pose", "depth")

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`."""
        control, scale = _control(brief)
        return {
            **super().arguments(pipe, brief),
            "conditioning_frames": to_images(control),
            "controlnet_conditioning_scale": scale,
        }


class AnimateDiffSparse(AnimateDiff):
    """SparseCtrl: starts from noise and is shown its control at every fourth frame and at the last.

    The two published models take scribbles (line art) or the pictures themselves (`rgb`). Which one it is shows in
    its configuration: the one for pictures embeds them by the autoencoder.
    """

    name: ClassVar[str] = "animatediff_sparse"
    pipelines: ClassVar[Mapping[str, str]] = {
        "AnimateDiffSparseControlNetPipeline": "AnimateDiffSparseControlNetPipeline"
    }
    takes: ClassVar[frozenset[str]] = AnimateDiff.takes | {"line_art"}
    recommended: ClassVar[Settings] = Settings(
        steps=25, guidance=7.5, strength=1.0, width=512, height=512, memory_mb=9000
    )
    control_kinds: ClassVar[tuple[str, ...]] = ("line_art",)
    latent_axis: ClassVar[int] = 2
    control_class: ClassVar[str] = "SparseControlNetModel"
    from_noise: ClassVar[bool] = True

    def takes_with(self, pipe: Any) -> frozenset[str]:
        """See `Family`: either the pictures or their lines."""
        return super().takes_with(pipe) - ({"line_art"} if _shown_pictures(pipe) else {"video"})

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`."""
        control, scale = (brief.video, brief.control_scale) if _shown_pictures(pipe) else _control(brief)
        shown = sorted({*range(0, brief.length, SPARSE_EVERY), brief.length - 1})
        return {
            "num_frames": brief.length,
            "conditioning_frames": to_images(control[shown]),
            "controlnet_frame_indices": shown,
            "controlnet_conditioning_scale": scale,
            **shown_references(pipe, brief),
            **self.usual(brief),
        }

    @contextmanager
    def calling(self, pipe: Any, brief: Brief) -> Iterator[None]:
        """See `Family`: the pipeline encodes control pictures with noise of no seed; here they are encoded without."""
        pipe.prepare_image = partial(_encoded_control, pipe)
        try:
            yield
        finally:
            del pipe.prepare_image

    def unpacked(self, latents: Tensor, brief: Brief) -> Tensor:
        """See `Family`; unlike its siblings this pipeline draws its noise in the order of its latents."""
        return latents

    def packed(self, latents: Tensor, like: Tensor) -> Tensor:
        """See `Family`."""
        return latents


def _control(brief: Brief) -> tuple[Tensor, float]:
    """The control clip and its scale; without one a black clip that counts for nothing."""
    control = brief.leading_control()
    return (torch.zeros_like(brief.source), 0.0) if control is None else (control, brief.control_scale)


def _encoded_control(
    pipe: Any, pictures: list[Image], width: int, height: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Control pictures as `(1, C, F, h, w)`: as they are in [0, 1], or as latents."""
    frames: Tensor = pipe.control_image_processor.preprocess(pictures, height=height, width=width).to(device, dtype)
    if _shown_pictures(pipe):
        frames = pipe.vae.encode(2.0 * frames - 1.0).latent_dist.mode() * pipe.vae.config.scaling_factor
    return frames.transpose(0, 1).unsqueeze(0)


def _shown_pictures(pipe: Any) -> bool:
    return bool(pipe.controlnet.config.use_simplified_condition_embedding)

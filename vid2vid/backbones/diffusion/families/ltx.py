"""LTX-Video: starts from the noised clip; finished frames of the window before are given as a condition at frame 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.pictures import to_images
from vid2vid.backbones.diffusion.strength import whole_strength

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.options import DiffusionOptions

_LONGEST_TEXT: Final = 256


class Ltx(Family):
    """LTX-Video 0.9.x. 8k + 1 frames, sides in multiples of 32; finished frames stand in their places as they are."""

    name: ClassVar[str] = "ltx"
    pipelines: ClassVar[Mapping[str, str]] = {
        "LTXConditionPipeline": "LTXConditionPipeline",
        "LTXPipeline": "LTXConditionPipeline",
    }
    takes: ClassVar[frozenset[str]] = frozenset({"video", "prompt", "negative_prompt", "known"})
    grid: ClassVar[Grid] = Grid(window=97, step=8, offset=1, overlap=17, least=9)
    multiple_of: ClassVar[int] = 32
    recommended: ClassVar[Settings] = Settings(
        steps=30, guidance=3.0, strength=0.7, width=704, height=480, memory_mb=22000
    )
    latent_axis: ClassVar[int] = 2
    carries_latents: ClassVar[bool] = False

    def loaded(self, pipe: Any, options: DiffusionOptions) -> None:
        """See `Family`: the pipeline gives its scheduler finished noise levels; that of older models (0.9.0, 0.9.1)
        would shift them once more, and does not know how far.
        """
        if pipe.scheduler.config.get("use_dynamic_shifting"):
            unshifted = {"use_dynamic_shifting": False, "shift_terminal": None}
            pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **unshifted)

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`."""
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        made = known_frames(self.grid, brief)
        strength = whole_strength(brief)
        return {
            "conditions": None if made is None else [LTXVideoCondition(video=to_images(made), frame_index=0)],
            # Noise on the frames known would come from the call's generator, not from the frames.
            "image_cond_noise_scale": 0.0,
            "latents": None if strength >= 1.0 else pipe._normalize_latents(*_encoded(pipe, brief.video)),
            "denoise_strength": strength,
            "num_frames": brief.length,
            "max_sequence_length": min(_LONGEST_TEXT, int(pipe.tokenizer.model_max_length)),
            **self.usual(brief),
            **decoding(pipe),
        }


def known_frames(grid: Grid, brief: Brief) -> Tensor | None:
    """The finished first frames, `(8k + 1, 3, H, W)`, as many as fill whole latent frames; None without any."""
    if brief.known is None or not brief.known.shape[0]:
        return None
    return brief.known[: grid.offset + (brief.known.shape[0] - grid.offset) // grid.step * grid.step]


def encode(pipe: Any, frames: Tensor) -> Tensor:
    """`(T, 3, H, W)` in [0, 1] as latents `(1, C, F, h, w)` of the model's autoencoder, not normalised."""
    vae = pipe.vae
    clip = pipe.video_processor.preprocess_video(to_images(frames), *frames.shape[-2:])
    latents: Tensor = vae.encode(clip.to(pipe._execution_device, vae.dtype)).latent_dist.mode()
    return latents.float()


def _encoded(pipe: Any, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Latents with the mean and the deviation that normalise them."""
    latents = encode(pipe, frames)
    return latents, pipe.vae.latents_mean.to(latents), pipe.vae.latents_std.to(latents)


def decoding(pipe: Any) -> dict[str, Any]:
    """Decoders that were taught to clean up want a little noise to clean up; the amounts are the authors'."""
    if not pipe.vae.config.timestep_conditioning:
        return {}
    return {"decode_timestep": 0.05, "decode_noise_scale": 0.025}

"""LTX-2: from the noised clip with finished frames as a condition, and in context, led by a control clip.

Both make sound along with the pictures; it is dropped, since a task decides on sound.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import torch

from vid2vid.backbones.diffusion.families.ltx import decoding, encode, known_frames
from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.noise import places_of
from vid2vid.backbones.diffusion.pictures import to_image, to_images
from vid2vid.backbones.diffusion.strength import steps_left

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.backbones.diffusion.brief import Brief

_FIRST_DRAW: Final = 0
"""Number of the draw of noise that a window starts from."""


class Ltx2(Family):
    """LTX-2 with conditions. 8k + 1 frames, sides in multiples of 32."""

    name: ClassVar[str] = "ltx2"
    pipelines: ClassVar[Mapping[str, str]] = {
        "LTX2ConditionPipeline": "LTX2ConditionPipeline",
        "LTX2Pipeline": "LTX2ConditionPipeline",
    }
    takes: ClassVar[frozenset[str]] = frozenset({"video", "prompt", "negative_prompt", "known"})
    grid: ClassVar[Grid] = Grid(window=121, step=8, offset=1, overlap=17, least=9)
    multiple_of: ClassVar[int] = 32
    recommended: ClassVar[Settings] = Settings(
        steps=30, guidance=3.0, strength=0.7, width=768, height=512, memory_mb=80000
    )
    latent_axis: ClassVar[int] = 2
    carries_latents: ClassVar[bool] = False

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`.

        The pipeline's own way to start draws noise for the whole row of tokens at once. Here the noised latents are
        made before, frame by frame, and the pipeline is told to add none.
        """
        from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

        made = known_frames(self.grid, brief)
        sigmas = np.linspace(1.0, 1.0 / brief.steps, brief.steps)[-steps_left(brief) :]
        tokens = self._frame_tokens(brief) * (self.grid.latents(brief.length) + self.appended(brief))
        return {
            "conditions": None if made is None else [LTX2VideoCondition(frames=to_images(made), index=0, crf=0)],
            "latents": self._start(pipe, brief, _first_sigma(pipe, sigmas, tokens)),
            "noise_scale": 0.0,
            "sigmas": sigmas.tolist(),
            **self.usual(brief),
            "num_frames": brief.length,
            "num_inference_steps": len(sigmas),
            # Two more passes a step: one is for models with a skipped block of their own, one for the sound.
            "stg_scale": 0.0,
            "modality_scale": 1.0,
            "audio_guidance_scale": 1.0,
            "audio_stg_scale": 0.0,
            "audio_modality_scale": 1.0,
            "max_sequence_length": min(1024, int(pipe.tokenizer.model_max_length)),
            **decoding(pipe),
        }

    @contextmanager
    def calling(self, pipe: Any, brief: Brief) -> Iterator[None]:
        """See `Family`: gives the sound a scheduler of its own.

        The copy that the pipeline makes of a scheduler that is listened to would count its steps on the original.
        """
        own = pipe.audio_scheduler
        pipe.audio_scheduler = own or copy.deepcopy(pipe.scheduler)
        try:
            yield
        finally:
            pipe.audio_scheduler = own

    def appended(self, brief: Brief) -> int:
        """Latent frames that the pipeline puts behind those of the window."""
        return 0

    def _frame_tokens(self, brief: Brief) -> int:
        height, width = brief.size
        return (height // self.multiple_of) * (width // self.multiple_of)

    def _start(self, pipe: Any, brief: Brief, sigma: float) -> Tensor:
        """The clip's latents at a level of noise, as the pipeline wants them: before it normalises them."""
        vae, (height, width) = pipe.vae, brief.size
        shape = (
            1,
            pipe.transformer.config.in_channels,
            self.grid.latents(brief.length),
            height // self.multiple_of,
            width // self.multiple_of,
        )
        noise = places_of(self, brief).draw(shape, _FIRST_DRAW).to(pipe._execution_device)
        mean, deviation = (value.to(noise).view(1, -1, 1, 1, 1) for value in (vae.latents_mean, vae.latents_std))
        scale = float(vae.config.scaling_factor)
        if sigma < 1.0:
            clip = (encode(pipe, brief.video) - mean) * scale / deviation
            noise = torch.lerp(clip, noise, sigma)
        start: Tensor = noise * deviation / scale + mean
        return start


class Ltx2InContext(Ltx2):
    """LTX-2 in context: a control clip is laid beside the noise, for the IC-LoRA named by `lora=` to read.

    Without a control clip it is shown the pictures themselves. References follow as single pictures.
    """

    name: ClassVar[str] = "ltx2_in_context"
    pipelines: ClassVar[Mapping[str, str]] = {"LTX2InContextPipeline": "LTX2InContextPipeline"}
    takes: ClassVar[frozenset[str]] = Ltx2.takes | {"references", "line_art", "pose", "depth"}
    recommended: ClassVar[Settings] = Settings(
        steps=30, guidance=3.0, strength=1.0, width=768, height=512, memory_mb=80000
    )
    control_kinds: ClassVar[tuple[str, ...]] = ("pose", "depth", "line_art")

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`."""
        from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition

        control = brief.leading_control()
        shown = [to_images(brief.video if control is None else control)]
        shown += [[to_image(picture)] for picture in brief.references]
        return {
            **super().arguments(pipe, brief),
            "reference_conditions": [LTX2ReferenceCondition(frames=frames) for frames in shown],
            "conditioning_attention_strength": min(1.0, brief.control_scale),
        }

    def appended(self, brief: Brief) -> int:
        """See `Ltx2`."""
        return self.grid.latents(brief.length) + len(brief.references)


def _first_sigma(pipe: Any, sigmas: Any, tokens: int) -> float:
    """The level of noise at which the pipeline's scheduler begins with these sigmas, after its own shift."""
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import calculate_shift

    scheduler = copy.deepcopy(pipe.scheduler)
    known = scheduler.config
    shift = calculate_shift(
        tokens,
        known.get("base_image_seq_len", 1024),
        known.get("max_image_seq_len", 4096),
        known.get("base_shift", 0.95),
        known.get("max_shift", 2.05),
    )
    scheduler.set_timesteps(sigmas=sigmas.tolist(), mu=shift)
    return float(scheduler.sigmas[0])

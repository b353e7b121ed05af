"""The contract of a family of diffusion pipelines, and how a model's own description finds its family.

A family is one stateless object. It says what its models can use and turns a `Brief` into the arguments of a diffusers
pipeline; windows, noise, carrying from window to window, memory and loading are shared code.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vid2vid.backbones.base import Backbone
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.loading import Model
    from vid2vid.backbones.diffusion.options import DiffusionOptions

TAKES: Final = frozenset(
    {"video", "prompt", "negative_prompt", "references", "mask", "plate", "pose", "line_art", "depth", "face", "known"}
)
"""All that a family may say it takes; the names are those of `Brief`'s fields and control kinds."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Lengths that a model takes: `offset + step * k` frames."""

    window: int
    """Frames of a window where the call says nothing; itself on the grid."""
    step: int = 1
    """Picture frames that one latent frame stands for."""
    offset: int = 0
    """1 where the first latent frame stands for a single picture."""
    overlap: int = 1
    """Frames shared by neighbouring windows; on the grid as well."""
    least: int = 1
    """Fewest frames."""

    def fit(self, frames: int) -> int:
        """The smallest length on the grid that is at least `frames` and at least `least`."""
        wanted = max(frames, self.least)
        return self.offset + -(-(wanted - self.offset) // self.step) * self.step

    def floor(self, frames: int) -> int:
        """The largest length on the grid that is at most `frames`, but at least `least`."""
        below = self.offset + (frames - self.offset) // self.step * self.step
        return max(below, self.fit(self.least))

    def latents(self, frames: int) -> int:
        """Latent frames of so many picture frames, which lie on the grid. Latent j begins at picture `step * j`."""
        return self.offset + (frames - self.offset) // self.step


@dataclass(frozen=True, slots=True)
class Settings:
    """What a family's authors recommend; the call's own options go before."""

    steps: int
    guidance: float
    strength: float = 0.8
    """Ignored by families that always start from noise."""
    width: int = 512
    height: int = 512
    """Size the models were trained at, for the table of the documentation and for notes."""
    memory_mb: int = 0
    """Of an accelerator, whole model in bfloat16 at that size and window, as published or computed; 0 if unknown."""


class Family(ABC):
    """What one family of pipelines takes and how it is called. Stateless."""

    name: ClassVar[str]
    """Short name for reports and documentation."""
    pipelines: ClassVar[Mapping[str, str]]
    """Class name in a model's `model_index.json` -> name of the diffusers class that is loaded for it."""
    takes: ClassVar[frozenset[str]]
    """Of `TAKES`. What a call asks for beyond this is said in the report, or refused where it was asked explicitly."""
    grid: ClassVar[Grid]
    multiple_of: ClassVar[int] = 16
    """Height and width must be multiples of this."""
    recommended: ClassVar[Settings]
    latent_axis: ClassVar[int] = 2
    """Axis of the frames in the noise that the pipeline draws: 2 of (B, C, F, H, W), 1 of (B, F, C, H, W)."""
    carries_latents: ClassVar[bool] = True
    """Whether latents of shared frames are blended from window to window; not where finished frames stand there."""
    keeps_first: ClassVar[bool] = False
    """Whether the first picture of a shot goes along as a further reference in later windows, against drift."""
    exact_parts: ClassVar[tuple[str, ...]] = ()
    """Parts that stay in float32 whatever the number format, such as a VAE that overflows in others."""
    control_kinds: ClassVar[tuple[str, ...]] = ()
    """Of `pose`, `line_art`, `depth`: what may lead as control clip, the preferred kind first."""

    from_noise: ClassVar[bool] = False
    """Whether it always starts from noise, so that `denoise` says nothing."""

    @abstractmethod
    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """The pipeline's call arguments, without `generator`, `callback_on_step_end` and `output_type`.

        The pipeline is called with `output_type="pt"`, or "np" where `output_type` says so.
        """

    output_type: ClassVar[str] = "pt"

    @staticmethod
    def usual(brief: Brief) -> dict[str, Any]:
        """Arguments that every pipeline takes by the same names."""
        height, width = brief.size
        return {
            "prompt": brief.prompt,
            "negative_prompt": brief.negative_prompt,
            "height": height,
            "width": width,
            "num_inference_steps": brief.steps,
            "guidance_scale": brief.guidance,
        }

    def takes_with(self, pipe: Any) -> frozenset[str]:
        """What this very model takes, where that depends on its parts."""
        return self.takes

    def recommended_with(self, pipe: Any) -> Settings:
        """What is recommended for this very model, where that depends on how it was trained."""
        return self.recommended

    def lead(self, brief: Brief) -> int:
        """Latent frames that the pipeline puts before those of the window, such as those of references."""
        return 0

    def unpacked(self, latents: Tensor, brief: Brief) -> Tensor:
        """Latents of a step in a form whose axis `latent_axis` counts frames; the default is the latents themselves."""
        return latents

    def packed(self, latents: Tensor, like: Tensor) -> Tensor:
        """The opposite of `unpacked`; `like` is what it was given."""
        return latents.reshape(like.shape)

    def calling(self, pipe: Any, brief: Brief) -> AbstractContextManager[None]:
        """Entered around each call of the pipeline, for families that have to change its ways for one window."""
        return nullcontext()

    def pictures(self, output: Any) -> Tensor:
        """`(T, 3, H, W)` float32 in [0, 1] on the CPU, from what the pipeline gave back."""
        from vid2vid.backbones.diffusion.pictures import to_frames

        return to_frames(output.frames)

    def pipeline(self, found: str, options: DiffusionOptions) -> str:
        """The diffusers class to load for what `model_index.json` names, together with the parts that a call names.

        What a call names may make a model one of this family that does not say so itself.
        """
        return self.pipelines.get(found) or next(iter(self.pipelines.values()))

    def kind(self, found: str, options: DiffusionOptions) -> Any:
        """The class to load, of diffusers or made from one of its own."""
        import diffusers

        return getattr(diffusers, self.pipeline(found, options))

    def parts(self, options: DiffusionOptions, dtype: torch.dtype) -> dict[str, Any]:
        """Further parts for `from_pretrained` that the call names, such as a motion adapter or a ControlNet.

        Raises:
            InvalidOption: the family takes no such part.
        """
        for option in ("controlnet", "motion_adapter", "ip_adapter"):
            value = getattr(options, option)
            if value is not None:
                raise InvalidOption(f"{option}={value!r}: {self.name} takes no such part. Leave it out.")
        return {}

    def loaded(self, pipe: Any, options: DiffusionOptions) -> None:  # noqa: B027  # most families need nothing
        """Sets a freshly loaded pipeline up, where the family needs more than the shared code does."""

    def stream(self, model: Model) -> Backbone[Any] | None:
        """A causal backbone of the family's own (image models as streams); None for those that work in windows.

        Such a backbone has `window` 1 and `overlap` 0, is given `Conditions.motion`, and may have `report()`.
        """
        return None


_FAMILIES: Final[Mapping[str, tuple[str, str]]] = {
    "animatediff": ("animatediff", "AnimateDiff"),
    "animatediff_controlnet": ("animatediff", "AnimateDiffControlNet"),
    "animatediff_sparse": ("animatediff", "AnimateDiffSparse"),
    "wan_vace": ("wan_vace", "WanVace"),
    "wan_video": ("wan_video", "WanVideo"),
    "wan_animate": ("wan_animate", "WanAnimate"),
    "cogvideox": ("cogvideox", "CogVideoX"),
    "cogvideox_control": ("cogvideox", "CogVideoXControl"),
    "ltx": ("ltx", "Ltx"),
    "ltx2": ("ltx2", "Ltx2"),
    "ltx2_in_context": ("ltx2", "Ltx2InContext"),
    "images": ("images", "Images"),
}
"""Name -> module in `families`, class in it. Modules are imported when asked for."""

_PIPELINES: Final[Mapping[str, str]] = {
    "AnimateDiffVideoToVideoPipeline": "animatediff",
    "AnimateDiffPipeline": "animatediff",
    "AnimateDiffVideoToVideoControlNetPipeline": "animatediff_controlnet",
    "AnimateDiffControlNetPipeline": "animatediff_controlnet",
    "AnimateDiffSparseControlNetPipeline": "animatediff_sparse",
    "WanVACEPipeline": "wan_vace",
    "WanVideoToVideoPipeline": "wan_video",
    "WanPipeline": "wan_video",
    "WanAnimatePipeline": "wan_animate",
    "CogVideoXVideoToVideoPipeline": "cogvideox",
    "CogVideoXPipeline": "cogvideox",
    "CogVideoXFunControlPipeline": "cogvideox_control",
    "LTXConditionPipeline": "ltx",
    "LTXPipeline": "ltx",
    "LTX2ConditionPipeline": "ltx2",
    "LTX2Pipeline": "ltx2",
    "LTX2InContextPipeline": "ltx2_in_context",
    "StableDiffusionPipeline": "images",
    "StableDiffusionImg2ImgPipeline": "images",
    "StableDiffusionXLPipeline": "images",
    "StableDiffusionXLImg2ImgPipeline": "images",
    "StableDiffusionControlNetPipeline": "images",
    "StableDiffusionControlNetImg2ImgPipeline": "images",
    "StableDiffusionXLControlNetPipeline": "images",
    "StableDiffusionXLControlNetImg2ImgPipeline": "images",
    "LatentConsistencyModelPipeline": "images",
    "LatentConsistencyModelImg2ImgPipeline": "images",
}
"""Class name in `model_index.json` -> family; kept here so that families can be told without importing them."""


def family_names() -> tuple[str, ...]:
    """All families, in the order of the documentation."""
    return tuple(_FAMILIES)


def pipeline_names() -> tuple[str, ...]:
    """Class names of pipelines that some family runs."""
    return tuple(_PIPELINES)


def family_of(pipeline: str, options: DiffusionOptions | None = None) -> Family | None:
    """The family that runs the pipeline class of this name, with the parts that a call names; None without any."""
    name = _PIPELINES.get(pipeline)
    if options is not None:
        name = _with_parts(name, options)
    return None if name is None else get_family(name)


def _with_parts(name: str | None, options: DiffusionOptions) -> str | None:
    """What a family becomes by the parts that a call names."""
    from vid2vid.backbones.diffusion.further import class_of_part

    if name == "images" and options.motion_adapter is not None:
        name = "animatediff"
    if name == "animatediff" and options.controlnet is not None:
        sparse = class_of_part(options.controlnet) == "SparseControlNetModel"
        return "animatediff_sparse" if sparse else "animatediff_controlnet"
    # Models for in-context control are published as a LoRA beside the model they belong to.
    led = options.lora is not None and options.control not in ("auto", "none")
    return "ltx2_in_context" if name == "ltx2" and led else name


def get_family(name: str) -> Family:
    """The family of this name, as `family_names` gives them."""
    module, kind = _FAMILIES[name]
    family: Family = getattr(importlib.import_module(f"vid2vid.backbones.diffusion.families.{module}"), kind)()
    return family

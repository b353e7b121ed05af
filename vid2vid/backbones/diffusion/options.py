"""Options that a call gives a diffusion model, beside the task's own. Importing this module loads no model library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class DiffusionOptions:
    """What `translate(..., backbone="diffusers:...")` takes beside the task's own options."""

    negative_prompt: str | None = field(default=None, metadata={"help": "what the picture must not show"})
    steps: int | None = field(default=None, metadata={"help": "denoising steps; none takes what the family recommends"})
    guidance: float | None = field(default=None, metadata={"help": "how strongly the prompt binds; 1 is without"})
    denoise: float | None = field(
        default=None, metadata={"help": "how far the model may leave the picture it starts from, above 0 and up to 1"}
    )
    control: Literal["auto", "none", "pose", "line_art", "depth"] = field(
        default="auto", metadata={"help": "which control clip leads; auto: the task's own, then the family's first"}
    )
    control_scale: float = field(default=1.0, metadata={"help": "how strongly controls bind, 0 to 2"})
    window: int | None = field(default=None, metadata={"help": "frames a window; rounded down to the model's grid"})
    overlap: int | None = field(default=None, metadata={"help": "frames that neighbouring windows share"})
    offload: Literal["auto", "none", "model", "sequential"] = field(
        default="auto", metadata={"help": "what waits in main memory; auto decides by what the accelerator has free"}
    )
    compile: bool = field(default=False, metadata={"help": "torch.compile of the network"})
    quantise: Literal["none", "int8", "nf4", "fp8"] = field(
        default="none", metadata={"help": "weights in fewer bits; needs bitsandbytes or torchao"}
    )
    variant: str | None = field(default=None, metadata={"help": "variant of the weights' files, such as fp16"})
    revision: str | None = field(default=None, metadata={"help": "commit of the hub's repository"})
    motion_adapter: str | None = field(
        default=None, metadata={"help": "hub id or folder of an AnimateDiff motion adapter, for still-image models"}
    )
    controlnet: str | None = field(
        default=None, metadata={"help": "hub id or folder of a ControlNet, or of SparseCtrl for clips"}
    )
    ip_adapter: str | None = field(
        default=None, metadata={"help": "folder of an IP-Adapter, to show references to Stable Diffusion"}
    )
    depth_model: str | None = field(
        default=None, metadata={"help": "hub id or folder of the model that control='depth' is drawn with"}
    )
    lora: str | None = field(default=None, metadata={"help": "folder or file of LoRA weights (safetensors)"})

    def __post_init__(self) -> None:
        _check(self.steps is None or self.steps >= 1, f"steps={self.steps}: at least 1 is needed.")
        _check(self.guidance is None or 0.0 <= self.guidance <= 50.0, f"guidance={self.guidance}: 0 to 50 is needed.")
        _check(self.denoise is None or 0.0 < self.denoise <= 1.0, f"denoise={self.denoise}: above 0, up to 1.")
        _check(0.0 <= self.control_scale <= 2.0, f"control_scale={self.control_scale}: 0 to 2 is needed.")
        _check(self.window is None or self.window >= 1, f"window={self.window}: at least 1 is needed.")
        _check(self.overlap is None or self.overlap >= 0, f"overlap={self.overlap}: at least 0 is needed.")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)

"""Fitting a model into a machine: number formats, slicing, tiling, offload, fewer bits, compilation; and what it needs.

Convention:
    What a model needs is computed from its files: weights in the number format wanted, plus what a window takes while
    it runs, which published figures put near `WINDOW_BYTES` for every pixel of every frame (Wan 2.1 1.3B: 81 frames of
    832x480 in 8.2 GB, of which 2.7 are weights). It is an estimate and is said to be one.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from vid2vid.backbones.diffusion.location import check_safetensors
from vid2vid.errors import EngineUnavailable

if TYPE_CHECKING:
    import torch

    from vid2vid.backbones.diffusion.family import Family
    from vid2vid.backbones.diffusion.location import Index
    from vid2vid.backbones.diffusion.options import DiffusionOptions
    from vid2vid.config import NumberFormat

_LOG = logging.getLogger(__name__)
WINDOW_BYTES: Final = 170
_MB: Final = 1e6
_SHARE: Final = 0.9
"""Of the free memory, what a plan may use."""
_BYTES: Final[Mapping[str, float]] = {
    "float32": 4.0,
    "bfloat16": 2.0,
    "float16": 2.0,
    "int8": 1.1,
    "fp8": 1.1,
    "nf4": 0.6,
}
"""Of one weight; fewer bits carry their scales."""
_NETWORKS: Final = ("transformer", "transformer_2", "unet")
_SEQUENTIAL_MB: Final = 600.0
"""What sequential offload holds of weights at a time, about."""

Offload = Literal["none", "model", "sequential"]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model takes, in MB, without the window."""

    whole_mb: float
    """All weights at once."""
    largest_mb: float
    """The largest part, for whole-part offload."""
    stored_mb: float
    """On disk."""

    def with_window(self, offload: Offload, frames: int, height: int, width: int) -> float:
        """MB of the accelerator while a window runs."""
        weights = {"none": self.whole_mb, "model": self.largest_mb, "sequential": _SEQUENTIAL_MB}[offload]
        return min(weights, self.whole_mb) + frames * height * width * WINDOW_BYTES / _MB


def needs_of(folder: Path, index: Index, dtype: NumberFormat, quantise: str = "none") -> Needs:
    """What a model takes, from the headers of its files."""
    sizes, stored = [], 0.0
    for part in index.parts:
        files = list((folder / part).glob("*.safetensors")) if (folder / part).is_dir() else []
        size = float(sum(check_safetensors(path) for path in files))
        fewer = quantise if quantise != "none" and part in _NETWORKS else dtype
        stored += size
        sizes.append(size / _stored_bytes(files) * _BYTES[fewer])
    return Needs(sum(sizes) / _MB, max(sizes, default=0.0) / _MB, stored / _MB)


def _stored_bytes(files: list[Path]) -> float:
    """Bytes of one weight as stored: of the first tensor with more than one axis."""
    from safetensors import safe_open

    for path in files:
        with safe_open(path, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118  (no mapping: it cannot be iterated)
                part = opened.get_slice(name)
                if len(part.get_shape()) > 1:
                    return 2.0 if part.get_dtype() in ("F16", "BF16") else 1.0 if "8" in part.get_dtype() else 4.0
    return 4.0


def choose_offload(wanted: str, device: torch.device, needs: Needs, window: tuple[int, int, int]) -> Offload:
    """What waits in main memory.

    Args:
        wanted: the option; `auto` goes by what the accelerator has free.
        device: where the model runs; on a CPU nothing can wait elsewhere.
        needs: of the model.
        window: frames, height, width.
    """
    if device.type != "cuda":
        return "none"
    if wanted != "auto":
        return wanted  # type: ignore[return-value]  # options are checked where they are made
    import torch

    free_mb = _SHARE * torch.cuda.mem_get_info(device)[0] / _MB
    choices: tuple[Offload, ...] = ("none", "model", "sequential")
    return next((choice for choice in choices if needs.with_window(choice, *window) <= free_mb), "sequential")


def family_needs(family: Family) -> tuple[float, float]:
    """MB of an accelerator that a family's usual model takes at its usual size in bfloat16: whole, and offloaded."""
    usual = family.recommended
    window = family.grid.window * usual.height * usual.width * WINDOW_BYTES / _MB
    return max(float(usual.memory_mb), window), window + _SEQUENTIAL_MB


def number_formats(dtype: torch.dtype, exact: tuple[str, ...]) -> Any:
    """As `from_pretrained` takes them: one for all, or some parts in float32."""
    import torch

    return {"default": dtype, **dict.fromkeys(exact, torch.float32)} if exact and dtype != torch.float32 else dtype


def quantisation(options: DiffusionOptions) -> dict[str, Any]:
    """Arguments of `from_pretrained` for weights in fewer bits.

    Raises:
        EngineUnavailable: the package that does it is not installed.
    """
    if options.quantise not in ("int8", "nf4"):
        return {}
    if importlib.util.find_spec("bitsandbytes") is None:
        raise EngineUnavailable(
            f"quantise={options.quantise!r} needs bitsandbytes: pip install bitsandbytes. quantise='fp8' needs nothing."
        )
    from diffusers.quantizers.pipe_quant_config import PipelineQuantizationConfig

    backend = "bitsandbytes_8bit" if options.quantise == "int8" else "bitsandbytes_4bit"
    bits: dict[str, Any] = {"load_in_8bit": True} if options.quantise == "int8" else {"load_in_4bit": True}
    if options.quantise == "nf4":
        bits["bnb_4bit_quant_type"] = "nf4"
    config = PipelineQuantizationConfig(
        quant_backend=backend, quant_kwargs=bits, components_to_quantize=list(_NETWORKS[:2])
    )
    return {"quantization_config": config}


def settle(pipe: Any, options: DiffusionOptions, device: torch.device, dtype: torch.dtype, offload: Offload) -> None:
    """Puts a loaded pipeline where it is to run, and makes it small and quick as asked."""
    import torch

    pipe.set_progress_bar_config(disable=True)
    if options.quantise == "fp8":
        for network in networks(pipe):
            network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)
    vae = getattr(pipe, "vae", None)
    for name in ("enable_slicing", "enable_tiling"):
        # Some VAEs have one of the two, some none; either changes only how much is held at a time.
        if vae is not None and hasattr(vae, name) and device.type == "cuda":
            with suppress(NotImplementedError):
                getattr(vae, name)()
    if offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)
    if options.compile:
        _compile(pipe)


def networks(pipe: Any) -> list[Any]:
    """The parts that denoise."""
    parts = (getattr(pipe, name, None) for name in _NETWORKS)
    return [part for part in parts if part is not None]


def _compile(pipe: Any) -> None:
    from platformdirs import user_cache_path

    # The default is a folder in /tmp that every user of a machine shares.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(user_cache_path("vid2vid") / "inductor"))
    for network in networks(pipe):
        network.compile()

"""LoRA adapters: a few small matrices beside a pretrained model's attention, which are all that a training changes.

A file of adapters holds `<part>.<module>.lora_A.weight` and `.lora_B.weight`, as diffusers names them, and says in its
header what it is. For rendering they are added to the model's own weights, which costs nothing per step and needs no
further package.

Source:
    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021: W + B A, the scale taken into B.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from vid2vid.backbones.diffusion.location import check_safetensors
from vid2vid.errors import BadWeights, EngineUnavailable, InvalidOption, WeightsMismatch

if TYPE_CHECKING:
    from torch import Tensor, nn

FORM: Final = "vid2vid adapter 1"
PARTS: Final = ("unet", "controlnet", "transformer", "transformer_2")
"""Parts of pipelines that bear adapters, where they are there."""
ADAPTED: Final = ("to_q", "to_k", "to_v", "to_out.0")
"""Endings of the modules that get one: the projections of every attention."""
_NAME: Final = "default"
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


def bearing(pipe: Any) -> dict[str, nn.Module]:
    """The parts of a pipeline that bear adapters, by name."""
    parts = {name: getattr(pipe, name, None) for name in PARTS}
    return {name: part for name, part in parts.items() if isinstance(part, torch.nn.Module)}


def put_in(pipe: Any, rank: int, seed: int) -> None:
    """Freezes a pipeline and puts adapters into it that change nothing yet.

    Args:
        pipe: a loaded diffusers pipeline, changed in place.
        rank: columns of the small matrices.
        seed: of their start.

    Raises:
        EngineUnavailable: the package peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise EngineUnavailable("Training adapters needs peft: pip install 'vid2vid[lora]'.") from error
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in bearing(pipe).values():
            config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ADAPTED), init_lora_weights="gaussian")
            inject_adapter_in_model(config, part, adapter_name=_NAME)
    for _, parameter in parameters(pipe):
        parameter.data = parameter.data.float()


def parameters(pipe: Any) -> Iterator[tuple[str, nn.Parameter]]:
    """Names, as in a file, and values of the adapters in a pipeline, in one order on every machine."""
    for name, part in bearing(pipe).items():
        for path, module in part.named_modules():
            down = getattr(module, "lora_A", None)
            if down is not None and _NAME in down:
                yield f"{name}.{path}{_DOWN}", down[_NAME].weight
                yield f"{name}.{path}{_UP}", module.lora_B[_NAME].weight


def is_adapter(path: Path) -> bool:
    """Whether a safetensors file says that it holds adapters of this form."""
    return read_header(path).get("form") == FORM


def read_header(path: Path) -> Mapping[str, str]:
    """What a safetensors file says of itself."""
    from safetensors import safe_open

    check_safetensors(path)
    with safe_open(path, "pt") as opened:
        return dict(opened.metadata() or {})


@dataclass(slots=True, eq=False)
class Adapters:
    """The adapters of one model apart from it, as `save_weights` writes them."""

    values: Mapping[str, Tensor]
    form: str = FORM

    def state_dict(self) -> dict[str, Any]:
        """Values by name."""
        return dict(self.values)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Keeps nothing: these are values, not a network."""


def taken_out(pipe: Any) -> Adapters:
    """The adapters in a pipeline, copied."""
    return Adapters({name: value.detach().cpu().clone() for name, value in parameters(pipe)})


def read_adapters(path: Path) -> dict[str, Tensor]:
    """Values by name.

    Raises:
        CorruptWeights, WeightsMismatch, BadWeights: the file is damaged, holds something else or values that are not
            finite.
    """
    from safetensors.torch import load_file

    if not is_adapter(path):
        raise WeightsMismatch(f"'{path}' holds no adapters that vid2vid wrote. Train or copy it again.")
    found = load_file(path)
    names = {name.removesuffix(_DOWN).removesuffix(_UP) for name in found}
    for name in sorted(names):
        down, up = found.get(name + _DOWN), found.get(name + _UP)
        if down is None or up is None or down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1]:
            raise WeightsMismatch(f"'{path}': '{name}' is no pair of small matrices. Train or copy it again.")
        if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
            raise BadWeights(f"'{path}': '{name}' holds values that are not finite. Train or copy it again.")
    return found


@torch.no_grad()
def merge(pipe: Any, path: Path) -> int:
    """Adds a file's adapters to a pipeline's weights.

    Args:
        pipe: a loaded diffusers pipeline in full number formats, changed in place.
        path: a file of adapters.

    Returns:
        How many modules were changed.

    Raises:
        WeightsMismatch: they belong to another model.
        InvalidOption: the model's weights are in fewer bits, to which nothing can be added.
        ModelError: see `read_adapters`.
    """
    found = read_adapters(path)
    parts = bearing(pipe)
    names = sorted(name.removesuffix(_DOWN) for name in found if name.endswith(_DOWN))
    for name in names:
        part, _, module = name.partition(".")
        weight = _weight_of(parts.get(part), module)
        down, up = found[name + _DOWN].float(), found[name + _UP].float()
        if weight is None or weight.shape != (up.shape[0], down.shape[1]):
            there = "is missing" if weight is None else f"is {tuple(weight.shape)}"
            raise WeightsMismatch(
                f"'{path}' was trained for another model: '{name}' {there} in this {type(pipe).__name__}. "
                "Give the model that the bundle's card names."
            )
        if not weight.is_floating_point():
            raise InvalidOption("Adapters cannot be added to weights in fewer bits: use quantise='none' or 'fp8'.")
        weight.copy_((weight.float() + (up @ down).to(weight.device)).to(weight.dtype))
    return len(names)


def _weight_of(part: nn.Module | None, path: str) -> Tensor | None:
    if part is None:
        return None
    try:
        weight = getattr(part.get_submodule(path), "weight", None)
    except AttributeError:
        return None
    return weight if isinstance(weight, torch.Tensor) else None


def ranks(names: Sequence[str]) -> list[str]:
    """Parts that a file's adapters belong to."""
    return sorted({name.partition(".")[0] for name in names})

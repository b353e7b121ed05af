"""Generators: `build()` makes the one a `BackboneConfig` describes, and only then is its module loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vid2vid.errors import EngineUnavailable, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from vid2vid.backbones.base import Backbone
    from vid2vid.backbones.generator import CompactGenerator
    from vid2vid.config import BackboneConfig, NumberFormat

BACKBONES = ("compact",)


def build(
    config: BackboneConfig,
    channels: Mapping[str, int],
    *,
    weights: Path | None,
    net: CompactGenerator | None = None,
    device: torch.device,
    dtype: NumberFormat | None = None,
    engine: str = "torch",
    size: tuple[int, int] | None = None,
) -> Backbone[Any]:
    """Makes a generator, loads its weights and puts it on its device.

    Args:
        config: family and shape.
        channels: condition map -> channels, in the order of the generator's input.
        weights: a safetensors file; None keeps the start, which gives the source or the reference back.
        net: a generator that is taken as it is, in place of weights.
        device, dtype: where and in what numbers it runs; None chooses by device.
        engine: `torch` or `openvino` (CPU only).
        size: height and width it will run at, for engines that fix them.

    Raises:
        InvalidOption: unknown family.
        EngineUnavailable: the engine is not there, or not for this device or number format.
        ModelError: the weights cannot be used.
    """
    import torch

    from vid2vid.backbones.compact import CompactBackbone
    from vid2vid.backbones.weights import load_weights

    if net is None:
        net = make_generator(config, channels)
        if weights is None:
            net.silence()
        else:
            load_weights(net, weights)
    net = net.to(device).to(memory_format=torch.channels_last)
    if engine == "openvino":
        return CompactBackbone(net, tuple(channels), config, _openvino(net, device, dtype, size))
    return CompactBackbone(net.to(getattr(torch, dtype or default_dtype(device))), tuple(channels), config)


def make_generator(config: BackboneConfig, channels: Mapping[str, int]) -> CompactGenerator:
    """The untrained generator of a task.

    Args:
        config: family and shape.
        channels: condition map -> channels, in the order of the generator's input; a map named `source` is what the
            output starts from and must come first.

    Raises:
        InvalidOption: unknown family.
    """
    if config.name not in BACKBONES:
        raise InvalidOption(f"No backbone named '{config.name}'. There are: {', '.join(BACKBONES)}.")
    from vid2vid.backbones.generator import CompactGenerator

    anchored = "source" in channels
    return CompactGenerator(sum(channels.values()), config.width, config.blocks, anchored, config.reduction)


def choose_device(name: str | None) -> torch.device:
    """The device asked for, or a GPU where there is one.

    Raises:
        EngineUnavailable: there is no such device here.
    """
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        if device.type == "cuda" and not torch.cuda.is_available():
            raise EngineUnavailable(f"device={name!r}: torch sees no CUDA device. Use device='cpu'.")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EngineUnavailable(
            f"device={name!r} cannot be used here: {str(error).splitlines()[0]} Try device='cpu'."
        ) from error
    return device


def default_dtype(device: torch.device) -> NumberFormat:
    """The quickest number format that the device computes natively and that is exact enough."""
    import torch

    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if native else "float32"


def _openvino(
    net: CompactGenerator, device: torch.device, dtype: NumberFormat | None, size: tuple[int, int] | None
) -> Any:
    if device.type != "cpu":
        raise EngineUnavailable(f"engine='openvino' runs on the CPU, not on {device}. Use engine='torch' there.")
    if size is None:
        raise EngineUnavailable("engine='openvino' needs the working size before it starts.")
    from vid2vid.backbones.openvino_engine import OpenVinoGenerator

    return OpenVinoGenerator(net, height=size[0], width=size[1], dtype=dtype or default_dtype(device))

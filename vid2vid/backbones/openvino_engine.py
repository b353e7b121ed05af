"""The compact generator compiled by OpenVINO, called like the module it was made from.

Convention:
    Tensors are on the CPU. A compiled network serves one size, with or without a reference; either is compiled when it
    is first asked for, which takes some seconds.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from vid2vid.backbones.texture import OCTAVES
from vid2vid.errors import EngineUnavailable, InvalidOption

if TYPE_CHECKING:
    from vid2vid.backbones.generator import CompactGenerator
    from vid2vid.config import NumberFormat

PRECISIONS: Final = {"float32": ("f32", "FP32"), "bfloat16": ("bf16", "BF16"), "float16": ("f16", "FP16")}
"""Number format -> OpenVINO's name of it as a setting, and as a capability of a processor."""


class OpenVinoGenerator:
    """Drop-in for `CompactGenerator.forward` on an Intel-compatible CPU.

    The result differs from torch's float32 by at most 1e-3 in float32, and by 0.004 on average in bfloat16. It is not
    for two threads at once: a compiled network keeps its buffers between calls.
    """

    def __init__(
        self,
        net: CompactGenerator,
        *,
        height: int,
        width: int,
        dtype: NumberFormat = "float32",
        threads: int | None = None,
    ) -> None:
        """Keeps a copy of the generator's weights; later changes to `net` have no effect once a graph is compiled.

        Args:
            net: the generator, in any number format; it is not changed.
            height: rows of every picture, a multiple of `net.multiple_of`.
            width: columns of every picture, likewise.
            dtype: format in which convolutions run; inputs and outputs are float32 all the same.
            threads: cores to use; None leaves it to OpenVINO.

        Raises:
            EngineUnavailable: if OpenVINO is not installed or this machine has no such format.
            InvalidOption: if the size does not fit the generator.
        """
        if height % net.multiple_of or width % net.multiple_of:
            raise InvalidOption(f"{width}x{height} does not fit: multiples of {net.multiple_of} are needed.")
        self.height, self.width, self.multiple_of = height, width, net.multiple_of
        self._core = _core()
        self._settings = self._checked_settings(dtype, threads)
        self._net = net
        stems = ("maps", "reference", "history")
        self._channels = {name: getattr(net, f"stem_{name}").in_channels // net.reduction**2 for name in stems}
        self._channels["texture"] = OCTAVES
        self._zeros = {name: torch.zeros(1, self._channels[name], height, width) for name in ("history", "texture")}
        self._variants: dict[tuple[str, ...], Any] = {}

    def _checked_settings(self, dtype: NumberFormat, threads: int | None) -> dict[str, str | int]:
        offered = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precision, capability = PRECISIONS[dtype]
        if capability not in offered:
            raise EngineUnavailable(f"OpenVINO has no {dtype} on this processor ({', '.join(offered)}). Use float32.")
        settings: dict[str, str | int] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if threads is not None:
            if threads < 1:
                raise InvalidOption(f"threads={threads}: at least 1 is needed.")
            settings["INFERENCE_NUM_THREADS"] = threads
        return settings

    def __call__(
        self,
        maps: Tensor,
        reference: Tensor | None = None,
        history: Tensor | None = None,
        texture: Tensor | None = None,
    ) -> Tensor:
        """As `CompactGenerator.forward`, one picture at a time.

        Args:
            maps: `(1, map_channels, height, width)`, any number format.
            reference: `(1, 4, height, width)` or None.
            history: `(1, 4, height, width)` or None, which is the same as zeros and no quicker here: a graph of its
                own for a clip's first frame would cost more to compile than it saves.
            texture: `(1, OCTAVES, height, width)` or None, likewise.

        Returns:
            `(1, 3, height, width)` float32, about [0, 1], the caller's own.

        Raises:
            InvalidOption: if a tensor has another shape.
        """
        given = {"maps": maps, "reference": reference, "history": history, "texture": texture}
        inputs = {**self._zeros, **{name: tensor for name, tensor in given.items() if tensor is not None}}
        for name, tensor in inputs.items():
            wanted = (1, self._channels[name], self.height, self.width)
            if tuple(tensor.shape) != wanted:
                raise InvalidOption(f"{name} has shape {tuple(tensor.shape)}; this engine was made for {wanted}.")
        names = tuple(inputs)
        if names not in self._variants:
            self._variants[names] = self._compile(names)
        arrays = [tensor.detach().to("cpu", torch.float32).contiguous().numpy() for tensor in inputs.values()]
        made = self._variants[names](arrays, share_inputs=True, share_outputs=False)
        return torch.from_numpy(made[0])

    def _compile(self, names: tuple[str, ...]) -> Any:
        import openvino

        examples = tuple(torch.zeros(1, self._channels[name], self.height, self.width) for name in names)
        with torch.no_grad():
            graph = openvino.convert_model(torch.export.export(_Variant(_plain_copy(self._net), names), examples))
        return self._core.compile_model(graph, "CPU", self._settings)


class _Variant(nn.Module):
    """The generator with those inputs only that are given: a graph knows no None."""

    def __init__(self, net: CompactGenerator, names: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self.names = net, names

    def forward(self, *tensors: Tensor) -> Tensor:
        """Hands every tensor over under its own name."""
        made: Tensor = self.net(**dict(zip(self.names, tensors, strict=True)))
        return made


def _plain_copy(net: CompactGenerator) -> CompactGenerator:
    """A float32 copy on the CPU in planar memory, which OpenVINO arranges as it likes."""
    copy = deepcopy(net).eval().to("cpu", torch.float32)
    return copy.to(memory_format=torch.contiguous_format)


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise EngineUnavailable(
            "The engine 'openvino' needs the package openvino, which is not installed. "
            "Install it with: pip install 'vid2vid[openvino]', or use engine='torch'."
        ) from error
    return openvino.Core()

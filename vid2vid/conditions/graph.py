"""Runs a small network that is kept as a list of steps and a file of weights, in plain torch.

Convention:
    `NAME.json` holds the steps, `NAME.safetensors` the weights in half precision; `examples/convert_pose` writes both.
    A weight that is mostly zeros is kept as `NAME.values`, those that are not, and `NAME.places`, a bit for each place.
    Pictures are `(N, C, H, W)` float32 throughout; arithmetic is float32, since half precision moves landmarks by a
    twentieth of the picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file

from vid2vid.errors import CorruptWeights, InputNotFound

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

Step = Mapping[str, Any]


class Graph:
    """A network ready to run; it keeps no state between calls."""

    def __init__(self, path: Path) -> None:
        """Reads the network.

        Args:
            path: without suffix; `.json` and `.safetensors` lie beside each other.

        Raises:
            InputNotFound: one of the two is missing.
            CorruptWeights: they are damaged, or a step is unknown.
        """
        try:
            description = json.loads(path.with_suffix(".json").read_text())
            weights = load_file(path.with_suffix(".safetensors"))
        except FileNotFoundError as error:
            raise InputNotFound(f"{error.filename or path} is missing. Install vid2vid again.") from error
        except (ValueError, SafetensorError) as error:
            raise CorruptWeights(f"'{path}' is damaged ({error}). Install vid2vid again.") from error
        self.steps: list[Step] = description["steps"]
        unknown = sorted({step["op"] for step in self.steps} - set(_OPERATIONS))
        if unknown:
            raise CorruptWeights(f"'{path}' has unknown steps {unknown}; known are {sorted(_OPERATIONS)}.")
        self.size: tuple[int, int] = tuple(description["size"])
        """Height and width of the pictures it takes."""
        self.outputs: list[str] = description["outputs"]
        self._input: str = description["input"]
        self._weights = _laid_out(weights, description["sparse"])
        self._spent = _spent_after(self.steps, self.outputs)

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Runs it.

        Args:
            pictures: `(N, 3, H, W)` float32, in the range the network was trained with.

        Returns:
            The outputs in the order of `outputs`; maps are `(N, C, h, w)`.
        """
        values = dict(self._weights)
        values[self._input] = pictures.contiguous(memory_format=torch.channels_last)  # twice as fast as plain
        for step, spent in zip(self.steps, self._spent, strict=True):
            values[step["to"]] = _OPERATIONS[step["op"]]([values[name] for name in step["of"]], step)
            for name in spent:
                del values[name]
        return [values[name] for name in self.outputs]


def _laid_out(stored: Mapping[str, Tensor], sparse: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Weights by name as float32; sparse ones, whose shapes are given, filled up with zeros."""
    whole = {name: tensor.float() for name, tensor in stored.items() if "." not in name}
    for name, shape in sparse.items():
        bits = np.unpackbits(stored[f"{name}.places"].numpy(), count=math.prod(shape)).astype(bool)
        whole[name] = torch.zeros(math.prod(shape))
        whole[name][torch.from_numpy(bits)] = stored[f"{name}.values"].float()
        whole[name] = whole[name].reshape(*shape)
    return {
        name: tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
        for name, tensor in whole.items()
    }


def _spent_after(steps: Sequence[Step], outputs: Sequence[str]) -> list[list[str]]:
    """For each step the values that no later one reads, so that memory stays small."""
    last = {name: number for number, step in enumerate(steps) for name in step["of"]}
    made = {step["to"] for step in steps}
    return [
        [name for name in set(step["of"]) if last[name] == number and name in made and name not in outputs]
        for number, step in enumerate(steps)
    ]


def _activated(value: Tensor, step: Step) -> Tensor:
    match step.get("activation"):
        case "relu":
            return F.relu(value)
        case "relu6":
            return value.clamp(0.0, 6.0)
        case _:
            return value


def _convolve(inputs: list[Tensor], step: Step) -> Tensor:
    value, weight = inputs[0], inputs[1]
    bias = inputs[2] if len(inputs) > 2 else None
    left, right, top, bottom = step["padding"]
    if left == right and top == bottom:
        return _activated(F.conv2d(value, weight, bias, step["stride"], (top, left), groups=step["groups"]), step)
    padded = F.pad(value, step["padding"])
    return _activated(F.conv2d(padded, weight, bias, step["stride"], groups=step["groups"]), step)


def _add(inputs: list[Tensor], step: Step) -> Tensor:
    return _activated(inputs[0] + inputs[1], step)


def _pad(inputs: list[Tensor], step: Step) -> Tensor:
    return F.pad(inputs[0], step["padding"])


def _pool(inputs: list[Tensor], step: Step) -> Tensor:
    padded = F.pad(inputs[0], step["padding"], value=float("-inf"))
    return F.max_pool2d(padded, step["kernel"], step["stride"])


def _flatten(inputs: list[Tensor], step: Step) -> Tensor:
    """Rows, columns, then channels: the order the weights' makers count in."""
    value = inputs[0]
    value = value.permute(0, 2, 3, 1) if value.ndim == 4 else value
    return value.reshape(value.shape[0], *step["shape"])


def _depth_to_space(inputs: list[Tensor], step: Step) -> Tensor:
    """As `pixel_shuffle`, but with channels counted last instead of first within a block."""
    value, block = inputs[0], step["block"]
    count, channels, height, width = value.shape
    parts = value.reshape(count, block, block, channels // block**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(count, channels // block**2, height * block, width * block)


def _resize(inputs: list[Tensor], step: Step) -> Tensor:
    return F.interpolate(inputs[0], size=step["size"], mode="bilinear", align_corners=False)


def _concatenate(inputs: list[Tensor], step: Step) -> Tensor:
    return torch.cat(inputs, step["axis"])


def _sigmoid(inputs: list[Tensor], step: Step) -> Tensor:
    return torch.sigmoid(inputs[0])


_OPERATIONS: dict[str, Callable[[list[Tensor], Step], Tensor]] = {
    "convolve": _convolve,
    "add": _add,
    "pad": _pad,
    "pool": _pool,
    "flatten": _flatten,
    "depth_to_space": _depth_to_space,
    "resize": _resize,
    "concatenate": _concatenate,
    "sigmoid": _sigmoid,
}

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
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
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

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        """Reads the network.

        Args:
            path: without suffix; `.json` and `.safetensors` lie beside each other.
            alone: run on one core. Many small steps gain little from more, and where other work wants the cores, too,
                the wait for each other after every step makes them up to twenty times slower.

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
        self._alone = alone
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

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Runs it.

        Args:
            pictures: `(N, 3, H, W)` float32, in the range the network was trained with.

        Returns:
            The outputs in the order of `outputs`; maps are `(N, C, h, w)`.
        """
        if self._alone and torch.get_num_threads() > 1:
            return _one_core(os.getpid()).submit(self._run, pictures).result()
        return self._run(pictures)

    @torch.inference_mode()
    def _run(self, pictures: Tensor) -> list[Tensor]:
        values = dict(self._weights)
        values[self._input] = pictures.contiguous(memory_format=torch.channels_last)  # twice as fast as plain
        for step, spent in zip(self.steps, self._spent, strict=True):
            values[step["to"]] = _OPERATIONS[step["op"]]([values[name] for name in step["of"]], step)
            for name in spent:
                del values[name]
        return [values[name] for name in self.outputs]


@cache
def _one_core(process: int) -> ThreadPoolExecutor:
    """A thread in which torch uses one core; a forked process needs its own, threads do not come along."""
    usual = torch.get_num_threads()
    pool = ThreadPoolExecutor(1, f"vid2vid-graph-{process}", torch.set_num_threads, (1,))
    pool.submit(torch.get_num_threads).result()  # a thread takes on what was said last when it first asks, and keeps it
    torch.set_num_threads(usual)
    return pool


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
    """Of a value that was just made: it is changed in place, which takes half the time."""
    match step.get("activation"):
        case "relu":
            return value.relu_()
        case "relu6":
            return value.clamp_(0.0, 6.0)
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


def _prelu(inputs: list[Tensor], step: Step) -> Tensor:
    return F.prelu(inputs[0], inputs[1])


def _relu(inputs: list[Tensor], step: Step) -> Tensor:
    return F.relu(inputs[0])


def _multiply(inputs: list[Tensor], step: Step) -> Tensor:
    return _activated(inputs[0] * inputs[1], step)


def _mean(inputs: list[Tensor], step: Step) -> Tensor:
    return inputs[0].mean((2, 3))


def _connect(inputs: list[Tensor], step: Step) -> Tensor:
    return _activated(F.linear(inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None), step)


def _crop(inputs: list[Tensor], step: Step) -> Tensor:
    """Matrix `(N, 4, 4)` from a crop to the map it is cut from: upright around some landmarks.

    Source:
        `Landmarks2TransformMatrix`, version 2, of MediaPipe's operations for LiteRT.
    """
    flat = inputs[0][..., :2]
    left, right = flat[:, step["ends"][0]], flat[:, step["ends"][1]]
    angle = torch.atan2(right[:, 1] - left[:, 1], right[:, 0] - left[:, 0])
    cosine, sine = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([cosine, -sine, sine, cosine], 1).reshape(-1, 2, 2)
    upright = flat[:, step["places"]] @ turn  # by the transpose's transpose, that is, turned back
    low, high = upright.amin(1), upright.amax(1)
    size = torch.tensor(step["size"][::-1], dtype=flat.dtype, device=flat.device)
    matrix = torch.eye(4, dtype=flat.dtype, device=flat.device).repeat(len(flat), 1, 1)
    matrix[:, :2, :2] = turn * (step["scale"] * (high - low) / size)[:, None]
    middle = (turn @ ((low + high) / 2)[..., None])[..., 0]
    matrix[:, :2, 3] = middle - (matrix[:, :2, :2] @ (size / 2)[:, None])[..., 0]
    return matrix


def _warp(inputs: list[Tensor], step: Step) -> Tensor:
    """Cuts a crop out of a map: bilinear, zero where it reaches beyond the middles of the outermost cells.

    Source:
        `TransformTensorBilinear`, version 2, of MediaPipe's operations for LiteRT.
    """
    value, matrix = inputs
    (rows, columns), (height, width) = step["size"], value.shape[2:]
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    here = torch.stack([x, y], -1).to(value).reshape(1, -1, 2)
    there = (here @ matrix[:, :2, :2].mT + matrix[:, None, :2, 3] - 0.5).reshape(-1, rows, columns, 2)
    last = torch.tensor([width - 1, height - 1], dtype=value.dtype, device=value.device)
    inside = ((there >= 0) & (there <= last)).all(-1)[:, None]
    return F.grid_sample(value, there / last * 2 - 1, align_corners=True, padding_mode="border") * inside


def _transform(inputs: list[Tensor], step: Step) -> Tensor:
    points, matrix = inputs
    return points @ matrix[:, :2, :2].mT + matrix[:, None, :2, 3]


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
    "prelu": _prelu,
    "relu": _relu,
    "multiply": _multiply,
    "mean": _mean,
    "connect": _connect,
    "crop": _crop,
    "warp": _warp,
    "transform": _transform,
}

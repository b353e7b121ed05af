"""Turns MediaPipe's networks for poses, faces and hands into the files that `vid2vid.conditions.graph` runs.

Needs `pip install tflite flatbuffers numpy safetensors`, none of which vid2vid needs to run, and the networks:

    pip download mediapipe==0.10.21 --no-deps --python-version 3.11 --only-binary=:all: -d wheel
    unzip wheel/mediapipe-*.whl "mediapipe/modules/*.tflite"
    cd mediapipe/modules; to=.../vid2vid/weights
    python convert.py pose_detection/pose_detection.tflite $to/pose_detection
    python convert.py pose_landmark/pose_landmark_full.tflite $to/pose_landmark
    python convert.py face_detection/face_detection_short_range.tflite $to/face_detection
    python convert.py face_landmark/face_landmark_with_attention.tflite $to/face_landmark
    python convert.py palm_detection/palm_detection_full.tflite $to/palm_detection
    python convert.py hand_landmark/hand_landmark_full.tflite $to/hand_landmark
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tflite
from flatbuffers import flexbuffers
from safetensors.numpy import save

TYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}
ACTIVATIONS = {0: None, 1: "relu", 3: "relu6"}
SPARSE = 0.8
"""A constant with a smaller part of its values other than zero is stored without the zeros."""
OPERATORS = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
INDEX_VECTORS = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}
CHANNELS_FIRST = {0: 0, 1: 2, 2: 3, 3: 1, -1: 1}
"""Axis of a map with channels last -> of one with channels first."""


class Source:
    """A parsed network: its operators, constants and shapes."""

    def __init__(self, content: bytes) -> None:
        self.model = tflite.Model.GetRootAsModel(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.constants: dict[int, np.ndarray] = {}
        for number in range(self.graph.TensorsLength()):
            tensor = self.graph.Tensors(number)
            buffer = self.model.Buffers(tensor.Buffer())
            if buffer.DataLength():
                values = buffer.DataAsNumpy().view(TYPES[tensor.Type()])
                dense = tensor.Sparsity() is None
                shape = self.shape(number)
                self.constants[number] = values.reshape(shape) if dense else densify(tensor.Sparsity(), values, shape)

    def shape(self, number: int) -> list[int]:
        """Of a tensor, channels last."""
        tensor = self.graph.Tensors(number)
        return [int(size) for size in tensor.ShapeAsNumpy()] if tensor.ShapeLength() else []

    def name(self, operator: Any) -> str:
        """Of an operator, in the format's capitals."""
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        name: str = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        return str(code.CustomCode().decode()) if name == "CUSTOM" else name


def densify(sparsity: Any, values: np.ndarray, shape: list[int]) -> np.ndarray:
    """Lays out a sparse constant: walks its levels, keeping the coordinates of all live entries."""
    order = sparsity.TraversalOrderAsNumpy().astype(int)
    blocked = sparsity.BlockMapAsNumpy().astype(int).tolist() if sparsity.BlockMapLength() else []
    places = np.zeros((1, 0), np.int64)
    for level in range(sparsity.DimMetadataLength()):
        meta = sparsity.DimMetadata(level)
        if meta.Format() == 0:
            size = meta.DenseSize()
            here = np.tile(np.arange(size), len(places))
            places = np.repeat(places, size, 0)
        else:
            segments = vector(meta.ArraySegments(), meta.ArraySegmentsType())
            here = vector(meta.ArrayIndices(), meta.ArrayIndicesType())
            places = np.repeat(places, np.diff(segments), 0)
        places = np.concatenate([places, here[:, None]], 1)
    axes = np.zeros_like(places)
    axes[:, order] = places
    for block, axis in enumerate(blocked):
        size = sparsity.DimMetadata(len(shape) + block).DenseSize()
        axes[:, axis] = axes[:, axis] * size + axes[:, len(shape) + block]
    dense = np.zeros(shape, values.dtype)
    dense[tuple(axes[:, : len(shape)].T)] = values[: len(axes)]
    return dense


def vector(union: Any, kind: int) -> np.ndarray:
    """Numbers of a sparse level, stored at the smallest width that holds them."""
    read = INDEX_VECTORS[kind]()
    read.Init(union.Bytes, union.Pos)
    return np.asarray(read.ValuesAsNumpy(), np.int64)


def options(operator: Any, kind: Any) -> Any:
    """An operator's options as their own type."""
    union, read = operator.BuiltinOptions(), kind()
    read.Init(union.Bytes, union.Pos)
    return read


def same_padding(sizes: list[int], kernel: tuple[int, int], stride: tuple[int, int], kind: int) -> list[int]:
    """Left, right, top, bottom; more on the far side where it is odd. Kind 1 is none."""
    if kind == 1:
        return [0, 0, 0, 0]
    result: list[int] = []
    for size, width, step in zip(sizes[::-1], kernel[::-1], stride[::-1], strict=True):
        total = max(0, (-(-size // step) - 1) * step + width - size)
        result += [total // 2, total - total // 2]
    return result


def convolution(source: Source, operator: Any, of: list[int], *, deep: bool) -> dict[str, Any]:
    """A convolution as a step; `deep`: each channel by itself."""
    read = options(operator, tflite.DepthwiseConv2DOptions if deep else tflite.Conv2DOptions)
    if (read.DilationHFactor(), read.DilationWFactor()) != (1, 1):
        raise ValueError("dilated convolutions are not known")
    shape, stride = source.shape(of[1]), (read.StrideH(), read.StrideW())
    return {
        "op": "convolve",
        "stride": stride,
        "groups": shape[3] if deep else 1,
        "padding": same_padding(source.shape(of[0])[1:3], (shape[1], shape[2]), stride, read.Padding()),
        "activation": ACTIVATIONS[read.FusedActivationFunction()],
    }


def step_of(source: Source, operator: Any, name: str, of: list[int], to: int) -> tuple[dict[str, Any], list[int]]:
    """One operator as a step, and the inputs that remain."""
    if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return convolution(source, operator, of, deep=name == "DEPTHWISE_CONV_2D"), of
    if name == "ADD":
        return {
            "op": "add",
            "activation": ACTIVATIONS[options(operator, tflite.AddOptions).FusedActivationFunction()],
        }, of
    if name == "MAX_POOL_2D":
        read = options(operator, tflite.Pool2DOptions)
        kernel, stride = (read.FilterHeight(), read.FilterWidth()), (read.StrideH(), read.StrideW())
        padding = same_padding(source.shape(of[0])[1:3], kernel, stride, read.Padding())
        return {"op": "pool", "kernel": kernel, "stride": stride, "padding": padding}, of
    if name == "PAD":
        batch, rows, columns, channels = source.constants[of[1]].reshape(-1, 2).tolist()
        return {"op": "pad", "padding": [*columns, *rows, *channels, *batch]}, of[:1]
    if name == "RESHAPE":
        return {"op": "flatten", "shape": source.shape(to)[1:]}, of[:1]
    if name == "DEPTH_TO_SPACE":
        return {"op": "depth_to_space", "block": options(operator, tflite.DepthToSpaceOptions).BlockSize()}, of
    if name == "RESIZE_BILINEAR":
        read = options(operator, tflite.ResizeBilinearOptions)
        if not read.HalfPixelCenters():
            raise ValueError("resizing on another grid than pixels' centres is not known")
        return {"op": "resize", "size": source.shape(to)[1:3]}, of[:1]
    if name == "CONCATENATION":
        axis = options(operator, tflite.ConcatenationOptions).Axis()
        return {"op": "concatenate", "axis": CHANNELS_FIRST[axis] if len(source.shape(of[0])) == 4 else axis}, of
    if name == "LOGISTIC":
        return {"op": "sigmoid"}, of
    return other_step_of(source, operator, name, of, to)


def other_step_of(source: Source, operator: Any, name: str, of: list[int], to: int) -> tuple[dict[str, Any], list[int]]:
    """What the networks for faces and hands have besides."""
    if name == "PRELU":
        return {"op": "prelu"}, of
    if name == "RELU":
        return {"op": "relu"}, of
    if name == "MUL":
        read = options(operator, tflite.MulOptions)
        return {"op": "multiply", "activation": ACTIVATIONS[read.FusedActivationFunction()]}, of
    if name == "STRIDED_SLICE":
        if source.shape(to) != source.shape(of[0]) or np.any(source.constants[of[1]]):
            raise ValueError("a slice that leaves something out is not known")
        return {"op": "flatten", "shape": source.shape(to)[1:]}, of[:1]
    if name == "MEAN":
        if source.constants[of[1]].tolist() != [1, 2] or len(source.shape(to)) != 2:
            raise ValueError("a mean over anything but rows and columns is not known")
        return {"op": "mean"}, of[:1]
    if name == "FULLY_CONNECTED":
        read = options(operator, tflite.FullyConnectedOptions)
        return {"op": "connect", "activation": ACTIVATIONS[read.FusedActivationFunction()]}, of
    if name == "Landmarks2TransformMatrix":
        read = flexbuffers.Loads(bytes(operator.CustomOptionsAsNumpy()))
        size = [read["output_height"], read["output_width"]]
        if (read["scale_x"], read["target_rotation_radians"]) != (read["scale_y"], 0.0):
            raise ValueError("a crop that is stretched or turned away from its landmarks is not known")
        ends = [read["left_rotation_idx"], read["right_rotation_idx"]]
        return {"op": "crop", "size": size, "scale": read["scale_x"], "ends": ends, "places": read["subset_idxs"]}, of
    if name == "TransformTensorBilinear":
        return {"op": "warp", "size": source.shape(to)[1:3]}, of
    if name == "TransformLandmarks":
        return {"op": "transform"}, of
    raise ValueError(f"operator {name} is not known")


def weight(name: str, place: int, values: np.ndarray) -> np.ndarray:
    """A constant with channels first, in half precision."""
    if name == "PRELU" and values.size != values.shape[-1]:
        raise ValueError("slopes that differ within a channel are not known")
    if name == "PRELU":
        values = values.reshape(-1)
    if values.ndim == 4:
        values = values.transpose((3, 0, 1, 2) if name == "DEPTHWISE_CONV_2D" and place == 1 else (0, 3, 1, 2))
    return np.ascontiguousarray(values.astype(np.float16))


def convert(path: Path, target: Path) -> None:
    """Reads a network and writes `target.json` and `target.safetensors`."""
    source = Source(path.read_bytes())
    steps: list[dict[str, Any]] = []
    weights: dict[str, np.ndarray] = {}
    for number in range(source.graph.OperatorsLength()):
        operator = source.graph.Operators(number)
        name, to = source.name(operator), int(operator.OutputsAsNumpy()[0])
        of = [int(tensor) for tensor in operator.InputsAsNumpy() if tensor >= 0]
        if name in ("DEQUANTIZE", "DENSIFY"):  # constants kept in half precision, or sparse
            source.constants[to] = source.constants[of[0]]
            continue
        step, of = step_of(source, operator, name, of, to)
        for place, tensor in enumerate(of):
            if tensor in source.constants:
                weights[str(tensor)] = weight(name, place, source.constants[tensor])
        steps.append({**step, "of": [str(tensor) for tensor in of], "to": str(to)})
    sparse = {name: values.shape for name, values in weights.items() if np.mean(values != 0) < SPARSE}
    for name in sparse:
        values = weights.pop(name).reshape(-1)
        weights |= {f"{name}.values": values[values != 0], f"{name}.places": np.packbits(values != 0)}
    first = int(source.graph.InputsAsNumpy()[0])
    description = {
        "size": source.shape(first)[1:3],
        "input": str(first),
        "outputs": [str(tensor) for tensor in source.graph.OutputsAsNumpy()],
        "sparse": sparse,
        "steps": steps,
    }
    target.with_suffix(".json").write_text(json.dumps(description, separators=(",", ":")))
    target.with_suffix(".safetensors").write_bytes(save(weights))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))

"""Networks kept as steps and weights: each step does what its makers' runtime does."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vid2vid.conditions.graph import Graph
from vid2vid.errors import CorruptWeights, InputNotFound


def write(folder: Path, steps: list[dict[str, Any]], weights: dict[str, torch.Tensor], **more: Any) -> Path:
    description = {"size": [4, 4], "input": "in", "outputs": [steps[-1]["to"]], "sparse": {}, "steps": steps, **more}
    (folder / "net.json").write_text(json.dumps(description))
    save_file(weights, folder / "net.safetensors")
    return folder / "net"


def test_a_convolution_pads_the_far_side_where_padding_is_odd(tmp_path: Path) -> None:
    weight = torch.ones(1, 1, 3, 3, dtype=torch.float16)
    step = {
        "op": "convolve", "of": ["in", "w"], "to": "out", "stride": [2, 2], "groups": 1, "padding": [0, 1, 0, 1],
        "activation": "relu6",
    }  # fmt: skip
    (result,) = Graph(write(tmp_path, [step], {"w": weight}))(torch.full((1, 1, 4, 4), 0.5))
    assert result[0, 0].tolist() == [[4.5, 3.0], [3.0, 2.0]]
    (capped,) = Graph(write(tmp_path, [step], {"w": weight}))(torch.full((1, 1, 4, 4), 1.0))
    assert capped.max() == 6.0


def test_depth_to_space_counts_channels_last(tmp_path: Path) -> None:
    step = {"op": "depth_to_space", "of": ["in"], "to": "out", "block": 2}
    (result,) = Graph(write(tmp_path, [step], {"unused": torch.zeros(1)}))(torch.arange(8.0).reshape(1, 8, 1, 1))
    assert result[0].tolist() == [[[0, 2], [4, 6]], [[1, 3], [5, 7]]]  # pixel_shuffle would give 0 1 2 3 | 4 5 6 7


def test_flattening_walks_rows_columns_channels(tmp_path: Path) -> None:
    step = {"op": "flatten", "of": ["in"], "to": "out", "shape": [4, 2]}
    (result,) = Graph(write(tmp_path, [step], {"unused": torch.zeros(1)}))(torch.arange(8.0).reshape(1, 2, 2, 2))
    assert result[0].tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]


def test_a_sparse_weight_is_filled_up_with_zeros(tmp_path: Path) -> None:
    whole = np.array([0.0, 2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 4.0], np.float16)
    stored = {
        "w.values": torch.from_numpy(whole[whole != 0]),
        "w.places": torch.from_numpy(np.packbits(whole != 0)),
    }
    step = {"op": "add", "of": ["in", "w"], "to": "out"}
    net = Graph(write(tmp_path, [step], stored, sparse={"w": [1, 10, 1, 1]}))
    assert net(torch.zeros(1, 10, 1, 1))[0].flatten().tolist() == whole.tolist()


def test_values_that_no_later_step_reads_are_let_go(tmp_path: Path) -> None:
    steps = [
        {"op": "sigmoid", "of": ["in"], "to": "a"},
        {"op": "add", "of": ["a", "in"], "to": "b"},
        {"op": "add", "of": ["b", "in"], "to": "c"},
    ]
    net = Graph(write(tmp_path, steps, {"unused": torch.zeros(1)}))
    assert [sorted(names) for names in net._spent] == [[], ["a"], ["b"]]
    assert net(torch.zeros(1, 3, 4, 4))[0].mean() == pytest.approx(0.5)


def run(folder: Path, step: dict[str, Any], weights: dict[str, torch.Tensor], value: torch.Tensor) -> torch.Tensor:
    """What one step makes of a value of any form."""
    path = write(folder, [{"to": "out", **step}], {"value": value.contiguous(), **weights})
    (result,) = Graph(path)(torch.zeros(1, 3, 4, 4))
    return result


def test_small_operations(tmp_path: Path) -> None:
    value = torch.tensor([-2.0, 4.0]).reshape(1, 2, 1, 1).repeat(1, 1, 2, 2)
    slopes = {"a": torch.tensor([0.5, 0.25], dtype=torch.float16)}
    assert run(tmp_path, {"op": "prelu", "of": ["value", "a"]}, slopes, value)[0, :, 0, 0].tolist() == [-1.0, 4.0]
    assert run(tmp_path, {"op": "relu", "of": ["value"]}, {}, value)[0, :, 0, 0].tolist() == [0.0, 4.0]
    assert run(tmp_path, {"op": "mean", "of": ["value"]}, {}, value).tolist() == [[-2.0, 4.0]]
    factor = {"f": torch.tensor([3.0], dtype=torch.float16)}
    assert run(tmp_path, {"op": "multiply", "of": ["value", "f"]}, factor, value)[0, :, 1, 1].tolist() == [-6.0, 12.0]
    matrix = {"w": torch.tensor([[1.0, 2.0], [3.0, 0.0]]), "b": torch.tensor([0.0, 1.0])}
    step = {"op": "connect", "of": ["value", "w", "b"], "activation": "relu"}
    assert run(tmp_path, step, matrix, torch.tensor([[-2.0, 4.0]])).tolist() == [[6.0, 0.0]]


def test_a_crop_is_laid_upright_around_its_landmarks(tmp_path: Path) -> None:
    # A box 4 wide and 2 high around (10, 5) whose "left to right" points down: it is turned by a quarter.
    points = torch.tensor([[9.0, 3.0, 0], [11.0, 3.0, 0], [11.0, 7.0, 0], [9.0, 7.0, 0], [0.0, 0.0, 0]])[None]
    step = {"op": "crop", "of": ["value"], "size": [16, 16], "scale": 1.5, "ends": [1, 2], "places": [0, 1, 2, 3]}
    matrix = run(tmp_path, step, {}, points.repeat(2, 1, 1))
    assert matrix.shape == (2, 4, 4) and torch.equal(matrix[0], matrix[1])
    corners = torch.tensor([[8.0, 8.0, 0, 1], [16.0, 8.0, 0, 1], [8.0, 0.0, 0, 1]])
    expected = torch.tensor([[10.0, 5.0], [10.0, 8.0], [11.5, 5.0]])  # middle; right is down; up is right
    assert torch.allclose((corners @ matrix[0].T)[:, :2], expected, atol=1e-5)
    moved = run(tmp_path, {"op": "transform", "of": ["value", "m"]}, {"m": matrix[:1]}, corners[None, :, :2])
    assert torch.allclose(moved[0], expected, atol=1e-5)


def test_a_warp_reads_between_cells_and_nothing_beyond_them(tmp_path: Path) -> None:
    value = torch.arange(16.0).reshape(1, 1, 4, 4)
    matrix = torch.eye(4)[None]
    step = {"op": "warp", "of": ["value", "m"], "size": [4, 4]}
    assert torch.allclose(run(tmp_path, step, {"m": matrix}, value), value, atol=1e-5)
    matrix[0, 0, 3] = 0.5
    shifted = run(tmp_path, step, {"m": matrix}, value)[0, 0]
    assert torch.allclose(shifted[1], torch.tensor([4.5, 5.5, 6.5, 0.0]), atol=1e-5)


def test_a_network_that_runs_alone_leaves_the_cores_to_others(tmp_path: Path) -> None:
    path = write(tmp_path, [{"op": "sigmoid", "of": ["in"], "to": "out"}], {"unused": torch.zeros(1)})
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen: list[int] = []
        alone = Graph(path, alone=True)
        run_there = alone._run
        alone._run = lambda pictures: seen.append(torch.get_num_threads()) or run_there(pictures)  # type: ignore[method-assign]
        (result,) = alone(torch.zeros(1, 1, 2, 2))
        assert seen == [1] and torch.get_num_threads() == 2 and result.mean() == 0.5
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(usual)


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="nothing"):
        Graph(tmp_path / "nothing")
    path = write(tmp_path, [{"op": "dream", "of": ["in"], "to": "out"}], {"unused": torch.zeros(1)})
    with pytest.raises(CorruptWeights, match="dream"):
        Graph(path)
    path.with_suffix(".safetensors").write_bytes(b"broken")
    with pytest.raises(CorruptWeights, match="damaged"):
        Graph(path)

"""Networks kept as steps and weights: each step does what its makers' runtime does."""

from __future__ import annotations

import json
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


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="nothing"):
        Graph(tmp_path / "nothing")
    path = write(tmp_path, [{"op": "dream", "of": ["in"], "to": "out"}], {"unused": torch.zeros(1)})
    with pytest.raises(CorruptWeights, match="dream"):
        Graph(path)
    path.with_suffix(".safetensors").write_bytes(b"broken")
    with pytest.raises(CorruptWeights, match="damaged"):
        Graph(path)

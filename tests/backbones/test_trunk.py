"""A generator starts from another task's weights: what fits is taken over, and what is refused changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vid2vid.backbones.generator import CompactGenerator
from vid2vid.backbones.weights import load_trunk, save_weights
from vid2vid.errors import BadWeights, CorruptWeights, InputNotFound, UnsafeFormat, WeightsMismatch


def make(
    channels: int, seed: int, width: int = 8, blocks: tuple[int, ...] = (1, 1), reduction: int = 2
) -> CompactGenerator:
    """A net that draws something: its heads do not start at zero."""
    torch.manual_seed(seed)
    net = CompactGenerator(channels, width=width, blocks=blocks, reduction=reduction).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net


def saved(net: CompactGenerator, folder: Path) -> Path:
    save_weights(net, folder / "w.safetensors")
    return folder / "w.safetensors"


def state(net: CompactGenerator) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def unchanged(net: CompactGenerator, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@torch.inference_mode()
def test_equal_shapes_are_taken_over_whole(tmp_path: Path) -> None:
    first, second = make(3, 0), make(3, 1)
    assert load_trunk(second, saved(first, tmp_path))
    for name, value in second.state_dict().items():
        assert torch.equal(value, first.state_dict()[name].half().float()), name
    assert all(value.dtype == torch.float32 for value in second.state_dict().values())


@pytest.mark.parametrize("reduction", [1, 2, 4])
@torch.inference_mode()
def test_a_wider_stem_begins_as_the_narrow_one_was(tmp_path: Path, reduction: int) -> None:
    """New maps change nothing at first, whatever they show."""
    narrow, wide = make(3, 0, reduction=reduction), make(9, 1, reduction=reduction)
    source, more = torch.rand(1, 3, 32, 32), torch.rand(1, 6, 32, 32)
    reference = torch.rand(1, 4, 32, 32)
    before = wide(torch.cat((source, more), 1), reference)
    assert load_trunk(wide, saved(narrow, tmp_path))
    made = wide(torch.cat((source, more), 1), reference)
    assert float((made - narrow(source, reference)).abs().max()) < 5e-3
    assert float((before - made).abs().max()) > 0.05
    assert torch.equal(made, wide(torch.cat((source, 1 - more), 1), reference))


@torch.inference_mode()
def test_a_narrower_stem_keeps_the_source(tmp_path: Path) -> None:
    wide, narrow = make(9, 0), make(3, 1)
    source = torch.rand(1, 3, 32, 32)
    assert load_trunk(narrow, saved(wide, tmp_path))
    grey = torch.full((1, 6, 32, 32), 0.5)  # maps are centred, so that grey is nothing
    assert float((narrow(source) - wide(torch.cat((source, grey), 1))).abs().max()) < 5e-3


@pytest.mark.parametrize("other", [{"width": 16}, {"blocks": (1, 2)}, {"blocks": (1, 1, 1)}])
def test_a_trunk_of_another_shape_is_not_taken(tmp_path: Path, other: dict[str, Any]) -> None:
    net = make(3, 1)
    before = state(net)
    assert load_trunk(net, saved(make(3, 0, **other), tmp_path)) is False
    assert unchanged(net, before)
    net = make(3, 0, **other)
    before = state(net)
    assert load_trunk(net, saved(make(3, 1), tmp_path)) is False
    assert unchanged(net, before)


def test_bad_files_are_refused_and_change_nothing(tmp_path: Path) -> None:
    net = make(3, 1)
    before, good = state(net), saved(make(3, 0), tmp_path)
    tensors = load_file(good)
    last = sorted(tensors)[-1]
    broken = {**tensors, last: torch.full_like(tensors[last], float("nan"))}
    files = {
        BadWeights: tmp_path / "nan.safetensors",
        WeightsMismatch: tmp_path / "form.safetensors",
        CorruptWeights: tmp_path / "cut.safetensors",
        UnsafeFormat: tmp_path / "pickle.safetensors",
        InputNotFound: tmp_path / "none.safetensors",
    }
    save_file(broken, files[BadWeights], metadata={"form": net.form})
    save_file(tensors, files[WeightsMismatch], metadata={"form": "another"})
    files[CorruptWeights].write_bytes(good.read_bytes()[:3000])
    torch.save({"a": torch.zeros(1)}, files[UnsafeFormat])
    for kind, path in files.items():
        with pytest.raises(kind):
            load_trunk(net, path)
        assert unchanged(net, before), kind

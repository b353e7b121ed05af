"""The compact generator: folding, identity start, absent inputs, and weights that are checked."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from vid2vid.backbones.generator import CLOSINGS, OCTAVES, CompactGenerator, closed, fold, sample_at, unfold
from vid2vid.backbones.weights import load_weights, save_weights
from vid2vid.errors import BadWeights, CorruptWeights, InputNotFound, UnsafeFormat, WeightsMismatch


def small(seed: int = 0) -> CompactGenerator:
    torch.manual_seed(seed)
    return CompactGenerator(3, width=8, blocks=(1, 1))


def test_fold_is_pixel_unshuffle_in_another_order_and_unfold_undoes_it() -> None:
    picture = torch.rand(2, 3, 8, 12)
    folded = fold(picture, 4)
    assert torch.equal(unfold(folded, 4), picture)
    assert torch.equal(folded.sort(1).values, F.pixel_unshuffle(picture, 4).sort(1).values)
    assert torch.equal(folded[0, :, 0, 0], picture[0, :, :4, :4].permute(1, 2, 0).flatten())


@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_every_reduction_gives_pictures_and_parts_of_its_size(reduction: int) -> None:
    torch.manual_seed(0)
    net = CompactGenerator(3, width=8, blocks=(1, 1), reduction=reduction).eval()
    assert net.multiple_of == 2 * reduction
    rows, columns = 6 * net.multiple_of, 9 * net.multiple_of
    with torch.inference_mode():
        parts = net.parts(torch.rand(2, 3, rows, columns), torch.rand(2, 4, rows, columns), None, None)
    assert parts.picture.shape == parts.clean.shape == (2, 3, rows, columns)
    assert parts.amplitude.shape == (2, OCTAVES, rows, columns) and float(parts.amplitude.min()) >= 0.0
    assert parts.lines.shape == (2, len(CLOSINGS), rows // reduction, columns // reduction)
    assert torch.equal(fold(unfold(parts.lines.repeat(1, reduction**2, 1, 1), reduction), reduction)[:, :2],
                       parts.lines)  # fmt: skip


@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_every_reduction_starts_as_the_source(reduction: int) -> None:
    torch.manual_seed(0)
    net = CompactGenerator(3, width=8, blocks=(1, 1), reduction=reduction).eval()
    net.silence()
    source = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert float((net(source) - source).abs().max()) < 1e-6


@pytest.mark.parametrize("side", CLOSINGS)
def test_a_closing_takes_lines_narrower_than_its_square_and_nothing_else(side: int) -> None:
    flat = torch.full((1, 3, 40, 40), 0.6)
    thin, thick, bright = flat.clone(), flat.clone(), flat.clone()
    thin[..., 12 : 12 + side - 1] = 0.1
    thick[..., 12 : 12 + side] = 0.1
    bright[..., 20, :] = 0.9
    assert torch.equal(closed(thin, side), flat)
    assert torch.equal(closed(thin.transpose(2, 3), side), flat)
    assert torch.equal(closed(thick, side), thick)
    assert torch.equal(closed(bright, side), bright)
    mixed = torch.rand(1, 3, 24, 24)
    once = closed(mixed, side)
    assert bool((once >= mixed).all())
    assert torch.equal(closed(once, side), once)


def test_the_closings_shares_take_lines_out_of_the_picture() -> None:
    net = small().eval()
    net.silence()
    source = torch.full((1, 3, 32, 32), 0.7)
    source[..., 14:17] = 0.1
    with torch.inference_mode():
        assert float(net(source)[..., 14:17].mean()) == pytest.approx(0.1, abs=1e-4)
        net.local.bias[OCTAVES] = 30.0
        parts = net.parts(source, None, None, None)
    assert float(parts.picture.min()) == pytest.approx(0.7, abs=1e-4)
    assert parts.lines[:, 0].sigmoid().min() > 0.99 and parts.lines[:, 1].sigmoid().max() < 0.01


def test_absent_inputs_equal_untrusted_ones() -> None:
    net = small().eval()
    maps, nothing, noise = torch.rand(1, 3, 32, 32), torch.rand(1, 4, 32, 32), torch.randn(1, 3, 32, 32)
    nothing[:, 3] = 0.0
    with torch.inference_mode():
        assert torch.allclose(net(maps, None, None, noise), net(maps, nothing, nothing, noise), atol=1e-5)
        assert torch.allclose(net(maps), net(maps, None, None, torch.zeros_like(noise)), atol=1e-5)


def test_valid_reference_shows_from_the_start() -> None:
    net = small().eval()
    net.silence()
    reference = torch.cat((torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)), 1)
    with torch.inference_mode():
        made = net(torch.zeros(1, 3, 32, 32), reference)
    assert float((made - reference[:, :3] * torch.sigmoid(torch.tensor(2.0))).abs().mean()) < 0.002


def test_sample_at_reads_at_an_offset() -> None:
    picture = torch.rand(1, 2, 10, 10)
    offset = torch.zeros(1, 2, 10, 10)
    offset[:, 0], offset[:, 1] = 2.0, -1.0
    assert torch.allclose(sample_at(picture, offset)[..., 1:, :8], picture[..., :9, 2:], atol=1e-5)


@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_gradients_reach_every_parameter(reduction: int) -> None:
    net = CompactGenerator(3, width=8, blocks=(1, 1), reduction=reduction)
    reference, history, noise = torch.rand(1, 4, 32, 32), torch.rand(1, 4, 32, 32), torch.randn(1, 3, 32, 32)
    net(torch.rand(1, 3, 32, 32), reference, history, noise).square().mean().backward()
    silent = [name for name, value in net.named_parameters() if value.grad is None]
    assert not silent


def test_weights_survive_saving(tmp_path: Path) -> None:
    first, second = small(0), small(1)
    save_weights(first, tmp_path / "w.safetensors")
    load_weights(second, tmp_path / "w.safetensors")
    for before, after in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.allclose(before, after, atol=2e-3)


class Canary:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.mark.robustness(43)
def test_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    canary, bad = tmp_path / "canary", tmp_path / "w.safetensors"
    bad.write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(UnsafeFormat, match="pickle"):
        load_weights(small(), bad)
    torch.save({"a": torch.zeros(1)}, tmp_path / "z.safetensors")
    with pytest.raises(UnsafeFormat):
        load_weights(small(), tmp_path / "z.safetensors")
    assert not canary.exists()


@pytest.mark.robustness(41, 42)
def test_damaged_missing_and_foreign_weights_are_told_apart(tmp_path: Path) -> None:
    good = tmp_path / "w.safetensors"
    save_weights(small(), good)
    with pytest.raises(InputNotFound):
        load_weights(small(), tmp_path / "none.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:2000])
    with pytest.raises(CorruptWeights, match="2000 bytes"):
        load_weights(small(), cut)
    with pytest.raises(WeightsMismatch, match="shape"):
        load_weights(CompactGenerator(4, width=8, blocks=(1, 1)), good)


@pytest.mark.robustness(41)
def test_weights_of_another_form_are_refused(tmp_path: Path) -> None:
    path, net = tmp_path / "w.safetensors", small()
    save_weights(net, path)
    save_file(load_file(path), path, metadata={"form": "compact-1"})
    with pytest.raises(WeightsMismatch, match="compact-1"):
        load_weights(net, path)


@pytest.mark.robustness(40)
def test_weights_that_are_not_finite_leave_the_net_alone(tmp_path: Path) -> None:
    path, net = tmp_path / "w.safetensors", small()
    save_weights(net, path)
    tensors = load_file(path)
    tensors["colour.bias"][3] = float("nan")
    save_file(tensors, path, metadata={"form": net.form})
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(BadWeights, match=r"colour\.bias"):
        load_weights(net, path)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())

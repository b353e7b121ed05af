"""Losses against the package's own network, and against values known beforehand."""

from __future__ import annotations

import sys
import types

import pytest
import torch
import torch.nn.functional as F

from vid2vid import losses
from vid2vid.backbones.generator import closed
from vid2vid.errors import EngineUnavailable
from vid2vid.losses import (
    BlurDown,
    HighPassDiscriminator,
    Network,
    ShiftTolerantLPIPS,
    closing_loss,
    gradient_loss,
    grid_loss,
)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The ST-LPIPS package itself, without the two modules that it imports and does not need."""
    for module, name in (("IPython", "embed"), ("torchsummary", "summary")):
        stub = types.ModuleType(module)
        setattr(stub, name, None)
        monkeypatch.setitem(sys.modules, module, stub)
    return pytest.importorskip("stlpips_pytorch.stlpips", exc_type=ImportError)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    first = torch.rand(2, 3, 96, 128)
    return first, (first + 0.1 * torch.rand_like(first)).clamp(0.0, 1.0)


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_shift_tolerant_lpips_is_the_packages_own(package: types.ModuleType, network: Network) -> None:
    first, second = pair()
    theirs = package.LPIPS(net=network, variant="shift_tolerant", verbose=False)
    with torch.inference_mode():
        wanted = theirs(first, second, normalize=True).flatten()
        found = ShiftTolerantLPIPS(network)(first, second)
    assert found.shape == (2,)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0.0)


def test_shift_tolerant_lpips_teaches_the_output_only() -> None:
    pytest.importorskip("stlpips_pytorch")
    first, second = pair()
    first.requires_grad_(True)
    second.requires_grad_(True)
    network = ShiftTolerantLPIPS("alex")
    network(first, second).sum().backward()
    assert first.grad is not None and first.grad.abs().sum() > 0.0
    assert second.grad is None
    assert not any(p.requires_grad for p in network.parameters())


def test_shift_tolerant_lpips_forgives_a_shift_more_than_a_blur() -> None:
    """Equal pictures have no distance, and a shift by a pixel costs less than a blur does."""
    pytest.importorskip("stlpips_pytorch")
    torch.manual_seed(1)
    wide = F.interpolate(torch.rand(1, 3, 33, 33), size=(132, 132), mode="bicubic").clamp(0.0, 1.0)
    here, there = wide[..., :128, :128], wide[..., :128, 1:129]
    blurred = F.avg_pool2d(F.pad(here, (4, 4, 4, 4), mode="reflect"), 9, stride=1)
    network = ShiftTolerantLPIPS("alex")
    with torch.inference_mode():
        same, shifted, soft = (float(network(other, here)) for other in (here, there, blurred))
    assert same == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < shifted < 0.5 * soft


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'vid2vid\[metrics\]'"):
        ShiftTolerantLPIPS("alex")


def test_gradient_loss_of_a_ramp() -> None:
    """A ramp of 0.1 a column against a flat picture: 0.1 across, nothing down; a constant is not seen at all."""
    ramp = (0.1 * torch.arange(8.0)).expand(1, 3, 8, 8)
    assert float(gradient_loss(ramp, torch.zeros_like(ramp))) == pytest.approx(0.1, abs=1e-6)
    assert float(gradient_loss(ramp.transpose(2, 3), torch.zeros_like(ramp))) == pytest.approx(0.1, abs=1e-6)
    assert float(gradient_loss(ramp + 0.3, ramp)) == pytest.approx(0.0, abs=1e-6)


def test_blur_down_keeps_the_mean_and_removes_the_checkerboard() -> None:
    flat = torch.full((1, 2, 16, 12), 0.7)
    made = BlurDown()(flat)
    assert made.shape == (1, 2, 9, 7)
    torch.testing.assert_close(made, torch.full_like(made, 0.7))
    board = (torch.arange(16)[:, None] + torch.arange(16)[None, :]).remainder(2).float()[None, None]
    inner = BlurDown()(board)[..., 1:-1, 1:-1]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5))


def test_discriminator_sees_texture_not_colour() -> None:
    torch.manual_seed(0)
    judge = HighPassDiscriminator(8).eval()
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        scores, shifted = judge(picture), judge(picture + 0.25)
        rough = judge((picture - 0.5) * 0.2 + 0.5)
    assert scores.shape == (1, 1, 8, 8)
    torch.testing.assert_close(shifted, scores, atol=1e-4, rtol=0.0)
    assert (rough - scores).abs().max() > 1e-3


def test_grid_loss_sees_what_repeats_with_the_block() -> None:
    """A print that repeats every four pixels costs its variance; noise, a shift of all, and other periods hardly do."""
    torch.manual_seed(0)
    target = torch.rand(2, 3, 96, 96)
    stamp = 0.2 * torch.rand(1, 3, 4, 4)
    printed = target + stamp.repeat(1, 1, 24, 24)
    wanted = float(stamp.var((2, 3), unbiased=False).mean())
    assert float(grid_loss(printed, target)) == pytest.approx(wanted, rel=1e-3)
    assert float(grid_loss(target + 0.3, target)) < 1e-9
    noise = torch.randn(2, 3, 96, 96) * stamp.std()
    assert float(grid_loss(target + noise, target)) < 0.06 * wanted
    other = target + F.interpolate(stamp, (5, 5)).repeat(1, 1, 20, 20)[..., :96, :96]
    assert float(grid_loss(other, target)) < 0.2 * wanted
    halves = stamp[..., :2, :2].repeat(1, 1, 48, 48)
    wanted = float(stamp[..., :2, :2].var((2, 3), unbiased=False).mean())
    assert float(grid_loss(target + halves, target, period=2)) == pytest.approx(wanted, rel=1e-3)


def lined() -> tuple[torch.Tensor, torch.Tensor]:
    """A flat picture with a dark line across the middle, and the same without it."""
    torch.manual_seed(2)
    flat = F.interpolate(torch.rand(1, 3, 4, 4), size=(64, 64), mode="bicubic") * 0.2 + 0.5
    source = flat.clone()
    source[..., 31:34, :] = 0.1
    return source, flat


def slopes(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """How the loss wants the logits to move, `(64,)` rows; the closings are the true one and one that is no use."""
    logits = torch.zeros(1, 2, 64, 64, requires_grad=True)
    closing_loss(logits, source, [closed(source, 5), source], target).backward()
    assert logits.grad is not None
    assert not logits.grad[:, 1].any(), "where closing changes nothing nothing is learned"
    return -logits.grad[0, 0].mean(1) * logits.numel()


def test_closing_loss_opens_where_the_target_has_no_line_and_shuts_where_it_has() -> None:
    source, flat = lined()
    gone, kept = slopes(source, flat), slopes(source, source)
    assert float(gone[31:34].min()) > 0.05 and float(kept[31:34].max()) < -0.05
    assert float(gone[:10].abs().max()) < 0.02


def test_closing_loss_does_not_count_a_change_of_colours() -> None:
    source, flat = lined()
    torch.testing.assert_close(slopes(source, flat + 0.2), slopes(source, flat), atol=1e-4, rtol=0.0)


def test_closing_loss_weighs_coarse_logits_by_area() -> None:
    source, flat = lined()
    logits = torch.zeros(1, 1, 16, 16, requires_grad=True)
    closing_loss(logits, source, [closed(source, 5)], flat).backward()
    assert logits.grad is not None
    rows = -logits.grad[0, 0].mean(1)
    assert set(rows.topk(2).indices.tolist()) == {7, 8}
    assert float(closing_loss(torch.full((1, 1, 16, 16), 8.0), source, [closed(source, 5)], flat)) < 0.1 * float(
        closing_loss(torch.full((1, 1, 16, 16), -8.0), source, [closed(source, 5)], flat)
    )

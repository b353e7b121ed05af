"""Losses against the package's own network, and against values known beforehand."""

from __future__ import annotations

import sys
import types

import pytest
import torch
import torch.nn.functional as F

from vid2vid import losses
from vid2vid.errors import EngineUnavailable
from vid2vid.losses import BlurDown, HighPassDiscriminator, Network, ShiftTolerantLPIPS, gradient_loss


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

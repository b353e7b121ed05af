"""What a generated picture is compared by while a generator learns.

Convention:
    Pictures are `(B, 3, H, W)` float32, sRGB about [0, 1]; every loss is a mean over its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from vid2vid.errors import EngineUnavailable

_SHIFT: Final = (-0.030, -0.088, -0.188)
_SCALE: Final = (0.458, 0.448, 0.450)
"""ImageNet mean and deviation for pictures in [-1, 1], as LPIPS was calibrated."""

Network = Literal["alex", "vgg"]
_SLICES: Final[Mapping[Network, tuple[tuple[int | str, ...], ...]]] = {
    "alex": ((0, "blur", "relu"), ("pool", "blur", 5, "relu"), ("pool", "blur", 9, "relu"), (11, "relu"), (13, "relu")),
    "vgg": (
        (0, "relu", 2, "relu"),
        ("pool", "blur", 6, "relu", 8, "relu"),
        ("pool", "blur", 12, "relu", 14, "relu", 16, "relu"),
        ("pool", "blur", 20, "relu", 22, "relu", 24, "relu"),
        ("pool", "blur", 28, "relu", 30, "relu", 32, "relu"),
    ),
}
"""Layers of the five slices whose outputs are compared; a number is a convolution's number in the weights file."""
_POOL: Final[Mapping[Network, int]] = {"alex": 3, "vgg": 2}


def gradient_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical differences: keeps edges in place and sharp."""
    difference = output - target
    across = (difference[..., :, 1:] - difference[..., :, :-1]).abs().mean()
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    return across + down


def grid_loss(output: Tensor, target: Tensor, period: int = 4, blocks: int = 6) -> Tensor:
    """Mean squared error that repeats with a period: what a generator which works on folded blocks prints on a picture.

    Args:
        output, target: `(B, 3, H, W)`, H and W multiples of `period`.
        period: side of the folded block in pixels.
        blocks: side, in blocks, of the square over which errors of one place in the block are averaged.
    """
    folded = F.pixel_unshuffle(output - target, period)
    pooled = F.avg_pool2d(folded, blocks, ceil_mode=True)
    means = pooled.view(pooled.shape[0], -1, period**2, *pooled.shape[-2:])
    error: Tensor = (means - means.mean(2, keepdim=True)).square().mean()
    return error


def closing_loss(logits: Tensor, source: Tensor, closings: Sequence[Tensor], target: Tensor) -> Tensor:
    """Tells a generator outright where a closing of its source is nearer to the target than the source itself.

    From the picture's own losses it learned to leave closings alone: most places are no lines, and a share near zero
    learns nothing any more. Local means are taken off before comparing, so that a change of colours does not count.

    Args:
        logits: `(B, N, h, w)` of the closings' shares, h and w a whole fraction of H and W.
        source, target: `(B, 3, H, W)`.
        closings: N pictures `(B, 3, H, W)`, the source with narrow dark things gone.
    """
    with torch.no_grad():
        wanted = _without_mean(target)
        before = (_without_mean(source) - wanted).abs().mean(1, keepdim=True)
        gains = [before - (_without_mean(closing) - wanted).abs().mean(1, keepdim=True) for closing in closings]
        gain = F.interpolate(torch.cat(gains, 1), logits.shape[-2:], mode="area")
    return (gain.abs() * F.binary_cross_entropy_with_logits(logits, (gain > 0).float(), reduction="none")).mean()


def _without_mean(pictures: Tensor) -> Tensor:
    """What is finer than a tenth of a usual frame."""
    return pictures - gaussian_blur2d(pictures, (25, 25), (6.0, 6.0))


class TextureLoss(nn.Module):
    """How far the strength of generated texture is from that of the texture which is missing, octave by octave.

    A deterministic net cannot know where the grains lie, only how strong they are: so the local deviation of what the
    clean picture lacks is compared with what noise of the predicted amplitudes has, in three bands of differences of
    Gaussians. With amplitudes from a layer of their own it made them follow the place (correlation .86 with the true
    strength after 80 steps on one window). At full strength the noise was seen and cost PSNR, so no recipe uses it now.

    Args:
        tile: the noise that amplitudes scale, `(OCTAVES, N, N)` of unit deviation.
    """

    WINDOW = 9
    """Side of the square over which a local deviation is taken, in pixels."""

    def __init__(self, tile: Tensor) -> None:
        super().__init__()
        energy = [torch.stack([band.square().mean() for band in _bands(octave[None, None])]) for octave in tile]
        self.register_buffer("energy", torch.stack(energy, 1))

    def forward(self, clean: Tensor, amplitude: Tensor, target: Tensor) -> Tensor:
        """`(B, 3, H, W)`, `(B, OCTAVES, H, W)`, `(B, 3, H, W)` -> mean difference of deviations."""
        missing = (target - clean).detach().mean(1, keepdim=True)
        wanted = torch.cat([self._local(band) for band in _bands(missing)], 1).sqrt()
        made = torch.einsum("ij,bjhw->bihw", self.get_buffer("energy"), amplitude.square())
        return ((made + 1e-8).sqrt() - wanted).abs().mean()

    def _local(self, band: Tensor) -> Tensor:
        return (
            F.avg_pool2d(band.square(), self.WINDOW, stride=1, padding=self.WINDOW // 2, count_include_pad=False) + 1e-8
        )


def _bands(plane: Tensor) -> list[Tensor]:
    """Differences of Gaussians of deviation 0, 1, 2 and 4 pixels: `(B, 1, H, W)` -> three of the same shape."""
    levels = [plane, *(gaussian_blur2d(plane, (4 * d + 1, 4 * d + 1), (float(d), float(d))) for d in (1, 2, 4))]
    return [finer - coarser for finer, coarser in pairwise(levels)]


class BlurDown(nn.Module):
    """Halves the size after a [1 2 1] blur, padded by two reflected pixels on every side."""

    def forward(self, features: Tensor) -> Tensor:
        """`(B, C, H, W)` -> `(B, C, H/2 + 1, W/2 + 1)`."""
        line = features.new_tensor([0.25, 0.5, 0.25])
        channels = features.shape[1]
        kernel = (line[:, None] * line[None, :]).expand(channels, 1, 3, 3)
        return F.conv2d(F.pad(features, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=channels)


class ShiftTolerantLPIPS(nn.Module):
    """ST-LPIPS: a perceptual distance that forgives shifts of a pixel or two.

    Reads the trained weights of the package `stlpips-pytorch`; the network is written anew from its layer table.

    Source:
        Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022 (weights BSD-2).
    """

    def __init__(self, network: Network = "alex") -> None:
        """Loads one of the two networks.

        Raises:
            EngineUnavailable: if the package is not installed.
        """
        super().__init__()
        weights = torch.load(_weights_file(network), map_location="cpu", weights_only=True)
        self.slices = nn.ModuleList()
        for number, names in enumerate(_SLICES[network], start=1):
            self.slices.append(nn.Sequential(*(_layer(name, network, f"net.slice{number}", weights) for name in names)))
        for level in range(5):
            self.register_buffer(f"head{level}", weights[f"lin{level}.model.1.weight"].clone())
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, 3, H, W)` twice, or one target for all, H and W at least 32 -> `(B,)` distances."""
        with torch.no_grad():
            wanted = list(self._features(target))
        total = output.new_zeros(output.shape[0], dtype=torch.float32)
        for level, (got, true) in enumerate(zip(self._features(output), wanted, strict=True)):
            head = self.get_buffer(f"head{level}")
            total = total + F.conv2d((_unit(got) - _unit(true)).square(), head).mean((1, 2, 3))
        return total

    def _features(self, pictures: Tensor) -> Iterator[Tensor]:
        features = (pictures * 2.0 - 1.0 - self.get_buffer("shift")) / self.get_buffer("scale")
        features = features.contiguous(memory_format=torch.channels_last)
        for layers in self.slices:
            features = layers(features)
            yield features


def _unit(features: Tensor) -> Tensor:
    return features * torch.rsqrt(features.square().sum(1, keepdim=True) + 1e-10)


def _layer(name: int | str, network: Network, prefix: str, weights: Mapping[str, Tensor]) -> nn.Module:
    """One layer of the table, with its trained weights where it has any."""
    if name == "relu":
        return nn.ReLU()
    if name == "blur":
        return BlurDown()
    if name == "pool":
        return nn.MaxPool2d(_POOL[network], stride=1)
    weight = weights[f"{prefix}.{name}.weight"]
    size = weight.shape[-1]
    convolution = nn.Conv2d(weight.shape[1], weight.shape[0], size, padding=2 if size > 3 else 1)
    convolution.load_state_dict({"weight": weight, "bias": weights[f"{prefix}.{name}.bias"]})
    return convolution


def _weights_file(network: Network) -> Path:
    found = find_spec("stlpips_pytorch")
    if found is None or found.origin is None:
        raise EngineUnavailable(
            "ST-LPIPS needs the trained networks of the package 'stlpips-pytorch', which is not installed. "
            "Install it with: pip install 'vid2vid[metrics]'."
        )
    return Path(found.origin).parent / "weights" / "vST0.0" / f"{network}_shift_tolerant.pth"


class HighPassDiscriminator(nn.Module):
    """Tells made from live texture on 22-pixel patches, seeing only what a 5x5 mean leaves over.

    Fed whole pictures, such a net learned nothing in our trials; fed five times the high-pass, it learned in 200 steps.

    Source:
        Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017 (PatchGAN). Departures:
        high-pass input, spectral normalisation, no condition, no batch normalisation.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        spectral = nn.utils.parametrizations.spectral_norm
        widths = (3, width, width * 2, width * 4)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [spectral(nn.Conv2d(before, after, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral(nn.Conv2d(widths[-1], 1, 3, padding=1)))

    def forward(self, pictures: Tensor) -> Tensor:
        """`(B, 3, H, W)` -> `(B, 1, H/8, W/8)` scores, high for live."""
        smooth = F.avg_pool2d(F.pad(pictures, (2, 2, 2, 2), mode="reflect"), 5, stride=1)
        scores: Tensor = self.layers(5.0 * (pictures - smooth))
        return scores

"""Peers' generators rebuilt from their published layer tables, with random weights: for timing only.

Counts of parameters are checked against the published ones in `tests/benchmarks/test_peers.py`.

Source:
    pix2pix, CycleGAN: Isola et al. 2017 and Zhu et al. 2017, appendices. pix2pixHD: Wang et al. 2018, appendix.
    vid2vid: Wang et al. 2018, appendix (without its foreground branch). First Order Motion Model: Siarohin et al. 2019,
    appendix. Fast neural style: Johnson et al. 2016, supplement, with instance normalisation and resize-convolutions.
    faceswap: the "original" model of the project of that name. AnimeGANv2: its project's generator table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Peer:
    """One architecture and what it is fed."""

    name: str
    build: Callable[[], nn.Module]
    inputs: tuple[int, ...] = (3,)
    """Channels of each input picture."""
    native_size: int | None = None
    """The one size it works at; None for any multiple of 256."""


class UNetLevel(nn.Module):
    """One level of pix2pix's U-Net: halves, hands inwards, doubles, and joins its own input to the result."""

    def __init__(self, outer: int, inner: int, inside: nn.Module | None) -> None:
        super().__init__()
        down: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, 2, 1, bias=False)]
        if inside is not None:
            down.append(nn.BatchNorm2d(inner))
        joined = inner if inside is None else 2 * inner
        self.down = nn.Sequential(*down)
        self.inside = inside if inside is not None else nn.Identity()
        self.up = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(joined, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer)
        )

    def forward(self, features: Tensor) -> Tensor:
        """`(B, outer, h, w)` -> `(B, 2 outer, h, w)`."""
        return torch.cat((features, self.up(self.inside(self.down(features)))), 1)


class UNet256(nn.Module):
    """pix2pix: eight halvings, 64 to 512 channels."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 128, 256, 512, 512, 512, 512, 512)
        level: nn.Module | None = None
        for outer, inner in reversed(list(pairwise(widths))):
            level = UNetLevel(outer, inner, level)
        assert level is not None
        self.layers = nn.Sequential(
            nn.Conv2d(3, 64, 4, 2, 1, bias=False), level, nn.ReLU(), nn.ConvTranspose2d(128, 3, 4, 2, 1), nn.Tanh()
        )

    def forward(self, picture: Tensor) -> Tensor:
        """`(B, 3, 256 i, 256 j)` -> the same."""
        made: Tensor = self.layers(picture)
        return made


def _conv_norm(before: int, after: int, size: int, stride: int = 1) -> list[nn.Module]:
    padding: list[nn.Module] = [nn.ReflectionPad2d(size // 2)] if stride == 1 else []
    convolution = nn.Conv2d(before, after, size, stride, 0 if stride == 1 else size // 2)
    return [*padding, convolution, nn.InstanceNorm2d(after), nn.ReLU()]


def _double(before: int, after: int) -> list[nn.Module]:
    up = nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)
    return [up, nn.InstanceNorm2d(after), nn.ReLU()]


class NormedResidual(nn.Module):
    """Two reflected 3x3 convolutions with instance normalisation around a skip."""

    def __init__(self, channels: int, *, affine: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3)]
            layers += [nn.InstanceNorm2d(channels, affine=affine), *([] if last else [nn.ReLU()])]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """`(B, C, h, w)` -> the same."""
        out: Tensor = features + self.layers(features)
        return out


def _encoder(channels: int, width: int, halvings: int) -> list[nn.Module]:
    layers = _conv_norm(channels, width, 7)
    for level in range(halvings):
        layers += _conv_norm(width * 2**level, width * 2 ** (level + 1), 3, stride=2)
    return layers


def _decoder(width: int, halvings: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for level in reversed(range(halvings)):
        layers += _double(width * 2 ** (level + 1), width * 2**level)
    return layers


def _last(width: int, channels: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7)]


def residual_generator(width: int, halvings: int, blocks: int) -> nn.Sequential:
    """The generator of CycleGAN (64, 2, 9) and the global one of pix2pixHD (64, 4, 9)."""
    middle = [NormedResidual(width * 2**halvings) for _ in range(blocks)]
    layers = [*_encoder(3, width, halvings), *middle, *_decoder(width, halvings), *_last(width, 3), nn.Tanh()]
    return nn.Sequential(*layers)


class Composite(nn.Module):
    """vid2vid's composite generator: labels and last frames to a new picture, a flow and a mask that blends them."""

    def __init__(self, width: int = 128, halvings: int = 3, blocks: int = 9) -> None:
        super().__init__()
        deep, half = width * 2**halvings, blocks // 2
        self.labels = nn.Sequential(
            *_encoder(9, width, halvings), *(NormedResidual(deep) for _ in range(blocks - half))
        )
        self.last = nn.Sequential(*_encoder(6, width, halvings), *(NormedResidual(deep) for _ in range(blocks - half)))
        self.picture, self.motion = (
            nn.Sequential(*(NormedResidual(deep) for _ in range(half)), *_decoder(width, halvings)) for _ in range(2)
        )
        self.to_rgb, self.to_flow, self.to_mask = (nn.Sequential(*_last(width, c)) for c in (3, 2, 1))

    def forward(self, labels: Tensor, last: Tensor) -> Tensor:
        """`(B, 9, H, W)` label maps and `(B, 6, H, W)` last two frames -> `(B, 3, H, W)`."""
        features = self.labels(labels) + self.last(last)
        made, motion = torch.tanh(self.to_rgb(self.picture(features))), self.motion(features)
        moved = _moved(last[:, 3:], self.to_flow(motion))
        return torch.lerp(moved, made, torch.sigmoid(self.to_mask(motion)))


def _moved(picture: Tensor, flow: Tensor) -> Tensor:
    """The picture read at every place plus `flow`, in halves of its side."""
    unit = torch.eye(2, 3, dtype=picture.dtype, device=picture.device)[None].expand(len(picture), -1, -1)
    grid = F.affine_grid(unit, list(picture.shape), align_corners=False)
    return F.grid_sample(picture, grid + flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


class Hourglass(nn.Module):
    """The motion model's U-Net of five average-pooled levels; the result holds its input besides `width` channels."""

    def __init__(self, channels: int, width: int, largest: int = 1024) -> None:
        super().__init__()
        widths = [channels, *(min(largest, width * 2**level) for level in range(1, 6))]
        self.down = nn.ModuleList(_batch_conv(a, b, 3) for a, b in pairwise(widths))
        outs = [min(largest, width * 2**level) for level in range(5)]
        self.up = nn.ModuleList(
            _batch_conv(widths[level + 1] * (1 if level == 4 else 2), outs[level], 3) for level in reversed(range(5))
        )

    def forward(self, picture: Tensor) -> Tensor:
        """`(B, C, h, w)` -> `(B, width + C, h, w)`."""
        skips = [picture]
        for layer in self.down:
            skips.append(F.avg_pool2d(layer(skips[-1]), 2))
        features = skips.pop()
        for layer in self.up:
            features = torch.cat((layer(F.interpolate(features, scale_factor=2.0)), skips.pop()), 1)
        return features


def _batch_conv(before: int, after: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, size, padding=size // 2), nn.BatchNorm2d(after), nn.ReLU())


class PreActivated(nn.Module):
    """Residual block with batch normalisation before each convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)]
        other = [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)]
        self.layers = nn.Sequential(*half, *other)

    def forward(self, features: Tensor) -> Tensor:
        """`(B, C, h, w)` -> the same."""
        out: Tensor = features + self.layers(features)
        return out


class FirstOrder(nn.Module):
    """First Order Motion Model at 256: keypoints of the driving frame, dense motion, and the warped source repaired."""

    POINTS: Final = 10

    def __init__(self) -> None:
        super().__init__()
        n = self.POINTS
        self.find = Hourglass(3, 32)
        self.heat, self.jacobian = nn.Conv2d(35, n, 7), nn.Conv2d(35, 4 * n, 7)
        self.dense = Hourglass(4 * (n + 1), 64)
        self.choice, self.occlusion = nn.Conv2d(108, n + 1, 7, padding=3), nn.Conv2d(108, 1, 7, padding=3)
        self.encode = nn.Sequential(
            _batch_conv(3, 64, 7), _batch_conv(64, 128, 3), nn.AvgPool2d(2), _batch_conv(128, 256, 3), nn.AvgPool2d(2)
        )
        self.repair = nn.Sequential(*(PreActivated(256) for _ in range(6)))
        up = nn.Upsample(scale_factor=2)
        last = nn.Conv2d(64, 3, 7, padding=3)
        self.decode = nn.Sequential(up, _batch_conv(256, 128, 3), up, _batch_conv(128, 64, 3), last)

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        """Source and driving frame `(B, 3, H, W)` -> `(B, 3, H, W)`; the source's own keypoints count as the centre."""
        small, frame = (F.interpolate(p, scale_factor=0.25, mode="bilinear") for p in (source, driving))
        features = self.find(frame)
        heat = self.heat(features).flatten(2).softmax(-1).view(len(source), self.POINTS, -1)
        jacobian = (self.jacobian(features).flatten(2).view(len(source), self.POINTS, 4, -1) * heat[:, :, None]).sum(-1)
        flow, hidden = self._dense_motion(small, heat.mean(-1), jacobian)
        full = F.interpolate(flow.permute(0, 3, 1, 2), size=[side // 4 for side in source.shape[-2:]], mode="bilinear")
        moved = F.grid_sample(self.encode(source), full.permute(0, 2, 3, 1), align_corners=False) * hidden
        return torch.sigmoid(self.decode(self.repair(moved)))

    def _dense_motion(self, small: Tensor, shift: Tensor, jacobian: Tensor) -> tuple[Tensor, Tensor]:
        """The keypoints' affine motions and the background's, mixed by a choice: `(B, h, w, 2)`, and occlusion."""
        count, _, height, width = small.shape
        unit = torch.eye(2, 3, dtype=small.dtype, device=small.device).expand(count, self.POINTS + 1, 2, 3).clone()
        unit[:, 1:, :, :2] += 0.01 * jacobian.view(count, self.POINTS, 2, 2)
        unit[:, 1:, :, 2] += shift[..., None]
        grid = F.affine_grid(unit.flatten(0, 1), [count * (self.POINTS + 1), 1, height, width], align_corners=False)
        copies = small[:, None].expand(-1, self.POINTS + 1, -1, -1, -1).flatten(0, 1)
        moved = F.grid_sample(copies, grid, align_corners=False)
        bump = torch.exp(-50.0 * grid.square().sum(-1))[:, None]
        features = self.dense(torch.cat((bump, moved), 1).view(count, -1, height, width))
        choice = self.choice(features).softmax(1)[..., None]
        flow = (choice * grid.view(count, self.POINTS + 1, height, width, 2)).sum(1)
        return flow, torch.sigmoid(self.occlusion(features))


def fast_style() -> nn.Sequential:
    """Fast neural style's transformer net."""

    def layer(before: int, after: int, size: int, stride: int = 1) -> list[nn.Module]:
        convolution = nn.Conv2d(before, after, size, stride)
        return [nn.ReflectionPad2d(size // 2), convolution, nn.InstanceNorm2d(after, affine=True), nn.ReLU()]

    double = nn.Upsample(scale_factor=2)
    middle = [NormedResidual(128, affine=True) for _ in range(5)]
    ends = [double, *layer(128, 64, 3), double, *layer(64, 32, 3), nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9)]
    return nn.Sequential(*layer(3, 32, 9), *layer(32, 64, 3, 2), *layer(64, 128, 3, 2), *middle, *ends)


def faceswap_original() -> nn.Sequential:
    """The "original" model of faceswap at 64 pixels: the shared encoder and one decoder."""
    layers: list[nn.Module] = []
    for before, after in ((3, 128), (128, 256), (256, 512), (512, 1024)):
        layers += [nn.Conv2d(before, after, 5, stride=2, padding=2), nn.LeakyReLU(0.1)]
    layers += [nn.Flatten(), nn.Linear(16 * 1024, 1024), nn.Linear(1024, 16 * 1024), nn.Unflatten(1, (1024, 4, 4))]
    for before, after in ((1024, 512), (512, 256), (256, 128), (128, 64)):
        layers += [nn.Conv2d(before, 4 * after, 3, padding=1), nn.LeakyReLU(0.1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers, nn.Conv2d(64, 3, 5, padding=2), nn.Sigmoid())


def _anime(before: int, after: int, size: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    padding: list[nn.Module] = [nn.ReflectionPad2d(size // 2)] if size > 1 else []
    convolution = nn.Conv2d(before, after, size, stride, groups=groups, bias=False)
    return [*padding, convolution, nn.GroupNorm(1, after), nn.LeakyReLU(0.2)]


class Inverted(nn.Module):
    """Inverted residual block with twofold expansion."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        wide, self.skips = 2 * before, before == after
        narrow = [nn.Conv2d(wide, after, 1, bias=False), nn.GroupNorm(1, after)]
        self.layers = nn.Sequential(*_anime(before, wide, 1), *_anime(wide, wide, groups=wide), *narrow)

    def forward(self, features: Tensor) -> Tensor:
        """`(B, before, h, w)` -> `(B, after, h, w)`."""
        out: Tensor = self.layers(features)
        return features + out if self.skips else out


def anime_gan_2() -> nn.Sequential:
    """AnimeGANv2's generator."""
    start = [*_anime(3, 32, 7), *_anime(32, 64, stride=2), *_anime(64, 64), *_anime(64, 128, stride=2)]
    middle = [Inverted(128, 256), *(Inverted(256, 256) for _ in range(3))]
    wide = [*_anime(128, 128), *_anime(128, 128), *middle, *_anime(256, 128)]
    double = nn.Upsample(scale_factor=2, mode="bilinear")
    half = [double, *_anime(128, 128), *_anime(128, 128)]
    full = [double, *_anime(128, 64), *_anime(64, 64), *_anime(64, 32, 7)]
    return nn.Sequential(*start, *wide, *half, *full, nn.Conv2d(32, 3, 1, bias=False), nn.Tanh())


PEERS: Final = (
    Peer("pix2pix unet_256", UNet256),
    Peer("CycleGAN resnet_9blocks", lambda: residual_generator(64, 2, 9)),
    Peer("pix2pixHD global", lambda: residual_generator(64, 4, 9)),
    Peer("First Order Motion Model", FirstOrder, (3, 3)),
    Peer("fast neural style", fast_style),
    Peer("faceswap original", faceswap_original, native_size=64),
    Peer("AnimeGANv2", anime_gan_2),
    Peer("vid2vid composite", Composite, (9, 6)),
)
"""The first one is what ratios are taken against."""

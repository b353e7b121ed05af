"""The compact generator: a residual U-Net, usually at a quarter of the frame's size, that repairs a picture.

Convention:
    B pictures, H and W multiples of `MULTIPLE_OF`; pictures are sRGB in [0, 1]; offsets are in pixels.

Source:
    Composition of warped history and new pixels by a soft mask: Wang et al., "Video-to-Video Synthesis", 2018, eq. 4.
    Departures: the warped history comes from the source's optical flow instead of a learned one, new pixels start from
    an aligned reference or the source instead of from nothing, and the mask is capped so that errors die out.
    Pixel-unshuffle stem and shuffle head: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an
    Efficient Sub-Pixel Convolutional Neural Network", 2016; start of the head: Aitken et al., 2017 (ICNR).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vid2vid.backbones.texture import OCTAVES

DETAIL_CHANNELS = 8
"""Channels at full size before the last convolution."""
MAX_OFFSET_PX = 8.0
"""How far the generator may move the reference to mend the alignment."""
FORM = "compact-6"
"""Written into weights and checked on loading: changes whenever the same weights would mean another function."""
COLOUR_GAIN = 0.05
"""Slows the global colours down, since all deep channels move them at once. Brought in together with other changes:
what it does alone was not measured."""
CONTRAST = 4.0
"""Maps are centred and spread by this on their way in, so that features start at unit scale."""
MAX_HISTORY = 0.7
"""Largest share of the warped last output; below 1 so that errors fade within a few frames."""


STRENGTH = 0.02
"""Unit of the texture's amplitude, in sRGB: its softplus then works where it is curved and learns places apart."""
QUIET = -1.0
"""Start of the texture's amplitude before its softplus: 0.006, enough to be seen by a loss and by no viewer."""
_NEVER = -30.0
"""Logit of the shares of a silenced generator."""
CLOSINGS = (5, 9)
"""Sides in pixels of the squares by which the source is closed: thin dark lines up to a pixel narrower vanish."""


class Parts(NamedTuple):
    """A generated picture and what it is made of."""

    picture: Tensor
    """`(B, 3, H, W)` float32."""
    clean: Tensor
    """`(B, 3, H, W)` float32, before texture and history."""
    amplitude: Tensor
    """`(B, OCTAVES, H, W)` float32, at least 0: deviation of each octave of texture, in sRGB."""
    lines: Tensor
    """`(B, len(CLOSINGS), H / reduction, W / reduction)` float32: logits of the share of each closing of the source."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip; no normalisation, whose statistics would differ between crop and frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.second.weight, nonlinearity="relu")
        with torch.no_grad():
            self.second.weight.mul_(0.2)
            for bias in (self.first.bias, self.second.bias):
                if bias is not None:
                    bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        """`(B, C, h, w)` -> the same."""
        change: Tensor = self.second(_active(self.first(features)))
        return features + change


class Trunk(nn.Module):
    """Residual U-Net shared by all tasks: level i has `width * 2**i` channels at `1 / 2**i` of the stem's size."""

    def __init__(self, width: int, blocks: tuple[int, ...]) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(len(blocks))]
        pairs = list(pairwise(widths))
        stacks = [nn.Sequential(*(ResidualBlock(w) for _ in range(n))) for w, n in zip(widths, blocks, strict=True)]
        self.encoder = nn.ModuleList(stacks)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.decoder = nn.ModuleList(ResidualBlock(a) for a in widths[:-1])
        for convolution in (*self.down, *self.up):
            _start(convolution, 0.5 if convolution in self.up else 1.0)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, width, h, w)` -> features of the same shape, and the deepest level's `(B, C, h', w')`."""
        skips = []
        for stack, down in zip(self.encoder, self.down, strict=False):
            features = stack(features)
            skips.append(features)
            features = _active(down(features))
        features = deepest = self.encoder[-1](features)
        for up, block in zip(reversed(self.up), reversed(self.decoder), strict=True):
            features = F.interpolate(up(features), scale_factor=2.0, mode="nearest")
            features = block(features + skips.pop())
        return features, deepest


class CompactGenerator(nn.Module):
    """Stems, shared trunk and heads.

    Args:
        map_channels: channels of all condition maps together.
        width, blocks: see `Trunk`.
        anchored: whether the first three map channels are a picture (the source) that the output starts from; else it
            starts from the reference alone.
        reduction: side in pixels of the block that the stem folds into channels: 4 is quickest, 1 sees single pixels.
    """

    def __init__(
        self,
        map_channels: int,
        width: int = 32,
        blocks: tuple[int, ...] = (1, 1, 1, 2),
        anchored: bool = True,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if anchored and map_channels < 3:
            raise ValueError(f"map_channels={map_channels}: an anchored generator needs the source's three channels.")
        self.anchored = anchored
        self.form = FORM
        self.reduction = reduction
        self.multiple_of = reduction * 2 ** (len(blocks) - 1)
        folded = reduction**2
        self.stem_maps = nn.Conv2d(map_channels * folded, width, 3, padding=1)
        self.stem_reference = nn.Conv2d(4 * folded, width, 3, padding=1, bias=False)
        self.stem_history = nn.Conv2d(4 * folded, width, 3, padding=1, bias=False)
        self.trunk = Trunk(width, blocks)
        self.colour = nn.Linear(width * 2 ** (len(blocks) - 1), 12)
        self.alignment = nn.Conv2d(width, 3, 3, padding=1)
        self.unfold = nn.Conv2d(width, DETAIL_CHANNELS * folded, 1, bias=False)
        self.detail = nn.Conv2d(DETAIL_CHANNELS, 5, 3, padding=1)
        self.local = nn.Conv2d(width, OCTAVES + len(CLOSINGS), 3, padding=1)
        self._start_as_identity(folded)

    def _start_as_identity(self, folded: int) -> None:
        for stem in (self.stem_maps, self.stem_reference, self.stem_history):
            _start(stem, 1.0)
        with torch.no_grad():
            nn.init.zeros_(self.colour.weight)
            nn.init.zeros_(self.colour.bias)
            nn.init.zeros_(self.alignment.weight)
            self.alignment.bias.copy_(torch.tensor([0.0, 0.0, 2.0]))  # type: ignore[union-attr]
            block = torch.empty(DETAIL_CHANNELS, *self.unfold.weight.shape[1:])
            nn.init.kaiming_normal_(block, nonlinearity="linear")
            self.unfold.weight.copy_(block.repeat(folded, 1, 1, 1))
            self.detail.weight.mul_(0.1)
            self.detail.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0, -1.0]))  # type: ignore[union-attr]
            nn.init.zeros_(self.local.weight)
            start = torch.tensor([QUIET] * OCTAVES + [-2.0] * len(CLOSINGS))
            self.local.bias.copy_(start)  # type: ignore[union-attr]

    def silence(self) -> None:
        """Makes the output exactly what the start aims at: the source under the valid reference, nothing added."""
        with torch.no_grad():
            self.detail.weight.zero_()
            self.detail.bias[3:].fill_(_NEVER)  # type: ignore[index]
            self.local.weight.zero_()
            self.local.bias.fill_(_NEVER)  # type: ignore[union-attr]

    @property
    def silent(self) -> bool:
        """Whether it was silenced."""
        return bool(torch.all(self.local.bias.detach() == _NEVER))  # type: ignore[union-attr]

    def forward(
        self,
        maps: Tensor,
        reference: Tensor | None = None,
        history: Tensor | None = None,
        texture: Tensor | None = None,
    ) -> Tensor:
        """Makes one picture for each set of conditions.

        Args:
            maps: `(B, map_channels, H, W)`.
            reference: `(B, 4, H, W)`, aligned RGB and validity; None is the same as validity 0, and quicker.
            history: `(B, 4, H, W)`, the last output warped to this frame and the trust in it; None likewise.
            texture: `(B, OCTAVES, H, W)` noise that moves with the scene; None is the same as zeros.

        Returns:
            `(B, 3, H, W)` float32, about [0, 1], not clamped.
        """
        return self.parts(maps, reference, history, texture).picture

    def parts(self, maps: Tensor, reference: Tensor | None, history: Tensor | None, texture: Tensor | None) -> Parts:
        """As `forward`, with what the picture is made of, for training."""
        features, deepest = self.trunk(_active(self._stems(maps, reference, history)))
        local = _planar(self.local(_active(features)))
        lines = local[:, OCTAVES:]
        local = torch.cat((STRENGTH * F.softplus(local[:, :OCTAVES]), torch.sigmoid(lines)), 1)
        local = F.interpolate(local, scale_factor=float(self.reduction), mode="bilinear", align_corners=False)
        amplitude = local[:, :OCTAVES]
        base = self._base(maps, reference, features, deepest, local[:, OCTAVES:])
        detail = _planar(self.detail(_active(unfold(self.unfold(features), self.reduction))))
        clean = base + detail[:, :3] * torch.sigmoid(detail[:, 3:4] + 2.0)
        picture = clean
        if texture is not None:
            picture = clean + (amplitude * _planar(texture)).sum(1, keepdim=True)
        if history is not None:
            history = _planar(history)
            share = history[:, 3:4] * torch.sigmoid(detail[:, 4:5]) * MAX_HISTORY
            picture = torch.lerp(picture, history[:, :3], share)
        return Parts(picture, clean, amplitude, lines)

    def _stems(self, maps: Tensor, reference: Tensor | None, history: Tensor | None) -> Tensor:
        dtype = self.stem_maps.weight.dtype
        features: Tensor = self.stem_maps(fold(((maps - 0.5) * CONTRAST).to(dtype), self.reduction))
        if reference is not None:
            features = features + self.stem_reference(fold(_weighted(reference).to(dtype), self.reduction))
        if history is not None:
            features = features + self.stem_history(fold(_weighted(history).to(dtype), self.reduction))
        return features

    def _base(
        self, maps: Tensor, reference: Tensor | None, features: Tensor, deepest: Tensor, without_lines: Tensor
    ) -> Tensor:
        """What the residual is added to: the source, with its lines closed where `without_lines` says so and in the
        learned colours, under the aligned reference.
        """
        base = None
        if self.anchored:
            matrix = COLOUR_GAIN * self.colour(deepest.mean((2, 3))).float().view(-1, 3, 4)
            drawn = source = _planar(maps[:, :3])
            for number, side in enumerate(CLOSINGS):
                source = torch.lerp(source, closed(drawn, side), without_lines[:, number : number + 1])
            change = torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], source.flatten(2))
            base = source + change.view_as(source)
        if reference is None:
            return base if base is not None else torch.full_like(maps[:, :3], 0.5, dtype=torch.float32)
        moved, validity = self._mend_alignment(_planar(reference), _planar(self.alignment(features)))
        return moved if base is None else torch.lerp(base, moved, validity)

    @staticmethod
    def _mend_alignment(reference: Tensor, correction: Tensor) -> tuple[Tensor, Tensor]:
        height, width = reference.shape[-2:]
        correction = F.interpolate(correction, size=(height, width), mode="bilinear", align_corners=False)
        offset = torch.tanh(correction[:, :2]) * MAX_OFFSET_PX
        moved = sample_at(reference, offset)
        return moved[:, :3], moved[:, 3:4] * torch.sigmoid(correction[:, 2:3])


def _start(convolution: nn.Module, gain: float) -> None:
    """Keeps the scale of features from layer to layer. With torch's own start their deviation fell from 0.22 to 0.03
    over three levels, and was lower still after 1,300 steps.
    """
    assert isinstance(convolution, nn.Conv2d)
    nn.init.kaiming_normal_(convolution.weight, 0.1)
    with torch.no_grad():
        convolution.weight.mul_(gain)
        if convolution.bias is not None:
            convolution.bias.zero_()


def closed(picture: Tensor, side: int) -> Tensor:
    """Grey closing by a square: what is darker than its surroundings and narrower than the square takes their colour.

    Flat brushwork and bright details stay, ink lines go, so a smooth mask is enough to say where lines are lines. A net
    at a quarter of the frame's size cannot cancel them to the pixel.
    """
    margin = 2 * (side // 2)
    framed = F.pad(picture, (margin, margin, margin, margin), mode="replicate")
    for dim in (2, 3):
        framed = _running(torch.maximum, framed, side, dim)
    for dim in (2, 3):
        framed = _running(torch.minimum, framed, side, dim)
    return framed


def _running(extreme: Callable[[Tensor, Tensor], Tensor], picture: Tensor, side: int, dim: int) -> Tensor:
    """Maximum or minimum of `side` neighbours along one axis, doubling the reach: ten times quicker than pooling."""
    length = picture.shape[dim] - side + 1
    reach = 1
    while 2 * reach <= side:
        kept = picture.shape[dim] - reach
        picture = extreme(picture.narrow(dim, 0, kept), picture.narrow(dim, reach, kept))
        reach *= 2
    return extreme(picture.narrow(dim, 0, length), picture.narrow(dim, side - reach, length))


def fold(picture: Tensor, side: int) -> Tensor:
    """Moves each block of side x side pixels into channels, `(B, C, H, W)` -> `(B, side**2 C, H/side, W/side)`.

    The same as pixel-unshuffle but for the order of the channels, which keeps each pixel's values together: three
    times quicker in interleaved memory.
    """
    batch, channels, height, width = picture.shape
    rows = picture.permute(0, 2, 3, 1).reshape(batch, height // side, side, width // side, -1)
    blocks = rows.transpose(2, 3).reshape(batch, height // side, width // side, side**2 * channels)
    return blocks.permute(0, 3, 1, 2)


def unfold(features: Tensor, side: int) -> Tensor:
    """The inverse of `fold`: `(B, side**2 C, h, w)` -> `(B, C, side h, side w)`."""
    batch, channels, height, width = features.shape
    blocks = features.permute(0, 2, 3, 1).reshape(batch, height, width, side, -1)
    rows = blocks.transpose(2, 3).reshape(batch, height * side, width * side, channels // side**2)
    return rows.permute(0, 3, 1, 2)


def _active(features: Tensor) -> Tensor:
    """Leaky: with plain rectifiers the amplitudes came out the same at every pixel, as if detail channels had died."""
    return F.leaky_relu(features, 0.1)


def _planar(picture: Tensor) -> Tensor:
    """Float32 with whole channel planes: the last steps mix few channels, which interleaved memory makes slow."""
    return picture.to(torch.float32, memory_format=torch.contiguous_format)


def _weighted(picture: Tensor) -> Tensor:
    """Colour scaled by its trust, so that what is not trusted reads as absent."""
    return torch.cat((picture[:, :3] * picture[:, 3:4], picture[:, 3:4]), 1)


def sample_at(picture: Tensor, offset: Tensor) -> Tensor:
    """Reads a picture at every pixel's own place plus an offset, bilinearly, edges repeated.

    Args:
        picture: `(B, C, H, W)` float32.
        offset: `(B, 2, H, W)` in pixels, along x and along y.

    Returns:
        `(B, C, H, W)`.
    """
    height, width = picture.shape[-2:]
    rows = torch.arange(height, device=picture.device, dtype=picture.dtype)[:, None]
    columns = torch.arange(width, device=picture.device, dtype=picture.dtype)[None, :]
    x = (columns + offset[:, 0]) * (2.0 / max(width - 1, 1)) - 1.0
    y = (rows + offset[:, 1]) * (2.0 / max(height - 1, 1)) - 1.0
    return F.grid_sample(picture, torch.stack((x, y), -1), mode="bilinear", padding_mode="border", align_corners=True)

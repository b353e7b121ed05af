"""Two small nets that read drawings of stick-men: one finds heads in the whole picture, one reads a figure's joints.

Convention:
    Ink maps are `ink_map`'s, in [0, 1]. The finder sees the picture with its longer side at 192 px; the reader sees a
    crop of 112 px around one head, in which a figure that stands upright is 48 px tall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vid2vid.backbones.weights import load_weights

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

READER_SIDE: Final = 112
READER_FIGURE_PX: Final = 48.0
FINDER_LONG_SIDE: Final = 192
FINDER_HEIGHT_PX: Final = 48.0
"""Standing height at which the finder's second map is 0."""
FINDER_RADIUS_PX: Final = 4.0
"""Radius of a head at which its third map is 0."""
_MARK_PX: Final = 3.0
"""Spread of the Gaussian that tells the reader which head is meant."""
_JOINT_PX: Final = 3.0
"""Spread of the Gaussians that it answers with."""
_MULTIPLE: Final = 8


class _Layer(nn.Sequential):
    """Convolution, normalisation, ReLU."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        )


class _Hourglass(nn.Module):
    """A U-Net from half the input's size down to a sixteenth and back, sums as skip connections."""

    def __init__(self, inputs: int, outputs: int, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        first, second, third, fourth = channels
        self.stem = nn.Sequential(_Layer(inputs, first, 2), _Layer(first, first))
        self.down_1 = nn.Sequential(_Layer(first, second, 2), _Layer(second, second))
        self.down_2 = nn.Sequential(_Layer(second, third, 2), _Layer(third, third))
        self.down_3 = nn.Sequential(_Layer(third, fourth, 2), _Layer(fourth, fourth), _Layer(fourth, fourth))
        self.across_3, self.up_2 = nn.Conv2d(fourth, third, 1), _Layer(third, third)
        self.across_2, self.up_1 = nn.Conv2d(third, second, 1), _Layer(second, second)
        self.across_1, self.up_0 = nn.Conv2d(second, first, 1), _Layer(first, first)
        self.head = nn.Conv2d(first, outputs, 1)

    def forward(self, ink: Tensor) -> Tensor:
        """`(N, inputs, h, w)` -> `(N, outputs, h/2, w/2)`."""
        half = self.stem(ink)
        quarter = self.down_1(half)
        eighth = self.down_2(quarter)
        up = self.up_2(eighth + _doubled(self.across_3(self.down_3(eighth)), eighth))
        up = self.up_1(quarter + _doubled(self.across_2(up), quarter))
        up = self.up_0(half + _doubled(self.across_1(up), half))
        return torch.as_tensor(self.head(up))


def _doubled(small: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(small, size=like.shape[-2:], mode="nearest")


class Reader(_Hourglass):
    """Joints 1 to 10 of the figure whose head is marked, as logits of heat maps at half the crop's size.

    Nobody can tell a drawn figure's left from its right: the letters of arms and of legs come in any order.
    """

    form = "stick-reader-1"

    def __init__(self) -> None:
        super().__init__(2, 10, (24, 48, 96, 160))
        nn.init.constant_(self.head.bias, -4.0)  # type: ignore[arg-type]


class Finder(_Hourglass):
    """Heads in a whole picture: logits, and at heads the logarithms of the figure's height and of the head's radius."""

    form = "stick-finder-1"

    def __init__(self) -> None:
        super().__init__(1, 3, (16, 32, 64, 96))
        with torch.no_grad():
            self.head.weight *= 0.1
            self.head.bias.copy_(torch.tensor([-4.0, 0.0, 0.0]))  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class FoundHead:
    """One head, in pixels of the finder's input."""

    x: float
    y: float
    height: float
    """Of the figure standing upright."""
    radius: float
    score: float
    """In [0, 1]."""


def load_reader(path: Path) -> Reader:
    """Loads a reader, ready to run.

    Raises:
        ModelError: see `load_weights`.
    """
    net = Reader()
    load_weights(net, path)
    return net.eval()


def load_finder(path: Path) -> Finder:
    """Loads a finder, ready to run.

    Raises:
        ModelError: see `load_weights`.
    """
    net = Finder()
    load_weights(net, path)
    return net.eval()


def reader_input(ink: NDArray[np.float32], head: NDArray[Any], height_px: float) -> NDArray[np.float32]:
    """Cuts out one figure for the reader.

    Args:
        ink: `(H, W)`, `ink_map` of the picture.
        head: `(2,)` x and y of the head's middle in pixels.
        height_px: the figure's standing height.

    Returns:
        `(2, 112, 112)`: the ink, and a Gaussian at the head, which is in the middle.
    """
    scale = READER_FIGURE_PX / height_px
    middle = READER_SIDE / 2 - 0.5
    softened = cv2.GaussianBlur(ink, (0, 0), 0.35 / scale) if scale < 0.8 else ink
    place = np.array([[scale, 0, middle - scale * head[0]], [0, scale, middle - scale * head[1]]], np.float32)
    crop = cv2.warpAffine(softened, place, (READER_SIDE, READER_SIDE), flags=cv2.INTER_LINEAR)
    return np.stack([crop, _MARK]).astype(np.float32)


def _gaussian() -> NDArray[np.float32]:
    line = np.exp(-((np.arange(READER_SIDE) - (READER_SIDE / 2 - 0.5)) ** 2) / (2 * _MARK_PX**2))
    return np.outer(line, line).astype(np.float32)


_MARK: Final = _gaussian()


def finder_input(ink: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Brings a picture's ink map to the finder's size.

    Args:
        ink: `(H, W)`.

    Returns:
        `(1, h, w)` with sides padded to multiples of 8, and the factor from the picture's pixels to these.
    """
    rows, columns = ink.shape
    scale = FINDER_LONG_SIDE / max(rows, columns)
    width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
    small = cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA)
    padded = np.zeros((1, -(-height // _MULTIPLE) * _MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE), np.float32)
    padded[0, :height, :width] = small
    return padded, scale


def joint_maps(joints: Tensor) -> Tensor:
    """What the reader should answer: `(N, 10, 2)` crop pixels -> `(N, 10, 56, 56)` in [0, 1]."""
    at = torch.arange(READER_SIDE // 2, device=joints.device) * 2 + 0.5
    across = (at - joints[..., :1]) ** 2
    down = (at - joints[..., 1:]) ** 2
    return torch.exp(-(down[..., :, None] + across[..., None, :]) / (2 * _JOINT_PX**2))


def reader_loss(logits: Tensor, maps: Tensor) -> Tensor:
    """Cross-entropy of heat maps, with the letters of arms and of legs in whichever order fits better."""

    def entropy(wanted: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum((-1, -2))

    as_is, exchanged = entropy(maps), entropy(maps[:, [0, 1, 4, 5, 2, 3, 8, 9, 6, 7]])
    total = as_is[:, :2].sum(1)
    for limbs in (slice(2, 6), slice(6, 10)):
        total = total + torch.minimum(as_is[:, limbs].sum(1), exchanged[:, limbs].sum(1))
    return total.mean() / 10


def finder_loss(output: Tensor, heads: Tensor, sizes: Tensor) -> Tensor:
    """Focal loss on heads and L1 on sizes where heads are.

    Source: Zhou et al. 2019, "Objects as Points", equation 1, with its exponents 2 and 4.
    """
    logits = output[:, 0]
    chance = torch.sigmoid(logits).clamp(1e-5, 1 - 1e-5)
    middle = (heads > 0.85).float()
    hit = -((1 - chance) ** 2) * chance.log() * middle
    miss = -((1 - heads) ** 4) * chance**2 * (1 - chance).log() * (1 - middle)
    count = middle.sum().clamp(min=1)
    near = (heads > 0.5).float()
    off = ((output[:, 1:] - sizes).abs().sum(1) * near).sum() / near.sum().clamp(min=1)
    return (hit.sum() + miss.sum()) / count + off


def decode_joints(logits: Tensor) -> NDArray[np.float32]:
    """Places of the joints, by the mean of each map's peak.

    Args:
        logits: `(N, 10, 56, 56)`.

    Returns:
        `(N, 10, 3)`: x, y in pixels of the crop, and the peak's height in [0, 1].
    """
    maps = torch.sigmoid(logits.float())
    count, joints, _, columns = maps.shape
    peak, where = maps.flatten(2).max(-1)
    y, x = where // columns, where % columns
    padded = functional.pad(maps, (2, 2, 2, 2))
    offsets = torch.arange(5)
    n, j = torch.arange(count)[:, None, None, None], torch.arange(joints)[None, :, None, None]
    down, across = y[..., None, None] + offsets[:, None], x[..., None, None] + offsets
    around = padded[n, j, down, across]
    total = around.sum((-1, -2)).clamp(min=1e-9)
    mean_x = (around * (across - 2)).sum((-1, -2)) / total
    mean_y = (around * (down - 2)).sum((-1, -2)) / total
    return torch.stack([mean_x * 2 + 0.5, mean_y * 2 + 0.5, peak], -1).numpy()


def decode_heads(output: Tensor, threshold: float = 0.3) -> list[FoundHead]:
    """Heads in one picture, the surest first.

    Args:
        output: `(1, 3, h/2, w/2)` of the finder.
        threshold: least score.
    """
    scores = torch.sigmoid(output[:, :1].float())
    peaks = scores * (functional.max_pool2d(scores, 5, 1, 2) == scores)
    best, where = peaks.flatten().topk(12)
    heads = []
    columns = scores.shape[-1]
    for score, place in zip(best.tolist(), where.tolist(), strict=True):
        if score < threshold:
            break
        y, x = place // columns, place % columns
        part = scores[0, 0, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        total = float(part.sum())
        fine_y = float((part.sum(1) * torch.arange(part.shape[0])).sum()) / total + max(0, y - 1)
        fine_x = float((part.sum(0) * torch.arange(part.shape[1])).sum()) / total + max(0, x - 1)
        height, radius = torch.exp(output[0, 1:, y, x].float()).tolist()
        heads.append(
            FoundHead(fine_x * 2 + 0.5, fine_y * 2 + 0.5, height * FINDER_HEIGHT_PX, radius * FINDER_RADIUS_PX, score)
        )
    return heads

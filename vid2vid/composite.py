"""Putting generated pictures into source frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.types import Picture


def blend(source: Tensor, generated: Tensor, mask: Tensor | None) -> Tensor:
    """Shows `generated` where the mask is 1 and `source` where it is 0, which stays as it was to the bit.

    Args:
        source, generated: `(T, 3, H, W)` in [0, 1].
        mask: `(T, 1, h, w)` in [0, 1], enlarged to the frames' size; None shows `generated` everywhere.

    Returns:
        `(T, 3, H, W)`.
    """
    if mask is None:
        return generated
    if mask.shape[-2:] != source.shape[-2:]:
        mask = F.interpolate(mask, size=source.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(mask > 0.0, torch.lerp(source, generated, mask), source)


def enlarge(generated: Tensor, small_source: Tensor, source: Tensor, keep_detail: bool) -> Tensor:
    """Brings pictures made at the working size to the source's size.

    Args:
        generated: `(T, 3, h, w)`, what the backbone made.
        small_source: `(T, 3, h, w)`, the source at the working size.
        source: `(T, 3, H, W)`.
        keep_detail: add the enlarged *change* to the source, so that its own detail stays; else enlarge the picture.

    Returns:
        `(T, 3, H, W)` in [0, 1].
    """
    size = source.shape[-2:]
    if generated.shape[-2:] == size:
        return generated
    if keep_detail:
        change = F.interpolate(generated - small_source, size=size, mode="bicubic", align_corners=False)
        return (source + change).clamp_(0.0, 1.0)
    return F.interpolate(generated, size=size, mode="bicubic", align_corners=False, antialias=True).clamp_(0.0, 1.0)


def to_tensor(pictures: list[Picture]) -> Tensor:
    """T pictures `(H, W, 3)` uint8 -> `(T, 3, H, W)` float32 in [0, 1], colour interleaved in memory."""
    stacked = torch.from_numpy(np.stack(pictures))
    return stacked.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last).div_(255.0)


def to_pictures(frames: Tensor) -> list[Picture]:
    """`(T, 3, H, W)` in [0, 1] -> T pictures `(H, W, 3)` uint8, rounded."""
    rounded = frames.permute(0, 2, 3, 1).mul(255.0).add_(0.5).clamp_(0.0, 255.0).to(torch.uint8)
    return list(rounded.contiguous().numpy())


def resize(picture: Picture, width: int, height: int) -> Picture:
    """Area average when shrinking, cubic when growing."""
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = width * height < picture.shape[0] * picture.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)


def shrunk(picture: Picture, short_side: int) -> Picture:
    """The picture with a short side of at most `short_side` pixels."""
    height, width = picture.shape[:2]
    scale = short_side / min(height, width)
    return picture if scale >= 1.0 else resize(picture, round(width * scale), round(height * scale))

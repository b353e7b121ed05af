"""Between tensors of frames and the pictures that diffusers pipelines take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

    from vid2vid.types import Picture


def to_images(frames: Tensor) -> list[Image]:
    """`(T, C, H, W)` in [0, 1], C 3 or 1, as T pictures of Pillow (RGB or L)."""
    from PIL import Image

    levels = frames.detach().clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(level[..., 0] if level.shape[-1] == 1 else level) for level in levels]


def to_image(picture: Picture) -> Image:
    """An `(H, W, 3)` uint8 picture as one of Pillow."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(picture))


def to_framed(picture: Picture, height: int, width: int) -> Image:
    """The whole picture inside a frame of another shape; its outermost rows and columns fill the rest."""
    import cv2

    scale = min(height / picture.shape[0], width / picture.shape[1])
    rows, columns = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC)
    top, left = (height - rows) // 2, (width - columns) // 2
    edges = (top, height - rows - top, left, width - columns - left)
    return to_image(np.asarray(cv2.copyMakeBorder(small, *edges, cv2.BORDER_REPLICATE), np.uint8))


def to_frames(output: Any) -> Tensor:
    """What a pipeline gave back, one clip, as `(T, 3, H, W)` float32 in [0, 1] on the CPU.

    Args:
        output: tensor `(1, T, 3, H, W)` or `(T, 3, H, W)`; array `(1, T, H, W, 3)` or `(T, H, W, 3)`; or lists of those
            or of pictures.
    """
    if isinstance(output, list):
        return _of_list(output)
    tensor = torch.from_numpy(np.ascontiguousarray(output)) if isinstance(output, np.ndarray) else output
    if tensor.ndim == 5:
        tensor = tensor[0]
    if tensor.shape[1] != 3:
        tensor = tensor.permute(0, 3, 1, 2)
    # Not clamped in between: values that are not finite must reach the check behind this.
    return tensor.detach().float().cpu().contiguous()


def _of_list(output: list[Any]) -> Tensor:
    if isinstance(output[0], list) or (hasattr(output[0], "ndim") and output[0].ndim == 4):
        return to_frames(output[0])
    stacked = np.stack([np.asarray(picture) for picture in output])
    scaled = stacked.astype(np.float32) / 255.0 if stacked.dtype == np.uint8 else stacked
    return to_frames(scaled)

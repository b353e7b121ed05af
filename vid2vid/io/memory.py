"""Frames that a caller holds in memory: arrays, tensors and iterables, checked at the border."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vid2vid.errors import EmptyInput, InvalidFrames
from vid2vid.io.containers import check_size
from vid2vid.types import SourceKind, VideoInfo

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.types import Picture

_SLACK = 1e-3
"""How far float values may leave [0, 1]; resizing with a negative lobe does this."""
_FORMS = "Give (T, H, W, 3) uint8, a (T, 3, H, W) float tensor in [0, 1], or an iterable of (H, W, 3) uint8 frames."


def is_tensor(video: object) -> bool:
    """Tells whether this is a torch tensor, without importing torch: who made one has imported it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(video, torch.Tensor)


def check_array(video: np.ndarray[Any, np.dtype[Any]]) -> tuple[Sequence[Picture], SourceKind]:
    """Gives the frames of an array as a sequence of views.

    Args:
        video: (T, H, W, 3) uint8, or one picture (H, W, 3) uint8.

    Raises:
        InvalidFrames: shape or dtype differ; EmptyInput: T is 0; TooSmall, TooLarge: H and W are out of bounds.
    """
    if video.dtype != np.uint8:
        hint = "multiply by 255, round and convert" if video.dtype.kind == "f" else "convert it"
        raise InvalidFrames(f"The array is {video.dtype}; arrays must be uint8 in 0 to 255 ({hint}).")
    if video.ndim not in (3, 4) or video.shape[-1] != 3:
        hint = " Move the channels to the end." if video.ndim in (3, 4) and video.shape[-3] == 3 else f" {_FORMS}"
        raise InvalidFrames(f"The array has the shape {video.shape}; (T, H, W, 3) or (H, W, 3) is needed.{hint}")
    frames, kind = (video, "array") if video.ndim == 4 else (video[None], "image")
    if len(frames) == 0:
        raise EmptyInput("The array holds no frames.")
    check_size(frames.shape[2], frames.shape[1], "the array's frame")
    return cast("Sequence[Picture]", frames), "array" if kind == "array" else "image"


def check_tensor(video: Tensor) -> None:
    """Refuses tensors that are not (T, 3, H, W) float in [0, 1].

    Raises:
        InvalidFrames: shape, dtype or range differ, or a value is not finite; EmptyInput: T is 0; TooSmall, TooLarge.
    """
    if not video.is_floating_point():
        raise InvalidFrames(f"The tensor is {video.dtype}; floats in [0, 1] are needed (divide uint8 by 255).")
    if video.ndim != 4 or video.shape[1] != 3:
        last = video.ndim == 4 and video.shape[-1] == 3
        hint = "Use permute(0, 3, 1, 2)." if last else "Use unsqueeze(0) for one frame." if video.ndim == 3 else _FORMS
        raise InvalidFrames(f"The tensor has the shape {tuple(video.shape)}; (T, 3, H, W) is needed. {hint}")
    if video.shape[0] == 0:
        raise EmptyInput("The tensor holds no frames.")
    check_size(video.shape[3], video.shape[2], "the tensor's frame")
    low, high = (float(value) for value in video.detach().aminmax())
    if not (low >= -_SLACK and high <= 1 + _SLACK):
        guess = "It looks like 0 to 255: divide by 255." if high > 2 else "It looks like -1 to 1: use (x + 1) / 2."
        raise InvalidFrames(f"The tensor's values run from {low:g} to {high:g}; [0, 1] is needed. {guess}")


def tensor_frames(video: Tensor) -> Iterator[Picture]:
    """Yields a checked tensor's frames as (H, W, 3) uint8, one at a time."""
    for frame in video.detach():
        levels = frame.float().clamp(0, 1).mul(255).round().byte()
        yield cast("Picture", levels.permute(1, 2, 0).contiguous().cpu().numpy())


def peek(frames: Iterable[Picture]) -> tuple[Picture, Iterator[Picture]]:
    """Gives the first frame, checked, and an iterator over all of them.

    Raises:
        EmptyInput: there is none; InvalidFrames: it is no (H, W, 3) uint8 array.
    """
    iterator = iter(frames)
    try:
        first = next(iterator)
    except StopIteration:
        raise EmptyInput("The iterable holds no frames.") from None
    _check_picture(first, 0, None)
    check_size(first.shape[1], first.shape[0], "the first frame")
    return first, chain((first,), iterator)


def checked(frames: Iterator[Picture], shape: tuple[int, ...]) -> Iterator[Picture]:
    """Yields the frames as they come and checks each.

    Raises:
        InvalidFrames: one is no uint8 array of this shape; the message tells which.
    """
    for index, frame in enumerate(frames):
        _check_picture(frame, index, shape)
        yield frame


def memory_info(width: int, height: int, fps: Fraction, count: int | None, kind: SourceKind) -> VideoInfo:
    """Describes frames that carry no rate or codec of their own."""
    duration_s = None if count is None else float(count / fps)
    return VideoInfo(width, height, fps, count, kind, duration_s=duration_s)


def _check_picture(frame: object, index: int, shape: tuple[int, ...] | None) -> None:
    if not isinstance(frame, np.ndarray):
        raise InvalidFrames(f"Frame {index} is a {type(frame).__name__}; (H, W, 3) uint8 arrays are needed.")
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InvalidFrames(f"Frame {index} is {frame.shape} {frame.dtype}; (H, W, 3) uint8 is needed.")
    if shape is not None and frame.shape != shape:
        raise InvalidFrames(f"Frame {index} is {frame.shape}, the first was {shape}. Bring all to one size first.")

"""Whole frames for a pretrained model, of tasks whose own generator sees only pictures cut from the frame.

Such a task puts its pictures in while it composites. Here it does that first, with nothing generated: the frame with
the puppet or the moved face in it is what the model starts from, and where it differs from the source is what the model
is to make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch

from vid2vid.composite import blend, enlarge, resize, to_pictures, to_tensor
from vid2vid.types import Chunk, Conditions

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.task import Task
    from vid2vid.types import Frame, Picture

_CHANGED: Final = 3
"""Levels of 255 by which a pixel differs that the task has changed."""
_MARGIN: Final = 0.02
"""Of the short side, by which the area to be made reaches beyond what was changed: shadows, hair, blurred edges."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A chunk's frames as the task made them by itself."""

    pictures: tuple[Picture, ...]
    """`(H, W, 3)` uint8 at the source's size."""
    conditions: Conditions
    """At the working size: the same as `source`, and the mask of what is to be made."""


def stage(task: Task[Any], setup: Any, frames: Sequence[Frame], chunk: Chunk, conditions: Conditions) -> Staged:
    """Lets the task composite a chunk with nothing generated. Like `composite`, it sees each frame once, in order.

    Args:
        task, setup: the task, which has a canvas of its own, and its own for this render.
        frames: at the source's size.
        chunk: the same at the working size.
        conditions: as the task gave them.
    """
    canvas = task.canvas(setup)
    assert canvas is not None  # asked only of tasks that have one
    source = to_tensor([frame.pixels for frame in frames])
    nothing = torch.zeros(len(frames), 3, *canvas)
    pictures = to_pictures(task.composite(Chunk(source, chunk.start, chunk.cuts), nothing, conditions, setup))
    height, width = chunk.frames.shape[-2:]
    masks = [changed(made, frame.pixels, width, height) for made, frame in zip(pictures, frames, strict=True)]
    small = to_tensor([resize(picture, width, height) for picture in pictures])
    whole = Conditions(
        maps={"source": small},
        mask=torch.from_numpy(np.stack(masks))[:, None],
        events=conditions.events,
        notes=conditions.notes,
    )
    return Staged(tuple(pictures), whole)


def finish_staged(staged: Staged, generated: Tensor, source: Tensor) -> Tensor:
    """Puts what the model made into the staged frames, which stay as they are outside the mask.

    Args:
        staged: of the same frames.
        generated: `(T, 3, h, w)` at the working size.
        source: `(T, 3, H, W)`; only its size counts.

    Returns:
        `(T, 3, H, W)` in [0, 1].
    """
    base = to_tensor(list(staged.pictures))
    full = enlarge(generated, staged.conditions.maps["source"], source, keep_detail=False)
    return blend(base, full, staged.conditions.mask)


def changed(made: Picture, source: Picture, width: int, height: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`(h, w)` float32 in [0, 1]: where two pictures differ, with a soft margin."""
    differs = (np.abs(made.astype(np.int16) - source).max(2) > _CHANGED).astype(np.float32)
    small = cv2.resize(differs, (width, height), interpolation=cv2.INTER_AREA)
    reach = max(1, round(_MARGIN * min(width, height)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate((small > 0.25).astype(np.float32), kernel)
    soft = cv2.GaussianBlur(grown, (0, 0), reach / 2)
    return np.asarray(np.where(soft > 0.02, soft, 0.0), np.float32)

"""The compact backbone in closed loop without the pipeline around it, for weights that no bundle holds yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from vid2vid.backbones.compact import CompactBackbone, CompactState
from vid2vid.backbones.generator import CompactGenerator
from vid2vid.conditions.motion import MotionTracker
from vid2vid.types import Chunk, Conditions

if TYPE_CHECKING:
    from vid2vid.types import Picture


class DirectRenderer:
    """Renders clips one after another; each call starts without history."""

    def __init__(self, weights: Path, *, dtype: torch.dtype = torch.bfloat16, recurrent: bool = True) -> None:
        """Loads the weights into a generator whose only condition map is the source.

        Args:
            weights: safetensors of a `CompactGenerator(3)`.
            dtype: number format of its convolutions.
            recurrent: whether the last output is carried along; off, every frame is made by itself.
        """
        net = CompactGenerator(3)
        net.load_state_dict(load_file(weights))
        self._backbone = CompactBackbone(net.to(dtype=dtype).to(memory_format=torch.channels_last), ("source",))
        self._recurrent = recurrent

    def __call__(self, frames: Iterable[Picture]) -> Iterator[Picture]:
        """`(H, W, 3)` uint8 sRGB pictures of one size -> the same number of generated ones."""
        tracker, state = MotionTracker(), CompactState()
        for index, frame in enumerate(frames):
            source = self._padded(frame)
            maps = torch.from_numpy(source).permute(2, 0, 1)[None].float() / 255.0
            motion = tracker([source], frozenset()) if self._recurrent else None
            conditions = Conditions(maps={"source": maps}, motion=motion)
            made, state = self._backbone.step(Chunk(maps, index), conditions, state)
            picture = made[0, :, : frame.shape[0], : frame.shape[1]].permute(1, 2, 0)
            yield np.asarray((picture.numpy() * 255.0 + 0.5).astype(np.uint8))

    def _padded(self, frame: Picture) -> Picture:
        bottom, right = (-side % self._backbone.multiple_of for side in frame.shape[:2])
        return np.asarray(cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REFLECT_101), np.uint8)

"""Reads drawn figures in single pictures: heads from the finder, joints from the reader, both in batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.conditions.ink import ink_map
from vid2vid.conditions.stick_nets import (
    READER_FIGURE_PX,
    READER_SIDE,
    FoundHead,
    decode_heads,
    decode_joints,
    finder_input,
    reader_input,
)
from vid2vid.motion.skeleton import HEAD, STICK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Net = Callable[[torch.Tensor], torch.Tensor]
    """A finder or reader, or what stands in for one."""

_CROP_REACH: Final = 0.5 * READER_SIDE / READER_FIGURE_PX + 0.1
"""From the head to the edge of what the reader sees, in heights, and a little more."""
_BATCH: Final = 16


@dataclass(frozen=True, slots=True)
class Sighting:
    """A figure to be read: where its head is, and how tall it is."""

    picture: int
    """Number of the picture in the sequence handed over."""
    x: float
    y: float
    height: float
    """Of the figure standing upright, in pixels."""


def find_heads(greys: Sequence[NDArray[np.uint8]], finder: Net, threshold: float) -> list[list[FoundHead]]:
    """Finds all heads in pictures of one size.

    Args:
        greys: `(H, W)` each.
        finder: `(N, 1, h, w)` ink -> `(N, 3, h/2, w/2)`.
        threshold: least score.

    Returns:
        For each picture its heads, the surest first, in pixels of the picture.
    """
    if not greys:
        return []
    inputs, scales = zip(*(finder_input(ink_map(grey)) for grey in greys), strict=True)
    with torch.inference_mode():
        output = finder(torch.from_numpy(np.stack(inputs)))
    return [
        [enlarged(head, 1.0 / scale) for head in decode_heads(maps, threshold)]
        for maps, scale in zip(output[:, None], scales, strict=True)
    ]


def enlarged(head: FoundHead, factor: float) -> FoundHead:
    """The head in pixels `factor` times as small; pixels' middles, not their corners, are whole numbers."""
    return replace(
        head,
        x=(head.x + 0.5) * factor - 0.5,
        y=(head.y + 0.5) * factor - 0.5,
        height=head.height * factor,
        radius=head.radius * factor,
    )


def read_joints(
    inks: Sequence[NDArray[np.float32]], sightings: Sequence[Sighting], reader: Net
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reads the joints of figures whose heads are known.

    Args:
        inks: `(H, W)` each, from `ink_map`.
        sightings: N figures in them.
        reader: `(N, 2, 112, 112)` -> `(N, 10, 56, 56)`.

    Returns:
        `(N, 11, 2)` joints in pixels, and `(N, 11)` how sure each is, in [0, 1]; of the head, 1.
    """
    joints = np.zeros((len(sightings), len(STICK), 2), np.float32)
    sureness = np.ones((len(sightings), len(STICK)), np.float32)
    for start in range(0, len(sightings), _BATCH):
        part = sightings[start : start + _BATCH]
        crops = np.stack([_crop(inks[sighting.picture], sighting) for sighting in part])
        with torch.inference_mode():
            read = decode_joints(reader(torch.from_numpy(crops)))
        heads = np.array([(sighting.x, sighting.y) for sighting in part], np.float32)
        scale = np.array([READER_FIGURE_PX / sighting.height for sighting in part], np.float32)
        joints[start : start + len(part), HEAD] = heads
        offsets = (read[:, :, :2] - (READER_SIDE / 2 - 0.5)) / scale[:, None, None]
        joints[start : start + len(part), 1:] = heads[:, None] + offsets
        sureness[start : start + len(part), 1:] = read[:, :, 2]
    return joints, sureness


def _crop(ink: NDArray[np.float32], sighting: Sighting) -> NDArray[np.float32]:
    """The reader's input, from the part around the figure only: blurring whole pictures would take long."""
    reach = int(np.ceil(_CROP_REACH * sighting.height))
    left, top = int(sighting.x) - reach, int(sighting.y) - reach
    part = ink[max(0, top) : max(0, top + 2 * reach), max(0, left) : max(0, left + 2 * reach)]
    if part.size == 0:
        part = np.zeros((1, 1), np.float32)
    head = np.array([sighting.x - max(0, left), sighting.y - max(0, top)])
    return reader_input(part, head, sighting.height)


def to_grey(picture: NDArray[np.uint8], scale: float = 1.0) -> NDArray[np.uint8]:
    """`(H, W, 3)` sRGB -> `(h, w)` grey, reduced by `scale`."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if scale >= 1.0:
        return np.asarray(grey)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))

"""Key frames carried through a clip along its optical flow: the aligned reference of every look.

Convention:
    A *field* `(h, w, 2)` tells for every pixel of a frame where it is in the key frame, in pixels of the field's size.

Source:
    The idea of carrying painted key frames along guide flow is that of Jamriska et al., "Stylizing Video by Example",
    2019. Departures: no patch synthesis; the field of the frame before, moved along, starts a dense inverse search
    against the key frame itself, and the result is taken only where it explains the picture better, so that errors do
    not add up and nothing jumps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.flow import FlowEstimator, luma, trust, warp
from vid2vid.conditions.motion import CutDetector
from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.conditions.flow import Field
    from vid2vid.types import Frame, Picture

FIELD_ROWS: Final = 270
"""Most rows of a field: finer ones cost memory and carry no further."""
REACH: Final = 150
"""Frames on either side of a key frame that it is carried to: bounds the memory whatever the length of the clip."""
SEARCH_GAIN: Final = 1.5
"""Luma levels by which a new search must explain a pixel better before it replaces the field carried along."""
LEAST_WEIGHT: Final = 1e-3
"""Weight of a key pixel that is not trusted at all: what it shows is wrong, but a hole would be black."""
KEY_TRUST_DEVIATION: Final = 0.08
"""Colour difference at which the trust in a carried key pixel has fallen to exp(-1/2)."""


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """One frame of the clip and its version in the wanted look."""

    index: int
    source: Picture
    """`(H, W, 3)` uint8, the clip's own frame at the working size."""
    look: Picture
    """`(H, W, 3)` uint8, the same in the wanted look."""
    fields: Mapping[int, NDArray[np.float16]] = field(default_factory=dict)
    """Frame number -> its field, for frames of the same shot within `REACH`."""


def plan_carries(
    frames: Iterable[Frame], keys: Sequence[int], width: int, height: int
) -> list[dict[int, NDArray[np.float16]]]:
    """Follows every key frame outwards through its shot.

    Args:
        frames: the clip, read once, in order.
        keys: numbers of the key frames.
        width, height: working size.

    Returns:
        For every key, frame number -> field.

    Raises:
        InvalidOption: a key frame lies outside the clip.
    """
    rows = min(height, FIELD_ROWS)
    columns = max(16, round(width * rows / height))
    greys: dict[int, Picture] = {}
    shots: dict[int, int] = {}
    detector, shot = CutDetector(), 0
    for frame in frames:
        shot += detector(frame.pixels)
        if any(abs(frame.index - key) <= REACH for key in keys):
            greys[frame.index] = luma(
                np.asarray(cv2.resize(frame.pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
            )
            shots[frame.index] = shot
    for key in keys:
        if key not in greys:
            raise InvalidOption(f"key_frames names frame {key}, which the clip does not have. They count from 0.")
    return [{**_follow(greys, shots, key, 1), **_follow(greys, shots, key, -1)} for key in keys]


def _follow(
    greys: Mapping[int, Picture], shots: Mapping[int, int], key: int, step: int
) -> dict[int, NDArray[np.float16]]:
    """Fields from the key frame outwards in one direction, until the shot or the reach ends."""
    near, search = FlowEstimator("fast"), FlowEstimator("medium")
    rows, columns = greys[key].shape
    carried = np.zeros((rows, columns, 2), np.float32)
    fields = {key: carried.astype(np.float16)}
    number = key + step
    while abs(number - key) <= REACH and shots.get(number) == shots[key]:
        to_last = near(greys[number], greys[number - step])
        carried = np.asarray(to_last + warp(carried, to_last), np.float32)
        carried = search_where_worse(greys[number], greys[key], carried, search)
        fields[number] = carried.astype(np.float16)
        number += step
    return fields


def search_where_worse(current: Picture, key: Picture, carried: Field, search: FlowEstimator) -> Field:
    """The carried field, replaced by a search around it where that explains the frame clearly better."""
    searched = search(current, key, carried)
    old, new = (
        cv2.blur(cv2.absdiff(current, np.asarray(warp(key, flow), np.uint8)).astype(np.float32), (5, 5))
        for flow in (carried, searched)
    )
    share = np.clip((old - new) / SEARCH_GAIN, 0.0, 1.0)[..., None]
    return np.asarray(carried + cv2.GaussianBlur(share, (5, 5), 0)[..., None] * (searched - carried), np.float32)


@dataclass(frozen=True, slots=True)
class Carried:
    """Key frames carried onto one frame and mixed."""

    look: NDArray[np.float32]
    """`(H, W, 3)` in [0, 1]."""
    key_source: NDArray[np.float32]
    """`(H, W, 3)` in [0, 1], the key frames' own frames, carried and mixed alike: where it differs from the frame, the
    look does not fit."""
    validity: NDArray[np.float32]
    """`(H, W)` in [0, 1]; 0 where no key frame reaches."""

    @property
    def reference(self) -> NDArray[np.float32]:
        """`(H, W, 4)`: look and validity."""
        return np.concatenate((self.look, self.validity[..., None]), 2)


def carry(keys: Sequence[KeyFrame], index: int, picture: Picture) -> Carried:
    """Aligns the key frames to one frame: the nearest before and after, mixed by nearness and trust.

    Args:
        keys: all key frames with their fields.
        index: number of the frame.
        picture: `(H, W, 3)` uint8, the frame at the working size.
    """
    height, width = picture.shape[:2]
    total = np.zeros((height, width, 6), np.float32)
    weights = np.full((height, width, 1), 1e-6, np.float32)
    validity = np.zeros((height, width), np.float32)
    for key in _around(keys, index):
        flow = full_size(key.fields[index], width, height)
        moved = np.asarray(warp(key.source, flow), np.uint8)
        believed = trust(picture, moved, flow, KEY_TRUST_DEVIATION)
        weight = ((believed**2 + LEAST_WEIGHT) / (1.0 + abs(index - key.index)))[..., None]
        moved = np.concatenate((warp(key.look, flow), moved), 2)
        total += np.multiply(moved, weight * np.float32(1.0 / 255.0), dtype=np.float32)
        weights += weight
        validity = np.maximum(validity, believed)
    total /= weights
    return Carried(total[..., :3], total[..., 3:], validity)


def _around(keys: Sequence[KeyFrame], index: int) -> list[KeyFrame]:
    """The nearest key frames at or before and after `index` that reach it."""
    reaching = [key for key in keys if index in key.fields]
    before = max((key for key in reaching if key.index <= index), key=lambda key: key.index, default=None)
    after = min((key for key in reaching if key.index > index), key=lambda key: key.index, default=None)
    return [key for key in (before, after) if key is not None]


def full_size(flow: NDArray[np.float16], width: int, height: int) -> Field:
    """A field enlarged to the frame's size, in the frame's pixels."""
    rows, columns = flow.shape[:2]
    large = np.asarray(cv2.resize(flow.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    large *= np.array((width / columns, height / rows), np.float32)
    return large


def colour_change(keys: Sequence[KeyFrame]) -> NDArray[np.float32]:
    """The affine change of colour that best turns the key frames' sources into their looks.

    Least squares over blurred pixels with a light pull towards leaving colours alone, so that a grey key frame cannot
    turn the rest of the palette over.

    Returns:
        `(3, 4)` float32: `look = matrix[:, :3] @ source + matrix[:, 3]`, colours in [0, 1].
    """
    source = np.concatenate([_samples(key.source) for key in keys])
    look = np.concatenate([_samples(key.look) for key in keys])
    design = np.concatenate((source, np.ones((len(source), 1))), 1)
    pull = np.diag([0.0003] * 4) * len(source)
    start = np.concatenate((np.eye(3), np.zeros((1, 3))))
    solution = np.linalg.solve(design.T @ design + pull, design.T @ look + pull @ start)
    return np.asarray(solution.T, np.float32)


def _samples(picture: Picture) -> NDArray[np.float64]:
    small = cv2.resize(cv2.GaussianBlur(picture, (0, 0), 3.0), (96, 64), interpolation=cv2.INTER_AREA)
    return np.asarray(small.reshape(-1, 3), np.float64) / 255.0

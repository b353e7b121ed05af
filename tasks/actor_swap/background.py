"""What is behind the people, shot by shot, from frames in which they are elsewhere.

The camera is taken to stand still within a shot; where it does not, there is no background for it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.motion.cutting import filled
from vid2vid.motion.plates import stands_still, usual_scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_BYTES: Final = 240 * 2**20
"""Memory for the frames of one shot that its background is made of."""
_FRAMES: Final = (8, 40)
"""Least and most of them."""
_MASK_SIDE: Final = 480
_GUESSED_AT: Final = 320
"""Longer side at which places that no frame shows are guessed."""
_RING: Final = 6.0
"""Difference to the background, in levels of 255, that light alone may make; more is something else."""
_LIGHT_SIDE: Final = 96
"""Longer side at which the difference in light is looked at."""


class Gathering:
    """Frames spread evenly over a shot of unknown length, in bounded memory."""

    def __init__(self) -> None:
        self._step, self._count = 1, 0
        self.frames: list[Picture] = []
        self.masks: list[NDArray[np.uint8]] = []

    def add(self, picture: Picture, masks: Sequence[Floats]) -> None:
        """The next frame with the masks `(H, W)` of everybody in it; it is kept if its turn comes."""
        most = int(np.clip(_BYTES // picture.nbytes, *_FRAMES))
        if self._count % self._step == 0:
            if len(self.frames) >= most:
                self.frames, self.masks, self._step = self.frames[::2], self.masks[::2], 2 * self._step
            if self._count % self._step == 0:
                self.frames.append(picture.copy())
                self.masks.append(_everybody(masks, picture.shape[:2]))
        self._count += 1


def _everybody(masks: Sequence[Floats], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    scale = min(1.0, _MASK_SIDE / max(shape))
    size = (max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale)))
    together = np.zeros(size[::-1], np.uint8)
    for mask in masks:
        small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        together = np.maximum(together, np.round(small * 255.0).astype(np.uint8))
    return together


class Backgrounds:
    """The empty scene of every shot, kept compressed; one at a time is unpacked."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._packed: list[bytes | None] = []
        self.guessed: list[float] = []
        """Of each shot, the share of the picture that no frame shows."""
        self._open: tuple[int, Picture] | None = None

    @property
    def moving(self) -> list[int]:
        """Numbers of the shots whose camera moves."""
        return [number for number, packed in enumerate(self._packed) if packed is None]

    def add(self, shot: Gathering, end: int) -> None:
        """Works out the background of a shot that ends before frame `end`."""
        if not shot.frames:
            return
        self._ends.append(end)
        if not stands_still(shot.frames):
            self._packed.append(None)
            self.guessed.append(1.0)
            return
        plate, seen = usual_scene(shot.frames, shot.masks)
        unseen = seen < 1
        self.guessed.append(float(unseen.mean()))
        plate = guessed(plate, unseen) if unseen.any() else plate
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        self._packed.append(cv2.imencode(".png", plate, options)[1].tobytes())

    def at(self, frame: int) -> Picture | None:
        """`(H, W, 3)` uint8; None where the camera moves."""
        shot = min(bisect_right(self._ends, frame), len(self._ends) - 1)
        packed = self._packed[shot]
        if packed is None:
            return None
        if self._open is None or self._open[0] != shot:
            plate = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR)
            self._open = (shot, np.asarray(plate, np.uint8))
        return self._open[1]


def guessed(picture: Picture, unknown: NDArray[np.bool_]) -> Picture:
    """Continues a picture into what is not known of it.

    Args:
        picture: `(H, W, 3)` uint8.
        unknown: `(H, W)`.

    Source:
        Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004, at reduced size.
    """
    height, width = unknown.shape
    if unknown.all():
        return picture
    scale = min(1.0, _GUESSED_AT / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # What lies beside the gap must not be mixed with what is in it while it is made smaller.
    known = filled(picture, (~unknown).astype(np.float32))
    small = cv2.resize(known, size, interpolation=cv2.INTER_AREA).clip(0, 255).astype(np.uint8)
    gaps = (cv2.resize(unknown.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.02).astype(np.uint8)
    small = cv2.inpaint(small, gaps, 4, cv2.INPAINT_TELEA)
    whole = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    edge = cv2.GaussianBlur(unknown.astype(np.float32), (0, 0), 1.5)[..., None]
    share = np.maximum(edge, unknown[..., None])
    return np.asarray((picture * (1.0 - share) + whole * share).clip(0, 255).round(), np.uint8)


def relit(plate: Picture, picture: Picture, hidden: NDArray[Any]) -> Picture:
    """A part of the background in the light of this frame.

    Args:
        plate, picture: `(h, w, 3)` uint8: the same part of both.
        hidden: `(h, w)`: above 0 where the picture shows somebody.

    Returns:
        `(h, w, 3)` uint8: the plate, with the broad difference that places beside the person show.
    """
    height, width = hidden.shape
    scale = min(1.0, _LIGHT_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    own, wanted, free = (
        cv2.resize(np.asarray(values, np.float32), size, interpolation=cv2.INTER_AREA)
        for values in (plate, picture, (np.asarray(hidden) <= 0).astype(np.float32))
    )
    difference = wanted - own
    trust = np.exp(-np.square(np.abs(difference).max(-1) / _RING)) * (free > 0.99)
    if float(trust.sum()) < 8.0:
        return plate
    spread = filled(difference, trust.astype(np.float32))
    spread = cv2.resize(cv2.GaussianBlur(spread, (0, 0), 3.0), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray((plate + spread).clip(0, 255).round(), np.uint8)

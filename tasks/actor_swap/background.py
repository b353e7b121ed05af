"""What is behind the people, shot by shot, from frames in which they are elsewhere.

Where the camera stands still, one picture holds a shot; where it moves, frames are laid over one another as it saw
them. Where the scene is not recognised from frame to frame, there is no background.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.motion.cutting import filled
from vid2vid.motion.mosaic import laid_together, runs_of, seen_from
from vid2vid.motion.plates import stands_still, usual_scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]
    Matrix = NDArray[np.float64]
    Window = tuple[slice, slice]

_BYTES: Final = 240 * 2**20
"""Memory for the frames of one shot that its background is made of."""
_FRAMES: Final = (8, 40)
"""Least and most of them."""
_SHIFT: Final = 0.75
"""Pixels of 512 by which a picture's corners may move where the camera stands still."""
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
        self.numbers: list[int] = []
        """Of the frames kept, from 0 at the shot's first."""
        self.ways: list[Matrix | None] = []
        """The camera's, of all frames of the shot."""

    def add(self, picture: Picture, masks: Sequence[Floats], way: Matrix | None = None) -> None:
        """The next frame with the masks `(H, W)` of everybody in it; it is kept if its turn comes."""
        most = int(np.clip(_BYTES // picture.nbytes, *_FRAMES))
        if self._count % self._step == 0:
            if len(self.frames) >= most:
                self._step *= 2
                for kept in (self.frames, self.masks, self.numbers):
                    del kept[1::2]
            if self._count % self._step == 0:
                self.frames.append(picture.copy())
                self.masks.append(everybody(masks, picture.shape[:2]))
                self.numbers.append(self._count)
        self.ways.append(way)
        self._count += 1


def everybody(masks: Sequence[Floats], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Where anybody is, at reduced size."""
    scale = min(1.0, _MASK_SIDE / max(shape))
    size = (max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale)))
    together = np.zeros(size[::-1], np.uint8)
    for mask in masks:
        small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        together = np.maximum(together, np.round(small * 255.0).astype(np.uint8))
    return together


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """The empty scene of some frames in turn."""

    end: int
    """Number in the film of the frame after the last."""
    packed: bytes | None
    """PNG; None where it is not known."""
    way: Matrix | None = None
    """From the shot's first frame to the scene; None where the camera stands still."""
    first: int = 0
    """Number in the film of the first of `ways`."""
    ways: Sequence[Matrix] = field(default=())
    """The camera's in the shot."""


class Backgrounds:
    """The empty scene of every shot, kept compressed; one at a time is unpacked."""

    def __init__(self) -> None:
        self._scenes: list[_Scene] = []
        self._start = 0
        self.guessed: list[float] = []
        """Of each shot, the share of the scene that no frame shows."""
        self.moving: list[int] = []
        """Numbers of the shots whose camera moves."""
        self.lost: list[int] = []
        """Of those, the ones whose scene is not recognised from frame to frame."""
        self._open: tuple[_Scene, Picture] | None = None

    def add(self, shot: Gathering, end: int) -> None:
        """Works out the background of a shot that ends before frame `end`."""
        if not shot.frames:
            return
        if _still(shot):
            plate, seen = usual_scene(shot.frames, shot.masks)
            self.guessed.append(float((seen < 1).mean()))
            self._scenes.append(_Scene(end, _packed(plate, seen < 1)))
        else:
            self.moving.append(len(self.guessed))
            self._add_moving(shot, end)
        self._start = end

    def _add_moving(self, shot: Gathering, end: int) -> None:
        size = (shot.frames[0].shape[1], shot.frames[0].shape[0])
        ways = [way for way in shot.ways if way is not None]
        known = [ways[number] for number in shot.numbers] if len(ways) == len(shot.ways) else []
        runs = runs_of(known, size) if known else None
        shares: list[float] = []
        for run in runs or []:
            part = slice(run.start, run.stop)
            made = laid_together(shot.frames[part], shot.masks[part], known[part])
            if made is None:
                break
            unseen = made.seen < 1
            shares.append(float(unseen.mean()))
            last = end if run.stop == len(known) else self._start + shot.numbers[run.stop]
            self._scenes.append(_Scene(last, _packed(made.picture, unseen), made.way, self._start, ways))
        if not shares or len(shares) != len(runs or []):
            self.lost.append(len(self.guessed))
            self._scenes.append(_Scene(end, None))
            shares = [1.0]
        self.guessed.append(float(np.mean(shares)))

    def at(self, frame: int, window: Window) -> Picture | None:
        """`(h, w, 3)` uint8: a window of the frame without people; None where nothing is known."""
        place = min(bisect_right([scene.end for scene in self._scenes], frame), len(self._scenes) - 1)
        scene = self._scenes[place]
        if scene.packed is None:
            return None
        opened = self._open  # conditions and composite ask from threads of their own
        if opened is None or opened[0] is not scene:
            plate = cv2.imdecode(np.frombuffer(scene.packed, np.uint8), cv2.IMREAD_COLOR)
            opened = self._open = (scene, np.asarray(plate, np.uint8))
        if scene.way is None:
            return opened[1][window]
        return seen_from(opened[1], scene.way @ scene.ways[frame - scene.first], window)


def _still(shot: Gathering) -> bool:
    """Whether the camera stands: by its way as far as that is known, else by whole pictures."""
    ways = [way for way in shot.ways if way is not None]
    if not ways:
        return stands_still(shot.frames)
    height, width = shot.frames[0].shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)[:, None]
    places = np.stack([cv2.perspectiveTransform(corners, way) for way in ways])
    moved = np.linalg.norm(places - corners, axis=-1).max() >= _SHIFT * max(1.0, max(height, width) / 512.0)
    return not moved and (len(ways) == len(shot.ways) or stands_still(shot.frames))


def _packed(plate: Picture, unseen: NDArray[np.bool_]) -> bytes:
    whole = guessed(plate, unseen) if unseen.any() else plate
    return bytes(cv2.imencode(".png", whole, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


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

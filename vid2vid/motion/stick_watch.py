"""Sees a clip of drawn figures once: follows heads, reads joints, keeps ink packed for later."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from vid2vid.conditions.ink import Ink, as_ink_map, contrast_map, find_ink
from vid2vid.conditions.stick_fit import Evidence, gather_evidence
from vid2vid.conditions.stick_reading import Sighting, enlarged, find_heads, read_joints, to_grey
from vid2vid.motion.skeleton import FOOT_A, FOOT_B, HEAD, HIP, KNEE_A, KNEE_B, NECK, STICK
from vid2vid.motion.stick_clutter import FRAMES, find_clutter
from vid2vid.motion.stick_heads import HeadFollower
from vid2vid.motion.stick_heights import stretched_lengths
from vid2vid.motion.stick_naming import Sightings
from vid2vid.motion.stick_readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.stick_nets import FoundHead
    from vid2vid.conditions.stick_reading import Net
    from vid2vid.motion.stick_cast import Cast
    from vid2vid.motion.stick_trails import Trail
    from vid2vid.types import Picture

_LONGEST_PX: Final = 640
"""Longer side at which heads are looked for; larger frames are reduced."""
_WORKING_HEIGHT_PX: Final = 110.0
"""A figure's height where ink is kept; larger ones are reduced."""
_FAINTEST_HEAD: Final = 0.15
_CLEAR: Final = 0.35
"""Sureness of joints from which a figure's size is taken."""
_OWN: Final = 0.1
"""Heights between a figure's head and the head that a reading of it was made for."""
_PEN_SHARE: Final = 85
"""Percentile of difference from the paper above which a head's pixels are the pen's."""


@dataclass(frozen=True, slots=True, eq=False)
class PackedInk:
    """An `Ink` at a fiftieth of its size."""

    shape: tuple[int, int]
    mask: bytes
    ruled: bytes
    levels: tuple[tuple[float, float], ...]

    @classmethod
    def pack(cls, ink: Ink) -> PackedInk:
        """Packs eight pixels into a byte and runs of bytes into less."""
        mask, ruled = (zlib.compress(np.packbits(plane).tobytes(), 1) for plane in (ink.mask, ink.ruled))
        return cls((ink.mask.shape[0], ink.mask.shape[1]), mask, ruled, ink.levels)

    def unpack(self) -> Ink:
        """The ink as it was."""
        return Ink(self._plane(self.mask), self._plane(self.ruled), self.levels)

    def _plane(self, packed: bytes) -> NDArray[np.uint8]:
        count = self.shape[0] * self.shape[1]
        return np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=count).reshape(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One figure read in one frame."""

    trail: Trail
    frame: int
    joints: NDArray[np.float32]
    """`(11, 2)` pixels of the clip."""
    sureness: NDArray[np.float32]
    """`(11,)` in [0, 1]."""
    colour: NDArray[np.float64]
    """`(3,)` of its pen in CIELAB."""

    @property
    def clear(self) -> bool:
        """Whether trunk and legs can be relied on."""
        return bool(self.sureness[[NECK, HIP, KNEE_A, FOOT_A, KNEE_B, FOOT_B]].min() > _CLEAR)


class Watcher:
    """Sees the frames in order, and keeps what fits need. Lives for one clip.

    Args:
        reader, finder: the nets of `conditions.stick_nets`.
        size: width and height of the frames.
        held: whether frames are drawings far apart in time.
    """

    def __init__(self, reader: Net, finder: Net, size: tuple[int, int], *, held: bool = False) -> None:
        self._reader, self._finder = reader, finder
        self._coarse = min(1.0, _LONGEST_PX / max(size))
        self._shrink = 0.0
        self.follower = HeadFollower(size, held=held)
        self.inks: list[PackedInk | None] = []
        """Of each frame; None where no figure was."""
        self.readings: list[Reading] = []

    @property
    def scale(self) -> float:
        """From the clip's pixels to the ink's; 0 before the first figure is seen."""
        return self._shrink

    @property
    def length(self) -> int:
        """Number of frames seen."""
        return len(self.inks)

    def watch(self, frames: Sequence[Picture]) -> None:
        """Takes in the next frames, all of one size."""
        greys = [to_grey(frame, self._coarse) for frame in frames]
        maps: list[NDArray[np.float32]] = []
        sightings: list[Sighting] = []
        who: list[tuple[Trail, int, NDArray[np.float64]]] = []
        for frame, found in zip(frames, find_heads(greys, self._finder, _FAINTEST_HEAD), strict=True):
            heads = [enlarged(head, 1.0 / self._coarse) for head in found]
            alive = self.follower.step(self.length, heads, [pen_colour(frame, head) for head in heads])
            if alive:
                sightings += [self._sighting(trail, len(maps)) for trail in alive]
                who += [(trail, self.length, trail.pen) for trail in alive]
                maps.append(self._keep_ink(frame, alive))
            else:
                self.inks.append(None)
        joints, sureness = read_joints(maps, sightings, self._reader)
        for (trail, number, pen), places, sure in zip(who, joints, sureness, strict=True):
            reading = Reading(trail, number, rescaled(places, 1.0 / self._shrink), sure, pen)
            self.readings.append(reading)
            if reading.clear:
                trail.lengths.append(float(stretched_lengths(reading.joints)))

    def _sighting(self, trail: Trail, place: int) -> Sighting:
        if not self._shrink:
            self._shrink = min(self._coarse, _WORKING_HEIGHT_PX / trail.height)
        x, y = rescaled(trail.places[-1], self._shrink)
        return Sighting(place, float(x), float(y), trail.height * self._shrink)

    def _keep_ink(self, frame: Picture, alive: Sequence[Trail]) -> NDArray[np.float32]:
        """Keeps the frame's ink; returns its map for the reader."""
        height = float(np.median([trail.height for trail in alive])) * self._shrink
        contrast = contrast_map(to_grey(frame, self._shrink), height)
        self.inks.append(PackedInk.pack(find_ink(contrast, height)))
        return as_ink_map(contrast)

    def collect(self, cast: Cast) -> Readings:
        """What was read of the figures of the clip, in heights."""
        joints = np.full((*cast.present.shape, len(STICK), 2), np.nan)
        sureness, colours = np.zeros(joints.shape[:3]), np.zeros((*cast.present.shape, 3))
        for frame, readings in self._by_frame():
            for reading, number in _nearest_readings(readings, cast.heads[frame], _OWN * cast.height):
                joints[frame, number] = reading.joints
                sureness[frame, number] = reading.sureness
                colours[frame, number] = reading.colour
        heads = cast.heads / cast.height
        return Readings(_bridged(joints) / cast.height, sureness, heads, colours, cast.present, cast.hidden)

    def _by_frame(self) -> Iterator[tuple[int, list[Reading]]]:
        for frame, readings in itertools.groupby(self.readings, lambda reading: reading.frame):
            yield frame, list(readings)

    def sightings(self) -> Sightings:
        """The heads that were found and the bodies read below them."""
        bodies = {(id(reading.trail), reading.frame): reading.joints[[NECK, HIP]] for reading in self.readings}
        return Sightings(self.follower, bodies)

    def clutter(self, readings: Readings, cast: Cast) -> NDArray[np.uint8] | None:
        """What is drawn beside the figures, in the ink's pixels; see `find_clutter`."""
        frames = np.unique(np.linspace(0, self.length - 1, FRAMES).astype(int))
        packed = [(frame, ink) for frame in frames if (ink := self.inks[frame])]
        joints = rescaled(readings.joints[[frame for frame, _ in packed]] * cast.height, self._shrink)
        return find_clutter([ink.unpack().mask for _, ink in packed], joints, cast.height * self._shrink)

    def evidence(self, cast: Cast, clutter: NDArray[np.uint8] | None, first: int, stop: int) -> Evidence:
        """The ink of frames `first` to `stop - 1`, without what is clutter."""
        inks, heads = [], []
        for frame in range(first, stop):
            packed = self.inks[frame]
            ink = packed.unpack() if packed else self._blank()
            inks.append(ink if clutter is None else replace(ink, mask=ink.mask * (1 - clutter)))
            there = cast.present[frame]
            places = rescaled(cast.heads[frame][there], self._shrink)
            heads.append(np.concatenate([places, cast.radii[there, None] * self._shrink], 1))
        return gather_evidence(inks, heads, cast.height * self._shrink)

    def _blank(self) -> Ink:
        shape = next(packed.shape for packed in self.inks if packed)
        return Ink(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), ())

    def levels(self) -> list[list[tuple[float, float]]]:
        """The long lines of each frame in pixels of the clip: y at x = 0, and slope."""
        return [[(start / self._shrink, slope) for start, slope in (ink.levels if ink else ())] for ink in self.inks]


def rescaled(places: NDArray[np.floating], factor: float) -> NDArray[np.floating]:
    """Places in pixels of a picture `factor` times as large; pixels' middles, not their corners, are whole numbers."""
    return np.asarray((places + 0.5) * factor - 0.5)


def pen_colour(picture: Picture, head: FoundHead) -> NDArray[np.float64]:
    """The colour a head is drawn in: `(3,)` CIELAB, as far from the paper as its farthest pixels."""
    reach = max(2, round(1.3 * head.radius))
    x, y = round(head.x), round(head.y)
    patch = (
        picture[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].reshape(-1, 3).astype(np.float32)
    )
    if not len(patch):
        return np.zeros(3)
    border = picture[[max(0, y - reach), min(len(picture) - 1, y + reach)]][:, max(0, x - reach) : x + reach + 1]
    away = np.abs(patch - np.median(border.reshape(-1, 3), axis=0)).sum(1)
    colour = patch[away >= np.percentile(away, _PEN_SHARE)].mean(0) / 255.0
    return np.asarray(cv2.cvtColor(colour.astype(np.float32)[None, None], cv2.COLOR_RGB2LAB)[0, 0], np.float64)


def _nearest_readings(
    readings: Sequence[Reading], heads: NDArray[np.float64], reach_px: float
) -> list[tuple[Reading, int]]:
    """Readings of one frame and the figures, with heads `(F, 2)`, whose they are."""
    apart = np.array([np.linalg.norm(heads - reading.joints[HEAD], axis=1) for reading in readings])
    pairs = zip(*linear_sum_assignment(apart), strict=True)
    return [(readings[row], int(column)) for row, column in pairs if apart[row, column] < reach_px]


def _bridged(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolates over frames that are NaN: `(T, F, 11, 2)`."""
    result = joints.copy()
    every = np.arange(len(joints))
    for figure in range(joints.shape[1]):
        known = np.flatnonzero(~np.isnan(joints[:, figure, 0, 0]))
        flat = joints[known, figure].reshape(len(known), -1)
        columns = [np.interp(every, known, flat[:, column]) for column in range(flat.shape[1])]
        result[:, figure] = np.stack(columns, -1).reshape(joints[:, figure].shape)
    return result

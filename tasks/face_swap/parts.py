"""Parts: which faces of the clip are taken over by whom, with all that is known of them before the first frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vid2vid.conditions.face_networks import around
from vid2vid.conditions.face_tracks import FaceTracks
from vid2vid.conditions.faces import Face, FaceFinder
from vid2vid.conditions.hands import HandFinder
from vid2vid.motion.face_goal import goal_points, neutral_shape, with_gaze
from vid2vid.motion.face_smoothing import smoothed
from vid2vid.taking_over import who_takes_over

from .keys import Identity, choose, shares
from .options import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from vid2vid.conditions.hands import Hand
    from vid2vid.types import Frame, Picture

    from .options import Options

    Floats = NDArray[np.float32]

_TURNED: Final = (np.deg2rad(28.0), np.deg2rad(50.0))
"""Turn away from the nearest key from which a face fades out, and at which it is gone."""
_FAR: Final = (np.deg2rad(55.0), np.deg2rad(75.0))
"""The same of the turn itself: landmarks of a profile are guesses."""
_SMALL: Final = (8.0, 14.0)
"""Distance between the eyes' outer corners, in pixels, below which a face is left as it is, and above which not."""
_SETTLING: Final = 2.0
"""Deviation in frames over which the decision to fade is evened."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One face of the clip that somebody takes over."""

    number: int
    """As `vid2vid faces` shows it."""
    identity: Identity
    """With the keys that are used."""
    first: int
    """Its first frame; arrays begin there."""
    points: Floats
    """`(T, 478, 3)` in pixels of the source, smoothed."""
    present: NDArray[np.bool_]
    """`(T,)`: whether it is there at all."""
    neutral: Floats
    """`(478, 3)`: the shape of the clip's face at rest."""
    weight: Floats
    """`(T,)` in [0, 1]: how far the face is swapped."""
    shares: Floats
    """`(T, K)`: how much of each key shows."""
    fresh: NDArray[np.bool_]
    """`(T,)`: whether it is swapped here for the first time after a cut or an absence."""

    def at(self, frame: int) -> int | None:
        """Place in the arrays; None where the face is not swapped."""
        place = frame - self.first
        return place if 0 <= place < len(self.weight) and self.weight[place] > 0.0 else None


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What was seen in the clip."""

    tracks: FaceTracks
    largest: int | None
    """The face that covers most of the clip; None where there is none."""
    hands: Mapping[int, tuple[Hand, ...]]
    """By frame, where there are any near a face."""

    @property
    def frames(self) -> int:
        """In all."""
        return self.tracks.frame_count


def watch(source: Iterable[Frame], *, hands: bool) -> Watched:
    """Follows faces, and hands near them, through the whole clip.

    Args:
        source: at its first frame; it is read to the end.
        hands: whether to look for hands.
    """
    finder, palms = FaceFinder(), HandFinder() if hands else None
    now: list[Picture] = []
    points: dict[int, dict[int, Floats]] = {}
    areas: dict[int, float] = {}
    held: dict[int, tuple[Hand, ...]] = {}
    count = 0

    def pictures() -> Iterator[Picture]:
        for frame in source:
            now[:] = [frame.pixels]
            yield frame.pixels

    for faces in finder.follow(pictures()):
        for face in faces:
            points.setdefault(face.number, {})[count] = face.points
            areas[face.number] = areas.get(face.number, 0.0) + face.iod**2
        if palms is not None and finder.cuts and finder.cuts[-1] == count:
            palms.forget()
        found = palms.follow(now[0], [face.box for face in faces]) if palms is not None else []
        if found:
            held[count] = tuple(found)
        count += 1
    tracks = FaceTracks(points, count, finder.cuts)
    return Watched(tracks, max(tracks.numbers, key=lambda number: areas[number], default=None), held)


def cast(seen: Watched, people: Sequence[Identity], options: Options, fps: float) -> list[Part]:
    """Decides who takes over which face.

    Raises:
        InvalidOption, ReferenceMismatch: a face is asked for that the clip does not have.
    """
    wanted = who_takes_over(people, options.faces, seen.tracks.numbers, seen.largest, WORDS)
    return [_part(seen, number, identity, options, fps) for number, identity in wanted.items()]


def _part(seen: Watched, number: int, identity: Identity, options: Options, fps: float) -> Part:
    tracks = seen.tracks
    first = tracks.first(number)
    frames = range(first, tracks.last(number) + 1)
    whole, there = steady_path(tracks, number, fps)
    points, present = whole[frames.start : frames.stop].copy(), there[frames.start : frames.stop]
    turns = np.array([_turn(one) for one in points], np.float32)
    identity = choose(identity, turns[present], options.keys)
    weight = np.array([tracks.coming(number, frame) for frame in frames], np.float32) * present
    shown = np.zeros((len(points), len(identity.keys)), np.float32)
    fresh = np.zeros(len(points), np.bool_)
    for run in stretches(present, [cut - first for cut in tracks.cuts]):
        weight[run] *= _trusted(identity, turns[run], points[run])
        shown[run] = shares(identity, turns[run])
        swapped = np.flatnonzero(weight[run])
        fresh[run.start + swapped[:1]] = True
    return Part(number, identity, first, points, present, neutral_shape(points[present]), weight, shown, fresh)


def stretches(present: NDArray[np.bool_], cuts: Sequence[int]) -> Iterator[slice]:
    """Stretches in which a face is there without a break or a cut."""
    starts = present & np.concatenate([[True], ~present[:-1]])
    starts[[cut for cut in cuts if 0 <= cut < len(present)]] = True
    bounds = [*np.flatnonzero(starts).tolist(), len(present)]
    for start, end in pairwise(bounds):
        length = int(np.argmin(present[start:end])) if not present[start:end].all() else end - start
        if length:
            yield slice(start, start + length)


def steady_path(tracks: FaceTracks, number: int, fps: float) -> tuple[Floats, NDArray[np.bool_]]:
    """A face through the clip, smoothed shot by shot: points `(T, 478, 3)`, and `(T,)` whether it is there."""
    points, present = tracks.path(number)
    for start, end in pairwise([0, *tracks.cuts, len(points)]):
        points[start:end] = smoothed(points[start:end], present[start:end], fps)
    return points, present


def _turn(points: Floats) -> tuple[float, float]:
    """Yaw and pitch."""
    face = Face(points, 1.0, 0, around(points))
    return face.yaw, face.pitch


def _trusted(identity: Identity, turns: Floats, points: Floats) -> Floats:
    """`(T,)` in [0, 1]: 0 where a face is turned too far from every key, too far away, or too small."""
    own = np.array([[key.yaw, key.pitch] for key in identity.keys])
    off = np.linalg.norm(turns[:, None] - own, axis=-1).min(1)
    unit = np.linalg.norm(points[:, 33, :2] - points[:, 263, :2], axis=1)
    near = 1.0 - _ramp(off, *_TURNED)
    facing = 1.0 - _ramp(np.abs(turns[:, 0]), *_FAR)
    trusted = near * facing * _ramp(unit / np.maximum(np.cos(turns[:, 0]), 0.3), *_SMALL)
    evened = gaussian_filter1d(trusted, _SETTLING, mode="nearest")
    return np.where(evened < 0.02, 0.0, np.where(evened > 0.98, 1.0, evened)).astype(np.float32)


def _ramp(values: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share))


def goal(part: Part, place: int, options: Options) -> Floats:
    """`(478, 3)` in pixels of the source: where the reference's points go in this frame."""
    target = part.points[place]
    wanted = goal_points(target, part.neutral, part.identity.neutral, amount=options.shape)
    key = part.identity.keys[int(part.shares[place].argmax())]
    return with_gaze(wanted, key.points, target)

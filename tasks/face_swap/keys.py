"""Key pictures: the few views of the reference's face that everything is made of, and which one shows when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.ndimage import convolve1d

from vid2vid.conditions.faces import FaceFinder
from vid2vid.conditions.hands import HandFinder, hand_mask
from vid2vid.errors import ReferenceMismatch
from vid2vid.io import open_source
from vid2vid.motion.face_blend import face_mask
from vid2vid.motion.face_goal import neutral_shape
from vid2vid.motion.face_light import sharpness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vid2vid.conditions.faces import Face
    from vid2vid.conditions.hands import Hand
    from vid2vid.io import FrameSource
    from vid2vid.types import Picture, Reference

    Floats = NDArray[np.float32]

LOOKED_AT: Final = 240
"""Frames of one reference clip that are looked at, spread over it."""
_LEAST_SIDE: Final = 24
"""Least distance between the outer corners of the eyes, in pixels: smaller faces are blurs."""
_ROOM: Final = 0.9
"""Picture kept around a face, in distances between the eyes' outer corners."""
_APART: Final = 0.2
"""Radians of turn from which two keys show different sides."""
_JUMP: Final = 0.35
"""Radians of better fit that going over to another key costs."""
_FADE: Final = 4
"""Frames to either side of a change over which one key fades into the other."""
_HIDDEN: Final = 0.03
"""Share of a face under a hand above which it is no key."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One view of the reference's face."""

    picture: Picture
    """`(h, w, 3)` uint8 sRGB, the face and some room around it."""
    points: Floats
    """`(478, 3)` in pixels of `picture`."""
    yaw: float
    pitch: float
    eyes: float
    """Opening of the eyes, in distances between their outer corners."""
    mouth: float
    """Opening of the mouth, likewise."""
    sharpness: float


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Whose face is put on: its key views and its shape at rest."""

    keys: tuple[Key, ...]
    neutral: Floats
    """`(478, 3)`; see `vid2vid.motion.face_goal.neutral_shape`."""
    name: str | None = None
    """Number of the face that it is meant for; None for any."""


def openings(points: Floats) -> tuple[float, float]:
    """How far eyes and mouth are open, in distances between the eyes' outer corners."""
    unit = float(np.linalg.norm(points[33, :2] - points[263, :2])) + 1e-6
    lids = [float(np.linalg.norm(points[upper, :2] - points[lower, :2])) for upper, lower in ((159, 145), (386, 374))]
    return min(lids) / unit, float(np.linalg.norm(points[13, :2] - points[14, :2])) / unit


def identities(shown: Sequence[Reference]) -> list[Identity]:
    """Looks for the face in every reference; references of one name show one person, as do all without a name.

    Raises:
        ReferenceMismatch: none of a person's references shows a face that can be used.
    """
    names = list(dict.fromkeys(reference.name for reference in shown))
    return [identity_of([one for one in shown if one.name == name], name) for name in names]


def identity_of(shown: Sequence[Reference], name: str | None = None, share: float = 1.0) -> Identity:
    """One person from pictures and clips.

    Args:
        shown: what shows the person.
        name: the number of the face that it is for.
        share: of every clip, from its beginning, that is looked at.

    Raises:
        ReferenceMismatch: no face in them can be used.
    """
    finder = FaceFinder()
    tried = [one for reference in shown for one in _tried(reference, finder, share)]
    keys = [one for one in tried if isinstance(one, Key)]
    if not keys:
        which = "The reference" if name is None else f"The reference for face {name}"
        why = ", ".join(sorted({one for one in tried if isinstance(one, str)})) or "no face"
        raise ReferenceMismatch(
            f"{which} cannot be used: {why}. Give a picture of one face from the front, with open eyes, at least "
            f"{3 * _LEAST_SIDE} pixels wide."
        )
    return Identity(tuple(keys), neutral_shape(np.stack([key.points for key in keys])), name)


def _tried(reference: Reference, finder: FaceFinder, share: float) -> Iterator[Key | str]:
    """A key of every picture, or why there is none."""
    if reference.is_clip and reference.path is not None:
        yield from _clip_keys(reference.path, finder, share)
        return
    for picture in reference.pictures:
        found = finder.find(picture)
        yield _key(picture, found[0], HandFinder().find(picture)) if found else "no face"


def _clip_keys(path: Path, finder: FaceFinder, share: float) -> Iterator[Key | str]:
    """Keys of frames spread over a clip, of the face that is largest when one first comes up."""
    hands = HandFinder()
    now: list[Picture] = []

    def pictures(source: FrameSource) -> Iterator[Picture]:
        count = max(1, round(share * (source.info.frame_count or LOOKED_AT)))
        step = max(1, round(count / LOOKED_AT))
        for number, frame in enumerate(islice(source, min(count, LOOKED_AT * step))):
            if number % step == 0:
                now[:] = [frame.pixels]
                yield frame.pixels

    with open_source(path) as source:
        whose: int | None = None
        for faces in finder.follow(pictures(source)):
            before = hands.follow(now[0], [face.box for face in faces])
            if whose is None and faces:
                whose = max(faces, key=lambda face: face.iod).number
            yield from (_key(now[0], face, before) for face in faces if face.number == whose)


def _key(picture: Picture, face: Face, hands: Sequence[Hand]) -> Key | str:
    """A face cut out with its measures, or why it cannot be used."""
    if face.iod < _LEAST_SIDE:
        return f"a face of {3 * face.iod:.0f} pixels"
    left, top, right, bottom = face.box
    if hands:
        covered = hand_mask(hands, picture)[int(max(0, top)) : int(bottom), int(max(0, left)) : int(right)]
        if covered.size and float(covered.mean()) > _HIDDEN:
            return "a hand before the face"
    room = _ROOM * face.iod
    x0, y0 = int(max(0, left - room)), int(max(0, top - room))
    cut = np.ascontiguousarray(picture[y0 : int(bottom + room) + 1, x0 : int(right + room) + 1])
    points = (face.points - np.array([x0, y0, 0])).astype(np.float32)
    eyes, mouth = openings(points)
    skin = face_mask(points, cut.shape[:2], (0.0, 0.0), face.iod)
    return Key(cut, points, face.yaw, face.pitch, eyes, mouth, sharpness(cut, skin))


def choose(identity: Identity, turns: Floats, count: int) -> Identity:
    """Picks the few keys that a clip needs: the best for its usual turn first, then others for turns that are far off.

    Args:
        identity: with all its keys.
        turns: `(T, 2)` yaw and pitch of the clip's face, in radians.
        count: most keys to keep.

    Returns:
        The same person with `count` keys at most, the usual one first.
    """
    keys = identity.keys
    own = np.array([[key.yaw, key.pitch] for key in keys])
    eyes, mouth, sharp = (np.array([getattr(key, name) for key in keys]) for name in ("eyes", "mouth", "sharpness"))
    closed = np.clip(0.8 - eyes / np.quantile(eyes, 0.9), 0.0, None)
    blurred = np.clip(1.0 - sharp / np.quantile(sharp, 0.8), 0.0, None)
    faults = 1.5 * closed + 2.0 * mouth + 0.8 * blurred
    chosen = [int(np.argmin(np.abs(own - np.median(turns, 0)).sum(1) + faults))]
    while len(chosen) < min(count, len(keys)):
        reached = np.abs(turns[:, None] - own[chosen]).sum(-1).min(1)
        worst = turns[int(np.argmax(reached))]
        if reached.max() < _APART:
            break
        best = int(np.argmin(np.abs(own - worst).sum(1) + faults))
        if np.abs(own[chosen] - own[best]).sum(1).min() < _APART / 2:
            break
        chosen.append(best)
    return Identity(tuple(keys[number] for number in chosen), identity.neutral, identity.name)


def shares(identity: Identity, turns: Floats) -> Floats:
    """How much of each key shows in each frame: one at a time, kept as long as it fits, with soft changes.

    Args:
        identity: with K keys.
        turns: `(T, 2)` yaw and pitch in radians.

    Returns:
        `(T, K)`, rows sum to 1.

    Source:
        The best path through all frames (Viterbi), where going over to another key costs what `_JUMP` says.
    """
    own = np.array([[key.yaw, key.pitch] for key in identity.keys])
    costs = np.abs(turns[:, None] - own).sum(-1)
    best, back = costs[0].copy(), np.zeros(costs.shape, np.int64)
    for t in range(1, len(costs)):
        cheapest = int(best.argmin())
        changed = best[cheapest] + _JUMP < best
        back[t] = np.where(changed, cheapest, np.arange(len(best)))
        best = np.where(changed, best[cheapest] + _JUMP, best) + costs[t]
    path = np.zeros(len(costs), np.int64)
    path[-1] = int(best.argmin())
    for t in range(len(costs) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    shown = np.eye(costs.shape[1], dtype=np.float32)[path]
    ramp = np.ones(2 * _FADE + 1, np.float32) / (2 * _FADE + 1)
    return np.asarray(convolve1d(shown, ramp, axis=0, mode="nearest"), np.float32)

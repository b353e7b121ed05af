"""Key pictures: the few views of the reference's face that everything is made of, and which one shows when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.ndimage import convolve1d

from vid2vid.conditions.face_networks import around
from vid2vid.conditions.faces import Face, FaceFinder
from vid2vid.conditions.hands import HandFinder, hand_mask
from vid2vid.errors import ReferenceMismatch
from vid2vid.io import open_source
from vid2vid.motion.face_blend import face_mask
from vid2vid.motion.face_goal import neutral_shape
from vid2vid.motion.face_light import sharpness
from vid2vid.motion.face_mesh import PARTS, warp_face

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vid2vid.conditions.hands import Hand
    from vid2vid.types import Picture, Reference

    Floats = NDArray[np.float32]

LOOKED_AT: Final = 240
"""Frames of one reference clip that are looked at, spread over it."""
_LEAST_SIDE: Final = 24
"""Least distance between the outer corners of the eyes, in pixels: smaller faces are blurs."""
_MOST_SIDE: Final = 400.0
"""The same above which a key is kept smaller: a face as high as a frame of 1080 lines has less."""
_ROOM: Final = 0.9
"""Picture kept around a face, in distances between the eyes' outer corners."""
_APART: Final = 0.2
"""Radians of turn from which two keys show different sides."""
_JUMP: Final = 0.35
"""Radians of better fit that going over to another key costs."""
_FADE: Final = 4
"""Frames to either side of a change over which one key fades into the other."""
_THUMBNAIL: Final = 48
"""Side, in pixels, of the pictures in which keys of one clip are compared."""
_COMPARED: Final = 8
"""Keys without which there is nothing to compare with."""
_ODD: Final = 0.75
"""How far from the others a key may be: calm faces among smiles were at .73, hands before the face at .87 and more, a
hand below the chin at .62."""
_AWAKE: Final = 0.6
"""Opening of the eyes, of the widest seen, below which they are closing or look down."""
_HIDDEN: Final = 0.03
"""Share of a face under a hand above which it is no key."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A face as one picture shows it."""

    picture: Picture
    """`(h, w, 3)` uint8 sRGB, the face and some room around it."""
    points: Floats
    """`(478, 3)` in pixels of `picture`."""


@dataclass(frozen=True, slots=True, eq=False)
class Key(View):
    """A view of the reference's face, with what tells how well it serves."""

    yaw: float
    pitch: float
    eyes: float
    """Opening of the eyes, in distances between their outer corners."""
    mouth: float
    """Opening of the mouth, likewise."""
    sharpness: float
    odd: float = 0.0
    """How far its skin is from what most keys of its clip show, in deviations of its own colours."""


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


def identity_of(shown: Sequence[Reference], name: str | None = None) -> Identity:
    """One person from pictures and clips.

    Args:
        shown: what shows the person.
        name: the number of the face that it is for.

    Raises:
        ReferenceMismatch: no face in them can be used.
    """
    finder = FaceFinder()
    tried = [one for reference in shown for one in _tried(reference, finder)]
    keys = [one for one in tried if isinstance(one, Key)]
    if not keys:
        which = "The reference" if name is None else f"The reference for face {name}"
        why = ", ".join(sorted({one for one in tried if isinstance(one, str)})) or "no face"
        raise ReferenceMismatch(
            f"{which} cannot be used: {why}. Give a picture of one face from the front, with open eyes, at least "
            f"{3 * _LEAST_SIDE} pixels wide."
        )
    return identity_with(keys, name)


def identity_with(keys: list[Key], name: str | None = None) -> Identity:
    """One person from keys, at least one."""
    neutral = neutral_shape(np.stack([key.points for key in keys]))
    return Identity(tuple(_compared(keys, neutral)), neutral, name)


def _compared(keys: list[Key], neutral: Floats) -> list[Key]:
    """With a note of how far each is from what most show, as with a hand before the face that was not found."""
    if len(keys) < _COMPARED:
        return keys
    low, high = neutral[:, :2].min(0), neutral[:, :2].max(0)
    flat = ((neutral - [*low, 0.0]) * (_THUMBNAIL - 1) / float((high - low).max())).astype(np.float32)
    seen = [warp_face(key.picture, key.points, flat, (_THUMBNAIL, _THUMBNAIL)) for key in keys]
    skin = np.all([warped.parts == PARTS.index("skin") for warped in seen], 0)
    colours = np.stack([cv2.GaussianBlur(warped.picture, (0, 0), 1.0)[skin] for warped in seen]).astype(np.float32)
    colours = (colours - colours.mean((1, 2), keepdims=True)) / (colours.std((1, 2), keepdims=True) + 1e-3)
    apart = np.abs(colours - np.median(colours, 0)).mean(2)
    odd = np.quantile(apart, 0.98, axis=1)  # of the pixels: a hand may cover only the chin
    return [replace(key, odd=float(one)) for key, one in zip(keys, odd, strict=True)]


def _tried(reference: Reference, finder: FaceFinder) -> Iterator[Key | str]:
    """A key of every picture, or why there is none."""
    if reference.is_clip and reference.path is not None:
        yield from _clip_keys(reference.path, finder)
        return
    hands = HandFinder()
    for picture in reference.pictures:
        found = finder.find(picture)
        yield _key(picture, found[0], hands.find(picture)) if found else "no face"


def _clip_keys(path: Path, finder: FaceFinder) -> Iterator[Key | str]:
    """Keys of frames spread over a clip, of the face that covers most of it."""
    hands = HandFinder()
    now: list[Picture] = []
    tried: dict[int, list[Key | str]] = {}
    areas: dict[int, float] = {}
    with open_source(path) as source:
        info = source.info
        count = info.frame_count or round((info.duration_s or 0.0) * float(info.fps)) or LOOKED_AT

        def pictures() -> Iterator[Picture]:
            for frame in islice(source, 0, count, -(-count // LOOKED_AT)):
                now[:] = [frame.pixels]
                yield frame.pixels

        for number, faces in enumerate(finder.follow(pictures())):
            if finder.cuts[-1:] == [number]:
                hands.forget()
            before = hands.follow(now[0], [face.box for face in faces])
            for face in faces:
                tried.setdefault(face.number, []).append(_key(now[0], face, before))
                areas[face.number] = areas.get(face.number, 0.0) + face.iod**2
    yield from tried.get(max(areas, key=lambda one: areas[one], default=-1), [])


def _key(picture: Picture, face: Face, hands: Sequence[Hand]) -> Key | str:
    """A face cut out with its measures, or why it cannot be used."""
    if face.iod < _LEAST_SIDE:
        return f"a face of {3 * face.iod:.0f} pixels"
    left, top, right, bottom = face.box
    if hands:
        covered = hand_mask(hands, picture)[int(max(0, top)) : int(bottom), int(max(0, left)) : int(right)]
        if covered.size and float(covered.mean()) > _HIDDEN:
            return "a hand before the face"
    return key_of(picture, face.points)


def key_of(picture: Picture, points: Floats) -> Key:
    """A face cut out of a picture, with its measures; one that is very large is made smaller.

    Args:
        picture: `(H, W, 3)` uint8 sRGB.
        points: `(478, 3)` in its pixels.
    """
    face = Face(points, 1.0, 0, around(points))
    left, top, right, bottom = face.box
    room, factor = _ROOM * face.iod, min(1.0, _MOST_SIDE / face.iod)
    x0, y0 = int(max(0, left - room)), int(max(0, top - room))
    cut = np.ascontiguousarray(picture[y0 : int(bottom + room) + 1, x0 : int(right + room) + 1])
    inside = points - np.array([x0, y0, 0])
    if factor < 1.0:
        cut = np.asarray(cv2.resize(cut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        edge = np.array([0.5, 0.5, 0.0])
        inside = (inside + edge) * factor - edge
    inside = inside.astype(np.float32)
    eyes, mouth = openings(inside)
    skin = face_mask(inside, cut.shape[:2], (0.0, 0.0), face.iod * factor)
    return Key(cut, inside, face.yaw, face.pitch, eyes, mouth, sharpness(cut, skin))


def choose(identity: Identity, turns: Floats, count: int) -> Identity:
    """Picks the few keys that a clip needs: the best for its usual turn first, then others for turns that are far off.

    Args:
        identity: with all its keys.
        turns: `(T, 2)` yaw and pitch of the clip's face, in radians.
        count: most keys to keep.

    Returns:
        The same person with `count` keys at most, the usual one first.
    """
    keys, faults = identity.keys, _faults(identity.keys)
    own = np.array([[key.yaw, key.pitch] for key in keys])
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


def _faults(keys: Sequence[Key]) -> NDArray[np.float64]:
    """What speaks against each key, in radians of a worse fit: closed eyes, an open mouth, blur, things before it."""
    eyes, mouth, sharp = (np.array([getattr(key, name) for key in keys]) for name in ("eyes", "mouth", "sharpness"))
    closed = np.clip(0.8 - eyes / np.quantile(eyes, 0.9), 0.0, None)
    blurred = np.clip(1.0 - sharp / np.quantile(sharp, 0.8), 0.0, None)
    odd = np.array([key.odd for key in keys])
    strange = 0.5 * odd + 3.0 * np.clip(odd - _ODD, 0.0, None)
    return np.asarray(1.5 * closed + 5.0 * mouth + 0.8 * blurred + strange, np.float64)


def awake(keys: Sequence[Key]) -> list[Key]:
    """Those with open eyes; all where they are few.

    Footage in which eyes are mostly closed would otherwise make open ones look odd, see `Key.odd`.
    """
    openest = float(np.quantile([key.eyes for key in keys], 0.9))
    found = [key for key in keys if key.eyes >= _AWAKE * openest]
    return found if len(found) >= _COMPARED else list(keys)


def sample(identity: Identity, best: int, spread: int) -> tuple[Key, ...]:
    """The keys that serve clips not yet known.

    A render chooses among them by its own clip's turns, and takes the person's shape at rest from all. Good keys alone
    tell that shape wrongly, since they look alike: measured, twelve of them were .06 farther from the person than all.

    Args:
        identity: with all its keys.
        best: keys with the least faults, from as many sides as there are, that come first.
        spread: most further ones, evenly from what is left.
    """
    keys = identity.keys
    own = np.array([[key.yaw, key.pitch] for key in keys])
    faults = _faults(keys)
    chosen = [int(np.argmin(np.abs(own - np.median(own, 0)).sum(1) + faults))]
    while len(chosen) < min(best, len(keys)):
        worth = np.minimum(np.abs(own[:, None] - own[chosen]).sum(-1).min(1), _APART) - faults
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
    rest = [number for number in range(len(keys)) if number not in chosen]
    places = np.linspace(0, max(0, len(rest) - 1), min(spread, len(rest))).round().astype(int).tolist()
    return tuple(keys[number] for number in (*chosen, *(rest[place] for place in places)))


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

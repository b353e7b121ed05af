"""Makes an actor of photographs or of a clip: finds the person, chooses the views, cuts them out.

Loads the pose networks; `vid2vid.motion.actor` alone does not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.ndimage import median_filter

from vid2vid.composite import shrunk
from vid2vid.conditions.people import PeopleFinder, Person
from vid2vid.errors import InvalidOption, ReferenceMismatch
from vid2vid.io import open_source
from vid2vid.motion.actor import MAX_VIEWS, Actor, resized
from vid2vid.motion.cutout import cut_out, hidden_share, in_one_light
from vid2vid.motion.plates import empty_scene
from vid2vid.motion.skeleton import BODY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vid2vid.types import Picture, Reference

    Floats = NDArray[np.float32]

_LOG = logging.getLogger(__name__)
TALLEST: Final = 540
"""Views are made no taller than this, in pixels of standing height."""
FRAMES_OF_A_CLIP: Final = 180
"""Frames of a reference clip that are looked at, spread over it."""
SHORT_SIDE: Final = 720
"""Of those frames, at most."""
_SMALLEST: Final = 60
_TIPS: Final = ("fingers_l", "fingers_r", "heel_l", "heel_r", "toes_l", "toes_r")
_PLATE_FRAMES: Final = 32
_MASK_SIDE: Final = 480
_TURN_WEIGHT: Final = 0.5
"""What turning round counts against moving all joints by a body height."""
_SHARP: Final = 0.5
"""Least sharpness of a view, against the clip's median."""
_LEAST_COVERED: Final = 0.5
"""Part of the bones that must lie within a photograph's mask."""
_SURE: Final = 0.6
"""Least mean visibility of a view's joints."""
_WHOLE: Final = 0.96
"""Least part of the bones that the mask covers."""
_HIDDEN: Final = 0.2
"""Part of a person that may show the scene behind them instead, through faults of the mask; more is a tree or a car."""
_STEADY: Final = 61
"""Frames whose median is a person's height."""
_BURNT: Final = 0.01
"""Most of a person that may be white with light."""
_BONES: Final = (
    ("neck", "hip"),
    *((f"{start}_{side}", f"{end}_{side}")
      for side in "lr"
      for start, end in (("shoulder", "elbow"), ("elbow", "hand"), ("thigh", "knee"), ("knee", "foot"))),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """The actor in one frame."""

    frame: int
    person: Person
    quality: float
    """In [0, 1]; 0 if it cannot be used."""


def actor_from_pictures(pictures: Sequence[Picture], name: str = "actor", credit: str = "") -> Actor:
    """Makes an actor of photographs of one person; in each the largest person is taken.

    Args:
        pictures: `(H, W, 3)` uint8 sRGB each, 1 to 24.
        name, credit: kept with the actor.

    Returns:
        The actor, without a plate. Pictures that cannot be used are left out with a warning while others can.

    Raises:
        InvalidOption: no picture, or more than 24.
        ReferenceMismatch: no picture shows a whole person; says what is wrong with the first.
    """
    if not 1 <= len(pictures) <= MAX_VIEWS:
        raise InvalidOption(f"{len(pictures)} pictures were given for an actor; 1 to {MAX_VIEWS} are allowed.")
    finder = PeopleFinder()
    found: list[_Candidate] = []
    faults: list[str] = []
    for number, picture in enumerate(pictures):
        people = finder.find(picture)
        fault = _fault(people[0] if people else None, picture)
        if fault is None and _covered(people[0]) < _LEAST_COVERED:
            fault = "the person cannot be told from what is around. Give a picture with more contrast."
        if fault is None:
            found.append(_Candidate(number, people[0], 1.0))
        else:
            faults.append(f"Picture {number + 1}: {fault}")
    if not found:
        raise ReferenceMismatch(faults[0])
    for fault in faults:
        _LOG.warning("Left out of actor %r: %s", name, fault)
    return _actor(found, pictures, finder, name, credit)


def actor_from_clip(
    frames: Sequence[Picture], count: int = 12, name: str = "actor", credit: str = "", person: int = 0
) -> Actor:
    """Makes an actor of a clip: views that show the whole person sharply, spread over poses and sides.

    Args:
        frames: `(H, W, 3)` uint8 sRGB each, in order.
        count: of views, 1 to 24; fewer where the clip shows fewer poses.
        name, credit: kept with the actor.
        person: which one, counted from 0 from who is shown largest and longest.

    Returns:
        The actor, with a plate where the camera stands still and the scene is seen behind the person.

    Raises:
        InvalidOption: a count out of range.
        ReferenceMismatch: nobody is found, or never whole; says which joints are missing.
    """
    return cast_from_clip(frames, count, name, credit, person)[0]


def cast_from_clip(
    frames: Sequence[Picture], count: int = 12, name: str = "actor", credit: str = "", person: int = 0
) -> tuple[Actor, tuple[int, ...]]:
    """As `actor_from_clip`, with the numbers of the frames that the views were taken from."""
    if not 1 <= count <= MAX_VIEWS:
        raise InvalidOption(f"count={count}: an actor has 1 to {MAX_VIEWS} views.")
    finder = PeopleFinder()
    tracks, masks = _followed(frames, finder)
    if not tracks:
        raise ReferenceMismatch(
            "No person was found in the clip. Give one that shows a whole person, larger if possible."
        )
    track = _steady(_ranked(tracks)[min(person, len(tracks) - 1)])
    usable = [one for one in track if one.quality > 0.0]
    if not usable:
        best = max(track, key=lambda one: float(one.person.visibility.mean()))
        fault = _fault(best.person, frames[best.frame]) or "blurred or hidden in every frame."
        raise ReferenceMismatch(f"No frame of the clip can be used; frame {best.frame}: {fault}")
    plate = empty_scene([frames[index] for index in masks], list(masks.values()))
    chosen = _spread_out(usable, count)
    masks_of = [finder.fine_mask(frames[one.frame], one.person) for one in chosen]
    shares = [0.0 if plate is None else hidden_share(mask, frames[one.frame], plate)
              for one, mask in zip(chosen, masks_of, strict=True)]  # fmt: skip
    # Whoever looks like the scene throughout is not hidden by it.
    most = max(_HIDDEN, float(np.median(shares)) + 0.5 * _HIDDEN)
    clear = [number for number, share in enumerate(shares) if share <= most]
    chosen, masks_of = [chosen[number] for number in clear], [masks_of[number] for number in clear]
    return _actor(chosen, frames, finder, name, credit, plate, masks_of), tuple(one.frame for one in chosen)


def join_actors(actors: Sequence[Actor], name: str, credit: str) -> Actor:
    """Makes one actor of several of the same person, such as from several cameras.

    Args:
        actors: with 24 views together at most.
        name, credit: of the new one.

    Returns:
        All views at the smallest height and in one light; the first plate there is.
    """
    height = min(actor.height for actor in actors)
    views = [resized(view, height / actor.height) for actor in actors for view in actor.views]
    plate = next((actor.plate for actor in actors if actor.plate is not None), None)
    return Actor(name, in_one_light(views), height, plate, credit)


def _actor(
    chosen: Sequence[_Candidate],
    pictures: Sequence[Picture],
    finder: PeopleFinder,
    name: str,
    credit: str,
    plate: Picture | None = None,
    masks: Sequence[Floats | None] | None = None,
) -> Actor:
    height = float(min(TALLEST, np.median([one.person.height for one in chosen])))
    given = masks or [None] * len(chosen)
    views = [
        cut_out(pictures[one.frame], one.person, finder, height, plate, mask)
        for one, mask in zip(chosen, given, strict=True)
    ]
    return Actor(name, in_one_light(views), height, plate, credit)


def _fault(person: Person | None, picture: Picture) -> str | None:
    """Why a person cannot be used, in words."""
    if person is None:
        return "no person was found. Give a picture that shows a whole person, larger if possible."
    if person.height < _SMALLEST:
        return f"the person is {person.height:.0f} pixels tall; at least {_SMALLEST} are needed."
    missing = _missing(person, picture)
    if missing:
        return f"the person is cut off by the picture's edge; missing: {', '.join(missing)}. Show the whole body."
    return None


def _missing(person: Person, picture: Picture) -> list[str]:
    """Joints and tips outside of the picture."""
    height, width = picture.shape[:2]
    places = np.concatenate([person.joints, person.tips[:, :2]])
    outside = np.any((places < 0) | (places > [width - 1, height - 1]), axis=1).tolist()
    return [name for name, out in zip((*BODY, *_TIPS), outside, strict=True) if out]


def _quality(person: Person, people: Sequence[Person], picture: Picture) -> float:
    """Sharpness, and 0 where the person is cut off, hidden by others or unsure."""
    if _fault(person, picture) is not None or person.visibility.mean() < _SURE:
        return 0.0
    if any(_touch(person, other) for other in people if other.number != person.number):
        return 0.0
    left, top, right, bottom = (round(float(side)) for side in person.box)
    window = (slice(max(0, top), bottom + 1), slice(max(0, left), right + 1))
    inside = person.mask[window] > 0.8
    if not inside.any():
        return 0.0
    if _covered(person) < _WHOLE or _burnt(picture[window][inside]) > _BURNT:
        return 0.0
    grey = cv2.cvtColor(picture[window], cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[inside].std())


def _covered(person: Person) -> float:
    """Part of the bones that lies within the mask: less than all where something stands before the person."""
    starts, ends = (np.array([BODY.index(bone[side]) for bone in _BONES]) for side in (0, 1))
    along = np.linspace(0.0, 1.0, 6)[:, None, None]
    places = person.joints[starts] * (1.0 - along) + person.joints[ends] * along
    columns, rows = places.reshape(-1, 2).round().astype(int).T
    height, width = person.mask.shape
    inside = person.mask[rows.clip(0, height - 1), columns.clip(0, width - 1)] > 0.5
    return float(inside.mean())


def _burnt(colours: NDArray[np.uint8]) -> float:
    """Part of the person that is white with light."""
    return float((colours.min(-1) > 250).mean())


def _touch(one: Person, other: Person) -> bool:
    margin = 0.05 * one.height
    apart = (one.box[:2] - margin > other.box[2:]) | (other.box[:2] > one.box[2:] + margin)
    return not bool(apart.any())


def _everybody(people: Sequence[Person], picture: Picture) -> NDArray[np.uint8]:
    """Where anybody is, at reduced size."""
    height, width = picture.shape[:2]
    scale = min(1.0, _MASK_SIDE / max(height, width))
    size = (round(width * scale), round(height * scale))
    result = np.zeros(size[::-1], np.uint8)
    for one in people:
        small = cv2.resize(one.mask, size, interpolation=cv2.INTER_AREA)
        result = np.maximum(result, np.round(small * 255.0).astype(np.uint8))
    return result


def _followed(
    frames: Sequence[Picture], finder: PeopleFinder
) -> tuple[dict[int, list[_Candidate]], dict[int, NDArray[np.uint8]]]:
    """Everybody's candidates by number, and where anybody is in some frames by index, in order."""
    tracks: dict[int, list[_Candidate]] = {}
    masks: dict[int, NDArray[np.uint8]] = {}
    kept = set(np.linspace(0, len(frames) - 1, min(_PLATE_FRAMES, len(frames))).round().astype(int).tolist())
    for index, people in enumerate(finder.follow(frames)):
        if index in kept:
            masks[index] = _everybody(people, frames[index])
        for one in people:
            quality = _quality(one, people, frames[index])
            small = replace(one, mask=np.zeros((0, 0), np.float32))
            tracks.setdefault(one.number, []).append(_Candidate(index, small, quality))
    return tracks, masks


def _ranked(tracks: dict[int, list[_Candidate]]) -> list[list[_Candidate]]:
    """Who is shown largest and longest comes first."""
    return sorted(tracks.values(), key=lambda track: -sum(one.person.height for one in track))


def _steady(track: list[_Candidate]) -> list[_Candidate]:
    """Takes the noise out of the heights: nobody comes a tenth nearer from one frame to the next."""
    heights = median_filter(np.array([one.person.height for one in track]), size=_STEADY, mode="nearest")
    return [
        replace(one, person=replace(one.person, height=float(height)))
        for one, height in zip(track, heights, strict=True)
    ]


def _spread_out(track: Sequence[_Candidate], count: int) -> list[_Candidate]:
    """Chooses candidates far from each other in pose, sharp ones first.

    Source:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; distances weighted by quality.
    """
    sharpness = np.array([one.quality for one in track])
    sharp = [one for one in track if one.quality >= _SHARP * np.median(sharpness)]
    poses = np.stack([_pose(one.person) for one in sharp])
    quality = np.array([one.quality for one in sharp])
    quality = quality / quality.max() * np.array([one.person.visibility.mean() for one in sharp])
    chosen = [int(np.argmax(quality * [_upright(one.person) for one in sharp]))]
    distances = np.linalg.norm(poses - poses[chosen[0]], axis=1)
    while len(chosen) < min(count, len(sharp)):
        chosen.append(int(np.argmax(distances * quality)))
        distances = np.minimum(distances, np.linalg.norm(poses - poses[chosen[-1]], axis=1))
    return [sharp[number] for number in chosen]


def _pose(person: Person) -> Floats:
    """`(32,)`: joints relative to the hip in body heights, and where the person looks."""
    joints = (person.joints - person.joints[BODY.index("hip")]) / person.height
    looks = np.array([person.facing, person.towards]) * _TURN_WEIGHT
    return np.concatenate([joints.reshape(-1), looks]).astype(np.float32)


def _upright(person: Person) -> float:
    """In [0, 1]: how nearly head, hip and feet span the standing height."""
    feet = person.joints[[BODY.index("foot_l"), BODY.index("foot_r")]].mean(0)
    return float(np.clip((feet[1] - person.joints[0, 1]) / (0.9 * person.height), 0.0, 1.0))


def actor_from_reference(reference: Reference) -> Actor:
    """Makes an actor of a picture, of a folder of pictures, or of frames spread over a clip.

    Raises:
        ReferenceMismatch: it shows no whole person.
    """
    name = reference.path.stem if reference.path else "given"
    if reference.is_clip and reference.path is not None:
        return actor_from_clip(_spread_frames(reference.path), name=name)
    if len(reference.pictures) > MAX_VIEWS:
        return actor_from_clip(reference.pictures[:: -(-len(reference.pictures) // FRAMES_OF_A_CLIP)], name=name)
    return actor_from_pictures(reference.pictures, name=name)


def _spread_frames(path: Path) -> list[Picture]:
    with open_source(path) as source:
        count = source.info.frame_count or FRAMES_OF_A_CLIP
        spread = islice(source, 0, None, max(1, -(-count // FRAMES_OF_A_CLIP)))
        return [shrunk(frame.pixels, SHORT_SIDE).copy() for frame in islice(spread, FRAMES_OF_A_CLIP)]

"""What happens from one key drawing to the next, where drawings stand too far apart to see speed.

An artist draws the moment of contact, and then the one who is struck somewhere else; so a blow is a limb's end at a
trunk in one drawing and that trunk thrown away in the next. Where drawings stand at even distances, contact may fall
between two of them; then the limb is still there in the first drawing of the trunk thrown away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.errors import InvalidFrames
from vid2vid.motion.blows import CORE, ENDS, trunk_gap
from vid2vid.motion.events import FEET, LYING, above_ground, place_of
from vid2vid.motion.skeleton import HEAD, HIP, NECK
from vid2vid.types import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.motion.skeleton import Tracks

    Curve = NDArray[np.float64]

_NEAR: Final = 0.2
"""Standing heights between a limb's end and the trunk in a drawing of contact."""
_THROWN: Final = 0.09
"""Standing heights by which the trunk is then moved away, beyond how it moved before."""
_STRUCK_OUT: Final = 0.12
"""Standing heights that the limb's end has come nearer since the drawing before."""
_REACH: Final = 0.3
"""Standing heights from the striker's own trunk to the end of a limb that strikes."""
_SWUNG: Final = 0.35
"""Standing heights that a hand or foot moves against the hip, to be heard."""
_DOWN: Final = 0.05
_BETWEEN: Final = 0.5
"""Share of the way from one drawing to the next at which things happen that neither shows."""


def detect_events_at_drawings(tracks: Tracks, times_s: Sequence[float], size: tuple[int, int]) -> tuple[Event, ...]:
    """Finds what can be heard in a film of few drawings, about two to eight a second.

    Args:
        tracks: one skeleton of each figure for each drawing.
        times_s: when each drawing is first shown, increasing.
        size: columns and rows of the drawings.

    Returns:
        Events in the order of time, as `detect_events` gives them; contact is where it is drawn.

    Raises:
        InvalidFrames: there are not as many times as drawings.
    """
    if len(times_s) != tracks.length:
        raise InvalidFrames(f"{len(times_s)} times for {tracks.length} drawings. Give one time for each drawing.")
    times, found = np.asarray(times_s, float), []
    for number in range(tracks.figures):
        heard = [
            *_blows(tracks, number, times),
            *_falls_and_steps(tracks, number, times),
            *_swings(tracks, number, times),
        ]
        for kind, at, time_s, strength, joint in heard:
            place = place_of(tracks, size, at, number, joint)
            found.append(Event(kind, float(time_s), float(np.clip(strength, 0.05, 1)), number, place))
    return tuple(sorted(found, key=lambda event: event.time_s))


Heard = tuple[str, int, float, float, int]
"""Kind, drawing, seconds, strength, joint."""


def _blows(tracks: Tracks, struck: int, times: Curve) -> list[Heard]:
    """Blows that a figure takes: of all limbs at a drawing the one that threw it farthest."""
    joints = tracks.joints.astype(np.float64) / float(tracks.heights.mean())
    core = joints[:, struck, list(CORE)]
    moves = np.diff(core.mean(1)[:, 0])
    best: dict[int, Heard] = {}
    for by in range(tracks.figures):
        if by == struck:
            continue
        side = np.sign(core.mean(1)[:, 0] - joints[:, by, HIP, 0])
        for tip in ENDS:
            gap = trunk_gap(core, joints[:, by, tip])
            reach = np.linalg.norm(joints[:, by, tip] - joints[:, by, [HIP, NECK]].mean(1), axis=-1)
            out = reach > _REACH
            for at in range(1, len(times)):
                if not (gap[at - 1] - gap[at] > _STRUCK_OUT and out[at] and gap[at] < _NEAR):
                    continue
                thrown, time_s = _thrown(moves * side[at], at, times)
                if thrown > _THROWN and (at not in best or best[at][3] < thrown * 2):
                    joint = HEAD if joints[at, by, tip, 1] < core[at, 1, 1] else NECK
                    best[at] = ("impact", at, time_s, float(thrown * 2), joint)
    return [blow for at, blow in sorted(best.items()) if at - 1 not in best]


def _thrown(moves: Curve, at: int, times: Curve) -> tuple[float, float]:
    """How far a trunk is thrown after a drawing, or else before it, beyond how it moved; and when."""
    way = np.r_[0.0, 0.0, moves, 0.0]  # way[at + 2] is gone after drawing `at`
    after, before = way[at + 2] - max(0.0, way[at + 1]), way[at + 1] - max(0.0, way[at])
    if after >= before:
        return float(after), float(times[at])
    return float(before), float(times[at - 1] + _BETWEEN * (times[at] - times[at - 1]))


def _falls_and_steps(tracks: Tracks, number: int, times: Curve) -> list[Heard]:
    """Trunks and feet that are up in one drawing and down in the next."""
    above = above_ground(tracks.joints[:, number].astype(np.float64) / float(tracks.heights[number]), tracks, number)
    lying = np.asarray((above[:, [HIP, NECK]] < LYING).all(1))
    feet = above[:, list(FEET)]
    resting = np.percentile(feet[~lying], 10) if (~lying).any() else 0.0
    down = feet < resting + _DOWN
    found: list[Heard] = []
    for at in range(1, len(times)):
        middle = times[at - 1] + _BETWEEN * (times[at] - times[at - 1])
        if lying[at] and not lying[at - 1]:
            found.append(("fall", at, middle, 0.8, HIP))
        elif not lying[at] and down[at].any() and not down[at - 1].any():
            found.append(("landing", at, middle, 0.6, FEET[0]))
        elif not lying[at]:
            found += [("footfall", at, middle, 0.3, FEET[k]) for k in (0, 1) if down[at, k] and not down[at - 1, k]]
    return found


def _swings(tracks: Tracks, number: int, times: Curve) -> list[Heard]:
    """Hands and feet that go far between two drawings."""
    joints = tracks.joints[:, number].astype(np.float64) / float(tracks.heights[number])
    found: list[Heard] = []
    for tip in ENDS:
        way = np.linalg.norm(np.diff(joints[:, tip] - joints[:, HIP], axis=0), axis=-1)
        for at in np.flatnonzero(way > _SWUNG).tolist():
            found.append(("whoosh", at + 1, float(times[at : at + 2].mean()), float(way[at]), tip))
    return found

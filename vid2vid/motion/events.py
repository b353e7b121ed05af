"""What happens between figures, from their skeletons alone: blows, falls, landings, steps, swishes.

A blow is told by the one who takes it: the trunk is thrown away, suddenly, while somebody's limb is at it. The striking
limb tells little, for blows follow through. Nothing but joints and heights is looked at, so that the same rules serve
drawn figures and people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.blows import find_blows
from vid2vid.motion.footing import find_touches
from vid2vid.motion.onsets import STEPS, find_onsets, peaks, smoothed
from vid2vid.motion.skeleton import ARMS, FOOT_A, FOOT_B, HIP, LEGS, NECK
from vid2vid.types import Event

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.skeleton import Tracks

    Curve = NDArray[np.float64]

_WHOOSH: Final = 3.0
"""Standing heights a second, of a hand or foot against the hip; walking stays below."""
_WHOOSH_APART_S: Final = 0.25
_NOISE: Final = 0.01
"""Of joints, in standing heights."""
_FALL_DROP: Final = 0.28
"""Standing heights that hip and neck come down before a fall's end."""
_FALLING_S: Final = 0.5
"""Within which they do."""
_FALL_STOP: Final = 0.7
"""Standing heights a second that a fall loses when the body meets the ground."""
LYING: Final = 0.26
"""Standing heights above the ground below which hip and neck lie."""
_LIES_S: Final = 0.45
"""How long after a fall they lie at least."""
_UPRIGHT: Final = 0.3
"""Standing heights of the hip above the ground, over which feet take steps."""
FEET: Final = (FOOT_A, FOOT_B)
_LANDING_LATE: Final = 0.5
"""Frames by which smoothing delays the end of a fast way down."""


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """One figure's path in standing heights."""

    raw: Curve
    """`(T, 11, 2)`, y downwards, as tracked."""
    smooth: Curve
    """The same with noise reduced and without delay."""
    above: Curve
    """`(T, 11)`: heights of the joints over the ground, smooth."""
    present: NDArray[np.bool_]
    """`(T,)`."""


def detect_events(tracks: Tracks, fps: float, size: tuple[int, int]) -> tuple[Event, ...]:
    """Finds what can be heard.

    Args:
        tracks: skeletons of any number of figures.
        fps: frames a second of the tracks.
        size: columns and rows of the frames.

    Returns:
        Events in the order of time, each with its figure (of an impact: the one who is struck), its strength and its
        place in the picture.
    """
    if tracks.length < 5:
        return ()
    figures = _prepared(tracks, fps)
    found = [
        Event(
            "impact",
            blow.time_s,
            blow.strength,
            blow.struck,
            place_of(tracks, size, round(blow.time_s * fps), blow.struck, blow.joint),
        )
        for blow in find_blows(tracks.joints / float(tracks.heights.mean()), fps)
    ]
    for number, figure in enumerate(figures):
        heard = (*_falls(figure, fps), *_touches(figure, fps), *_whooshes(figure, fps))
        found += [
            Event(
                kind,
                time_s,
                float(np.clip(strength, 0.05, 1)),
                number,
                place_of(tracks, size, round(time_s * fps), number, joint),
            )
            for kind, time_s, strength, joint in heard
            if figure.present[min(len(figure.present) - 1, max(0, round(time_s * fps)))]
        ]
    return tuple(sorted(found, key=lambda event: event.time_s))


def _prepared(tracks: Tracks, fps: float) -> list[Figure]:
    """Each figure in its own standing heights."""
    result = []
    for number in range(tracks.figures):
        raw = tracks.joints[:, number].astype(np.float64) / float(tracks.heights[number])
        smooth = smoothed(raw, fps)
        result.append(Figure(raw, smooth, above_ground(smooth, tracks, number), tracks.present[:, number]))
    return result


def above_ground(smooth: Curve, tracks: Tracks, number: int) -> Curve:
    """Heights `(T, 11)` of joints `(T, 11, 2)` over the drawn ground, or else over its lowest feet."""
    if tracks.ground is None:
        return np.asarray(np.percentile(smooth[:, [FOOT_A, FOOT_B], 1], 97) - smooth[..., 1])
    offset, slope = tracks.ground.astype(np.float64)
    return np.asarray(offset / float(tracks.heights[number]) + slope * smooth[..., 0] - smooth[..., 1])


def _falls(figure: Figure, fps: float) -> list[tuple[str, float, float, int]]:
    """The trunk comes down, stops suddenly and stays down; one who rolls is up again at once."""
    trunk = figure.above[:, [HIP, NECK]]
    height = trunk.mean(1)
    onsets = find_onsets(height[:, None], fps, (0.02, 0.06, 0.1), (0.15, 0.15), _NOISE / 2)
    frames = np.minimum((onsets.times_s * fps).round().astype(int), len(height) - 1)
    ago = np.maximum(frames - round(_FALLING_S * fps), 0)
    fell = height[ago] - height[frames] > _FALL_DROP
    stop = onsets.gain[:, 0]
    lies = _stays(np.asarray((trunk < LYING).all(1)), round(0.12 * fps), round(_LIES_S * fps))[frames]
    score = np.where(lies & fell & (stop > _FALL_STOP) & (onsets.speed[:, 0] < -_FALL_STOP / 2), onsets.score * stop, 0)
    return [
        ("fall", float(onsets.times_s[at]), float(stop[at]) / 2.5, HIP) for at in peaks(score, round(0.5 * fps * STEPS))
    ]


def _stays(state: NDArray[np.bool_], begin: int, end: int) -> NDArray[np.bool_]:
    """Whether it holds from `begin` to `end` samples later; beyond the last sample nothing changes."""
    padded = np.pad(state, (0, end), "edge")
    return np.asarray(
        np.lib.stride_tricks.sliding_window_view(padded, end - begin + 1)[begin : begin + len(state)].all(1)
    )


def _touches(figure: Figure, fps: float) -> list[tuple[str, float, float, int]]:
    """Feet that come down; after a flight it is a landing."""
    feet = np.stack([figure.smooth[:, list(FEET), 0], figure.above[:, list(FEET)]], -1)
    upright = figure.above[:, HIP] > _UPRIGHT
    feet[..., 1] -= np.percentile(feet[upright, :, 1], 6) if upright.any() else 0.0
    found = []
    for touch in find_touches(feet, fps):
        if upright[min(len(upright) - 1, round(touch.time_s * fps))]:
            kind, late_s = ("landing", _LANDING_LATE / fps) if touch.landing else ("footfall", 0.0)
            found.append((kind, max(0.0, touch.time_s - late_s), touch.speed / 2.5, FEET[touch.foot]))
    return found


def _whooshes(figure: Figure, fps: float) -> list[tuple[str, float, float, int]]:
    """Hands and feet at their fastest."""
    found, reach = [], round(_WHOOSH_APART_S * fps)
    for _, tip in (*ARMS, *LEGS):
        speed = np.linalg.norm(np.gradient(figure.smooth[:, tip] - figure.smooth[:, HIP], axis=0), axis=1) * fps
        for at in peaks(np.where(speed > _WHOOSH, speed, 0), reach):
            found.append(("whoosh", (at + _vertex(speed, at)) / fps, float(speed[at]) / 6, tip))
    return found


def _vertex(curve: Curve, at: int) -> float:
    """How far beside a highest sample the curve's own top lies, in samples."""
    if not 0 < at < len(curve) - 1:
        return 0.0
    left, middle, right = curve[at - 1 : at + 2]
    bend = left - 2 * middle + right
    return float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def place_of(tracks: Tracks, size: tuple[int, int], at: int, figure: int, joint: int) -> tuple[float, float]:
    """Where a joint is in one of the frames, relative to it."""
    at = int(np.clip(at, 0, tracks.length - 1))
    x, y = np.clip(tracks.joints[at, figure, joint] / np.asarray(size, float), 0, 1).tolist()
    return float(x), float(y)

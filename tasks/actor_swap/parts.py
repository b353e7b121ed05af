"""Parts: who of the film is taken over by whom, with the whole motion known before the first frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter

from vid2vid.motion.skeleton import STICK_IN_BODY, Tracks
from vid2vid.taking_over import who_takes_over

from .actors import Player, lit
from .options import WORDS
from .retargeting import bone_lengths, retarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.motion.actor import Actor

    from .options import Options
    from .watching import Sighting, Watched

    Floats = NDArray[np.float32]

_BRIDGED_S: Final = 0.4
"""Absences up to this long are filled in."""
_SHORTEST_S: Final = 0.2
"""Who is seen for less in all is taken for a mistake."""
_JOINTS_S: Final = 0.035
"""Deviation of the smoothing of joints; steps and blows are hardly rounded by it."""
_SLOW_S: Final = 0.15
"""The same for facing, depth and light."""
_HEIGHT_S: Final = 0.5
_STEADY: Final = 61
"""Frames whose median is a person's height."""
_OUTLIER: Final = 0.07
"""Body heights from the median of five frames at which a joint was misread."""
_STANDS_S: Final = 0.5
"""A foot touches the ground at least once in this long, before or after."""
_BRIGHTER: Final = (0.75, 1.33)
"""Limits of how light changes along a person's way."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One person of the film whom somebody takes over."""

    number: int
    actor: Actor
    """In the light of the film."""
    first: int
    """The person's first frame; arrays begin there."""
    present: NDArray[np.bool_]
    """`(T,)`."""
    fresh: NDArray[np.bool_]
    """`(T,)`: whether the person begins here anew, after a cut or an absence."""
    driver: Floats
    """`(T, 15, 2)` px: the person's joints, smoothed."""
    joints: Floats
    """`(T, 15, 2)` px: the actor's."""
    heights: Floats
    """`(T,)` px, standing."""
    facing: Floats
    """`(T,)`."""
    depth: Floats
    """`(T, 15)`."""
    ground: Floats
    """`(T,)` px: y of the ankles when they are down."""
    gains: Floats
    """`(T, 3)`: light along the way, 1 where it is as usual."""

    def at(self, frame: int) -> int | None:
        """Place in the arrays; None where the person is not there."""
        place = frame - self.first
        return place if 0 <= place < len(self.present) and self.present[place] else None


def cast(seen: Watched, given: Sequence[Player], options: Options, fps: float) -> list[Part]:
    """Decides who takes over whose part.

    Raises:
        InvalidOption, ReferenceMismatch: a person is asked for whom the film does not show.
    """
    wanted = who_takes_over(given, options.people, people_of(seen, fps), seen.largest, WORDS)
    return [part_of(seen, number, player, fps) for number, player in wanted.items()]


def people_of(seen: Watched, fps: float) -> list[int]:
    """Numbers of everybody who is there for long enough."""
    least = min(_SHORTEST_S * fps, 0.5 * seen.length)
    return sorted(number for number, track in seen.people.items() if len(track) >= least)


def part_of(seen: Watched, number: int, player: Player, fps: float) -> Part:
    """A person's part, taken over by a player."""
    track = seen.people[number]
    frames, first = np.array(sorted(track)), min(track)
    count = int(frames[-1]) - first + 1
    present = _present(frames, count, fps, seen.cuts)
    fresh = np.concatenate([[True], ~present[:-1]]) | np.isin(np.arange(first, first + count), seen.cuts)
    runs = [*np.flatnonzero(fresh & present).tolist(), count]

    def path(name: str) -> Floats:
        values = np.stack([np.asarray(getattr(track[frame], name), np.float32) for frame in frames.tolist()])
        flat = values.reshape(len(frames), -1)
        filled = [np.interp(np.arange(count), frames - first, column) for column in flat.T]
        return np.stack(filled, 1).reshape(count, *values.shape[1:]).astype(np.float32)

    heights = median_filter(path("height"), size=min(_STEADY, count), mode="nearest")
    heights = _evened(heights, runs, _HEIGHT_S * fps)
    driver = _evened(_without_outliers(path("joints"), heights), runs, _JOINTS_S * fps)
    depth, visibility = _evened(path("depth"), runs, _SLOW_S * fps), path("visibility")
    views = player.actor.views
    own = bone_lengths(driver, depth, heights, visibility)
    wanted = bone_lengths(
        np.stack([view.joints for view in views]),
        np.stack([view.depth for view in views]),
        np.full(len(views), player.actor.height, np.float32),
        np.stack([view.visibility for view in views]),
    )
    joints = np.concatenate([retarget(driver[a:b], heights[a:b], own, wanted, fps) for a, b in pairwise(runs) if b > a])
    colours = _evened(path("colour"), runs, _SLOW_S * fps)
    return Part(
        number=number,
        actor=lit(player.actor, np.median(colours, 0), seen.spreads.get(number, 20.0)),
        first=first,
        present=present,
        fresh=fresh,
        driver=driver,
        joints=joints.astype(np.float32),
        heights=heights,
        facing=_evened(path("facing"), runs, _SLOW_S * fps),
        depth=depth,
        ground=_ground(driver, runs, fps),
        gains=np.clip((colours + 8.0) / (np.median(colours, 0) + 8.0), *_BRIGHTER).astype(np.float32),
    )


def _present(frames: NDArray[Any], count: int, fps: float, cuts: Sequence[int]) -> NDArray[np.bool_]:
    """`(T,)`: seen, or only just not seen within one shot."""
    present = np.zeros(count, bool)
    present[frames - frames[0]] = True
    for before, after in pairwise(frames.tolist()):
        cut = any(before < one <= after for one in cuts)
        if after - before - 1 <= _BRIDGED_S * fps and not cut:
            present[before - frames[0] : after - frames[0]] = True
    return present


def _evened(values: Floats, runs: Sequence[int], deviation: float) -> Floats:
    """Smoothed without delay, within each run."""
    result = values.copy()
    for start, end in pairwise(runs):
        result[start:end] = gaussian_filter1d(values[start:end], max(deviation, 0.3), axis=0, mode="nearest")
    return result


def _without_outliers(joints: Floats, heights: Floats) -> Floats:
    usual = median_filter(joints, size=(min(5, len(joints)), 1, 1), mode="nearest")
    far = np.linalg.norm(joints - usual, axis=-1) > _OUTLIER * heights[:, None]
    return np.where(far[..., None], usual, joints).astype(np.float32)


def _ground(joints: Floats, runs: Sequence[int], fps: float) -> Floats:
    lowest, result = joints[:, [11, 14], 1].max(1), np.zeros(len(joints), np.float32)
    for start, end in pairwise(runs):
        reached = maximum_filter1d(lowest[start:end], 2 * round(_STANDS_S * fps / 2) + 1, mode="nearest")
        result[start:end] = gaussian_filter1d(reached, 0.1 * fps, mode="nearest")
    return result


def tracks_of(parts: Sequence[Part], length: int) -> Tracks:
    """The parts' motion as drawn figures' tracks, from which sounds are told."""
    joints = np.zeros((length, len(parts), 11, 2), np.float32)
    present = np.zeros((length, len(parts)), bool)
    for place, part in enumerate(parts):
        frames = np.arange(length).clip(part.first, part.first + len(part.driver) - 1) - part.first
        joints[:, place] = part.driver[frames][:, list(STICK_IN_BODY)]
        present[part.first : part.first + len(part.present), place] = part.present
    heights = np.array([np.median(part.heights) for part in parts], np.float32)
    return Tracks(joints, present, heights, None)


def masks_at(seen: Watched, part: Part, frame: int) -> list[Sighting]:
    """Where the person was seen: in this frame, or else in the nearest before and after it."""
    track = seen.people[part.number]
    if frame in track:
        return [track[frame]]
    before = max((one for one in track if one < frame), default=None)
    after = min((one for one in track if one > frame), default=None)
    return [track[one] for one in (before, after) if one is not None]


def moved(part: Part, joints: Floats, heights: Floats, ground: Floats) -> Part:
    """The part somewhere else."""
    return replace(part, joints=joints, heights=heights, ground=ground)

"""Drawn figures of a clip as skeletons: heads are followed, joints read, fitted to the ink and made steady."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.errors import InvalidOption, NoFigures
from vid2vid.motion.skeleton import Tracks
from vid2vid.motion.stick_cast import Cast, settle
from vid2vid.motion.stick_ground import find_ground
from vid2vid.motion.stick_heights import standing_height, stretched_lengths
from vid2vid.motion.stick_identities import order_figures
from vid2vid.motion.stick_naming import name_figures
from vid2vid.motion.stick_paths import find_paths, find_poses, letter_limbs, smooth
from vid2vid.motion.stick_untangling import untangle
from vid2vid.motion.stick_watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from vid2vid.conditions.stick_fit import Evidence
    from vid2vid.conditions.stick_reading import Net
    from vid2vid.types import Picture

_BATCH: Final = 16
_ENOUGH: Final = 8
"""Frames in which a figure's bones tell its height."""
MOST_FIGURES: Final = 4


def track_figures(
    frames: Iterable[Picture], reader: Net, finder: Net, count: int | None = None, *, held: bool = False
) -> Tracks:
    """Follows the drawn figures of a clip.

    Args:
        frames: `(H, W, 3)` uint8 each, all of one size; seen once and not kept.
        reader, finder: the nets of `conditions.stick_nets`.
        count: number of figures, 1 to 4; as many as are together for a tenth of the clip where None.
        held: whether frames are drawings far apart in time, such as one in six: figures may have moved far, and
            nothing is smoothed.

    Raises:
        InvalidOption: a count that is not 1 to 4.
        NoFigures: no figure is found in any frame.
    """
    if count is not None and not 1 <= count <= MOST_FIGURES:
        raise InvalidOption(f"count={count}: clips of 1 to {MOST_FIGURES} drawn figures can be followed.")
    watcher = _watch(iter(frames), reader, finder, held=held)
    if held:
        cast = settle(watcher.follower.trails, watcher.length, count, MOST_FIGURES)
    else:
        cast = name_figures(watcher.sightings(), count, MOST_FIGURES)
    if cast is None:
        raise NoFigures(
            f"No stick-man was found in {watcher.length} frames. A stick-man has a round head, open or filled, and is "
            "at least an eighth as tall as the picture is long; for other drawings give a key frame."
        )
    joints, present = _fitted(watcher, cast, held=held)
    ground = find_ground(joints, present, watcher.levels(), cast.height)
    return Tracks(joints, present, _heights(joints, present, cast), ground)


def read_drawing(picture: Picture, reader: Net, finder: Net) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reads the figures of one drawing.

    Args:
        picture: `(H, W, 3)` uint8.
        reader, finder: the nets of `conditions.stick_nets`.

    Returns:
        `(F, 11, 2)` joints in pixels, figures from left to right, and `(F,)` their heights; both empty where there is
        no figure.
    """
    try:
        tracks = track_figures([picture], reader, finder, held=True)
    except NoFigures:
        return np.zeros((0, 11, 2), np.float32), np.zeros(0, np.float32)
    return tracks.joints[0], tracks.heights


def _watch(frames: Iterable[Picture], reader: Net, finder: Net, *, held: bool) -> Watcher:
    watcher: Watcher | None = None
    remaining = iter(frames)
    while batch := list(itertools.islice(remaining, _BATCH)):
        if watcher is None:
            watcher = Watcher(reader, finder, (batch[0].shape[1], batch[0].shape[0]), held=held)
        watcher.watch(batch)
    return watcher or Watcher(reader, finder, (1, 1), held=held)


def _fitted(watcher: Watcher, cast: Cast, *, held: bool) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Joints of the figures, `(T, F, 11, 2)` pixels, and when they are there, `(T, F)`."""
    readings = watcher.collect(cast)
    clutter = watcher.clutter(readings, cast)

    def evidence_of(first: int, stop: int) -> Evidence:
        return watcher.evidence(cast, clutter, first, stop)

    if held:
        readings = readings.ordered(order_figures(readings.joints, readings.colours))
        found = find_poses(readings, evidence_of)
    else:
        readings = untangle(readings, evidence_of)
        found = find_paths(readings, evidence_of)
    lettered = letter_limbs(found, readings.present)
    steady = lettered if held else smooth(lettered, readings.present)
    return (_while_away(steady, readings.present) * cast.height).astype(np.float32), readings.present


def _heights(joints: NDArray[np.float32], present: NDArray[np.bool_], cast: Cast) -> NDArray[np.float32]:
    """Standing heights by the figures' bones, `(F,)`; in few frames their heads count as well."""
    known = [standing_height(stretched_lengths(joints[there, figure])) for figure, there in enumerate(present.T)]
    share = np.minimum(1.0, present.sum(0) / _ENOUGH)
    return np.asarray((1 - share) * cast.heights + share * known, np.float32)


def _while_away(joints: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Puts figures that are away where they were last, or before they come, where they will be."""
    result = joints.copy()
    frames = np.arange(len(joints))
    for figure in range(joints.shape[1]):
        there = np.flatnonzero(present[:, figure])
        last = there[np.clip(np.searchsorted(there, frames, side="right") - 1, 0, None)]
        result[:, figure] = joints[last, figure]
    return result

"""Eyes of a face mesh: their own axes, where the iris is, and eyeballs that lids slide over.

Convention:
    Landmarks as in `vid2vid.motion.face_mesh`. An eye's own axes run from its outer corner, 0, to its inner one, 1,
    and as far at a right angle: down for the person's right eye, up for the left one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Lids = tuple[tuple[int, ...], tuple[int, ...]]

BAND: Final = 0.2
"""Part of an eye's height at each lid within which the lid's edge turns into the eyeball that it slides over."""
_LEAST_BAND: Final = 0.1
"""The same in the source: the eyeball shown is never nearer to the lid."""
COLUMNS: Final = 12
"""Places along a lid: its nine landmarks, and the middle and both sides of the iris."""
_LARGEST: Final = 0.45
"""Greatest radius of an iris, in widths of the eye."""


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """One eye, in its own axes."""

    corner: Floats
    """`(2,)` px: the outer corner."""
    axes: Floats
    """`(2, 2)` px: from there to the inner corner, and as far at a right angle."""
    upper: Floats
    """`(9, 2)`: the upper lid, from the outer to the inner corner."""
    lower: Floats
    """`(9, 2)`: the lower one."""
    iris: Floats
    """`(2,)`: the middle of the iris."""
    radius: float
    """Of the iris."""

    @classmethod
    def of(cls, points: Floats, lids: Lids, iris: Sequence[int]) -> Eye:
        """Reads an eye from landmarks.

        Args:
            points: `(P, 2 or 3)`.
            lids, iris: one of `face_mesh.LIDS` and the same one of `face_mesh.IRISES`.
        """
        corner, across = points[lids[0][0], :2], points[lids[0][-1], :2] - points[lids[0][0], :2]
        axes = np.stack([across, np.stack([-across[1], across[0]])])
        places = (points[[*lids[0], *lids[1], *iris], :2] - corner) @ axes.T / max(float(across @ across), 1e-6)
        count, middle = len(lids[0]), places[2 * len(lids[0])]
        radius = float(np.linalg.norm(places[2 * count + 1 :] - middle, axis=1).mean())
        return cls(corner, axes, places[:count], places[count : 2 * count], middle, min(radius, _LARGEST))

    def placed(self, places: Floats) -> Floats:
        """`(..., 2)` px from places in the eye's own axes."""
        return np.asarray(self.corner + places @ self.axes, np.float32)

    def width(self) -> float:
        """Distance of the corners in px."""
        return float(np.linalg.norm(self.axes[0]))


def eyeball_places(source: Eye, goal: Eye) -> tuple[Floats, Floats]:
    """Where an eyeball comes from that is carried rigidly with its iris, and so is uncovered by lids that open.

    Args:
        source: the eye whose picture is shown.
        goal: the eye wanted.

    Returns:
        Two arrays `(4 * COLUMNS, 2)` px, in the source and in the goal: the upper lid's edge, a band's width within it,
        the lower lid's edge, and within that. Edges come from the source's edges, moved along them with the gaze;
        without the band between, the inner half of the lashes would be cut off.
    """
    # Where an iris touches a corner, the white beside it would have to come from nothing.
    there, here = (float(eye.iris[0].clip(1.05 * eye.radius, 1 - 1.05 * eye.radius)) for eye in (goal, source))
    knots = np.array([0.0, there - source.radius, there + source.radius, 1.0])
    origins = np.array([0.0, here - source.radius, here + source.radius, 1.0])
    known, wanted = [], []
    for edge, other, own in ((goal.upper, goal.lower, source.upper), (goal.lower, goal.upper, source.lower)):
        columns = np.sort(np.concatenate([edge[:, 0], knots[1:3], [there]]))
        outer = _height(edge, columns)
        within = outer + BAND * (_height(other, columns) - outer)
        across = np.interp(columns, knots, origins)
        upper, lower = (_height(lid, across) for lid in (source.upper, source.lower))
        limits = np.sort([upper + _LEAST_BAND * (lower - upper), lower + _LEAST_BAND * (upper - lower)], axis=0)
        along = (within - goal.iris[1] + source.iris[1]).clip(*limits)
        start = np.interp([*columns, there], _rising(edge), own[:, 0])
        slid = start[:-1] + (here - start[-1]) * np.interp(columns, knots, (0.0, 1.0, 1.0, 0.0))
        wanted += [goal.placed(np.stack([columns, height], 1)) for height in (outer, within)]
        known += [source.placed(np.stack(pair, 1)) for pair in ((slid, _height(own, slid)), (across, along))]
    return np.concatenate(known), np.concatenate(wanted)


def _rising(lid: Floats) -> Floats:
    """`(9,)`: a lid's places between the corners, none before the last one."""
    return np.asarray(np.maximum.accumulate(lid[:, 0]), np.float32)


def _height(lid: Floats, across: NDArray[np.floating]) -> NDArray[np.floating]:
    """Where a lid `(9, 2)` is at some places between the corners."""
    return np.asarray(np.interp(across, _rising(lid), lid[:, 1]))

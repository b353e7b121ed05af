"""Where a face's landmarks shall be: the target's movement with part of the source's shape.

Convention:
    Landmarks as in `vid2vid.motion.face_mesh`. A neutral shape is a face at rest: `(478, 3)`, x to the screen's right,
    y down, looking at the camera, outer corners of the eyes 1 apart, middle of the landmarks at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.face_eyes import Eye
from vid2vid.motion.face_mesh import INNER_LIPS, IRISES, LIDS, LIPS, OUTER_LIPS, OVAL, smooth_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.motion.face_eyes import Lids

    Floats = NDArray[np.float32]

_STEADY: Final = (
    *(168, 6, 197, 195, 5, 4, 1, 98, 327, 9, 8, 151, 10, 33, 133, 263, 362, 54, 284, 103, 332, 67, 297, 109, 338),
    *(127, 356, 234, 454, 93, 323, 143, 372, 116, 345, 123, 352, 50, 280, 101, 330),
)
"""Points that speaking, smiling and blinking move little: forehead, nose, corners of the eyes, cheekbones, temples."""
_TURN: Final = 20.0
"""Degrees from the frontal view up to which frames tell the shape at rest, if there are such."""
_QUIET: Final = 0.4
"""Part of those frames that counts: those with the mouth least open and the eyes most open."""
_RIM: Final = (0.03, 0.2)
"""Distances from the oval, in distances of the eyes' corners: target's shape, the full share of the source's."""
_LIPS_REACH: Final = (0.03, 0.22)
"""Distances from the lips: the mouth's own share, the full one."""
_OPENING: Final = (0.6, 1.7)
"""Least and most factor between the openings of two faces: landmarks of narrow openings are mostly noise."""
_SEEING: Final = (0.09, 0.16)
"""Openings of an eye: its iris is hidden, it is seen."""
_FARTHEST: Final = 0.25
"""Greatest shift of an iris, in widths of the eye: farther, the white beside it would be stretched lashes."""
_GAZE: Final = (14.0, 28.0)
"""Widths of an eye in pixels: no gaze can be told, all of it is followed. Chosen on two clips (25 and 44 px)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A turn, a size and a place in space: `size * points @ turn.T + place`."""

    turn: Floats
    """`(3, 3)`."""
    size: float
    place: Floats
    """`(3,)`."""

    def __call__(self, points: Floats) -> Floats:
        """`(P, 3)` to where the pose brings them."""
        return np.asarray(self.size * points @ self.turn.T + self.place, np.float32)

    def undone(self, points: Floats) -> Floats:
        """`(P, 3)` to where they come from."""
        return np.asarray((points - self.place) @ self.turn / self.size, np.float32)


def pose_between(start: Floats, end: Floats, places: Sequence[int] = _STEADY) -> Pose:
    """The pose that brings one face onto another best.

    Args:
        start, end: `(478, 3)`.
        places: points that count.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    one, other = start[list(places)].astype(np.float64), end[list(places)].astype(np.float64)
    middle, goal = one.mean(0), other.mean(0)
    one, other = one - middle, other - goal
    left, values, right = np.linalg.svd(other.T @ one)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = left * sign @ right
    size = float((values * sign).sum() / max(np.square(one).sum(), 1e-12))
    place = goal - size * turn @ middle
    return Pose(turn.astype(np.float32), size, place.astype(np.float32))


def frontal(points: Floats) -> Floats:
    """A face turned to the camera, outer corners of the eyes 1 apart, middle at 0: `(478, 3)` from `(478, 3)`."""
    across = points[263] - points[33]
    width = max(float(np.linalg.norm(across)), 1e-6)
    across = across / width
    down = points[152] - points[10]
    down = down - (down @ across) * across
    down = down / max(float(np.linalg.norm(down)), 1e-6)
    turn = np.stack([across, down, np.cross(across, down)])
    return np.asarray((points - points.mean(0)) @ turn.T / width, np.float32)


def neutral_shape(points: Floats) -> Floats:
    """A face's shape at rest, from a clip or a picture of it.

    Args:
        points: `(T, 478, 3)` landmarks of one face, or `(478, 3)`; frames without it left out.

    Returns:
        `(478, 3)`, see the convention: the median of the quiet frames (mouth closed, eyes open) near the frontal view.
        A single smiling picture gives a smiling shape.

    Raises:
        ValueError: there are no landmarks.
    """
    points = np.asarray(points, np.float32).reshape(-1, 478, 3)
    if len(points) == 0:
        raise ValueError("No landmarks given: a face at rest needs those of one picture at least.")
    turned = np.degrees(np.abs(np.arctan2(points[:, 263, 2] - points[:, 33, 2], points[:, 263, 0] - points[:, 33, 0])))
    near = points[turned <= max(_TURN, float(np.quantile(turned, 0.2)))]
    mouth = np.stack([opening(one, LIPS[0]) for one in near])
    eyes = np.stack([min(opening(one, lids) for lids in LIDS) for one in near])
    unrest = _spread(mouth) - _spread(eyes)
    quiet = near[np.argsort(unrest, kind="stable")[: max(1, round(_QUIET * len(near)))]]
    middle = frontal(quiet[0])
    for _ in range(2):
        middle = np.median([pose_between(middle, one).undone(one) for one in quiet], 0).astype(np.float32)
        middle = frontal(middle)
    return middle


def _spread(values: Floats) -> Floats:
    low, high = np.quantile(values, (0.1, 0.9))
    return np.asarray((values - low) / max(high - low, 1e-3), np.float32)


def opening(points: Floats, edges: tuple[tuple[int, ...], tuple[int, ...]]) -> float:
    """How far a mouth or an eye is open: mean distance of its edges by its width.

    Args:
        points: `(478, 3)`.
        edges: of `face_mesh.LIPS` or `face_mesh.LIDS`.
    """
    upper, lower = (points[list(edge)[1:-1]] for edge in edges)
    width = float(np.linalg.norm(points[edges[0][0]] - points[edges[0][-1]]))
    return float(np.linalg.norm(upper - lower, axis=1).mean()) / max(width, 1e-6)


def goal_points(
    target: Floats, target_neutral: Floats, source_neutral: Floats, amount: float = 0.6, mouth: float = 0.35
) -> Floats:
    """Landmarks of the target with part of the source's shape, in the target's pose and expression.

    What is closed stays closed: the lips' opening stays the target's, and eyes that are larger at rest are so by a
    factor. Irises keep their place between the corners of the eyes, so the gaze stays the target's.

    Args:
        target: `(478, 3)` of the frame.
        target_neutral, source_neutral: as of `neutral_shape`.
        amount: share of the source's shape, in [0, 1]; none at the oval, which has to fit the target's head.
        mouth: the same at the lips: one smiling picture with 1 would smile in every frame.

    Returns:
        `(478, 3)` float32.
    """
    source = pose_between(source_neutral, target_neutral)(source_neutral)
    share = _shares(target_neutral, amount, mouth)
    pose = pose_between(target_neutral, target)
    moved = share[:, None] * (source - target_neutral)
    for edges in (*LIDS, LIPS[0]):
        upper, lower = (list(edge)[1:-1] for edge in edges)
        moved[upper] = moved[lower] = (moved[upper] + moved[lower]) / 2
    goal: Floats = (target + pose.size * moved @ pose.turn.T).astype(np.float32)
    for lids in LIDS:
        upper, lower = (list(lid)[1:-1] for lid in lids)
        factor = float(np.clip(opening(source, lids) / max(opening(target_neutral, lids), 1e-3), *_OPENING))
        apart = share[upper].mean() * (factor - 1) / 2 * (target[upper] - target[lower])
        goal[upper] += apart
        goal[lower] -= apart
    for lids, iris in zip(LIDS, IRISES, strict=True):
        before = Eye.of(target, lids, iris)
        _place_iris(goal, before.iris, Eye.of(goal, lids, iris).width() / max(before.width(), 1e-3), lids, iris)
    return goal


def _shares(neutral: Floats, amount: float, mouth: float) -> Floats:
    """`(478,)`: share of the source's shape at each point."""
    from_rim = smooth_step(_distance(neutral, OVAL), *_RIM)
    from_lips = smooth_step(_distance(neutral, (*INNER_LIPS, *OUTER_LIPS)), *_LIPS_REACH)
    return np.asarray(from_rim * (mouth + (amount - mouth) * from_lips), np.float32)


def _distance(points: Floats, places: Sequence[int]) -> Floats:
    away = points[:, None, :2] - points[None, list(places), :2]
    return np.asarray(np.linalg.norm(away, axis=2).min(1), np.float32)


def _place_iris(goal: Floats, place: Floats, size: float, lids: Lids, iris: tuple[int, ...]) -> None:
    """Moves the iris of a goal to a place in the eye's own axes, and makes it larger by the factor `size`."""
    around = size * (goal[list(iris), :2] - goal[iris[0], :2])
    goal[list(iris), :2] = Eye.of(goal, lids, iris).placed(place) + around
    goal[list(iris), 2] = goal[[*lids[0], *lids[1]], 2].mean()


def with_gaze(goal: Floats, source: Floats, target: Floats, share: float | None = None) -> Floats:
    """Goal whose irises follow the target's only where the eyes are large and open enough to tell where they look.

    Both eyes move by what is told by both, the more open one more: landmarks of one iris wander.

    Args:
        goal: `(478, 3)` as of `goal_points`.
        source: `(478, 3)` landmarks of the picture that is brought there.
        target: `(478, 3)` of the frame.
        share: 1 follows the target's gaze, 0 keeps the source's; from the width of the eyes where None.

    Returns:
        `(478, 3)` float32.
    """
    share = gaze_share(source, target) if share is None else share
    moved = goal.copy()
    eyes, wanted = (_eyes(points) for points in (source, target))
    trusted = np.array([smooth_step(np.float32(opening(target, lids)), *_SEEING) for lids in LIDS])
    # The left eye's axes are those of the right one turned by half a turn.
    shift = trusted[1] * (wanted[1].iris - eyes[1].iris) - trusted[0] * (wanted[0].iris - eyes[0].iris)
    shift = share * trusted.max() * (shift / max(float(trusted.sum()), 1e-6))
    shift = shift * _FARTHEST / max(float(np.linalg.norm(shift)), _FARTHEST)
    for lids, iris, eye, sign in zip(LIDS, IRISES, eyes, (-1, 1), strict=True):
        _place_iris(moved, eye.iris + sign * shift, 1.0, lids, iris)
    return moved


def gaze_share(source: Floats, target: Floats) -> float:
    """In [0, 1]: how far a gaze can be told in two pictures, from the widths of the eyes `(478, 3)` in pixels."""
    width = min(eye.width() for points in (source, target) for eye in _eyes(points))
    return float(smooth_step(np.float32(width), *_GAZE))


def _eyes(points: Floats) -> list[Eye]:
    return [Eye.of(points, lids, iris) for lids, iris in zip(LIDS, IRISES, strict=True)]

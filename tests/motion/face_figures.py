"""A made-up face: landmarks laid out from the mesh itself, and clips of it with known movement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vid2vid.motion.face_mesh import IRISES, LIDS, LIPS, OVAL, TRIANGLES

Floats = NDArray[np.float32]
IOD = 100.0
_MIDDLE = np.array((150, 140))


def make_face(
    eyes: float = 0.3, mouth: float = 0.2, gaze: tuple[float, float] = (0.0, 0.0), wide: float = 1.0
) -> Floats:
    """`(478, 3)` px, from the front, in the middle of a picture of 300 by 300.

    Args:
        eyes, mouth: height by width.
        gaze: shift of the irises on the screen, in widths of an eye.
        wide: width of what lies within the oval, as a factor.
    """
    places = np.full((478, 2), np.nan)
    places[list(OVAL)] = _rim()
    for (upper, lower), side in zip(LIDS, (1, -1), strict=True):
        across = np.cos(np.linspace(0, np.pi, len(upper)))
        bow = np.sqrt(np.clip(1 - across**2, 0, 1)) * eyes * 16
        for lid, way in ((upper, -1), (lower, 1)):
            places[list(lid)] = np.stack([wide * side * (34 + 16 * across), -20 + way * bow], 1)
    across = -np.cos(np.linspace(0, np.pi, len(LIPS[0][0])))
    for edge, way in zip(LIPS[0], (-1, 1), strict=True):
        places[list(edge)] = np.stack(
            [wide * 22 * across, 65 + way * np.sqrt(np.clip(1 - across**2, 0, 1)) * mouth * 22], 1
        )
    _settle(places)
    for iris, side in zip(IRISES, (1, -1), strict=True):
        middle = np.array([wide * side * 34, -20]) + 32 * np.array(gaze)
        places[list(iris)] = middle + 6 * np.array([(0, 0), (1, 0), (0, -1), (-1, 0), (0, 1)])
    depth = 60 * ((places[:, 0] / 90) ** 2 + ((places[:, 1] - 20) / 130) ** 2)
    return np.column_stack([places + _MIDDLE, depth]).astype(np.float32)


def laid_flat() -> Floats:
    """`(478, 3)`: the mesh in an ellipse, without folds if its triangles fit together.

    Source: Tutte, "How to Draw a Graph", 1963.
    """
    places = np.full((478, 2), np.nan)
    places[list(OVAL)] = _rim()
    _settle(places)
    places[468:] = 0.0
    return np.column_stack([places + _MIDDLE, np.zeros(478)]).astype(np.float32)


def _rim() -> NDArray[np.float64]:
    turn = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    return np.stack([78 * np.sin(turn), 20 - 105 * np.cos(turn)], 1)


def _settle(places: NDArray[np.float64]) -> None:
    """Puts every point that has no place yet in the middle of its neighbours."""
    free = np.flatnonzero(np.isnan(places[:468, 0]))
    joined = np.zeros((468, 468))
    for one, other in ((0, 1), (1, 2), (2, 0)):
        joined[TRIANGLES[:, one], TRIANGLES[:, other]] = joined[TRIANGLES[:, other], TRIANGLES[:, one]] = 1
    joined /= joined.sum(1, keepdims=True)
    known = np.nan_to_num(places[:468])
    places[free] = np.linalg.solve(np.eye(len(free)) - joined[np.ix_(free, free)], joined[free] @ known)


def turned(points: Floats, yaw: float, pitch: float = 0.0, roll: float = 0.0, size: float = 1.0) -> Floats:
    """`(478, 3)` turned around its middle by angles in degrees."""
    matrix = np.eye(3)
    for (one, other), degrees in (((0, 2), yaw), ((1, 2), pitch), ((0, 1), roll)):
        turn, angle = np.eye(3), np.radians(degrees)
        turn[[one, other], [one, other]] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    middle = points.mean(0)
    return np.asarray(size * (points - middle) @ matrix.T + middle, np.float32)

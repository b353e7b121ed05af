"""How a camera moves over a scene, from what lies beside the people in it.

Convention:
    Ways are `(3, 3)` float64 homographies of pixel indices. A camera's way at a frame leads from the frame's pixels to
    those of the shot's first frame.

Source:
    Shi and Tomasi, "Good Features to Track", 1994; Lucas and Kanade, 1981, in pyramids (Bouguet); Fischler and Bolles,
    "Random Sample Consensus", 1981. Frames are matched with a key frame, not with the one before, so that errors do
    not add up with every frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Matrix = NDArray[np.float64]
    Grey = NDArray[np.uint8]
    Points = NDArray[np.float32]

_SIDE: Final = 512
"""Longest side at which frames are matched."""
_POINTS: Final = 160
_APART: Final = 9
"""Least pixels between two points."""
_LEAST: Final = 16
"""Points that have to agree; fewer tell nothing."""
_AGREE: Final = 0.45
"""Share of the points followed that has to agree."""
_WORN: Final = 0.55
"""Share of a key frame's points below which another frame becomes the key."""
_ERROR_PX: Final = 1.2
"""By which points that agree may be off."""
_GROWN: Final = 5
"""Pixels around people that count as theirs."""


@dataclass(frozen=True, slots=True, eq=False)
class _Key:
    grey: Grey
    points: Points
    """`(N, 2)`."""
    way: Matrix
    """From the key to the shot's first frame."""


class CameraTracker:
    """Follows the camera frame by frame."""

    def __init__(self) -> None:
        self._key: _Key | None = None
        self._last: tuple[Grey, Grey, Matrix] | None = None

    def reset(self) -> None:
        """The next frame begins another shot."""
        self._key = self._last = None

    def __call__(self, picture: Picture, hidden: NDArray[Any]) -> Matrix | None:
        """The camera's way at the next frame.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            hidden: `(h, w)` of any size, above 0 where somebody is.

        Returns:
            The way; None where too little of the scene is recognised, and then in all further frames of the shot.
        """
        if self._key is None and self._last is not None:
            return None
        scale = min(1.0, _SIDE / max(picture.shape[:2]))
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        grey = np.asarray(cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY))
        free = _free(hidden, size)
        way = self._way(grey, free)
        self._last = (grey, free, np.eye(3) if way is None else way)
        if way is None:
            self._key = None
            return None
        scales = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]])
        there = np.array([[scales[0], 0, 0.5 * scales[0] - 0.5], [0, scales[1], 0.5 * scales[1] - 0.5], [0, 0, 1]])
        return np.asarray(np.linalg.inv(there) @ way @ there, np.float64)

    def _way(self, grey: Grey, free: Grey) -> Matrix | None:
        if self._key is None or self._last is None:
            self._key = _key(grey, free, np.eye(3))
            return np.eye(3)
        guess = np.linalg.inv(self._last[2]) @ self._key.way
        found, agreeing = _matched(self._key, grey, free, guess)
        if found is None:  # too far from the key by now: from the frame before it is near
            self._key = _key(*self._last)
            found, agreeing = _matched(self._key, grey, free, np.eye(3))
        if found is None:
            return None
        way = self._key.way @ found
        way /= way[2, 2]
        if agreeing < _WORN * max(_LEAST, len(self._key.points)):
            self._key = _key(grey, free, way)
        return np.asarray(way, np.float64)


def _free(hidden: NDArray[Any], size: tuple[int, int]) -> Grey:
    small = cv2.resize((np.asarray(hidden) > 0).astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    grown = cv2.dilate(small, np.ones((2 * _GROWN + 1, 2 * _GROWN + 1), np.uint8))
    return np.asarray(np.where(grown > 0, 0, 255), np.uint8)


def _key(grey: Grey, free: Grey, way: Matrix) -> _Key:
    found = cv2.goodFeaturesToTrack(grey, _POINTS, 0.005, _APART, mask=free)
    points = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2).astype(np.float32)
    return _Key(grey, points, way)


def _matched(key: _Key, grey: Grey, free: Grey, guess: Matrix) -> tuple[Matrix | None, int]:
    """Homography from a frame to its key, and how many points agree."""
    if len(key.points) < _LEAST:
        return None, 0
    start = cv2.perspectiveTransform(key.points[:, None].astype(np.float64), guess).astype(np.float32)
    settings: dict[str, Any] = {"winSize": (15, 15), "maxLevel": 3}
    flag = cv2.OPTFLOW_USE_INITIAL_FLOW
    there, ok, _ = cv2.calcOpticalFlowPyrLK(key.grey, grey, key.points[:, None], start.copy(), flags=flag, **settings)
    back, again, _ = cv2.calcOpticalFlowPyrLK(grey, key.grey, there, key.points[:, None].copy(), flags=flag, **settings)
    places = there.reshape(-1, 2)
    height, width = grey.shape
    inside = (places >= 0).all(1) & (places[:, 0] <= width - 1) & (places[:, 1] <= height - 1)
    good = (ok.ravel() > 0) & (again.ravel() > 0) & inside
    good &= np.linalg.norm(back.reshape(-1, 2) - key.points, axis=1) < 0.7
    columns, rows = (np.nan_to_num(places[:, axis]).round().astype(int) for axis in (0, 1))
    good &= free[rows.clip(0, height - 1), columns.clip(0, width - 1)] > 0
    if good.sum() < _LEAST:
        return None, 0
    found, agree = cv2.findHomography(places[good], key.points[good], cv2.RANSAC, _ERROR_PX, maxIters=500)
    count = 0 if agree is None else int(agree.sum())
    if found is None or count < max(_LEAST, _AGREE * good.sum()) or not 0.2 < np.linalg.det(found[:2, :2]) < 5.0:
        return None, 0
    return np.asarray(found, np.float64), count

"""The two pose networks of MediaPipe: where people are, and the landmarks and mask of each.

Convention:
    A `Region` is a square around a person, turned so that the trunk stands upright in it. Places are pixel indices:
    (0, 0) is the middle of the first pixel.

Source:
    Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020, and the graphs of MediaPipe 0.10.21.
    Departures: the picture may be looked at in tiles, and many people are measured as one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch

from vid2vid.conditions.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_WEIGHTS: Final = Path(__file__).parent.parent / "weights"
_LAYERS: Final = ((28, 2), (14, 2), (7, 6))
"""Cells a side and guesses a cell of the detector's layers."""
_MARGIN: Final = 1.25
_OVERLAP: Final = 0.3
_KEPT: Final = 33
"""Landmarks of the body; two more tell the next region, the others are unused."""
_WINDOW: Final = 3
"""Heat around a landmark is averaged over 7 x 7 cells, as the makers do."""
_HEAT: Final = 0.5
"""Least peak of the heat for it to be used."""


@dataclass(frozen=True, slots=True)
class Region:
    """A turned square, in pixels; `angle` in radians, clockwise on the screen."""

    x: float
    y: float
    size: float
    angle: float

    @classmethod
    def around(cls, middle: Floats, rim: Floats) -> Region:
        """From the middle of the hips and a point above it on the circle around the whole person."""
        across, up = rim - middle
        angle = np.pi / 2 - np.arctan2(-up, across)
        return cls(float(middle[0]), float(middle[1]), float(2 * _MARGIN * np.hypot(across, up)), float(angle))

    def to_picture(self, side: int) -> NDArray[np.float64]:
        """`(2, 3)` matrix from a place in the region, scaled to `side` pixels, to one in the picture."""
        scale = self.size / side
        cosine, sine = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        half = (side - 1) / 2
        return np.array(
            [[cosine, -sine, self.x - (cosine - sine) * half], [sine, cosine, self.y - (sine + cosine) * half]]
        )

    def cut(self, picture: Picture, side: int) -> Picture:
        """The region upright as `(side, side, 3)`; black beyond the picture."""
        matrix = self.to_picture(side)
        read, factor = picture, 1.0
        if self.size > 2 * side:  # bilinear reading alone would skip pixels
            factor = 2 * side / self.size
            reach = self.size * 0.71 + 2  # half a diagonal
            left, top = max(0, int(self.x - reach)), max(0, int(self.y - reach))
            read = picture[top : int(self.y + reach) + 1, left : int(self.x + reach) + 1]
            if read.size == 0:
                return np.zeros((side, side, 3), np.uint8)
            read = np.asarray(cv2.resize(read, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
            matrix[:, 2] = (matrix[:, 2] - [left, top] + 0.5) * factor - 0.5
            matrix[:, :2] *= factor
        return np.asarray(cv2.warpAffine(read, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """What the second network tells of one region."""

    region: Region
    points: Floats
    """`(33, 2)` in pixels of the picture."""
    visibility: Floats
    """`(33,)` in [0, 1]."""
    presence: Floats
    """`(33,)` in [0, 1]: whether it is within the region at all."""
    metres: Floats
    """`(33, 3)` from the middle of the hips; x to the right, y down, z away from the camera."""
    score: float
    """In [0, 1]: whether there is a person."""
    mask: Floats
    """`(256, 256)` in [0, 1], in the region."""
    following: Region
    """Where the person is to be looked for next."""


class Detector:
    """Finds regions that may hold a person."""

    def __init__(self) -> None:
        self._graph = Graph(_WEIGHTS / "pose_detection")
        self._anchors = anchors(_LAYERS)

    def __call__(self, picture: Picture, tiles: Sequence[Region], threshold: float = 0.4) -> list[Region]:
        """Looks through square tiles of a picture.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            tiles: without a turn.
            threshold: least score of a guess.

        Returns:
            Regions, the surest first; each person once.
        """
        side = self._graph.size[0]
        outputs = self._graph(cut_all(picture, tiles, side) / 127.5 - 1.0)
        found = decoded(outputs, self._anchors, tiles, side, threshold, (4, 6))
        return [Region.around(guess[4:6], guess[6:8]) for guess in found]


class LandmarkNetwork:
    """Measures people in their regions."""

    def __init__(self) -> None:
        self._graph = Graph(_WEIGHTS / "pose_landmark")

    def __call__(self, picture: Picture, regions: Sequence[Region]) -> list[Landmarks]:
        """Measures one picture's people as one batch.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            regions: one for each person.
        """
        if not regions:
            return []
        side = self._graph.size[0]
        outputs = self._graph(cut_all(picture, regions, side) / 255.0)
        values = outputs[0].reshape(len(regions), -1, 5).numpy()
        masks, heat = torch.sigmoid(outputs[2][:, 0]).numpy(), torch.sigmoid(outputs[3]).numpy()
        metres = outputs[4].reshape(len(regions), -1, 3).numpy()
        return [
            _landmarks(region, values[n], float(outputs[1][n]), masks[n], heat[n], metres[n], side)
            for n, region in enumerate(regions)
        ]


def _landmarks(
    region: Region, values: Floats, score: float, mask: Floats, heat: Floats, metres: Floats, side: int
) -> Landmarks:
    places = _refined(values[:, :2] / side, heat) * side - 0.5
    matrix = region.to_picture(side)
    points = (places @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    trust = np.asarray(1.0 / (1.0 + np.exp(-values[:_KEPT, 3:5])), np.float32)
    turned = metres[:_KEPT].copy()
    cosine, sine = np.cos(region.angle), np.sin(region.angle)
    turned[:, :2] = turned[:, :2] @ np.array([[cosine, sine], [-sine, cosine]])
    return Landmarks(
        region=region, points=points[:_KEPT], visibility=trust[:, 0], presence=trust[:, 1], metres=turned, score=score,
        mask=mask, following=Region.around(points[_KEPT], points[_KEPT + 1]),
    )  # fmt: skip


def _refined(places: NDArray[Any], heat: Floats) -> NDArray[Any]:
    """Moves each landmark to the middle of the heat around it: 1.2 % of the height without, 0.8 % with it.

    Args:
        places: `(39, 2)`, the region being [0, 1].
        heat: `(39, 64, 64)` in [0, 1].
    """
    size = heat.shape[-1]
    refined = places.copy()
    for number, (x, y) in enumerate(np.floor(places * size).astype(int)):
        if not (0 <= x < size and 0 <= y < size):
            continue
        top, left = max(0, y - _WINDOW), max(0, x - _WINDOW)
        window = heat[number, top : y + _WINDOW + 1, left : x + _WINDOW + 1]
        if window.max() >= _HEAT:
            rows, columns = np.indices(window.shape)
            middle = np.array([(window * (columns + left)).sum(), (window * (rows + top)).sum()])
            refined[number] = middle / window.sum() / size
    return refined


def tiles_of(height: int, width: int, sizes: Sequence[float]) -> list[Region]:
    """The whole picture, then overlapping squares: a detector misses who is small in its tile.

    Args:
        height, width: of the picture, in pixels.
        sizes: of the squares, in its shorter side.
    """
    longer, shorter = max(height, width), min(height, width)
    laid = [Region((width - 1) / 2, (height - 1) / 2, longer, 0.0)]
    for size in (part * shorter for part in sizes):
        columns, rows = (
            np.linspace(size / 2, length - size / 2, int(np.ceil((length - size) / (0.7 * size))) + 1)
            for length in (width, height)
        )
        laid += [Region(float(x), float(y), size, 0.0) for y in rows for x in columns]
    return laid


def cut_all(picture: Picture, regions: Sequence[Region], side: int) -> Tensor:
    """Regions of a picture as a batch: `(N, 3, side, side)` float32 in [0, 255]."""
    batch = np.stack([region.cut(picture, side) for region in regions])
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float()


def anchors(layers: Sequence[tuple[int, int]]) -> Floats:
    """The middle of each guess's cell, the tile being [0, 1].

    Args:
        layers: cells a side and guesses a cell of each.

    Returns:
        `(N, 2)`, in the order of a detector's guesses.
    """
    middles = []
    for cells, guesses in layers:
        rows, columns = np.indices((cells, cells))
        middle = np.stack([(columns + 0.5) / cells, (rows + 0.5) / cells], -1).reshape(-1, 2)
        middles.append(np.repeat(middle, guesses, 0))
    return np.concatenate(middles).astype(np.float32)


def decoded(
    outputs: Sequence[Tensor],
    middles: Floats,
    tiles: Sequence[Region],
    side: int,
    threshold: float,
    places: tuple[int, int],
) -> list[Floats]:
    """Guesses of a detector, laid out in the picture.

    Args:
        outputs: guesses `(N, A, C)` in pixels of the tile, from their cells' middles, and `(N, A, 1)` before the
            sigmoid.
        middles: `(A, 2)` as `anchors` gives them.
        tiles: N, without a turn.
        side: of the tiles as the detector saw them, in pixels.
        threshold: least score.
        places: columns at which the two places to be kept start.

    Returns:
        `(9,)` each, the surest first: left, top, right, bottom, the two places, score; each thing once.
    """
    guesses, scores = outputs[0].numpy() / side, torch.sigmoid(outputs[1][..., 0]).numpy()
    found: list[Floats] = []
    for tile, guess, score in zip(tiles, guesses, scores, strict=True):
        sure = np.flatnonzero(score > threshold)
        here, half = guess[sure, :2] + middles[sure], guess[sure, 2:4] / 2
        one, other = (guess[sure, start : start + 2] + middles[sure] for start in places)
        corner = np.array([tile.x, tile.y]) - tile.size / 2
        columns = [part * tile.size + corner for part in (here - half, here + half, one, other)]
        found += list(np.concatenate([*columns, score[sure][:, None]], 1).astype(np.float32))
    return _merged(found)


def _merged(guesses: list[Floats]) -> list[Floats]:
    """One guess for each thing found: the mean, weighted by score, of those that overlap the surest."""
    rest = np.array(sorted(guesses, key=lambda guess: -guess[8]), np.float32).reshape(-1, 9)
    result: list[Floats] = []
    while len(rest):
        near = _overlaps(rest[0], rest) > _OVERLAP
        near[0] = True
        weight = rest[near][:, 8:]
        result.append(np.append((rest[near][:, :8] * weight).sum(0) / weight.sum(), rest[0, 8]).astype(np.float32))
        rest = rest[~near]
    return result


def _overlaps(one: Floats, many: Floats) -> Floats:
    """Area in common over area of both, of boxes given by two corners."""
    inner = np.minimum(one[2:4], many[:, 2:4]) - np.maximum(one[:2], many[:, :2])
    common = np.clip(inner, 0.0, None).prod(1)
    areas = (many[:, 2:4] - many[:, :2]).prod(1) + (one[2:4] - one[:2]).prod()
    return np.asarray(common / (areas - common + 1e-9), np.float32)

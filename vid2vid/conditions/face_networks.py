"""Two networks of MediaPipe for faces: where faces are, and the 478 points of each.

Convention:
    A `Region` is a square around a face, turned so that the eyes lie level in it. Points are pixel indices, (0, 0) is
    the middle of the first pixel; z is in the same unit, smaller is nearer.

Source:
    Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019; Grishchenko et al.,
    "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time", 2020, and the graphs of MediaPipe 0.10.21.
    Departures: the picture may be looked at in tiles, and many faces are measured as one batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from vid2vid.conditions.graph import Graph
from vid2vid.conditions.pose_networks import Region, anchors, cut_all, decoded, tiles_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

POINTS: Final = 478
"""468 of the mesh, then five of each iris, its middle first."""
EYE_CORNERS: Final = (33, 263)
"""The outer ones; the first is to the left in the picture of a face seen from the front."""
ALL_TILES: Final = (1.0, 0.5)
"""Sides of the tiles for a single picture, in its shorter side; faces smaller than a tenth of a tile are missed."""
QUICK_TILES: Final = (1.0,)
"""The same for frames of a clip."""
_WEIGHTS: Final = Path(__file__).parent.parent / "weights"
_LAYERS: Final = ((16, 2), (8, 6))
"""Cells a side and guesses a cell of the detector's layers."""
_MARGIN: Final = 1.5
"""Side of the region in the longer side of the face's box."""
_CLOSER: Final = (1.6, 2.2)
"""Sides of the cuts in which a face is looked at again, in its region's."""
_CONTOUR: Final = 16
"""Points of the eye's rim, first among those of its crop; the iris lies as deep as their mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """What the second network tells of one region."""

    region: Region
    points: Floats
    """`(478, 3)` in pixels of the picture."""
    score: float
    """In [0, 1]: whether there is a face. A hand before it does not lower this."""

    @property
    def following(self) -> Region:
        """Where the face is to be looked for next."""
        return around(self.points)


def around(points: Floats) -> Region:
    """The region of a face whose points `(478, 3)` are known."""
    across = points[EYE_CORNERS[1], :2] - points[EYE_CORNERS[0], :2]
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    x, y = (low + high) / 2
    return Region(float(x), float(y), _MARGIN * float((high - low).max()), float(np.arctan2(across[1], across[0])))


class FaceDetector:
    """Finds regions that may hold a face."""

    def __init__(self) -> None:
        self._graph = Graph(_WEIGHTS / "face_detection", alone=True)
        self._anchors = anchors(_LAYERS)

    def __call__(self, picture: Picture, threshold: float = 0.5, sizes: Sequence[float] = ALL_TILES) -> list[Region]:
        """Looks through the whole picture and through tiles of it.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            threshold: least score of a guess.
            sizes: sides of the tiles, in the picture's shorter side.

        Returns:
            Regions, the surest first; each face once.
        """
        tiles, side = tiles_of(picture.shape[0], picture.shape[1], sizes), self._graph.size[0]
        outputs = self._graph(cut_all(picture, tiles, side) / 127.5 - 1.0)
        found = decoded(outputs, self._anchors, tiles, side, threshold, (4, 6))
        return [_region(guess) for guess in found]

    def certainty(self, picture: Picture, regions: Sequence[Region]) -> list[float]:
        """How surely regions hold faces, looked at closely; found faces score above .75, what passed for one below .7.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            regions: as `Mesh.following` gives them.
        """
        if not regions:
            return []
        cuts = [replace(region, size=part * region.size) for region in regions for part in _CLOSER]
        _, scores = self._graph(cut_all(picture, cuts, self._graph.size[0]) / 127.5 - 1.0)
        best = torch.sigmoid(scores[..., 0]).amax(1).reshape(len(regions), -1)
        return [float(score) for score in best.mean(1)]


def _region(guess: Floats) -> Region:
    """Around a box `(4,)` that two eyes `(4,)` follow."""
    (x, y), size = (guess[:2] + guess[2:4]) / 2, (guess[2:4] - guess[:2]).max()
    across = guess[6:8] - guess[4:6]
    return Region(float(x), float(y), _MARGIN * float(size), float(np.arctan2(across[1], across[0])))


class MeshNetwork:
    """Measures faces in their regions."""

    def __init__(self) -> None:
        self._graph = Graph(_WEIGHTS / "face_landmark", alone=True)
        lips, *eyes = [step["places"] for step in self._graph.steps if step["op"] == "crop"]
        irises = np.arange(468, POINTS).reshape(2, 5)
        self._finer = [lips, *eyes, *irises]
        """Points that each output after the first tells more exactly: those that its crop is cut around."""
        self._depth = [(iris, eye[:_CONTOUR]) for iris, eye in zip(irises, eyes, strict=True)]

    def __call__(self, picture: Picture, regions: Sequence[Region]) -> list[Mesh]:
        """Measures one picture's faces as one batch.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            regions: one for each face.
        """
        if not regions:
            return []
        side, count = self._graph.size[0], len(regions)
        base, *finer, flags = self._graph(cut_all(picture, regions, side) / 255.0)
        places = np.zeros((count, POINTS, 3), np.float32)
        places[:, :468] = base.reshape(count, 468, 3).numpy()
        for numbers, values in zip(self._finer, finer, strict=True):
            places[:, numbers, :2] = values.reshape(count, -1, 2).numpy()
        for iris, eye in self._depth:
            places[:, iris, 2] = places[:, eye, 2].mean(1, keepdims=True)
        scores = torch.sigmoid(flags.reshape(count)).tolist()
        return [
            Mesh(region, _laid_out(place, region, side), score)
            for region, place, score in zip(regions, places, scores, strict=True)
        ]


def _laid_out(places: Floats, region: Region, side: int) -> Floats:
    """Points of a region scaled to `side` pixels, in the picture."""
    matrix = region.to_picture(side)
    flat = places[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([flat, places[:, 2] * region.size / side]).astype(np.float32)

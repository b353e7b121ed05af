"""What a face is like, so that it can take its number up again: how its bones lie, and how it looks.

Bones alone do not tell people apart: within one clip the shape that the network finds differs as much between two
poses of one person (.01 to .09) as between two people (.03 to .07). They rule out; the look decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.conditions.pose_networks import Region
    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

_BONES: Final = (
    1, 2, 4, 5, 6, 8, 9, 10, 21, 33, 54, 67, 70, 94, 98, 103, 105, 109, 116, 123, 127, 133, 151, 162, 168, 195, 197,
    234, 251, 263, 284, 297, 300, 327, 334, 338, 345, 352, 356, 362, 389, 454,
)  # fmt: skip
"""Points that the face's expression hardly moves: brow, nose, corners of the eyes, cheekbones."""
_SIDE: Final = 16
_POSSIBLE: Final = 0.1
"""Distance of shapes above which two faces are not one person's."""
_ALIKE: Final = 0.05
"""The same for faces that may be one person's."""
_UNLIKE_LOOK: Final = 0.42
"""The same for looks. Seen: .01 to .1 within a clip, to .34 with a hand before the face, from .51 between people."""
_INNER: Final = 0.75
"""Part of the region that is looked at: less of hair and background."""
_NEW: Final = 0.2
"""Weight of what is seen now against what was known."""


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """Bones and look of one face."""

    shape: Floats
    """`(42, 3)`: middle 0, size 1, turned arbitrarily."""
    look: Floats
    """`(16, 16, 3)`: the face upright, mean 0, mean square 1."""

    @classmethod
    def of(cls, points: Floats, region: Region, picture: Picture) -> Traits:
        """What can be seen of a face.

        Args:
            points: `(478, 3)`.
            region: around it.
            picture: `(H, W, 3)` uint8 sRGB.
        """
        bones = points[list(_BONES)] - points[list(_BONES)].mean(0)
        look = replace(region, size=_INNER * region.size).cut(picture, _SIDE).astype(np.float32)
        return cls(_unit(bones), _evened(look))

    def blended(self, seen: Traits) -> Traits:
        """What is known with a part of what is seen now."""
        turned = _turned(seen.shape, self.shape)
        shape = (1 - _NEW) * self.shape + _NEW * turned
        return Traits(_unit(shape), _evened((1 - _NEW) * self.look + _NEW * seen.look))

    def possible(self, seen: Traits) -> bool:
        """Whether the bones leave it possible that both are one person's."""
        return self._distance(seen) < _POSSIBLE

    def unlike(self, seen: Traits) -> float:
        """0 for the same; above 1 for somebody else, as far as one can tell."""
        look = 1.0 - float((self.look * seen.look).mean())
        return max(self._distance(seen) / _ALIKE, look / _UNLIKE_LOOK)

    def _distance(self, seen: Traits) -> float:
        return float(np.linalg.norm(self.shape - _turned(seen.shape, self.shape)))


def _turned(shape: Floats, onto: Floats) -> Floats:
    """A shape turned so that it lies best on another.

    Source:
        Kabsch, "A solution for the best rotation to relate two sets of vectors", 1976.
    """
    left, _, right = np.linalg.svd(shape.T @ onto)
    proper = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return np.asarray(shape @ left @ proper @ right, np.float32)


def _unit(shape: Floats) -> Floats:
    return np.asarray(shape / (np.linalg.norm(shape) + 1e-9), np.float32)


def _evened(look: Floats) -> Floats:
    even = look - look.mean()
    return np.asarray(even / (np.sqrt((even**2).mean()) + 1e-6), np.float32)

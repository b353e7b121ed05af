"""What was read of the drawn figures of a clip, before it is made steady."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LEAST_SURE: Final = 0.2
"""Sureness that every reading is taken to have."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Heads and joints in standing heights, for T frames and F figures."""

    joints: Floats
    """`(T, F, 11, 2)` as the net reads them."""
    sureness: Floats
    """`(T, F, 11)` in [0, 1]."""
    heads: Floats
    """`(T, F, 2)`."""
    colours: Floats
    """`(T, F, 3)` of the pens in CIELAB."""
    present: NDArray[np.bool_]
    """`(T, F)`."""
    hidden: NDArray[np.bool_]
    """`(T, F)`: where heads, and with them readings, may be another figure's."""

    @property
    def weights(self) -> Floats:
        """`(T, F, 11)`: how much each joint's reading counts."""
        return np.where(self.hidden[..., None], 0.0, np.maximum(self.sureness, _LEAST_SURE))

    @property
    def length(self) -> int:
        """T."""
        return len(self.joints)

    def part(self, first: int, stop: int) -> Readings:
        """Those of frames `first` to `stop - 1`."""
        return Readings(**{field.name: getattr(self, field.name)[first:stop] for field in fields(self)})

    def ordered(self, order: NDArray[np.intp]) -> Readings:
        """Those with the figures of each frame in another order: `(T, F)`."""
        frames = np.arange(self.length)[:, None]
        return Readings(**{field.name: getattr(self, field.name)[frames, order] for field in fields(self)})

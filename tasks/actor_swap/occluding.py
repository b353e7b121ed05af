"""What stands still before a person, such as a tree: places where the person should be seen and the scene is.

Known only where the camera stands still, since the empty scene shows what is in front as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.motion.limbs import CHAINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]
    Flags = NDArray[np.bool_]

_BONE: Final = 0.05
"""Width in body heights of the line along a bone where a person is surely seen, if nothing is before them."""
_UNSEEN: Final = 0.2
"""Coverage below which the person is not seen."""
_ALIKE: Final = 14.0
"""Levels of 255 within which a place shows the empty scene."""
_HIDDEN: Final = 0.12
"""Least part of the body's lines that is hidden when something stands before a person; less is an error in joints."""
_REACH: Final = 0.16
"""Body heights from hidden bones within which what is before the person hides the actor too."""
_SEEN: Final = 0.5
_EDGE: Final = 0.012
"""Width of the soft edge in body heights."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One person in one frame, in a window of it."""

    part: Picture
    """`(h, w, 3)`: the frame."""
    plate: Picture
    """`(h, w, 3)`: the empty scene."""
    mask: Floats
    """`(h, w)`: where the person is seen."""
    joints: Floats
    """`(15, 2)` px of the window."""
    height: float
    """Standing, px."""


def hidden_share(look: Look) -> tuple[float, Flags]:
    """How much of a person's lines is hidden, from 0 to 1, and where: `(h, w)`."""
    lines = np.zeros(look.mask.shape, np.uint8)
    width = max(1, round(_BONE * look.height))
    for chain in CHAINS:
        points = np.round(look.joints[list(chain)]).astype(np.int32)
        cv2.polylines(lines, [points[:, None]], False, 1, width)
    difference = cv2.GaussianBlur(cv2.absdiff(look.part, look.plate).max(-1).astype(np.float32), (0, 0), 1.0)
    there = lines > 0
    hidden = there & (look.mask < _UNSEEN) & (difference < _ALIKE)
    kernel = np.ones((3, 3), np.uint8)
    hidden = cv2.morphologyEx(hidden.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    return float(hidden.sum()) / max(1, int(there.sum())), hidden


def in_front(look: Look) -> Floats | None:
    """`(h, w)` in [0, 1]: what hides an actor who takes the person's place; None where nothing does."""
    share, hidden = hidden_share(look)
    if share < _HIDDEN:
        return None
    # Nearer to what is hidden of the person than to what is seen, and not far from it.
    seen = look.mask > _SEEN
    to_hidden = cv2.distanceTransform((~hidden).astype(np.uint8), cv2.DIST_L2, 5)
    to_seen = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, 5) if seen.any() else np.inf
    covered = (to_hidden < to_seen) & (to_hidden < _REACH * look.height)
    return np.asarray(cv2.GaussianBlur(covered.astype(np.float32), (0, 0), max(0.8, _EDGE * look.height)), np.float32)

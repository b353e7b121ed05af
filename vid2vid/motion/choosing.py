"""Which of an actor's pictures plays a pose: the trunk's and each limb's, held on to and cross-faded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.motion.limbs import ARM_L, ARM_R, CHAINS, HEAD, LEG_L, LEG_R, TRUNK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.motion.actor import View

    Field = NDArray[np.float32]

LIMBS: Final = (ARM_L, ARM_R, LEG_L, LEG_R)
_MARGIN: Final = 0.6
"""How much better another picture must be before it takes over."""
_LENGTH, _BEND, _TURN = 0.08, 0.7, 1.0
"""Differences that cost 1: of a bone's length in body heights, of the bend and of the direction in radians."""
_FOREIGN: Final = 0.25
"""Cost of a limb from another picture than the trunk's."""
_BACK: Final = 1.5
"""Cost of showing a drawn figure from behind: its sides are not known, and faces are worth seeing."""
_CHEST: Final = 0.3
"""Body heights between shoulders, negative from behind, by which a limb's picture may differ at the cost of 1."""
_EXCHANGED: Final = 3.0
"""Cost of playing a left limb with the right one."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What the choice is made by, for N pictures."""

    poses: Field
    """`(N, 15, 2)` body heights from the hip."""
    facings: Field
    """`(N,)`."""
    visibility: Field
    """`(N, 15)`."""
    doubts: Field
    """`(N, 6)`: share of each limb that is not seen or not clearly its own."""


def candidates(views: Sequence[View], height: float, doubts: Field) -> Candidates:
    """Gathers what `trunk_costs` and `limb_costs` compare; `doubts` is `(N, 6)`, `height` in px of the views."""
    joints = np.stack([view.joints for view in views])
    return Candidates(
        ((joints - joints[:, 2:3]) / height).astype(np.float32),
        np.array([view.facing for view in views], np.float32),
        np.stack([view.visibility for view in views]).astype(np.float32),
        doubts,
    )


def trunk_costs(known: Candidates, pose: Field, facing: float | None, roots_known: bool) -> Field:
    """Costs of each picture for trunk and head.

    Args:
        known: the pictures.
        pose: `(15, 2)` body heights from the hip; rows that are not known are NaN.
        facing: wanted; None where the pose alone tells.
        roots_known: whether shoulders and thighs are, which then tell how the trunk is turned.

    Returns:
        `(N,)`.
    """
    spine, spines = pose[1], known.poses[:, 1]
    cost = np.square((np.hypot(*spines.T) - np.hypot(*spine)) / _LENGTH) * 0.5
    cost += np.square(_angle(spines, spine) / _TURN)
    nods = known.poses[:, 0] - spines
    cost += 0.5 * np.square(_angle(nods, pose[0] - spine) / _TURN)
    if roots_known:
        wide, wides = pose[3] - pose[6], known.poses[:, 3] - known.poses[:, 6]
        hips, hipses = pose[9] - pose[12], known.poses[:, 9] - known.poses[:, 12]
        cost += np.square((wides - wide) / 0.06).sum(-1) + np.square((hipses - hips) / 0.06).sum(-1)
    drawn = [4, 5, 7, 8, 10, 11, 13, 14]
    cost += 4.0 * np.square(known.poses[:, drawn] - pose[drawn]).sum(-1).mean(-1) / 0.1
    if not roots_known:
        cost += _BACK * (known.poses[:, 3, 0] < known.poses[:, 6, 0])
    if facing is not None:
        cost += 3.0 * np.square(known.facings - facing)
    cost += 2.0 * known.doubts[:, TRUNK] + known.doubts[:, HEAD]
    return np.asarray(cost + (1.0 - known.visibility[:, [0, 3, 6]]).mean(-1), np.float32)


def limb_costs(known: Candidates, pose: Field, facing: float | None, limb: int, trunk: int, bodies: int) -> Field:
    """Costs of each picture for an arm or a leg.

    Args:
        known, pose, facing: as for `trunk_costs`.
        limb: its number in `limbs.CHAINS`.
        trunk: number of the trunk's picture.
        bodies: how many pictures there are; those from here on are the same with left and right exchanged.

    Returns:
        `(N,)`.
    """
    chain, numbers = list(CHAINS[limb]), np.arange(len(known.facings))
    upper, lower = pose[chain[1]] - pose[chain[0]], pose[chain[2]] - pose[chain[1]]
    uppers = known.poses[:, chain[1]] - known.poses[:, chain[0]]
    lowers = known.poses[:, chain[2]] - known.poses[:, chain[1]]
    cost = np.square((np.hypot(*uppers.T) - np.hypot(*upper)) / _LENGTH)
    cost += np.square((np.hypot(*lowers.T) - np.hypot(*lower)) / _LENGTH)
    turned, turned_low = _angle(uppers, upper), _angle(lowers, lower)
    cost += np.square(_wrapped(turned_low - turned) / _BEND)
    # A limb may be turned all the way round rather than be played by the other one.
    cost += 0.5 * np.square(turned / _TURN).clip(0, 2.0) + 0.5 * np.square(turned_low / _TURN).clip(0, 2.0)
    reference = facing if facing is not None else float(known.facings[trunk])
    cost += (2.0 if limb in (LEG_L, LEG_R) else 1.0) * np.square(known.facings - reference)
    chests = known.poses[:, 3, 0] - known.poses[:, 6, 0]
    cost += np.abs(chests - chests[trunk] * np.where(numbers < bodies, 1, -1)) / _CHEST
    cost += 10.0 * np.square(known.doubts[:, limb]) + (1.0 - known.visibility[:, chain]).sum(-1)
    cost += _FOREIGN * (numbers % bodies != trunk) + _EXCHANGED * (numbers >= bodies)
    return np.asarray(cost, np.float32)


def _angle(directions: Field, wanted: Field) -> Field:
    """`(N,)` radians in (-pi, pi] from the directions `(N, 2)` to the wanted `(2,)`."""
    cross = directions[:, 0] * wanted[1] - directions[:, 1] * wanted[0]
    return np.asarray(np.arctan2(cross, directions @ wanted), np.float32)


def _wrapped(angle: Field) -> Field:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi, np.float32)


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures of one limb in one frame."""

    current: int
    previous: int
    """Picture that fades out; -1 where none does."""
    share: float
    """Of the current picture."""


@dataclass(slots=True)
class Choice:
    """One limb's picture through a clip; its owner calls `update` once a frame."""

    fade_frames: int
    """Frames over which one picture turns into the next."""
    current: int = -1
    previous: int = -1
    """Picture that fades out; -1 where none does."""
    share: float = field(default=1.0)
    """Of the current picture."""

    @property
    def shown(self) -> Shown:
        """As it is now."""
        return Shown(self.current, self.previous, self.share)

    def update(self, costs: Field) -> None:
        """Goes on with a fade, or keeps the picture unless another is clearly better."""
        if self.previous >= 0:
            self.share += 1.0 / (self.fade_frames + 1)
            if self.share < 1.0 - 1e-6:
                return
            self.previous, self.share = -1, 1.0
        best = int(costs.argmin())
        if self.current < 0:
            self.current = best
        elif float(costs[best]) + _MARGIN < 0.9 * float(costs[self.current]):
            self.previous, self.current = self.current, best
            self.share = 1.0 / (self.fade_frames + 1)
            if self.fade_frames == 0:
                self.previous, self.share = -1, 1.0

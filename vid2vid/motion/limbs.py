"""Limbs of a person: their chains of joints, their usual widths, and views brought into another size or side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.motion.actor import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Field = NDArray[np.float32]

ARM_L, ARM_R, LEG_L, LEG_R, TRUNK, HEAD = range(6)
CHAINS: Final[tuple[tuple[int, ...], ...]] = ((3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14), (2, 1), (1, 0))
"""Joints of `BODY` from the root outwards, per limb."""
OTHER_SIDE: Final = (ARM_R, ARM_L, LEG_R, LEG_L, TRUNK, HEAD)
"""The limb on a limb's other side."""
SIDES_SWAPPED: Final = (0, 1, 2, 6, 7, 8, 3, 4, 5, 12, 13, 14, 9, 10, 11)
"""Order of the joints of `BODY` with left and right exchanged."""
HALF_WIDTHS: Final = ((0.032, 0.027), (0.032, 0.027), (0.054, 0.035, 0.032), (0.054, 0.035, 0.032), (0.05,), (0.07,))
"""Usual half-widths of the bones in body heights; a leg's third bone is the foot; the trunk's is its margin."""
_ARM_TAPER: Final = 1.3
"""An upper arm is at most this much wider than the forearm: against the trunk it cannot be told."""
_GAIN: Final = 1.5
"""Most by which a view is made brighter or darker."""
HAND_LENGTH: Final = 0.075
FOOT_LENGTH: Final = 0.11
"""From the wrist and from the ankle outwards, in body heights."""


TRUNK_JOINTS: Final = (1, 2, 3, 6, 9, 12)
"""Joints of `BODY` that move the trunk: neck, hip, shoulders, thighs."""


def mirrored(view: View) -> View:
    """The view seen in a mirror: left is right, and it faces the other way."""
    swapped = list(SIDES_SWAPPED)
    joints = view.joints[swapped].copy()
    joints[:, 0] = view.picture.shape[1] - 1 - joints[:, 0]
    return View(
        np.ascontiguousarray(view.picture[:, ::-1]),
        np.ascontiguousarray(view.mask[:, ::-1]),
        joints,
        view.visibility[swapped],
        view.depth[swapped],
        -view.facing,
    )


def exchanged(view: View) -> View:
    """The same picture with left limbs taken for right ones."""
    swapped = list(SIDES_SWAPPED)
    return View(
        view.picture, view.mask, view.joints[swapped], view.visibility[swapped], view.depth[swapped], view.facing
    )


def evened(views: Sequence[View]) -> list[View]:
    """Brings views to the light that is usual among them, so that no limb flickers where another view takes over."""
    means = np.array([cv2.mean(view.picture, (view.mask > 200).astype(np.uint8))[:3] for view in views]) + 1.0
    gains = (np.median(means, axis=0) / means).clip(1 / _GAIN, _GAIN)
    return [
        View(
            np.asarray((view.picture * gain).clip(0, 255).round(), np.uint8),
            view.mask,
            view.joints,
            view.visibility,
            view.depth,
            view.facing,
        )
        for view, gain in zip(views, gains, strict=True)
    ]


def half_widths(views: Sequence[View], height: float) -> tuple[tuple[float, ...], ...]:
    """Measures how wide an actor's limbs are.

    Args:
        views: of one actor.
        height: of the actor standing, in pixels.

    Returns:
        As `HALF_WIDTHS`, in body heights; the usual ones within a factor of 1.3.
    """
    inner = [cv2.distanceTransform((view.mask > 127).astype(np.uint8), cv2.DIST_L2, 5) for view in views]
    result = list(HALF_WIDTHS)
    for limbs in ((ARM_L, ARM_R), (LEG_L, LEG_R)):
        widths = list(HALF_WIDTHS[limbs[0]])
        for bone in range(2):
            found = [
                np.percentile(
                    _along(distances, view.joints[CHAINS[limb][bone]], view.joints[CHAINS[limb][bone + 1]]), 40
                )
                for view, distances in zip(views, inner, strict=True)
                for limb in limbs
            ]
            usual = widths[bone]
            # The least covered views show the limb free; where it lies over the trunk it seems wider.
            widths[bone] = float(np.clip(1.1 * np.percentile(found, 30) / height, usual / 1.3, usual * 1.3))
        if limbs == (ARM_L, ARM_R):
            widths[0] = min(widths[0], _ARM_TAPER * widths[1])
        for limb in limbs:
            result[limb] = tuple(widths)
    return tuple(result)


def _along(distances: Field, start: Field, end: Field) -> Field:
    """Values of a map at seven places in the middle of a bone."""
    places = start + np.linspace(0.25, 0.75, 7)[:, None] * (end - start)
    columns, rows = places.round().astype(int).T
    height, width = distances.shape
    values: Field = distances[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return values

"""What a rendered look is measured by, and the ways to render it that learn nothing.

All figures are of frames more than `NEAR` from every key frame. *Movers* are places where the frame differs from its
nearest key frame carried along: people, mostly. Carried key frames look well in every mean over whole frames, and
smear exactly there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.conditions.flow import FlowEstimator
from vid2vid.losses import ShiftTolerantLPIPS
from vid2vid.metrics import LARGEST_PSNR_DB, as_tensor, correspond, psnr_db, warp_error
from vid2vid.motion.keyframes import KeyFrame, carry, colour_change, plan_carries
from vid2vid.types import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

NEAR: Final = 8
MOVER_LEVELS: Final = 30
"""Difference of blurred pictures, in levels of 255, from which a place counts as a mover."""
DISTANCES: Final = 12
"""Most frames on which ST-LPIPS is taken."""


@dataclass(frozen=True)
class Scene:
    """A clip and which of its frames are painted."""

    frames: Sequence[Picture]
    keys: tuple[int, ...]

    @cached_property
    def measured(self) -> list[int]:
        """Frames more than `NEAR` from every key frame; all but the key frames where none is."""
        away = [min(abs(number - key) for key in self.keys) for number in range(len(self.frames))]
        far = [number for number, distance in enumerate(away) if distance > NEAR]
        return far or [number for number, distance in enumerate(away) if distance > 0]

    @cached_property
    def fields(self) -> list[dict[int, NDArray[np.float16]]]:
        """Of every key frame, its fields to other frames."""
        height, width = self.frames[0].shape[:2]
        clip = (Frame(picture, number, Fraction(number, 25)) for number, picture in enumerate(self.frames))
        return plan_carries(clip, self.keys, width, height)

    def painted(self, truth: Sequence[Picture]) -> list[KeyFrame]:
        """The key frames in a look."""
        return [KeyFrame(n, self.frames[n], truth[n], f) for n, f in zip(self.keys, self.fields, strict=True)]

    @cached_property
    def movers(self) -> dict[int, NDArray[np.bool_]]:
        """Measured frame -> `(H, W)`, where it differs from the nearest key frame carried onto it."""
        plain = self.painted(self.frames)
        return {number: _differs(self.frames[number], carry_nearest(plain, number, self.frames[number], 1))
                for number in self.measured}  # fmt: skip

    @cached_property
    def steps(self) -> list[tuple[int, int]]:
        """Pairs of successive frames, of which at least the second is measured."""
        return [pair for pair in pairwise(range(len(self.frames))) if pair[1] in set(self.measured)]


def _differs(picture: Picture, other: Picture) -> NDArray[np.bool_]:
    blurred = (cv2.GaussianBlur(each, (0, 0), 2.0).astype(np.int16) for each in (picture, other))
    first, second = blurred
    return np.asarray(np.abs(first - second).max(2) > MOVER_LEVELS)


def carry_nearest(keys: Sequence[KeyFrame], number: int, picture: Picture, count: int) -> Picture:
    """The look of the nearest key frames that reach a frame, mixed by nearness and trust; no net has part in it.

    Args:
        keys: with their fields.
        number, picture: of the frame.
        count: 1 for the nearest alone, 2 for the nearest before and after.
    """
    reaching = sorted((key for key in keys if number in key.fields), key=lambda key: abs(key.index - number))
    if count == 2:
        sides = ([key for key in reaching if (key.index <= number) == before] for before in (True, False))
        reaching = [side[0] for side in sides if side]
    if not reaching:
        return picture
    return np.asarray((carry(reaching[:count], number, picture).look * 255.0).round(), np.uint8)


def baselines(scene: Scene, truth: Sequence[Picture]) -> dict[str, list[Picture]]:
    """The clip in the look, by every way that takes no training."""
    keys = scene.painted(truth)
    levels = colour_change(keys) * np.array([[1, 1, 1, 255]], np.float32)
    graded = [cv2.transform(picture, levels) for picture in scene.frames]
    made = {"source": list(scene.frames), "affine": [np.asarray(picture, np.uint8) for picture in graded]}
    for name, count in (("flow", 1), ("two keys", 2)):
        made[name] = [carry_nearest(keys, n, picture, count) for n, picture in enumerate(scene.frames)]
    return made


class Measure:
    """Measures clips in one look of one scene.

    Args:
        scene: the clip.
        truth: every frame of it in the look.
    """

    def __init__(self, scene: Scene, truth: Sequence[Picture]) -> None:
        self._scene, self._truth = scene, truth
        self._distance = ShiftTolerantLPIPS("alex")
        spread = np.linspace(0, len(scene.measured) - 1, min(DISTANCES, len(scene.measured))).round().astype(int)
        self._spread = [scene.measured[int(place)] for place in np.unique(spread)]
        flow = FlowEstimator("medium")
        self._seen = {(a, b): correspond(scene.frames[a], scene.frames[b], flow) for a, b in scene.steps}
        self._source_distance = self._st_lpips(scene.frames)
        self._own_warp = self._warp(truth)

    def __call__(self, made: Sequence[Picture]) -> dict[str, float | None]:
        """Figures by name; `st_ratio` and `warp_ratio` are 1 for the untouched source and the truth."""
        measured, distance, warp = self._scene.measured, self._st_lpips(made), self._warp(made)
        return {
            "st_ratio": distance / self._source_distance,
            "st_lpips": distance,
            "psnr_db": float(np.mean([psnr_db(made[n], self._truth[n]) for n in measured])),
            "movers_psnr_db": self._movers(made),
            "movers_share": float(np.mean([mask.mean() for mask in self._scene.movers.values()])),
            "warp_ratio": None if warp is None or not self._own_warp else warp / self._own_warp,
        }

    @torch.inference_mode()
    def _st_lpips(self, made: Sequence[Picture]) -> float:
        pairs = ((as_tensor(made[n]), as_tensor(self._truth[n])) for n in self._spread)
        return float(np.mean([float(self._distance(*pair).mean()) for pair in pairs]))

    def _movers(self, made: Sequence[Picture]) -> float | None:
        """PSNR over all movers of all frames together; None where nothing moves."""
        errors = [
            np.square(made[n][mask].astype(np.float32) - self._truth[n][mask]).ravel()
            for n, mask in self._scene.movers.items()
        ]
        all_of_them = np.concatenate(errors)
        if not len(all_of_them):
            return None
        mean = float(all_of_them.mean(dtype=np.float64)) / 255.0**2
        return LARGEST_PSNR_DB if mean == 0.0 else -10.0 * float(np.log10(mean))

    def _warp(self, made: Sequence[Picture]) -> float | None:
        errors = [warp_error(made[a], made[b], self._seen[a, b]) for a, b in self._scene.steps]
        known = [error for error in errors if error is not None]
        return float(np.mean(known)) if known else None


def shown(results: Mapping[str, float | None]) -> str:
    """The figures in one line."""
    names = (("st_ratio", "ST {:.3f}"), ("psnr_db", "{:.1f} dB"), ("movers_psnr_db", "movers {:.1f} dB"),
             ("warp_ratio", "warp {:.2f}"))  # fmt: skip
    return ", ".join(form.format(results[name]) for name, form in names if results[name] is not None)

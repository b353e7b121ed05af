"""Sudden changes of speed in noisy paths, found to a fraction of a frame.

Source: change-point estimation by least squares: around each candidate moment a straight line with and without a change
of speed is fitted to the positions themselves, which noise blurs less than their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.signal import savgol_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Curve = NDArray[np.float64]

STEPS: Final = 4
"""Candidate moments to a frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Onsets:
    """What was fitted at each candidate moment."""

    times_s: Curve
    """`(M,)`, `STEPS` to a frame from the first frame on."""
    score: Curve
    """`(M,)`: variance that the change explains over what is left, at the best rise."""
    gain: Curve
    """`(M, C)`: change of speed, in the path's unit a second."""
    speed: Curve
    """`(M, C)`: speed before the change."""
    rise_s: Curve
    """`(M,)`: how long the change takes."""


def find_onsets(
    paths: Curve, fps: float, rises_s: Sequence[float], reach_s: tuple[float, float], noise: float, decay_s: float = 1e3
) -> Onsets:
    """Fits a change of speed at every quarter of a frame.

    Args:
        paths: `(T, C)`, coordinates that change together.
        fps: frames a second.
        rises_s: how long a change may take, in seconds; the best is kept.
        reach_s: how far before and after it is looked.
        noise: standard deviation below which what is left counts for nothing.
        decay_s: in which the new speed is lost again.
    """
    before, after = (max(2, round(reach * fps)) for reach in reach_s)
    padded = np.pad(paths, ((before, after + 1), (0, 0)), "reflect", reflect_type="odd")
    windows = np.lib.stride_tricks.sliding_window_view(padded, before + after + 1, axis=0)[: len(paths)]
    shape = (len(paths), STEPS)
    score, rise = np.zeros(shape), np.zeros(shape)
    gain, speed = np.zeros((*shape, paths.shape[1])), np.zeros((*shape, paths.shape[1]))
    for step in range(STEPS):
        seconds = np.asarray((np.arange(-before, after + 1) - step / STEPS) / fps, np.float64)
        line = np.stack([np.ones_like(seconds), seconds], 1)
        straight = _left(windows, line)
        for rise_s in rises_s:
            bent = np.column_stack([line, response(seconds, rise_s, decay_s)])
            fitted = windows @ np.linalg.pinv(bent).T
            left = _left(windows, bent).sum(1)
            ratio = (straight.sum(1) - left) / (left / (len(seconds) - 3) + paths.shape[1] * noise**2)
            better = ratio > score[:, step]
            score[better, step], rise[better, step] = ratio[better], rise_s
            gain[better, step], speed[better, step] = fitted[better, :, 2], fitted[better, :, 1]
    times = (np.arange(len(paths))[:, None] + np.arange(STEPS) / STEPS) / fps
    return Onsets(
        times.ravel(), score.ravel(), gain.reshape(-1, paths.shape[1]), speed.reshape(-1, paths.shape[1]), rise.ravel()
    )


def smoothed(paths: Curve, fps: float) -> Curve:
    """`(T, ...)` with noise reduced over a sixth of a second, without delay."""
    span = max(5, 2 * round(0.085 * fps) + 1)
    return np.asarray(savgol_filter(paths, min(span, len(paths) - 1 + len(paths) % 2), 2, axis=0, mode="interp"))


def response(seconds: Curve, rise_s: float, decay_s: float) -> Curve:
    """Way gone by what gains a unit of speed from 0 on: evenly within the rise, then losing it again."""
    fine = np.linspace(min(0.0, float(seconds.min())), max(float(seconds.max()), 1e-6), 1000)
    gained = np.clip(fine / rise_s, 0, 1) * np.exp(-np.maximum(fine - rise_s, 0) / decay_s) * (fine > 0)
    return np.asarray(np.interp(seconds, fine, np.cumsum(gained) * (fine[1] - fine[0])))


def peaks(score: Curve, apart: int) -> list[int]:
    """Indices of the highest values within `apart` of themselves, the highest first."""
    found: list[int] = []
    for at in np.argsort(-score, kind="stable"):
        if score[at] <= 0:
            break
        if score[at] == score[max(0, at - apart) : at + apart + 1].max() and all(
            abs(at - other) > apart for other in found
        ):
            found.append(int(at))
    return found


def _left(windows: Curve, design: Curve) -> Curve:
    """`(T, C)`: sum of squares that a linear model leaves."""
    rest = windows - windows @ np.linalg.pinv(design).T @ design.T
    return np.asarray(np.square(rest).sum(-1))

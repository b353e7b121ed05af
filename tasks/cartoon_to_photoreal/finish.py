"""Photographic finish: makes a drawn or computer-made picture look photographed, without inventing anything.

Order as in a camera: lens (softness, bloom, halation, vignette), film (micro-contrast, colour, response), grain. All
but the grain depends on the frame and on statistics of the whole clip alone, so that nothing flickers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from vid2vid.errors import InvalidOption

from .finish_statistics import (
    LIVE_CRISPNESS,
    FinishStatistics,
    colour_transport,
    measure_statistics,
    tone_curve,
)
from .grain import add_grain, grain_sharpness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

__all__ = ["FINISHES", "Finish", "FinishStatistics", "apply_finish", "measure_statistics"]

COLOUR_LIMIT = 0.5
"""Greatest share of the colour transport: beyond it skin turns green."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Strength of each part of the finish; 0 is off, 1 the strongest that still looks like a photograph."""

    response: float = 0.0
    """Film response: tones spread like live footage, toe, shoulder, and strong colours rolled off."""
    colour: float = 0.0
    """Share of the transport to the colours of live footage, at most 0.5; skin takes a fifth of it."""
    softness: float = 0.0
    """Lens softness where the source is crisper than a camera's edges."""
    clarity: float = 0.0
    """Micro-contrast."""
    bloom: float = 0.0
    """Glow of highlights."""
    halation: float = 0.0
    """Red fringe around highlights, as light thrown back by the film base."""
    vignette: float = 0.0
    """Fall-off of light towards the corners."""
    grain: float = 0.0
    """Film grain."""

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            InvalidOption: A strength lies outside its range.
        """
        for field in fields(self):
            value, limit = getattr(self, field.name), COLOUR_LIMIT if field.name == "colour" else 1.0
            if not 0.0 <= value <= limit:
                raise InvalidOption(f"{field.name}={value}: a strength of the finish lies in [0, {limit:g}]; 0 is off.")


FINISHES: Mapping[str, Finish] = MappingProxyType(
    {
        "none": Finish(),
        "subtle": Finish(response=0.4, colour=0.25, softness=0.3, clarity=0.3, bloom=0.1, grain=0.25),
        "film": Finish(
            response=0.8,
            colour=0.45,
            softness=0.6,
            clarity=0.5,
            bloom=0.25,
            halation=0.3,
            vignette=0.4,
            grain=0.4,
        ),
    }
)
"""Ready-made finishes by name; "film" is the default of the task."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What follows from the finish and the statistics alone, worked out once a clip."""

    curve: Plane
    """(1024,) lightness out at lightness in [0, 100]."""
    chroma: Plane
    """(2, 2) transport of (a, b)."""
    softness: float


@lru_cache(maxsize=8)
def _plan(finish: Finish, statistics: FinishStatistics) -> _Plan:
    table = tone_curve(statistics, finish.response)
    curve = np.interp(np.linspace(0.0, 100.0, 1024), np.linspace(0.0, 100.0, len(table)), table)
    return _Plan(
        curve=curve.astype(np.float32),
        chroma=colour_transport(statistics, finish.colour).astype(np.float32),
        softness=_softness_allowed(finish, statistics),
    )


def _softness_allowed(finish: Finish, statistics: FinishStatistics) -> float:
    """Softness that the source needs and that grain makes up for, so that the result is no blurrier than the source."""
    too_crisp = float(np.clip((statistics.crispness - LIVE_CRISPNESS) / 0.5, 0.0, 1.0))
    lent = 0.6 * grain_sharpness(statistics.height, finish.grain) / max(statistics.sharpness, 1e-6)
    return min(finish.softness * too_crisp, 1.0 - float(np.sqrt(max(0.0, 1.0 - lent))))


def apply_finish(frame: Plane, index: int, finish: Finish, statistics: FinishStatistics, seed: int) -> Plane:
    """The frame as if photographed.

    Args:
        frame: (H, W, 3) float32 sRGB in [0, 1]; it is left as it is.
        index: Number of the frame within the clip, counted from 0; each has its own grain.
        finish: Strengths.
        statistics: Of the whole clip, the same for all its frames.
        seed: Seed of the render.

    Returns:
        (H, W, 3) float32 sRGB in [0, 1]; with `FINISHES["none"]` the very values of `frame`.
    """
    if finish == Finish():
        return frame.copy()
    plan = _plan(finish, statistics)
    finished = _lens(frame, finish, plan)
    if finish.response > 0.0 or finish.colour > 0.0 or finish.clarity > 0.0:
        finished = _develop(finished, finish, plan)
    if finish.grain > 0.0:
        finished = add_grain(finished, index, finish.grain, seed)
    return finished


def _lens(frame: Plane, finish: Finish, plan: _Plan) -> Plane:
    if plan.softness > 0.0:
        frame = _soften(frame, plan.softness)
    if finish.bloom > 0.0 or finish.halation > 0.0:
        frame = _glow(frame, finish.bloom, finish.halation)
    if finish.vignette > 0.0:
        frame = frame * _vignette(frame.shape[0], frame.shape[1], finish.vignette)
    return frame


def _soften(frame: Plane, strength: float) -> Plane:
    """Blur by a pixel on edges that no lens resolves; softer edges and flat regions stay as they are."""
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    bend = cv2.blur(np.abs(cv2.Laplacian(luma, cv2.CV_32F)), (3, 3))
    weight = strength * np.clip((bend - 0.04) / 0.12, 0.0, 1.0)
    return cast("Plane", frame + weight[..., None] * (cv2.GaussianBlur(frame, (0, 0), 0.8) - frame))


def _glow(frame: Plane, bloom: float, halation: float) -> Plane:
    """Light around highlights, laid on as a screen; halation is narrower and red."""
    height, width = frame.shape[:2]
    size = (max(2, width // 4), max(2, height // 4))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    bright = np.maximum(small - 0.7, 0.0)
    wide = cv2.GaussianBlur(bright, (0, 0), max(0.5, 0.02 * height / 4.0))
    narrow = cv2.GaussianBlur(cv2.cvtColor(bright, cv2.COLOR_RGB2GRAY), (0, 0), max(0.5, 0.007 * height / 4.0))
    light = 0.5 * bloom * wide + 0.5 * halation * narrow[..., None] * np.asarray((1.0, 0.25, 0.08), np.float32)
    light = cv2.resize(light.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return cast("Plane", frame + light * (1.0 - frame))


@lru_cache(maxsize=4)
def _vignette(height: int, width: int, strength: float) -> Plane:
    """(H, W, 1) gain; a fifth of the light is lost in the corners at strength 1."""
    rows = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    radius = 0.5 * (rows * rows + columns * columns)
    return cast("Plane", (1.0 - 0.2 * strength * radius**1.5)[..., None].astype(np.float32))


def _develop(frame: Plane, finish: Finish, plan: _Plan) -> Plane:
    """Micro-contrast, colour and response, in L*a*b*."""
    lab = cast("Plane", cv2.cvtColor(np.clip(frame, 0.0, 1.0), cv2.COLOR_RGB2LAB))
    lightness = np.ascontiguousarray(lab[..., 0])
    if finish.clarity > 0.0:
        lightness = _clarify(lightness, finish.clarity)
    steps = np.minimum(lightness * (1023.0 / 100.0), 1023.0)
    lower = np.minimum(steps.astype(np.int32), 1022)
    toned = plan.curve[lower]
    toned += (steps - lower) * (plan.curve[lower + 1] - toned)
    axis_a, axis_b = _colour(np.ascontiguousarray(lab[..., 1]), np.ascontiguousarray(lab[..., 2]), finish, plan)
    toned_lab = cv2.merge([toned, axis_a, axis_b])
    return cast("Plane", np.clip(cv2.cvtColor(toned_lab, cv2.COLOR_LAB2RGB), 0.0, 1.0))


def _colour(axis_a: Plane, axis_b: Plane, finish: Finish, plan: _Plan) -> tuple[Plane, Plane]:
    """Transported chroma, less so on skin, with strong colours rolled off as dyes saturate."""
    share: Plane | np.float32 = np.float32(1.0)
    if finish.colour > 0.0:
        share = 1.0 - 0.8 * _skin(axis_a, axis_b)
    from_identity = plan.chroma - np.eye(2, dtype=np.float32)
    moved_a = axis_a + share * (from_identity[0, 0] * axis_a + from_identity[0, 1] * axis_b)
    moved_b = axis_b + share * (from_identity[1, 0] * axis_a + from_identity[1, 1] * axis_b)
    if finish.response > 0.0:
        roll_off = np.float32(finish.response / 85.0**2)
        kept = 1.0 / np.sqrt(1.0 + roll_off * (moved_a * moved_a + moved_b * moved_b))
        moved_a, moved_b = moved_a * kept, moved_b * kept
    return moved_a, moved_b


def _clarify(lightness: Plane, strength: float) -> Plane:
    """Lightness with its fine detail raised; strong edges hardly change, so that they get no halo."""
    detail = lightness - cv2.GaussianBlur(lightness, (0, 0), max(1.0, lightness.shape[0] / 300.0))
    raised = lightness + strength * detail / (1.0 + np.abs(detail) / 6.0)
    return cast("Plane", np.clip(raised, 0.0, 100.0))


def _skin(axis_a: Plane, axis_b: Plane) -> Plane:
    """(H, W) in [0, 1]: how much a colour is that of skin, whatever its lightness.

    Skin of all kinds lies about a hue of 52 degrees at a chroma of 12 to 45; the cosine keeps the weight smooth.
    """
    chroma = cv2.magnitude(axis_a, axis_b)
    towards = (0.616 * axis_a + 0.788 * axis_b) / np.maximum(chroma, 1.0)
    near_hue = np.clip((towards - 0.85) * 10.0, 0.0, 1.0)
    near_chroma = np.clip((chroma - 6.0) / 6.0, 0.0, 1.0) * np.clip((60.0 - chroma) / 15.0, 0.0, 1.0)
    return cast("Plane", near_hue * near_chroma)

"""Turns live frames into drawn ones, which gives (cartoon, live) pairs for training.

Every frame is drawn by itself from the style alone: no palette is fitted to a frame, so nothing flips in time, and a
crop is drawn as the same region of the full frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from .cartoon_style import CartoonStyle, sample_style
from .smoothing import flatten

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Plane = NDArray[np.float32]

__all__ = ["CartoonStyle", "cartoonise", "sample_style"]


def cartoonise(frames: Picture, style: CartoonStyle, start: int = 0) -> Picture:
    """The frames as they would look if they had been drawn.

    Args:
        frames: (T, H, W, 3) uint8 sRGB; whole frames or crops of them.
        style: The look; `style.nominal_height` is the number of rows of the whole frame.
        start: Index of the first frame within the clip. The drawing holds no chance and no memory, so that it does not
            depend on it; callers may hand over any chunk.

    Returns:
        (T, H, W, 3) uint8 sRGB.
    """
    del start
    drawn = np.empty_like(frames)
    for index, frame in enumerate(frames):
        drawn[index] = _draw(np.ascontiguousarray(frame), style)
    return drawn


def _draw(frame: Picture, style: CartoonStyle) -> Picture:
    flat = _flat_regions(frame, style)
    lab = cast("Plane", cv2.cvtColor(flat, cv2.COLOR_RGB2LAB))
    ink = _ink_lines(lab[..., 0], style)
    lightness = _shade(lab[..., 0], style)
    axis_a, axis_b = _palette(lab[..., 1], lab[..., 2], style)
    drawn = cast("Plane", np.clip(cv2.cvtColor(cv2.merge([lightness, axis_a, axis_b]), cv2.COLOR_LAB2RGB), 0.0, 1.0))
    if ink is not None:
        drawn += ink[..., None] * (np.asarray(style.ink, np.float32) - drawn)
    if style.bloom > 0.0:
        drawn = _bloom(drawn, style)
    if style.softness_px > 0.0:
        drawn = cast("Plane", cv2.GaussianBlur(drawn, (0, 0), max(style.softness_px * style.pixel_scale, 0.2)))
    return cast("Picture", np.clip(drawn * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8))


def _flat_regions(frame: Picture, style: CartoonStyle) -> Plane:
    """(H, W, 3) float32 in [0, 1] without texture."""
    height, width = frame.shape[:2]
    scale = min(1.0, style.smoothing_scale / style.pixel_scale)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cast("Picture", cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
    radius_px = style.radius_px * style.pixel_scale * scale
    small = flatten(small, style.smoothing, radius_px, style.tolerance, style.passes)
    # Pixels of the small picture would show as stairs; the unsharp step below makes the rounded border crisp again.
    rounded = cv2.GaussianBlur(small.astype(np.float32) / 255.0, (0, 0), 0.65)
    flat = cast("Plane", cv2.resize(rounded, (width, height), interpolation=cv2.INTER_CUBIC))
    if style.crispness > 0.0:
        blurred = cast("Plane", cv2.GaussianBlur(flat, (0, 0), 1.6 * style.pixel_scale))
        flat += np.float32(style.crispness) * (flat - blurred)
    return cast("Plane", np.clip(flat, 0.0, 1.0))


def _soft_steps(values: Plane, step: float, offset: float, hardness: float) -> Plane:
    """`values` drawn to a staircase of height `step` with smooth risers.

    Source: Winnemoeller, Olsen and Gooch 2006, equation 9, with a fixed instead of gradient-driven hardness (which
    would make the steps shimmer); divided by tanh(hardness / 2), so that the staircase is continuous.
    """
    position = values / step - offset
    riser = np.rint(position)
    tread = 0.5 / np.tanh(0.5 * hardness) * np.tanh(hardness * (position - riser))
    return cast("Plane", (step * (riser + tread + offset)).astype(np.float32))


def _shade(lightness: Plane, style: CartoonStyle) -> Plane:
    """(H, W) lightness in drawn tones; cel shades first, then bands over the whole range."""
    if style.cel_step > 0.0:
        radius_px = style.cel_radius_px * style.pixel_scale
        local = _wide_mean(lightness, radius_px)
        relief = lightness - local
        cel = local + style.cel_step * np.tanh(relief / (0.35 * style.cel_step))
        # Strong relief is an object's own border: it stays, else outlines would lose their contrast.
        kept = np.minimum(1.0, np.abs(relief) / (3.0 * style.cel_step))
        lightness = cel + kept * (lightness - cel)
    if style.band_mix > 0.0:
        banded = _soft_steps(lightness, 100.0 / style.bands, style.band_offset, style.band_hardness)
        lightness = lightness + style.band_mix * (banded - lightness)
    return cast("Plane", np.clip(50.0 + style.contrast * (lightness - 50.0), 0.0, 100.0).astype(np.float32))


def _wide_mean(plane: Plane, radius_px: float) -> Plane:
    """Gaussian mean, taken on a quarter of the size: a wide kernel at full size costs more than the whole drawing."""
    height, width = plane.shape
    small = cv2.resize(plane, (max(4, width // 4), max(4, height // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.5, radius_px / 4.0))
    return cast("Plane", cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _palette(axis_a: Plane, axis_b: Plane, style: CartoonStyle) -> tuple[Plane, Plane]:
    """Chroma drawn to the nodes of a turned grid and made more saturated."""
    if style.chroma_mix > 0.0:
        cosine, sine = np.cos(np.deg2rad(style.chroma_angle_deg)), np.sin(np.deg2rad(style.chroma_angle_deg))
        turned = (cosine * axis_a + sine * axis_b, cosine * axis_b - sine * axis_a)
        first, second = (
            plane + style.chroma_mix * (_soft_steps(plane, style.chroma_step, offset + 0.5, 6.0) - plane)
            for plane, offset in zip(turned, style.chroma_offset, strict=True)
        )
        axis_a, axis_b = cosine * first - sine * second, cosine * second + sine * first
    gain = np.float32(style.saturation)
    return cast("Plane", (gain * axis_a).astype(np.float32)), cast("Plane", (gain * axis_b).astype(np.float32))


def _ink_lines(lightness: Plane, style: CartoonStyle) -> Plane | None:
    """(H, W) opacity of the ink in [0, 1]; None without lines."""
    if style.lines == "none":
        return None
    luma = lightness / 100.0
    width_px = style.line_width_px * style.pixel_scale
    inner = cast("Plane", cv2.GaussianBlur(luma, (0, 0), width_px))
    if style.lines == "dog":
        strength = cv2.GaussianBlur(luma, (0, 0), 1.6 * width_px) - inner
    elif style.lines == "gradient":
        slope = cv2.magnitude(cv2.Sobel(inner, cv2.CV_32F, 1, 0), cv2.Sobel(inner, cv2.CV_32F, 0, 1))
        strength = 0.12 * slope - 0.01
    elif style.lines == "traced":
        return _traced(luma, style)
    else:
        return _canny(inner, style)
    opacity = cv2.GaussianBlur(np.clip(strength / style.line_threshold - 0.7, 0.0, 1.0), (0, 0), 0.6 * width_px)
    return _thinned(cast("Plane", style.line_darkness * opacity), style)


def _canny(luma: Plane, style: CartoonStyle) -> Plane:
    """Canny's contours as brushed lines. Source: Canny 1986; drawn soft, because one-pixel lines crawl."""
    weak = 2500.0 * style.line_threshold
    contour = cv2.Canny(cv2.convertScaleAbs(luma, alpha=255.0), weak, 2.5 * weak)
    brushed = cv2.GaussianBlur(contour.astype(np.float32) / 255.0, (0, 0), style.line_width_px * style.pixel_scale)
    return _thinned(cast("Plane", np.clip(style.line_darkness * 2.2 * brushed, 0.0, style.line_darkness)), style)


def _traced(luma: Plane, style: CartoonStyle) -> Plane:
    """Borders between tones drawn as lines of even weight where the picture has an edge: bold outlines."""
    width_px = style.line_width_px * style.pixel_scale
    smooth = cast("Plane", cv2.GaussianBlur(luma, (0, 0), 2.0 * width_px))
    tones = np.floor(smooth * (style.bands // 2 + 2) + style.band_offset)
    border = np.zeros_like(luma)
    border[:, 1:] += tones[:, 1:] != tones[:, :-1]
    border[1:] += tones[1:] != tones[:-1]
    slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    edge = np.clip(slope / (4.0 * style.line_threshold) - 0.5, 0.0, 1.0)
    brushed = cv2.GaussianBlur(np.minimum(border, 1.0) * edge, (0, 0), 0.9 * width_px)
    return _thinned(cast("Plane", np.clip(style.line_darkness * 2.4 * brushed, 0.0, style.line_darkness)), style)


def _thinned(ink: Plane, style: CartoonStyle) -> Plane:
    """`ink` paler where lines crowd: one who draws leaves leaves most of them out."""
    crowd = cv2.GaussianBlur(ink, (0, 0), 6.0 * style.pixel_scale)
    return cast("Plane", (ink * np.clip(1.25 - 2.0 * crowd, 0.15, 1.0)).astype(np.float32))


def _bloom(drawn: Plane, style: CartoonStyle) -> Plane:
    """Light that spills from highlights, laid on as a screen."""
    height, width = drawn.shape[:2]
    size = (max(4, width // 4), max(4, height // 4))
    small = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    glow = cv2.GaussianBlur(np.maximum(small - 0.65, 0.0), (0, 0), 2.0 * style.pixel_scale)
    glow = style.bloom * cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)
    return cast("Plane", drawn + glow * (1.0 - drawn))

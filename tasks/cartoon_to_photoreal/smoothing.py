"""Edge-preserving smoothing that turns photographed texture into flat regions, each filter on one picture.

Convention: pictures are `(H, W, 3)` uint8 sRGB; `radius_px` is the reach in pixels of that picture and `tolerance` the
contrast, in [0, 1], that counts as texture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .cartoon_style import Smoothing

    Picture = NDArray[np.uint8]
    Plane = NDArray[np.float32]
    Filter = Callable[[Picture, float, float], Picture]


def flatten(picture: Picture, method: Smoothing, radius_px: float, tolerance: float, passes: int) -> Picture:
    """`picture` with its texture wiped out and its strong edges kept.

    Args:
        picture: (H, W, 3) uint8.
        method: Which filter.
        radius_px: Reach in pixels of this picture.
        tolerance: Contrast in [0, 1] that is wiped out.
        passes: How often the filter is applied.

    Returns:
        (H, W, 3) uint8.
    """
    for _ in range(passes):
        picture = _FILTERS[method](picture, radius_px, tolerance)
    return picture


def _bilateral(picture: Picture, radius_px: float, tolerance: float) -> Picture:
    """Source: Tomasi and Manduchi 1998; the window is capped at 9 pixels, repeated passes reach further."""
    window = min(9, 2 * round(radius_px / 2.0) + 1)
    return cast("Picture", cv2.bilateralFilter(picture, window, 330.0 * tolerance, radius_px / 2.0))


def _domain(picture: Picture, radius_px: float, tolerance: float) -> Picture:
    """Source: Gastal and Oliveira 2011, recursive filtering."""
    reach, contrast = 1.6 * radius_px, 1.6 * tolerance
    smooth = cv2.edgePreservingFilter(picture, flags=cv2.RECURS_FILTER, sigma_s=reach, sigma_r=contrast)
    return cast("Picture", smooth)


def _guided(picture: Picture, radius_px: float, tolerance: float) -> Picture:
    """Source: He, Sun and Tang 2013, each channel guided by itself."""
    window = (2 * max(1, round(0.35 * radius_px)) + 1,) * 2
    values = picture.astype(np.float32) / 255.0
    mean = cv2.blur(values, window)
    variance = cv2.blur(values * values, window) - mean * mean
    # One gain for the three channels: separate ones would fringe edges with colour.
    spread = variance.sum(axis=2, keepdims=True)
    gain = spread / (spread + (0.5 * tolerance) ** 2)
    # Unlike He et al. the gain is not averaged over windows, which would halo each edge by twice the radius.
    smooth = gain * values + (1.0 - gain) * mean
    return _to_uint8(cast("Plane", smooth))


def _kuwahara(picture: Picture, radius_px: float, tolerance: float) -> Picture:
    """Source: Papari, Petkov and Campisi 2007, with eight shifted Gaussians as sectors.

    Soft weights instead of the classic choice of one sector: a choice would flip between frames.
    """
    reach = max(1, round(0.27 * radius_px))
    values = picture.astype(np.float32) / 255.0
    height, width = picture.shape[:2]
    padded = cv2.copyMakeBorder(values, reach, reach, reach, reach, cv2.BORDER_REFLECT_101)
    mean = cv2.GaussianBlur(padded, (0, 0), 0.55 * reach)
    square = cv2.GaussianBlur(np.einsum("hwc,hwc->hw", padded, padded), (0, 0), 0.55 * reach)
    spread = np.maximum(square - np.einsum("hwc,hwc->hw", mean, mean), 0.0)
    weight = 1.0 / (1e-3 + (spread / (0.3 * tolerance) ** 2) ** 3)
    weighted = weight[..., None] * mean
    total = np.zeros((height, width, 3), np.float32)
    weights = np.zeros((height, width), np.float32)
    diagonal = round(0.71 * reach)
    around = [(0, reach), (0, -reach), (reach, 0), (-reach, 0)]
    around += [(y, x) for y in (-diagonal, diagonal) for x in (-diagonal, diagonal)]
    for down, right in around:
        here = np.s_[reach + down : reach + down + height, reach + right : reach + right + width]
        total += weighted[here]
        weights += weight[here]
    return _to_uint8(cast("Plane", total / weights[..., None]))


def _mean_shift(picture: Picture, radius_px: float, tolerance: float) -> Picture:
    """Source: Comaniciu and Meer 2002, stopped after three shifts."""
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 3, 1.0)
    smooth = cv2.pyrMeanShiftFiltering(
        picture, max(2.0, 0.45 * radius_px), 260.0 * tolerance, maxLevel=0, termcrit=stop
    )
    return cast("Picture", smooth)


def _rolling(picture: Picture, radius_px: float, tolerance: float) -> Picture:
    """Source: Zhang, Shen, Xu and Jia 2014, rolling guidance: structure grows back around a blurred start."""
    reach = min(2, max(1, round(0.25 * radius_px)))
    values = picture.astype(np.float32)
    guide = cast("Plane", cv2.GaussianBlur(values, (0, 0), 0.22 * radius_px))
    for _ in range(2):
        guide = _joint_bilateral(values, guide, reach, 200.0 * tolerance)
    return cast("Picture", cv2.convertScaleAbs(guide))


def _joint_bilateral(values: Plane, guide: Plane, reach: int, deviation: float) -> Plane:
    """Mean of `values` over a disc, weighted by likeness of `guide`; both `(H, W, 3)` in [0, 255]."""
    height, width = values.shape[:2]
    edges = (reach,) * 4
    wide_values = cv2.copyMakeBorder(values, *edges, cv2.BORDER_REFLECT_101)
    wide_guide = cv2.copyMakeBorder(guide, *edges, cv2.BORDER_REFLECT_101)
    total = np.zeros_like(values)
    weights = np.zeros((height, width, 1), np.float32)
    side = range(-reach, reach + 1)
    for down, right in ((y, x) for y in side for x in side if y * y + x * x <= reach * reach + 1):
        here = np.s_[reach + down : reach + down + height, reach + right : reach + right + width]
        distance = wide_guide[here] - guide
        weight = cv2.exp(np.einsum("hwc,hwc->hw", distance, distance) * (-0.5 / deviation**2))[..., None]
        total += weight * wide_values[here]
        weights += weight
    return cast("Plane", total / weights)


def _to_uint8(values: Plane) -> Picture:
    return cast("Picture", cv2.convertScaleAbs(np.maximum(values, 0.0), alpha=255.0))


_FILTERS: dict[Smoothing, Filter] = {
    "bilateral": _bilateral,
    "domain": _domain,
    "guided": _guided,
    "kuwahara": _kuwahara,
    "mean_shift": _mean_shift,
    "rolling": _rolling,
}

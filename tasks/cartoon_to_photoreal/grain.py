"""Film grain: new on every frame, and the same for a frame however the clip is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

GRAIN_DEVIATION = 0.03
"""Standard deviation at strength 1 in mid-tones, in sRGB [0, 1]; about that of a 500 ISO 35 mm negative."""


def grain_size_px(height: int) -> float:
    """Standard deviation of a grain's Gaussian; grows with the root of the rows."""
    return float(max(0.5, 0.5 * np.sqrt(height / 360.0)))


def add_grain(frame: Plane, index: int, strength: float, seed: int) -> Plane:
    """`frame` with grain that depends on its brightness.

    Args:
        frame: (H, W, 3) float32 sRGB in [0, 1].
        index: Frame number within the clip; each number has its own grain.
        strength: 1 is a standard deviation of `GRAIN_DEVIATION` in mid-tones.
        seed: Seed of the render.

    Returns:
        (H, W, 3) float32 in [0, 1].
    """
    height, width = frame.shape[:2]
    grains = grain_field(height, width, index, seed)
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    # Grain is densest in mid-tones; clear film and full exposure show least.
    grains *= (strength * GRAIN_DEVIATION) * (0.25 + 3.0 * luma * (1.0 - luma))
    # Layers of a film have their own grains: other parts of the same field serve as a small share of each channel.
    red, blue = np.roll(grains, height // 3, axis=0), np.roll(grains, width // 3, axis=1)
    layers = cv2.merge([grains + 0.3 * red, grains, grains + 0.3 * blue])
    return cast("Plane", np.clip(frame + layers, 0.0, 1.0))


def grain_field(height: int, width: int, index: int, seed: int) -> Plane:
    """(H, W) float32 spatially correlated noise of mean 0 and standard deviation 1."""
    # Seeded anew from (seed, index), so that a frame does not depend on its chunk; SFC64 is numpy's fastest.
    noise = np.random.Generator(np.random.SFC64((seed, index))).standard_normal((height, width), dtype=np.float32)
    size_px = grain_size_px(height)
    taps = cv2.getGaussianKernel(2 * int(np.ceil(3.0 * size_px)) + 1, size_px)
    blurred = cv2.sepFilter2D(noise, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REFLECT)
    return cast("Plane", blurred * np.float32(1.0 / (taps**2).sum()))


def grain_sharpness(height: int, strength: float) -> float:
    """Variance of the Laplacian, luma in [0, 255], that grain adds to mid-tones."""
    size_px = grain_size_px(height)
    near, diagonal, far = (float(np.exp(-(distance**2) / (4.0 * size_px**2))) for distance in (1.0, np.sqrt(2.0), 2.0))
    # Sum over the 5-point Laplacian's taps (-4, 1, 1, 1, 1) of products weighted with the field's autocorrelation.
    spread = 20.0 - 32.0 * near + 8.0 * diagonal + 4.0 * far
    return (255.0 * strength * GRAIN_DEVIATION) ** 2 * spread

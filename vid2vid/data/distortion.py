"""Distorted inputs: the generator learns to rebuild the true picture from one that is warped, blurred and re-lit.

Source:
    The idea behind the first deepfakes of 2018: a network that rebuilds a face from a distorted picture of it can
    rebuild it from whatever else it is shown. Here the picture that is distorted is the aligned reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SHIFT_PX: Final = 3.0
"""Most that a pixel is moved: what flow leaves unaligned."""
WARPED: Final = 0.35
BLURRED: Final = 0.15
RELIT: Final = 0.25
"""Shares of pictures that are distorted in each way."""


def distort_reference(reference: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Moves, blurs and re-lights an aligned reference at random.

    Args:
        reference: `(H, W, 4)` float32: RGB in [0, 1] and validity; it is not changed.
        rng: decides what is done and how much.

    Returns:
        The same shape; validity is moved along with the colours and otherwise kept.
    """
    if rng.random() < WARPED:
        reference = _warped(reference, rng)
    if rng.random() < BLURRED:
        reference = reference.copy()
        reference[..., :3] = cv2.GaussianBlur(reference[..., :3], (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < RELIT:
        reference = reference.copy()
        gain, lift = rng.normal(1.0, 0.06) + rng.normal(0.0, 0.02, 3), rng.normal(0.0, 0.02)
        reference[..., :3] = np.clip(reference[..., :3] * gain.astype(np.float32) + np.float32(lift), 0.0, 1.0)
    return reference


def _warped(picture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Moved by a smooth random field."""
    height, width = picture.shape[:2]
    coarse = rng.normal(0.0, MAX_SHIFT_PX / 2.5, (2, 5, 5)).clip(-MAX_SHIFT_PX, MAX_SHIFT_PX).astype(np.float32)
    fine = (cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC) for plane in coarse)
    shift = [plane.clip(-MAX_SHIFT_PX, MAX_SHIFT_PX) for plane in fine]  # between the knots it swings beyond them
    x = np.arange(width, dtype=np.float32)[None, :] + shift[0]
    y = np.arange(height, dtype=np.float32)[:, None] + shift[1]
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)

"""Line art: drawn from live pictures to learn and to match by, and softened so that flow can be found on it.

Convention:
    Lengths in a style are pixels of a picture with `NOMINAL_ROWS` rows; other sizes are drawn alike. Drawings are
    `(H, W)` uint8, any polarity; what is softened is bright where ink is, on black.

Source:
    Winnemoeller et al., "XDoG: An eXtended difference-of-Gaussians compendium", 2012; Canny, "A Computational Approach
    to Edge Detection", 1986. Departures: thresholds follow the picture's own contrast, and the lines are drawn by a
    hand: gaps, wobble, uneven width, paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Plane = NDArray[np.float32]

NOMINAL_ROWS: Final = 270
KINDS: Final = ("xdog", "canny", "sobel")
INK_RANGE: Final = 24.0
"""Least contrast, in levels, at which the darkest line counts as full ink: an empty page must not become noise."""
PAPER_ROWS: Final = 64
"""Rows at which the page under the lines is estimated."""
PAPER_REACH: Final = 9
"""Side, at that size, of the square in which some paper must show."""
NOISE: Final = 6.0
"""Most, in levels, that half of the page is taken to differ from it by grain alone."""
REACHES: Final = (1.2, 2.0, 4.5)
"""Deviation of the blur of each plane of a softened drawing, in pixels of `NOMINAL_ROWS`. Luma, on which flow is
sought, weighs the second most; with the other two, key frames were carried 0.1 dB nearer to the truth."""
GAIN: Final = 1.3
"""Brightens blurred ink, of which a thin line leaves little."""


@dataclass(frozen=True, slots=True)
class LineStyle:
    """How a picture is drawn in lines; one style and seed draw a whole clip steadily."""

    kind: Literal["xdog", "canny", "sobel"] = "xdog"
    """How edges are found: differences of Gaussians, thin Canny contours, or broad Sobel bands."""
    scale: float = 1.2
    """Deviation of the first blur: larger draws fewer, coarser lines."""
    density: float = 0.08
    """Share of the picture that is edge before lines get their width."""
    width: float = 1.2
    """Of a line."""
    gaps: float = 0.0
    """Share of lines left out, in patches that stay in place."""
    wobble: float = 0.0
    """How far lines stray from the edges."""
    redrawn: int = 0
    """Frames after which lines stray anew; 0 for never."""
    paper: float = 255.0
    ink: float = 0.0
    """Levels of paper and ink; white on black where ink is the lighter."""
    grain: float = 0.0
    """Deviation of the paper's grain in levels."""
    seed: int = 0


def random_line_style(rng: np.random.Generator) -> LineStyle:
    """A style as somebody might draw: pen, pencil, chalk."""
    paper, ink = float(rng.uniform(205, 255)), float(rng.uniform(0, 90))
    if rng.random() < 0.25:
        paper, ink = float(rng.uniform(0, 50)), float(rng.uniform(190, 255))
    kinds: tuple[Literal["xdog", "canny", "sobel"], ...] = ("xdog", "canny", "sobel")
    return LineStyle(
        kind=kinds[int(rng.integers(3))],
        scale=float(np.exp(rng.uniform(np.log(0.7), np.log(2.5)))),
        density=float(np.exp(rng.uniform(np.log(0.03), np.log(0.14)))),
        width=float(rng.uniform(0.8, 2.4)),
        gaps=float(rng.uniform(0.0, 0.35)) if rng.random() < 0.5 else 0.0,
        wobble=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.6 else 0.0,
        redrawn=int(rng.integers(1, 6)) if rng.random() < 0.3 else 0,
        paper=paper,
        ink=ink,
        grain=float(rng.uniform(0.0, 6.0)) if rng.random() < 0.4 else 0.0,
        seed=int(rng.integers(2**31)),
    )


def extract_lines(picture: Picture, style: LineStyle = LineStyle(), index: int = 0) -> NDArray[np.uint8]:
    """Draws a live picture in lines.

    Args:
        picture: `(H, W, 3)` uint8 sRGB.
        style: how; the same for all frames of a clip.
        index: number of the frame, for lines that are redrawn.

    Returns:
        `(H, W)` uint8: the drawing.
    """
    unit = min(picture.shape[:2]) / NOMINAL_ROWS
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    ink = _EDGES[style.kind](grey, style.scale * unit, style.density)
    ink = _inked(ink, style.width * unit)
    if style.gaps > 0.0:
        field = _field(picture.shape[:2], 24.0 * unit, (style.seed, 1))
        ink *= np.clip((field - np.quantile(field, style.gaps)) * 6.0, 0.0, 1.0)
    if style.wobble > 0.0:
        ink = _strayed(ink, style.wobble * unit, unit, style, index)
    drawn = style.paper + (style.ink - style.paper) * np.clip(ink, 0.0, 1.0)
    if style.grain > 0.0:
        drawn = drawn + style.grain * _field(picture.shape[:2], 0.8, (style.seed, 2))
    return np.asarray(np.clip(drawn, 0.0, 255.0).round(), np.uint8)


def _differences(grey: Plane, scale: float, density: float) -> Plane:
    """XDoG: dark where a pixel is darker than its surroundings."""
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), scale * factor) for factor in (1.0, 1.6))
    darker = np.asarray(coarse - fine, np.float32)
    return _above(darker, density)


def _contours(grey: Plane, scale: float, density: float) -> Plane:
    """Canny: one pixel wide."""
    smooth = cv2.GaussianBlur(grey, (0, 0), scale)
    across, down = (cv2.Sobel(smooth, cv2.CV_16S, dx, 1 - dx) for dx in (1, 0))
    strength = np.abs(across).astype(np.float32) + np.abs(down)
    high = max(24.0, float(np.quantile(strength, 1.0 - 1.5 * density)))
    return np.asarray(cv2.Canny(across, down, 0.4 * high, high), np.float32) / 255.0


def _bands(grey: Plane, scale: float, density: float) -> Plane:
    """Sobel: as broad as the edge is soft."""
    smooth = cv2.GaussianBlur(grey, (0, 0), scale)
    return _above(np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)), density)


_EDGES: Final = {"xdog": _differences, "canny": _contours, "sobel": _bands}


def _above(strength: Plane, density: float) -> Plane:
    """A soft step at the level that the strongest share of pixels passes, and never within a flat picture's noise."""
    level = max(1.0, float(np.quantile(strength, 1.0 - density)))
    return np.asarray(np.clip(strength / level - 0.5, 0.0, 1.0) ** 2, np.float32)


def _inked(ink: Plane, width: float) -> Plane:
    """Lines of a width in pixels, smoothed as a pen leaves them."""
    side = round(width)
    if side > 1:
        ink = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(cv2.GaussianBlur(ink, (0, 0), max(0.45, 0.35 * width)) * np.float32(1.4), np.float32)


def _strayed(ink: Plane, reach: float, unit: float, style: LineStyle, index: int) -> Plane:
    """Lines moved by a smooth field, with uneven pressure."""
    shape = ink.shape[:2]
    turn = index // style.redrawn if style.redrawn else 0
    x, y, pressure = (_field(shape, 9.0 * unit, (style.seed, 3 + axis, turn)) for axis in range(3))
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    moved = cv2.remap(ink, columns + reach * x, rows + reach * y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved * np.clip(0.9 + 0.25 * pressure, 0.3, 1.3), np.float32)


def _field(shape: tuple[int, ...], length: float, seed: tuple[int, ...]) -> Plane:
    """Smooth noise of unit deviation whose hills are about `length` pixels apart."""
    height, width = shape[:2]
    rows, columns = max(4, round(height / length)), max(4, round(width / length))
    coarse = np.random.default_rng(seed).normal(0.0, 1.0, (rows, columns)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def find_ink(drawing: NDArray[np.uint8]) -> Plane:
    """Where ink is, whatever the paper: dark on light, light on dark, grey or coloured.

    Args:
        drawing: `(H, W)` or `(H, W, 3)` uint8.

    Returns:
        `(H, W)` float32 in [0, 1].
    """
    planes: NDArray[Any] = drawing if drawing.ndim == 3 else drawing[..., None]
    away = cv2.absdiff(planes, _paper(planes)).reshape(planes.shape).max(-1).astype(np.float32)
    sample = away[::3, ::3]
    floor = 2.0 * min(float(np.median(sample)), NOISE)
    full = max(INK_RANGE, 0.9 * float(np.quantile(sample, 0.985)) - floor)
    return np.asarray(np.clip((away - floor) / full, 0.0, 1.0), np.float32)


def _paper(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The page without its lines: the lightest nearby, or the darkest on a dark page, smoothed at a small size."""
    height, width, channels = planes.shape
    columns = max(16, round(PAPER_ROWS * width / height))
    small = cv2.resize(planes, (columns, PAPER_ROWS), interpolation=cv2.INTER_NEAREST).reshape(PAPER_ROWS, columns, -1)
    low, middle, high = np.quantile(small.reshape(-1, channels), (0.01, 0.5, 0.99), axis=0)
    light = middle >= 0.5 * (low + high)
    square = np.ones((PAPER_REACH, PAPER_REACH), np.uint8)
    lightest, darkest = (change(small, square).reshape(small.shape) for change in (cv2.dilate, cv2.erode))
    page = cv2.GaussianBlur(np.where(light, lightest, darkest), (0, 0), 0.5 * PAPER_REACH)
    return np.asarray(cv2.resize(page, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8).reshape(planes.shape)


def soften(drawing: NDArray[np.uint8]) -> Picture:
    """A drawing made smooth enough to be followed: blurred ink, from near to far.

    Args:
        drawing: `(H, W)` or `(H, W, 3)` uint8, any polarity and paper.

    Returns:
        `(H, W, 3)` uint8, one plane for each of `REACHES`; its luma is what flow is sought on.
    """
    ink = find_ink(drawing) * np.float32(255.0 * GAIN)
    unit = min(drawing.shape[:2]) / NOMINAL_ROWS
    planes = [cv2.GaussianBlur(ink, (0, 0), reach * unit) for reach in REACHES]
    return np.asarray(np.clip(np.stack(planes, -1) + 0.5, 0.0, 255.0), np.uint8)

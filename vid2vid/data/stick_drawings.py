"""Stick-men drawn by many hands: pens, paper, heads, shadows, for training and tests.

Convention:
    Pictures are `(H, W, 3)` uint8 sRGB. Lengths in a `Style` are in standing heights of the figures, so that a style
    looks the same at any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np

from vid2vid.motion.skeleton import BONES, FOOT_A, FOOT_B, HAND_A, HAND_B, HEAD, KNEE_A, KNEE_B, NECK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

HeadKind = Literal["circle", "open", "filled", "scribble", "oval"]
Ruling = Literal["none", "lines", "grid"]
Colour = tuple[float, float, float]
_PENS: Final = (
    (25, 25, 35), (10, 10, 10), (95, 95, 100), (30, 40, 150),
    (160, 30, 30), (20, 100, 40), (120, 60, 20), (130, 40, 130),
)  # fmt: skip
_CHALKS: Final = ((235, 235, 225), (240, 200, 120), (240, 170, 180), (170, 210, 240))
_SHIFT: Final = 4
"""Bits after the point in coordinates handed to OpenCV."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one person draws, on what, and how it was taken."""

    pens: tuple[Colour, ...] = ((25, 25, 35),)
    """Colour of each figure in turn."""
    width: float = 0.014
    """Of the line."""
    wobble: float = 0.0
    """How far ends of lines miss their joint; new in every drawing."""
    bend: float = 0.0
    """How far lines bow."""
    gap: float = 0.0
    """Share of a line left out at its ends."""
    strokes: int = 1
    """How often each line is gone over."""
    texture: float = 0.0
    """How far the pen skips, 0 to 1: pencil and chalk."""
    head: HeadKind = "circle"
    head_radius: float = 0.07
    neck_line: bool = True
    """Whether the neck is drawn up to the head."""
    feet: bool = False
    hands: bool = False
    dark: bool = False
    """A board instead of paper."""
    ruling: Ruling = "none"
    ground_width: float = 0.0
    """Of the ground's line in line widths; 0 draws none."""
    clutter: int = 0
    """Things drawn around the figures: suns, clouds, hills, words."""
    shadow: float = 0.0
    """Depth of a shadow across the picture, 0 to 1."""
    blur: float = 0.0
    """Of the lens, in pixels."""
    noise: float = 0.0
    """Of the sensor, in levels of 255."""
    jpeg: int | None = None
    """Quality; None compresses nothing."""
    seed: int = 0
    """Of what stays the same through a clip: paper, shadow, clutter."""


def random_style(rng: np.random.Generator) -> Style:
    """Draws a style from the range that people use."""
    dark = bool(rng.random() < 0.2)
    palette = _CHALKS if dark else _PENS
    first = int(rng.integers(len(palette))) if rng.random() < 0.6 else 0
    other = int(rng.integers(len(palette)))
    pens = tuple(palette[first if rng.random() < 0.6 else (other + k) % len(palette)] for k in range(4))
    return Style(
        pens=pens,
        width=float(rng.uniform(0.006, 0.028)),
        wobble=float(rng.uniform(0, 0.007)),
        bend=float(rng.uniform(0, 0.05)),
        gap=float(rng.uniform(0, 0.03)) if rng.random() < 0.3 else 0.0,
        strokes=2 if rng.random() < 0.15 else 1,
        texture=float(rng.uniform(0.2, 0.8)) if dark or rng.random() < 0.35 else 0.0,
        head=str(rng.choice(["circle", "circle", "open", "filled", "scribble", "oval"])),  # type: ignore[arg-type]
        head_radius=float(rng.uniform(0.05, 0.1)),
        neck_line=bool(rng.random() < 0.6),
        feet=bool(rng.random() < 0.25),
        hands=bool(rng.random() < 0.15),
        dark=dark,
        ruling=str(rng.choice(["none", "none", "lines", "grid"])),  # type: ignore[arg-type]
        ground_width=float(rng.uniform(0.3, 1.3)) if rng.random() < 0.7 else 0.0,
        clutter=int(rng.integers(1, 4)) if rng.random() < 0.25 else 0,
        shadow=float(rng.uniform(0.2, 0.55)) if rng.random() < 0.35 else 0.0,
        blur=float(rng.uniform(0, 1.0)),
        noise=float(rng.uniform(0, 7)),
        jpeg=int(rng.integers(35, 90)) if rng.random() < 0.25 else None,
        seed=int(rng.integers(1 << 30)),
    )


def paper(size: tuple[int, int], style: Style) -> NDArray[np.float32]:
    """The empty sheet, the same for all frames of a clip.

    Args:
        size: columns and rows.
        style: its seed decides the light and the grain.

    Returns:
        `(H, W, 3)` float32 in [0, 255].
    """
    width, height = size
    rng = np.random.default_rng((style.seed, 1))
    coarse = rng.normal(0, 1, (height // 4 + 1, width // 4 + 1)).astype(np.float32)
    grain = cv2.GaussianBlur(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 3)
    base, (across, down) = rng.uniform(205, 245), rng.uniform(-35, 35, 2)
    slope = across * np.linspace(-0.5, 0.5, width)[None] + down * np.linspace(-0.5, 0.5, height)[:, None]
    level = grain * rng.uniform(3, 18) + slope
    level = 55 + level * 0.6 if style.dark else base + level
    sheet = level[..., None] * np.array([1, rng.uniform(0.96, 1), rng.uniform(0.88, 1)])
    sheet = np.ascontiguousarray(sheet, np.float32)
    if style.ruling != "none":
        _rule(sheet, style, rng)
    return sheet


def _rule(sheet: NDArray[np.float32], style: Style, rng: np.random.Generator) -> None:
    height, width = sheet.shape[:2]
    colour = (80, 90, 90) if style.dark else (150, 180, 220)
    step = height * rng.uniform(0.05, 0.09)
    for y in np.arange(step * 0.6, height, step):
        cv2.line(sheet, (0, int(y)), (width, int(y)), colour, 1)
    if style.ruling == "grid":
        for x in np.arange(step * 0.4, width, step):
            cv2.line(sheet, (int(x), 0), (int(x), height), colour, 1)


def draw_frame(
    sheet: NDArray[np.float32],
    figures: NDArray[np.float32] | Sequence[NDArray[np.float32]],
    height_px: float,
    style: Style,
    rng: np.random.Generator,
    ground: float | None = None,
) -> Picture:
    """Draws figures on a sheet and takes its picture.

    Args:
        sheet: from `paper`; it is not changed.
        figures: `(F, 11, 2)` pixels, joints as in `STICK`.
        height_px: of a figure that stands upright.
        style: see there.
        rng: of what differs from drawing to drawing; give a generator with the same seed for two equal drawings.
        ground: row of the ground's line; drawn where the style has one.

    Returns:
        `(H, W, 3)` uint8.
    """
    hand = _Hand(style, height_px, rng)
    picture = sheet
    things = np.zeros(sheet.shape[:2], np.uint8)
    if ground is not None and style.ground_width:
        x = np.linspace(0, sheet.shape[1], 6)
        wobbling = rng.normal(0, style.wobble * height_px, len(x))
        hand.line(things, np.stack([x, ground + wobbling], 1), style.ground_width)
    if style.clutter:
        _draw_clutter(things, hand, np.random.default_rng((style.seed, 2)))
    picture = _inked(picture, things, style.pens[0], style, rng)
    for number, joints in enumerate(figures):
        ink = np.zeros(sheet.shape[:2], np.uint8)
        _draw_figure(ink, np.asarray(joints, np.float64), hand, number)
        picture = _inked(picture, ink, style.pens[number % len(style.pens)], style, rng)
    return _taken(picture, style, rng)


def _inked(
    picture: NDArray[np.float32], ink: NDArray[np.uint8], colour: Colour, style: Style, rng: np.random.Generator
) -> NDArray[np.float32]:
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return picture
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cover = ink[part].astype(np.float32) / 255
    if style.texture:
        cover *= np.clip(1 + style.texture * (rng.standard_normal(cover.shape, np.float32) - 0.3), 0.1, 1)
    result = picture.copy()
    result[part] += cover[..., None] * (np.asarray(colour, np.float32) - result[part])
    return result


def _taken(picture: NDArray[np.float32], style: Style, rng: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    if style.shadow:
        fixed = np.random.default_rng((style.seed, 3))
        angle, edge, hardness = fixed.uniform(0, 2 * np.pi), fixed.uniform(-0.5, 0.5), fixed.uniform(4, 20)
        across = np.cos(angle) * np.linspace(-1, 1, width)[None] + np.sin(angle) * np.linspace(-1, 1, height)[:, None]
        picture = picture * (1 - style.shadow / (1 + np.exp(-(across - edge) * hardness)))[..., None].astype(np.float32)
    if style.blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), style.blur)
    if style.noise > 0.5:
        picture = picture + style.noise * rng.standard_normal((height, width, 1), np.float32)
    taken = np.clip(picture, 0, 255).astype(np.uint8)
    if style.jpeg is not None:
        packed = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, style.jpeg])[1]
        taken = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return taken


@dataclass(frozen=True, slots=True)
class _Hand:
    """A style at one size."""

    style: Style
    height_px: float
    rng: np.random.Generator

    def near(self, point: NDArray[Any]) -> NDArray[np.float64]:
        """Where the pen comes down when it aims at a point."""
        return np.asarray(point, float) + self.rng.normal(0, self.style.wobble * self.height_px + 1e-9, 2)

    def line(self, ink: NDArray[np.uint8], points: NDArray[Any], share: float = 1.0) -> None:
        """A line through points."""
        width = max(1, round(max(1.2, self.style.width * self.height_px) * share * self.rng.uniform(0.85, 1.15)))
        fixed = np.round(np.asarray(points) * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(ink, [fixed], False, 255, width, cv2.LINE_AA, _SHIFT)

    def limb(self, ink: NDArray[np.uint8], start: NDArray[Any], end: NDArray[Any]) -> None:
        """A line from joint to joint as this hand draws it."""
        for _ in range(self.style.strokes):
            a, b = self.near(start), self.near(end)
            normal = np.array([-(b - a)[1], (b - a)[0]])
            gap = self.style.gap * self.rng.random()
            t = np.linspace(gap, 1 - gap, 7)[:, None]
            bow = self.rng.normal(0, 1) * self.style.bend
            self.line(ink, a + (b - a) * t + normal * bow * 2 * t * (1 - t))


def _draw_figure(ink: NDArray[np.uint8], joints: NDArray[np.float64], hand: _Hand, number: int) -> None:
    style, height = hand.style, hand.height_px
    for start, end in BONES:
        hand.limb(ink, joints[start], joints[end])
    if style.feet:
        facing = 1 if number % 2 == 0 else -1
        for knee, foot in ((KNEE_A, FOOT_A), (KNEE_B, FOOT_B)):
            along = joints[foot] - joints[knee]
            along /= np.linalg.norm(along) + 1e-6
            hand.line(
                ink, np.stack([joints[foot], joints[foot] + 0.06 * height * facing * np.array([along[1], -along[0]])])
            )
    if style.hands:
        for tip in (HAND_A, HAND_B):
            centre = np.round(joints[tip] * (1 << _SHIFT)).astype(int)
            cv2.circle(ink, centre.tolist(), int(0.018 * height * (1 << _SHIFT)), 255, -1, cv2.LINE_AA, _SHIFT)
    _draw_head(ink, joints, hand)


def _draw_head(ink: NDArray[np.uint8], joints: NDArray[np.float64], hand: _Hand) -> None:
    style, rng = hand.style, hand.rng
    radius, centre = style.head_radius * hand.height_px, hand.near(joints[HEAD])
    turn = 2 * np.pi * (rng.uniform(0.85, 0.95) if style.head == "open" else 1)
    angle = rng.uniform(0, 2 * np.pi) + np.linspace(0, turn, 40)
    oblong = 1 + 0.05 * np.sin(2 * angle + style.seed % 7)
    squeeze = np.array([0.8, 1.0]) if style.head == "oval" else np.ones(2)
    outline = centre + radius * squeeze * np.stack([oblong * np.cos(angle), oblong * np.sin(angle)], 1)
    if style.head == "filled":
        cv2.fillPoly(ink, [np.round(outline * (1 << _SHIFT)).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    else:
        hand.line(ink, outline)
    if style.head == "scribble":
        hand.line(ink, centre + radius * np.stack([0.98 * np.cos(2.1 * angle), 0.95 * np.sin(2.1 * angle + 0.3)], 1))
    if style.neck_line:
        along = joints[NECK] - joints[HEAD]
        distance = float(np.linalg.norm(along))
        if distance > radius:
            hand.line(ink, np.stack([joints[HEAD] + along / distance * radius, joints[NECK]]))


def _draw_clutter(ink: NDArray[np.uint8], hand: _Hand, rng: np.random.Generator) -> None:
    rows, columns = ink.shape
    for _ in range(hand.style.clutter):
        kind = rng.choice(["sun", "cloud", "hill", "word", "box"])
        centre = np.array([rng.uniform(0.05, 0.95) * columns, rng.uniform(0.03, 0.3) * rows])
        size = rng.uniform(0.08, 0.22) * hand.height_px
        angle = np.linspace(0, 2 * np.pi, 30)
        ring = np.stack([np.cos(angle), np.sin(angle)], 1)
        if kind == "sun":
            hand.line(ink, centre + size * ring)
            for ray in ring[::4]:
                hand.line(ink, np.stack([centre + 1.3 * size * ray, centre + 1.9 * size * ray]))
        elif kind == "cloud":
            hand.line(ink, centre + size * ring * np.array([2.0, 0.8]) * (1 + 0.15 * np.sin(5 * angle))[:, None])
        elif kind == "hill":
            x = np.linspace(0, columns, 30)
            swell = rng.uniform(0.05, 0.15) * rows * np.sin(x / columns * rng.uniform(2, 7) + rng.uniform(0, 6))
            hand.line(ink, np.stack([x, rng.uniform(0.3, 0.6) * rows + swell], 1))
        elif kind == "word":
            step = np.cumsum(rng.uniform(0.1, 0.3, 14)) * size
            hand.line(ink, centre + np.stack([step, rng.normal(0, 0.3, 14) * size], 1))
        else:
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
            low = np.array([centre[0], rng.uniform(0.5, 0.8) * rows])
            hand.line(ink, low + size * corners * rng.uniform(0.5, 1.5, 2))

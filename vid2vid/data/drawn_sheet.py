"""Photographs of sheets of panels, drawn at random with the truth: for tests, benchmarks and the example.

Convention:
    Corners go clockwise from the upper left one of the drawing, whatever the photograph does to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.data.stick_drawings import Style, draw_frame, paper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Array = NDArray[np.float64]

MARGIN: Final = 0.07
"""White around all panels together, in widths of the paper."""
GUTTER: Final = 0.12
"""White between panels, in widths of a panel."""
_SHIFT: Final = 4


@dataclass(frozen=True, slots=True)
class SheetLook:
    """How a sheet is laid out and photographed."""

    columns: int = 3
    frames: bool = True
    """Whether a line goes around every panel."""
    frame_width: float = 0.008
    """Of that line, in widths of a panel."""
    wobble: float = 0.008
    """How far the line strays, in widths of a panel."""
    opening: float = 0.0
    """Share of a side that is missing at its end."""
    turn_deg: float = 0.0
    tilt: float = 0.0
    """Foreshortening of the far edge, 0 to 0.3."""
    desk: tuple[float, float, float] = (95.0, 72.0, 55.0)
    shadow: float = 0.0
    """Depth of a shadow across the photograph, 0 to 1."""
    blur: float = 0.8
    noise: float = 3.0
    jpeg: int | None = 85


@dataclass(frozen=True, slots=True, eq=False)
class DrawnSheet:
    """A photograph and what is true of it."""

    picture: Picture
    """`(H, W, 3)` uint8."""
    corners: NDArray[np.float32]
    """`(N, 4, 2)` pixels of the photograph: the panels' frames, or the room of each where none is drawn."""


def random_look(rng: np.random.Generator, panels: int) -> SheetLook:
    """Draws a layout and a photograph from the range that people make."""
    fitting = [columns for columns in (2, 3, 4) if columns < panels]
    return SheetLook(
        columns=int(rng.choice(fitting)) if fitting else panels,
        frame_width=float(rng.uniform(0.004, 0.016)),
        wobble=float(rng.uniform(0.0, 0.012)),
        opening=float(rng.uniform(0.01, 0.04)) if rng.random() < 0.25 else 0.0,
        turn_deg=float(rng.uniform(-20, 20)),
        tilt=float(rng.uniform(0, 0.25)),
        desk=tuple(float(v) for v in rng.uniform(25, 150) * rng.uniform(0.6, 1.0, 3)),  # type: ignore[arg-type]
        shadow=float(rng.uniform(0.2, 0.5)) if rng.random() < 0.5 else 0.0,
        blur=float(rng.uniform(0.3, 1.3)),
        noise=float(rng.uniform(1, 7)),
        jpeg=int(rng.integers(60, 95)) if rng.random() < 0.7 else None,
    )


def draw_sheet(
    drawings: NDArray[np.float32],
    height: float,
    panel_size: tuple[int, int],
    style: Style,
    look: SheetLook,
    seed: int = 0,
    photograph_size: tuple[int, int] = (1600, 1200),
    ground: float | None = None,
) -> DrawnSheet:
    """Draws panels on one sheet and photographs it on a desk.

    Args:
        drawings: `(N, F, 11, 2)` pixels of a panel, joints as in `STICK`, in reading order.
        height: standing height of the figures, in the same pixels.
        panel_size: columns and rows of a panel.
        style: of the drawing; its pens go by figure. What it says of lens and light is left to `look`.
        look: layout and photograph.
        seed: of hands and noise.
        photograph_size: columns and rows.
        ground: row of the ground's line in a panel, as `draw_frame` takes it.
    """
    rng = np.random.default_rng((seed, 11))
    figures = drawings.shape[1]
    pens = tuple(style.pens[k % len(style.pens)] for k in range(figures))
    plain = replace(style, pens=pens, shadow=0.0, blur=0.0, noise=0.0, jpeg=None)
    size, boxes = _laid_out(len(drawings), panel_size, look.columns)
    sheet = paper(size, plain)
    for (left, top), joints in zip(boxes, drawings, strict=True):
        room = np.s_[top : top + panel_size[1], left : left + panel_size[0]]
        sheet[room] = draw_frame(np.ascontiguousarray(sheet[room]), joints, height, plain, rng, ground)
    truth = np.array([_corners(box, panel_size, look, rng) for box in boxes])
    if look.frames:
        for corners in truth:
            _draw_frame_line(sheet, corners, panel_size[0], plain, look, rng)
    return _photographed(sheet, truth, look, photograph_size, rng)


def _laid_out(count: int, panel: tuple[int, int], columns: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Size of the paper, and the upper left corner of every panel on it."""
    rows = -(-count // columns)
    step = (round(panel[0] * (1 + GUTTER)), panel[1] + round(panel[0] * GUTTER))
    inner = (step[0] * columns, step[1] * rows)
    margin = round(MARGIN * inner[0])
    size = (inner[0] + 2 * margin, inner[1] + 2 * margin)
    first = (margin + (step[0] - panel[0]) // 2, margin + (step[1] - panel[1]) // 2)
    return size, [(first[0] + step[0] * (k % columns), first[1] + step[1] * (k // columns)) for k in range(count)]


def _corners(box: tuple[int, int], panel: tuple[int, int], look: SheetLook, rng: np.random.Generator) -> Array:
    square = np.array(box) + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * np.array(panel)
    corners: Array = square + rng.normal(0, look.wobble * panel[0], (4, 2)) * look.frames
    return corners


def _draw_frame_line(
    sheet: NDArray[np.float32],
    corners: Array,
    panel_width: int,
    style: Style,
    look: SheetLook,
    rng: np.random.Generator,
) -> None:
    """A frame drawn by hand: sides bow and tremble, ends overshoot or do not meet."""
    width = max(1, round(look.frame_width * panel_width))
    reach = width + round((5 * look.wobble + 0.02) * panel_width)
    low = np.maximum(np.floor(corners.min(0)).astype(int) - reach, 0)
    high = np.ceil(corners.max(0)).astype(int) + reach
    room = sheet[low[1] : high[1], low[0] : high[0]]
    ink = np.zeros(room.shape[:2], np.uint8)
    for start, end in zip(corners - low, np.roll(corners - low, -1, axis=0), strict=True):
        along = np.linspace(-0.01 * rng.random(), 1 - look.opening * rng.random(), 30)[:, None]
        normal = np.array([start[1] - end[1], end[0] - start[0]]) / np.linalg.norm(end - start)
        stray = look.wobble * panel_width * (rng.normal(0, 0.6) + 0.3 * np.sin(along * rng.uniform(5, 20)))
        points = start + (end - start) * along + normal * stray * 4 * along * (1 - along)
        fixed = np.round(points * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(ink, [fixed], False, 255, width, cv2.LINE_AA, _SHIFT)
    cover = ink.astype(np.float32) / 255
    if style.texture:
        cover *= np.clip(1 + style.texture * (rng.standard_normal(cover.shape, np.float32) - 0.3), 0.1, 1)
    room += cover[..., None] * (np.asarray(style.pens[0], np.float32) - room)


def _photographed(
    sheet: NDArray[np.float32], truth: Array, look: SheetLook, size: tuple[int, int], rng: np.random.Generator
) -> DrawnSheet:
    width, height = size
    matrix = _view((sheet.shape[1], sheet.shape[0]), look, size)
    grain = rng.normal(0, 1, (height // 6, 4)).astype(np.float32)
    streaks = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    desk = np.asarray(look.desk, np.float32) * (1 + 0.12 * streaks)[..., None]
    # Area averaging: a photograph does not alias, however large the sheet was drawn.
    shrink = 1 / max(1.0, float(np.sqrt(sheet.shape[0] * sheet.shape[1] / (0.7 * width * height))))
    small = cv2.resize(sheet, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    scaling = np.diag([small.shape[1] / sheet.shape[1], small.shape[0] / sheet.shape[0], 1.0])
    seen = cv2.warpPerspective(small, matrix @ np.linalg.inv(scaling), size, flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(np.ones(small.shape[:2], np.float32), matrix @ np.linalg.inv(scaling), size)[..., None]
    picture = seen + desk * (1 - cover)
    if look.shadow:
        angle, edge, hardness = rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5), rng.uniform(4, 20)
        across = np.cos(angle) * np.linspace(-1, 1, width)[None] + np.sin(angle) * np.linspace(-1, 1, height)[:, None]
        picture = picture * (1 - look.shadow / (1 + np.exp(-(across - edge) * hardness)))[..., None]
    picture = cv2.GaussianBlur(picture, (0, 0), max(look.blur, 0.3))
    picture = picture + look.noise * rng.standard_normal((height, width, 1), np.float32)
    taken = np.clip(picture, 0, 255).astype(np.uint8)
    if look.jpeg is not None:
        taken = np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, look.jpeg])[1], cv2.IMREAD_COLOR),
            np.uint8,
        )
    corners = cv2.perspectiveTransform(truth.reshape(1, -1, 2), matrix).reshape(-1, 4, 2)
    return DrawnSheet(taken, corners.astype(np.float32))


def _view(sheet: tuple[int, int], look: SheetLook, size: tuple[int, int]) -> Array:
    """Homography from the sheet to the photograph: turned, tilted, and as large as fits."""
    half = np.array(sheet) / max(sheet)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    angle = np.radians(look.turn_deg)
    turned = square @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    seen = turned / (1 - look.tilt * turned[:, 1:])  # rows further up are further away
    low, high = seen.min(0), seen.max(0)
    scale = 0.95 * float((np.array(size) / (high - low)).min())
    placed = (seen - (low + high) / 2) * scale + np.array(size) / 2
    source = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * np.array(sheet)
    matrix: Array = cv2.getPerspectiveTransform(source.astype(np.float32), placed.astype(np.float32))
    return matrix

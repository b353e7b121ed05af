"""Pictures for the person who waits: contact sheets with titles, and curves of quality over minutes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.errors import InvalidFrames
from vid2vid.folders import replace_durably

if TYPE_CHECKING:
    from vid2vid.types import Picture

    Colour = tuple[int, int, int]

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_PAPER, _INK, _FAINT, _LINE = (252, 252, 250), (40, 40, 44), (224, 224, 226), (24, 100, 171)
_LINES: Final = (_LINE, (196, 78, 24), (44, 130, 60), (130, 70, 160), (120, 120, 124), (170, 130, 20))
_GAP: Final = 6
_TITLE_ROWS: Final = 26
_TITLES: Final[Mapping[str, str]] = {
    "st_lpips": "ST-LPIPS to the truth (lower is better)",
    "psnr_db": "PSNR in dB (higher is better)",
    "loss": "loss (lower is better)",
}
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 24, 34, 46
"""Margins of a panel in pixels."""


def sheet(rows: Sequence[Sequence[Picture]], titles: Sequence[str]) -> Picture:
    """Lays pictures out in a grid.

    Args:
        rows: each as many `(H, W, 3)` uint8 pictures as there are titles; smaller ones are centred in their cell.
        titles: one for each column.

    Returns:
        `(H', W', 3)` uint8.

    Raises:
        InvalidFrames: no rows, a row of another length, or a picture of another form.
    """
    for row in rows:
        shapes = [picture.shape for picture in row if picture.ndim != 3 or picture.shape[2] != 3]
        if len(row) != len(titles) or shapes or any(picture.dtype != np.uint8 for picture in row):
            raise InvalidFrames(f"A row of the sheet needs {len(titles)} pictures (H, W, 3) of uint8.")
    if not rows or not titles:
        raise InvalidFrames("A sheet needs at least one row and one title.")
    widths = [max(row[column].shape[1] for row in rows) for column in range(len(titles))]
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    whole = (_TITLE_ROWS + sum(heights) + _GAP * len(rows), sum(widths) + _GAP * (len(titles) + 1), 3)
    page = np.full(whole, _PAPER, np.uint8)
    left = _GAP
    for column, (title, width) in enumerate(zip(titles, widths, strict=True)):
        _write(page, title, (left + width // 2, _TITLE_ROWS // 2), "middle", width)
        top = _TITLE_ROWS
        for row, height in zip(rows, heights, strict=True):
            picture = row[column]
            down, across = top + (height - picture.shape[0]) // 2, left + (width - picture.shape[1]) // 2
            page[down : down + picture.shape[0], across : across + picture.shape[1]] = picture
            top += height + _GAP
        left += width + _GAP
    return page


def curve(points: Mapping[str, Sequence[tuple[float, float]]], width: int = 900, panel_rows: int = 300) -> Picture:
    """Draws how values change over minutes, one panel for each.

    Args:
        points: name -> (minutes, value) in order of time; what is not finite is left out.
        width: columns of the picture.
        panel_rows: rows of each panel.

    Returns:
        `(panel_rows * panels, width, 3)` uint8; one empty panel where there are no points.
    """
    last = max((minutes for series in points.values() for minutes, _ in series), default=0.0)
    panels = []
    for name, series in (points or {"": ()}).items():
        finite = [(minutes, value) for minutes, value in series if math.isfinite(value)]
        panels.append(_panel(_TITLES.get(name, name), {"": finite}, last, width, panel_rows, {"": _LINE}))
    return np.concatenate(panels)


def comparison(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], width: int = 900, panel_rows: int = 300
) -> Picture:
    """Draws several lines in each panel, each with its label.

    Args:
        panels: title -> label -> (minutes, value) in order of time; what stands at no minutes alone takes no training
            and is drawn as a level line.
        width: columns of the picture.
        panel_rows: rows of each panel.

    Returns:
        `(panel_rows * panels, width, 3)` uint8; one empty panel where there are none.
    """
    labels = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    colours = {label: _LINES[number % len(_LINES)] for number, label in enumerate(labels)}
    drawn = []
    for title, lines in (panels or {"": {}}).items():
        last = max((minutes for series in lines.values() for minutes, _ in series), default=0.0) or 1.0
        level = {
            label: [(0.0, series[0][1]), (last, series[0][1])]
            if [minutes for minutes, _ in series] == [0.0]
            else list(series)
            for label, series in lines.items()
        }
        drawn.append(_panel(title, level, last, width, panel_rows, colours))
    return np.concatenate(drawn)


def write_png(path: Path, picture: Picture) -> None:
    """Writes an `(H, W, 3)` uint8 sRGB picture; whoever looks meanwhile sees the old file or the new one."""
    done, coded = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    if not done:
        raise InvalidFrames(f"A picture of shape {picture.shape} cannot be written to '{path}'.")
    replace_durably(path, coded.tobytes())


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`, some `about` of them.

    The step is 1, 2 or 5 times a power of ten; equal bounds are moved apart first.
    """
    if high - low < 1e-9 * max(1.0, abs(low)):
        spread = 0.05 * abs(low) or 1.0
        low, high = low - spread, high + spread
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= 0.999 * rough)
    first, final = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    return [number * step for number in range(first, final + 1)]


def _panel(
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    last: float,
    width: int,
    rows: int,
    colours: Mapping[str, Colour],
) -> Picture:
    page = np.full((rows, width, 3), _PAPER, np.uint8)
    values = [value for series in lines.values() for _, value in series] or [0.0, 1.0]
    across, up = ticks(0.0, max(last, 1e-3), 8), ticks(min(values), max(values))
    inner_width, inner_rows = width - _LEFT - _RIGHT, rows - _TOP - _BOTTOM

    def place(minutes: float, value: float) -> tuple[int, int]:
        x = _LEFT + inner_width * (minutes - across[0]) / (across[-1] - across[0])
        y = _TOP + inner_rows * (up[-1] - value) / (up[-1] - up[0])
        return round(x), round(y)

    for value in up:
        x, y = place(across[0], value)
        cv2.line(page, (x, y), (width - _RIGHT, y), _FAINT, 1)
        _write(page, _short(value, up[1] - up[0]), (x - 8, y), "right")
    for minutes in across:
        x, y = place(minutes, up[0])
        cv2.line(page, (x, y), (x, y + 4), _INK, 1)
        _write(page, _short(minutes, across[1] - across[0]), (x, y + 14), "middle")
    cv2.rectangle(page, place(across[0], up[-1]), place(across[-1], up[0]), _INK, 1)
    _write(page, title, (width // 2, _TOP // 2), "middle")
    _write(page, "minutes of training", (width // 2, rows - 12), "middle")
    for label, series in lines.items():
        colour = colours[label]
        dots = [place(minutes, value) for minutes, value in series]
        if dots:
            cv2.polylines(page, [np.asarray(dots, np.int32)], False, colour, 2, cv2.LINE_AA)
        for dot in dots:
            cv2.circle(page, dot, 3, colour, -1, cv2.LINE_AA)
    for number, label in enumerate(label for label in lines if label):
        _write(page, label, (width - _RIGHT - 8, _TOP + 12 + 16 * number), "right", colour=colours[label])
    return page


def _short(value: float, step: float) -> str:
    """A tick's number with as many places as the step between ticks needs."""
    places = max(0, -math.floor(math.log10(step) + 1e-6))
    return f"{value:.{places}f}"


def _write(
    page: Picture,
    text: str,
    at: tuple[int, int],
    anchor: str,
    room: int | None = None,
    colour: Colour = _INK,
) -> None:
    """Writes a line whose middle, or right end, is at a place; smaller where it would be wider than `room`."""
    scale = 0.45
    (wide, high), _ = cv2.getTextSize(text, _FONT, scale, 1)
    if room is not None and wide > room > 0:
        scale *= room / wide
        (wide, high), _ = cv2.getTextSize(text, _FONT, scale, 1)
    left = at[0] - (wide if anchor == "right" else wide // 2)
    cv2.putText(page, text, (left, at[1] + high // 2), _FONT, scale, colour, 1, cv2.LINE_AA)

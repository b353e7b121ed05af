"""Panels of a photographed sheet: all found, in reading order, square, clean; nothing found where nothing is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from vid2vid.conditions.sheet import BOARD_LEVEL, find_panels
from vid2vid.data.drawn_sheet import DrawnSheet, SheetLook, draw_sheet
from vid2vid.data.stick_drawings import Style
from vid2vid.errors import InputError, InvalidFrames

PANEL = (240, 150)
GROUND = 132
BODY = np.array(
    [(0, -84), (0, -70), (0, -42), (8, -58), (12, -45), (-8, -58), (-12, -45), (4, -20), (6, 0), (-4, -20), (-6, 0)]
)
LOOK = SheetLook(turn_deg=8, tilt=0.1, shadow=0.4, wobble=0.006, jpeg=80)
RED, BLUE = (170.0, 30.0, 30.0), (30.0, 40.0, 150.0)


@cache
def sheet(panels: int, style: Style, look: SheetLook, seed: int = 0) -> DrawnSheet:
    """Two figures that walk towards each other, a red and a blue one."""
    figures = [[BODY + np.array([x, GROUND]) for x in (40 + 9 * k, 200 - 9 * k)] for k in range(panels)]
    return draw_sheet(np.array(figures, np.float32), 90, PANEL, style, look, seed, (960, 720), GROUND)


STYLES = {
    "pen": (9, Style(pens=(RED, BLUE), width=0.024, ground_width=1.0), LOOK),
    "ruled": (6, Style(ruling="lines", width=0.02), replace(LOOK, turn_deg=-19)),
    "squared": (4, Style(ruling="grid", width=0.02), replace(LOOK, columns=2, frame_width=0.014)),
    "pencil": (8, Style(pens=((95, 95, 100),), texture=0.6), replace(LOOK, columns=4, turn_deg=-5, opening=0.03)),
    "chalk": (6, Style(pens=((235, 235, 225),), dark=True, texture=0.5, width=0.02), replace(LOOK, turn_deg=3)),
}


@pytest.mark.parametrize("name", STYLES)
def test_all_panels_are_found_in_reading_order(name: str) -> None:
    count, style, look = STYLES[name]
    drawn = sheet(count, style, look)
    panels = find_panels(drawn.picture)
    assert len(panels) == count
    found = np.stack([panel.corners for panel in panels])
    width = np.linalg.norm(drawn.corners[:, 1] - drawn.corners[:, 0], axis=-1).mean()
    assert np.linalg.norm(found - drawn.corners, axis=-1).max() < 0.03 * width
    assert len({panel.picture.shape for panel in panels}) == 1
    assert all(panel.dark == style.dark for panel in panels)


def test_panels_are_clean_and_keep_their_colours() -> None:
    count, style, look = STYLES["pen"]
    for panel in find_panels(sheet(count, style, look).picture):
        picture = panel.picture.astype(int)
        height, width = picture.shape[:2]
        empty = picture[: height // 4]  # the air above the figures, with the frame's upper line and the shadow
        assert np.percentile(empty, 2) > 235
        red = picture[..., 0] - picture[..., 2] > 40
        blue = picture[..., 2] - picture[..., 0] > 40
        assert red.sum() > 100 and blue.sum() > 100
        body = slice(height // 3, round(0.8 * height))  # red is the ground's line too
        assert np.nonzero(red[body])[1].mean() < np.nonzero(blue[body])[1].mean()
        assert abs(width / height - PANEL[0] / PANEL[1]) < 0.25


def test_a_board_becomes_evenly_dark() -> None:
    count, style, look = STYLES["chalk"]
    for panel in find_panels(sheet(count, style, look).picture):
        assert abs(int(np.median(panel.picture)) - BOARD_LEVEL) < 8
        assert np.percentile(panel.picture, 99.5) > 100


def test_drawings_without_frames_in_even_rows() -> None:
    style = Style(ground_width=1.0, width=0.02)
    look = replace(LOOK, frames=False, turn_deg=4, shadow=0.2)
    drawn = sheet(9, style, look)
    panels = find_panels(drawn.picture)
    assert len(panels) == 9
    middles = np.stack([panel.corners.mean(0) for panel in panels])
    assert np.linalg.norm(middles - drawn.corners.mean(1), axis=-1).max() < 60


def test_large_photographs_are_measured_in_their_own_pixels() -> None:
    count, style, look = STYLES["pen"]
    drawn = sheet(count, style, look)
    large = cv2.resize(drawn.picture, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    found = np.stack([panel.corners for panel in find_panels(large)])
    assert np.linalg.norm(found - (drawn.corners * 2 + 0.5), axis=-1).max() < 8


def test_a_sheet_without_panels_is_refused() -> None:
    noise = np.random.default_rng(0).normal(0, 4, (600, 800, 1))
    blank = np.clip(np.full((600, 800, 3), 225) + noise, 0, 255).astype(np.uint8)
    one = blank.copy()
    cv2.rectangle(one, (200, 150), (600, 450), (20, 20, 20), 4)
    for picture in (blank, one):
        with pytest.raises(InputError, match=r"panels were found.*Draw a closed line"):
            find_panels(picture)
    with pytest.raises(InvalidFrames, match="uint8"):
        find_panels(blank[..., 0])

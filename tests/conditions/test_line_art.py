"""Lines lie on edges whatever the style, stay still with the scene, and soften alike whatever pen drew them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from vid2vid.conditions.flow import FlowEstimator, luma
from vid2vid.conditions.line_art import KINDS, LineStyle, extract_lines, find_ink, random_line_style, soften

HEIGHT, WIDTH = 120, 160
BOX = (slice(35, 85), slice(45, 115))


def scene(shift: int = 0) -> np.ndarray:
    """A bright box on dark ground; its edges are the only ones."""
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    picture[BOX[0], BOX[1].start + shift : BOX[1].stop + shift] = (230, 200, 180)
    return picture


def near_edges() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(mask, (BOX[1].start, BOX[0].start), (BOX[1].stop - 1, BOX[0].stop - 1), 1, 7)
    return mask.astype(bool)


@pytest.mark.parametrize("kind", KINDS)
def test_ink_lies_on_edges_and_nowhere_else(kind: str) -> None:
    drawn = extract_lines(scene(), LineStyle(kind=kind))  # type: ignore[arg-type]
    ink = drawn < 128
    assert drawn.shape == (HEIGHT, WIDTH) and drawn.dtype == np.uint8
    assert ink.sum() > 150
    assert not ink[~near_edges()].any()
    rows = ink[BOX[0].start + 8 : BOX[0].stop - 8, BOX[1].start - 4 : BOX[1].start + 5]
    assert rows.any(1).mean() > 0.95, "the left edge is drawn from top to bottom"


def test_an_empty_picture_is_empty_paper() -> None:
    for kind in KINDS:
        plain = np.full((HEIGHT, WIDTH, 3), 130, np.uint8)
        assert extract_lines(plain, LineStyle(kind=kind)).min() == 255


def test_a_style_draws_a_frame_the_same_way_every_time_until_it_is_redrawn() -> None:
    style = LineStyle(gaps=0.2, wobble=0.9, redrawn=3, grain=4.0, seed=5)
    assert np.array_equal(extract_lines(scene(), style, 0), extract_lines(scene(), style, 2))
    assert not np.array_equal(extract_lines(scene(), style, 0), extract_lines(scene(), style, 3))
    other = extract_lines(scene(), replace(style, seed=6), 0)
    assert not np.array_equal(extract_lines(scene(), style, 0), other)


def test_gaps_leave_out_about_their_share() -> None:
    whole = find_ink(extract_lines(scene(), LineStyle())).sum()
    parts = [find_ink(extract_lines(scene(), LineStyle(gaps=0.4, seed=seed))).sum() / whole for seed in range(12)]
    assert 0.4 < float(np.mean(parts)) < 0.85


def test_lines_grow_with_the_picture() -> None:
    large = cv2.resize(scene(), (3 * WIDTH, 3 * HEIGHT), interpolation=cv2.INTER_NEAREST)
    shares = [find_ink(extract_lines(picture)).mean() for picture in (scene(), large)]
    assert shares[1] == pytest.approx(shares[0], rel=0.5)


@pytest.mark.parametrize(
    "paper, ink", [((250, 250, 250), (10, 10, 10)), ((30, 40, 35), (230, 230, 220)), ((235, 225, 200), (40, 60, 190))]
)
def test_ink_is_found_on_any_paper(paper: tuple[int, int, int], ink: tuple[int, int, int]) -> None:
    shadow = np.linspace(1.0, 0.75, WIDTH)[None, :, None]
    page = np.broadcast_to(np.array(paper, np.float64), (HEIGHT, WIDTH, 3)).copy()
    cv2.rectangle(page, (45, 35), (114, 84), ink, 2)
    drawn = np.clip(page * shadow, 0, 255).astype(np.uint8)
    found = find_ink(drawn)
    line = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(line, (45, 35), (114, 84), 1, 2)
    assert found[line == 1].mean() > 0.7
    assert found[~near_edges()].mean() < 0.03


def test_an_empty_page_has_no_ink() -> None:
    noise = np.random.default_rng(0).normal(0.0, 2.0, (HEIGHT, WIDTH))
    assert find_ink(np.clip(240 + noise, 0, 255).astype(np.uint8)).mean() < 0.1


def test_softened_drawings_of_both_polarities_agree() -> None:
    dark = extract_lines(scene(), LineStyle(paper=245.0, ink=20.0))
    light = extract_lines(scene(), LineStyle(paper=15.0, ink=235.0))
    one, two = soften(dark), soften(light)
    assert one.shape == (HEIGHT, WIDTH, 3) and one.dtype == np.uint8
    assert float(np.abs(one.astype(int) - two).mean()) < 2.0
    assert one.max() > 150


def test_planes_reach_ever_farther() -> None:
    soft = soften(extract_lines(scene()))
    spread = [float((soft[..., plane] > 12).mean()) for plane in range(3)]
    assert spread[0] < spread[1] < spread[2]


def test_flow_is_found_between_softened_drawings_in_any_style() -> None:
    rng = np.random.default_rng(2)
    for _ in range(4):
        style = replace(random_line_style(rng), gaps=0.0, redrawn=0)
        now, before = (luma(soften(extract_lines(scene(shift), style))) for shift in (6, 0))
        flow = FlowEstimator("medium")(now, before)
        edge = flow[BOX[0].start + 10 : BOX[0].stop - 10, BOX[1].stop + 4 : BOX[1].stop + 8]
        assert np.median(edge[..., 0]) == pytest.approx(-6.0, abs=1.0), style

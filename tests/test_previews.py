"""Sheets hold their pictures unharmed, curves show values where the axes say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vid2vid.errors import InvalidFrames
from vid2vid.previews import comparison, curve, sheet, ticks, write_png

LINE = np.array((24, 100, 171))


def picture(seed: int, rows: int = 40, columns: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def find(page: np.ndarray, part: np.ndarray) -> tuple[int, int]:
    """Row and column at which a page holds a picture, pixel by pixel."""
    found = cv2.matchTemplate(page, part, cv2.TM_SQDIFF)
    row, column = np.unravel_index(int(found.argmin()), found.shape)
    assert np.array_equal(page[row : row + part.shape[0], column : column + part.shape[1]], part)
    return int(row), int(column)


def test_pictures_stand_in_rows_and_columns() -> None:
    rows = [[picture(1), picture(2), picture(3)], [picture(4), picture(5, rows=20, columns=30), picture(6)]]
    page = sheet(rows, ["source", "output", "truth"])
    places = [[find(page, part) for part in row] for row in rows]
    assert page.dtype == np.uint8
    assert len({row for row, _ in places[0]}) == 1 and places[1][0][0] > places[0][0][0] + 40
    assert [places[0][i][1] == places[1][i][1] for i in range(3)] == [True, False, True]
    assert places[1][1] == (places[1][0][0] + 10, places[0][1][1] + 15)


def test_titles_are_written_above_their_column() -> None:
    parts = [picture(1, columns=100), picture(2, columns=100)]
    blank, titled = sheet([parts], ["", ""]), sheet([parts], ["", "a long title that needs to be made smaller"])
    changed = np.flatnonzero((blank != titled).any((0, 2)))
    rows = np.flatnonzero((blank != titled).any((1, 2)))
    _, left = find(titled, parts[1])
    assert len(changed) and changed.min() >= left - 1 and changed.max() <= left + 100
    assert rows.max() < find(titled, parts[1])[0]


@pytest.mark.parametrize(
    "rows", [[], [[picture(1)]], [[picture(1), picture(2)[..., 0]]], [[picture(1), picture(2).astype(np.float32)]]]
)
def test_sheets_of_another_form_are_refused(rows: list[list[np.ndarray]]) -> None:
    with pytest.raises(InvalidFrames):
        sheet(rows, ["source", "output"])


def dots(panel: np.ndarray) -> np.ndarray:
    return np.argwhere((panel == LINE).all(2))


def test_a_curve_runs_where_the_values_are() -> None:
    """A straight fall from 0.6 to 0.1 over five minutes: half way down in the middle."""
    page = curve({"st_lpips": [(minutes, 0.6 - 0.1 * minutes) for minutes in range(6)]}, width=600, panel_rows=240)
    assert page.shape == (240, 600, 3)
    line = dots(page)
    (top, left), (bottom, right) = line.min(0), line.max(0)
    middle = line[np.abs(line[:, 1] - (left + right) / 2) <= 1][:, 0].mean()
    assert middle == pytest.approx((top + bottom) / 2, abs=2)
    assert line[line[:, 1] < left + 8][:, 0].mean() < line[line[:, 1] > right - 8][:, 0].mean() - 100
    assert right - left > 400


def test_each_value_has_its_panel() -> None:
    points = {"st_lpips": [(0.0, 0.5), (1.0, 0.4)], "psnr_db": [(0.0, 20.0), (1.0, 25.0)]}
    page = curve(points, panel_rows=200)
    assert page.shape[0] == 400
    first, second = dots(page[:200]), dots(page[200:])
    assert first[first[:, 1].argmin()][0] < first[first[:, 1].argmax()][0]
    assert second[second[:, 1].argmin()][0] > second[second[:, 1].argmax()][0]
    assert not np.array_equal(curve({"st_lpips": points["st_lpips"]}), curve({"loss": points["st_lpips"]}))


@pytest.mark.parametrize(
    "points", [{}, {"st_lpips": []}, {"st_lpips": [(0.0, 0.5)]}, {"loss": [(0.0, float("nan")), (1.0, float("inf"))]}]
)
def test_few_or_no_points_are_drawn_all_the_same(points: dict[str, list[tuple[float, float]]]) -> None:
    page = curve(points)
    finite = sum(np.isfinite(value) for series in points.values() for _, value in series)
    assert (len(dots(page)) > 0) == (finite > 0)


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.1, 0.6, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (20.0, 23.3, [20, 21, 22, 23, 24]),
        (0.0, 9.7, [0, 2, 4, 6, 8, 10]),
        (-0.013, 0.011, [-0.015, -0.01, -0.005, 0.0, 0.005, 0.01, 0.015]),
    ],
)
def test_ticks_are_round_and_enclose(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(wanted)


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.3, 25.0, -4.0, 1e12])
def test_ticks_of_one_value_enclose_it(value: float) -> None:
    marks = ticks(value, value)
    assert marks[0] < value < marks[-1] and 3 <= len(marks) <= 12


def test_png_keeps_colours(tmp_path: Path) -> None:
    path = tmp_path / "Überblick.png"
    write_png(path, picture(3))
    read = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(read[..., ::-1], picture(3))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_comparison_gives_each_label_one_colour_in_all_panels() -> None:
    falling, level = [(0.0, 0.8), (4.0, 0.2)], [(0.0, 0.5)]
    page = comparison({"first": {"fit": falling, "flow": level}, "second": {"flow": level}}, panel_rows=240)
    assert page.shape == (480, 900, 3)
    flow = np.array((196, 78, 24))
    upper, lower = (np.argwhere((panel == flow).all(2)) for panel in (page[:240], page[240:]))
    assert upper[:, 1].max() - upper[:, 1].min() > 600, "what takes no training is drawn from side to side"
    assert len(lower) > 600 and not len(dots(page[240:])), "the first label's colour stays its own"
    line = dots(page[:240])
    assert line[line[:, 1].argmin()][0] < line[line[:, 1].argmax()][0] - 100

"""A drawn clip becomes tracks in its own pixels. The nets are stood in for by the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.stick_figures import HEIGHT, RADIUS, drawn, walking
from vid2vid.conditions.ink import contrast_map, find_ink
from vid2vid.conditions.stick_reading import to_grey
from vid2vid.errors import InvalidOption, NoFigures
from vid2vid.motion.stick_paths import distance
from vid2vid.motion.stick_tracks import read_drawing, track_figures
from vid2vid.motion.stick_watch import PackedInk

SIZE = (320, 180)
PEN = 3.0
FAINT = float(torch.logit(torch.tensor(1e-4)))


class Oracle:
    """Both nets, for one figure whose joints it knows frame by frame; the reader errs a little."""

    def __init__(self, joints: list[np.ndarray | None]) -> None:
        self.joints = joints
        self.asked = self.read = 0
        self.rng = np.random.default_rng(0)

    def finder(self, ink: torch.Tensor) -> torch.Tensor:
        scale = 192 / SIZE[0]
        output = torch.full((len(ink), 3, ink.shape[2] // 2, ink.shape[3] // 2), FAINT)
        for maps in output:
            joints = self.joints[self.asked]
            self.asked += 1
            if joints is not None:
                peak(maps[0], *((joints[0] + 0.5) * scale - 0.5), 2.0)
            maps[1], maps[2] = np.log(HEIGHT * scale / 48), np.log(RADIUS * scale / 4)
        return output

    def reader(self, crops: torch.Tensor) -> torch.Tensor:
        output = torch.full((len(crops), 10, 56, 56), FAINT)
        there = [joints for joints in self.joints if joints is not None]
        for maps, crop in zip(output, crops, strict=True):
            joints = there[self.read]
            self.read += 1
            inked = np.flatnonzero(crop[0].numpy().max(1) > 0.5)
            scale = (inked[-1] - inked[0] + 1) / (joints[:, 1].max() - joints[0, 1] + RADIUS + PEN)
            places = 55.5 + (joints[1:] - joints[0]) * scale + self.rng.normal(0, 0.8, (10, 2))
            for joint, place in enumerate(places):
                peak(maps[joint], *place, 3.0)
        return output


def peak(maps: torch.Tensor, x: float, y: float, spread: float) -> None:
    rows, columns = maps.shape
    down, across = torch.arange(rows)[:, None] * 2 + 0.5 - y, torch.arange(columns)[None] * 2 + 0.5 - x
    chance = torch.exp(-(down**2 + across**2) / (2 * spread**2)).clamp(1e-4, 0.99)
    maps += torch.logit(chance) - FAINT


def mean_error(found: np.ndarray, true: np.ndarray) -> float:
    return float(distance(found, true).mean() / HEIGHT)


def test_a_walk_is_tracked() -> None:
    true = [walking(i, 60, 4) for i in range(40)]
    oracle = Oracle(list(true))
    tracks = track_figures((drawn([joints]) for joints in true), oracle.reader, oracle.finder)
    assert tracks.joints.shape == (40, 1, 11, 2) and tracks.joints.dtype == np.float32
    assert tracks.present.all()
    assert mean_error(tracks.joints[:, 0], np.array(true)) < 0.02
    assert np.abs(np.diff(tracks.joints[:, 0], 3, axis=0)).mean() < 0.006 * HEIGHT
    assert tracks.heights[0] == pytest.approx(HEIGHT, rel=0.1)
    assert tracks.ground is not None and tracks.ground[0] == pytest.approx(150, abs=2)


def test_large_frames_are_worked_on_small_and_answered_large() -> None:
    true = [walking(i, 60, 4) for i in range(10)]
    large = (np.repeat(np.repeat(drawn([joints]), 4, 0), 4, 1) for joints in true)
    oracle = Oracle(list(true))
    tracks = track_figures(large, oracle.reader, oracle.finder)
    assert mean_error((tracks.joints[:, 0] + 0.5) / 4 - 0.5, np.array(true)) < 0.025


def test_a_figure_that_comes_late_waits_where_it_will_be() -> None:
    true = [None] * 12 + [walking(i, 60, 4) for i in range(20)]
    oracle = Oracle(true)
    tracks = track_figures((drawn([] if one is None else [one]) for one in true), oracle.reader, oracle.finder)
    np.testing.assert_array_equal(tracks.present[:, 0], [one is not None for one in true])
    np.testing.assert_array_equal(tracks.joints[:12, 0], np.repeat(tracks.joints[12:13, 0], 12, 0))


def test_far_drawings_and_single_ones_are_read() -> None:
    true = [walking(6 * i, 60, 4) for i in range(8)]
    oracle = Oracle(list(true))
    tracks = track_figures((drawn([joints]) for joints in true), oracle.reader, oracle.finder, held=True)
    assert mean_error(tracks.joints[:, 0], np.array(true)) < 0.025
    oracle = Oracle(list(true))
    joints, heights = read_drawing(drawn([true[0]]), oracle.reader, oracle.finder)
    assert joints.shape == (1, 11, 2) and heights.shape == (1,)
    assert mean_error(joints[0], true[0]) < 0.03


def test_no_figure_is_an_error_that_says_what_was_looked_for() -> None:
    oracle = Oracle([None] * 5)
    with pytest.raises(NoFigures, match=r"5 frames.*head"):
        track_figures((drawn([]) for _ in range(5)), oracle.reader, oracle.finder)
    with pytest.raises(NoFigures):
        track_figures(iter(()), oracle.reader, oracle.finder)
    oracle = Oracle([None])
    joints, heights = read_drawing(drawn([]), oracle.reader, oracle.finder)
    assert joints.shape == (0, 11, 2) and heights.shape == (0,)


@pytest.mark.parametrize("count", [0, 5])
def test_a_number_of_figures_out_of_range_is_refused(count: int) -> None:
    oracle = Oracle([])
    with pytest.raises(InvalidOption, match=f"count={count}"):
        track_figures(iter(()), oracle.reader, oracle.finder, count)


def test_ink_is_packed_and_unpacked() -> None:
    ink = find_ink(contrast_map(to_grey(drawn([walking(0, 100, 0)])), HEIGHT), HEIGHT)
    packed = PackedInk.pack(ink)
    np.testing.assert_array_equal(packed.unpack().mask, ink.mask)
    np.testing.assert_array_equal(packed.unpack().ruled, ink.ruled)
    assert len(packed.mask) + len(packed.ruled) < ink.mask.size / 50

"""A part of the picture is searched again where something changed, and not where known people move."""

from __future__ import annotations

import numpy as np
import pytest

from vid2vid.conditions.attention import Attention
from vid2vid.conditions.pose_networks import Landmarks, Region, tiles_of

HEIGHT, WIDTH = 180, 320
TILES = tiles_of(HEIGHT, WIDTH, (1.0,))


def ground() -> np.ndarray:
    return np.random.default_rng(0).integers(90, 160, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def somebody(x: float, y: float = 90.0, size: float = 80.0) -> Landmarks:
    """Who fills the middle third of a region."""
    mask = np.zeros((256, 256), np.float32)
    mask[40:216, 85:171] = 1.0
    region, points = Region(x, y, size, 0.0), np.zeros((33, 2), np.float32)
    return Landmarks(region, points, points[:, 0], points[:, 0], np.zeros((33, 3), np.float32), 1.0, mask, region)


def shown(picture: np.ndarray, x: int) -> np.ndarray:
    result = picture.copy()
    result[62:118, x - 13 : x + 14] = 250
    return result


def test_everything_is_searched_at_first_and_again_after_a_while() -> None:
    attention, still = Attention(), ground()
    found = [len(attention.due(index, still, TILES, [], [])) for index in range(0, 40, 5)]
    assert found == [len(TILES), 0, 0, 0, 0, 0, len(TILES), 0]


def test_whoever_comes_in_is_noticed_where_they_are() -> None:
    attention = Attention()
    attention.due(0, ground(), TILES, [], [])
    due = attention.due(5, shown(ground(), 30), TILES, [], [])
    assert TILES[0] in due and TILES[1] in due and TILES[-1] not in due


def test_somebody_known_moves_without_being_searched_for() -> None:
    attention = Attention()
    for number, x in enumerate(range(60, 260, 20)):
        due = attention.due(2 * number, shown(ground(), x), TILES, [somebody(x)], [])
        assert bool(due) == (number == 0)


@pytest.mark.parametrize("x", [30, 290])
def test_where_somebody_was_lost_is_searched_always(x: int) -> None:
    attention, still = Attention(), ground()
    attention.due(0, still, TILES, [], [])
    due = attention.due(3, still, TILES, [], [Region(x, 90.0, 80.0, 0.0)])
    assert due == [TILES[0], TILES[1 if x < 160 else -1]]

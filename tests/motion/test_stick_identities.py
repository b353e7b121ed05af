"""Figures of drawings far apart keep their number."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stick_figures import HEIGHT, walking
from vid2vid.motion.stick_identities import order_figures


def shuffled(true: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    orders = np.array([rng.permutation(true.shape[1]) for _ in true])
    orders[0] = np.arange(true.shape[1])
    return np.take_along_axis(true, orders[..., None, None], 1), orders


def agrees(found: np.ndarray, orders: np.ndarray) -> bool:
    """Whether each figure is the same one in every drawing."""
    return bool((np.take_along_axis(orders, found, 1) == orders[0][found[0]]).all())


@pytest.mark.parametrize("figures", [2, 3, 4])
def test_figures_that_pass_one_another_keep_their_number(figures: int) -> None:
    starts, speeds = np.array([0, 330, 230, 40])[:figures], np.array([5.0, -5.0, 0.0, 7.0])[:figures]
    true = np.array([[walking(6 * i, x, v) for x, v in zip(starts, speeds, strict=True)] for i in range(11)]) / HEIGHT
    joints, orders = shuffled(true, figures)
    found = order_figures(joints, np.zeros((*joints.shape[:2], 3)))
    np.testing.assert_array_equal(found[0], np.arange(figures))
    assert agrees(found, orders)


def test_figures_that_meet_and_go_back_are_told_by_their_pens() -> None:
    x = np.array([100, 130, 155, 152, 128, 100.0])
    true = np.array([[walking(0, a, 0), walking(0, 310 - a, 0)] for a in x]) / HEIGHT
    joints, orders = shuffled(true, 5)
    pens = np.where(orders[..., None] == 0, [20.0, 0, 0], [50.0, 60, 40])
    assert agrees(order_figures(joints, pens), orders)


def test_one_figure_or_one_drawing_need_no_order() -> None:
    assert order_figures(np.zeros((5, 1, 11, 2)), np.zeros((5, 1, 3))).tolist() == [[0]] * 5
    assert order_figures(np.zeros((1, 3, 11, 2)), np.zeros((1, 3, 3))).tolist() == [[0, 1, 2]]

"""The ground is the line under the feet, or where feet come down."""

from __future__ import annotations

import numpy as np

from tests.stick_figures import HEIGHT, walking
from vid2vid.motion.stick_ground import find_ground

JOINTS = np.array([[walking(i, 100, 2)] for i in range(20)])
PRESENT = np.ones((20, 1), bool)


def test_the_line_by_the_feet_is_the_ground() -> None:
    levels = [[(30.0, 0.0), (150.0, 0.02), (210.0, 0.0)]] * 20
    np.testing.assert_allclose(find_ground(JOINTS, PRESENT, levels, HEIGHT), [150.0, 0.02], atol=1e-4)


def test_without_a_line_feet_tell_it() -> None:
    for levels in ([[]] * 20, [[(30.0, 0.0)]] * 20):
        np.testing.assert_allclose(find_ground(JOINTS, PRESENT, levels, HEIGHT), [150.0, 0.0], atol=1.0)


def test_without_figures_there_is_none() -> None:
    assert find_ground(JOINTS, ~PRESENT, [[]] * 20, HEIGHT) is None

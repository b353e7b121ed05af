"""What stays while the figures move is no figure."""

from __future__ import annotations

import cv2
import numpy as np

from tests.stick_figures import HEIGHT, drawn, walking
from vid2vid.conditions.ink import contrast_map, find_ink
from vid2vid.motion.stick_clutter import find_clutter


def scene(speed: float) -> tuple[list[np.ndarray], np.ndarray]:
    joints = np.array([[walking(6 * i, 40, speed)] for i in range(12)])
    masks = []
    for figures in joints:
        grey = cv2.cvtColor(drawn(list(figures)), cv2.COLOR_RGB2GRAY)
        cv2.rectangle(grey, (150, 95), (175, 120), 30, 2)
        masks.append(find_ink(contrast_map(grey, HEIGHT), HEIGHT).mask)
    return masks, joints


def test_a_box_the_figure_walks_by_is_clutter() -> None:
    masks, joints = scene(3.3)
    clutter = find_clutter(masks, joints, HEIGHT)
    assert clutter is not None
    assert clutter[95:121, 150].all() and clutter[120, 150:176].all()
    assert clutter[:, :140].sum() == 0


def test_a_figure_that_stands_still_is_not() -> None:
    masks, joints = scene(0.0)
    clutter = find_clutter(masks, joints, HEIGHT)
    assert clutter is not None and clutter[:, :140].sum() == 0


def test_few_frames_tell_nothing() -> None:
    masks, joints = scene(3.3)
    assert find_clutter(masks[:3], joints[:3], HEIGHT) is None

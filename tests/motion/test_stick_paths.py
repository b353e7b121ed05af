"""Motion is steady and on the ink though single readings fail."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.stick_figures import HEIGHT, RADIUS, drawn, walking
from vid2vid.conditions.ink import contrast_map, find_ink
from vid2vid.conditions.stick_fit import Evidence, gather_evidence
from vid2vid.motion.skeleton import SWAPPED_ARMS, SWAPPED_LEGS
from vid2vid.motion.stick_paths import (
    best_sequence,
    distance,
    find_paths,
    find_poses,
    letter_limbs,
    nearest_order,
    smooth,
)
from vid2vid.motion.stick_readings import Readings
from vid2vid.motion.stick_untangling import untangle

LENGTH = 24
TRUE = np.array([[walking(i, 50, 4), walking(i + 4, 270, -4)] for i in range(LENGTH)], np.float64) / HEIGHT


def readings_of(joints: np.ndarray, hidden: np.ndarray | None = None) -> Readings:
    shape = joints.shape[:2]
    hidden = np.zeros(shape, bool) if hidden is None else hidden
    heads = joints[:, :, 0].copy()
    return Readings(joints, np.full((*shape, 11), 0.8), heads, np.zeros((*shape, 3)), np.ones(shape, bool), hidden)


def evidence_of(first: int, stop: int) -> Evidence:
    inks, heads = [], []
    for figures in TRUE[first:stop] * HEIGHT:
        grey = cv2.cvtColor(drawn(list(figures)), cv2.COLOR_RGB2GRAY)
        inks.append(find_ink(contrast_map(grey, HEIGHT), HEIGHT))
        heads.append(np.array([[*joints[0], RADIUS] for joints in figures]))
    return gather_evidence(inks, heads, HEIGHT)


def spoilt() -> np.ndarray:
    """Readings with noise, two of which are far off."""
    noise = np.random.default_rng(1).normal(0, 0.02, TRUE.shape)
    noise[:, :, 0] = 0
    joints = TRUE + noise
    joints[9, 0, 3:] += (0.25, -0.15)
    joints[15, 1, 7:] -= (0.3, 0.2)
    return joints


def test_spoilt_readings_are_overruled_by_ink_and_neighbours() -> None:
    joints = spoilt()
    found = find_paths(readings_of(joints), evidence_of)
    assert distance(joints, TRUE).max() > 0.15
    assert distance(found, TRUE).mean() < 0.015
    assert distance(found, TRUE).max() < 0.04


def test_each_way_of_following_is_left_where_it_errs() -> None:
    joints = TRUE.copy()
    joints[0, :, 3:] += (0.25, -0.2)
    joints[-1, :, 3:] -= (0.25, 0.2)
    found = find_paths(readings_of(joints), evidence_of)
    assert distance(found[[0, -1]], TRUE[[0, -1]]).max() < 0.05


def test_the_sequence_is_cheap_and_steady() -> None:
    candidates = np.stack([TRUE, TRUE + 0.3, TRUE - 0.3], 2)[:, :1]
    costs = np.full((LENGTH, 3), 0.1)
    costs[:12, 1], costs[12:, 2], costs[5, 0] = 0.0, 0.0, 0.0
    found = best_sequence(candidates, costs, np.arange(3)[:, None], np.ones((LENGTH, 1), bool))
    np.testing.assert_allclose(found[:12], TRUE[:12, :1] + 0.3)
    np.testing.assert_allclose(found[12:], TRUE[12:, :1] - 0.3)


def test_single_poses_are_drawn_to_the_ink() -> None:
    joints = TRUE + np.random.default_rng(2).normal(0, 0.02, TRUE.shape)
    joints[:, :, 0] = TRUE[:, :, 0]
    found = find_poses(readings_of(joints), evidence_of)
    assert distance(found, TRUE).mean() < 0.7 * distance(joints, TRUE).mean()


@pytest.mark.parametrize("wrong", [False, True])
def test_figures_exchanged_at_a_meeting_are_put_back(wrong: bool) -> None:
    joints, hidden = TRUE.copy(), np.zeros(TRUE.shape[:2], bool)
    meeting = int(np.abs(TRUE[:, 0, 0, 0] - TRUE[:, 1, 0, 0]).argmin())
    stop = min(meeting + 2, LENGTH - 4)
    hidden[stop - 3 : stop] = True
    if wrong:
        joints[stop:] = joints[stop:, ::-1]
    result = untangle(readings_of(joints, hidden), evidence_of)
    np.testing.assert_allclose(result.joints[stop:], TRUE[stop:])


def test_limbs_keep_their_letters() -> None:
    joints = TRUE.copy()
    for frame in (5, 6, 13, 20):
        joints[frame, 0] = joints[frame, 0][list(SWAPPED_ARMS)]
    joints[17:, 1] = joints[17:, 1][:, list(SWAPPED_LEGS)]
    found = letter_limbs(joints, np.ones((LENGTH, 2), bool))
    for figure in (0, 1):
        for order in (range(11), SWAPPED_ARMS, SWAPPED_LEGS, np.array(SWAPPED_ARMS)[list(SWAPPED_LEGS)]):
            if np.allclose(found[:, figure], TRUE[:, figure][:, list(order)]):
                break
        else:
            raise AssertionError(f"Figure {figure} changes its letters")


def test_distance_and_order_do_not_mind_letters() -> None:
    pose = TRUE[3]
    exchanged = pose[:, list(SWAPPED_ARMS)][:, list(SWAPPED_LEGS)]
    np.testing.assert_allclose(distance(exchanged, pose), 0)
    np.testing.assert_allclose(nearest_order(exchanged, pose), pose)
    np.testing.assert_allclose(distance(pose + np.array([0.3, 0.4]), pose), 0.5)
    np.testing.assert_allclose(distance(pose + np.array([0.3, 0.4]), pose, np.full((2, 11), 0.5)), 0.25)


def test_smoothing_takes_out_spikes_without_lag() -> None:
    present = np.ones((LENGTH, 2), bool)
    present[:3, 1] = False
    joints = TRUE.copy()
    joints[10, 0, 4] += 0.5
    found = smooth(joints, present)
    assert np.abs(found[10, 0, 4] - TRUE[10, 0, 4]).max() < 0.06
    np.testing.assert_allclose(found[:, 0, 0], TRUE[:, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(found[:3, 1], joints[:3, 1])

"""Goals have the target's movement and the source's shape, and say so in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.motion.face_figures import make_face, turned
from vid2vid.motion.face_eyes import Eye
from vid2vid.motion.face_goal import frontal, gaze_share, goal_points, neutral_shape, opening, pose_between, with_gaze
from vid2vid.motion.face_mesh import IRISES, LIDS, LIPS, OVAL, TRIANGLES, oriented_areas

CHEEK, NOSE = 50, 4
"""Points well away from the oval and from the lips."""


def looking(points: np.ndarray) -> float:
    """Mean place of the irises to the right of the screen, in widths of an eye."""
    left, right = (Eye.of(points, lids, iris) for lids, iris in zip(LIDS, IRISES, strict=True))
    return float(right.iris[0] - left.iris[0]) / 2


def test_a_pose_is_found_and_undone() -> None:
    face = make_face()
    moved = turned(face, yaw=20, pitch=-10, roll=30, size=1.7) + np.array((40, -20, 5), np.float32)
    pose = pose_between(face, moved)
    assert pose.size == pytest.approx(1.7, rel=1e-3)
    np.testing.assert_allclose(pose(face), moved, atol=0.01)
    np.testing.assert_allclose(pose.undone(moved), face, atol=0.01)
    assert np.linalg.det(pose.turn) == pytest.approx(1.0, abs=1e-4)


def test_the_neutral_shape_knows_no_pose_nor_speech_nor_blinks() -> None:
    random = np.random.default_rng(0)
    clip = []
    for index in range(40):
        face = make_face(eyes=0.02 if index % 8 == 0 else 0.3, mouth=0.5 if index % 3 == 0 else 0.02)
        yaw, pitch, roll = random.uniform(-15, 15, 3)
        clip.append(turned(face, yaw, pitch, roll, random.uniform(0.5, 2)) + random.normal(0, 0.3, (478, 3)))
    shape = neutral_shape(np.array(clip, np.float32))
    np.testing.assert_allclose(shape, frontal(make_face(eyes=0.3, mouth=0.02)), atol=0.02)
    assert np.linalg.norm(shape[33] - shape[263]) == pytest.approx(1.0, abs=0.01)


def test_one_picture_is_enough_and_none_is_not() -> None:
    face = turned(make_face(), yaw=25, roll=10)
    np.testing.assert_allclose(neutral_shape(face), frontal(make_face()), atol=0.01)
    with pytest.raises(ValueError, match="one picture at least"):
        neutral_shape(np.zeros((0, 478, 3), np.float32))


def test_the_goal_of_ones_own_shape_is_the_target() -> None:
    neutral = frontal(make_face())
    target = turned(make_face(eyes=0.1, mouth=0.5, gaze=(0.1, 0)), yaw=15, roll=-20)
    goal = goal_points(target, neutral, neutral)
    np.testing.assert_allclose(goal[:468], target[:468], atol=0.05)
    np.testing.assert_allclose(goal[468:, :2], target[468:, :2], atol=0.05)


def test_the_shape_comes_from_the_source_but_not_at_the_oval() -> None:
    target, source = frontal(make_face()), frontal(make_face(wide=1.2))
    source[NOSE] += (0.0, 0.1, 0.0)
    posed = turned(make_face(), yaw=0, roll=25, size=1.5)
    pose = pose_between(target, posed)
    wanted = pose(pose_between(source, target)(source))
    moves = {
        amount: np.linalg.norm(goal_points(posed, target, source, amount) - posed, axis=1) for amount in (0.0, 0.6, 1.0)
    }
    assert moves[0.6][list(OVAL)].max() < 0.01
    full = np.linalg.norm(wanted - posed, axis=1)
    assert full[NOSE] > 5
    for amount in (0.6, 1.0):
        assert moves[amount][[NOSE, CHEEK]] == pytest.approx(amount * full[[NOSE, CHEEK]], rel=0.1, abs=0.2)
    direction = (goal_points(posed, target, source) - posed)[NOSE] @ (wanted - posed)[NOSE]
    assert direction / (moves[0.6][NOSE] * full[NOSE]) > 0.99


def test_a_smiling_source_smiles_by_the_share_of_the_mouth_only() -> None:
    target, source = frontal(make_face()), frontal(make_face())
    source[[61, 291], 1] -= 0.2
    posed = make_face()
    lifted = {share: (goal_points(posed, target, source, mouth=share) - posed)[61, 1] for share in (0.0, 0.35, 1.0)}
    assert lifted[0.0] == pytest.approx(0, abs=0.3)
    assert lifted[0.35] == pytest.approx(0.35 * lifted[1.0], rel=0.1) and lifted[1.0] < -8


@pytest.mark.parametrize(("theirs", "own"), [(0.5, 0.25), (0.15, 0.3)])
def test_eyes_of_another_size_close_and_do_not_fold(theirs: float, own: float) -> None:
    source, target = frontal(make_face(eyes=theirs)), frontal(make_face(eyes=own))
    open_goal = goal_points(make_face(eyes=own), target, source)
    shut_goal = goal_points(make_face(eyes=0.0), target, source)
    factor = 1 + 0.6 * (min(theirs / own, 1.7) if theirs > own else max(theirs / own, 0.6)) - 0.6
    for lids in LIDS:
        assert opening(open_goal, lids) == pytest.approx(factor * opening(make_face(eyes=own), lids), rel=0.06)
        assert opening(shut_goal, lids) < 0.01
    folded = oriented_areas(shut_goal, TRIANGLES) < -1
    already = oriented_areas(make_face(eyes=0.0), TRIANGLES) < -1
    assert folded.sum() <= already.sum() + 6


def test_a_shut_mouth_stays_shut_and_an_open_one_open() -> None:
    source, target = frontal(make_face(mouth=0.5)), frontal(make_face(mouth=0.02))
    for mouth in (0.0, 0.02, 0.6):
        found = opening(goal_points(make_face(mouth=mouth), target, source), LIPS[0])
        assert found == pytest.approx(opening(make_face(mouth=mouth), LIPS[0]), abs=0.03)


def test_the_gaze_is_the_targets() -> None:
    neutral, source = frontal(make_face()), make_face(gaze=(-0.1, 0.0), wide=1.1)
    for gaze in (-0.15, 0.0, 0.15):
        target = turned(make_face(eyes=0.5, gaze=(gaze, 0.0)), yaw=0, roll=15)
        goal = goal_points(target, neutral, frontal(source))
        assert looking(goal) == pytest.approx(gaze, abs=0.02)
        assert looking(with_gaze(goal, source, target, 1.0)) == pytest.approx(gaze, abs=0.02)
        assert looking(with_gaze(goal, source, target, 0.0)) == pytest.approx(-0.1, abs=0.02)


def test_the_gaze_is_left_alone_where_it_cannot_be_told() -> None:
    source, target = make_face(gaze=(-0.1, 0.0)), make_face(eyes=0.5, gaze=(0.1, 0.0))
    assert gaze_share(source * 2, target * 2) == 1 and gaze_share(source / 3, target * 2) == 0
    assert 0 < gaze_share(source * 0.8, target) < 1
    assert looking(with_gaze(target / 3, source, target / 3)) == pytest.approx(-0.1, abs=0.01)
    shut = make_face(eyes=0.05, gaze=(0.1, 0.0))
    assert looking(with_gaze(shut, source, shut, 1.0)) == pytest.approx(-0.1, abs=0.01)
    wild = make_face(eyes=0.5, gaze=(0.6, 0.0))
    assert looking(with_gaze(wild, source, wild, 1.0)) == pytest.approx(-0.1 + 0.25, abs=0.01)

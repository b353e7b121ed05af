import numpy as np
import pytest

from tests.motion.figures import spread, view
from vid2vid.motion.embody import contralateral, embody, facings
from vid2vid.motion.skeleton import STICK_IN_BODY, SWAPPED_ARMS

FPS = 24.0


def stick(x: float = 0.0, looks: float = 1.0) -> np.ndarray:
    """A standing figure of height 100 whose knees bend and whose hands are held towards `looks`."""
    side = [
        (0, -90),
        (0, -76),
        (0, -48),
        (-3, -60),
        (10, -58),
        (-3, -62),
        (12, -62),
        (5, -25),
        (0, 0),
        (4, -25),
        (-2, 0),
    ]
    return (np.array(side, np.float32) * (looks, 1) + (x, 0)).astype(np.float32)


def test_a_figure_in_the_views_own_pose_gets_the_views_body() -> None:
    seen = view(spread())
    body = embody(seen.joints[list(STICK_IN_BODY)], seen, 1.0)
    np.testing.assert_allclose(body, seen.joints, atol=1e-3)


def test_shoulders_and_thighs_move_rigidly_with_the_spine() -> None:
    seen = view(spread())
    drawn = seen.joints[list(STICK_IN_BODY)]
    turn = np.array(((0, -1), (1, 0)), np.float32)
    body = embody((drawn - drawn[2]) @ turn.T * 0.5 + 100, seen, 0.5)
    np.testing.assert_allclose(body, (seen.joints - seen.joints[2]) @ turn.T * 0.5 + 100, atol=1e-3)


def test_drawn_joints_are_met_and_the_head_has_the_actors_distance() -> None:
    seen = view(spread())
    drawn = seen.joints[list(STICK_IN_BODY)] * (1.0, 1.2)
    body = embody(drawn.astype(np.float32), seen, 1.0)
    np.testing.assert_allclose(body[list(STICK_IN_BODY)[1:]], drawn[1:], atol=1e-3)
    assert np.hypot(*(body[0] - body[1])) == pytest.approx(np.hypot(*(seen.joints[0] - seen.joints[1])), rel=1e-4)


@pytest.mark.parametrize("looks", [1.0, -1.0])
def test_a_single_figure_faces_where_knees_and_hands_point(looks: float) -> None:
    clip = np.stack([stick(looks=looks)] * 30)[:, None]
    np.testing.assert_array_equal(facings(clip, np.float32([100]), FPS), np.full((30, 1), looks))


def test_fighters_face_each_other_and_turn_when_they_have_passed() -> None:
    x = np.linspace(0, 300, 60)
    clip = np.stack([np.stack([stick(at), stick(150, looks=-1.0 if at < 150 else 1.0)]) for at in x])
    found = facings(clip, np.float32([100, 100]), FPS)
    assert (found[:20, 1] == -1).all() and (found[-15:, 1] == 1).all()
    assert (np.diff(found, axis=0) != 0).sum(0).max() <= 1


def test_jitter_does_not_turn_a_figure_round() -> None:
    rng = np.random.default_rng(3)
    clip = np.stack([stick()] * 80)[:, None] + rng.normal(0, 2.0, (80, 1, 11, 2)).astype(np.float32)
    assert (facings(clip, np.float32([100]), FPS) == 1).all()


def test_arms_swing_against_the_legs_of_their_side() -> None:
    phase = np.sin(np.linspace(0, 12, 60))
    clip = np.stack([stick()] * 60)
    for joint, sign in ((4, -1), (6, 1), (8, 1), (10, -1)):
        clip[:, joint, 0] = 20 * sign * phase
    np.testing.assert_array_equal(contralateral(clip), clip)
    np.testing.assert_array_equal(contralateral(clip[:, list(SWAPPED_ARMS)]), clip)


def test_a_figure_that_sways_on_the_spot_does_not_turn_round() -> None:
    upright = stick()
    upright[[3, 4, 5, 6, 7, 8, 9, 10], 0] = 0
    clip = np.stack([upright] * 120)[:, None]
    clip[..., 0] += (8 * np.sin(np.arange(120) / FPS * 2.5))[:, None, None]
    assert len(np.unique(facings(clip, np.float32([100]), FPS))) == 1

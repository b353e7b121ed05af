import numpy as np
import pytest

from vid2vid.motion.bending import bend, box_around, drape

LEG = np.float32(((20, 10), (22, 60), (20, 110)))
BOX = (0, 0, 120, 160)


def at(places: np.ndarray, point: np.ndarray) -> np.ndarray:
    x, y = np.round(point).astype(int)
    return places[y, x]


@pytest.mark.parametrize("step", [1, 2])
def test_an_unbent_limb_stays_where_it_is(step: int) -> None:
    found = bend(LEG, LEG, (8, 8), 1.0, BOX, step)
    y, x = np.mgrid[:160, :120]
    inside = np.s_[3:150, 3:60]
    np.testing.assert_allclose(found.places[inside], np.dstack([x, y])[inside], atol=0.6)
    np.testing.assert_allclose(found.weights.sum(-1)[inside], 1.0, atol=1e-5)


def test_ends_of_bones_come_from_ends_of_bones_at_the_textures_scale() -> None:
    bent = np.float32(((20, 30), (70, 40), (60, 100)))
    source = LEG * 1.5
    found = bend(bent, source, (6, 6), 1.5, BOX, 1)
    for point, origin in ((bent[0], source[0]), (bent[:2].mean(0), source[:2].mean(0)), (bent[2], source[2])):
        np.testing.assert_allclose(at(found.places, point), origin, atol=1.5)
    middle = bent[:2].mean(0)
    across = at(found.places, middle + np.float32((0, 6))) - at(found.places, middle)
    assert np.hypot(*across) == pytest.approx(9, abs=1.0)


def test_skin_outside_a_bent_joint_keeps_its_distance_from_the_bone() -> None:
    bent = np.float32(((20, 80), (70, 80), (70, 130)))
    found = bend(bent, LEG, (8, 8), 1.0, BOX, 1)
    for degrees in range(0, 91, 15):
        angle = np.deg2rad(degrees)
        place = bent[1] + 8 * np.array((np.sin(angle), -np.cos(angle)))
        from_joint = at(found.places, place) - LEG[1]
        assert np.hypot(*from_joint) == pytest.approx(8, abs=1.5)
        assert abs(from_joint[1]) < 5, degrees


def test_a_trunk_follows_its_joints_and_keeps_its_width() -> None:
    trunk = np.float32(((50, 20), (50, 80), (70, 22), (62, 80), (30, 22), (38, 80)))
    turn = np.float32(((0.9063, -0.4226), (0.4226, 0.9063)))
    target = (trunk - trunk[1]) @ turn.T + (60, 100)
    found = drape(target.astype(np.float32), trunk, 1.0, BOX, 4)
    for place, origin in zip(target, trunk, strict=True):
        np.testing.assert_allclose(at(found.places, place), origin, atol=1.2)
    side = np.float32(((50, 20), (50, 80), (51, 22), (50, 80), (49, 22), (50, 80)))
    thin = drape(side, side, 1.0, BOX, 4)
    np.testing.assert_allclose(at(thin.places, np.array((64, 50))), (64, 50), atol=0.6)


def test_a_box_stays_in_the_frame() -> None:
    assert box_around(LEG, 5, (100, 100)) == (15, 5, 13, 95)
    assert box_around(LEG - 500, 5, (100, 100))[2:] == (0, 0)
    assert box_around(LEG, 5, (100, 100), 4)[2:] == (16, 96)

import numpy as np
import pytest

from tests.motion.figures import HEIGHT, LIMBS, spread, view
from vid2vid.motion.actor import View, resized
from vid2vid.motion.limbs import ARM_L, HALF_WIDTHS, LEG_L, evened, exchanged, half_widths, mirrored


def test_a_mirror_image_mirrored_is_the_view() -> None:
    seen = view(spread(), facing=0.4)
    once = mirrored(seen)
    assert once.facing == -0.4
    left_hand = once.joints[5].round().astype(int)
    np.testing.assert_allclose(once.picture[left_hand[1], left_hand[0]], LIMBS[1][1], atol=3)
    twice = mirrored(once)
    np.testing.assert_array_equal(twice.picture, seen.picture)
    np.testing.assert_allclose(twice.joints, seen.joints, atol=1e-4)


def test_exchanging_sides_moves_no_pixel() -> None:
    seen = view(spread())
    other = exchanged(seen)
    np.testing.assert_array_equal(other.joints[5], seen.joints[8])
    assert other.picture is seen.picture


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_joints_stay_on_their_pixels_in_another_size(scale: float) -> None:
    seen = resized(view(spread()), scale)
    for chain, colour, _ in LIMBS:
        x, y = seen.joints[chain[2]].round().astype(int)
        np.testing.assert_allclose(seen.picture[y, x], colour, atol=6)


def test_widths_are_measured() -> None:
    found = half_widths([view(spread())], HEIGHT)
    assert found[ARM_L][1] == pytest.approx(LIMBS[0][2], rel=0.2)
    assert found[LEG_L][0] == pytest.approx(LIMBS[2][2], rel=0.25)
    assert found[LEG_L][2] == HALF_WIDTHS[LEG_L][2]


def test_views_are_brought_to_one_light() -> None:
    seen = view(spread())
    dark = View((seen.picture * 0.7).astype(np.uint8), seen.mask, seen.joints, seen.visibility, seen.depth, seen.facing)
    made = evened([seen, seen, dark])
    np.testing.assert_array_equal(made[0].picture, seen.picture)
    inside = seen.mask > 200
    assert abs(made[2].picture[inside].mean() - seen.picture[inside].mean()) < 3

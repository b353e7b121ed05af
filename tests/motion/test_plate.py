import numpy as np
import pytest

from tests.motion.figures import HEIGHT, STANDING, actor, spread
from vid2vid.errors import InvalidOption
from vid2vid.motion.plate import SOLE, compose, depth_order, fit_plate, light, limb_map, shadows
from vid2vid.motion.puppet import Layer, Puppet

SIZE = (300, 260)
BASE = (spread() + np.array((150, 225))).astype(np.float32)
GREY = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)


def layer(joints: np.ndarray, colour: tuple[int, int, int]) -> Layer:
    rgba = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    left = int(joints[2, 0])
    rgba[50:200, left - 20 : left + 20] = (*colour, 255)
    return Layer(rgba, joints, HEIGHT)


@pytest.mark.parametrize("size", [(480, 270), (270, 480), (960, 540)])
@pytest.mark.parametrize("ground", [0.55, 0.9])
def test_the_plates_ground_meets_the_drawings(size: tuple[int, int], ground: float) -> None:
    plate = np.zeros((400, 700, 3), np.uint8)
    plate[280:] = 255
    fitted = fit_plate(plate, 280 / 400, size, ground * size[1])
    assert fitted.shape == (size[1], size[0], 3)
    horizon = np.argmax(fitted[:, size[0] // 2, 0] > 127)
    assert horizon == pytest.approx(ground * size[1], abs=2)


def test_a_ground_outside_the_plate_is_refused() -> None:
    with pytest.raises(InvalidOption, match="between 0"):
        fit_plate(GREY, 1.4, SIZE, 200)


def test_the_nearer_figure_hides_the_farther_one() -> None:
    far, near = BASE.copy(), BASE + np.float32((10, 30))
    picture = compose(GREY, [layer(near, (255, 0, 0)), layer(far, (0, 0, 255))])
    assert tuple(picture[100, 155]) == (255, 0, 0)
    picture = compose(GREY, [layer(near, (255, 0, 0)), layer(far, (0, 0, 255))], order=[0, 1])
    assert tuple(picture[100, 155]) == (0, 0, 255)


def test_who_strikes_is_before_who_is_struck_and_stays_there() -> None:
    one, other = BASE.copy(), BASE + np.float32((120, 1))
    assert depth_order([one, other], [HEIGHT] * 2) == [0, 1]
    one[5] = other[1:3].mean(0)
    order = depth_order([one, other], [HEIGHT] * 2)
    assert order == [1, 0]
    assert depth_order([BASE, other], [HEIGHT] * 2, order) == order


def test_a_shadow_lies_under_the_feet_and_fades_as_they_leave_the_ground() -> None:
    standing = (STANDING + np.array((150, 200))).astype(np.float32)
    ground = float(standing[11, 1]) + SOLE * HEIGHT
    left = shadows(SIZE, standing, HEIGHT, ground)
    x, y = round(float(standing[11, 0])), round(ground)
    assert left[y, x] < 0.6
    assert left[y - 60, x] == 1.0
    assert left.min() > 0.2
    jumping = shadows(SIZE, standing - np.float32((0, 60)), HEIGHT, ground)
    assert left[y, x] + 0.2 < jumping[y, x] < 1.0


def test_without_figures_the_plate_is_untouched() -> None:
    np.testing.assert_array_equal(compose(GREY, []), GREY)


def test_colours_take_on_some_of_the_scenes_light() -> None:
    gain = light(np.full_like(GREY, 60), GREY)
    assert (gain < 1).all() and (gain > 0.6).all()
    np.testing.assert_allclose(light(GREY, GREY), 1.0)
    picture = compose(GREY, [layer(BASE, (200, 200, 200))], gains=[np.float32((0.5, 1, 1))])
    assert tuple(picture[100, 150]) == (100, 200, 200)


def test_layers_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidOption, match="alike"):
        compose(GREY[:100], [layer(BASE, (1, 2, 3))])


def test_a_puppet_stands_in_the_scene_without_a_dark_rim() -> None:
    shown = Puppet(actor(), HEIGHT, SIZE, mirror=False).pose(BASE)
    picture = compose(np.full_like(GREY, 255), [shown], ground=np.float32((225, 0)))
    bright = np.full_like(GREY, 255)
    assert compose(bright, [shown])[shown.coverage == 0].min() == 255
    rim = (shown.coverage > 0.2) & (shown.coverage < 0.8)
    assert compose(bright, [shown])[rim].max(-1).min() > 120
    assert picture[round(225 + SOLE * HEIGHT)].min() < 200


def test_the_limb_map_tells_sides_and_halves_apart() -> None:
    drawn = limb_map(BASE, HEIGHT, SIZE)
    upper, lower = BASE[[9, 10]].mean(0).round().astype(int), BASE[[10, 11]].mean(0).round().astype(int)
    assert drawn[upper[1], upper[0]].tolist() == [150, 0, 0]
    assert drawn[lower[1], lower[0]].tolist() == [255, 0, 0]
    right = BASE[[7, 8]].mean(0).round().astype(int)
    assert drawn[right[1], right[0]].tolist() == [0, 255, 0]
    with pytest.raises(InvalidOption, match="embody"):
        limb_map(BASE[:11], HEIGHT, SIZE)

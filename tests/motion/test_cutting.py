import numpy as np

from tests.motion.figures import HEIGHT, LIMBS, SKIN, TRUNK, spread, turned, view
from vid2vid.motion.cutting import cut, filled, mirrored_cut
from vid2vid.motion.limbs import ARM_R, CHAINS, HALF_WIDTHS, HEAD, mirrored
from vid2vid.motion.limbs import TRUNK as TRUNK_LIMB


def test_each_limb_is_cut_with_its_own_colours() -> None:
    limbs = cut(view(spread()), HALF_WIDTHS, HEIGHT)
    colours = [colour for _, colour, _ in LIMBS] + [TRUNK, SKIN]
    for cutout, colour in zip(limbs, colours, strict=True):
        solid = cutout.texture[cutout.texture[..., 3] > 250]
        own = np.abs(solid[:, :3].astype(int) - colour).max(-1) < 20
        assert own.mean() > 0.6
        assert cutout.doubt < 0.2


def test_bones_end_where_the_cutout_says() -> None:
    seen = view(spread())
    for limb, cutout in enumerate(cut(seen, HALF_WIDTHS, HEIGHT)[:4]):
        bones = np.diff(cutout.points[:3], axis=0)
        np.testing.assert_allclose(bones, np.diff(seen.joints[list(CHAINS[limb])], axis=0), atol=1e-3)
        x, y = cutout.points[1].round().astype(int)
        assert cutout.texture[y, x, 3] > 250


def test_what_an_arm_hides_is_filled_with_the_trunks_colour() -> None:
    crossed = turned(turned(spread(), (6, 7, 8), -60), (7, 8), -80)
    seen = view(crossed)
    seen.depth[[7, 8]] = -0.15
    limbs = cut(seen, HALF_WIDTHS, HEIGHT)
    trunk = limbs[TRUNK_LIMB]
    middle = (seen.joints[[7, 8]].mean(0) - seen.joints[1] + trunk.points[0]).round().astype(int)
    np.testing.assert_allclose(trunk.texture[middle[1], middle[0]], (*TRUNK, 255), atol=12)
    assert limbs[ARM_R].doubt < 0.5
    assert trunk.doubt > cut(view(spread()), HALF_WIDTHS, HEIGHT)[TRUNK_LIMB].doubt


def test_cutting_a_mirrored_view_and_mirroring_a_cut_are_the_same() -> None:
    seen = view(turned(spread(), (3, 4, 5), -30))
    for one, other in zip(
        cut(mirrored(seen), HALF_WIDTHS, HEIGHT), mirrored_cut(cut(seen, HALF_WIDTHS, HEIGHT)), strict=True
    ):
        assert abs(one.texture[..., 3].astype(int).sum() - other.texture[..., 3].astype(int).sum()) < 2e4
        np.testing.assert_allclose(np.diff(one.points, axis=0), np.diff(other.points, axis=0), atol=0.5)


def test_the_head_does_not_take_the_chest_along() -> None:
    limbs = cut(view(spread()), HALF_WIDTHS, HEIGHT)
    neck = limbs[HEAD].points[0]
    below = limbs[HEAD].texture[min(round(float(neck[1])) + 1, limbs[HEAD].texture.shape[0]) :]
    assert (below[..., 3] > 20).sum() == 0


def test_colours_spread_into_what_is_not_known() -> None:
    colour = np.zeros((40, 60, 3), np.uint8)
    colour[:, :30], colour[:, 30:] = (200, 40, 10), (10, 40, 200)
    known = np.zeros((40, 60), np.float32)
    known[:, :8] = known[:, -8:] = 1
    result = filled(colour, known)
    np.testing.assert_allclose(result[:, :8], colour[:, :8], atol=0.5)
    assert result[20, 12, 0] > 150 and result[20, 48, 2] > 150
    assert 60 < result[20, 30, 0] < 150


def test_a_speck_beside_an_arm_is_not_the_arms() -> None:
    seen = view(spread())
    forearm = seen.joints[[4, 5]]
    along = (forearm[1] - forearm[0]) / np.hypot(*(forearm[1] - forearm[0]))
    x, y = (forearm.mean(0) + 0.057 * HEIGHT * np.array((along[1], -along[0]))).round().astype(int)
    seen.mask[y - 1 : y + 2, x - 1 : x + 2] = 255
    clean = cut(view(spread()), HALF_WIDTHS, HEIGHT)
    for limb, cutout in enumerate(cut(seen, HALF_WIDTHS, HEIGHT)):
        assert abs(cutout.texture[..., 3].sum(dtype=int) - clean[limb].texture[..., 3].sum(dtype=int)) < 255, limb


def test_an_arms_rim_does_not_stay_on_the_trunk() -> None:
    seen = view(turned(turned(spread(), (6, 7, 8), -60), (7, 8), -80))
    seen.depth[[7, 8]] = -0.15
    narrow = [tuple(0.8 * width for width in limb) if number < 2 else limb for number, limb in enumerate(HALF_WIDTHS)]
    trunk = cut(seen, narrow, HEIGHT)[TRUNK_LIMB]
    place = (seen.joints[[7, 8]].mean(0) - seen.joints[1] + trunk.points[0]).round().astype(int)
    beside = trunk.texture[place[1] - 10 : place[1] + 11, place[0], :3].astype(int)
    green = beside[:, 1] - beside[:, 2]
    assert green.max() < 60

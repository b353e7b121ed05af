from itertools import pairwise

import cv2
import numpy as np
import pytest

from tests.motion.figures import HEIGHT, LIMBS, SKIN, TRUNK, actor, picture, spread, turned, view
from vid2vid.motion.actor import Actor
from vid2vid.motion.limbs import SIDES_SWAPPED
from vid2vid.motion.puppet import Puppet
from vid2vid.motion.skeleton import STICK_IN_BODY

SIZE = (300, 260)
BASE = (spread() + np.array((150, 225))).astype(np.float32)
LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = (limb[0] for limb in LIMBS)


def puppet(**options: object) -> Puppet:
    options.setdefault("mirror", False)
    return Puppet(actor(), HEIGHT, SIZE, **options)


def colour_at(rgba: np.ndarray, place: np.ndarray) -> np.ndarray:
    x, y = np.round(place).astype(int)
    return rgba[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 4).mean(0)


POSES = {
    "raised arm": turned(turned(BASE, LEFT_ARM, -90), LEFT_ARM[1:], -60),
    "arm over the trunk": turned(turned(BASE, RIGHT_ARM, -60), RIGHT_ARM[1:], -80),
    "kick": turned(turned(BASE, LEFT_LEG, -70), LEFT_LEG[1:], 60),
    "bent knee": turned(BASE, RIGHT_LEG[1:], 110),
}


def test_the_views_own_pose_gives_the_view_back() -> None:
    colour, mask = picture(BASE, SIZE[::-1])
    shown = puppet().pose(BASE).rgba
    cover = mask[..., None] / 255.0
    error = np.abs(shown[..., :3] - colour * cover)
    assert error.mean() < 1.0
    assert np.abs(shown[..., 3].astype(float) - mask).mean() < 1.5


@pytest.mark.parametrize("pose", POSES.values(), ids=POSES.keys())
def test_limbs_arrive_where_asked_in_their_colours(pose: np.ndarray) -> None:
    shown = puppet().pose(pose).rgba
    for chain, value, _ in LIMBS:
        for joint in (0.6 * pose[chain[0]] + 0.4 * pose[chain[1]], pose[chain[1]], pose[chain[2]]):
            np.testing.assert_allclose(colour_at(shown, joint), (*value, 255), atol=14)


@pytest.mark.parametrize("pose", POSES.values(), ids=POSES.keys())
def test_no_gap_opens_at_a_joint(pose: np.ndarray) -> None:
    shown = puppet().pose(pose).coverage
    for chain, _, _ in LIMBS:
        for start, end in ((chain[0], chain[1]), (chain[1], chain[2])):
            for share in np.linspace(0, 1, 15):
                x, y = np.round(pose[start] + share * (pose[end] - pose[start])).astype(int)
                assert shown[y, x] > 0.95, (chain, share)
        inner = pose[chain[0]] + 0.3 * (pose[2] - pose[chain[0]])
        assert shown[round(inner[1]), round(inner[0])] > 0.95


@pytest.mark.parametrize("pose", POSES.values(), ids=POSES.keys())
def test_nothing_stays_where_the_limb_was(pose: np.ndarray) -> None:
    _, mask = picture(pose, SIZE[::-1])
    allowed = cv2.dilate(mask, np.ones((11, 11), np.uint8))
    left_over = puppet().pose(pose).coverage[allowed == 0]
    assert (left_over > 0.1).sum() < 12


def test_an_arm_before_the_trunk_hides_it_and_does_not_drag_it() -> None:
    before, over = puppet().pose(BASE).rgba, puppet().pose(POSES["arm over the trunk"]).rgba
    free = BASE[2] + 0.35 * (BASE[1] - BASE[2]) + (3, 0)
    np.testing.assert_allclose(colour_at(before, free)[:3], TRUNK, atol=6)
    forearm = POSES["arm over the trunk"][[7, 8]].mean(0)
    np.testing.assert_allclose(colour_at(over, forearm)[:3], LIMBS[1][1], atol=14)
    np.testing.assert_allclose(colour_at(over, BASE[0])[:3], SKIN, atol=6)


def test_a_small_change_of_pose_is_a_small_change_of_the_picture() -> None:
    one = puppet(fade_frames=3)
    last = one.pose(BASE).rgba.astype(float)
    for step in range(1, 40):
        pose = turned(turned(BASE, LEFT_ARM, -3.0 * step), RIGHT_LEG, 1.5 * step)
        shown = one.pose(pose).rgba.astype(float)
        assert np.abs(shown - last).mean() < 2.0, step
        last = shown


def test_another_picture_of_the_actor_comes_in_softly_and_is_held_on_to() -> None:
    kicking = turned(spread(), LEFT_LEG, -75)
    dark = actor(spread(), kicking)
    one = Puppet(dark, HEIGHT, SIZE, fade_frames=4, mirror=False)
    one.pose(BASE)
    assert one.pictures[2] == 0
    kick = turned(BASE, LEFT_LEG, -75)
    shown = [one.pose(kick).rgba.astype(float) for _ in range(8)]
    assert one.pictures[2] == 1
    steps = [np.abs(after - before).mean() for before, after in pairwise(shown)]
    assert max(steps) < 0.5 * np.abs(shown[-1] - shown[0]).mean()
    assert steps[-1] == 0
    halfway = turned(BASE, LEFT_LEG, -36)
    for _ in range(8):
        one.pose(halfway)
    assert one.pictures[2] == 1
    fresh = Puppet(dark, HEIGHT, SIZE, mirror=False)
    fresh.pose(halfway)
    assert fresh.pictures[2] == 0


def test_a_drawn_figure_keeps_its_joints_and_gets_a_trunk() -> None:
    stick = BASE[list(STICK_IN_BODY)]
    layer = puppet().pose(stick, facing=0.0)
    kept = list(STICK_IN_BODY)[1:]
    np.testing.assert_allclose(layer.joints[kept], stick[1:], atol=1e-3)
    np.testing.assert_allclose(layer.joints, BASE, atol=1.0)


def test_the_figure_may_be_of_another_size_and_partly_outside() -> None:
    small = Puppet(actor(), HEIGHT / 2, SIZE, mirror=False)
    pose = (BASE / 2 + (20, 60)).astype(np.float32)
    assert small.pose(pose).coverage.sum() == pytest.approx(puppet().pose(BASE).coverage.sum() / 4, rel=0.06)
    gone = small.pose(pose - np.float32((1000, 0)))
    assert gone.coverage.max() == 0
    cut = small.pose(pose - np.float32((30, 0)))
    assert cut.coverage.sum() > 0


def test_fast_limbs_are_blurred_and_slow_ones_are_not() -> None:
    swung = turned(BASE, LEFT_ARM, -25)
    pictures = {}
    for shutter in (0.0, 0.6):
        one = puppet(shutter=shutter)
        one.pose(BASE)
        pictures[shutter] = one.pose(swung).rgba.astype(float)
    difference = np.abs(pictures[0.6] - pictures[0.0]).mean(-1)
    hand, foot = np.round(swung[5]).astype(int), np.round(swung[11]).astype(int)
    assert difference[hand[1] - 12 : hand[1] + 12, hand[0] - 12 : hand[0] + 12].max() > 30
    assert difference[foot[1] - 12 : foot[1] + 12, foot[0] - 12 : foot[0] + 12].max() == 0


def test_an_actor_who_looks_the_other_way_is_mirrored() -> None:
    one = Actor("limbs", (view(spread(), facing=1.0),), HEIGHT)
    straight = Puppet(one, HEIGHT, SIZE).pose(BASE, facing=1.0).rgba
    flipped = BASE[list(SIDES_SWAPPED)].copy()
    flipped[:, 0] = SIZE[0] - 1 - flipped[:, 0]
    shown = Puppet(one, HEIGHT, SIZE).pose(flipped, facing=-1.0).rgba
    assert np.abs(shown[:, ::-1].astype(float) - straight).mean() < 0.5


@pytest.mark.parametrize(("offset", "colour"), [(-0.2, LIMBS[1][1]), (0.2, TRUNK)])
def test_an_arm_goes_before_or_behind_the_trunk_by_its_depth(offset: float, colour: tuple[int, int, int]) -> None:
    pose, depth = POSES["arm over the trunk"], np.zeros(15, np.float32)
    depth[[7, 8]] = offset
    shown = puppet().pose(pose, depth=depth).rgba
    np.testing.assert_allclose(colour_at(shown, pose[[7, 8]].mean(0))[:3], colour, atol=16)


def test_a_knee_drawn_up_is_before_the_trunk() -> None:
    pose = turned(BASE, LEFT_LEG, 168)
    shown = puppet().pose(pose).rgba
    np.testing.assert_allclose(colour_at(shown, pose[[9, 10]].mean(0))[:3], LIMBS[2][1], atol=14)


def test_a_foot_lies_flat_on_the_ground_and_is_stiff_in_the_air() -> None:
    seen = view(spread())
    x, y = seen.joints[11].round().astype(int)
    for image, value in ((seen.picture, LIMBS[2][1]), (seen.mask, 255)):
        cv2.line(image, (int(x), int(y)), (int(x + 0.1 * HEIGHT), int(y)), value, round(0.05 * HEIGHT))
    one = Puppet(Actor("foot", (seen,), HEIGHT), HEIGHT, SIZE, mirror=False)
    pose = turned(BASE, LEFT_LEG[1:], 50)
    toes = np.round(pose[11] + (0.1 * HEIGHT, 0)).astype(int)
    standing = one.pose(pose, ground=float(pose[11, 1])).coverage
    hanging = one.pose(pose, ground=float(pose[11, 1] + HEIGHT)).coverage
    assert standing[toes[1], toes[0]] > 0.9
    assert hanging[toes[1], toes[0]] < 0.1


def test_joints_in_one_place_are_shown_somehow() -> None:
    pose = next(iter(POSES.values())).copy()
    pose[1:] = pose[1]
    assert np.isfinite(puppet().pose(pose).rgba.astype(float)).all()

"""Actors on a scene: who was away comes back sharp, shadows as strong as asked, the camera takes the ground along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vid2vid_tasks.sketch_to_scene.casting import Scene, make_cast
from vid2vid_tasks.sketch_to_scene.options import Options
from vid2vid_tasks.sketch_to_scene.performance import Performance
from vid2vid_tasks.sketch_to_scene.staging import Stage

from vid2vid.motion.actor import Actor, View
from vid2vid.motion.skeleton import STICK_IN_BODY, Tracks
from vid2vid.types import Event

SIZE = (320, 180)
HEIGHT = 80.0
GROUND = 150.0


def standing(actor: Actor, x: float) -> np.ndarray:
    """`(11, 2)`: the pose of the actor's first picture, its feet on the ground at x."""
    view: View = actor.views[0]
    joints = view.joints[list(STICK_IN_BODY)] * HEIGHT / actor.height
    foot = np.asarray([x - joints[2, 0], GROUND - joints[[8, 10], 1].max()])
    return np.asarray(joints + foot, np.float32)


@pytest.fixture(scope="module")
def actor() -> Actor:
    return make_cast((), 1, Options(actors="woman")).actors[0]


def performance(actor: Actor, paths: list[list[float | None]]) -> Performance:
    """Figures that stand, at these places in every frame; None where they are away."""
    places = [[x if x is not None else 40.0 for x in path] for path in paths]
    joints = np.stack([[standing(actor, x) for x in frame] for frame in zip(*places, strict=True)])
    present = np.array([[x is not None for x in frame] for frame in zip(*paths, strict=True)])
    tracks = Tracks(joints, present, np.full(len(paths), HEIGHT, np.float32), np.array([GROUND, 0.0], np.float32))
    facing = -np.ones(present.shape, np.float32)
    count = len(present)
    return Performance(tracks, facing, (), count, False, 24.0, tuple(t / 24 for t in range(count)))


def staged(actor: Actor, paths: list[list[float | None]], **options: object) -> Stage:
    scene = Scene(np.full((180, 320, 3), 200, np.uint8), 0.85)
    acting = performance(actor, paths)
    return Stage(acting, [actor] * len(paths), scene, SIZE, replace(Options(), **options))


def test_who_comes_back_elsewhere_is_not_blurred_across_the_picture(actor: Actor) -> None:
    stage = staged(actor, [[60.0, None, None, 240.0]], shutter=1.0)
    first, _, gone, back = (stage.frame(index) for index in range(4))
    assert not gone.cover.any()
    assert (back.cover > 0.1).sum() < 1.1 * (first.cover > 0.1).sum()


def test_shadows_are_as_strong_as_asked(actor: Actor) -> None:
    shades = []
    for strength in (0.0, 0.3, 1.0, 2.0):
        shown = staged(actor, [[160.0]], shadows=strength).frame(0)
        ground = shown.picture[148:162, 130:190].astype(float).mean(-1)[shown.cover[148:162, 130:190] == 0.0]
        shades.append(float(ground.min()))
    assert shades[0] == 200.0
    assert shades[0] > shades[1] > shades[2] > shades[3] >= 0.0


def test_the_camera_that_follows_keeps_feet_on_their_ground(actor: Actor) -> None:
    scene = Scene(np.random.default_rng(0).integers(0, 255, (180, 640, 3), np.uint8), 0.85)
    acting = performance(actor, [[60.0 + 5.3 * t for t in range(40)]])
    stage = Stage(acting, [actor], scene, SIZE, Options(camera="follow", shadows=0.0, shutter=0.0))
    frames = [stage.frame(index) for index in range(40)]
    middles = [float(np.nonzero(frame.cover.max(0) > 0.5)[0].mean()) for frame in frames]
    assert max(abs(x - 160) for x in middles[15:25]) < 12, "the figure stays in the middle"
    one, other = frames[20], frames[21]
    behind = (one.cover == 0.0) & np.all([np.roll(other.cover, shift, 1) == 0.0 for shift in (4, 5, 6)], axis=0)
    behind[:, :8] = behind[:, -8:] = False
    apart = [np.abs(one.picture.astype(int) - np.roll(other.picture, shift, 1))[behind].mean() for shift in (4, 5, 6)]
    assert min(apart) == 0.0, "the scene goes by in whole pixels"


def test_sounds_come_from_where_the_camera_sees_them(actor: Actor) -> None:
    stage = staged(actor, [[300.0] * 10], camera="follow")
    heard = stage.heard(Event("footfall", 0.2, position=(300 / 320, 0.8)))
    assert heard.position is not None and heard.position[0] == pytest.approx(0.5, abs=0.05)
    still = staged(actor, [[300.0] * 10])
    assert still.heard(Event("footfall", 0.2, position=(0.9, 0.8))).position == (0.9, 0.8)


def test_the_order_of_depth_stays_with_its_figures(actor: Actor) -> None:
    """Two who stand on the same spot keep their order while a third, drawn before them, comes and goes."""
    stage = staged(actor, [[40.0, None, 40.0], [200.0] * 3, [215.0] * 3])
    orders = []
    for index in range(3):
        stage.frame(index)
        orders.append([figure for figure in stage._order if figure])
    assert orders[0] == orders[1] == orders[2]

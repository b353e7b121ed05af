"""Events are found in skeletons when they happen, and nothing where nothing does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vid2vid.data.drawn_fights import make_fight
from vid2vid.data.fight_moves import load_moves
from vid2vid.motion.drawn_events import detect_events_at_drawings
from vid2vid.motion.events import detect_events
from vid2vid.motion.skeleton import FOOT_A, FOOT_B, HAND_A, HIP, KNEE_A, KNEE_B, Tracks
from vid2vid.types import Event

MOTION = Path(__file__).parents[2] / "examples/assets/motion"
SIZE, HEIGHT_PX, GROUND_PX = (640, 360), 150.0, 300.0
STANDING = np.array(
    [(0, 0.9), (0, 0.8), (0, 0.5), (0.1, 0.65), (0.15, 0.5), (-0.1, 0.65), (-0.15, 0.5), (0.05, 0.25), (0.08, 0),
     (-0.05, 0.25), (-0.08, 0)]
)  # fmt: skip
"""In standing heights, y upwards, the feet on the ground."""


def figure(x: float, seconds: float = 3.0, fps: float = 24.0) -> np.ndarray:
    """Somebody who stands at x: `(T, 11, 2)` in standing heights."""
    return np.repeat(STANDING[None] + (x, 0), round(seconds * fps), 0)


def tracks(*figures: np.ndarray, noise: float = 0.005) -> Tracks:
    joints = np.stack(figures, 1) * (HEIGHT_PX, -HEIGHT_PX) + (SIZE[0] / 2, GROUND_PX)
    joints += np.random.default_rng(3).normal(0, noise * HEIGHT_PX, joints.shape)
    count = len(figures)
    present, heights = np.ones(joints.shape[:2], bool), np.full(count, HEIGHT_PX, np.float32)
    return Tracks(joints.astype(np.float32), present, heights, np.array([GROUND_PX, 0], np.float32))


def times(path: np.ndarray, fps: float) -> np.ndarray:
    return np.arange(len(path)) / fps


def punching(path: np.ndarray, at_s: float, reach: float, fps: float = 24.0) -> np.ndarray:
    """The hand goes out within a sixth of a second, is `reach` before the hip at `at_s`, and comes back."""
    out = np.interp(times(path, fps), [at_s - 0.16, at_s, at_s + 0.06, at_s + 0.4], [0, 1, 1.15, 0])
    result = path.copy()
    result[:, HAND_A] += out[:, None] * ((reach, 0.75) - STANDING[HAND_A])
    result[:, HAND_A - 1] += out[:, None] * ((reach / 2, 0.75) - STANDING[HAND_A - 1])
    return result


def thrown(path: np.ndarray, at_s: float, speed: float, rise_s: float = 0.06, fps: float = 24.0) -> np.ndarray:
    """All of the body but the feet goes off along x."""
    fine = np.arange(0, len(path) / fps, 0.001)
    gained = speed * np.clip((fine - at_s) / rise_s, 0, 1) * np.exp(-np.maximum(fine - at_s - rise_s, 0) / 0.15)
    way = np.interp(times(path, fps), fine, np.cumsum(gained) * 0.001)
    result = path.copy()
    result[..., 0] += way[:, None] * np.array([1] * 7 + [0.5, 0, 0.5, 0])
    return result


def of_kind(found: tuple[Event, ...], kind: str) -> list[Event]:
    return [event for event in found if event.kind == kind]


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0])
@pytest.mark.parametrize("at_s", [1.0, 1.51])
def test_a_punch_is_heard_when_it_lands(fps: float, at_s: float) -> None:
    striker = punching(figure(-0.5, fps=fps), at_s, 0.47, fps)
    struck = thrown(figure(0.0, fps=fps), at_s, 1.5, fps=fps)
    (blow,) = of_kind(detect_events(tracks(striker, struck), fps, SIZE), "impact")
    assert blow.time_s == pytest.approx(at_s, abs=0.042)
    assert blow.figure == 1
    assert blow.position == pytest.approx((0.5, (GROUND_PX - 0.8 * HEIGHT_PX) / SIZE[1]), abs=0.06)
    assert 0.3 < blow.strength <= 1


def test_a_blow_is_heard_though_the_arm_is_lost_at_contact() -> None:
    striker = punching(figure(-0.5), 1.2, 0.47)
    striker[29:, HAND_A - 1 : HAND_A + 1] = striker[0, HAND_A - 1 : HAND_A + 1]
    (blow,) = of_kind(detect_events(tracks(striker, thrown(figure(0.0), 1.2, 2.0)), 24, SIZE), "impact")
    assert blow.time_s == pytest.approx(1.2, abs=0.042)
    alone = figure(-0.5), thrown(figure(0.0), 1.2, 2.0)
    assert not of_kind(detect_events(tracks(*alone), 24, SIZE), "impact")


def test_a_harder_blow_is_stronger_and_may_come_from_the_right() -> None:
    def strength(speed: float) -> float:
        striker = (punching(figure(-0.5), 1.2, 0.47) * (-1, 1), thrown(figure(0.0), 1.2, speed) * (-1, 1))
        return of_kind(detect_events(tracks(*striker), 24, SIZE), "impact")[0].strength

    assert strength(1.8) > strength(1.0) + 0.15


@pytest.mark.parametrize(
    ("reach", "speed"), [(0.47, 0.0), (0.2, 1.5), (0.47, -1.5)], ids=["nobody moves", "too far off", "comes nearer"]
)
def test_what_is_no_blow_is_not_heard(reach: float, speed: float) -> None:
    striker = punching(figure(-0.5), 1.2, reach)
    assert not of_kind(detect_events(tracks(striker, thrown(figure(0.0), 1.2, speed)), 24, SIZE), "impact")


def test_who_sets_off_slowly_beside_a_moving_hand_was_not_struck() -> None:
    walker = thrown(figure(0.0), 0.9, 1.0, rise_s=0.7)
    assert not of_kind(detect_events(tracks(punching(figure(-0.5), 1.2, 0.47), walker), 24, SIZE), "impact")


@pytest.mark.parametrize("speed", [0.48, 1.2])
def test_who_walks_into_a_hand_and_stops_was_not_struck(speed: float) -> None:
    walker = figure(0.0)
    walker[..., 0] += speed * np.maximum(1.2 - times(walker, 24), 0)[:, None]
    assert not of_kind(detect_events(tracks(punching(figure(-0.5), 1.2, 0.47), walker), 24, SIZE), "impact")


def test_who_hardly_moves_was_not_struck() -> None:
    swaying = thrown(figure(0.0), 1.2, 0.2)
    assert not of_kind(detect_events(tracks(punching(figure(-0.5), 1.2, 0.47), swaying), 24, SIZE), "impact")


def test_of_three_the_right_one_is_struck() -> None:
    people = (figure(-1.5), punching(figure(-0.5), 1.2, 0.47), thrown(figure(0.0), 1.2, 1.5))
    assert [event.figure for event in of_kind(detect_events(tracks(*people), 24, SIZE), "impact")] == [2]


def test_a_fall_is_heard_when_the_body_meets_the_ground_and_a_crouch_is_not() -> None:
    path = figure(0.0)
    lying = STANDING[:, ::-1] * (1.0, 0.1) + (0.5, 0.05)
    share = np.clip((times(path, 24) - 1.0) / 0.4, 0, 1)[:, None, None] ** 2
    (fall,) = of_kind(detect_events(tracks(path * (1 - share) + lying * share), 24, SIZE), "fall")
    assert fall.time_s == pytest.approx(1.4, abs=0.042)
    assert fall.figure == 0
    crouching = path * (1 - share * (0, 0.4))
    assert not of_kind(detect_events(tracks(crouching), 24, SIZE), "fall")


def test_who_rolls_and_is_up_again_did_not_fall() -> None:
    path, lying = figure(0.0), STANDING[:, ::-1] * (1.0, 0.1) + (0.5, 0.05)
    share = np.interp(times(path, 24), [1.0, 1.4, 1.6, 2.0], [0, 1, 1, 0])[:, None, None]
    assert not of_kind(detect_events(tracks(path * (1 - share) + lying * share), 24, SIZE), "fall")


def test_a_jump_lands_once() -> None:
    path = figure(0.0)
    time = times(path, 24)
    path[..., 1] += np.where((time > 1) & (time < 1.5), 8 * (time - 1) * (1.5 - time), 0)[:, None] * 0.6
    found = detect_events(tracks(path), 24, SIZE)
    (landing,) = of_kind(found, "landing")
    assert landing.time_s == pytest.approx(1.5, abs=0.042)
    assert not of_kind(found, "footfall")


def test_a_walk_is_heard_step_by_step() -> None:
    path = figure(-1.0)
    time = times(path, 24)
    path[..., 0] += 0.7 * time[:, None]
    for offset, knee, foot in ((0.0, KNEE_A, FOOT_A), (0.5, KNEE_B, FOOT_B)):
        phase = time - offset
        swing = np.clip((phase % 1.0) / 0.5, 0, 1)
        path[:, foot, 0] = -1.0 + STANDING[foot, 0] + 0.7 * (np.floor(phase) + swing)
        path[:, foot, 1] = 0.12 * np.sin(np.pi * swing)
        path[:, knee] = (path[:, foot] + path[:, HIP]) / 2
    steps = of_kind(detect_events(tracks(path), 24, SIZE), "footfall")
    assert [step.time_s for step in steps] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5], abs=0.06)
    assert not of_kind(detect_events(tracks(path, figure(0.2)), 24, SIZE), "impact")


def test_a_foot_that_pauses_in_the_air_is_heard_when_it_comes_down() -> None:
    path = figure(0.0)
    path[:, FOOT_A, 1] = np.interp(times(path, 24), [0.5, 0.8, 1.4, 1.6], [0, 0.15, 0.15, 0])
    (step,) = of_kind(detect_events(tracks(path), 24, SIZE), "footfall")
    assert step.time_s == pytest.approx(1.6, abs=0.06)


def test_a_fast_hand_swishes_and_a_slow_one_does_not() -> None:
    fast = of_kind(detect_events(tracks(punching(figure(0.0), 1.2, 0.6)), 24, SIZE), "whoosh")
    assert [event.time_s for event in fast] == pytest.approx([1.12], abs=0.06)
    path = figure(0.0)
    path[:, HAND_A, 0] += 0.2 * np.sin(2 * np.pi * times(path, 24))
    assert not of_kind(detect_events(tracks(path), 24, SIZE), "whoosh")


def test_too_few_frames_hold_nothing() -> None:
    assert detect_events(tracks(figure(0.0, seconds=4 / 24)), 24, SIZE) == ()


def test_fights_never_tuned_on() -> None:
    moves = load_moves(MOTION)
    errors, true, spurious, seconds = {"impact": [], "fall": []}, 0, 0, 0.0
    for seed in range(500_000, 500_012):
        fight = make_fight(moves, seed, figures=2)
        noise = np.random.default_rng(seed).normal(0, 0.01, fight.tracks.joints.shape)
        joints = fight.tracks.joints + noise * fight.tracks.heights[None, :, None, None]
        noisy = Tracks(joints.astype(np.float32), fight.tracks.present, fight.tracks.heights, fight.tracks.ground)
        found = detect_events(noisy, float(fight.fps), fight.size)
        seconds += fight.tracks.length / float(fight.fps)
        for kind, gaps in errors.items():
            wanted, heard = of_kind(fight.events, kind), of_kind(found, kind)
            near = [min((abs(e.time_s - w.time_s) for e in heard if e.figure == w.figure), default=9) for w in wanted]
            gaps += [gap for gap in near if gap < 0.15]
            true += len(wanted)
            spurious += len(heard) - sum(gap < 0.15 for gap in near)
    gaps = [gap for of_one in errors.values() for gap in of_one]
    assert true > 30
    assert len(gaps) >= 0.95 * true
    assert np.mean(gaps) < 0.02
    assert np.percentile(gaps, 95) < 0.042
    assert spurious * 10 / seconds < 1


def test_drawings_far_apart_tell_by_contact_and_what_comes_after() -> None:
    at_s = [0.0, 0.25, 0.5, 0.75, 1.0]
    striker, struck = figure(-0.5, 5, 1), figure(0.0, 5, 1)
    striker[2, HAND_A] = (-0.04, 0.75)
    struck[3:, :, 0] += 0.3
    (blow,) = of_kind(detect_events_at_drawings(tracks(striker, struck), at_s, SIZE), "impact")
    assert (blow.time_s, blow.figure) == (0.5, 1)
    missed = detect_events_at_drawings(tracks(striker, figure(0.0, 5, 1)), at_s, SIZE)
    assert not of_kind(missed, "impact")
    assert [event.time_s for event in of_kind(missed, "whoosh")] == pytest.approx([0.375, 0.625])


def test_drawings_far_apart_show_who_has_fallen() -> None:
    path = figure(0.0, 5, 1)
    path[3:] = STANDING[:, ::-1] * (1.0, 0.1) + (0.5, 0.05)
    (fall,) = of_kind(detect_events_at_drawings(tracks(path), [0, 0.25, 0.5, 0.75, 1], SIZE), "fall")
    assert 0.5 <= fall.time_s <= 0.75

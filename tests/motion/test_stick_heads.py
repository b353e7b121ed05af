"""Heads keep their figure while they cross, hide one another, come and go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vid2vid.conditions.stick_nets import FoundHead
from vid2vid.motion.stick_cast import Cast, settle
from vid2vid.motion.stick_heads import HeadFollower

SIZE = (480, 270)
HEIGHT, RADIUS = 110.0, 8.0
INK = np.array([20.0, 0.0, 0.0])


def head(x: float, y: float = 120.0, score: float = 0.95) -> FoundHead:
    return FoundHead(x, y, HEIGHT, RADIUS, score)


def follow(
    frames: list[list[FoundHead]], count: int | None = None, held: bool = False, pens: Callable | None = None
) -> Cast | None:
    follower = HeadFollower(SIZE, held=held)
    for number, heads in enumerate(frames):
        follower.step(number, heads, [pens(one) if pens else INK for one in heads])
    return settle(follower.trails, len(frames), count, 4)


def merged(one: float, other: float) -> list[FoundHead]:
    """What is found of two heads: one, while they are nearer than their size."""
    if abs(one - other) < 1.3 * RADIUS:
        return [head((one + other) / 2)]
    return [head(one), head(other)]


def test_heads_that_pass_one_another_go_on() -> None:
    paths = np.stack([100 + 5.0 * np.arange(50), 340 - 5.0 * np.arange(50)], 1)
    cast = follow([merged(*row) for row in paths])
    assert cast is not None and cast.heads.shape == (50, 2, 2)
    np.testing.assert_allclose(cast.heads[:, :, 0], paths, atol=RADIUS)
    assert cast.present.all()
    assert cast.hidden.any() and not cast.hidden[:10].any()


def test_two_heads_side_by_side_are_not_exchanged() -> None:
    sway = 3 * np.sin(np.arange(40) * 0.5)
    cast = follow([[head(200 + s), head(222 - s)] for s in sway])
    assert cast is not None
    np.testing.assert_allclose(cast.heads[:, 0, 0], 200 + sway)


def test_a_head_missed_for_some_frames_is_bridged() -> None:
    frames = [[head(100 + 2 * i), head(300)] if not 10 <= i < 16 else [head(300)] for i in range(30)]
    cast = follow(frames)
    assert cast is not None and cast.present.all()
    np.testing.assert_allclose(cast.heads[:, 0, 0], 100 + 2 * np.arange(30), atol=0.5)


def test_figures_come_and_go() -> None:
    frames = [[head(200)] + ([head(476 - 6 * (i - 20))] if 20 <= i < 50 else []) for i in range(80)]
    cast = follow(frames)
    assert cast is not None and cast.heads.shape[1] == 2
    assert cast.present[:, 0].all()
    np.testing.assert_array_equal(np.flatnonzero(cast.present[:, 1]), np.arange(20, 50))


def test_a_figure_that_comes_back_is_the_same() -> None:
    gone = [[head(200)] + ([head(460)] if i < 20 or i >= 50 else []) for i in range(80)]
    cast = follow(gone)
    assert cast is not None and cast.heads.shape[1] == 2
    assert cast.present[:20, 1].all() and cast.present[50:, 1].all() and not cast.present[25:45, 1].any()


def test_what_looks_like_a_head_in_some_frames_is_none() -> None:
    frames = [
        [head(200), head(300)] + ([head(100, 60, 0.6)] if i % 9 == 0 else []) + [head(215, 170, 0.35)]
        for i in range(60)
    ]
    cast = follow(frames)
    assert cast is not None and cast.heads.shape[1] == 2
    np.testing.assert_allclose(cast.heads[:, :, 0], np.tile([200, 300], (60, 1)))


def test_the_number_can_be_told() -> None:
    cast = follow([[head(100), head(200), head(300, score=0.8)]] * 20, count=2)
    assert cast is not None
    np.testing.assert_allclose(cast.heads[0, :, 0], [100, 200])


def test_nothing_is_no_figure() -> None:
    assert follow([[]] * 10) is None
    assert follow([[head(100, score=0.3)]] * 10) is None


def test_far_steps_are_followed_between_held_drawings_only() -> None:
    frames = [[head(100 + 90 * i), head(420)] for i in range(3)]
    held, plain = follow(frames, held=True), follow(frames)
    assert held is not None and plain is not None
    np.testing.assert_allclose(held.heads[:, 0, 0], [100, 190, 280])
    assert plain.heads[2, 0, 0] != 280


def test_pens_tell_heads_apart_in_one_place() -> None:
    red = np.array([50.0, 60.0, 40.0])
    frames = [[head(200), head(210)], [head(204), head(206)], [head(206), head(204)], [head(220), head(190)]]
    frames = [[FoundHead(a.x, 120, HEIGHT, 8.0, 0.95), FoundHead(b.x, 120, HEIGHT, 8.1, 0.95)] for a, b in frames]
    cast = follow(frames * 1, count=2, held=True, pens=lambda one: red if one.radius == 8.0 else INK)
    assert cast is not None
    np.testing.assert_allclose(cast.heads[:, 0, 0], [200, 204, 206, 220])

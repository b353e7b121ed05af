"""Over a whole clip every head goes to its figure, whatever was taken for a head in between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vid2vid.conditions.stick_nets import FoundHead
from vid2vid.motion.stick_association import Heads, associate
from vid2vid.motion.stick_cast import Cast
from vid2vid.motion.stick_heads import HeadFollower
from vid2vid.motion.stick_naming import Sightings, name_figures

HEIGHT, RADIUS = 110.0, 8.0
INK, RED = np.array([20.0, 0.0, 0.0]), np.array([40.0, 50.0, 30.0])


def head(x: float, y: float = 120.0, score: float = 0.95) -> FoundHead:
    return FoundHead(x, y, HEIGHT, RADIUS, score)


def named(frames: list[list[FoundHead]], count: int | None = None) -> Cast:
    follower = HeadFollower((480, 270))
    for number, heads in enumerate(frames):
        follower.step(number, heads, [INK for _ in heads])
    cast = name_figures(Sightings(follower, {}), count, 4)
    assert cast is not None
    return cast


def test_a_knee_is_dropped_when_the_head_comes_back() -> None:
    """For 20 frames a knee is all that is seen of a figure; it goes on being seen afterwards."""
    frames = []
    for i in range(80):
        knee = [head(322, 150, 0.4)] if i >= 30 else []
        frames.append([head(100), *([] if 30 <= i < 45 else [head(300 + 0.5 * i)]), *knee])
    cast = named(frames)
    assert cast.heads.shape[1] == 2
    np.testing.assert_allclose(cast.heads[50:, 1, 0], 300 + 0.5 * np.arange(50, 80))


def test_who_walks_past_a_hidden_figure_does_not_take_it_along() -> None:
    """One walks over another that stands; the standing one is not seen until well after it was passed."""
    walking = 150 + 4.0 * np.arange(60)
    frames = [[head(x)] + ([head(250, 126)] if x < 230 or x > 285 else []) for x in walking]
    cast = named(frames)
    assert cast.heads.shape[1] == 2 and cast.present.all()
    np.testing.assert_allclose(cast.heads[:, 0, 0], walking, atol=2.0)
    np.testing.assert_allclose(cast.heads[:, 1, 0], 250, atol=RADIUS)  # one head for both, nearby


def test_figures_met_by_pens_go_back_where_they_came_from() -> None:
    """Two meet and turn back, found as one for a while; only their pens tell that they did not pass."""
    away = np.abs(np.arange(-30, 31)) * 0.03
    frames, none = [], np.full((2, 2), np.nan)
    for x in away:
        if x < 0.1:
            frames.append(at([[2.0, 1.0]], [np.full(3, np.nan)], none))
        else:
            frames.append(at([[2.0 - x, 1.0], [2.0 + x, 1.0]], [INK, RED], none))
    owners = associate(frames, 2, RADIUS / HEIGHT)
    assert (owners[away >= 0.1] == owners[0]).all()
    same = [Heads(f.places, f.scores, np.zeros_like(f.pens), f.bodies) for f in frames]
    passed = associate(same, 2, RADIUS / HEIGHT)
    assert (passed[-1] == passed[0][::-1]).all()  # with one pen they are taken to go straight on


def at(places: list[list[float]], pens: list[NDArray[np.float64]], body: NDArray[np.float64]) -> Heads:
    return Heads(np.array(places), np.full(len(places), 0.95), np.array(pens), np.stack([body] * len(places)))

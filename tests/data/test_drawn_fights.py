"""Drawn fights: what the list of events says is what the skeletons do."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vid2vid.data.drawn_fights import Fight, make_fight, render_fight
from vid2vid.data.fight_moves import NEEDED, load_moves
from vid2vid.data.stick_drawings import Style
from vid2vid.errors import InputNotFound
from vid2vid.motion.skeleton import FOOT_A, FOOT_B, HAND_A, HAND_B, HEAD, HIP, NECK

MOTION = Path(__file__).parents[2] / "examples/assets/motion"
SEEDS = range(50, 62)
TRUNK = [HEAD, NECK, HIP]
TIPS = [HAND_A, HAND_B, FOOT_A, FOOT_B]


@pytest.fixture(scope="module")
def fights() -> list[Fight]:
    moves = load_moves(MOTION)
    return [make_fight(moves, seed, seconds=8, fps=Fraction(30)) for seed in SEEDS]


def in_heights(fight: Fight) -> np.ndarray:
    return fight.tracks.joints.astype(float) / float(fight.tracks.heights.mean())


def to_trunk(points: np.ndarray, trunk: np.ndarray) -> float:
    """Least distance of any of `(N, 2)` points from head, neck, hip and what is between them."""
    places = np.concatenate([np.linspace(trunk[k], trunk[k + 1], 12) for k in range(2)])
    return float(np.linalg.norm(points[:, None] - places, axis=-1).min())


def events(fight: Fight, kind: str, margin_s: float = 0.4) -> list[tuple[int, int]]:
    """Frame and figure of events that are not at the film's ends."""
    last = fight.tracks.length / fight.fps - margin_s
    return [
        (round(e.time_s * fight.fps), e.figure) for e in fight.events if e.kind == kind and margin_s < e.time_s < last
    ]


def test_the_seed_decides(fights: list[Fight]) -> None:
    again = make_fight(load_moves(MOTION), SEEDS[0], seconds=8, fps=Fraction(30))
    assert again.events == fights[0].events
    assert np.array_equal(again.tracks.joints, fights[0].tracks.joints)
    assert fights[1].events != fights[0].events


def test_there_is_fighting_and_missing(fights: list[Fight]) -> None:
    kinds = [event.kind for fight in fights for event in fight.events]
    assert kinds.count("impact") >= 12
    assert kinds.count("fall") >= 4
    assert sum(len(fight.misses_s) for fight in fights) >= 4
    assert {fight.tracks.figures for fight in fights} == {2, 3, 4}


def test_a_limb_is_at_the_trunk_at_contact(fights: list[Fight]) -> None:
    for fight in fights:
        joints = in_heights(fight)
        for at, struck in events(fight, "impact"):
            others = np.delete(joints, struck, 1)
            gaps = [to_trunk(others[k][:, TIPS].reshape(-1, 2), joints[k, struck, TRUNK]) for k in (at - 1, at, at + 1)]
            assert min(gaps) < 0.12


def test_who_is_struck_is_thrown_from_then_on(fights: list[Fight]) -> None:
    thrown, before = [], []
    for fight in fights:
        core = in_heights(fight)[:, :, [NECK, HIP], 0].mean(-1)
        for at, struck in events(fight, "impact"):
            thrown.append(abs(core[at + 6, struck] - core[at, struck]))
            before.append(abs(core[at - 1, struck] - core[at - 7, struck]))
    assert np.median(thrown) > 0.12
    assert min(thrown) > 0.03
    assert np.median(before) < 0.03


def test_a_fall_ends_on_the_ground(fights: list[Fight]) -> None:
    for fight in fights:
        hip = (fight.tracks.ground[0] - fight.tracks.joints[:, :, HIP, 1]) / fight.tracks.heights
        for at, figure in events(fight, "fall"):
            assert hip[at - 9, figure] > 0.25
            assert hip[at + 2 : at + 8, figure].max() < 0.2


def test_nobody_jumps_from_frame_to_frame_or_leaves_the_picture(fights: list[Fight]) -> None:
    for fight in fights:
        joints = in_heights(fight)
        assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() * 30 < 14
        trunk = joints[:, :, TRUNK]
        assert np.linalg.norm(np.diff(trunk, axis=0), axis=-1).max() * 30 < 6
        width, height = fight.size
        assert fight.tracks.joints[..., 0].min() > 0 < fight.tracks.joints[..., 1].min()
        assert fight.tracks.joints[..., 0].max() < width
        assert fight.tracks.joints[..., 1].max() < height


def test_contact_does_not_fall_on_frames(fights: list[Fight]) -> None:
    shares = [float(e.time_s * fight.fps) % 1 for fight in fights for e in fight.events if e.kind == "impact"]
    assert np.ptp(shares) > 0.7


def test_the_drawing_has_ink_where_the_skeleton_is(fights: list[Fight]) -> None:
    fight = fights[0]
    pictures = render_fight(fight, Style(noise=0, blur=0))
    for picture, joints in zip(pictures, fight.tracks.joints[:20], strict=False):
        x, y = np.round(joints[:, [NECK, HIP]].reshape(-1, 2)).astype(int).T
        near = [picture[b - 1 : b + 2, a - 1 : a + 2].min() for a, b in zip(x, y, strict=True)]
        assert max(near) < 100 < picture[:40].mean()


def test_missing_motion_is_named(tmp_path: Path) -> None:
    (tmp_path / "humanoid3d_walk.txt").write_bytes((MOTION / "humanoid3d_walk.txt").read_bytes())
    with pytest.raises(InputNotFound, match=rf"humanoid3d_{NEEDED[0]}\.txt"):
        load_moves(tmp_path)

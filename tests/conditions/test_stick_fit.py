"""Figures slide onto their own ink and keep their build."""

from __future__ import annotations

import cv2
import numpy as np

from tests.stick_figures import HEIGHT, RADIUS, drawn, walking
from vid2vid.conditions import stick_fit
from vid2vid.conditions.ink import contrast_map, find_ink
from vid2vid.conditions.stick_fit import (
    Evidence,
    Poses,
    Shape,
    Trust,
    bone_lengths,
    fit,
    gather_evidence,
    misfit,
    neck_lengths,
)
from vid2vid.motion.skeleton import BONES


def evidence_of(frames: list[list[np.ndarray]]) -> Evidence:
    greys = [cv2.cvtColor(drawn(figures), cv2.COLOR_RGB2GRAY) for figures in frames]
    inks = [find_ink(contrast_map(grey, HEIGHT), HEIGHT) for grey in greys]
    heads = [np.array([[*joints[0], RADIUS] for joints in figures]) for figures in frames]
    return gather_evidence(inks, heads, HEIGHT)


def poses(joints: np.ndarray, frames: list[int], present: np.ndarray) -> Poses:
    return Poses(joints, np.array(frames), present, np.zeros_like(present))


def shaken(true: np.ndarray, spread: float, seed: int = 0) -> np.ndarray:
    moved = true + np.random.default_rng(seed).normal(0, spread, true.shape)
    moved[:, :, 0] = true[:, :, 0]
    return moved


def shape_of(true: np.ndarray) -> Shape:
    return Shape(bone_lengths(true), neck_lengths(true))


def test_shaken_figures_come_back() -> None:
    frames = [[walking(frame, 60, 5), walking(frame + 3, 230, -6)] for frame in (0, 5, 9)]
    true = np.array(frames, np.float64) / HEIGHT
    present = np.ones((3, 2), bool)
    start = shaken(true, 0.04)
    evidence = evidence_of(frames)
    fitted = fit(evidence, poses(start, [0, 1, 2], present), shape_of(true), Trust())
    assert np.linalg.norm(start - true, axis=-1).mean() > 0.04
    assert np.linalg.norm(fitted - true, axis=-1).mean() < 0.018
    before, after = (misfit(evidence, poses(joints, [0, 1, 2], present)) for joints in (start, fitted))
    assert (after < 0.5 * before).all()


def test_each_fit_looks_at_its_own_frame() -> None:
    frames = [[walking(0, 100, 0)], [walking(0, 180, 0)]]
    true = np.array(frames, np.float64) / HEIGHT
    evidence = evidence_of(frames)
    right = misfit(evidence, poses(true, [0, 1], np.ones((2, 1), bool)))
    wrong = misfit(evidence, poses(true, [1, 0], np.ones((2, 1), bool)))
    assert (right < 0.02).all() and (wrong > 0.1).all()


def test_a_figure_that_is_away_neither_moves_nor_takes_ink() -> None:
    there, away = walking(2, 120, 0), walking(7, 124, 0)
    true = np.array([[there, away]], np.float64) / HEIGHT
    evidence = evidence_of([[there]])
    start = shaken(true, 0.03)
    present = np.array([[True, False]])
    fitted = fit(evidence, poses(start, [0], present), shape_of(true), Trust())
    np.testing.assert_array_equal(fitted[0, 1], start[0, 1])
    assert np.linalg.norm(fitted[0, 0] - true[0, 0], axis=-1).mean() < 0.018


def test_other_drawings_far_from_any_head_are_no_evidence() -> None:
    figure = walking(0, 60, 0)
    picture = cv2.cvtColor(drawn([figure]), cv2.COLOR_RGB2GRAY)
    cv2.rectangle(picture, (250, 30), (300, 80), 30, 3)
    ink = find_ink(contrast_map(picture, HEIGHT), HEIGHT)
    evidence = gather_evidence([ink], [np.array([[*figure[0], RADIUS]])], HEIGHT)
    assert evidence.points[0][evidence.weights[0] > 0, 0].max() < 1.2


def test_a_head_that_is_seen_stays_and_one_that_is_hidden_gives_way() -> None:
    figure = walking(2, 120, 0)
    true = np.array([[figure]], np.float64) / HEIGHT
    evidence = evidence_of([[figure]])
    start = true.copy()
    start[0, 0, 0] += (0.12, 0.0)
    away = []
    for hidden in (False, True):
        guess = Poses(start, np.array([0]), np.ones((1, 1), bool), np.full((1, 1), hidden))
        away.append(np.linalg.norm(fit(evidence, guess, shape_of(true), Trust())[0, 0, 0] - start[0, 0, 0]))
    assert away[0] < 0.02 and away[1] > 2 * away[0]


def test_bones_that_share_a_joint_add_up_in_one_system() -> None:
    rng = np.random.default_rng(0)
    blocks, slopes = rng.normal(size=(3, 2, len(BONES), 4, 4)), rng.normal(size=(3, 2, len(BONES), 4))
    wanted, slope = np.zeros((3, 2, 22, 22)), np.zeros((3, 2, 22))
    for bone, (start, end) in enumerate(BONES):
        rows = [2 * start, 2 * start + 1, 2 * end, 2 * end + 1]
        slope[..., rows] += slopes[..., bone, :]
        wanted[..., np.array(rows)[:, None], rows] += blocks[..., bone, :, :]
    found = stick_fit._assemble(blocks, slopes)
    assert np.array_equal(found[0], wanted) and np.array_equal(found[1], slope)

"""The mesh is whole, is drawn without cracks, and brings every part of a face where it belongs."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest

from tests.motion.face_figures import laid_flat, make_face, turned
from vid2vid.motion.face_eyes import Eye
from vid2vid.motion.face_mesh import (
    EYES,
    INNER_LIPS,
    IRISES,
    LIDS,
    NOTHING,
    OVAL,
    PARTS,
    TRIANGLE_PARTS,
    TRIANGLES,
    oriented_areas,
    part_mask,
    rasterise,
    vertex_trust,
    warp_face,
)

SIZE = (300, 300)


def gradient() -> np.ndarray:
    """A picture whose red and green tell the place: `(300, 300, 3)`."""
    y, x = np.indices(SIZE)
    return np.dstack([x * 0.8, y * 0.8, np.full(SIZE, 90)]).astype(np.uint8)


def eye_picture(points: np.ndarray) -> np.ndarray:
    """Skin grey, eyeballs white, irises blue, as if there were no lids before them."""
    picture = np.full((*SIZE, 3), 120, np.uint8)
    for ring, iris in zip(EYES, IRISES, strict=True):
        cv2.fillPoly(picture, [np.round(points[list(ring), :2] * 16).astype(np.int32)], (250, 250, 250), cv2.LINE_AA, 4)
        middle = tuple(np.round(points[iris[0], :2] * 16).astype(int).tolist())
        inside = np.zeros(SIZE, np.uint8)
        cv2.fillPoly(inside, [np.round(points[list(ring), :2] * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
        round_iris = picture.copy()
        cv2.circle(round_iris, middle, 6 * 16, (0, 0, 250), -1, cv2.LINE_AA, 4)
        picture[inside > 0] = round_iris[inside > 0]
    return picture


def blue_middle(picture: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Middle of the blue around a place."""
    y, x = np.indices(picture.shape[:2])
    shade = picture.astype(float)
    weight = (shade[..., 2] - shade[..., 0]).clip(0) * (np.hypot(x - near[0], y - near[1]) < 20)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def test_triangles_join_to_one_sheet_without_holes() -> None:
    edges = Counter(
        (int(one), int(other))
        for corners in TRIANGLES
        for one, other in zip(corners, np.roll(corners, -1), strict=True)
    )
    assert len(TRIANGLES) == 898 and max(edges.values()) == 1
    rim = {edge for edge in edges if edge[::-1] not in edges}
    assert rim == set(zip(OVAL, (*OVAL[1:], OVAL[0]), strict=True))
    assert [int((part == TRIANGLE_PARTS).sum()) for part in range(4)] == [852, 18, 14, 14]
    assert len(set(TRIANGLES.ravel().tolist())) == 468


def test_triangles_face_the_camera() -> None:
    areas = oriented_areas(laid_flat(), TRIANGLES)
    assert (areas > -1e-3).all()
    assert areas.sum() / 2 == pytest.approx(np.pi * 78 * 105, rel=0.02)


def test_each_pixel_has_its_triangle_and_its_place_in_it() -> None:
    points = laid_flat()
    numbers, weights = rasterise(points, SIZE)
    oval = part_mask("skin", points, SIZE) > 0.999
    assert (numbers[oval] >= 0).all(), "cracks"
    assert (numbers[part_mask("skin", points, SIZE) == 0] >= 0).mean() < 0.02
    drawn = numbers >= 0
    back = np.einsum("nk,nkd->nd", weights[drawn], points[TRIANGLES[numbers[drawn]], :2])
    away = np.abs(back - np.argwhere(drawn)[:, ::-1]).max(1)
    assert np.quantile(away, 0.95) < 0.01
    np.testing.assert_allclose(weights[drawn].sum(1), 1.0, atol=1e-3)
    assert np.quantile(weights[drawn], 0.03) > -0.6


def test_the_nearer_triangle_wins_and_backs_are_not_drawn() -> None:
    points = np.array([(5, 5, 3), (60, 5, 3), (5, 60, 3), (5, 5, 1), (60, 5, 1), (60, 60, 1)], np.float32)
    triangles = np.array([(0, 1, 2), (3, 4, 5)], np.int32)
    numbers, _ = rasterise(points, (64, 64), triangles)
    assert numbers[12, 30] == 1 and numbers[30, 8] == 0 and numbers[62, 2] == -1
    points[3:, 2] = 9
    assert rasterise(points, (64, 64), triangles)[0][12, 30] == 0
    assert (rasterise(points, (64, 64), triangles[:, ::-1])[0] == -1).all()


def test_a_face_brought_to_itself_stays_as_it_is() -> None:
    points, picture = make_face(), gradient()
    warped = warp_face(picture, points, points, (200, 180), (60.0, 40.0))
    within = warped.cover > 0.99
    difference = np.abs(warped.picture.astype(int) - picture[40:240, 60:240]).max(2)
    assert within.mean() > 0.5
    assert np.quantile(difference[within], 0.98) <= 2
    assert warped.trust[within].mean() > 0.95


def test_points_land_on_points() -> None:
    source = make_face(mouth=0.5)
    goal = turned(make_face(mouth=0.2, wide=1.1), yaw=12, roll=15, size=0.8)
    warped = warp_face(gradient(), source, goal, SIZE)
    skin = np.setdiff1d(np.arange(468), [*EYES[0], *EYES[1], *INNER_LIPS, *OVAL])
    x, y = np.round(goal[skin, :2]).astype(int).T
    seen = warped.trust[y, x] > 0.5
    assert seen.mean() > 0.8
    there = warped.picture[y, x, :2] / 0.8
    assert np.median(np.abs(there - source[skin, :2])[seen]) < 1.5
    assert np.quantile(np.abs(there - source[skin, :2])[seen], 0.9) < 5


def test_a_finer_source_is_averaged_and_not_sampled() -> None:
    goal = make_face()
    goal[:, :2] = goal[:, :2] / 5 + 2
    goal[:, 2] /= 5
    rows, columns = np.indices(SIZE)
    board = (((rows + columns) % 2) * 255).astype(np.uint8)[..., None].repeat(3, 2)
    warped = warp_face(board, make_face(), goal, (64, 64))
    assert warped.picture[warped.cover > 0.99].std() < 12


def test_parts_and_masks_tell_the_same() -> None:
    points = make_face(mouth=0.6)
    warped = warp_face(gradient(), points, points, SIZE)
    for number, name in enumerate(PARTS[1:], 1):
        mask = part_mask(name, points, SIZE) > 0.5
        drawn = warped.parts == number
        assert (mask & drawn).sum() / (mask | drawn).sum() > 0.84, name
    assert (warped.parts[warped.cover == 0] == NOTHING).all()
    shifted = part_mask("mouth", points, (60, 80), (110.0, 180.0))
    np.testing.assert_allclose(shifted, part_mask("mouth", points, SIZE)[180:240, 110:190], atol=0.01)


@pytest.mark.robustness(35)
def test_a_profile_is_trusted_on_its_near_side_only() -> None:
    face = make_face()
    trusts = {yaw: vertex_trust(turned(face, yaw), face) for yaw in (0, 20, 35, 60)}
    means = [float(trust.mean()) for trust in trusts.values()]
    assert means == sorted(means, reverse=True) and means[0] > 0.9 and means[-1] < 0.65
    hidden, near = face[:468, 0] < 105, face[:468, 0] > 165
    if trusts[60][:468][hidden].mean() > trusts[60][:468][near].mean():
        hidden, near = face[:468, 0] > 195, face[:468, 0] < 135
    assert trusts[60][:468][hidden].mean() < 0.1 and trusts[60][:468][near].mean() > 0.6


@pytest.mark.parametrize("eyes", [0.6, 0.25])
def test_irises_move_rigidly_and_round_with_the_gaze(eyes: float) -> None:
    source, goal = make_face(eyes=eyes), make_face(eyes=eyes, gaze=(0.15, 0.0))
    warped = warp_face(eye_picture(source), source, goal, SIZE)
    for iris in IRISES:
        wanted = goal[iris[0], :2]
        found, truth = (blue_middle(picture, wanted) for picture in (warped.picture, eye_picture(goal)))
        np.testing.assert_allclose(found, truth, atol=0.45)
        x, y = np.round(wanted).astype(int)
        blue = warped.picture[y, x - 15 : x + 16].astype(int)
        assert 9 <= (blue[:, 2] - blue[:, 0] > 100).sum() <= 15


def test_lids_close_over_the_iris_instead_of_pressing_it_flat() -> None:
    source, goal = make_face(eyes=0.7), make_face(eyes=0.3)
    warped = warp_face(eye_picture(source), source, goal, SIZE)
    for iris in IRISES:
        x, y = np.round(goal[iris[0], :2]).astype(int)
        blue = (warped.picture[y - 8 : y + 9, x - 15 : x + 16].astype(int) @ (-1, 0, 1)) > 100
        tall, across = blue[:, 15].sum(), blue[8].sum()
        assert across >= 9 and tall <= 10
        # Pressed flat, the iris would end as an ellipse; covered, it is as wide at the lid as a circle is there.
        assert blue[8 - 2].sum() >= across - 3 and blue[8 + 2].sum() >= across - 3


@pytest.mark.parametrize("eyes", [0.0, 0.004])
def test_closed_eyes_show_no_eyeball(eyes: float) -> None:
    source, goal = make_face(eyes=0.6), make_face(eyes=eyes)
    warped = warp_face(eye_picture(source), source, goal, SIZE)
    assert np.isin(warped.parts, (2, 3)).sum() <= 6


def test_an_eye_reads_its_own_axes() -> None:
    points = turned(make_face(gaze=(0.1, 0.0)), yaw=0, roll=20, size=1.4)
    for lids, iris, side in zip(LIDS, IRISES, (-1, 1), strict=True):
        eye = Eye.of(points, lids, iris)
        assert eye.iris[0] == pytest.approx(0.5 + side * 0.1, abs=0.01)
        assert eye.width() == pytest.approx(32 * 1.4, rel=0.01)
        np.testing.assert_allclose(eye.placed(eye.upper), points[list(lids[0]), :2], atol=1e-3)


def test_odd_landmarks_do_no_harm() -> None:
    far = make_face() + np.array((5000, 0, 0), np.float32)
    warped = warp_face(gradient(), make_face(), far, (50, 60))
    assert warped.picture.shape == (50, 60, 3) and warped.cover.max() == 0 and warped.trust.max() == 0
    assert warp_face(gradient(), far, make_face(), SIZE).picture.shape == (*SIZE, 3)
    nothing = np.zeros((478, 3), np.float32)
    assert np.isfinite(warp_face(gradient(), nothing, make_face(), SIZE).trust).all()
    assert warp_face(gradient(), make_face(), nothing, SIZE).cover.max() == 0

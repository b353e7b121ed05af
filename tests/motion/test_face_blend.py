"""Masks keep to the face, and blends to the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.motion.face_figures import make_face
from vid2vid.motion.face_blend import eyes_kept, face_mask, hair_mask, mouth_kept, mouth_opening, multiband
from vid2vid.motion.face_mesh import EYES, INNER_LIPS, LIPS, OVAL

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
IOD = 60.0
SIZE = (200, 180)
MIDDLE = np.array([90.0, 100.0], np.float32)
BROWS = ((70, 63, 105, 66, 107, 55, 46), (300, 293, 334, 296, 336, 285, 276))


def make_points(opening: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)) -> Floats:
    """A face from the front: an oval 96 by 130 px, eyes, brows, and a mouth open by so many px."""
    points = np.zeros((478, 3), np.float32)
    angles = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL), 0], points[list(OVAL), 1] = 48 * np.sin(angles), -65 * np.cos(angles)
    for eye, brow, side in zip(EYES, reversed(BROWS), (1, -1), strict=True):
        turn = np.linspace(0, 2 * np.pi, len(eye), endpoint=False)
        points[list(eye), 0], points[list(eye), 1] = side * (20 + 10 * np.cos(turn)), -20 - 4 * np.sin(turn)
        points[list(brow), 0] = side * np.linspace(32, 10, len(brow))
        points[list(brow), 1] = -33
    for edge, way in zip(LIPS[0], (-1, 1), strict=True):
        across = np.linspace(-16, 16, len(edge))
        points[list(edge), 0] = across
        points[list(edge), 1] = 30 + way * opening / 2 * np.sqrt(np.clip(1 - (across / 16) ** 2, 0, 1))
    points[[61, 291], :2] = (-20, 30), (20, 30)
    points[:, :2] += MIDDLE + np.array(shift, np.float32)
    return points


def noise(size: tuple[int, int], seed: int) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def radius(shift: tuple[float, float] = (0.0, 0.0)) -> Floats:
    """1 on the oval, less inside."""
    y, x = np.indices(SIZE, np.float32)
    return np.asarray(np.hypot((x - MIDDLE[0] - shift[0]) / 48, (y - MIDDLE[1] - shift[1]) / 65))


def test_the_mask_is_the_oval_drawn_in() -> None:
    mask = face_mask(make_points(), SIZE, (0, 0), IOD)
    assert mask.dtype == np.float32 and mask.shape == SIZE
    assert mask[radius() > 1.0].max() == 0 and mask[radius() < 0.7].min() == 1
    row = mask[100, :90]
    half = 90 - np.interp(0.5, row[np.argsort(row)], np.arange(90)[np.argsort(row)])
    assert 48 - half == pytest.approx(0.06 * IOD, abs=0.02 * IOD)
    assert np.abs(np.diff(mask, axis=0)).max() < 0.4


def test_a_crop_is_cut_from_the_same_mask() -> None:
    whole = face_mask(make_points(), SIZE, (0, 0), IOD)
    part = face_mask(make_points(), (90, 80), (60, 70), IOD)
    assert np.abs(part - whole[70:160, 60:140]).max() < 0.12


def test_the_mask_moves_by_parts_of_a_pixel() -> None:
    sums = [
        face_mask(make_points(shift=(step, 0)), SIZE, (0, 0), IOD)[:, :60].sum() for step in (0, 0.25, 0.5, 0.75, 1)
    ]
    steps = -np.diff(sums)
    assert steps.min() > 0.6 * steps.mean() > 0


def test_what_is_before_the_face_is_taken_out() -> None:
    hand = np.zeros(SIZE, np.float32)
    hand[120:, 60:110] = 1
    mask = face_mask(make_points(), SIZE, (0, 0), IOD, occluders=hand)
    assert mask[hand > 0].max() == 0 and mask[:115, 80:100].max() == 1
    edge = mask[110:122, 85]
    assert ((edge > 0.05) & (edge < 0.95)).any()


def test_the_mask_ends_where_nothing_covers() -> None:
    cover = np.ones(SIZE, np.float32)
    cover[:, 90:] = 0
    mask = face_mask(make_points(), SIZE, (0, 0), IOD, cover)
    assert mask[:, 90:].max() == 0 and mask[100, 78] > 0.9


def test_a_small_hole_in_trust_shows_no_target_but_a_side_does() -> None:
    plain, trust = face_mask(make_points(), SIZE, (0, 0), IOD), np.ones(SIZE, np.float32)
    trust[77:83, 105:118] = 0
    assert np.abs(face_mask(make_points(), SIZE, (0, 0), IOD, trust=trust) - plain).max() < 0.05
    trust[:, 90:] = 0
    halved = face_mask(make_points(), SIZE, (0, 0), IOD, trust=trust)
    assert halved[:, 105:].max() == 0 and halved[100, 75] > 0.95
    assert np.abs(np.diff(halved[100])).max() < 0.25


def with_fringe() -> Picture:
    picture = np.full((*SIZE, 3), (205, 160, 135), np.uint8)
    picture[:50] = (60, 45, 40)
    for brow in BROWS:
        cv2.polylines(picture, [np.round(make_points()[list(brow), :2]).astype(np.int32)], False, (50, 40, 35), 5)
    cv2.ellipse(picture, (90, 150), (40, 14), 0, 0, 360, (70, 50, 45), -1)
    return picture


def test_a_fringe_is_hair_and_brows_and_beards_are_not() -> None:
    hair = hair_mask(with_fringe(), make_points(), (0, 0), IOD)
    assert hair[38:46, 75:105].min() > 0.9
    assert hair[60:, :].max() < 0.1
    plain = np.full((*SIZE, 3), (205, 160, 135), np.uint8)
    assert hair_mask(plain, make_points(), (0, 0), IOD).max() == 0


def test_hair_is_found_in_any_crop_and_size() -> None:
    twice = cv2.resize(with_fringe(), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    points = (make_points() + 0.5) * 3 - 0.5
    hair = hair_mask(twice[30:], points, (0, 30), 3 * IOD)
    assert hair.shape == (570, 540) and hair[3 * 40 - 30 : 3 * 45 - 30, 240:300].min() > 0.9


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (7, 5), (64, 64), (131, 97)])
@pytest.mark.parametrize("levels", [None, 0, 3])
def test_all_or_nothing_is_exact(size: tuple[int, int], levels: int | None) -> None:
    inner, outer = noise(size, 0), noise(size, 1)
    assert np.array_equal(multiband(inner, outer, np.zeros(size, np.float32), levels), outer)
    assert np.array_equal(multiband(inner, outer, np.ones(size, np.float32), levels), inner)


def test_nothing_changes_outside_the_mask() -> None:
    mask = face_mask(make_points(), SIZE, (0, 0), IOD)
    inner, outer = noise(SIZE, 0), noise(SIZE, 1)
    made = multiband(inner, outer, mask)
    assert np.array_equal(made[mask == 0], outer[mask == 0])
    assert not np.array_equal(made[mask == 1], outer[mask == 1])


def test_nothing_changes_outside_a_mask_without_a_soft_edge() -> None:
    mask = np.zeros((90, 90), np.float32)
    mask[31:62, 17:48] = 1
    inner, outer = np.full((90, 90, 3), 255, np.uint8), np.zeros((90, 90, 3), np.uint8)
    made = multiband(inner, outer, mask, 2)
    assert made[mask == 0].max() == 0 and made[46, 32, 0] > 200


def test_fractions_stay_fractions() -> None:
    mask = face_mask(make_points(), SIZE, (0, 0), IOD)
    inner, outer = (noise(SIZE, seed).astype(np.float32) / 255 for seed in (0, 1))
    made = multiband(inner, outer, mask)
    assert made.dtype == np.float32
    assert np.array_equal(made[mask == 0], outer[mask == 0])
    assert np.abs(made[95:105, 85:95] - inner[95:105, 85:95]).max() < 0.02


def test_another_tone_leaves_a_softer_seam_and_as_sharp_detail_as_a_feather() -> None:
    size = (480, 432)
    mask = face_mask(make_points() * np.float32(2.4), size, (0, 0), 2.4 * IOD)
    outer, inner = np.full((*size, 3), 110, np.float32), np.full((*size, 3), 150, np.float32)
    feathered = outer + (inner - outer) * mask[..., None]
    seams = [np.abs(np.diff(made[..., 0], axis=1)).max() for made in (multiband(inner, outer, mask), feathered)]
    assert seams[0] < 0.7 * seams[1]
    stripes = inner + np.where(np.indices(size)[1] % 2, 20, -20)[..., None].astype(np.float32)
    made = multiband(stripes, outer, mask)
    assert np.abs(np.diff(made[240, 140:290, 0])).min() >= 36
    assert np.abs(made[240, 200:230] - stripes[240, 200:230]).max() <= 4


def test_a_fade_goes_evenly_from_one_to_the_other() -> None:
    mask = face_mask(make_points(), SIZE, (0, 0), IOD)
    inner, outer = np.full((*SIZE, 3), 200, np.uint8), np.full((*SIZE, 3), 100, np.uint8)
    amounts = (0.0, 0.25, 0.5, 1.0)
    middles = [int(multiband(inner, outer, mask, amount=amount)[100, 90, 0]) for amount in amounts]
    assert middles == pytest.approx([100, 125, 150, 200], abs=1)
    assert np.array_equal(multiband(inner, outer, mask, amount=0.0), outer)


def test_a_face_at_the_picture_s_edge_is_whole() -> None:
    mask, inner, outer = (
        np.ones((80, 80), np.float32),
        np.full((80, 80, 3), 200, np.uint8),
        np.zeros((80, 80, 3), np.uint8),
    )
    mask[:, 60:] = 0
    assert multiband(inner, outer, mask)[:, :20].min() >= 198


def test_opening_of_the_mouth() -> None:
    assert mouth_opening(make_points(12.0)) == pytest.approx(0.2, abs=0.01)


def kept(opening: float, source_opening: float, shift: float = 0.0) -> tuple[Picture, Picture, Picture]:
    picture, target = np.full((*SIZE, 3), 180, np.uint8), np.full((*SIZE, 3), 60, np.uint8)
    goal = make_points(opening, (shift, 0))
    return mouth_kept(picture, target, make_points(opening), goal, make_points(source_opening), (0, 0)), picture, target


def test_the_target_s_teeth_show_where_the_source_has_none() -> None:
    made, picture, target = kept(16.0, 0.0)
    assert np.abs(made[128:132, 86:95].astype(int) - target[128:132, 86:95]).max() <= 6
    away = np.ones(SIZE, bool)
    away[115:146, 68:113] = False
    assert np.array_equal(made[away], picture[away])


def test_a_mouth_of_its_own_is_left_alone() -> None:
    for pair in ((16.0, 14.0), (0.5, 0.0), (0.0, 16.0)):
        made, picture, _ = kept(*pair)
        assert made is picture


def test_the_interior_comes_over_softly_as_the_mouth_opens() -> None:
    depths = [180 - int(kept(opening, 0.0)[0][128:133, 90].min()) for opening in np.linspace(1.25, 4.0, 12)]
    steps = np.diff(depths)
    assert depths[0] <= 4 and depths[-1] > 40 and steps.min() >= -1 and steps.max() < 30


def test_the_interior_goes_where_the_lips_are() -> None:
    picture, target = np.full((*SIZE, 3), 180, np.uint8), np.full((*SIZE, 3), 60, np.uint8)
    target[:, 90:] = 120
    goal = make_points(16.0, (9.0, 0))
    made = mouth_kept(picture, target, make_points(16.0), goal, make_points(0.0), (0, 0))
    assert made[130, 94, 0] < 75 and made[130, 103, 0] > 110
    assert len(INNER_LIPS) == 20


def closing(eyes: float) -> tuple[Picture, Picture]:
    """A grey face with eyes open by so much of their width, over a dark target whose eyes are 0.3 open at rest."""
    picture, target = np.full((300, 300, 3), 180, np.uint8), np.full((300, 300, 3), 60, np.uint8)
    points = make_face(eyes=eyes)
    return eyes_kept(picture, target, points, points, make_face(eyes=0.3), (0, 0)), picture


def test_closed_eyes_are_the_target_s_own() -> None:
    made, picture = closing(0.02)
    assert made[120, [184, 116], 0].max() <= 90
    away = np.ones((300, 300), bool)
    away[95:145, 85:215] = False
    assert np.array_equal(made[away], picture[away])


def test_open_eyes_are_the_source_s() -> None:
    for eyes in (0.21, 0.3, 0.5):
        made, picture = closing(eyes)
        assert made is picture


def test_lids_come_over_softly_as_eyes_close() -> None:
    depths = [180 - int(closing(eyes)[0][120, 184, 0]) for eyes in np.linspace(0.2, 0.1, 12)]
    steps = np.diff(depths)
    assert depths[0] <= 4 and depths[-1] > 80 and steps.min() >= -1 and steps.max() < 30

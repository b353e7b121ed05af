"""A face put into another light ends in it, calmly, and keeps what is its own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vid2vid.motion.face_light import LightMatcher, light_of, matched, sharpened, sharpness, to_lab, to_rgb

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
IOD = 60.0
SIDE = 160


def face(seed: int = 0, shade: float = 1.0) -> Picture:
    """Skin with blotches, pores, dark eyes and a mouth."""
    rng = np.random.default_rng(seed)
    skin = np.full((SIDE, SIDE, 3), (205, 160, 135), np.float32) * shade
    skin += cv2.GaussianBlur(rng.normal(0, 150, (SIDE, SIDE, 1)).astype(np.float32), (0, 0), 8)[..., None]
    skin += rng.normal(0, 5, (SIDE, SIDE, 1)).astype(np.float32)
    picture = np.clip(skin, 0, 255).astype(np.uint8)
    for x in (50, 110):
        cv2.circle(picture, (x, 65), 7, (22, 20, 20), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (80, 115), (22, 8), 0, 0, 360, (150, 70, 70), -1, cv2.LINE_AA)
    return picture


def oval() -> Floats:
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.ellipse(mask, (80, 80), (56, 70), 0, 0, 360, 1.0, -1)
    return mask


def colour(picture: Picture) -> Floats:
    return np.asarray(np.median(to_lab(picture)[oval() > 0], axis=0))


LIGHTS = {
    "warm": lambda p: np.clip(p * np.array([1.1, 0.95, 0.65]), 0, 255).astype(np.uint8),
    "blue": lambda p: np.clip(p * np.array([0.6, 0.85, 1.15]), 0, 255).astype(np.uint8),
    "dark": lambda p: (255 * (p / 255.0) ** 1.9).astype(np.uint8),
    "pale": lambda p: (0.5 * p + 100).astype(np.uint8),
}


@pytest.mark.parametrize("light", LIGHTS)
def test_the_place_s_light_is_taken_on(light: str) -> None:
    target = LIGHTS[light](face(1))
    before, after = (
        np.abs(colour(each) - colour(target)).max() for each in (face(2), matched(face(2), target, oval(), IOD))
    )
    assert before > 8 and after < 1.6


@pytest.mark.parametrize("light", LIGHTS)
def test_a_face_comes_back_from_another_light(light: str) -> None:
    target = face()
    made = matched(LIGHTS[light](target), target, oval(), IOD).astype(int)
    assert np.abs(made - target)[oval() > 0].mean() < 6.5
    lit = LIGHTS[light](target).astype(int)
    assert np.abs(lit - target)[oval() > 0].mean() > 3 * np.abs(made - target)[oval() > 0].mean()


def test_pupils_stay_without_colour() -> None:
    made = to_lab(matched(LIGHTS["warm"](face()), face(), oval(), IOD))
    assert np.abs(made[65, 50, 1:]).max() < 6


def test_nothing_is_done_without_a_face() -> None:
    picture = face()
    assert matched(picture, face(1, 0.5), np.zeros((SIDE, SIDE), np.float32), IOD) is picture


def test_hair_and_a_hand_inside_the_mask_do_not_change_the_light() -> None:
    target, covered = face(1, 0.8), face(1, 0.8)
    covered[5:32] = (20, 16, 14)
    found, alike = (light_of(to_lab(each), oval()) for each in (covered, target))
    assert np.abs(found.mean - alike.mean).max() < 1.5
    assert found.spread[0] == pytest.approx(alike.spread[0], abs=1.5)


def test_the_darkest_and_lightest_pixels_do_not_count() -> None:
    lab = np.zeros((100, 100, 3), np.float32)
    lab[..., 0] = np.linspace(20, 80, 100)
    found = light_of(lab, np.ones((100, 100), np.float32))
    assert found.mean[0] == pytest.approx(50, abs=0.5)
    assert found.spread[0] == pytest.approx(0.94 * 60 / np.sqrt(12), rel=0.02)


def test_broad_shade_is_taken_on_in_part() -> None:
    slope = np.linspace(0.75, 1.15, SIDE)[None, :, None]
    target = np.clip(face(1) * slope, 0, 255).astype(np.uint8)

    def rise(picture: Picture) -> float:
        lightness = cv2.GaussianBlur(to_lab(picture)[..., 0], (0, 0), 6)
        return float(lightness[85:105, 115:130].mean() - lightness[85:105, 30:45].mean())

    flat, half, full = (rise(matched(face(2), target, oval(), IOD, low)) - rise(face(2)) for low in (0.0, 0.5, 1.0))
    wanted = rise(target) - rise(face(2))
    assert abs(flat) < 0.2 * wanted < 0.25 * wanted < half < full - 0.1 * wanted < 1.1 * wanted


@pytest.mark.parametrize("deviation", [1.0, 2.0])
def test_a_sharp_face_goes_soft_in_a_soft_clip(deviation: float) -> None:
    target = cv2.GaussianBlur(face(1), (0, 0), deviation)
    wanted, given = sharpness(target, oval()), sharpness(face(2), oval())
    made = sharpness(matched(face(2), target, oval(), IOD), oval())
    assert given > 1.8 * wanted and made < wanted + 0.25 * (given - wanted)


def test_a_soft_face_gains_detail_within_limits() -> None:
    soft = cv2.GaussianBlur(face(2), (0, 0), 0.8)
    wanted, given = sharpness(face(1), oval()), sharpness(soft, oval())
    assert sharpness(matched(soft, face(1), oval(), IOD), oval()) > given + 0.4 * (wanted - given)
    blank = cv2.GaussianBlur(face(2), (0, 0), 6.0)
    assert sharpness(matched(blank, face(1), oval(), IOD), oval()) < 4 * sharpness(blank, oval())


def test_sharpness_looks_inside_the_mask_alone() -> None:
    picture = np.full((60, 60, 3), 90, np.uint8)
    picture[:, 30:] = np.random.default_rng(0).integers(0, 255, (60, 30, 3))
    mask = np.zeros((60, 60), np.float32)
    assert sharpness(picture, mask) == 0.0
    mask[:, :20] = 1
    assert sharpness(picture, mask) < 0.01
    mask[:, 40:] = 1
    assert sharpness(picture, mask) > 10


def test_equal_gains_change_nothing_and_grey_detail_adds_no_colour() -> None:
    picture = face()
    assert np.array_equal(sharpened(picture, np.ones(2, np.float32)), picture)
    change = sharpened(picture, np.array([1.5, 1.2], np.float32)).astype(int) - picture
    inner = (picture > 20).all(2) & (picture < 230).all(2)
    assert np.ptp(change[inner], axis=1).max() <= 1 < np.abs(change).max()


def test_flicker_is_averaged() -> None:
    rng, matcher = np.random.default_rng(3), LightMatcher()
    targets = [np.clip(face(1) * factor, 0, 255).astype(np.uint8) for factor in rng.normal(0.8, 0.012, 24)]
    alone = [colour(matched(face(2), target, oval(), IOD))[0] for target in targets]
    running = [colour(matcher(face(2), target, oval(), IOD))[0] for target in targets]
    assert np.abs(np.diff(running)).mean() < 0.35 * np.abs(np.diff(alone)).mean()
    assert abs(np.mean(running) - np.mean(alone)) < 1.0


def test_another_light_is_followed_at_once() -> None:
    matcher = LightMatcher()
    for _ in range(6):
        matcher(face(2), face(1), oval(), IOD)
    made = matcher(face(2), face(1, 0.4), oval(), IOD)
    assert abs(colour(made)[0] - colour(face(1, 0.4))[0]) < 3


def test_reset_forgets() -> None:
    matcher, target = LightMatcher(), face(1, 0.93)
    for _ in range(6):
        matcher(face(2), face(1), oval(), IOD)
    remembered = matcher(face(2), target, oval(), IOD)
    matcher.reset()
    fresh = matched(face(2), target, oval(), IOD)
    assert np.array_equal(matcher(face(2), target, oval(), IOD), fresh) and not np.array_equal(remembered, fresh)


def test_the_crop_may_change_its_size() -> None:
    matcher = LightMatcher()
    matcher(face(2), face(1), oval(), IOD)
    smaller = matcher(face(2)[10:, :150], face(1)[10:, :150], oval()[10:, :150], IOD)
    assert smaller.shape == (SIDE - 10, 150, 3)


def test_lab_there_and_back() -> None:
    assert np.abs(to_rgb(to_lab(face())).astype(int) - face()).max() <= 1

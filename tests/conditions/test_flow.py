"""Dense motion on pictures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vid2vid.conditions.flow import FlowEstimator, absolute, luma, trust, warp

Picture = NDArray[np.uint8]
SHIFTS = [(0.0, 0.0), (1.5, -0.5), (-3.25, 2.0), (0.3, 0.7)]


def texture(height: int = 96, width: int = 128, seed: int = 0) -> Picture:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), 2.5)
    return np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)


def shifted(picture: Picture, x: float, y: float) -> Picture:
    """What `picture` shows at p is shown at p - (x, y)."""
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101), np.uint8)


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
@pytest.mark.parametrize("shift", SHIFTS)
def test_flow_finds_a_translation_to_a_fraction_of_a_pixel(preset: str, shift: tuple[float, float]) -> None:
    other = texture()
    current = shifted(other, *shift)
    flow = FlowEstimator(preset)(luma(current), luma(other))
    assert flow.shape == (96, 128, 2) and flow.dtype == np.float32
    inner = flow[16:-16, 16:-16].reshape(-1, 2)
    assert np.abs(np.median(inner, axis=0) - shift).max() < 0.2
    assert np.abs(inner - shift).mean() < 0.25


def test_first_guess_is_used_and_kept() -> None:
    """A shift by 40 pixels on a small picture is out of reach without a guess, and found with one nearby."""
    wide = texture(96, 200)
    other, current = np.ascontiguousarray(wide[:, :128]), np.ascontiguousarray(wide[:, 40:168])
    guess = np.zeros((96, 128, 2), np.float32)
    guess[..., 0] = 38.0
    kept = guess.copy()
    found = FlowEstimator("medium")(luma(current), luma(other), guess)
    assert np.median(found[:, :80, 0]) == pytest.approx(40.0, abs=0.3)
    assert (guess == kept).all()


def test_tiny_pictures_stand_still() -> None:
    small = texture(12, 12)
    assert not FlowEstimator("fast")(luma(small), luma(texture(12, 12, seed=1))).any()


def test_warp_undoes_the_motion() -> None:
    """Reading the other picture at p + flow gives the current one, in bytes and in floats, with any channels."""
    other = texture()
    current = shifted(other, 2.5, -1.5)
    flow = np.full((96, 128, 2), (2.5, -1.5), np.float32)
    inner = np.s_[8:-8, 8:-8]
    back = warp(other, flow)
    assert back.dtype == np.uint8
    assert np.abs(back[inner].astype(int) - current[inner]).mean() < 2.0
    assert np.abs(other[inner].astype(int) - current[inner]).mean() > 12.0
    plane = warp(other[..., 0].astype(np.float32), flow)
    assert plane.shape == (96, 128) and plane.dtype == np.float32


def test_warp_is_bilinear_and_repeats_the_edge() -> None:
    ramp = np.tile(np.arange(16, dtype=np.float32), (8, 1))
    flow = np.zeros((8, 16, 2), np.float32)
    flow[..., 0] = 0.5
    expected = np.minimum(ramp + 0.5, 15.0)
    np.testing.assert_allclose(warp(ramp, flow), expected, atol=0.02)
    flow[..., 0] = -100.0
    np.testing.assert_allclose(warp(ramp, flow), 0.0)


def test_absolute_adds_x_along_columns_and_leaves_its_input() -> None:
    flow = np.zeros((3, 5, 2), np.float32)
    places = absolute(flow)
    assert places[2, 4].tolist() == [4.0, 2.0]
    assert not flow.any()


def test_trust_is_full_where_pictures_agree() -> None:
    picture = texture()
    assert (trust(picture, picture, np.zeros((96, 128, 2), np.float32)) == 1.0).all()


def test_trust_follows_its_gaussian() -> None:
    """A difference of one deviation leaves exp(-1/2), two leave exp(-2)."""
    grey = np.full((32, 32, 3), 100, np.uint8)
    still = np.zeros((32, 32, 2), np.float32)
    for deviations in (1.0, 2.0):
        weight = trust(grey, np.full_like(grey, 100 + round(20 * deviations)), still, deviation=20 / 255)
        assert weight == pytest.approx(np.exp(-0.5 * deviations**2), abs=1e-3)


def test_trust_is_low_where_content_changed() -> None:
    current = texture()
    warped = current.copy()
    warped[30:60, 40:80] = 255 - warped[30:60, 40:80]
    weight = trust(current, warped, np.zeros((96, 128, 2), np.float32))
    assert weight[32:58, 42:78].mean() < 0.2
    assert (weight[:28] == 1.0).all() and (weight[:, 84:] == 1.0).all()


def test_trust_sees_a_change_in_one_channel() -> None:
    grey = np.full((32, 32, 3), 100, np.uint8)
    tinted = grey.copy()
    tinted[..., 2] += 60
    assert trust(grey, tinted, np.zeros((32, 32, 2), np.float32)).max() < 0.01


def test_nothing_outside_the_picture_is_trusted() -> None:
    picture = np.full((40, 60, 3), 90, np.uint8)
    flow = np.zeros((40, 60, 2), np.float32)
    flow[..., 0], flow[..., 1] = 10.0, -5.0
    weight = trust(picture, picture, flow)
    assert not weight[:, 51:].any() and not weight[:4].any()
    assert (weight[6:, :49] == 1.0).all()
    weight = trust(picture, picture, -flow)
    assert not weight[:, :9].any() and not weight[36:].any()
    assert (weight[:34, 11:] == 1.0).all()

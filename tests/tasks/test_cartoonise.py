"""The cartooniser: deterministic, steady, the same on crops, and as strong in held-out as in training styles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import pytest
from vid2vid_tasks.cartoon_to_photoreal.cartoonise import CartoonStyle, cartoonise, sample_style
from vid2vid_tasks.cartoon_to_photoreal.smoothing import flatten

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

HEIGHT, WIDTH = 200, 320


def scene(height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """(H, W, 3) uint8: objects with borders, shading and camera-like texture."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.stack([90 + 60 * rows / height, 110 + 40 * columns / width, np.full_like(rows, 120)], axis=2)
    for _ in range(14):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        colour = tuple(float(value) for value in rng.uniform(30, 225, 3))
        cv2.circle(picture, centre, int(rng.integers(12, 45)), colour, -1, cv2.LINE_AA)
    texture = cv2.GaussianBlur(rng.standard_normal((height, width, 1)).astype(np.float32), (0, 0), 0.8)
    textured = picture + (40.0 * texture)[..., None]
    return cast("Picture", np.clip(cv2.GaussianBlur(textured, (0, 0), 0.6), 0, 255).astype(np.uint8))


def styles(count: int, *, held_out: bool = False) -> list[CartoonStyle]:
    return [sample_style(np.random.default_rng(seed), held_out=held_out) for seed in range(count)]


def resized(picture: Picture, factor: float) -> Picture:
    method = cv2.INTER_CUBIC if factor > 1.0 else cv2.INTER_AREA
    return cast("Picture", cv2.resize(picture, None, fx=factor, fy=factor, interpolation=method))


def psnr_db(one: Picture, other: Picture) -> float:
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return float(10.0 * np.log10(255.0**2 / max(error, 1e-9)))


def texture_of(picture: Picture) -> float:
    """Median over small blocks of the standard deviation of luma: borders of objects do not count."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    spread = cv2.blur(luma * luma, (5, 5)) - cv2.blur(luma, (5, 5)) ** 2
    return float(np.sqrt(np.median(spread)))


@pytest.mark.parametrize("held_out", [False, True])
def test_same_seed_gives_same_style_and_pixels(held_out: bool) -> None:
    frames = scene()[None]
    for seed in range(4):
        one, other = (sample_style(np.random.default_rng(seed), held_out=held_out) for _ in range(2))
        assert one == other
        assert np.array_equal(cartoonise(frames, one), cartoonise(frames, other))
    assert len(set(styles(20, held_out=held_out))) == 20


def test_source_is_left_alone_and_shape_kept() -> None:
    frames = np.stack([scene(97, 131)] * 2)
    before = frames.copy()
    drawn = cartoonise(frames, styles(1)[0])
    assert drawn.shape == frames.shape
    assert drawn.dtype == np.uint8
    assert np.array_equal(frames, before)


def test_held_out_styles_share_no_method_with_training_styles() -> None:
    training, held_out = styles(200), styles(200, held_out=True)
    for name in ("smoothing", "bands"):
        assert not {getattr(s, name) for s in training} & {getattr(s, name) for s in held_out}
    lines = [{s.lines for s in group} - {"none"} for group in (training, held_out)]
    assert all(lines)
    assert not lines[0] & lines[1]
    assert max(s.chroma_angle_deg for s in training) < min(s.chroma_angle_deg for s in held_out)


def test_every_look_and_every_training_method_is_drawn() -> None:
    training = styles(200)
    assert {s.look for s in training} == {"ink", "cel", "paint", "cgi"}
    assert {s.smoothing for s in training} == {"bilateral", "domain", "guided", "kuwahara"}
    assert {s.lines for s in training} == {"none", "dog", "gradient", "traced"}


def test_strength_wipes_texture_and_keeps_the_scene() -> None:
    picture = scene()
    medians = []
    for held_out in (False, True):
        drawn = [cartoonise(picture[None], style)[0] for style in styles(16, held_out=held_out)]
        quality = [psnr_db(picture, cartoon) for cartoon in drawn]
        assert min(quality) > 15.0
        assert max(quality) < 31.0
        assert np.median([texture_of(cartoon) for cartoon in drawn]) < 0.45 * texture_of(picture)
        medians.append(np.median(quality))
    assert abs(medians[0] - medians[1]) < 2.0


@pytest.mark.parametrize("method", ["bilateral", "domain", "guided", "kuwahara", "mean_shift", "rolling"])
def test_smoothing_wipes_texture_and_keeps_borders(method: str) -> None:
    picture = np.full((80, 80, 3), 70, np.uint8)
    picture[:, 40:] = 190
    noisy = np.clip(picture + np.random.default_rng(0).normal(0.0, 8.0, picture.shape), 0, 255).astype(np.uint8)
    smooth = flatten(noisy, method, 6.0, 0.2, 2)  # type: ignore[arg-type]
    assert smooth[10:70, 5:30].std() < 0.5 * noisy[10:70, 5:30].std()
    step = smooth[10:70, 43:46].mean() - smooth[10:70, 34:37].mean()
    assert step > 95.0


def test_crop_is_drawn_as_the_same_region_of_the_frame() -> None:
    picture = scene()
    inner = np.s_[16:-16, 16:-16]
    for style in styles(12):
        whole = cartoonise(picture[None], style)[0, 20:180, 40:200]
        crop = cartoonise(picture[None, 20:180, 40:200], style)[0]
        live = picture[20:180, 40:200]
        assert psnr_db(whole[inner], crop[inner]) > psnr_db(live[inner], crop[inner]) + 6.0


def test_effects_grow_with_the_nominal_height() -> None:
    picture = scene()
    double = resized(picture, 2.0)
    style = styles(1)[0]
    small = cartoonise(picture[None], style)[0]
    scaled, unscaled = (
        resized(cartoonise(double[None], replace(style, nominal_height=rows))[0], 0.5) for rows in (720, 360)
    )
    assert psnr_db(small, scaled) > psnr_db(small, unscaled) + 2.0


def test_reach_of_the_smoothing_grows_with_the_nominal_height() -> None:
    noise = np.random.default_rng(0).normal(128, 12, (120, 120, 3)).astype(np.uint8)
    style = CartoonStyle("cgi", "kuwahara", 1.0, 6.0, 0.2, 1)
    # The scale at which it runs is set so that both filter the frame at its own size.
    spread, doubled = (
        cartoonise(noise[None], replace(style, nominal_height=rows, smoothing_scale=rows / 360))[0].std()
        for rows in (360, 720)
    )
    assert doubled < 0.75 * spread


def test_static_clip_gives_static_cartoon_however_it_is_cut() -> None:
    frames = np.stack([scene()] * 3)
    for style in styles(3) + styles(2, held_out=True):
        drawn = cartoonise(frames, style)
        assert np.array_equal(drawn[0], drawn[2])
        assert np.array_equal(drawn[1:], cartoonise(frames[1:], style, start=1))


def test_drawing_here_does_not_depend_on_what_is_shown_there() -> None:
    picture = scene()
    other = picture.copy()
    other[:, 220:] = 250 - other[:, 220:] // 3
    for style in styles(6):
        one, two = cartoonise(np.stack([picture, other]), style)[:, :, :120]
        assert psnr_db(one, two) > 50.0


def test_pan_is_about_as_steady_as_its_source() -> None:
    wide = scene(HEIGHT, WIDTH + 40).astype(np.float32)
    rng = np.random.default_rng(1)
    clip = np.stack(
        [
            np.clip(wide[:, 4 * t : 4 * t + WIDTH] + rng.normal(0, 4, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
            for t in range(3)
        ]
    )

    def warp_error(frames: Picture) -> float:
        difference = frames[1:, 16:-16, 16:-20].astype(np.float32) - frames[:-1, 16:-16, 20:-16]
        return float(np.mean(difference**2))

    ratios = [warp_error(cartoonise(clip, style)) / warp_error(clip) for style in styles(12)]
    assert np.median(ratios) < 1.0
    assert max(ratios) < 4.0


def test_fixed_palette_flattens_a_lightness_ramp_into_bands() -> None:
    ramp = np.repeat(np.linspace(20, 235, WIDTH)[None, :, None], 64, axis=0).repeat(3, axis=2).astype(np.uint8)
    style = CartoonStyle("paint", "guided", 1.0, 4.0, 0.2, 1, bands=5, band_hardness=14.0, band_mix=1.0)
    row = cartoonise(ramp[None], style)[0, 32, :, 1]
    shares = np.bincount(row, minlength=256) / WIDTH
    treads = np.convolve(shares, np.ones(3), mode="same")
    assert 4 <= np.count_nonzero(np.diff((treads > 0.07).astype(int)) == 1) <= 6
    assert shares[treads > 0.07].sum() > 0.6


@pytest.mark.parametrize("lines", ["dog", "gradient", "canny"])
def test_ink_darkens_borders_and_not_regions(lines: str) -> None:
    picture = np.full((96, 96, 3), 90, np.uint8)
    picture[:, 48:] = 180
    plain = CartoonStyle("cgi", "guided", 1.0, 4.0, 0.15, 1)
    inked = replace(plain, lines=lines, line_darkness=0.9)  # type: ignore[arg-type]
    change = cartoonise(picture[None], plain)[0].astype(np.int64) - cartoonise(picture[None], inked)[0]
    assert change[:, 44:52].max() > 30
    assert np.abs(change[:, :36]).max() <= 1
    assert np.abs(change[:, 60:]).max() <= 1

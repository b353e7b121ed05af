"""The photographic finish: off means untouched, steady in time, gentle slopes, grain that is new on every frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from vid2vid_tasks.cartoon_to_photoreal.finish import FINISHES, Finish, apply_finish, measure_statistics
from vid2vid_tasks.cartoon_to_photoreal.finish_statistics import (
    LIVE_LIGHTNESS,
    SLOPE_LIMITS,
    FinishStatistics,
    colour_transport,
    tone_curve,
)
from vid2vid_tasks.cartoon_to_photoreal.grain import GRAIN_DEVIATION, add_grain, grain_field, grain_sharpness

from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Plane = NDArray[np.float32]

HEIGHT, WIDTH = 180, 320


def cartoon(hard: bool = False) -> Picture:
    """(H, W, 3) uint8: shaded ground and saturated discs; `hard` draws them without anti-aliasing."""
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    picture = np.stack([60 + 60 * rows / HEIGHT, 150 + 60 * columns / WIDTH, 40 + 0 * rows], axis=2)
    for _ in range(30):
        centre = (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
        colour = tuple(float(value) for value in rng.uniform(0, 255, 3))
        cv2.circle(picture, centre, int(rng.integers(5, 25)), colour, -1, cv2.LINE_8 if hard else cv2.LINE_AA)
    return (picture if hard else cv2.GaussianBlur(picture, (0, 0), 1.0)).astype(np.uint8)


def as_float(picture: Picture) -> Plane:
    return picture.astype(np.float32) / np.float32(255.0)


def sharpness(frame: Plane) -> float:
    luma = cv2.cvtColor(np.round(frame * 255.0).astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(luma, cv2.CV_32F).var())


def lab_of(frame: Plane) -> Plane:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def statistics() -> FinishStatistics:
    return measure_statistics([cartoon()])


def test_presets_include_the_promised_names() -> None:
    assert {"none", "subtle", "film"} <= set(FINISHES)


def test_none_is_bit_equal_and_the_source_is_left_alone(statistics: FinishStatistics) -> None:
    frame = as_float(cartoon())
    before = frame.copy()
    assert np.array_equal(apply_finish(frame, 3, FINISHES["none"], statistics, 7), before)
    finished = apply_finish(frame, 3, FINISHES["film"], statistics, 7)
    assert np.array_equal(frame, before)
    assert finished.dtype == np.float32
    assert finished.min() >= 0.0
    assert finished.max() <= 1.0


@pytest.mark.parametrize("name", ["response", "colour", "clarity", "bloom", "halation", "vignette", "grain"])
def test_every_part_works_alone(name: str, statistics: FinishStatistics) -> None:
    frame = as_float(cartoon())
    alone = replace(Finish(), **{name: 0.5})
    change = np.abs(apply_finish(frame, 0, alone, statistics, 0) - frame)
    assert 1e-4 < change.mean() < 0.08


def test_clarity_raises_fine_detail(statistics: FinishStatistics) -> None:
    frame = as_float(cartoon())
    assert sharpness(apply_finish(frame, 0, Finish(clarity=0.5), statistics, 0)) > 1.1 * sharpness(frame)


def test_moments_are_taken_about_grey() -> None:
    red = np.full((90, 160, 3), (200, 60, 60), np.uint8)
    chroma = lab_of(as_float(red))[0, 0, 1:]
    assert np.allclose(measure_statistics([red]).moments, np.outer(chroma, chroma), atol=0.1)


def test_same_call_gives_the_same_pixels_and_order_does_not_matter(statistics: FinishStatistics) -> None:
    frame = as_float(cartoon())
    forwards = [apply_finish(frame, index, FINISHES["film"], statistics, 1) for index in range(3)]
    backwards = [apply_finish(frame, index, FINISHES["film"], statistics, 1) for index in (2, 1, 0)][::-1]
    assert all(np.array_equal(one, other) for one, other in zip(forwards, backwards, strict=True))


def test_without_grain_a_static_clip_stays_static(statistics: FinishStatistics) -> None:
    frame = as_float(cartoon())
    steady = replace(FINISHES["film"], grain=0.0)
    assert np.array_equal(apply_finish(frame, 0, steady, statistics, 0), apply_finish(frame, 9, steady, statistics, 0))


def test_grain_is_new_on_every_frame_and_for_every_seed() -> None:
    fields = [grain_field(HEIGHT, WIDTH, index, seed) for index, seed in ((0, 0), (1, 0), (0, 1))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(float(np.mean(fields[one] * fields[other]))) < 0.03


@pytest.mark.parametrize("height", [180, 360, 1080])
def test_grain_has_unit_spread_and_is_spatially_correlated(height: int) -> None:
    field = grain_field(height, 320, 4, 0)
    assert abs(float(field.mean())) < 0.03
    assert abs(float(field.std()) - 1.0) < 0.03
    beside = float(np.mean(field[:, 1:] * field[:, :-1]))
    far = float(np.mean(field[:, 8:] * field[:, :-8]))
    assert 0.2 < beside < 0.9
    assert abs(far) < 0.05


def test_grain_depends_on_brightness_and_keeps_the_mean() -> None:
    spreads = []
    for level in (0.02, 0.45, 0.97):
        grey = np.full((HEIGHT, WIDTH, 3), level, np.float32)
        grained = add_grain(grey, 0, 0.5, 0)
        assert abs(float(grained.mean()) - level) < 2e-3
        spreads.append(float(grained[..., 1].std()))
    assert spreads[1] == pytest.approx(0.5 * GRAIN_DEVIATION, rel=0.1)
    assert max(spreads[0], spreads[2]) < 0.6 * spreads[1]


def test_predicted_sharpness_of_grain_is_that_of_real_grain() -> None:
    luma = 255.0 * 0.5 * GRAIN_DEVIATION * grain_field(360, 640, 0, 0)
    assert grain_sharpness(360, 0.5) == pytest.approx(cv2.Laplacian(luma, cv2.CV_32F).var(), rel=0.25)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spread", [0.05, 0.6, 1.0, 1.6])
@pytest.mark.parametrize("shift", [-25.0, 0.0, 25.0])
def test_tone_curve_keeps_its_slope_limits(strength: float, spread: float, shift: float) -> None:
    lightness = np.clip(50.0 + shift + spread * (np.asarray(LIVE_LIGHTNESS) - 56.0), 0.0, 100.0)
    clip = FinishStatistics(tuple(lightness), ((200.0, 0.0), (0.0, 200.0)), 1.0, 100.0, 360, 1)
    curve = tone_curve(clip, strength)
    slopes = np.diff(curve) * (len(curve) - 1) / 100.0
    assert slopes.min() >= SLOPE_LIMITS[0] - 1e-9
    assert slopes.max() <= SLOPE_LIMITS[1] + 1e-9
    assert curve[0] >= -1e-9
    assert curve[-1] <= 100.0 + 1e-9
    assert np.abs(curve - np.linspace(0.0, 100.0, len(curve))).max() <= 20.0 * strength + 1e-9


def test_flat_clip_gains_contrast_over_a_harsh_one() -> None:
    gains = []
    for spread in (0.5, 1.5):
        lightness = np.clip(50.0 + spread * (np.asarray(LIVE_LIGHTNESS) - 56.0), 0.0, 100.0)
        curve = tone_curve(FinishStatistics(tuple(lightness), ((200.0, 0.0), (0.0, 200.0)), 1.0, 100.0, 360, 1), 1.0)
        gains.append((curve[160] - curve[96]) / 25.0)
    assert gains[0] > gains[1] + 0.1


def test_response_rolls_off_strong_colours_only(statistics: FinishStatistics) -> None:
    kept = []
    for colour in ((0.9, 0.1, 0.1), (0.55, 0.5, 0.5)):
        patch = np.full((8, 8, 3), colour, np.float32)
        before, after = lab_of(patch), lab_of(apply_finish(patch, 0, Finish(response=1.0), statistics, 0))
        kept.append(float(np.linalg.norm(after[0, 0, 1:]) / np.linalg.norm(before[0, 0, 1:])))
    assert kept[0] < 0.85
    assert kept[1] > 0.97


def test_response_really_has_a_limited_slope_in_pixels(statistics: FinishStatistics) -> None:
    ramp = np.repeat(np.linspace(0.02, 0.98, 640, dtype=np.float32)[None, :, None], 8, axis=0).repeat(3, axis=2)
    before = lab_of(ramp)[4, :, 0]
    after = lab_of(apply_finish(ramp, 0, Finish(response=1.0), statistics, 0))[4, :, 0]
    slope = np.diff(after[::8]) / np.diff(before[::8])
    assert slope.min() > SLOPE_LIMITS[0] - 0.05
    assert slope.max() < SLOPE_LIMITS[1] + 0.05
    assert np.ptp(slope) > 0.1


def test_colour_moves_towards_live_footage_and_grey_stays_grey(statistics: FinishStatistics) -> None:
    frame = as_float(cartoon())
    chroma = np.abs(lab_of(frame)[..., 1:]).mean()
    moved = np.abs(lab_of(apply_finish(frame, 0, Finish(colour=0.5), statistics, 0))[..., 1:]).mean()
    assert moved < 0.93 * chroma
    grey = np.full((16, 16, 3), 0.5, np.float32)
    film = replace(FINISHES["film"], grain=0.0)
    assert np.abs(lab_of(apply_finish(grey, 0, film, statistics, 0))[..., 1:]).max() < 0.5


def test_full_transport_brings_moments_to_those_of_live_footage() -> None:
    clip = FinishStatistics(LIVE_LIGHTNESS, ((90.0, -20.0), (-20.0, 260.0)), 1.0, 100.0, 360, 1)
    half, none = colour_transport(clip, 0.5), colour_transport(clip, 0.0)
    full = 2.0 * half - np.eye(2)
    assert np.array_equal(none, np.eye(2))
    assert np.allclose(full @ np.asarray(clip.moments) @ full.T, ((69.7, 38.3), (38.3, 198.0)), rtol=0.05)


def test_skin_keeps_its_colour_where_leaves_lose_theirs(statistics: FinishStatistics) -> None:
    changes = []
    for colour in ((0.85, 0.64, 0.52), (0.45, 0.29, 0.21), (0.35, 0.75, 0.1)):
        patch = np.full((16, 16, 3), colour, np.float32)
        before, after = lab_of(patch), lab_of(apply_finish(patch, 0, Finish(colour=0.5), statistics, 0))
        changes.append(float(np.linalg.norm((after - before)[0, 0, 1:]) / np.linalg.norm(before[0, 0, 1:])))
    assert max(changes[:2]) < 0.06
    assert changes[2] > 0.1


@pytest.mark.parametrize("name", ["subtle", "film"])
@pytest.mark.parametrize("hard", [False, True])
def test_result_is_no_blurrier_than_its_source(name: str, hard: bool) -> None:
    picture = cartoon(hard)
    frame = as_float(picture)
    finished = apply_finish(frame, 0, FINISHES[name], measure_statistics([picture]), 0)
    assert sharpness(finished) >= sharpness(frame)


def test_softness_acts_on_hard_edges_and_skips_soft_clips() -> None:
    lens = Finish(softness=1.0, grain=1.0)
    for hard in (True, False):
        picture = cartoon(hard)
        measured = replace(measure_statistics([picture]), sharpness=60.0)
        with_lens = apply_finish(as_float(picture), 0, lens, measured, 0)
        without = apply_finish(as_float(picture), 0, replace(lens, softness=0.0), measured, 0)
        assert np.array_equal(with_lens, without) is not hard


def test_film_neither_crushes_nor_clips(statistics: FinishStatistics) -> None:
    ramp = np.repeat(np.linspace(0.0, 1.0, WIDTH, dtype=np.float32)[None, :, None], HEIGHT, axis=0).repeat(3, axis=2)
    finished = apply_finish(ramp, 0, replace(FINISHES["film"], grain=0.0), statistics, 0)
    middle = finished[HEIGHT // 2, :, 1]
    assert np.all(np.diff(middle[::8]) > 0.0)
    assert middle.min() > 0.0
    assert middle.max() < 1.0


def test_statistics_weigh_frames_alike_and_need_one() -> None:
    dark, light = np.full((90, 160, 3), 40, np.uint8), np.full((90, 160, 3), 220, np.uint8)
    assert measure_statistics([dark, light]) == measure_statistics(iter([light, dark]))
    assert measure_statistics([dark, light]).frames == 2
    with pytest.raises(InvalidOption, match="at least one frame"):
        measure_statistics([])


@pytest.mark.parametrize(("name", "value"), [("grain", 1.2), ("colour", 0.6), ("bloom", -0.1), ("clarity", np.nan)])
def test_strength_outside_its_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidOption, match=name):
        replace(Finish(), **{name: value})

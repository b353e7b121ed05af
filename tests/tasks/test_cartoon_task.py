"""The cartoon task from end to end with its bundled weights."""

from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from vid2vid_tasks.cartoon_to_photoreal.cartoonise import cartoonise, sample_style

import vid2vid

HEIGHT, WIDTH, LENGTH = 96, 144, 16


def live() -> np.ndarray:
    """A camera pans over textured ground under a smooth sky; a ball rolls along."""
    chance = np.random.default_rng(5)
    canvas = np.zeros((HEIGHT, WIDTH + 2 * LENGTH, 3), np.float32)
    canvas[:] = np.linspace((150, 180, 215), (120, 140, 120), HEIGHT)[:, None]
    ground = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT // 2, WIDTH + 2 * LENGTH)).astype(np.float32), (0, 0), 1.0)
    canvas[HEIGHT // 2 :] += 60 * ground[..., None] * np.array((1.0, 0.9, 0.6), np.float32)
    for x in (20, 70, 120):
        cv2.rectangle(canvas, (x, 30), (x + 18, 62), (110.0 - x / 4, 80.0, 60.0 + x / 3), -1)
    frames = [canvas[:, 2 * t : 2 * t + WIDTH].copy() for t in range(LENGTH)]
    for t, frame in enumerate(frames):
        cv2.circle(frame, (30 + 5 * t, 70), 9, (190.0, 70.0, 50.0), -1)
    return np.clip(np.stack(frames), 0, 255).astype(np.uint8)


LIVE = live()
CARTOON = cartoonise(LIVE, replace(sample_style(np.random.default_rng(3), held_out=True), nominal_height=HEIGHT))


def psnr_db(made: np.ndarray, frames: slice = slice(None)) -> float:
    error = (made[frames].astype(np.float64) - LIVE[frames]) ** 2
    return float(-10 * np.log10(error.mean() / 255**2))


def test_key_frames_make_the_whole_clip_look_like_them() -> None:
    made = vid2vid.translate(CARTOON, "cartoon_to_photoreal", reference=[LIVE[2], LIVE[13]], minutes=0,
                             progress=False)  # fmt: skip
    assert [key["frame"] for key in made.report["task_report"]["key_frames"]] == [2, 13]
    assert made.report["task_report"]["finish"] == "none"
    between = slice(5, 11)
    assert psnr_db(made.frames, between) > psnr_db(CARTOON, between) + 3.0


@pytest.mark.parametrize("minutes", [0.001, 0.05])
def test_a_net_is_fitted_to_the_key_frames_within_the_minutes(minutes: float) -> None:
    """However few steps there is time for, the key frames that the net is shown are not made worse."""
    began = time.perf_counter()
    made = vid2vid.translate(
        CARTOON, "cartoon_to_photoreal", reference=[LIVE[2], LIVE[13]], minutes=minutes, preset="fast", progress=False
    )
    assert "and a net fitted to them" in made.report["task_report"]["way"]
    between = slice(5, 11)
    assert psnr_db(made.frames, between) > psnr_db(CARTOON, between) + 3.0
    assert time.perf_counter() - began < 40.0, "three seconds of fitting, and the rest of the render"


def test_numbers_of_key_frames_can_be_said() -> None:
    made = vid2vid.translate(CARTOON, "cartoon_to_photoreal", reference=LIVE[4], key_frames=(4,), minutes=0,
                             progress=False)  # fmt: skip
    assert made.report["task_report"]["key_frames"] == [{"frame": 4, "agreement": 1.0}]
    with pytest.raises(vid2vid.InvalidOption, match="key_frames"):
        vid2vid.translate(CARTOON, "cartoon_to_photoreal", reference=LIVE[4], key_frames=(99,), progress=False)


def test_key_frames_need_a_clip_that_can_be_read_twice() -> None:
    with pytest.raises(vid2vid.InvalidOption, match="read twice"):
        vid2vid.translate(iter(list(CARTOON)), "cartoon_to_photoreal", reference=LIVE[4], progress=False)


def test_too_many_key_frames_are_refused() -> None:
    with pytest.raises(vid2vid.InvalidOption, match="1 to 8"):
        vid2vid.translate(CARTOON, "cartoon_to_photoreal", reference=list(LIVE[:9]), progress=False)


def test_without_key_frames_it_is_finished_and_says_so() -> None:
    bare = vid2vid.translate(CARTOON, "cartoon_to_photoreal", finish="none", progress=False)
    film = vid2vid.translate(CARTOON, "cartoon_to_photoreal", progress=False)
    assert "no pretrained photo-real model used" in film.report["summary"]
    assert film.report["task_report"]["finish"] == "film"
    assert np.abs(film.frames.astype(int) - bare.frames).mean() > 2.0

    def sharpness(clip: np.ndarray) -> float:
        return float(np.mean([cv2.Laplacian(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() for f in clip]))

    assert sharpness(film.frames) > sharpness(bare.frames)


def test_the_net_never_ruins_a_clip() -> None:
    bare = vid2vid.translate(CARTOON, "cartoon_to_photoreal", finish="none", progress=False)
    assert psnr_db(bare.frames) > psnr_db(CARTOON) - 1.0


def test_seeds_change_the_grain_and_nothing_else_does() -> None:
    one, two, three = (
        vid2vid.translate(CARTOON[:3], "cartoon_to_photoreal", seed=seed, dtype="float32", progress=False).frames
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)

"""Patches to learn from follow a seed, show the carried key beside the truth, and often where it fits badly."""

from __future__ import annotations

from itertools import islice

import cv2
import numpy as np
import pytest
import torch
from vid2vid_tasks.sketch_to_scene import line_lesson
from vid2vid_tasks.sketch_to_scene.line_lesson import DISTANCES, LineExample, LineWindows, line_examples

from vid2vid.data.footage import Shot
from vid2vid.errors import InvalidExamples, InvalidOption
from vid2vid.fitting import Window

HEIGHT, WIDTH, LENGTH = 96, 128, 20


@pytest.fixture(scope="module")
def shot() -> Shot:
    noise = np.random.default_rng(3).integers(0, 255, (HEIGHT, WIDTH + 2 * LENGTH, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 5.0).astype(np.float32)
    canvas = np.clip((smooth - smooth.mean()) * 8 + 128, 0, 255).astype(np.uint8)
    return Shot("pan", np.stack([canvas[:, 2 * t : 2 * t + WIDTH] for t in range(LENGTH)]))


@pytest.fixture(scope="module")
def examples(shot: Shot) -> list[LineExample]:
    return list(line_examples([shot], 3, seed=1))


def test_examples_follow_the_seed(shot: Shot, examples: list[LineExample]) -> None:
    again = list(line_examples([shot], 3, seed=1))
    assert len(again) == len(examples)
    assert all(np.array_equal(one.reference, two.reference) for one, two in zip(again, examples, strict=True))
    other = next(line_examples([shot], 1, seed=2))
    assert not np.array_equal(other.reference, examples[0].reference)


def test_the_carried_key_is_near_the_truth_and_not_the_truth(examples: list[LineExample]) -> None:
    for example in examples:
        assert example.maps.shape == (HEIGHT, WIDTH, 6) and example.reference.shape == (HEIGHT, WIDTH, 4)
        difference = np.abs(example.reference[..., :3].astype(int) - example.target).mean()
        assert 0.0 < difference < 45.0
    trusted = np.mean([example.reference[..., 3].mean() for example in examples])
    assert 60.0 < trusted < 255.0


@pytest.mark.parametrize("total", [3, 16, 61, 200])
def test_plans_stay_within_the_shot(total: int) -> None:
    for seed in range(200):
        key, wanted, other = line_lesson._plan(total, np.random.default_rng(seed))
        away = [abs(number - key) for number in wanted]
        assert 0 <= key < total and all(0 <= number < total for number in wanted)
        assert min(away) >= 1 and max(away) <= DISTANCES[1]
        assert len({np.sign(number - key) for number in wanted}) == 1
        assert other is None or (0 <= other < total and other not in wanted and abs(other - key) > max(away))


def same(one: Window, two: Window) -> bool:
    return all(torch.equal(getattr(one, name), getattr(two, name)) for name in Window.__slots__)


def test_windows_follow_from_seed_and_step_and_are_shared(examples: list[LineExample]) -> None:
    windows = LineWindows(examples, batch=3, crop=48, seed=4)
    whole = list(islice(windows.start(0), 4))
    assert same(next(windows.start(3)), whole[3])
    assert not same(whole[0], whole[1])
    assert whole[0].maps.shape == (3, 1, 6, 48, 48) and whole[0].reference.shape == (3, 1, 4, 48, 48)
    share = next(windows.start(1, 1, 2))
    assert torch.equal(share.target, whole[1].target[1::2])


def test_some_patches_come_without_a_key(examples: list[LineExample]) -> None:
    windows = LineWindows(examples, batch=200, crop=16)
    window = next(windows.start(0))
    without = ~window.maps[:, 0, 3:].flatten(1).any(1) & ~window.reference[:, 0, 3].flatten(1).any(1)
    assert 0.03 < float(without.float().mean()) < 0.2
    assert window.reference[without, 0, :3].mean() > 0.3, "a relief stands in, not a hole"


def test_places_where_the_key_fits_badly_come_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    reference[:, WIDTH // 2 :, 3] = 255
    example = LineExample(np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH, 6), np.uint8), reference)
    windows = LineWindows([example], batch=1, crop=32)

    def mean() -> float:
        boxes = (windows._place(example, np.random.default_rng(seed)) for seed in range(300))
        return float(np.mean([reference[box][..., 3].mean() for box in boxes]))

    wound = mean()
    monkeypatch.setattr(line_lesson, "WINDING_PATCHES", 0.0)
    assert wound < mean() - 20.0


def test_no_shots_and_too_large_crops_are_refused(examples: list[LineExample]) -> None:
    with pytest.raises(InvalidExamples, match="live footage"):
        next(line_examples([], 1))
    with pytest.raises(InvalidOption, match="crop=200"):
        LineWindows(examples, batch=1, crop=200)

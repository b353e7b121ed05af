from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from vid2vid.errors import EmptyInput
from vid2vid.motion import coverage
from vid2vid.motion.coverage import choose_keys
from vid2vid.types import Frame


def scene(seed: int, width: int = 900) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (72, width, 3)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def frames(*pictures: np.ndarray) -> list[Frame]:
    return [Frame(np.ascontiguousarray(p), t, Fraction(t, 25)) for t, p in enumerate(pictures)]


def pan(wide: np.ndarray, count: int, step: int) -> list[np.ndarray]:
    return [wide[:, step * t : step * t + 128] for t in range(count)]


def test_a_still_clip_needs_one_key() -> None:
    found = choose_keys(frames(*[scene(0)[:, :128]] * 12), 4)
    assert len(found.frames) == 1
    assert found.covered == pytest.approx(1.0, abs=0.01)
    assert (found.shots, found.missed_shots) == (1, 0)


def test_every_shot_gets_a_key_before_any_gets_two() -> None:
    shots = [scene(seed)[:, :128] // 2 + tint for seed, tint in ((1, 0), (2, 120), (3, 60))]
    tinted = [np.where(np.arange(3) == n, shot, shot // 3) for n, shot in enumerate(shots)]
    clip = frames(*[shot for shot in tinted for _ in range(8)])
    found = choose_keys(clip, 3)
    assert [number // 8 for number in found.frames] == [0, 1, 2]
    assert choose_keys(clip, 2).missed_shots == 1


def test_a_pan_gets_keys_that_see_all_of_it() -> None:
    clip = frames(*pan(scene(4), 40, 6))  # 234 pixels of way: two pictures' worth
    one, four = choose_keys(clip, 1), choose_keys(clip, 4)
    assert one.covered < 0.75
    assert four.covered > one.covered + 0.2
    assert max(np.diff([0, *four.frames, 39])) < 22, "keys lie along the whole way"


def test_what_comes_into_view_is_worth_a_key() -> None:
    wide = scene(5)
    door, room = wide[:, :128].copy(), wide[:, :128].copy()
    room[10:60, 30:100] = scene(6)[10:60, 30:100]
    opened = [door] * 10 + [room] * 3
    found = choose_keys(frames(*opened), 2)
    assert len(found.frames) == 2
    assert found.frames[1] >= 10


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "MOST_CANDIDATES", 6)
    seen = []
    real = coverage._greedy
    monkeypatch.setattr(coverage, "_greedy", lambda kept, most: seen.append(kept) or real(kept, most))
    choose_keys(frames(*pan(scene(7), 60, 4)), 3)
    (kept,) = seen
    assert len(kept) == 6
    assert sum(candidate.weight for candidate in kept) == 60
    assert max(np.diff([candidate.index for candidate in kept])) <= 24, "thinned evenly"


def test_nothing_to_choose_from() -> None:
    with pytest.raises(EmptyInput):
        choose_keys([], 4)

"""Of two ways to carry a key frame, the one that meets the lines without tearing is taken, and both are mixed."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from vid2vid_tasks.sketch_to_scene.line_carrying import LineKey, carry_lines, chain_keys

from vid2vid.conditions.line_art import extract_lines, soften
from vid2vid.motion.keyframes import KeyFrame, carry, plan_carries
from vid2vid.types import Frame

HEIGHT, WIDTH, LENGTH, KEY, SPEED_PX = 90, 128, 7, 2, 2


def live(t: int) -> np.ndarray:
    """A checked box slides over a plain wall."""
    picture = np.full((HEIGHT, WIDTH, 3), (170, 160, 150), np.uint8)
    left = 20 + SPEED_PX * t
    picture[25:65, left : left + 50] = (60, 90, 140)
    cv2.circle(picture, (left + 25, 45), 12, (220, 200, 90), -1, cv2.LINE_AA)
    return picture


SOFT = [soften(extract_lines(live(t))) for t in range(LENGTH)]
FRAMES = [Frame(soft, t, Fraction(t, 25)) for t, soft in enumerate(SOFT)]


@pytest.fixture(scope="module")
def key() -> LineKey:
    fields = plan_carries(FRAMES, [KEY], WIDTH, HEIGHT)[0]
    (made,) = chain_keys([KeyFrame(KEY, SOFT[KEY], live(KEY), fields)], FRAMES)
    return made


def error(made: np.ndarray, t: int) -> float:
    return float(np.abs(made * 255.0 - live(t)).mean())


def broken(key: LineKey, which: str) -> LineKey:
    """The same, but one way is off by a torn, useless field."""
    rng = np.random.default_rng(0)
    noise = {n: rng.normal(0, 9, f.shape).astype(np.float16) for n, f in key.fields.items()}
    fields, chained = (noise, key.chained) if which == "searched" else (key.fields, noise)
    return LineKey(key.index, key.source, key.look, fields, chained)


def test_the_chain_reaches_as_far_as_the_search_and_follows(key: LineKey) -> None:
    assert set(key.chained) == set(key.fields) == set(range(LENGTH))
    alone = [KeyFrame(key.index, key.source, key.look, key.chained)]
    still = error(live(KEY) / 255.0, LENGTH - 1)
    assert error(carry(alone, LENGTH - 1, SOFT[-1]).look, LENGTH - 1) < 0.4 * still


def test_the_mix_is_as_good_as_either(key: LineKey) -> None:
    for t in (0, 5):
        alone = [carry([KeyFrame(KEY, key.source, key.look, f)], t, SOFT[t]) for f in (key.fields, key.chained)]
        mixed = carry_lines([key], t, SOFT[t])
        best = min(
            error(way.look, t) for way in alone
        )  # in levels; where one is right to the bit, a fraction of one is lost
        assert error(mixed.look, t) < 1.2 * best + 0.2
        assert mixed.validity.min() >= 0.0 and mixed.validity.max() <= 1.0


@pytest.mark.parametrize("which", ["searched", "chained"])
def test_a_torn_way_is_left_out(key: LineKey, which: str) -> None:
    good = error(carry_lines([key], 5, SOFT[5]).look, 5)
    kept = error(carry_lines([broken(key, which)], 5, SOFT[5]).look, 5)
    fields = {name: getattr(broken(key, which), name) for name in ("fields", "chained")}
    torn = fields["fields" if which == "searched" else "chained"]
    bad = error(carry([KeyFrame(KEY, key.source, key.look, torn)], 5, SOFT[5]).look, 5)
    assert kept < good + 0.2 * (bad - good)


def test_a_key_frame_that_was_not_chained_is_carried_by_the_search_alone(key: LineKey) -> None:
    plain = KeyFrame(key.index, key.source, key.look, key.fields)
    assert np.array_equal(carry_lines([plain], 5, SOFT[5]).look, carry([plain], 5, SOFT[5]).look)


def test_the_key_frame_itself_comes_back_untouched(key: LineKey) -> None:
    mixed = carry_lines([key], KEY, SOFT[KEY])
    assert error(mixed.look, KEY) < 0.01 and mixed.validity.min() > 0.99

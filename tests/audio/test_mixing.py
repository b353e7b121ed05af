"""Voices in time and space: placed to the sample, panned, and without a seam between blocks."""

from __future__ import annotations

import numpy as np
import pytest

from vid2vid import Event
from vid2vid.audio.mixing import DUCK_DB, ducked, mixed, pan
from vid2vid.audio.synthesis import RATE, onset_of, peak_of

LENGTH = 3 * RATE
EVENTS = (
    Event("whoosh", 0.05, 0.9, 0, (0.1, 0.5)),
    Event("impact", 0.5, 0.9, 1, (0.9, 0.5)),
    Event("fall", 0.6, 0.7, 1, (0.6, 0.9)),
    Event("footfall", 1.9, 0.3, 0),
    Event("landing", 2.9, 1.0, 0, (0.4, 0.9)),
)


def whole(events: tuple[Event, ...], seed: int = 0, block: int = LENGTH) -> np.ndarray:
    return np.concatenate([one.mix for one in mixed(events, LENGTH, seed, "hard", block)])


@pytest.mark.parametrize("kind", ["impact", "fall", "landing", "footfall", "whoosh"])
def test_a_sound_meets_its_event(kind: str) -> None:
    made = whole((Event(kind, 1.2345, 0.7, position=(0.3, 0.5)),))
    at = peak_of(made) if kind == "whoosh" else onset_of(made.max(1))
    assert abs(at / RATE - 1.2345) < (0.002 if kind == "whoosh" else 0.0004)


@pytest.mark.parametrize("block", [997, 48_000, 100_001])
def test_block_borders_leave_no_trace(block: int) -> None:
    assert np.abs(whole(EVENTS, block=block) - whole(EVENTS)).max() <= 1e-6
    presence = np.concatenate([one.presence for one in mixed(EVENTS, LENGTH, 0, "hard", block)])
    assert np.abs(presence - next(mixed(EVENTS, LENGTH, 0, "hard", LENGTH)).presence).max() <= 1e-6


def test_a_seed_repeats_bit_for_bit_and_another_differs() -> None:
    assert np.array_equal(whole(EVENTS, 3), whole(EVENTS, 3))
    assert not np.array_equal(whole(EVENTS, 3), whole(EVENTS, 4))


def test_an_edit_leaves_the_other_sounds_alone() -> None:
    """A person who takes one event out hears the rest unchanged."""
    without = whole(EVENTS[:1] + EVENTS[2:])
    assert np.abs(whole(EVENTS) - whole(EVENTS[1:2]) - without).max() < 1e-6


def test_position_is_heard() -> None:
    def left_over_right_db(x: float) -> float:
        made = whole((Event("impact", 1.0, 1.0, position=(x, 0.5)),)).astype(np.float64)
        return float(10 * np.log10(np.square(made[:, 0]).sum() / np.square(made[:, 1]).sum()))

    assert left_over_right_db(0.0) > 9 and left_over_right_db(1.0) < -9
    assert abs(left_over_right_db(0.5)) < 1.0
    for x in (0.0, 0.3, 0.5, 1.0):
        assert np.square(pan(x)).sum() == pytest.approx(1.0)


def test_weaker_is_quieter() -> None:
    power = [np.square(whole((Event("impact", 1.0, strength),)).astype(np.float64)).sum() for strength in (0.1, 0.5, 1)]
    assert power[0] < 0.3 * power[1] < 0.09 * power[2]


def test_stems_add_up_and_carry_one_kind_each() -> None:
    (block,) = mixed(EVENTS, LENGTH, 0, "hard", LENGTH)
    assert set(block.stems) == {event.kind for event in EVENTS}
    assert np.abs(sum(block.stems.values()) - block.mix).max() < 1e-6
    alone = whole(tuple(event for event in EVENTS if event.kind == "fall"))
    assert np.array_equal(block.stems["fall"], alone)


def test_another_sound_steps_back_around_an_event() -> None:
    (block,) = mixed((Event("impact", 1.5),), LENGTH, 0, "hard", LENGTH)
    made = ducked(np.ones((LENGTH, 2), np.float32), block.presence)[:, 0]
    assert made[round(1.55 * RATE)] == pytest.approx(10 ** (DUCK_DB / 20), rel=0.01)
    assert made[: round(1.4 * RATE)].min() == 1.0 and made[-RATE // 4 :].min() == 1.0
    assert np.abs(np.diff(made)).max() < 0.001, "without a step that ticks"


def test_what_begins_after_the_end_is_silent() -> None:
    assert not whole((Event("impact", 3.0), Event("fall", 9.0))).any()

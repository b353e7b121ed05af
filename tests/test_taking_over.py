"""One rule says who takes over whom: names first, then whoever has none, and nothing that is said is passed over."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vid2vid.errors import InvalidOption, ReferenceMismatch
from vid2vid.taking_over import Chosen, Words, who_takes_over

WORDS = Words("face", "faces", "clip", "Look at them.")
THERE, LARGEST = (0, 2, 5), 2


@dataclass(frozen=True)
class Somebody:
    who: str
    name: str | None = None


ANNA, BOB = Somebody("anna"), Somebody("bob")
FIVE, ZERO = Somebody("five", "5"), Somebody("zero", "0")


@pytest.mark.parametrize(
    ("given", "chosen", "wanted"),
    [
        ((ANNA,), "largest", {2: ANNA}),
        ((ANNA, BOB), "all", {0: ANNA, 2: ANNA, 5: ANNA}),
        ((ANNA,), (5, 0), {5: ANNA, 0: ANNA}),
        ((FIVE, ZERO), "largest", {5: FIVE, 0: ZERO}),
        ((FIVE, ANNA), "largest", {2: ANNA, 5: FIVE}),
        ((FIVE, ANNA), "all", {0: ANNA, 2: ANNA, 5: FIVE}),
        ((FIVE, ZERO), (5,), {5: FIVE, 0: ZERO}),
        ((Somebody("late", "05"),), "largest", {5: Somebody("late", "05")}),
    ],
)
def test_names_come_first(given: tuple[Somebody, ...], chosen: Chosen, wanted: dict[int, Somebody]) -> None:
    assert who_takes_over(given, chosen, THERE, LARGEST, WORDS) == wanted


@pytest.mark.parametrize(
    ("given", "chosen", "error", "said"),
    [
        (
            (Somebody("x", "anna"),),
            "largest",
            ReferenceMismatch,
            "face 'anna', but the clip's faces are numbered 0, 2, 5",
        ),
        ((ANNA, Somebody("x", "7")), "all", ReferenceMismatch, "face '7', but"),
        (
            (ANNA,),
            (0, 7),
            InvalidOption,
            "faces=0,7: the clip has no face 7; the clip's faces are numbered 0, 2, 5. Look",
        ),
        ((FIVE,), "all", ReferenceMismatch, "nobody for face 0: add one, or leave it out of faces="),
        ((FIVE,), (5, 2), ReferenceMismatch, "nobody for face 2"),
    ],
)
def test_what_cannot_be_is_said(given: tuple[Somebody, ...], chosen: Chosen, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        who_takes_over(given, chosen, THERE, LARGEST, WORDS)
    assert said in str(caught.value)


def test_the_largest_counts_even_where_it_is_seen_too_briefly_to_be_listed() -> None:
    assert who_takes_over((ANNA,), "largest", (0,), 2, WORDS) == {2: ANNA}


def test_an_empty_clip_has_nobody_to_take_over() -> None:
    assert not who_takes_over((ANNA,), "largest", (), None, WORDS)
    assert not who_takes_over((ANNA,), "all", (), None, WORDS)
    with pytest.raises(InvalidOption, match=r"numbered none\."):
        who_takes_over((ANNA,), (0,), (), None, WORDS)


@pytest.mark.parametrize("chosen", ["", "biggest", ()])
def test_a_choice_is_checked_before_any_clip_is_seen(chosen: Chosen) -> None:
    with pytest.raises(InvalidOption, match="'largest', 'all', or numbers"):
        WORDS.check(chosen)

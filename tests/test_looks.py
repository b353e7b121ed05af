"""What a look is learned from: damage as at render time, patches that follow from a seed, references withheld."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, pairwise

import numpy as np
import pytest
import torch

from tests.moving import HEIGHT, LENGTH, SIDE, TOP, WIDTH, clip, frame, look, place
from vid2vid import looks
from vid2vid.fitting import Window
from vid2vid.io import open_source
from vid2vid.looks import (
    CHANNELS,
    TRIPS,
    TRIPS_PER_KEY,
    WITHHELD_RECTANGLE,
    WITHHELD_WHOLE,
    Aligned,
    Example,
    LookWindows,
    key_examples,
    look_maps,
    pair_examples,
)
from vid2vid.motion.keyed_clip import keyed_clip

PLAIN = np.eye(3, 4, dtype=np.float32)
KEYS = (3, 12)
TRIALS = 1500


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    found = keyed_clip([look(frame(t)) for t in KEYS], KEYS, (1.0, 1.0), open_source(clip()).reopen, WIDTH, HEIGHT)
    return key_examples(found.keys, iter(clip()))


def damage(aligned: Aligned, wanted: np.ndarray, rows: slice, columns: slice) -> float:
    return float(np.abs(aligned.look.astype(int) - wanted)[rows, columns].mean())


def test_each_key_is_told_of_by_the_other_and_by_its_own_trips(examples: list[Example]) -> None:
    assert len(examples) == 2
    for t, example in zip(KEYS, examples, strict=True):
        assert np.array_equal(example.source, frame(t)) and np.array_equal(example.target, look(frame(t)))
        reachable = [n for n in range(LENGTH) if TRIPS[0] <= abs(n - t) <= TRIPS[1]]
        assert len(example.near) == 1
        assert len(example.trips) == min(TRIPS_PER_KEY, len(reachable))


def test_trips_damage_the_reference_where_something_moved_and_there_only(examples: list[Example]) -> None:
    around = slice(TOP, TOP + SIDE)
    for t, example in zip(KEYS, examples, strict=True):
        near_patch = slice(max(0, place(t).start - 8), place(t).stop + 8)
        moved = np.mean([damage(trip, example.target, around, near_patch) for trip in example.trips])
        still = np.mean([damage(trip, example.target, slice(48, HEIGHT), slice(0, WIDTH)) for trip in example.trips])
        assert moved > 4.0
        assert still < 0.3 * moved
        doubt = np.mean([255.0 - trip.validity[around, near_patch].mean() for trip in example.trips])
        calm = np.mean([255.0 - trip.validity[48:].mean() for trip in example.trips])
        assert doubt > 3.0 * calm


def test_a_key_carried_onto_the_other_is_true_where_it_is_trusted(examples: list[Example]) -> None:
    for example in examples:
        (near,) = example.near
        error = np.abs(near.look.astype(int) - example.target).mean(-1)
        assert float(error[near.validity > 230].mean()) < 6.0
        assert float(near.validity.mean()) > 150.0
        assert np.abs(near.key_source.astype(int) - example.source).mean(-1)[near.validity > 230].mean() < 6.0


def test_the_choice_of_trips_follows_the_seed() -> None:
    found = keyed_clip([look(frame(12))], (12,), (1.0,), open_source(clip()).reopen, WIDTH, HEIGHT)
    one, two, three = (key_examples(found.keys, clip(), seed)[0].trips for seed in (0, 0, 1))
    assert all(np.array_equal(a.look, b.look) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a.look, b.look) for a, b in zip(one, three, strict=True))


def test_pairs_are_told_of_by_two_neighbours() -> None:
    pairs = [(frame(t), look(frame(t))) for t in (0, 3, 6, 9)]
    made = pair_examples(pairs, np.random.default_rng(0))
    assert [len(example.near) for example in made] == [2, 2, 2, 2]
    assert not any(example.trips for example in made)
    for example, (source, target) in zip(made, pairs, strict=True):
        assert np.array_equal(example.source, source) and np.array_equal(example.target, target)
        for near in example.near:
            assert not np.array_equal(near.key_source, source), "a frame is never told of by itself"
            assert damage(near, target, slice(48, HEIGHT), slice(0, WIDTH)) < 4.0
    assert pair_examples(pairs[:1], np.random.default_rng(0))[0].near == ()


def windows(examples: Sequence[Example], seed: int = 0, batch: int = 3) -> LookWindows:
    return LookWindows(examples, PLAIN, batch=batch, crop=32, seed=seed)


def same(one: Window, two: Window) -> bool:
    return all(torch.equal(getattr(one, name), getattr(two, name)) for name in Window.__slots__)


def test_windows_follow_from_seed_and_step(examples: list[Example]) -> None:
    whole = list(islice(windows(examples).start(0), 6))
    again = list(islice(windows(examples).start(4), 2))
    assert same(again[0], whole[4]) and same(again[1], whole[5])
    assert not any(same(one, two) for one, two in pairwise(whole))
    assert not same(next(windows(examples, seed=1).start(0)), whole[0])
    window = whole[0]
    assert window.maps.shape == (3, 1, sum(CHANNELS.values()), 32, 32)
    assert window.target.shape == (3, 1, 3, 32, 32) and window.reference.shape == (3, 1, 4, 32, 32)
    assert not window.trust.any() and not window.flow.any()


def test_processes_share_the_patches_of_one(examples: list[Example]) -> None:
    whole = next(windows(examples).start(7))
    for rank, count in ((0, 2), (1, 1)):
        share = next(windows(examples).start(7, rank, 2))
        assert share.maps.shape[0] == count
        for name in Window.__slots__:
            assert torch.equal(getattr(share, name), getattr(whole, name)[rank::2])


def test_a_patch_is_no_larger_than_the_smallest_picture(examples: list[Example]) -> None:
    assert LookWindows(examples, PLAIN, batch=1, crop=500).crop == HEIGHT


def still_example() -> Example:
    """All four pictures are one, no value is 0, and the key explains everything."""
    picture = np.maximum(frame(0), 1)
    return Example(picture, picture, (Aligned(picture, picture, np.full((HEIGHT, WIDTH), 255, np.uint8)),), ())


def test_references_are_withheld_in_the_shares_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "distort_reference", lambda reference, rng: reference)
    source = windows([still_example()])
    whole = part = 0
    for number in range(TRIALS):
        picture, target, key_source, reference = source._patch(np.random.default_rng((5, number)))
        there = reference[..., 3] == 1.0
        assert np.array_equal(picture, target), "cut and mirrored alike"
        assert np.array_equal(key_source[there], picture[there]) and not key_source[~there].any()
        assert np.allclose(reference[there][:, :3] * 255.0, picture[there], atol=1e-3) and not reference[~there].any()
        whole += not there.any()
        part += bool(there.any() and not there.all())
    assert whole / TRIALS == pytest.approx(WITHHELD_WHOLE, abs=0.05)
    assert part / TRIALS == pytest.approx(WITHHELD_RECTANGLE, abs=0.05)


def test_places_where_the_key_fits_worse_come_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    validity = np.zeros((HEIGHT, WIDTH), np.uint8)
    validity[:, WIDTH // 2 :] = 255
    aligned = Aligned(frame(0), frame(0), validity)
    source = windows([still_example()])

    def mean() -> float:
        boxes = (source._place(still_example(), aligned, np.random.default_rng(n)) for n in range(600))
        return float(np.mean([validity[box].mean() for box in boxes]))

    wound = mean()
    monkeypatch.setattr(looks, "WINDING_PATCHES", 0.0)
    assert wound < mean() - 20.0


def test_an_example_without_a_key_gives_an_empty_reference() -> None:
    window = next(windows([Example(frame(0), look(frame(0)), (), ())]).start(0))
    assert not window.reference.any() and not window.maps[:, :, 6:].any()
    assert window.maps[:, :, :3].any()


def test_maps_are_the_graded_frame_the_frame_and_the_key() -> None:
    colours = np.array([[0.5, 0, 0, 0.1], [0, 1, 0, 0], [0, 0, 2, 0]], np.float32)
    source = np.full((2, 2, 3), (100, 150, 200), np.uint8)
    made = look_maps(source, np.full_like(source, 51), colours)
    assert made.shape == (2, 2, 9) and made.dtype == np.float32
    assert np.allclose(made[0, 0], [0.5 * 100 / 255 + 0.1, 150 / 255, 1.0, 100 / 255, 150 / 255, 200 / 255] + [0.2] * 3)

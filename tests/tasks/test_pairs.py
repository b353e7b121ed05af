"""The stream of training pairs: repeatable, continuous within a slot, and aligned where it says so."""

from __future__ import annotations

from itertools import islice

import cv2
import numpy as np
import pytest
import torch
from vid2vid_tasks.cartoon_to_photoreal.pairs import PairStream, Shot, StreamConfig

from vid2vid.backbones.generator import sample_at
from vid2vid.training import Window

CROP = 64


def textured(rows: int, columns: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (rows // 4, columns // 4, 3), np.uint8)
    return cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)


def shots() -> list[Shot]:
    canvas = textured(120, 260, 0)
    pan = np.stack([canvas[:, 2 * t : 2 * t + 160] for t in range(40)])
    return [Shot("pan", pan), Shot("photograph", textured(240, 320, 1)[None])]


def first(count: int, **settings: float) -> list[Window]:
    config = StreamConfig(slots=2, crop=CROP, **settings)  # type: ignore[arg-type]
    return list(islice(PairStream(shots(), config), count))


def test_shapes_and_ranges() -> None:
    window = first(1)[0]
    assert window.maps.shape == window.target.shape == (2, 2, 3, CROP, CROP)
    assert window.reference.shape == (2, 2, 4, CROP, CROP)
    assert window.flow.shape == (2, 2, 2, CROP, CROP) and window.trust.shape == (2, 2, 1, CROP, CROP)
    assert float(window.maps.min()) >= 0.0 and float(window.maps.max()) <= 1.0


def test_it_repeats_and_follows_its_seed() -> None:
    for one, two in zip(first(3), first(3), strict=True):
        assert torch.equal(one.maps, two.maps) and torch.equal(one.reference, two.reference)
    assert not torch.equal(first(1)[0].maps, first(1, seed=1)[0].maps)


def test_cartoons_differ_from_what_was_filmed() -> None:
    differences = [(window.maps - window.target).abs().mean() for window in first(4, references=0.0)]
    assert all(0.005 < float(difference) < 0.3 for difference in differences)


def test_the_first_frame_of_an_episode_has_no_past_and_others_have() -> None:
    windows = first(2, references=0.0)
    assert not windows[0].trust[:, 0].any()
    assert float(windows[0].trust[:, 1].mean()) > 0.3
    assert float(windows[1].trust[:, 0].mean()) > 0.3


def test_flow_explains_the_next_cartoon() -> None:
    """Over several styles: some draw lines that flicker, and no flow explains those."""
    explained, still = [], []
    for seed in range(4):
        window = first(1, references=0.0, seed=seed)[0]
        weight = window.trust[:, 1]
        for found, picture in (
            (explained, sample_at(window.maps[:, 0], window.flow[:, 1])),
            (still, window.maps[:, 0]),
        ):
            found.append(float(((picture - window.maps[:, 1]).abs() * weight).sum() / (3 * weight.sum())))
    assert np.mean(explained) < 0.03
    assert np.mean(explained) < 0.25 * np.mean(still)


def test_key_frames_come_aligned() -> None:
    windows = first(6, references=1.0)
    valid = torch.stack([window.reference[:, :, 3:] for window in windows])
    errors = torch.stack([(window.reference[:, :, :3] - window.target).abs() for window in windows])
    assert float(valid.mean()) > 0.2
    assert float((errors * valid).sum() / (3 * valid.sum())) < 0.06
    assert not first(1, references=0.0)[0].reference.any()


def same(one: Window, two: Window) -> bool:
    return all(torch.equal(getattr(one, name), getattr(two, name)) for name in Window.__slots__)


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> PairStream:
    """Drawn in this process; three slots, so that they do not divide evenly between two processes."""
    monkeypatch.setattr(PairStream, "elsewhere", PairStream.__iter__)
    return PairStream(shots(), StreamConfig(slots=3, crop=CROP, seed=4))


def test_it_can_start_anywhere(stream: PairStream) -> None:
    whole = list(islice(stream.start(0), 9))
    assert all(same(one, two) for one, two in zip(islice(stream.start(5), 4), whole[5:], strict=True))
    assert not same(whole[5], whole[6])


def test_two_processes_share_the_slots_of_one(stream: PairStream) -> None:
    whole = list(islice(stream.start(2), 3))
    shares = [list(islice(stream.start(2, rank, 2), 3)) for rank in (0, 1)]
    assert [share[0].maps.shape[0] for share in shares] == [2, 1]
    for number, window in enumerate(whole):
        for rank in (0, 1):
            for name in Window.__slots__:
                assert torch.equal(getattr(window, name)[rank::2], getattr(shares[rank][number], name))


def test_a_worker_draws_the_same(stream: PairStream, monkeypatch: pytest.MonkeyPatch) -> None:
    here = next(stream.start(3, 1, 2))
    monkeypatch.undo()
    assert same(next(stream.start(3, 1, 2)), here)

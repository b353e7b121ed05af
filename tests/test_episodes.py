"""Windows in slots: what each shows follows from its seed, slot and episode, wherever one starts and whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch

from vid2vid.episodes import EpisodeWindows
from vid2vid.errors import InvalidOption
from vid2vid.fitting import Window

WINDOWS = 3


class Numbered(EpisodeWindows):
    """Windows of two frames of one pixel: a number that the episode drew, and the frame's own."""

    def episode(self, rng: np.random.Generator) -> Iterator[Window]:
        frames = torch.arange(2.0 * WINDOWS)
        drawn = torch.stack((torch.full_like(frames, float(rng.integers(1 << 20))), frames), 1)
        return Window(*[drawn[None, :, :, None, None]] * 5).cut(2)


def numbered(**settings: int) -> Numbered:
    return Numbered(**{"slots": 3, "windows": WINDOWS, "seed": 7, **settings})


def taken(stream: Iterator[Window], count: int) -> torch.Tensor:
    """`(count, slots, 2, 2)`: by window, slot and frame what was drawn and the frame's number."""
    return torch.stack([window.maps[..., 0, 0] for window in islice(stream, count)])


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Numbered, "elsewhere", Numbered.__iter__)


def test_each_slot_stays_for_an_episode_and_its_seed_says_what_it_shows() -> None:
    shown = taken(iter(numbered()), 2 * WINDOWS)
    for step, slot in np.ndindex(2 * WINDOWS, 3):
        episode, window = divmod(step, WINDOWS)
        wanted = float(np.random.default_rng((7, slot, episode)).integers(1 << 20))
        assert shown[step, slot].tolist() == [[wanted, 2.0 * window], [wanted, 2.0 * window + 1]]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("step", [0, 1, WINDOWS, 2 * WINDOWS + 2])
def test_it_starts_anywhere_and_is_shared(step: int) -> None:
    whole = taken(numbered().start(0), step + 4)[step:]
    assert torch.equal(taken(numbered().start(step), 4), whole)
    for rank in (0, 1):
        assert torch.equal(taken(numbered().start(step, rank, 2), 4), whole[:, rank::2])


def test_another_process_makes_the_same() -> None:
    assert torch.equal(taken(numbered().start(4, 1, 2), 3), taken(iter(numbered()), 7)[4:, 1::2])


def test_more_processes_than_slots_are_refused() -> None:
    with pytest.raises(InvalidOption, match=r"4 processes share 3 slots\. Give batch=4"):
        numbered().start(0, 0, 4)


def test_a_window_is_cut_into_whole_ones() -> None:
    frames = torch.arange(5.0).view(1, 5, 1, 1, 1)
    parts = list(Window(*[frames] * 5).cut(2))
    assert [part.flow.flatten().tolist() for part in parts] == [[0.0, 1.0], [2.0, 3.0]]

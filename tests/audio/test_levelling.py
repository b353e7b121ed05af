"""Loudness and true peak of soundtracks on disk, against the library's own measure of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import resample_poly

from vid2vid import Event
from vid2vid.audio import levelling
from vid2vid.audio.levelling import Level, Scratch, integrated, levelled, true_peak_db
from vid2vid.audio.mixing import mixed
from vid2vid.audio.soundtrack import Soundtrack
from vid2vid.audio.synthesis import RATE


def library(samples: np.ndarray) -> float:
    return float(pyloudnorm.Meter(RATE).integrated_loudness(samples.astype(np.float64)))


def peak_db(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.abs(resample_poly(samples.astype(np.float64), 4, 1, axis=0)).max()))


def joined(level: Level, block: int) -> np.ndarray:
    return np.concatenate(list(level.blocks(block)))


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path)


def test_scratch_gives_back_what_it_was_given(scratch: Scratch, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((3000, 2)).astype(np.float32)
    with scratch:
        for block in (noise[:1000], np.zeros((500, 2), np.float32), noise[1000:], np.zeros((200, 2), np.float32)):
            scratch.append(block)
        assert scratch.length == 3700
        assert np.array_equal(scratch.read(1500, 3500), noise[1000:])
        assert not scratch.read(1000, 1500).any() and not scratch.read(-50, 0).any()
        assert np.array_equal(scratch.read(-10, 10)[10:], noise[:10]) and not scratch.read(3600, 4000).any()
    assert list(tmp_path.iterdir()) == []


def test_loudness_in_windows_is_the_librarys(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loud, soft and silent parts, so that both gates matter; off centre, as filters that just began would hear."""
    rng = np.random.default_rng(0)
    level = np.repeat([0.2, 0.01, 0.0, 0.4, 0.05, 0.0, 0.1], RATE)[:, None]
    sound = (level * (rng.standard_normal((len(level), 2)) + 20.0)).astype(np.float32)
    monkeypatch.setattr(levelling, "BLOCK", 2 * RATE)
    with scratch:
        scratch.append(sound)
        assert integrated(Level(scratch, 1.0, limit=False)) == pytest.approx(library(sound), abs=0.02)


KINDS = ("impact", "fall", "landing", "footfall", "whoosh")
CASES = [tuple(Event(kind, 0.4 + 0.7 * n, s, 0, (x, 0.5)) for n, kind in enumerate(KINDS)) for s in (0.2, 1.0)
         for x in (0.1, 0.5)]  # fmt: skip
CASES += [(Event(kind, 1.0, 0.6),) for kind in KINDS]


@pytest.mark.parametrize("events", CASES)
def test_loudness_and_true_peak_are_met(events: tuple[Event, ...], tmp_path: Path) -> None:
    with Soundtrack(events, 4.0, 0, "hard", tmp_path) as track:
        made = np.concatenate(list(track.blocks()))
        levels = track.measure()
    assert library(made) == pytest.approx(-16, abs=0.5)
    assert levels.loudness_lufs == pytest.approx(library(made), abs=0.05)
    assert peak_db(made) <= -2.0
    assert levels.true_peak_dbtp == pytest.approx(peak_db(made), abs=0.05)


def test_the_limiter_has_no_seams(scratch: Scratch) -> None:
    events = tuple(Event("impact", 0.3 * n + 0.1, 1.0, n, (n / 9, 0.5)) for n in range(10))
    with scratch:
        for block in mixed(events, 4 * RATE, 0, "hard"):
            scratch.append(block.mix)
        level = Level(scratch, 4.0)
        one = joined(level, 4 * RATE)
        assert np.abs(scratch.read(0, 4 * RATE) * 4).max() > 2, "there is something to limit"
        for block in (4801, 50_000):
            assert np.abs(joined(level, block) - one).max() <= 1e-6


def test_a_sound_shorter_than_a_gating_block_is_measured(tmp_path: Path) -> None:
    with Soundtrack((Event("impact", 0.05),), 0.24, 0, "hard", tmp_path) as track:
        made = np.concatenate(list(track.blocks()))
    assert len(made) == round(0.24 * RATE)
    assert library(np.pad(made, ((0, RATE * 4 // 10 - len(made)), (0, 0)))) == pytest.approx(-16, abs=0.5)


def test_silence_stays_silence(scratch: Scratch) -> None:
    with scratch:
        scratch.append(np.zeros((RATE, 2), np.float32))
        level, loudness = levelled(scratch)
        assert loudness == -np.inf and true_peak_db(level) == -np.inf
        assert not joined(level, RATE).any()


def test_memory_holds_one_block(tmp_path: Path) -> None:
    """Four minutes and one: what is held at once is the same."""
    import tracemalloc

    def most(minutes: int) -> int:
        events = tuple(Event("impact", 20.0 * n + 1, 0.8) for n in range(3 * minutes))
        tracemalloc.start()
        with Soundtrack(events, 60.0 * minutes, 0, "hard", tmp_path) as track:
            for _ in track.blocks():
                pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(4) < 1.2 * most(1)

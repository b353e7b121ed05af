"""Each voice knows its onset or peak, sounds like its kind, and never twice the same."""

from __future__ import annotations

import numpy as np
import pytest

from vid2vid.audio.events import KINDS
from vid2vid.audio.synthesis import RATE, voice

GROUNDS = ("hard", "wood", "grass", "gravel")
STRUCK = tuple(kind for kind in KINDS if kind != "whoosh")


def make(kind: str, strength: float = 0.8, ground: str = "hard", seed: int = 0) -> np.ndarray:
    return voice(kind, strength, ground, np.random.default_rng(seed)).samples.astype(np.float64)  # type: ignore[arg-type]


def middle_hz(wave: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    return float((power * np.fft.rfftfreq(len(wave), 1 / RATE)).sum() / power.sum())


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("kind", STRUCK)
def test_a_struck_sound_begins_at_its_anchor(kind: str, ground: str) -> None:
    for seed in range(5):
        made = voice(kind, 0.2 * seed, ground, np.random.default_rng(seed))  # type: ignore[arg-type]
        size = np.abs(made.samples)
        assert np.isfinite(made.samples).all() and 0.8 < size.max() < 1.2
        assert size[: made.anchor].max(initial=0.0) < 0.1 * size.max() <= size[made.anchor] * 1.0001
        assert made.anchor < 0.001 * RATE
        assert size[-1] < 1e-3, "it ends in silence"


def test_a_whoosh_swells_to_its_anchor() -> None:
    for seed in range(5):
        made = voice("whoosh", 0.2 * seed, "hard", np.random.default_rng(seed))
        power = np.square(made.samples, dtype=np.float64)
        near = power[made.anchor - 960 : made.anchor + 960].mean()
        assert near > 20 * power[:2400].mean() and near > 10 * power[-2400:].mean()
        assert 0.1 * RATE < made.anchor < 0.5 * RATE


def test_kinds_differ_as_they_should() -> None:
    average = {kind: np.mean([middle_hz(make(kind, seed=seed)) for seed in range(6)]) for kind in KINDS}
    assert average["fall"] < 0.5 * average["impact"] < average["impact"] < average["whoosh"]
    weak, strong = (np.mean([middle_hz(make("impact", s, seed=n)) for n in range(8)]) for s in (0.1, 1.0))
    assert weak < strong, "a strong blow is brighter"
    on = {ground: np.mean([middle_hz(make("footfall", ground=ground, seed=n)) for n in range(6)]) for ground in GROUNDS}
    assert on["wood"] < on["hard"] < on["gravel"] and on["grass"] < on["gravel"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_alike_but_a_seed_repeats(kind: str) -> None:
    first, second, again = make(kind, seed=1), make(kind, seed=2), make(kind, seed=1)
    assert np.array_equal(first, again)
    size = min(len(first), len(second))
    assert np.corrcoef(first[:size], second[:size])[0, 1] < 0.98

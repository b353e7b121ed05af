"""Places voices in time and space, block by block: how the film is cut into blocks changes no sample.

Source: constant-power panning and early reflections with an exponential tail are textbook; the constants are chosen
here so that a blow stays dry and near and a faint step far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.signal import butter, oaconvolve, sosfilt

from vid2vid.audio.events import KINDS
from vid2vid.audio.synthesis import RATE, peak_of, voice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Event, Ground

    Samples = NDArray[np.float32]
    """`(N, 2)` float32 at 48 kHz, left and right."""

BLOCK: Final = 10 * RATE
"""Samples mixed at once."""
DUCK_DB: Final = -9.0
"""How far the source's sound steps back for an effect."""
KIND_DB: Final[Mapping[str, float]] = {"impact": 0.0, "fall": -1.0, "landing": -6.0, "footfall": -12.0, "whoosh": -11.0}
STRENGTH_DB: Final = 18.0
"""The weakest of a kind is this much below the strongest."""
_WIDTH: Final = 0.9
"""Share of the way to one side that a sound at the frame's edge takes; nothing sits in one ear alone."""
_LEAD_S: Final = 1.0
"""No voice and no ducking begins earlier than this before its event."""
_DUCK_ATTACK_S, _DUCK_RELEASE_S = 0.08, 0.3
_ROOM_S, _ROOM_DECAY_S = 0.4, 0.07


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the film's sound."""

    start: int
    """Its first sample."""
    stems: Mapping[str, Samples]
    """Kind -> `(N, 2)` float32; kinds that are silent here are left out."""
    presence: NDArray[np.float32]
    """`(N,)` in [0, 1]: how far another sound should step back."""

    @property
    def mix(self) -> Samples:
        """The sum of the stems, `(N, 2)` float32."""
        total = np.zeros((len(self.presence), 2), np.float32)
        for stem in self.stems.values():
            total += stem
        return total


@dataclass(frozen=True, slots=True)
class _Placed:
    kind: str
    start: int
    """The film's sample at which the sound begins; may lie before 0."""
    samples: Samples
    duck: tuple[int, int, int, int]
    """Samples between which the source's sound steps back, stays and returns."""

    @property
    def begin(self) -> int:
        return min(self.start, self.duck[0])

    @property
    def end(self) -> int:
        return max(self.start + len(self.samples), self.duck[3])


def mixed(events: Sequence[Event], length: int, seed: int, ground: Ground, block: int = BLOCK) -> Iterator[Block]:
    """Gives a film's effects from its beginning to its end.

    Args:
        events: in the order of time; those that begin after the end are left out.
        length: of the film, in samples.
        seed: the same seed gives the same bits. A sound depends on nothing but it and its own event.
        ground: what feet meet.
        block: samples of each block but the last.
    """
    waiting = iter(events)
    following = next(waiting, None)
    active: list[_Placed] = []
    for start in range(0, length, block):
        end = min(start + block, length)
        while following is not None and following.time_s - _LEAD_S < end / RATE:
            if following.time_s * RATE < length:
                active.append(placed(following, seed, ground))
            following = next(waiting, None)
        yield _block(start, end, active)
        active = [one for one in active if one.end > end]


def placed(event: Event, seed: int, ground: Ground) -> _Placed:
    """Makes an event's sound: voiced, panned, in the room, its anchor on the event's time."""
    figure = 0 if event.figure is None else event.figure + 1
    key = (seed % 2**64, KINDS.index(event.kind), round(event.time_s * 1000), figure)
    made = voice(event.kind, event.strength, ground, np.random.default_rng(key))
    gain = 10 ** ((KIND_DB[event.kind] - STRENGTH_DB * (1 - event.strength)) / 20)
    sides = pan(0.5 if event.position is None else event.position[0])
    dry = np.zeros((len(made.samples) + len(room()) - 1, 2))
    dry[: len(made.samples)] = made.samples[:, None] * sides
    wet = oaconvolve(made.samples[:, None] * (0.5 + 0.5 * sides), room(), axes=0)
    samples = (gain * (dry + (0.22 + 0.3 * (1 - event.strength)) * wet)).astype(np.float32)
    at = round(event.time_s * RATE)
    attack, release = round(_DUCK_ATTACK_S * RATE), round(_DUCK_RELEASE_S * RATE)
    # The room moves the peak of a whoosh by some milliseconds; an onset it cannot move.
    anchor = peak_of(samples) if event.kind == "whoosh" else made.anchor
    full = at - (anchor // 2 if event.kind == "whoosh" else 0)
    stays = at - anchor + len(made.samples)
    return _Placed(event.kind, at - anchor, samples, (full - attack, full, stays, stays + release))


def pan(x: float) -> NDArray[np.float64]:
    """Gains of left and right for a place from 0 (left edge) to 1 (right edge); their squares add up to 1."""
    angle = np.pi / 4 * (1 + _WIDTH * (2 * min(max(x, 0.0), 1.0) - 1))
    return np.array((np.cos(angle), np.sin(angle)))


@cache
def room() -> NDArray[np.float64]:
    """A small room's answer to a click, `(N, 2)` without the click: six reflections a side, then a short tail."""
    rng = np.random.default_rng(48)
    length = round(_ROOM_S * RATE)
    times = np.arange(length) / RATE
    tail = rng.standard_normal((length, 2)) * np.exp(-times / _ROOM_DECAY_S)[:, None]
    tail[: round(0.012 * RATE)] = 0.0
    tail *= 0.6 / np.sqrt(np.square(tail).sum(0))
    for side in range(2):
        for delay_s in np.sort(rng.uniform(0.005, 0.03, 6)):
            tail[round(delay_s * RATE), side] += rng.choice((-1, 1)) * 0.45 * np.exp(-delay_s / 0.02)
    answer: NDArray[np.float64] = sosfilt(butter(1, (150, 5000), "bandpass", fs=RATE, output="sos"), tail, axis=0)
    answer[-2400:] *= np.linspace(1, 0, 2400)[:, None]
    return answer


def ducked(source: Samples, presence: NDArray[np.float32]) -> Samples:
    """Steps back `DUCK_DB` where effects are present: `(N, 2)` float32."""
    gain: Any = 10 ** (DUCK_DB / 20 * presence.astype(np.float64))
    made: Samples = (source * gain[:, None]).astype(np.float32)
    return made


def _block(start: int, end: int, active: Sequence[_Placed]) -> Block:
    stems: dict[str, Samples] = {}
    presence = np.zeros(end - start, np.float32)
    for one in active:
        low, high = max(one.start, start), min(one.start + len(one.samples), end)
        if low < high:
            stem = stems.setdefault(one.kind, np.zeros((end - start, 2), np.float32))
            stem[low - start : high - start] += one.samples[low - one.start : high - one.start]
        low, high = max(one.duck[0], start), min(one.duck[3], end)
        if low < high:
            part = presence[low - start : high - start]
            part[:] = np.maximum(part, np.interp(np.arange(low, high), one.duck, (0, 1, 1, 0)))
    return Block(start, {kind: stems[kind] for kind in KINDS if kind in stems}, presence)

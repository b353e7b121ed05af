"""Procedural voices at 48 kHz: noise, thumps and clicks shaped by kind, strength and ground. No recording is used.

Convention:
    A voice is mono float32 with its largest sample at 1, and knows the sample that has to meet the event: the onset of
    a struck sound, the peak of a whoosh. Both are measured on the finished wave, not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.signal import butter, sosfilt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Ground

    Wave = NDArray[np.float64]

RATE: Final = 48_000
PITCH_SEMITONES: Final = 2.0
"""Voices of one kind differ by up to this much in pitch, either way."""
LEVEL_DB: Final = 1.5
"""And by this much in level."""
ONSET_SHARE: Final = 0.1
"""An onset is where a sound first reaches this share (-20 dB) of its largest sample."""
_PEAK_WINDOW_S: Final = 0.04
_FADE_S: Final = 0.0004
"""Rise of a struck sound: short enough to be placed to the millisecond, long enough not to tick."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One sound."""

    samples: NDArray[np.float32]
    """`(N,)` float32."""
    anchor: int
    """The sample that has to meet the event's time."""


def voice(kind: str, strength: float, ground: Ground, rng: np.random.Generator) -> Voice:
    """Makes one sound; every draw of `rng` gives another one.

    Args:
        kind: impact, fall, landing, footfall or whoosh.
        strength: in [0, 1]; stronger is brighter, heavier and longer (a whoosh: shorter).
        ground: what feet and bodies meet.
        rng: drawn from.
    """
    pitch = 2.0 ** (rng.uniform(-PITCH_SEMITONES, PITCH_SEMITONES) / 12)
    level = 10.0 ** (rng.uniform(-LEVEL_DB, LEVEL_DB) / 20)
    if kind == "whoosh":
        wave = _whoosh(strength, pitch, rng)
        wave = wave / np.abs(wave).max()
        return Voice((wave * level).astype(np.float32), peak_of(wave))
    wave = _STRUCK[kind](strength, pitch, ground, rng)
    fade = round(_FADE_S * RATE)
    wave[:fade] *= np.linspace(0.0, 1.0, fade)
    wave[-480:] *= np.linspace(1.0, 0.0, 480)
    wave = wave / np.abs(wave).max()
    return Voice((wave * level).astype(np.float32), onset_of(wave))


def onset_of(wave: Wave) -> int:
    """The first sample that reaches `ONSET_SHARE` of the largest."""
    size = np.abs(wave)
    return int(np.argmax(size >= ONSET_SHARE * size.max()))


def peak_of(wave: NDArray[np.floating[Any]]) -> int:
    """The sample at which the power of a wave `(N,)` or `(N, 2)`, smoothed over 40 ms, is largest."""
    power = np.square(wave, dtype=np.float64).reshape(len(wave), -1).sum(1)
    return int(np.argmax(np.convolve(power, np.hanning(round(_PEAK_WINDOW_S * RATE)), "same")))


def _whoosh(strength: float, pitch: float, rng: np.random.Generator) -> Wave:
    """Noise through a band that rises and falls with the limb's speed."""
    rise, fall = 0.13 - 0.05 * strength, 0.10 - 0.04 * strength
    length = round((3.0 * rise + 3.2 * fall) * RATE)
    times = np.arange(length) / RATE - 3.0 * rise
    envelope = np.exp(-0.5 * np.square(times / np.where(times < 0, rise, fall)))
    middle = pitch * (350.0 + (900.0 + 900.0 * strength) * envelope)
    body = _swept_noise(middle, 0.55, rng)
    air = _swept_noise(3.0 * middle, 0.4, rng)
    return envelope * (body + 0.25 * air)


def _swept_noise(middle_hz: Wave, octaves: float, rng: np.random.Generator) -> Wave:
    """White noise whose band follows `middle_hz`, sample by sample; `octaves` is the band's half width (sigma)."""
    size, hop = 1024, 256
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    noise = rng.standard_normal(len(middle_hz) + 2 * size)
    made = np.zeros(len(noise))
    octave = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / RATE), 1.0))
    for start in range(0, len(noise) - size + 1, hop):
        centre = middle_hz[min(max(start - size // 2, 0), len(middle_hz) - 1)]
        band = np.exp(-0.5 * np.square((octave - np.log2(centre)) / octaves))
        spectrum = np.fft.rfft(noise[start : start + size] * window) * band
        made[start : start + size] += np.fft.irfft(spectrum) * window
    part: Wave = made[size : size + len(middle_hz)]
    part /= np.sqrt(np.mean(np.square(part))) + 1e-12
    return part


def _impact(strength: float, pitch: float, ground: Ground, rng: np.random.Generator) -> Wave:
    """A blow on a body: click, burst and thump."""
    length = round((0.22 + 0.2 * strength) * RATE)
    click = _burst(length, 2500, 9000, 0.0015, rng)
    slap = _burst(length, 350 * pitch, (1500 + 2500 * strength) * pitch, 0.022 + 0.03 * strength, rng)
    body = _thump(length, (150 + 40 * strength) * pitch, 62 * pitch, 0.05 + 0.06 * strength)
    return np.tanh(1.6 * ((0.2 + 0.35 * strength) * click + (0.5 + 0.3 * strength) * slap + 0.9 * body))


def _fall(strength: float, pitch: float, ground: Ground, rng: np.random.Generator) -> Wave:
    """A body meets the ground: a low thump, then further limbs and cloth."""
    length = round(0.75 * RATE)
    made = _contact(length, 1.0, 0.8 * pitch, ground, rng)
    made += 1.1 * _thump(length, 105 * pitch, 46 * pitch, 0.11 + 0.05 * strength)
    for _ in range(2 + rng.integers(0, 2) + round(strength)):
        delay = rng.uniform(0.06, 0.3)
        limb = _contact(length, 0.7, pitch * rng.uniform(0.9, 1.3), ground, rng)
        made += _later(limb, delay, rng.uniform(0.25, 0.55) * (1 - delay))
    cloth = _burst(length, 700, 3500, 0.12, rng)
    return np.tanh(1.4 * (made + 0.12 * cloth))


def _landing(strength: float, pitch: float, ground: Ground, rng: np.random.Generator) -> Wave:
    """Two feet a moment apart, and the weight above them."""
    length = round(0.4 * RATE)
    made = _contact(length, 1.0, pitch, ground, rng)
    made += _later(_contact(length, 1.0, pitch * rng.uniform(0.94, 1.06), ground, rng), rng.uniform(0.012, 0.03), 0.8)
    made += (0.5 + 0.4 * strength) * _thump(length, 120 * pitch, 58 * pitch, 0.06)
    return np.tanh(2.2 * made)


def _footfall(strength: float, pitch: float, ground: Ground, rng: np.random.Generator) -> Wave:
    """Heel, then ball of the foot."""
    length = round(0.32 * RATE)
    heel = _contact(length, 0.5 + 0.5 * strength, pitch, ground, rng)
    ball = _contact(length, 0.4, 1.25 * pitch, ground, rng)
    # A step is so short that it is inaudible at the loudness of a blow unless its body is dense.
    return np.tanh(2.2 * (heel + _later(ball, rng.uniform(0.045, 0.085), rng.uniform(0.4, 0.6))))


def _contact(length: int, weight: float, pitch: float, ground: Ground, rng: np.random.Generator) -> Wave:
    """Something of a body's weight meets the ground."""
    thump = weight * _thump(length, 150 * pitch, 85 * pitch, 0.04)
    if ground == "wood":
        modes = [(175, 0.055, 0.8), (310, 0.04, 0.5), (520, 0.03, 0.35), (890, 0.015, 0.2)]
        board = sum(share * _ring(length, pitch * hz, tau) for hz, tau, share in modes)
        return thump + board + 0.35 * _burst(length, 1200, 5000, 0.004, rng)
    if ground == "grass":
        blades = _burst(length, 1500, 6000, 0.05, rng) * rng.uniform(0.2, 1.0, length)
        return 0.8 * thump + 0.45 * _burst(length, 200, 1200, 0.03, rng) + 0.3 * blades
    if ground == "gravel":
        stones = 0.6 * _burst(length, 1200, 6000, 0.012, rng)
        for _ in range(int(rng.integers(16, 28))):
            grain = _burst(round(0.02 * RATE), 1800 * pitch, 7500, rng.uniform(0.001, 0.004), rng)
            at = round(min(0.18, rng.exponential(0.05)) * RATE)
            stones[at : at + len(grain)] += rng.uniform(0.1, 0.5) * grain
        return 0.6 * thump + stones
    return thump + 0.5 * _burst(length, 400 * pitch, 4000, 0.016, rng) + 0.25 * _burst(length, 3000, 9000, 0.003, rng)


def _thump(length: int, from_hz: float, to_hz: float, decay_s: float) -> Wave:
    """A sine that sinks in pitch and dies away. It starts at its crest, or a low one would be late."""
    times = np.arange(length) / RATE
    phase = 2 * np.pi * (to_hz * times + (from_hz - to_hz) * 0.03 * (1 - np.exp(-times / 0.03)))
    made: Wave = np.cos(phase) * np.exp(-times / decay_s)
    return made


def _ring(length: int, hz: float, decay_s: float) -> Wave:
    times = np.arange(length) / RATE
    made: Wave = np.sin(2 * np.pi * hz * times) * np.exp(-times / decay_s)
    return made


def _burst(length: int, low_hz: float, high_hz: float, decay_s: float, rng: np.random.Generator) -> Wave:
    """Noise of one band that dies away, at a power of about 1 where it begins."""
    settle = 480
    band = butter(2, (low_hz, min(high_hz, 0.45 * RATE)), "bandpass", fs=RATE, output="sos")
    noise: Wave = sosfilt(band, rng.standard_normal(length + settle))[settle:]
    noise = noise / (np.sqrt(np.mean(np.square(noise))) + 1e-12)
    return noise * np.exp(-np.arange(length) / (decay_s * RATE))


def _later(wave: Wave, delay_s: float, share: float) -> Wave:
    moved = np.zeros_like(wave)
    shift = round(delay_s * RATE)
    moved[shift:] = share * wave[: len(wave) - shift]
    return moved


_STRUCK: Final[Mapping[str, Callable[[float, float, Ground, np.random.Generator], Wave]]] = {
    "impact": _impact,
    "fall": _fall,
    "landing": _landing,
    "footfall": _footfall,
}

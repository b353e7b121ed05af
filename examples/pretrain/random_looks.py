"""Looks drawn at random: programs with random parameters that turn any picture into another look.

The looks that few-shot fits are measured on (`benchmarks/looks_made.py`) are not among these, though of the same kinds:
ink here is a ramp over the Scharr slope or a local threshold, not a difference of blurs; channels are never posterised
in five levels; no screen of dots or lines has a pitch near six pixels (`PITCH_PX`); hatching is of ruled lines, not of
streaked noise; glow comes from single bright pixels in the look's own colours, not from bright smooth places as from
lit windows.

Convention:
    A layer takes float32 `(H, W, 3)` colours in [0, 1] and the place of the picture's corner on the screen, since dots,
    lines and paper stay where they are on the screen while the scene moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Colours = NDArray[np.float32]
    Corner = tuple[int, int]
    Layer = Callable[[Colours, Corner], Colours]

PITCH_PX: Final = ((3.0, 5.5), (6.5, 10.0))
ANGLE: Final = (0.7, 1.5)
"""Least and most turn of a screen of dots or lines, in radians either way."""
LEVELS: Final = (3, 4, 6, 7, 8, 10)
SHEET_PX: Final = 512
_GREY: Final = np.array([[0.299, 0.587, 0.114]], np.float32)
_CODES: Final = np.linspace(0.0, 1.0, 256, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Look:
    """Layers that are laid on one another."""

    layers: tuple[Layer, ...]

    def __call__(self, picture: Picture, corner: Corner = (0, 0)) -> Picture:
        """The picture in this look.

        Args:
            picture: `(H, W, 3)` uint8 sRGB.
            corner: row and column on the screen of the picture's first pixel.
        """
        colours = picture.astype(np.float32) * np.float32(1.0 / 255.0)
        for layer in self.layers:
            colours = layer(colours, corner)
        return np.asarray(cv2.convertScaleAbs(np.clip(colours, 0.0, 1.0), alpha=255.0), np.uint8)


def random_look(rng: np.random.Generator) -> Look:
    """Draws a look: it may smooth, recolours nearly always, and may draw, print and glow over that."""
    layers: list[Layer] = []
    if rng.random() < 0.4:
        layers.append(_some(rng, _smooth, _flatten, _blur, _sharpen))
    recolour = (_curves, _curves, _daylight, _mix, _turn, _hue, _gradient)
    layers += [_some(rng, *recolour) for _ in range(int(rng.choice((0, 1, 2, 3), p=(0.08, 0.5, 0.32, 0.1))))]
    layers += [make(rng) for make, share in _SECOND if rng.random() < share]
    if len(layers) < 2:
        layers.append(_some(rng, _curves, _ink, _hatch, _halftone, _gradient))
    if rng.random() < 0.2:
        layers.append(_curves(rng))
    return Look(tuple(layers))


def _some(rng: np.random.Generator, *makers: Callable[[np.random.Generator], Layer]) -> Layer:
    return makers[int(rng.integers(len(makers)))](rng)


def _grey(colours: Colours) -> Colours:
    return np.asarray(cv2.transform(colours, _GREY), np.float32)


def _codes(colours: Colours) -> Picture:
    return np.asarray(cv2.convertScaleAbs(np.clip(colours, 0.0, 1.0), alpha=255.0), np.uint8)


def _towards(colours: Colours, share: Colours, colour: Colours) -> Colours:
    """Each pixel moved towards one colour by its share, `(H, W)`."""
    return np.asarray(colours + share[..., None] * (colour - colours), np.float32)


def _colour(rng: np.random.Generator, low: float, high: float) -> Colours:
    """A colour whose mean lies between two values."""
    value = rng.uniform(low, high) + rng.normal(0.0, 0.12, 3)
    return np.clip(value, 0.0, 1.0).astype(np.float32)


# Smoothing


def _smooth(rng: np.random.Generator) -> Layer:
    side = int(rng.choice((3, 5, 7)))
    return lambda colours, _: cv2.medianBlur(_codes(colours), side).astype(np.float32) * np.float32(1 / 255)


def _flatten(rng: np.random.Generator) -> Layer:
    """Patches of one tone with sharp borders, as of a flat brush."""
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (int(rng.choice((3, 5, 7))),) * 2)
    first, second = (cv2.MORPH_OPEN, cv2.MORPH_CLOSE) if rng.random() < 0.5 else (cv2.MORPH_CLOSE, cv2.MORPH_OPEN)

    def layer(colours: Colours, _: Corner) -> Colours:
        opened = cv2.morphologyEx(cv2.morphologyEx(_codes(colours), first, brush), second, brush)
        return np.asarray(opened.astype(np.float32) * np.float32(1 / 255), np.float32)

    return layer


def _blur(rng: np.random.Generator) -> Layer:
    deviation = rng.uniform(0.6, 2.0)
    return lambda colours, _: cv2.GaussianBlur(colours, (0, 0), deviation)


def _sharpen(rng: np.random.Generator) -> Layer:
    deviation, gain = rng.uniform(0.8, 4.0), rng.uniform(0.3, 1.2)
    return lambda colours, _: cv2.addWeighted(
        colours, 1.0 + gain, cv2.GaussianBlur(colours, (0, 0), deviation), -gain, 0.0
    )


# Colours


def _curves(rng: np.random.Generator) -> Layer:
    """A curve for each channel, the three alike; one in eight turns back, as in a solarised print."""
    places = np.linspace(0.0, 1.0, 5)
    gain = rng.uniform(0.6, 1.2)
    shared = places ** np.exp(rng.normal(0.0, 0.35)) * gain + rng.normal(0.0, 0.08, 5)
    if rng.random() < 0.12:
        shared = 1.0 - shared if rng.random() < 0.5 else 1.0 - np.abs(2.0 * shared - 1.0)
    tables = [np.interp(_CODES, places, shared + rng.normal(0.0, 0.07, 5)) for _ in range(3)]
    return partial(_look_up, np.stack(tables, 1)[None].astype(np.float32))


def _look_up(table: Colours, colours: Colours, _: Corner) -> Colours:
    return np.asarray(cv2.LUT(_codes(colours), table), np.float32)


def _daylight(rng: np.random.Generator) -> Layer:
    """Another time of day: exposure up or down, a tint, and colours that fade in the dark."""
    light = float(np.exp(rng.choice((-1.0, 0.4)) * rng.uniform(0.3, 1.2)))
    tint = np.exp(rng.normal(0.0, 0.22, 3))
    fade = rng.uniform(0.0, 0.7)
    matrix = (np.diag(tint) * (1.0 - fade) + fade * tint[:, None] * _GREY) * light
    bend = rng.uniform(0.0, 0.5)
    return partial(_matrix, matrix.astype(np.float32), np.float32(bend))


def _mix(rng: np.random.Generator) -> Layer:
    """Channels mixed into one another."""
    matrix = np.eye(3) + rng.normal(0.0, 0.3, (3, 3))
    if rng.random() < 0.3:
        matrix = matrix[rng.permutation(3)]
    matrix /= np.maximum(0.6, matrix.sum(1, keepdims=True))
    return partial(_matrix, matrix.astype(np.float32), np.float32(0.0))


def _matrix(matrix: Colours, bend: np.float32, colours: Colours, _: Corner) -> Colours:
    """Colours through a matrix; bright ones are bent down so that they stay apart."""
    mixed = np.asarray(cv2.transform(colours, matrix), np.float32)
    np.clip(mixed, 0.0, None, out=mixed)
    return mixed if bend == 0.0 else np.asarray(mixed * (1.0 + bend) / (1.0 + bend * mixed), np.float32)


def _turn(rng: np.random.Generator) -> Layer:
    """Hues turned around the grey axis, stronger or weaker."""
    angle, strength = rng.uniform(-np.pi, np.pi), rng.uniform(0.3, 1.8)
    axis = np.full((3, 3), 1.0 / 3.0)
    cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3.0)
    chroma = (np.eye(3) - axis) * np.cos(angle) + cross * np.sin(angle)
    return partial(_matrix, (axis + strength * chroma).astype(np.float32), np.float32(0.0))


def _hue(rng: np.random.Generator) -> Layer:
    """Things of one hue get another colour."""
    direction = rng.normal(size=3)
    direction -= direction.mean()
    direction *= rng.uniform(4.0, 12.0) / np.linalg.norm(direction)
    colour, least = _colour(rng, 0.2, 0.8), rng.uniform(0.0, 0.5)
    row = direction[None].astype(np.float32)

    def layer(colours: Colours, _: Corner) -> Colours:
        share = np.clip(cv2.transform(colours, row) - np.float32(least), 0.0, 1.0)
        shade = np.float32(0.3) + _grey(colours)
        return np.asarray(colours + share[..., None] * (shade[..., None] * colour - colours), np.float32)

    return layer


def _gradient(rng: np.random.Generator) -> Layer:
    """Luma turned into a scale of colours, smooth or in steps, over some of the old colours."""
    count = int(rng.integers(2, 6))
    colours = np.sort(rng.uniform(0.0, 1.0, (count, 1)), 0) + rng.normal(0.0, 0.18, (count, 3))
    if rng.random() < 0.15:
        colours = colours[::-1]
    stops = np.linspace(0.0, 1.0, count) + np.r_[0.0, rng.uniform(-0.3, 0.3, count - 2) / count, 0.0]
    places = _stepped(_CODES, count, 0.9) if rng.random() < 0.4 and count > 2 else _CODES
    table = np.stack([np.interp(places, stops, colours[:, c]) for c in range(3)], 1)[None].astype(np.float32)
    kept = np.float32(rng.choice((0.0, rng.uniform(0.1, 0.6))))

    def layer(picture: Colours, _: Corner) -> Colours:
        mapped = cv2.LUT(cv2.cvtColor(_codes(_grey(picture)), cv2.COLOR_GRAY2RGB), table)
        return np.asarray(mapped + kept * (picture - mapped), np.float32)

    return layer


def _posterise(rng: np.random.Generator) -> Layer:
    levels, hardness = int(rng.choice(LEVELS)), rng.uniform(0.6, 1.0)
    table = _stepped(_CODES, levels, hardness)
    return partial(_look_up, np.repeat(table[None, :, None], 3, 2).astype(np.float32))


def _stepped(values: Colours, levels: int, hardness: float) -> Colours:
    flat = np.round(values * (levels - 1)) / (levels - 1)
    return np.asarray(values + hardness * (flat - values), np.float32)


# Strokes and print


def _ink(rng: np.random.Generator) -> Layer:
    """Lines where the picture is steep, or dark places within lighter ones filled in; light lines on dark, too."""
    deviation, strength = rng.uniform(0.5, 1.6), rng.uniform(0.5, 1.0)
    colour = _colour(rng, 0.0, 0.25) if rng.random() < 0.8 else _colour(rng, 0.75, 1.0)
    low = rng.uniform(0.04, 0.16) if (steep := rng.random() < 0.6) else rng.uniform(0.02, 0.08)
    ramp, side = rng.uniform(4.0, 14.0), int(rng.choice((7, 9, 11, 15)))

    def layer(colours: Colours, _: Corner) -> Colours:
        grey = cv2.GaussianBlur(_grey(colours), (0, 0), deviation)
        if steep:
            slope = cv2.magnitude(*(cv2.Scharr(grey, cv2.CV_32F, x, 1 - x, scale=0.1) for x in (0, 1)))
        else:
            slope = cv2.blur(grey, (side, side)) - grey
        return _towards(colours, np.float32(strength) * np.clip((slope - low) * ramp, 0.0, 1.0), colour)

    return layer


def _halftone(rng: np.random.Generator) -> Layer:
    """Dots or lines of ink, the wider the darker, on paper or on the colours."""
    pitch = rng.uniform(*PITCH_PX[int(rng.integers(2))])
    angle = rng.uniform(*ANGLE) * rng.choice((-1.0, 1.0))
    lines, hardness = rng.random() < 0.4, rng.uniform(2.0, 6.0)
    colour, darkest = _colour(rng, 0.0, 0.35), rng.uniform(0.4, 0.9)
    strength = rng.uniform(0.4, 1.0)

    def layer(colours: Colours, corner: Corner) -> Colours:
        grey = _grey(colours)
        screen = _waves(grey.shape, corner, pitch, angle)
        if not lines:
            screen = 0.5 * (screen + _waves(grey.shape, corner, pitch, angle + np.pi / 2))
        ink = np.clip((darkest - grey + 0.5 * (screen - 0.6)) * hardness, 0.0, 1.0) * np.float32(strength)
        return _towards(colours, np.asarray(ink, np.float32), colour)

    return layer


def _hatch(rng: np.random.Generator) -> Layer:
    """Ruled lines, in one to three directions as it gets darker."""
    pitch, first = rng.uniform(*PITCH_PX[int(rng.integers(2))]), rng.uniform(0.0, np.pi)
    darkest = np.sort(rng.uniform(0.25, 0.85, int(rng.integers(1, 4))))[::-1]
    colour, strength, width = _colour(rng, 0.0, 0.35), rng.uniform(0.4, 0.9), rng.uniform(-0.2, 0.5)

    def layer(colours: Colours, corner: Corner) -> Colours:
        grey = cv2.blur(_grey(colours), (3, 3))
        share = np.zeros_like(grey)
        for number, limit in enumerate(darkest):
            line = np.clip((_waves(grey.shape, corner, pitch, first + number * 1.1) - width) * 3.0, 0.0, 1.0)
            np.maximum(share, line * np.clip((limit - grey) * 6.0, 0.0, 1.0), out=share)
        return _towards(colours, np.asarray(share * strength, np.float32), colour)

    return layer


def _waves(shape: Sequence[int], corner: Corner, pitch: float, angle: float) -> Colours:
    """Ripples in [-1, 1] over the screen; a product of two rows of numbers makes them without a cosine a pixel."""
    step = 2.0 * np.pi / pitch
    rows = (np.arange(shape[0]) + corner[0]) * (step * np.sin(angle))
    columns = (np.arange(shape[1]) + corner[1]) * (step * np.cos(angle))
    turned = np.exp(1j * rows)[:, None].astype(np.complex64) * np.exp(1j * columns)[None].astype(np.complex64)
    return np.asarray(turned.real, np.float32)


def _paper(rng: np.random.Generator) -> Layer:
    """Grain of a sheet that stays on the screen."""
    deviation = float(np.exp(rng.uniform(np.log(0.6), np.log(3.0))))
    noise = cv2.GaussianBlur(_NOISE, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
    noise = np.roll(noise, (int(rng.integers(SHEET_PX)), int(rng.integers(SHEET_PX))), (0, 1))
    grain = noise * np.float32(rng.uniform(0.02, 0.09) / max(1e-6, float(noise.std())))
    tint = _colour(rng, 0.85, 1.0)

    def layer(colours: Colours, corner: Corner) -> Colours:
        rows = (np.arange(colours.shape[0]) + corner[0]) % SHEET_PX
        columns = (np.arange(colours.shape[1]) + corner[1]) % SHEET_PX
        return np.asarray(colours * (tint * (1.0 + grain[np.ix_(rows, columns)])[..., None]), np.float32)

    return layer


_NOISE: Final = np.random.default_rng(812).normal(size=(SHEET_PX, SHEET_PX)).astype(np.float32)


def _glow(rng: np.random.Generator) -> Layer:
    """Light that spreads from bright or from coloured places."""
    deviation, least = rng.uniform(2.5, 7.0), rng.uniform(0.45, 0.8)
    gain = _colour(rng, 0.3, 1.0) * np.float32(rng.uniform(0.6, 1.8))

    def layer(colours: Colours, _: Corner) -> Colours:
        bright = np.clip(colours.max(2) - least, 0.0, 1.0)[..., None] * colours
        spread = cv2.GaussianBlur(bright, (0, 0), deviation)
        return np.asarray(1.0 - (1.0 - np.clip(colours, 0.0, 1.0)) * (1.0 - np.clip(spread * gain, 0.0, 1.0)))

    return layer


_SECOND: Final = ((_posterise, 0.3), (_ink, 0.4), (_halftone, 0.18), (_hatch, 0.18), (_glow, 0.2), (_paper, 0.2))
"""Layers over the colours, in their order, each with how often it is there."""

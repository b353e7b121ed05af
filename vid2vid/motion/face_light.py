"""Light and sharpness: a face from another picture brought into those of the place where it goes.

Convention:
    Pictures are `(h, w, 3)` uint8 sRGB of one crop; masks are `(h, w)` float32 in [0, 1]; `iod` is the distance of the
    eyes' outer corners in pixels of the crop. Light is kept in CIELAB: L from 0 to 100, a and b about 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

FAINT: Final = 0.05
"""Value of a mask up to which nothing is measured."""
LOW: Final = 0.5
"""Share of the place's broad light that is taken on; with more, a beard or the shape of the nose comes along."""
_SEEN_AT: Final = 36.0
"""`iod` at which light is measured: pores, noise and the sharpness of the picture have no part in it."""
_BROAD: Final = 0.28
"""Deviation of the blur that leaves broad light alone, in `iod`."""
_ENDS: Final = 0.03
"""Share of the darkest and of the lightest pixels left out: hair, brows, pupils, highlights."""
_OUTLYING: Final = 2.5
"""Deviations from the middle beyond which a pixel is something else than skin."""
_SPREADS: Final = ((0.8, 1.15), (0.7, 1.4), (0.7, 1.4))
"""Limits of the change of contrast in L, a, b. That of L is a beard's and the bones' as much as the light's."""
_MOST_BROAD: Final = (12.0, 6.0, 6.0)
"""Change in L, a, b that the broad light may reach; it grows ever more slowly towards it."""
_BANDS: Final = (1.2, 2.4)
"""Deviations, in pixels, of the blurs below which the two bands of detail lie."""
_GAINS: Final = ((0.3, 2.8), (0.45, 2.0))
"""Limits of the change of detail in either band."""
_SHARE: Final = 0.12
"""Of a new frame in the running means: half of a change is followed in 5 frames."""
_AT_ONCE: Final = 8.0
"""Difference in L, a or b that is no flicker but another light, followed at once."""


_SKIN: Final = (55.0, 15.0, 15.0)
"""Where a change of light is looked at: about any skin."""
_LEAST_SKIN: Final = 12.0
"""Pixels, where light is measured, without which nothing is changed."""


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """Light on a face."""

    mean: Floats
    """`(3,)`: L, a, b."""
    spread: Floats
    """`(3,)`: their standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """What one frame does to a face's light and detail."""

    gain: Floats
    shift: Floats
    skin: float
    """L of the skin before the change."""
    broad: Floats
    """`(rows, columns, 3)`, coarse."""
    detail: Floats
    """`(2,)`: gains of the bands."""


_CHANGE: Final = ("gain", "shift", "skin", "broad", "detail")
"""What a change is made of."""


def matched(picture: Picture, target: Picture, mask: Floats, iod: float, low: float = LOW) -> Picture:
    """A face in the light and of the sharpness of the place where it goes; for a clip keep a `LightMatcher`.

    Args:
        picture: the face, already where it goes.
        target: the picture it goes into.
        mask: where the face is, without hands or other things before it.
        iod: distance of the eyes' outer corners in pixels.
        low: share of the target's broad light and shade taken on, 0 to 1.

    Returns:
        `(h, w, 3)` uint8; `picture` itself where the mask is empty.

    Source:
        Reinhard et al. 2001, "Color transfer between images", in CIELAB instead of l-alpha-beta, on skin alone.
    """
    return LightMatcher(low)(picture, target, mask, iod)


class LightMatcher:
    """`matched` for one face through a clip: running means of the light, so that it does not flicker.

    Small changes from frame to frame are averaged, great ones are another light and followed at once. Call `reset` at
    cuts. The caller owns one for each face.

    Args:
        low: share of the target's broad light and shade taken on, 0 to 1.
    """

    def __init__(self, low: float = LOW) -> None:
        self._low = low
        self._last: _Change | None = None

    def reset(self) -> None:
        """Forgets the light of earlier frames."""
        self._last = None

    def memory(self) -> dict[str, NDArray[np.float64]]:
        """The light of earlier frames as named arrays; empty where there is none."""
        if self._last is None:
            return {}
        return {name: np.asarray(getattr(self._last, name), np.float64) for name in _CHANGE}

    def recall(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `memory` gave."""
        self._last = None
        if memory:
            arrays = {name: np.asarray(memory[name], np.float32) for name in _CHANGE if name != "skin"}
            self._last = _Change(skin=float(memory["skin"]), **arrays)

    def __call__(self, picture: Picture, target: Picture, mask: Floats, iod: float) -> Picture:
        """The next frame; see `matched`."""
        factor = min(1.0, _SEEN_AT / iod)
        small, place, where = (_smaller(each, factor) for each in (picture, target, mask))
        where = np.where(where > FAINT, where, np.float32(0.0))
        if float(where.sum()) < _LEAST_SKIN or float(mask.max()) <= FAINT:
            return picture
        new = self._measured(to_lab(small), to_lab(place), where, iod * factor)
        light = new if self._last is None else _followed(self._last, new)
        lab = _changed(to_lab(picture), light)
        lab += cv2.resize(light.broad, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_CUBIC)
        lit = to_rgb(lab)
        detail = _detail_gains(lit, target, mask, np.ones(2, np.float32))
        detail = _detail_gains(sharpened(lit, detail), target, mask, detail)  # the bands overlap: once more
        if self._last is not None:
            detail = self._last.detail + _SHARE * (detail - self._last.detail)
        self._last = replace(light, detail=detail)
        return sharpened(lit, detail)

    def _measured(self, lab: Floats, place: Floats, mask: Floats, iod: float) -> _Change:
        own, wanted = light_of(lab, mask), light_of(place, mask)
        ratio = (wanted.spread + 0.5) / (own.spread + 0.5)  # half a unit: a flat face's noise is no contrast
        gain = np.array([np.clip(r, *limits) for r, limits in zip(ratio, _SPREADS, strict=True)], np.float32)
        shift = wanted.mean - gain * own.mean
        tone = _Change(gain, shift, float(own.mean[0]), np.zeros((1, 1, 3), np.float32), np.ones(2, np.float32))
        return replace(tone, broad=self._broad(place - _changed(lab, tone), mask, iod))

    def _broad(self, missing: Floats, mask: Floats, iod: float) -> Floats:
        """What is missing of the place's broad light, blurred from inside the mask alone, limited."""
        deviation = _BROAD * iod
        weight = cv2.GaussianBlur(mask, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
        summed = cv2.GaussianBlur(missing * mask[..., None], (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
        field = summed / np.maximum(weight, 0.02)[..., None]
        most = np.array(_MOST_BROAD, np.float32)
        return np.asarray(most * np.tanh(self._low * field / most), np.float32)


def light_of(lab: Floats, mask: Floats) -> Light:
    """Mean and spread of the skin inside a mask, without the darkest and lightest and what is far from the rest.

    Args:
        lab: `(h, w, 3)` L, a, b.
        mask: with something above `FAINT`.
    """
    inside = mask > FAINT
    values, weights = lab[inside], mask[inside]
    order = np.argsort(values[:, 0])
    share = np.cumsum(weights[order]) / weights.sum()
    kept = order[(share > _ENDS) & (share < 1.0 - _ENDS)]
    if not len(kept):
        kept = order
    values, weights = values[kept], weights[kept]
    middle = np.median(values, axis=0)
    deviation = 1.4826 * np.median(np.abs(values - middle), axis=0) + 1.0
    near = (np.abs(values - middle) < _OUTLYING * deviation).all(1)
    values, weights = values[near], weights[near]
    mean = np.average(values, axis=0, weights=weights)
    spread = np.sqrt(np.average(np.square(values - mean), axis=0, weights=weights))
    return Light(mean.astype(np.float32), spread.astype(np.float32))


def sharpness(picture: Picture, mask: Floats) -> float:
    """Mean contrast of the finest detail inside a mask, in levels of 255; 0 where the mask is empty.

    Args:
        picture: `(h, w, 3)` uint8.
        mask: weights.
    """
    fine = np.abs(_bands(picture)[0])
    return float((fine * mask).sum() / max(float(mask.sum()), 1e-6))


def sharpened(picture: Picture, gains: Floats) -> Picture:
    """Detail made stronger or weaker by unsharp masking in two bands; the colour stays.

    Args:
        picture: `(h, w, 3)` uint8.
        gains: `(2,)` for what is finer than 1.2 pixels, and from there to 2.4; 1 changes nothing.
    """
    fine, coarser = _bands(picture)
    added = (gains[0] - 1.0) * fine + (gains[1] - 1.0) * coarser
    return np.asarray(np.clip(picture + added[..., None], 0, 255).round(), np.uint8)


def to_lab(picture: Picture) -> Floats:
    """`(h, w, 3)` L, a, b of an sRGB picture."""
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab), np.float32)


def to_rgb(lab: Floats) -> Picture:
    """The sRGB picture of L, a, b; what sRGB cannot show is cut off."""
    rgb = cv2.cvtColor(np.clip(lab, (0, -127, -127), (100, 127, 127)).astype(np.float32), cv2.COLOR_Lab2RGB)
    return np.asarray(np.clip(rgb * 255.0, 0, 255).round(), np.uint8)


def _bands(picture: Picture) -> tuple[Floats, Floats]:
    """Two bands of detail of the grey picture."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    first, second = (cv2.GaussianBlur(grey, (0, 0), deviation) for deviation in _BANDS)
    return grey - first, first - second


def _detail_gains(picture: Picture, target: Picture, mask: Floats, so_far: Floats) -> Floats:
    """Gains with which a picture's detail comes nearer to the target's, after those it already has."""
    inside = np.nonzero(mask > 0.05)
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in inside)
    weights = mask[box] / float(mask[box].sum())
    gains = []
    for own, wanted, gain, limits in zip(_bands(picture[box]), _bands(target[box]), so_far, _GAINS, strict=True):
        ratio = (float((np.abs(wanted) * weights).sum()) + 0.1) / (float((np.abs(own) * weights).sum()) + 0.1)
        gains.append(np.clip(gain * ratio, *limits))
    return np.array(gains, np.float32)


def _smaller(picture: NDArray[Any], factor: float) -> NDArray[Any]:
    if factor >= 1.0:
        return picture
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


def _changed(lab: Floats, light: _Change) -> Floats:
    """L, a, b in another tone; what is dark takes on less colour, or pupils under a warm lamp would turn blue."""
    tinted = np.clip(lab[..., :1] / max(light.skin, 1.0), 0.0, 1.0)
    shift = np.concatenate([np.full_like(tinted, light.shift[0]), light.shift[1:] * tinted], -1)
    return np.asarray(lab * light.gain + shift, np.float32)


def _followed(last: _Change, new: _Change) -> _Change:
    """The running mean with a new frame in it; the crop may have changed its size."""
    before: Floats = cv2.resize(last.broad, new.broad.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    moved = float(np.abs((new.gain - last.gain) * np.array(_SKIN) + new.shift - last.shift).max())
    share = float(np.clip(moved / _AT_ONCE, _SHARE, 1.0))
    gain, shift, broad = (
        np.asarray(old + share * (now - old), np.float32)
        for old, now in ((last.gain, new.gain), (last.shift, new.shift), (before, new.broad))
    )
    return _Change(gain, shift, last.skin + share * (new.skin - last.skin), broad, last.detail)

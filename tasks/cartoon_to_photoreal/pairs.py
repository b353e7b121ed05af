"""An endless stream of (cartoon, live) windows from live footage and photographs.

Every slot of a batch runs through episodes: one shot, one crop, one drawn style, some ten windows long; then another.
Everything in an episode follows from (seed, slot, number of the episode).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.conditions.flow import FlowEstimator, luma, trust, warp
from vid2vid.data.footage import Shot
from vid2vid.episodes import SlottedWindows
from vid2vid.fitting import Window

from .cartoon_style import CartoonStyle, sample_style
from .cartoonise import cartoonise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

MEAN_WINDOWS: Final = 2.5
"""Mean length of an episode in windows. Longer ones (8 were tried) fill the batch with near copies of a few crops."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Shape and mixture of the stream."""

    slots: int = 4
    length: int = 2
    """Frames in a window."""
    crop: int = 96
    photographs: float = 0.45
    """Share of episodes on photographs."""
    references: float = 0.4
    """Share of episodes with a key frame as aligned reference."""
    seed: int = 0


class PairStream(SlottedWindows):
    """Windows for `vid2vid.training.fit`, in episodes of different lengths."""

    def __init__(self, shots: Sequence[Shot], config: StreamConfig = StreamConfig()) -> None:
        self.live = [shot for shot in shots if not shot.is_photograph]
        self.photographs = [shot for shot in shots if shot.is_photograph]
        super().__init__(slots=config.slots, seed=config.seed)
        self.config = config

    def slot(self, number: int, step: int) -> Iterator[Window]:
        """Windows of one slot from a step onwards; nothing is drawn of episodes that are over by then."""
        for episode in count():
            rng = self.chance(number, episode)
            shot, places = self._plan(rng)
            windows = len(places) // self.config.length
            if step < windows:
                yield from islice(self._episode(shot, places, rng), step, None)
            step = max(0, step - windows)

    def _plan(self, rng: np.random.Generator) -> tuple[Shot, list[Place]]:
        """What an episode shows."""
        frames = self.config.length * (1 + min(30, int(rng.geometric(1.0 / MEAN_WINDOWS))))
        use_photograph = self.photographs and (not self.live or rng.random() < self.config.photographs)
        pool = self.photographs if use_photograph else self.live
        weights = np.sqrt([len(shot.frames) for shot in pool])
        shot = pool[int(rng.choice(len(pool), p=weights / weights.sum()))]
        camera = _photograph_camera if shot.is_photograph else _live_camera
        return shot, camera(shot, frames, self.config.crop, rng)

    def _episode(self, shot: Shot, places: Sequence[Place], rng: np.random.Generator) -> Iterator[Window]:
        draw = _Drawing(shot, places, self.config.crop, rng, rng.random() < self.config.references)
        for start in range(0, len(places) - self.config.length + 1, self.config.length):
            yield Sample.stack([draw(t) for t in range(start, start + self.config.length)]).as_window()


@dataclass(frozen=True, slots=True)
class Place:
    """Where one crop is taken: the frame, and the affine map from crop to frame."""

    frame: int
    matrix: NDArray[np.float64]
    """`(2, 3)`, crop pixels -> frame pixels."""
    nominal_height: int
    """Rows of the whole frame at the crop's scale."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Arrays of one slot, time first; see `Window`."""

    source: Picture
    target: Picture
    reference: NDArray[np.float32]
    flow: NDArray[np.float32]
    trust: NDArray[np.float32]

    @staticmethod
    def stack(frames: Sequence[Sample]) -> Sample:
        """Single frames -> a window."""
        return Sample(*(np.stack([getattr(frame, name) for frame in frames]) for name in Sample.__slots__))

    def as_window(self) -> Window:
        """Float tensors, as a batch of one."""

        def pictures(array: NDArray[np.generic]) -> torch.Tensor:
            tensor = torch.from_numpy(array[None])
            return tensor.movedim(-1, 2).contiguous().float().div_(255.0 if tensor.dtype == torch.uint8 else 1.0)

        return Window(*(pictures(getattr(self, name)) for name in Sample.__slots__))


def _live_camera(shot: Shot, count: int, crop: int, rng: np.random.Generator) -> list[Place]:
    """A fixed crop of consecutive frames, forwards or backwards, at a random scale, perhaps mirrored."""
    total, height, width = shot.frames.shape[:3]
    stride = int(rng.choice((1, 1, 1, 2, 3)))
    count = min(count, total // stride)
    first = int(rng.integers(0, total - (count - 1) * stride))
    numbers = [first + i * stride for i in range(count)]
    if rng.random() < 0.5:
        numbers.reverse()
    smallest = crop / min(height, width)
    scale = float(np.exp(rng.uniform(np.log(max(smallest, 0.5)), np.log(max(smallest, 1.4)))))
    side = crop / scale
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    mirror = rng.random() < 0.5
    matrix = np.array(
        [[-1 / scale if mirror else 1 / scale, 0, left + (side - 1 if mirror else 0)], [0, 1 / scale, top]]
    )
    return [Place(number, matrix, round(height * scale)) for number in numbers]


def _photograph_camera(shot: Shot, count: int, crop: int, rng: np.random.Generator) -> list[Place]:
    """A smooth pan, zoom and turn over the photograph."""
    height, width = shot.frames.shape[1:3]
    smallest = 1.3 * crop / min(height, width)
    scale = float(np.exp(rng.uniform(np.log(max(smallest, 0.3)), np.log(max(smallest, 1.1)))))
    half = 0.65 * crop / scale
    x, y = rng.uniform(half, width - half), rng.uniform(half, height - half)
    speed = rng.normal(0, 1.2, 2) / scale
    zoom, turn, angle = rng.normal(0, 0.004), rng.normal(0, 0.004), rng.normal(0, 0.05)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    places = []
    for _ in range(count):
        x, y = np.clip(x + speed[0], half, width - half), np.clip(y + speed[1], half, height - half)
        speed += rng.normal(0, 0.15, 2) / scale
        scale, angle = max(scale * np.exp(zoom), smallest), angle + turn
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
        turned[:, 0] *= mirror
        matrix = np.concatenate((turned, (np.array((x, y)) - turned @ np.full(2, (crop - 1) / 2))[:, None]), 1)
        places.append(Place(0, matrix, int(np.clip(round(height * scale), 240, 900))))
    return places


class _Drawing:
    """Renders one episode frame by frame: live crop, its cartoon, flow to the last cartoon, aligned key frame."""

    def __init__(self, shot: Shot, places: Sequence[Place], crop: int, rng: np.random.Generator, keyed: bool) -> None:
        self._shot, self._places, self._crop, self._rng = shot, places, crop, rng
        self._style: CartoonStyle = replace(sample_style(rng), nominal_height=places[0].nominal_height)
        pixels = float(np.linalg.norm(places[0].matrix[:, 1]))
        self._shrink = 1.0 / pixels if pixels > 1.4 else 1.0
        self._small: dict[int, Picture] = {}
        self._near, self._far = FlowEstimator("fast"), FlowEstimator("medium")
        self._last: Picture | None = None
        self._grade = _random_grade(rng) if keyed and rng.random() < 0.5 else None
        self._key: tuple[Picture, Picture] | None = None
        if keyed:
            self._key = self._pair(int(rng.integers(0, len(places))))
        self._hole = rng.random() < 0.3

    def _pair(self, t: int) -> tuple[Picture, Picture]:
        place = self._places[t]
        matrix = place.matrix * self._shrink
        live = cv2.warpAffine(
            self._frame(place.frame),
            matrix,
            (self._crop, self._crop),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        cartoon = cartoonise(live[None], self._style, start=t)[0]
        return cartoon, np.asarray(live if self._grade is None else cv2.LUT(live, self._grade), np.uint8)

    def _frame(self, number: int) -> Picture:
        """The frame, made smaller first where the crop would skip pixels; photographs only once."""
        if number not in self._small:
            frame = self._shot.frames[number]
            if self._shrink < 1.0:
                frame = cv2.resize(frame, None, fx=self._shrink, fy=self._shrink, interpolation=cv2.INTER_AREA)
            self._small = {number: frame}
        return self._small[number]

    def __call__(self, t: int) -> Sample:
        cartoon, live = self._pair(t)
        flow = np.zeros((self._crop, self._crop, 2), np.float32)
        weight = np.zeros((self._crop, self._crop), np.float32)
        if self._last is not None:
            flow = self._near(luma(cartoon), luma(self._last))
            weight = trust(cartoon, np.asarray(warp(self._last, flow), np.uint8), flow)
        self._last = cartoon
        return Sample(cartoon, live, self._reference(cartoon), flow, weight[..., None])

    def _reference(self, cartoon: Picture) -> NDArray[np.float32]:
        reference = np.zeros((self._crop, self._crop, 4), np.float32)
        if self._key is None:
            return reference
        key_cartoon, key_live = self._key
        flow = self._far(luma(cartoon), luma(key_cartoon))
        reference[..., :3] = warp(key_live, flow) / np.float32(255.0)
        reference[..., 3] = trust(cartoon, np.asarray(warp(key_cartoon, flow), np.uint8), flow, deviation=0.08)
        if self._hole:
            top, left = self._rng.integers(0, self._crop // 2, 2)
            high, wide = self._rng.integers(self._crop // 8, self._crop // 2, 2)
            reference[top : top + high, left : left + wide, 3] = 0.0
        return reference


def _random_grade(rng: np.random.Generator) -> Picture:
    """A tone curve for each channel, `(1, 256, 3)` uint8: the look that a key frame hands on."""
    x = np.linspace(0.0, 1.0, 256)[:, None]
    gamma = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.08, 3))
    gain, lift = np.exp(rng.normal(0, 0.08, 3)), rng.normal(0, 0.03, 3)
    return np.asarray(np.clip((x**gamma * gain + lift) * 255.0, 0, 255).round()[None], np.uint8)

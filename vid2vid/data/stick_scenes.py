"""Random drawings of one to four figures with their joints, for teaching nets to read them.

What is varied follows what drawn fights look like: figures touch and cross, are cut off by the picture's edge, and
stand on one ground; a third of the poses are free, the rest from motion capture with other proportions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.conditions.ink import ink_map
from vid2vid.conditions.stick_nets import (
    FINDER_HEIGHT_PX,
    FINDER_LONG_SIDE,
    FINDER_RADIUS_PX,
    READER_FIGURE_PX,
    READER_SIDE,
    finder_input,
    reader_input,
)
from vid2vid.data.stick_drawings import Style, draw_frame, paper, random_style
from vid2vid.motion.capture import project
from vid2vid.motion.skeleton import HEAD, HIP, NECK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

_PARENTS: Final = ((NECK, HIP), (HEAD, NECK), (3, NECK), (4, 3), (5, NECK), (6, 5), (7, HIP), (8, 7), (9, HIP), (10, 9))
_SIZES: Final = ((384, 216), (384, 216), (320, 240), (288, 288), (216, 384))
_COUNTS: Final = (0.05, 0.22, 0.5, 0.14, 0.09)
"""How often a drawing has 0, 1, 2, 3 and 4 figures."""


@dataclass(frozen=True, slots=True, eq=False)
class StickScene:
    """One drawing."""

    picture: Picture
    figures: NDArray[np.float32]
    """`(F, 11, 2)` pixels."""
    height_px: float
    """Standing height of the figures."""
    radius_px: float
    """Of their heads."""


def free_pose(rng: np.random.Generator) -> NDArray[np.float64]:
    """A pose made of random angles: `(11, 2)` in standing heights, hip at the origin."""
    trunk = rng.normal(0, 0.35) if rng.random() < 0.75 else rng.uniform(-np.pi, np.pi)
    spine, neck, arm, forearm, thigh, shin = np.array([0.33, 0.15, 0.17, 0.17, 0.24, 0.24]) * rng.uniform(0.85, 1.15, 6)
    neck *= rng.uniform(0.6, 1.0)

    def away(angle: float, length: float) -> NDArray[np.float64]:
        return np.array([np.sin(angle), np.cos(angle)]) * length

    joints = np.zeros((11, 2))
    joints[NECK] = -away(trunk, spine)
    joints[HEAD] = joints[NECK] - away(trunk + rng.normal(0, 0.25), neck)
    for elbow, hand in ((3, 4), (5, 6)):
        angle = trunk + rng.normal(0.5, 0.9)
        joints[elbow] = joints[NECK] + away(angle, arm)
        joints[hand] = joints[elbow] + away(angle + abs(rng.normal(0, 0.8)), forearm)
    for knee, foot in ((7, 8), (9, 10)):
        angle = trunk * rng.uniform(0, 1) + rng.normal(0.15, 0.5)
        joints[knee] = joints[HIP] + away(angle, thigh)
        joints[foot] = joints[knee] + away(angle - abs(rng.normal(0, 0.5)), shin)
    return joints


def random_pose(rng: np.random.Generator, motions: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """A pose from motion capture in other proportions, or a free one.

    Args:
        rng: decides.
        motions: each `(T, 11, 3)` metres, as `read_motion` gives.

    Returns:
        `(11, 2)` in standing heights, hip at the origin.
    """
    if not motions or rng.random() < 0.35:
        joints = free_pose(rng)
    else:
        motion = motions[int(rng.integers(len(motions)))]
        seen = project(motion[rng.integers(len(motion))], rng.uniform(-0.6, 0.6)).astype(float)
        seen = seen - seen[HIP]
        neck, trunk, arms, legs = rng.uniform(0.7, 1.2), *rng.uniform(0.85, 1.15, 3)
        joints = np.zeros_like(seen)
        for child, parent in _PARENTS:
            stretch = trunk if child == NECK else neck if child == HEAD else arms if child < 7 else legs
            joints[child] = joints[parent] + (seen[child] - seen[parent]) * stretch
    return joints * np.array([-1, 1]) if rng.random() < 0.5 else joints


def random_scene(rng: np.random.Generator, motions: Sequence[NDArray[np.float32]]) -> StickScene:
    """Draws one."""
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    count = int(rng.choice(len(_COUNTS), p=_COUNTS))
    short = min(size)
    height = float(np.exp(rng.uniform(np.log(0.24), np.log(0.72))) * short)
    style = random_style(rng)
    ground = rng.uniform(0.72, 0.97) * size[1]
    x = rng.uniform(0.15, 0.85) * size[0]
    figures = []
    for _ in range(count):
        joints = random_pose(rng, motions) * height * rng.uniform(0.93, 1.07)
        airborne = abs(rng.normal(0, 0.25)) * height if rng.random() < 0.2 else 0.0
        joints += [x, ground - joints[:, 1].max() - airborne]
        figures.append(joints.astype(np.float32))
        x = float(np.clip(x + rng.choice([-1, 1]) * rng.uniform(0.05, 1.2) * height, 0.02 * size[0], 0.98 * size[0]))
    placed = np.stack(figures) if figures else np.zeros((0, 11, 2), np.float32)
    shown = ground + rng.uniform(0, 0.03) * height if rng.random() < 0.8 else rng.uniform(0.5, 1) * size[1]
    picture = draw_frame(paper(size, style), placed, height, style, rng, shown)
    return StickScene(picture, placed, height, style.head_radius * height)


def reader_samples(
    scene: StickScene, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Gives, for each figure whose head is in the picture, the reader's input and joints 1 to 10 in its pixels."""
    grey = cv2.cvtColor(scene.picture, cv2.COLOR_RGB2GRAY)
    rows, columns = grey.shape
    guessed = scene.height_px * float(rng.uniform(0.87, 1.15))
    ink = ink_map(grey, guessed)
    for joints in scene.figures:
        head = joints[HEAD]
        if not (0 <= head[0] < columns and 0 <= head[1] < rows):
            continue
        scale = READER_FIGURE_PX / guessed
        seen = head + rng.normal(0, 1.2, 2) / scale
        middle = READER_SIDE / 2 - 0.5
        yield reader_input(ink, seen, guessed), ((joints[1:] - seen) * scale + middle).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FinderSample:
    """A whole drawing as the finder sees it, and what it should say, all at its output's size."""

    ink: NDArray[np.float32]
    """`(1, h, w)`."""
    heads: NDArray[np.float32]
    """`(h/2, w/2)` in [0, 1]: Gaussians at the heads."""
    sizes: NDArray[np.float32]
    """`(2, h/2, w/2)`: logarithms of height and radius, as `stick_nets` scales them."""


def finder_sample(scene: StickScene, rng: np.random.Generator, side: int = FINDER_LONG_SIDE) -> FinderSample:
    """Makes the finder's sample, padded to a square."""
    grey = cv2.cvtColor(scene.picture, cv2.COLOR_RGB2GRAY)
    ink, scale = finder_input(ink_map(grey))
    square = np.zeros((1, side, side), np.float32)
    square[:, : ink.shape[1], : ink.shape[2]] = ink
    half = side // 2
    y, x = np.mgrid[:half, :half].astype(np.float32)
    heads = np.zeros((half, half), np.float32)
    for joints in scene.figures:
        at = ((joints[HEAD] + 0.5) * scale) / 2 - 0.5
        heads = np.maximum(heads, np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 1.3**2)))
    height = np.log(scene.height_px * scale / FINDER_HEIGHT_PX)
    radius = np.log(scene.radius_px * scale / FINDER_RADIUS_PX)
    sizes = np.stack([np.full_like(heads, height), np.full_like(heads, radius)])
    return FinderSample(square, heads, sizes)


class StickStream(torch.utils.data.IterableDataset[tuple[torch.Tensor, ...]]):
    """Batches without end: reader's inputs and joints, finder's ink, heads and sizes."""

    def __init__(self, motions: Sequence[NDArray[np.float32]], scenes: int, seed: int) -> None:
        self.motions, self.scenes, self.seed = motions, scenes, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        while True:
            drawn = [random_scene(rng, self.motions) for _ in range(self.scenes)]
            read = [sample for scene in drawn for sample in reader_samples(scene, rng)]
            found = [finder_sample(scene, rng) for scene in drawn]
            if read:
                yield (
                    torch.from_numpy(np.stack([ink for ink, _ in read])),
                    torch.from_numpy(np.stack([joints for _, joints in read])),
                    torch.from_numpy(np.stack([sample.ink for sample in found])),
                    torch.from_numpy(np.stack([sample.heads for sample in found])),
                    torch.from_numpy(np.stack([sample.sizes for sample in found])),
                )


__all__ = [
    "FinderSample",
    "StickScene",
    "StickStream",
    "Style",
    "finder_sample",
    "free_pose",
    "random_pose",
    "random_scene",
    "reader_samples",
]

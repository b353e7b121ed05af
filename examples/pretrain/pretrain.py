"""Trains the base that few-shot fits of a look start from, on an endless stream of looks drawn at random.

    python examples/pretrain/pretrain.py --clips CLIPS --photographs PHOTOS --preset default --output RUN --steps 12000

Every patch shows a look that no other patch shows: the net cannot know looks by heart, so it learns to read one off an
aligned key frame and off its change of colours, and to carry on where the key frame does not reach.
It runs the same on a CPU and a GPU, and goes on where it was stopped. `README.md` says more.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch
from random_looks import random_look  # type: ignore[import-not-found]  # beside this file, which runs as a script
from torch.utils.data import IterableDataset

from vid2vid.backbones import make_generator
from vid2vid.backbones.weights import save_weights
from vid2vid.config import PRESETS as NAMES
from vid2vid.data import footage
from vid2vid.data.footage import Shot
from vid2vid.data.workers import forked
from vid2vid.look_fitting import LOSSES, NO_CLOSING, PRESETS
from vid2vid.looks import CHANNELS, TRIPS, Aligned, Example, LookWindows, carried_by_search
from vid2vid.motion.keyframes import KeyFrame, colour_change
from vid2vid.training import FitConfig, Window, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Region = tuple[Picture, Picture, tuple[int, int]]

HELD_OUT: Final = {"sports2d_demo": 0, "bikes": 188, "cityCC0": 117, "single_face": 0, "cup": 0, "bigbuckbunny": 0}
"""Clip -> the first frame that training never sees, nor any after it: fits are measured on these."""
SHORT_SIDE: Final = 360
LEAST_FRAMES: Final = 12

EDGE: Final = 16
"""Pixels around what is cut from: layers look beyond a pixel, and motion comes from beyond an edge."""
ROOM: Final = 32
"""Pixels by which a region is larger than the patch that `LookWindows` takes out of it."""
STILLS: Final = 0.5
"""Share of patches from photographs."""
PASTED: Final = (0.2, 0.5)
"""Shares of regions of clips, and of photographs, over which a piece of something else moves."""
DETAILED: Final = 0.6
"""Share of regions for which, of two, the one with more detail is taken: out-of-focus ground teaches little."""
TILE: Final = 48
"""Side of each of the four places of the key frame from which, beside the region, its change of colours is told."""


class RandomLooks(IterableDataset[Window]):
    """Windows of one frame; patch i of step s follows from (seed, s, i) alone.

    Args:
        shots: clips and photographs; each region is at least `crop` + 64 pixels wide.
        batch, crop: patches a step, and their side.
        seed: of everything random.
        workers: processes that make windows.
    """

    def __init__(self, shots: Sequence[Shot], *, batch: int, crop: int, seed: int = 0, workers: int = 1) -> None:
        self.live = [shot for shot in shots if not shot.is_photograph]
        self.stills = [shot for shot in shots if shot.is_photograph]
        self.batch, self.crop, self.seed, self.workers = batch, crop, seed, workers
        self.side = crop + ROOM + 2 * EDGE
        self._from = (0, 0, 1)

    def start(self, step: int, rank: int = 0, world: int = 1) -> Iterator[Window]:
        """Windows from a step onwards; of several processes each takes every `world`-th patch."""
        self._from = (step, rank, world)
        return forked(self, self.workers, ahead=8)

    def __iter__(self) -> Iterator[Window]:
        worker = torch.utils.data.get_worker_info()
        number, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        step, rank, world = self._from
        step += number  # the loader takes one window from each worker in turn
        while True:
            yield Window.together([self.patch(step, i) for i in range(rank, self.batch, world)])
            step += count

    def patch(self, step: int, number: int) -> Window:
        """One patch: a region before and after, a key frame of the same look carried onto it, then `LookWindows`."""
        rng = np.random.default_rng((self.seed, step, number))
        still = bool(self.stills) and (not self.live or rng.random() < STILLS)
        pool = self.stills if still else self.live
        weights = np.sqrt([len(shot.frames) for shot in pool])
        shot = pool[int(rng.choice(len(pool), p=weights / weights.sum()))]
        draw = partial(self._still, shot.frames[0]) if still else partial(self._live, shot.frames)
        source, key, corner = _sharper(draw(rng), draw(rng)) if rng.random() < DETAILED else draw(rng)
        if rng.random() < PASTED[still]:
            source, key = _pasted(source, key, self._piece(rng), rng)
        look = random_look(rng)
        target, key_look = look(source, corner), look(key, corner)
        tiles = self._tiles(shot.frames[int(rng.integers(len(shot.frames)))], rng)
        colours = colour_change([KeyFrame(0, key, key_look), KeyFrame(0, tiles, look(tiles))])
        found = carried_by_search((key, key_look), source)
        aligned = Aligned(*(_inner(picture) for picture in (found.look, found.key_source, found.validity)))
        example = Example(_inner(source), _inner(target), (aligned,), ())
        windows = LookWindows([example], colours, batch=1, crop=self.crop, seed=int(rng.integers(2**31)))
        return next(windows.start(0))

    def _live(self, frames: Picture, rng: np.random.Generator) -> Region:
        """The same place in two frames of a shot, and where it is."""
        total, height, width = frames.shape[:3]
        away = int(rng.integers(1, min(TRIPS[1], total - 1) + 1))
        first = int(rng.integers(0, total - away))
        numbers = (first, first + away) if rng.random() < 0.5 else (first + away, first)
        top, left = (int(rng.integers(0, side - self.side + 1)) for side in (height, width))
        box = (slice(top, top + self.side), slice(left, left + self.side))
        source, key = (np.ascontiguousarray(frames[number][box]) for number in numbers)
        return source, key, (top, left)

    def _still(self, picture: Picture, rng: np.random.Generator) -> Region:
        """A photograph seen by a camera at two moments."""
        height, width = picture.shape[:2]
        least = 1.5 * self.side / min(height, width)
        scale = float(np.exp(rng.uniform(np.log(max(0.4, least)), np.log(max(1.1, least)))))
        half = 0.75 * self.side / scale
        middle = np.array([rng.uniform(half, width - half), rng.uniform(half, height - half)])
        turn, spread = rng.normal(0.0, 0.1), rng.uniform(0.0, 1.0)
        views = []
        for _ in range(2):
            size = scale * float(np.exp(rng.normal(0.0, 0.05 * spread)))
            place = middle + rng.normal(0.0, 7.0 * spread, 2) / scale
            views.append(self._view(picture, place, size, turn + rng.normal(0.0, 0.04 * spread)))
        return views[0], views[1], (int(rng.integers(512)), int(rng.integers(512)))

    def _view(self, picture: Picture, middle: NDArray[np.float64], scale: float, turn: float) -> Picture:
        """A region around a place; the photograph is made smaller first where the region would skip pixels."""
        reach = int(np.ceil(0.75 * self.side / scale)) + 2
        top, left = (max(0, int(place) - reach) for place in (middle[1], middle[0]))
        part = picture[top : top + 2 * reach, left : left + 2 * reach]
        shrink = min(1.0, 1.25 * scale)
        if shrink < 0.9:
            part = cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        else:
            shrink = 1.0
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * (shrink / scale)
        start = (middle - (left, top)) * shrink - turned @ np.full(2, (self.side - 1) / 2)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = np.concatenate((turned, start[:, None]), 1)
        size = (self.side, self.side)
        return np.asarray(cv2.warpAffine(part, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101), np.uint8)

    def _piece(self, rng: np.random.Generator) -> Picture:
        pool = self.stills or self.live
        frames = pool[int(rng.integers(len(pool)))].frames
        frame = frames[int(rng.integers(len(frames)))]
        top, left = (int(rng.integers(0, length - self.side + 1)) for length in frame.shape[:2])
        return np.ascontiguousarray(frame[top : top + self.side, left : left + self.side])

    def _tiles(self, frame: Picture, rng: np.random.Generator) -> Picture:
        tiles = []
        for _ in range(4):
            top, left = (int(rng.integers(0, length - TILE + 1)) for length in frame.shape[:2])
            tiles.append(frame[top : top + TILE, left : left + TILE])
        return np.vstack((np.hstack(tiles[:2]), np.hstack(tiles[2:])))


def _sharper(first: Region, second: Region) -> Region:
    return max(first, second, key=lambda region: float(cv2.meanStdDev(cv2.Laplacian(region[0], cv2.CV_16S))[1].mean()))


def _pasted(source: Picture, key: Picture, piece: Picture, rng: np.random.Generator) -> tuple[Picture, Picture]:
    """A piece of something else that moves over both, or comes into view in the first only."""
    side = len(source)
    place, radii = rng.uniform(0.2, 0.8, 2) * side, rng.uniform(0.08, 0.3, 2) * side
    mask = np.zeros((side, side), np.float32)
    cv2.ellipse(mask, (place, 2.0 * radii, rng.uniform(0.0, 180.0)), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.8)[..., None]
    first = np.asarray(source + mask * (piece.astype(np.float32) - source), np.uint8)
    if rng.random() < 0.35:
        return first, key
    shift = np.array([[1.0, 0.0, rng.normal(0.0, 12.0)], [0.0, 1.0, rng.normal(0.0, 8.0)]])
    moved, there = (cv2.warpAffine(each, shift, (side, side)) for each in (piece, mask))
    return first, np.asarray(key + there[..., None] * (moved.astype(np.float32) - key), np.uint8)


def _inner(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture[EDGE:-EDGE, EDGE:-EDGE]


def live_shots(folder: Path) -> Iterator[Shot]:
    """Shots of all clips in a folder, without what is held out."""
    return footage.live_shots(folder, short_side=SHORT_SIDE, least_frames=LEAST_FRAMES, held_out=HELD_OUT)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of live clips")
    parser.add_argument("--photographs", type=Path, help="folder of photographs")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and weights")
    parser.add_argument("--preset", choices=NAMES, default="default", help="whose generator is trained")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--batch", type=int, help="patches a step; the preset's own where not given")
    parser.add_argument("--learning-rate", type=float, default=4e-4, help="at 1e-3 a run fell apart at 2,400")
    parser.add_argument("--workers", type=int, default=1, help="processes that make patches")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the trainer")
    parser.add_argument("--device", help="cpu or cuda; a GPU where there is one")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    torch.set_num_threads(given.threads)
    shots = [*live_shots(given.clips), *(footage.photographs(given.photographs) if given.photographs else ())]
    logging.info("%d shots and photographs: %s", len(shots), ", ".join(shot.name for shot in shots))
    preset = PRESETS[given.preset]
    windows = RandomLooks(
        shots, batch=given.batch or preset.batch, crop=preset.crop, seed=given.seed, workers=given.workers
    )
    torch.manual_seed(given.seed)
    net = make_generator(preset.backbone, CHANNELS)
    with torch.no_grad():
        net.local.bias[-2:] = NO_CLOSING  # type: ignore[index]
    config = FitConfig(
        steps=given.steps,
        learning_rate=given.learning_rate,
        perceptual_crop=preset.crop,
        perceptual_every=3,
        recurrent=False,
        textured=False,
        device=given.device,
        seed=given.seed,
        losses=LOSSES,
    )
    fit(net, windows, config, given.output)
    save_weights(net, given.output / f"look_{given.preset}.safetensors")


if __name__ == "__main__":
    main()

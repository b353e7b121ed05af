"""A small scene with known motion: a patch slides over still ground, and a look of it that is no change of colours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from vid2vid.io import VideoWriter, open_source, write_image

HEIGHT, WIDTH, LENGTH = 64, 96, 24
SIDE, SPEED_PX, TOP = 20, 3, 22


def texture(seed: int, height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0).astype(np.float32)
    return np.clip((smooth - smooth.mean()) * 4 + 128, 0, 255).astype(np.uint8)


GROUND, PATCH = texture(0, HEIGHT, WIDTH), texture(1, SIDE, SIDE) // 2 + np.array((120, 20, 20), np.uint8)


def frame(t: int) -> np.ndarray:
    made = GROUND.copy()
    made[TOP : TOP + SIDE, place(t)] = PATCH
    return made


def place(t: int) -> slice:
    """The columns of the patch."""
    return slice(2 + SPEED_PX * t, 2 + SPEED_PX * t + SIDE)


def clip(length: int = LENGTH) -> np.ndarray:
    return np.stack([frame(t) for t in range(length)])


def look(picture: np.ndarray) -> np.ndarray:
    """Darker and bluer, and lighter again where it was bright."""
    grey = picture.astype(np.float32).mean(-1, keepdims=True)
    made = picture * np.array((0.5, 0.6, 0.9), np.float32) + np.where(grey > 150, 60.0, 0.0)
    return np.asarray(np.clip(made, 0, 255), np.uint8)


def foreign(length: int = 6, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Another clip altogether."""
    return np.stack([np.roll(texture(7, height, width), 2 * t, 1) for t in range(length)])


def write_clip(path: Path, frames: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=frames.shape[2], height=frames.shape[1], fps=25, quality=4) as writer:
        for index, picture in enumerate(frames):
            writer.write(picture, Fraction(index, 25))
    return path


def write_picture(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, picture)
    return path


def read(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.stack([frame.pixels for frame in source])


def psnr_db(made: np.ndarray, wanted: np.ndarray) -> float:
    return float(-10 * np.log10(((made.astype(np.float64) - wanted) ** 2).mean() / 255**2 + 1e-10))

"""Marked and signed files for these tests, made without a task: moving pictures through `Marks`, as a render would."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vid2vid.io import VideoWriter, open_source, write_image
from vid2vid.provenance import Facts, Material, SealedFacts, prepare_marks

WIDTH, HEIGHT, FRAMES, FPS = 320, 240, 24, 12
FACTS = Facts(
    task="face_swap",
    summary="A face becomes another person's.",
    sources=(Material("film.mp4", "ab" * 32),),
    references=(Material("anna.jpg", "cd" * 32, None, "0"),),
    weights={"general": "ef" * 32},
    backbone="compact",
    consent={"basis": "licensed", "record_sha256": "12" * 32},
    options={"blend": 0.5},
    seed=7,
    versions={"vid2vid": "9.8.7"},
)


def scene(seed: int, count: int = FRAMES, size: tuple[int, int] = (WIDTH, HEIGHT)) -> list[NDArray[np.uint8]]:
    """Soft blobs of light that drift over a ramp; another seed looks different."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 220, (5, 7, 3)).astype(np.float32)
    wide = cv2.resize(coarse, (size[0] * 2, size[1]), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 3, (size[1], size[0], 1)).astype(np.float32)
    frames = [wide[:, 4 * t : 4 * t + size[0]] + grain for t in range(count)]
    return [np.clip(frame, 0, 255).astype(np.uint8) for frame in frames]


def render(path: Path, facts: Facts = FACTS, *, seed: int = 1, payload: int | None = None) -> SealedFacts:
    """Writes, marks and signs a clip (or a picture, by its suffix) of `scene(seed)`."""
    pictures = scene(seed, 4 if path.suffix == ".gif" else FRAMES)
    marks = prepare_marks(facts, path, WIDTH, HEIGHT, payload)
    partial = path.with_name(f"partial{path.suffix}")
    if path.suffix in (".png", ".jpg", ".webp"):
        write_image(partial, marks.mark(pictures[0]))
    else:
        encode(partial, [marks.mark(picture) for picture in pictures])
    sealed = marks.seal(partial, facts.finished(frames=len(pictures)))
    if sealed.sidecar:
        sealed.sidecar[0].replace(sealed.sidecar[1])
    partial.replace(path)
    return sealed


def encode(path: Path, pictures: list[NDArray[np.uint8]], **how: Any) -> Path:
    """Writes pictures as a clip."""
    height, width = pictures[0].shape[:2]
    with VideoWriter(path, width=width, height=height, fps=FPS, overwrite=True, **how) as writer:
        for index, picture in enumerate(pictures):
            writer.write(picture, Fraction(index, FPS))
    return path


def decode(path: Path) -> list[NDArray[np.uint8]]:
    """All pictures of a clip."""
    with open_source(path) as source:
        return [frame.pixels.copy() for frame in source]


def spoil(path: Path, at: int) -> None:
    """Flips one bit of a file; a negative place counts from the end."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)

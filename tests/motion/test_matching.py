"""Key frames are recognised by content whatever their look."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest

from vid2vid.errors import ReferenceMismatch
from vid2vid.motion.matching import match_to_frames
from vid2vid.types import Frame

HEIGHT, WIDTH = 120, 200


def scene() -> np.ndarray:
    """Blobs of many sizes over a wide canvas."""
    chance = np.random.default_rng(4)
    canvas = np.full((HEIGHT, WIDTH * 3, 3), 128, np.uint8)
    for _ in range(150):
        centre = (int(chance.integers(0, WIDTH * 3)), int(chance.integers(0, HEIGHT)))
        cv2.circle(canvas, centre, int(chance.integers(4, 24)), tuple(int(v) for v in chance.integers(0, 255, 3)), -1)
    return canvas


def frames() -> Iterator[Frame]:
    canvas = scene()
    for t in range(40):
        yield Frame(np.ascontiguousarray(canvas[:, 5 * t : 5 * t + WIDTH]), t, Fraction(t, 25))


def relit(picture: np.ndarray) -> np.ndarray:
    """Another look: grey-green, darker, noisy, at another size."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 8, picture.shape)
    look = np.stack((0.4 * grey, 0.8 * grey + 20, 0.5 * grey), 2) + noise
    return cv2.resize(np.clip(look, 0, 255).astype(np.uint8), (WIDTH * 2, HEIGHT * 2))


def test_every_picture_finds_its_frame() -> None:
    pictures = {frame.index: relit(frame.pixels) for frame in frames() if frame.index in (3, 17, 39)}
    matches = match_to_frames(list(pictures.values()), frames(), WIDTH, HEIGHT)
    assert [match.frame for match in matches] == list(pictures)
    assert all(match.agreement > 0.5 for match in matches)


def test_a_strange_picture_is_refused() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 3)
    with pytest.raises(ReferenceMismatch, match="Reference 1 resembles no frame"):
        match_to_frames([noise], frames(), WIDTH, HEIGHT)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ReferenceMismatch, match="200x200"):
        match_to_frames([np.zeros((200, 200, 3), np.uint8)], frames(), WIDTH, HEIGHT)


def test_two_versions_of_one_frame_are_refused() -> None:
    picture = relit(next(frames()).pixels)
    with pytest.raises(ReferenceMismatch, match="both show frame 0"):
        match_to_frames([picture, picture], frames(), WIDTH, HEIGHT)

"""A face's light is taken up again exactly where it was left."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import load, save

from vid2vid.motion.face_light import LightMatcher


def test_light_goes_on_from_its_memory() -> None:
    chance = np.random.default_rng(0)
    shape = (60, 50, 3)
    faces = [chance.integers(90, 180, shape, np.uint8) for _ in range(6)]
    places = [np.clip(face * 0.6 + chance.integers(0, 40, shape), 0, 255).astype(np.uint8) for face in faces]
    mask = np.zeros(shape[:2], np.float32)
    mask[8:50, 8:42] = 1.0
    whole, again = LightMatcher(), LightMatcher()
    wanted = [whole(face, place, mask, 25.0) for face, place in zip(faces, places, strict=True)]
    first = LightMatcher()
    for face, place in zip(faces[:3], places[:3], strict=True):
        first(face, place, mask, 25.0)
    kept = load(save({name: torch.from_numpy(value).contiguous() for name, value in first.memory().items()}))
    again.recall({name: value.numpy() for name, value in kept.items()})
    got = [again(face, place, mask, 25.0) for face, place in zip(faces[3:], places[3:], strict=True)]
    assert all(np.array_equal(one, other) for one, other in zip(got, wanted[3:], strict=True))
    fresh = LightMatcher()(faces[3], places[3], mask, 25.0)
    assert not np.array_equal(fresh, wanted[3]), "nothing was remembered, so this test tells nothing"
    again.recall({})
    assert again.memory() == {}

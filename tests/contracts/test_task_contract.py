"""What every installed task promises, checked on each of them."""

from __future__ import annotations

import dataclasses
import inspect
from fractions import Fraction

import numpy as np
import pytest
import torch

from vid2vid.composite import to_tensor
from vid2vid.registry import get_task, list_tasks
from vid2vid.task import Task
from vid2vid.types import Chunk, Conditions, Request, VideoInfo

HEIGHT, WIDTH, LENGTH = 48, 80, 7
NAMES = [info.name for info in list_tasks()]


def clip() -> np.ndarray:
    """A textured square that moves over a gradient."""
    frames = np.zeros((LENGTH, HEIGHT, WIDTH, 3), np.uint8)
    frames[..., 0] = np.linspace(40, 200, WIDTH, dtype=np.uint8)
    frames[..., 1] = np.linspace(200, 60, HEIGHT, dtype=np.uint8)[:, None]
    patch = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    for t in range(LENGTH):
        frames[t, 12:28, 10 + 3 * t : 26 + 3 * t] = patch
    return frames


def request(task: Task[object]) -> Request:
    info = VideoInfo(WIDTH, HEIGHT, Fraction(25), LENGTH, "array")
    return Request(info, WIDTH, HEIGHT, options=task.Options())


def conditions(task: Task[object], sizes: list[int]) -> list[Conditions]:
    setup = task.setup(request(task), torch.device("cpu"))
    frames, start, found = clip(), 0, []
    for size in sizes:
        found.append(task.condition(Chunk(to_tensor(list(frames[start : start + size])), start), setup))
        start += size
    return found


@pytest.mark.parametrize("name", NAMES)
def test_options_have_defaults_and_help(name: str) -> None:
    options = get_task(name).Options
    assert options() == options()
    assert all(field.metadata.get("help") for field in dataclasses.fields(options))


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_as_declared(name: str) -> None:
    task = get_task(name)
    made = conditions(task, [LENGTH])[0]
    assert {key: value.shape[1] for key, value in made.maps.items()} == dict(task.channels)
    assert all(value.shape[0] == LENGTH and value.shape[-2:] == (HEIGHT, WIDTH) for value in made.maps.values())
    assert all(bool(torch.isfinite(value).all()) for value in made.maps.values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [[1, 6], [3, 3, 1], [1] * LENGTH])
def test_cutting_changes_no_condition(name: str, sizes: list[int]) -> None:
    task = get_task(name)
    whole, pieces = conditions(task, [LENGTH])[0], conditions(task, sizes)
    for key, value in whole.maps.items():
        assert torch.equal(torch.cat([piece.maps[key] for piece in pieces]), value)


@pytest.mark.parametrize("name", NAMES)
def test_composite_gives_frames_and_leaves_its_input(name: str) -> None:
    task = get_task(name)
    setup = task.setup(request(task), torch.device("cpu"))
    source = Chunk(to_tensor(list(clip())), 0)
    generated = source.frames.clone()
    made = task.composite(source, generated, conditions(task, [LENGTH])[0], setup)
    assert made.shape == source.frames.shape
    assert float(made.min()) >= 0.0 and float(made.max()) <= 1.0
    assert torch.equal(generated, source.frames)


@pytest.mark.parametrize("name", NAMES)
def test_tasks_are_stateless(name: str) -> None:
    task = get_task(name)
    assert not vars(task), "what lives for one render belongs into its setup"
    assert "global " not in inspect.getsource(type(task))

"""What every installed task promises, checked on each of them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vid2vid.composite import to_tensor
from vid2vid.data.stick_drawings import Style, draw_frame, paper
from vid2vid.errors import ReferenceRequired
from vid2vid.io import open_source, read_image
from vid2vid.motion.actor import load_actor, resized
from vid2vid.registry import get_task, list_tasks
from vid2vid.samples import FOLDER as SAMPLES
from vid2vid.task import Task
from vid2vid.types import Chunk, Conditions, Reference, Request, VideoInfo

HEIGHT, WIDTH, LENGTH = 48, 80, 7
KEYS = (1, 5)
NAMES = [info.name for info in list_tasks()]


@functools.cache
def clip(name: str = "") -> np.ndarray:
    """A textured square that moves over a gradient; for tasks that look for them, stick-men that walk, or a face."""
    if name == "sketch_to_scene":
        return drawn()
    if name == "face_swap":
        return face()
    if name == "actor_swap":
        return person()
    frames = np.zeros((LENGTH, HEIGHT, WIDTH, 3), np.uint8)
    frames[..., 0] = np.linspace(40, 200, WIDTH, dtype=np.uint8)
    frames[..., 1] = np.linspace(200, 60, HEIGHT, dtype=np.uint8)[:, None]
    patch = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    for t in range(LENGTH):
        frames[t, 12:28, 10 + 3 * t : 26 + 3 * t] = patch
    return frames


def drawn() -> np.ndarray:
    style, frames = Style(ground_width=1.0), []
    sheet = paper((WIDTH, HEIGHT), style)
    for t in range(LENGTH):
        figures = np.stack([standing(26.0 + t, 0.6 + 0.1 * t), standing(56.0 - t, 1.2 - 0.1 * t)])
        frames.append(draw_frame(sheet, figures, 30.0, style, np.random.default_rng(t), ground=43.0))
    return np.stack(frames)


def face() -> np.ndarray:
    """A portrait that moves to the right."""
    portrait = read_image(SAMPLES / "face.jpg")[60:260, 60:300]
    return np.stack([np.roll(portrait, 2 * t, 1) for t in range(LENGTH)])


def person() -> np.ndarray:
    """Somebody cut out of a clip, who moves to the right over soft blotches."""
    folder = Path(str(files("vid2vid_tasks.sketch_to_scene"))) / "actors"
    view = resized(load_actor(folder / "woman").views[2], 0.35)
    height, width = view.mask.shape
    noise = np.random.default_rng(0).uniform(60, 190, (24, 24, 3)).astype(np.float32)
    scene, frames = cv2.resize(noise, (192, 192), interpolation=cv2.INTER_CUBIC), []
    for t in range(LENGTH):
        frame, cover = scene.copy(), view.mask[..., None] / 255.0
        place = frame[10 : 10 + height, 40 + 2 * t : 40 + 2 * t + width]
        place[:] = place * (1.0 - cover) + view.picture * cover
        frames.append(frame.clip(0, 255).round().astype(np.uint8))
    return np.stack(frames)


def standing(x: float, stride: float) -> np.ndarray:
    """A figure 30 pixels tall: `(11, 2)`."""
    joints = [(0, -28), (0, -24), (0, -14), (-3, -20), (-2, -15), (3, -20), (4, -15),
              (-2 * stride, -7), (-4 * stride, 0), (2 * stride, -7), (4 * stride, 0)]  # fmt: skip
    return np.array(joints, np.float32) + np.array([x, 43.0], np.float32)


def look(picture: np.ndarray) -> np.ndarray:
    return np.asarray(40 + picture * (0.8, 0.6, 0.4), np.uint8)


def request(task: Task[object], keyed: bool) -> Request:
    """A call with the clip alone, or with two of its frames in other colours as references."""
    frames = clip(task.name)
    height, width = frames.shape[1:3]
    info = VideoInfo(width, height, Fraction(25), LENGTH, "array")
    references = tuple(look(frames[number]) for number in KEYS) if keyed else ()
    opener = open_source(frames).reopen
    consent = "synthetic" if "consent" in task.needs else None
    return Request(
        info,
        width,
        height,
        options=task.Options(),
        references=references,
        shown=tuple(Reference((picture,)) for picture in references) if "reference" in task.needs else (),
        open_source=opener,
        consent=consent,
    )


def can_do_without(name: str) -> bool:
    """Whether a task can be rendered with no reference: `needs` says so, or the setup, where a bundle would do too."""
    task = get_task(name)
    if "reference" in task.needs:
        return False
    try:
        task.setup(request(task, False), torch.device("cpu"))
    except ReferenceRequired:
        return False
    return True


CASES = [(name, keyed) for name in NAMES for keyed in (False, True) if keyed or can_do_without(name)]


@functools.cache
def whole(name: str, keyed: bool) -> tuple[object, Conditions]:
    """What lives for a render, and the conditions of the uncut clip: made once, since some tasks take seconds."""
    task = get_task(name)
    setup = task.setup(request(task, keyed), torch.device("cpu"))
    return setup, conditions(task, setup, [LENGTH])[0]


def conditions(task: Task[object], setup: object, sizes: list[int]) -> list[Conditions]:
    frames, start, found = clip(task.name), 0, []
    for size in sizes:
        found.append(task.condition(Chunk(to_tensor(list(frames[start : start + size])), start), setup))
        start += size
    return found


@pytest.mark.parametrize("name", NAMES)
def test_options_have_defaults_and_help(name: str) -> None:
    options = get_task(name).Options
    assert options() == options()
    assert all(field.metadata.get("help") for field in dataclasses.fields(options))


def test_every_task_is_held_to_the_contract() -> None:
    assert {"cartoon_to_photoreal", "paired"} <= {name for name, _ in CASES}
    assert ("paired", False) not in CASES and ("cartoon_to_photoreal", False) in CASES


@pytest.mark.parametrize(("name", "keyed"), CASES)
def test_maps_are_as_declared(name: str, keyed: bool) -> None:
    task = get_task(name)
    setup, made = whole(name, keyed)
    size = task.canvas(setup) or clip(name).shape[1:3]
    assert {key: value.shape[1] for key, value in made.maps.items()} == dict(task.channels)
    assert all(value.shape[0] == LENGTH and value.shape[-2:] == size for value in made.maps.values())
    assert all(bool(torch.isfinite(value).all()) for value in made.maps.values())


@pytest.mark.parametrize(("name", "keyed"), CASES)
@pytest.mark.parametrize("sizes", [[1, 6], [3, 3, 1], [1] * LENGTH])
def test_cutting_changes_no_condition(name: str, keyed: bool, sizes: list[int]) -> None:
    task = get_task(name)
    uncut = whole(name, keyed)[1]
    pieces = conditions(task, task.setup(request(task, keyed), torch.device("cpu")), sizes)
    for key, value in uncut.maps.items():
        assert torch.equal(torch.cat([piece.maps[key] for piece in pieces]), value)
    if uncut.reference is not None:
        assert torch.equal(torch.cat([piece.reference for piece in pieces if piece.reference is not None]),
                           uncut.reference)  # fmt: skip


@pytest.mark.parametrize("name", [name for name, keyed in CASES if keyed])
def test_a_reference_shows_the_look_where_it_is_trusted(name: str) -> None:
    reference = whole(name, True)[1].reference
    assert reference is None or reference.shape == (LENGTH, 4, HEIGHT, WIDTH)
    if reference is not None:
        wanted = to_tensor([look(frame) for frame in clip(name)])
        weight = reference[:, 3:]
        assert float(weight.min()) >= 0.0 and float(weight.max()) <= 1.0
        assert float(weight.mean()) > 0.5
        assert float(((reference[:, :3] - wanted).abs() * weight).sum() / (3 * weight.sum())) < 0.03


@pytest.mark.parametrize(("name", "keyed"), CASES)
def test_composite_gives_frames_and_leaves_its_input(name: str, keyed: bool) -> None:
    task = get_task(name)
    setup, made_of = whole(name, keyed)
    source = Chunk(to_tensor(list(clip(name))), 0)
    canvas = task.canvas(setup)
    generated = source.frames.clone() if canvas is None else torch.zeros(LENGTH, 3, *canvas)
    before = generated.clone()
    made = task.composite(source, generated, made_of, setup)
    assert made.shape == source.frames.shape
    assert float(made.min()) >= 0.0 and float(made.max()) <= 1.0
    assert torch.equal(generated, before) and torch.equal(source.frames, to_tensor(list(clip(name))))


@pytest.mark.parametrize("name", NAMES)
def test_tasks_are_stateless(name: str) -> None:
    task = get_task(name)
    assert not vars(task), "what lives for one render belongs into its setup"
    assert "global " not in inspect.getsource(type(task))

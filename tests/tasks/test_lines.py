"""A photographic key frame finds its drawing, follows the lines, and is the output of an untaught generator."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from vid2vid_tasks.sketch_to_scene.lines import BACKBONE, CHANNELS, follow_keys, line_conditions, look_at

from vid2vid.backbones import build
from vid2vid.conditions.line_art import LineStyle, extract_lines, soften
from vid2vid.errors import InvalidOption, ReferenceMismatch
from vid2vid.io import open_source
from vid2vid.motion.keyed_clip import KeyedClip
from vid2vid.types import Chunk, Request

HEIGHT, WIDTH, LENGTH, SPEED_PX = 96, 144, 12, 3
STYLE = LineStyle(kind="canny", paper=240.0, ink=30.0)


def frame(t: int) -> np.ndarray:
    """Flat shapes on a plain wall; all of them pan, and a bar beside them moves against them."""
    canvas = np.full((HEIGHT, WIDTH + SPEED_PX * LENGTH, 3), (190, 180, 160), np.uint8)
    rng = np.random.default_rng(4)
    for _ in range(16):
        centre = (int(rng.integers(0, canvas.shape[1])), int(rng.integers(0, HEIGHT)))
        colour = tuple(int(level) for level in rng.integers(20, 240, 3))
        cv2.circle(canvas, centre, int(rng.integers(6, 16)), colour, -1, cv2.LINE_AA)
    return np.ascontiguousarray(canvas[:, SPEED_PX * t : SPEED_PX * t + WIDTH])


def drawing(t: int, style: LineStyle = STYLE) -> np.ndarray:
    return np.repeat(extract_lines(frame(t), style, t)[..., None], 3, 2)


@pytest.fixture(scope="module")
def drawings() -> np.ndarray:
    return np.stack([drawing(t) for t in range(LENGTH)])


def request(drawings: np.ndarray, *looks: np.ndarray) -> Request:
    source = open_source(drawings)
    return Request(source.info, WIDTH, HEIGHT, options=None, references=looks, open_source=source.reopen)


@pytest.fixture(scope="module")
def followed(drawings: np.ndarray) -> KeyedClip:
    found: KeyedClip = follow_keys(request(drawings, frame(2)), (2,))
    return found


def error(made: np.ndarray, t: int, wanted: slice) -> float:
    return float(np.abs(made[:, wanted] * 255.0 - frame(t)[:, wanted]).mean())


@pytest.mark.parametrize("number", [1, 7])
@pytest.mark.parametrize(
    "style", [STYLE, LineStyle(kind="xdog", scale=2.2, paper=20.0, ink=240.0), LineStyle(kind="sobel", scale=2.0)]
)
def test_a_key_frame_is_found_by_its_lines(number: int, style: LineStyle) -> None:
    clip = np.stack([drawing(t, style) for t in range(LENGTH)])
    found = follow_keys(request(clip, frame(number)))
    assert found.keys[0].index == number
    assert found.agreements[0] > 0.85
    assert np.array_equal(found.keys[0].look, frame(number))


def test_a_key_frame_of_another_size_is_brought_to_the_working_size(drawings: np.ndarray) -> None:
    large = cv2.resize(frame(5), (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_LINEAR)
    found = follow_keys(request(drawings, large))
    assert found.keys[0].index == 5
    assert found.keys[0].look.shape == (HEIGHT, WIDTH, 3)


def test_a_picture_of_something_else_is_refused(drawings: np.ndarray) -> None:
    other = cv2.resize(np.random.default_rng(1).integers(0, 255, (6, 9, 3), np.uint8), (WIDTH, HEIGHT))
    with pytest.raises(ReferenceMismatch, match="resembles no frame"):
        follow_keys(request(drawings, np.ascontiguousarray(other)))


def test_a_picture_of_another_shape_is_refused(drawings: np.ndarray) -> None:
    with pytest.raises(ReferenceMismatch, match="another shape"):
        follow_keys(request(drawings, np.ascontiguousarray(frame(2)[:, :100])))


def test_numbers_beyond_the_clip_are_refused(drawings: np.ndarray) -> None:
    with pytest.raises(InvalidOption, match="frame number"):
        follow_keys(request(drawings, frame(2)), (LENGTH,))


def test_the_key_frame_follows_the_lines(followed: KeyedClip, drawings: np.ndarray) -> None:
    for t in (5, 9):
        _, reference = look_at(soften(drawings[t]), followed.keys, t)
        shown = slice(0, WIDTH - SPEED_PX * (t - 2) - 4)
        still = float(np.abs(frame(2)[:, shown].astype(float) - frame(t)[:, shown]).mean())
        assert error(reference[..., :3], t, shown) < 0.4 * still
        assert reference[:, shown, 3].mean() > 0.8


def test_what_the_key_frame_does_not_show_is_not_trusted(followed: KeyedClip, drawings: np.ndarray) -> None:
    _, reference = look_at(soften(drawings[11]), followed.keys, 11)
    come = SPEED_PX * 9
    assert reference[:, -come + 8 :, 3].mean() < reference[:, : -come - 4, 3].mean() - 0.2


def test_an_untaught_generator_gives_the_carried_key_frame(followed: KeyedClip, drawings: np.ndarray) -> None:
    frames = torch.from_numpy(drawings[4:6]).permute(0, 3, 1, 2).float() / 255.0
    chunk = Chunk(frames, 4)
    conditions = line_conditions(chunk, followed.keys)
    assert {name: part.shape[1] for name, part in conditions.maps.items()} == dict(CHANNELS)
    backbone = build(BACKBONE, CHANNELS, weights=None, device=torch.device("cpu"), dtype="float32")
    made, _ = backbone.step(chunk, conditions, backbone.start(request(drawings)))
    assert conditions.reference is not None
    assert torch.allclose(made, conditions.reference[:, :3], atol=2e-3)


def test_conditions_do_not_depend_on_how_the_clip_is_cut(followed: KeyedClip, drawings: np.ndarray) -> None:
    frames = torch.from_numpy(drawings[3:7]).permute(0, 3, 1, 2).float() / 255.0
    whole = line_conditions(Chunk(frames, 3), followed.keys)
    part = line_conditions(Chunk(frames[2:], 5), followed.keys)
    assert whole.reference is not None and part.reference is not None
    assert torch.equal(whole.reference[2:], part.reference)
    assert all(torch.equal(whole.maps[name][2:], part.maps[name]) for name in CHANNELS)


def test_without_a_key_frame_lines_become_shade_on_light_paper(drawings: np.ndarray) -> None:
    frames = torch.from_numpy(drawings[:1]).permute(0, 3, 1, 2).float() / 255.0
    conditions = line_conditions(Chunk(frames, 0), ())
    assert conditions.reference is not None
    picture, validity = conditions.reference[0, :3], conditions.reference[0, 3]
    assert not validity.any() and not conditions.maps["key_drawing"].any()
    soft = conditions.maps["drawing"][0, 2]
    assert picture[:, soft > 0.5].mean() < picture[:, soft < 0.1].mean() - 0.1
    assert float(picture.min()) >= 0.0 and float(picture.max()) <= 1.0

"""Image models as streams: causal, steadied by what was made before, led by references and control clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.diffusion.briefs import blobs, loaded, picture
from vid2vid.backbones.diffusion import build_diffusion
from vid2vid.backbones.diffusion.features import MOST_PLACES, coarser
from vid2vid.backbones.diffusion.options import DiffusionOptions
from vid2vid.backbones.diffusion.streaming import ImageStream
from vid2vid.errors import InvalidOption
from vid2vid.types import Chunk, Conditions, Motion, Request, VideoInfo

SIDE, LENGTH = 32, 5
QUICK = {"steps": 2, "denoise": 1.0}
MODELS = ["sd", "sd_control", "lcm", "sdxl"]
LEAST = 0.02 / 255
"""Untrained networks hardly look at what they are shown, yet nothing changes by itself."""

Folders = Callable[[str], Path]


def request(**changes: Any) -> Request:
    info = VideoInfo(SIDE, SIDE, Fraction(25), LENGTH, "array")
    return replace(Request(info, SIDE, SIDE, options=None, prompt="a photograph of a rabbit"), **changes)


def frames() -> torch.Tensor:
    """A still scene that flickers a little."""
    noise = torch.randn(LENGTH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    return (blobs(1, 1, SIDE) + 0.1 * noise).clamp(0.0, 1.0)


def conditions(clip: torch.Tensor, *, trusted: bool = True) -> Conditions:
    """Nothing moves; the first frame has no history."""
    weight = torch.full((clip.shape[0], 1, *clip.shape[-2:]), float(trusted))
    return Conditions({"source": clip}, motion=Motion(torch.zeros(clip.shape[0], 2, *clip.shape[-2:]), weight))


def streamed(stream: ImageStream, asked: Request, sizes: tuple[int, ...] = (LENGTH,), **words: Any) -> torch.Tensor:
    clip, state, begin, made = words.pop("clip", frames()), stream.start(asked), 0, []
    trusted, cuts = words.pop("trusted", True), words.pop("cuts", frozenset())
    for size in sizes:
        part = clip[begin : begin + size]
        inside = frozenset(cut - begin for cut in cuts if begin <= cut < begin + size)
        pictures, state = stream.step(Chunk(part, begin, inside), conditions(part, trusted=trusted), state)
        made.append(pictures)
        begin += size
    return torch.cat(made)


def far(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


@pytest.mark.parametrize("name", MODELS)
def test_the_cut_into_chunks_and_saving_in_between_change_nothing(name: str, tiny_model: Folders) -> None:
    stream = ImageStream(loaded(tiny_model(name), **QUICK))
    asked, clip = request(references=(picture(3),)), frames()
    whole = streamed(stream, asked)
    assert whole.shape == (LENGTH, 3, SIDE, SIDE) and torch.isfinite(whole).all()
    assert far(whole[0], whole[-1]) > LEAST
    assert torch.equal(streamed(stream, asked, (2, 1, 2)), whole)
    first, state = stream.step(Chunk(clip[:3], 0), conditions(clip[:3]), stream.start(asked))
    again = stream.load_state({key: value.clone() for key, value in stream.save_state(state).items()}, asked)
    rest, _ = stream.step(Chunk(clip[3:], 3), conditions(clip[3:]), again)
    assert torch.equal(torch.cat((first, rest)), whole)


@pytest.mark.parametrize("name", MODELS)
def test_inputs_reach_the_model(name: str, tiny_model: Folders) -> None:
    # Without guidance a negative prompt counts for nothing, and a consistency model never takes one.
    stream = ImageStream(loaded(tiny_model(name), guidance=4.0, negative_prompt="blurry", **QUICK))
    asked = request(references=(picture(3),))
    given = streamed(stream, asked, (1,))
    assert far(streamed(stream, replace(asked, prompt="two ships at night"), (1,)), given) > LEAST
    assert far(streamed(stream, replace(asked, references=(picture(4),)), (1,)), given) > LEAST
    assert far(streamed(stream, replace(asked, references=()), (1,)), given) > LEAST
    assert far(streamed(stream, replace(asked, seed=1), (1,)), given) > LEAST
    assert far(streamed(stream, asked, (1,), clip=blobs(1, 9, SIDE)), given) > LEAST
    if name != "lcm":
        other = ImageStream(loaded(tiny_model(name), guidance=4.0, negative_prompt="text, frame", **QUICK))
        assert far(streamed(other, asked, (1,)), given) > LEAST


def test_a_control_clip_reaches_a_controlnet_only(tiny_model: Folders) -> None:
    led = ImageStream(loaded(tiny_model("sd_control"), **QUICK))
    assert led.model.wanted.control == "line_art"
    given = streamed(led, request(), (1,))
    alone = ImageStream(loaded(tiny_model("sd_control"), control="none", **QUICK))
    assert far(streamed(alone, request(), (1,)), given) > LEAST
    weak = ImageStream(loaded(tiny_model("sd_control"), control_scale=0.3, **QUICK))
    assert far(streamed(weak, request(), (1,)), given) > LEAST
    with pytest.raises(InvalidOption, match="has no ControlNet"):
        ImageStream(loaded(tiny_model("sd"), control="line_art"))


@pytest.mark.parametrize("name", MODELS)
def test_a_cut_forgets_the_shot_before_it(name: str, tiny_model: Folders) -> None:
    stream, clip = ImageStream(loaded(tiny_model(name), **QUICK)), frames()
    cut = streamed(stream, request(), cuts=frozenset({2}))
    assert torch.equal(cut[2:], streamed(stream, request(), (LENGTH - 2,), clip=clip[2:]))
    assert far(cut[2:], streamed(stream, request())[2:]) > LEAST


@pytest.mark.parametrize("name", MODELS)
def test_what_was_made_before_steadies_the_stream(name: str, tiny_model: Folders) -> None:
    stream, clip = ImageStream(loaded(tiny_model(name), **QUICK)), frames()

    def flicker(made: torch.Tensor) -> float:
        return float((made[2:] - made[1:-1]).abs().mean())

    carried, banked = streamed(stream, request()), streamed(stream, request(), trusted=False)
    alone = streamed(stream, request(), cuts=frozenset(range(LENGTH)))
    assert flicker(carried) < 0.75 * flicker(banked)
    assert far(banked[1:], alone[1:]) > LEAST  # by attention to earlier frames alone
    assert torch.equal(banked[0], alone[0])
    assert torch.equal(alone[1:2], streamed(stream, request(), (1,), clip=clip[1:2]))


def test_few_step_models_are_given_few_steps(tiny_model: Folders) -> None:
    settled = {name: loaded(tiny_model(name)).settings(request()) for name in MODELS}
    assert settled["sd"].steps == 20 and settled["sd"].guidance > 1.0
    assert settled["sdxl"].steps == 4 and settled["sdxl"].guidance == 1.0
    assert settled["lcm"].steps == 4 and settled["lcm"].guidance == 8.0


def test_an_image_model_becomes_a_stream(tiny_model: Folders) -> None:
    made = build_diffusion(
        f"diffusers:{tiny_model('sd')}",
        DiffusionOptions(**QUICK),
        device=torch.device("cpu"),
        dtype="float32",
        size=(SIDE, SIDE),
    )
    assert isinstance(made, ImageStream) and (made.window, made.overlap) == (1, 0)
    streamed(made, request(), (2,))
    report = made.report()
    assert report["family"] == "images" and report["frames"] == 2 and report["notes"] == []


def test_what_a_frame_leaves_for_the_next_is_averaged_where_it_would_be_large() -> None:
    rows, columns = 40, 64
    place = torch.arange(rows * columns, dtype=torch.float32).view(1, -1, 1)
    made = coarser(place, (320, 512))
    assert made.shape == (1, rows // 2 * columns // 2, 1)
    assert float(made[0, 0]) == pytest.approx((0 + 1 + columns + columns + 1) / 4), "four neighbours, not four in a row"
    assert coarser(torch.zeros(2, 100 * 100, 3), (1, 1)).shape[1] <= MOST_PLACES
    few = torch.zeros(1, MOST_PLACES, 3)
    assert coarser(few, (1, 1)) is few

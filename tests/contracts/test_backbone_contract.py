"""What every backbone promises: shape, range, exactness under any cutting, resets, seeds and states that survive."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from vid2vid.backbones import build
from vid2vid.backbones.base import Backbone
from vid2vid.backbones.texture import OCTAVES
from vid2vid.config import BackboneConfig
from vid2vid.errors import NonFiniteOutput
from vid2vid.types import Chunk, Conditions, Motion, Request, VideoInfo

HEIGHT, WIDTH, LENGTH = 32, 64, 11


SHAPES = {
    "quarter": BackboneConfig(width=8, blocks=(1, 1)),
    "half": BackboneConfig(width=8, blocks=(1, 1), reduction=2),
    "full": BackboneConfig(width=8, blocks=(1, 1), reduction=1),
}
STILL = BackboneConfig(width=8, blocks=(1, 2), reduction=2, recurrent=False, textured=False)
"""As `paired` has it: every frame by itself."""


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> BackboneConfig:
    return SHAPES[request.param]


def make_backbone(shape: BackboneConfig = SHAPES["quarter"], seed: int = 0) -> Backbone[Any]:
    """A small generator with random weights large enough that history and texture show in its pictures."""
    torch.manual_seed(seed)
    backbone = build(shape, {"source": 3, "lines": 1}, weights=None, device=torch.device("cpu"), dtype="float32")
    with torch.no_grad():
        for parameter in backbone.net.parameters():  # type: ignore[attr-defined]
            parameter.add_(0.05 * torch.randn_like(parameter))
        backbone.net.detail.bias[3:] = torch.tensor([0.0, -1.0])  # type: ignore[attr-defined]
        backbone.net.local.bias[:OCTAVES] = 1.0  # type: ignore[attr-defined]
    return backbone


def request(seed: int = 0) -> Request:
    info = VideoInfo(WIDTH, HEIGHT, Fraction(25), LENGTH, "array")
    return Request(info, WIDTH, HEIGHT, options=None, seed=seed)


def conditions(length: int = LENGTH, cut: int | None = None) -> Conditions:
    chance = torch.Generator().manual_seed(1)
    rand = lambda *shape: torch.rand(*shape, generator=chance)  # noqa: E731
    weight = 0.3 + 0.7 * rand(length, 1, HEIGHT, WIDTH)
    weight[0] = 0.0
    if cut is not None:
        weight[cut] = 0.0
    motion = Motion(4.0 * rand(length, 2, HEIGHT, WIDTH) - 2.0, weight)
    reference = torch.cat((rand(length, 3, HEIGHT, WIDTH), rand(length, 1, HEIGHT, WIDTH)), 1)
    maps = {"source": rand(length, 3, HEIGHT, WIDTH), "lines": rand(length, 1, HEIGHT, WIDTH)}
    return Conditions(maps, reference, motion)


def part(whole: Conditions, start: int, stop: int) -> Conditions:
    assert whole.reference is not None and whole.motion is not None
    motion = Motion(whole.motion.flow[start:stop], whole.motion.weight[start:stop])
    return Conditions(
        {name: value[start:stop] for name, value in whole.maps.items()}, whole.reference[start:stop], motion
    )


def render(backbone: Backbone[Any], whole: Conditions, cuts: Sequence[int], seed: int = 0) -> torch.Tensor:
    """Renders in chunks that end at `cuts`."""
    state = backbone.start(request(seed))
    made = []
    for start, stop in zip((0, *cuts), (*cuts, whole.maps["source"].shape[0]), strict=True):
        piece = part(whole, start, stop)
        pictures, state = backbone.step(Chunk(piece.maps["source"], start), piece, state)
        made.append(pictures)
    return torch.cat(made)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_gives_as_many_pictures_in_range(shape: BackboneConfig, length: int) -> None:
    made = render(make_backbone(shape), part(conditions(), 0, length), ())
    assert made.shape == (length, 3, HEIGHT, WIDTH)
    assert made.dtype == torch.float32
    assert float(made.min()) >= 0.0 and float(made.max()) <= 1.0
    assert float(made.std()) > 0.01


@pytest.mark.parametrize("cuts", [(1,), (5,), (10,), (3, 4, 9), tuple(range(1, LENGTH))])
def test_cutting_changes_nothing(shape: BackboneConfig, cuts: tuple[int, ...]) -> None:
    backbone, whole = make_backbone(shape), conditions()
    assert torch.equal(render(backbone, whole, cuts), render(backbone, whole, ()))


def test_dropping_the_state_is_noticed(shape: BackboneConfig) -> None:
    """Guards the test above: without the carry the pieces must differ."""
    backbone, whole = make_backbone(shape), conditions()
    tail = part(whole, 5, LENGTH)
    alone, _ = backbone.step(Chunk(tail.maps["source"], 5), tail, backbone.start(request()))
    assert not torch.equal(alone, render(backbone, whole, ())[5:])


def test_without_memory_every_frame_stands_alone() -> None:
    backbone, whole = make_backbone(STILL), conditions()
    for t, picture in enumerate(render(backbone, whole, (3, 7))):
        frame = part(whole, t, t + 1)
        alone, _ = backbone.step(Chunk(frame.maps["source"], t), frame, backbone.start(request(9)))
        assert torch.equal(alone[0], picture)


@pytest.mark.robustness(37)
def test_a_shot_begins_without_memory(shape: BackboneConfig) -> None:
    backbone, whole = make_backbone(shape), conditions(cut=6)
    tail = part(whole, 6, LENGTH)
    alone, _ = backbone.step(Chunk(tail.maps["source"], 6), tail, backbone.start(request()))
    assert torch.equal(render(backbone, whole, ())[6:], alone)


def test_state_survives_saving(shape: BackboneConfig) -> None:
    backbone, whole = make_backbone(shape), conditions()
    head, tail = part(whole, 0, 4), part(whole, 4, LENGTH)
    _, state = backbone.step(Chunk(head.maps["source"], 0), head, backbone.start(request(3)))
    restored = backbone.load_state(load(save(dict(backbone.save_state(state)))), request(3))
    first, _ = backbone.step(Chunk(tail.maps["source"], 4), tail, state)
    second, _ = backbone.step(Chunk(tail.maps["source"], 4), tail, restored)
    assert torch.equal(first, second)


def test_stepping_leaves_the_given_state_alone(shape: BackboneConfig) -> None:
    backbone, whole = make_backbone(shape), conditions()
    head, tail = part(whole, 0, 4), part(whole, 4, LENGTH)
    _, state = backbone.step(Chunk(head.maps["source"], 0), head, backbone.start(request()))
    once, _ = backbone.step(Chunk(tail.maps["source"], 4), tail, state)
    again, _ = backbone.step(Chunk(tail.maps["source"], 4), tail, state)
    assert torch.equal(once, again)


def test_two_renders_in_turn_do_not_touch(shape: BackboneConfig) -> None:
    backbone, whole = make_backbone(shape), conditions()
    wanted = render(backbone, whole, (4,))
    first, second = backbone.start(request()), backbone.start(request(9))
    made = []
    for start, stop in ((0, 4), (4, LENGTH)):
        piece = part(whole, start, stop)
        pictures, first = backbone.step(Chunk(piece.maps["source"], start), piece, first)
        _, second = backbone.step(Chunk(piece.maps["source"], start), piece, second)
        made.append(pictures)
    assert torch.equal(torch.cat(made), wanted)


def test_chance_follows_the_seed(shape: BackboneConfig) -> None:
    backbone, whole = make_backbone(shape), conditions()
    assert torch.equal(render(backbone, whole, (), seed=5), render(backbone, whole, (), seed=5))
    assert not torch.equal(render(backbone, whole, (), seed=5), render(backbone, whole, (), seed=6))


@pytest.mark.robustness(39)
def test_values_that_are_not_finite_name_the_frame(shape: BackboneConfig) -> None:
    backbone, whole = make_backbone(shape), conditions()
    whole.maps["source"][7] = float("nan")
    with pytest.raises(NonFiniteOutput, match="Frame 7"):
        render(backbone, whole, ())


@pytest.mark.parametrize("name", [*SHAPES, "still"])
def test_an_untrained_backbone_gives_the_source_back(name: str) -> None:
    torch.manual_seed(0)
    backbone = build(
        {**SHAPES, "still": STILL}[name], {"source": 3}, weights=None, device=torch.device("cpu"), dtype="float32"
    )
    picture = torch.rand(1, 3, HEIGHT, WIDTH)
    made, _ = backbone.step(Chunk(picture, 0), Conditions({"source": picture}), backbone.start(request()))
    assert float((made - picture).abs().max()) < 1e-6

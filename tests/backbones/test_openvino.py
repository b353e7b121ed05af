"""The compiled generator against the module it was made from."""

from __future__ import annotations

import sys
from itertools import product

import pytest
import torch

from vid2vid.backbones.generator import CompactGenerator
from vid2vid.backbones.openvino_engine import OpenVinoGenerator
from vid2vid.backbones.texture import OCTAVES
from vid2vid.errors import EngineUnavailable, InvalidOption

pytest.importorskip("openvino")

HEIGHT, WIDTH = 64, 96
MAX_ERROR_FLOAT32 = 1e-3
MEAN_ERROR_BFLOAT16 = 0.004
"""The tolerances that `OpenVinoGenerator` states."""


def generator(map_channels: int = 3, *, anchored: bool = True, reduction: int = 4) -> CompactGenerator:
    """A small generator whose heads are all at work, unlike those of a fresh one."""
    torch.manual_seed(0)
    net = CompactGenerator(map_channels, width=16, blocks=(1, 1, 1), anchored=anchored, reduction=reduction).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return net


def given(
    has_reference: bool, has_history: bool, has_texture: bool = False, channels: int = 3
) -> list[torch.Tensor | None]:
    torch.manual_seed(1)
    shapes = (channels, 4, 4, OCTAVES)
    wanted = (True, has_reference, has_history, has_texture)
    return [torch.rand(1, c, HEIGHT, WIDTH) if want else None for c, want in zip(shapes, wanted, strict=True)]


@pytest.fixture(scope="module")
def engine() -> OpenVinoGenerator:
    """Shared, since every variant takes seconds to compile."""
    return OpenVinoGenerator(generator(), height=HEIGHT, width=WIDTH, threads=1)


@pytest.mark.parametrize("has", list(product((0, 1), repeat=3)), ids=str)
def test_float32_gives_what_the_module_gives(engine: OpenVinoGenerator, has: tuple[int, int, int]) -> None:
    """With each set of inputs: whether there is a reference, a history, a texture."""
    net, inputs = generator(), given(*map(bool, has))
    with torch.inference_mode():
        wanted = net(*inputs)
    made = engine(*inputs)
    assert made.dtype == torch.float32
    assert (made - wanted).abs().max() <= MAX_ERROR_FLOAT32
    assert (wanted - inputs[0]).abs().mean() > 0.03, "the generator must do something for this to tell"


@pytest.mark.parametrize("has_reference", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_bfloat16_stays_within_its_tolerance(has_reference: bool) -> None:
    net, inputs = generator(), given(has_reference, True, True)
    try:
        engine = OpenVinoGenerator(net, height=HEIGHT, width=WIDTH, dtype="bfloat16", threads=1)
    except EngineUnavailable as error:
        pytest.skip(str(error))
    with torch.inference_mode():
        wanted = net(*inputs)
    assert 0.0 < (engine(*inputs) - wanted).abs().mean() <= MEAN_ERROR_BFLOAT16


def test_reference_and_history_are_not_mixed_up(engine: OpenVinoGenerator) -> None:
    """Either alone, the same picture has another effect as reference than as history."""
    maps, picture, *_ = given(True, False)
    assert maps is not None
    assert (engine(maps, picture) - engine(maps, None, picture)).abs().max() > 0.05


@pytest.mark.slow
def test_a_generator_without_anchor_and_with_more_maps() -> None:
    net, inputs = generator(5, anchored=False), given(True, True, True, channels=5)
    with torch.inference_mode():
        wanted = net(*inputs)
    made = OpenVinoGenerator(net, height=HEIGHT, width=WIDTH, threads=1)(*inputs)
    assert (made - wanted).abs().max() <= MAX_ERROR_FLOAT32


@pytest.mark.slow
def test_a_generator_that_folds_two_pixels() -> None:
    net, inputs = generator(9, reduction=2), given(True, False, channels=9)
    with torch.inference_mode():
        wanted = net(*inputs)
    made = OpenVinoGenerator(net, height=HEIGHT, width=WIDTH, threads=1)(*inputs)
    assert (made - wanted).abs().max() <= MAX_ERROR_FLOAT32


def test_takes_what_the_pipeline_hands_over() -> None:
    """Interleaved memory, other number formats, and a module in bfloat16 that stays as it was."""
    net = generator().to(torch.bfloat16).to(memory_format=torch.channels_last)
    maps, _, history, _ = given(False, True)
    assert maps is not None and history is not None
    engine = OpenVinoGenerator(net, height=HEIGHT, width=WIDTH, threads=1)
    made = engine(maps.to(memory_format=torch.channels_last), None, history.double())
    assert (made - engine(maps, None, history)).abs().max() == 0.0
    assert all(p.dtype == torch.bfloat16 for p in net.parameters())


def test_graphs_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip's first frame, without history, shares the graph of all others: compiling takes seconds."""
    compiled: list[tuple[str, ...]] = []
    original = OpenVinoGenerator._compile

    def counted(self: OpenVinoGenerator, names: tuple[str, ...]) -> object:
        compiled.append(names)
        return original(self, names)

    monkeypatch.setattr(OpenVinoGenerator, "_compile", counted)
    fresh = OpenVinoGenerator(generator(), height=HEIGHT, width=WIDTH, threads=1)
    for history, texture in product((False, True), repeat=2):
        fresh(*given(False, history, texture))
    assert len(compiled) == 1


def test_a_result_is_not_overwritten_by_the_next_call(engine: OpenVinoGenerator) -> None:
    maps, *_ = given(False, False)
    assert maps is not None
    first = engine(maps)
    kept = first.clone()
    engine(1.0 - maps)
    assert torch.equal(first, kept)


@pytest.mark.parametrize(("height", "width"), [(60, 96), (64, 100)])
def test_a_size_that_does_not_fit_is_refused(height: int, width: int) -> None:
    with pytest.raises(InvalidOption, match="multiples of 16"):
        OpenVinoGenerator(generator(), height=height, width=width)


def test_another_shape_than_announced_is_refused(engine: OpenVinoGenerator) -> None:
    with pytest.raises(InvalidOption, match="maps has shape"):
        engine(torch.rand(1, 3, HEIGHT, WIDTH * 2))
    with pytest.raises(InvalidOption, match="history has shape"):
        engine(torch.rand(1, 3, HEIGHT, WIDTH), None, torch.rand(1, 3, HEIGHT, WIDTH))
    with pytest.raises(InvalidOption, match="threads=0"):
        OpenVinoGenerator(generator(), height=HEIGHT, width=WIDTH, threads=0)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'vid2vid\[openvino\]'"):
        OpenVinoGenerator(generator(), height=HEIGHT, width=WIDTH)


def test_a_missing_number_format_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32"]

    monkeypatch.setattr("vid2vid.backbones.openvino_engine._core", Old)
    with pytest.raises(EngineUnavailable, match="no bfloat16 on this processor"):
        OpenVinoGenerator(generator(), height=HEIGHT, width=WIDTH, dtype="bfloat16")

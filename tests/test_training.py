"""Teaching a generator: it learns, continues where it stopped, and never saves what is broken."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vid2vid.backbones.generator import CompactGenerator
from vid2vid.backbones.texture import make_tile
from vid2vid.errors import InvalidOption, NonFiniteOutput
from vid2vid.losses import TextureLoss
from vid2vid.training import FitConfig, Window, fit

LOSSES = {"l1": 2.0, "gradient": 0.3, "temporal": 0.5}
SIDE = 32


def net() -> CompactGenerator:
    torch.manual_seed(0)
    return CompactGenerator(3, width=8, blocks=(1, 1))


def windows(seed: int = 0) -> Iterator[Window]:
    """Smooth pictures whose target is darker and tinted: a global change that a few steps can learn."""
    chance = torch.Generator().manual_seed(seed)
    while True:
        small = torch.rand(2 * 2, 3, 4, 4, generator=chance)
        source = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear").view(2, 2, 3, SIDE, SIDE)
        target = source * torch.tensor([0.8, 0.6, 0.5])[:, None, None] + 0.05
        nothing = torch.zeros(2, 2, 4, SIDE, SIDE)
        yield Window(source, target, nothing, nothing[:, :, :2], nothing[:, :, :1])


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["l1"] for line in (folder / "log.jsonl").read_text().splitlines()]


def config(steps: int) -> FitConfig:
    return FitConfig(steps=steps, learning_rate=2e-3, warmup_steps=5, precision="no", losses=LOSSES)


def test_it_learns(tmp_path: Path) -> None:
    weights = fit(net(), windows(), config(300), tmp_path)
    logged = losses(tmp_path)
    assert len(logged) == 3
    assert logged[-1] < 0.5 * logged[0]
    assert set(load_file(weights)) == set(net().state_dict())


def test_it_continues_where_it_stopped(tmp_path: Path) -> None:
    fit(net(), windows(), config(4), tmp_path)
    taken = itertools.count()

    def counted() -> Iterator[Window]:
        for window in windows(1):
            next(taken)
            yield window

    fit(net(), counted(), config(10), tmp_path)
    assert next(taken) == 6
    assert json.loads((tmp_path / "checkpoint" / "state.json").read_text())["step"] == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "weights.safetensors"]


def test_the_averaged_weights_end_in_the_net(tmp_path: Path) -> None:
    trained = net()
    weights = load_file(fit(trained, windows(), config(6), tmp_path))
    assert all(torch.equal(value.cpu(), weights[name]) for name, value in trained.state_dict().items())


def test_a_loss_that_is_not_finite_stops_before_saving(tmp_path: Path) -> None:
    fit(net(), windows(), config(3), tmp_path)
    before = (tmp_path / "weights.safetensors").read_bytes()

    def poisoned() -> Iterator[Window]:
        yield next(windows())
        window = next(windows())
        window.target[0, 0, 0, 0, 0] = float("nan")
        yield window

    with pytest.raises(NonFiniteOutput, match="step 4"):
        fit(net(), poisoned(), config(9), tmp_path)
    assert (tmp_path / "weights.safetensors").read_bytes() == before


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidOption, match="steps=0"):
        FitConfig(steps=0)
    with pytest.raises(InvalidOption, match="perceptul"):
        FitConfig(losses={"perceptul": 1.0})


def test_texture_loss_is_least_at_the_true_strength() -> None:
    """Noise of a known octave and strength is missing: the loss finds that strength, not more and not less."""
    tile = make_tile()[:, :-1, :-1]
    clean = torch.full((1, 3, 256, 256), 0.5)
    target = clean + 0.04 * tile[1]
    loss = TextureLoss(tile)

    def at(amplitude: float, octave: int = 1) -> float:
        maps = torch.zeros(1, 3, 256, 256)
        maps[:, octave] = amplitude
        return float(loss(clean, maps, target))

    assert at(0.04) < 0.5 * min(at(0.0), at(0.02), at(0.07))
    assert at(0.04) < at(0.04, octave=0) and at(0.04) < at(0.04, octave=2)

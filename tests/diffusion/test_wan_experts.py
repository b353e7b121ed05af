"""Wan 2.2 from video to video: each of its two networks at its own noise levels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.diffusion.briefs import brief, loaded
from tests.diffusion.tiny import save_wan_two
from vid2vid.backbones.diffusion.calling import call
from vid2vid.errors import InvalidModel


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wan_two(tmp_path_factory.mktemp("models") / "wan_two")


def test_each_network_has_its_own_noise_levels(two: Path) -> None:
    model = loaded(two)
    pipe, heard = model.pipe, {"transformer": [], "transformer_2": []}
    first, second = pipe.transformer, pipe.transformer_2
    assert first is not second and model.family.name == "wan_video"

    def hear(name: str) -> Callable[..., None]:
        return lambda module, words, given: heard[name].append(float(given["timestep"][0]))

    for name, network in (("transformer", first), ("transformer_2", second)):
        network.register_forward_pre_hook(hear(name), with_kwargs=True)
    call(model, brief(5, 32, strength=1.0, steps=4, guidance=1.0), (), 5, 0)
    assert len(heard["transformer"]) + len(heard["transformer_2"]) == 4
    assert heard["transformer"] and min(heard["transformer"]) >= 875
    assert heard["transformer_2"] and max(heard["transformer_2"]) < 875
    assert pipe.transformer is first and set(pipe.components) >= {"transformer", "transformer_2"}


def test_a_call_that_fails_half_way_leaves_the_networks_in_their_places(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(two)
    first = model.pipe.transformer

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("half way")

    monkeypatch.setattr(model.pipe.transformer_2, "forward", fail)
    with pytest.raises(ValueError, match="half way"):
        call(model, brief(5, 32, strength=0.5, steps=4, guidance=1.0), (), 5, 0)
    assert model.pipe.transformer is first


def test_a_model_with_noise_levels_of_its_tokens_is_refused(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiny_model("wan_video"), tmp_path / "five")
    config = tmp_path / "five" / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "scale_factor_spatial": 16}))
    with pytest.raises(InvalidModel, match="TI2V 5B"):
        loaded(tmp_path / "five")

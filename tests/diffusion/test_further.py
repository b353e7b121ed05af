"""Parts that a call names beside its model: a ControlNet, a motion adapter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.diffusion.briefs import blobs, brief, loaded
from tests.diffusion.tiny import save_controlnet, save_motion_adapter
from vid2vid.backbones.diffusion.calling import call
from vid2vid.backbones.diffusion.streaming import ImageStream
from vid2vid.errors import InvalidOption, UnsafeFormat

Folders = Callable[[str], Path]


@pytest.fixture(scope="module")
def controlnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_controlnet(tmp_path_factory.mktemp("parts") / "controlnet"))


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_motion_adapter(tmp_path_factory.mktemp("parts") / "motion"))


def test_a_still_image_model_with_a_motion_adapter_makes_clips(tiny_model: Folders, motion: str) -> None:
    model = loaded(tiny_model("sd"), motion_adapter=motion)
    assert model.family.name == "animatediff" and model.pipe.scheduler.config.beta_schedule == "linear"
    given = brief(4, 32)
    made = call(model, given, (), 4, 0)[0]
    assert made.shape == (4, 3, 32, 32) and torch.isfinite(made).all()


@pytest.mark.parametrize("name", ["sd", "animatediff"])
def test_a_controlnet_leads_what_has_none(name: str, tiny_model: Folders, controlnet: str, motion: str) -> None:
    parts = {"controlnet": controlnet, **({"motion_adapter": motion} if name == "sd" else {})}
    model = loaded(tiny_model(name), **parts)
    assert model.family.name == "animatediff_controlnet" and model.wanted.control == "line_art"
    first, second = (
        call(model, brief(4, 32, controls={"line_art": blobs(4, seed, 32)}), (), 4, 0)[0] for seed in (3, 4)
    )
    assert (first - second).abs().max() > 0.1 / 255


def test_a_controlnet_leads_a_stream(tiny_model: Folders, controlnet: str) -> None:
    assert ImageStream(loaded(tiny_model("sd"), controlnet=controlnet)).model.wanted.control == "line_art"
    with pytest.raises(InvalidOption, match="takes none"):
        loaded(tiny_model("lcm"), controlnet=controlnet)


def test_a_part_that_is_not_there_is_named(tiny_model: Folders, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"controlnet=.*no ControlNetModel can be loaded"):
        loaded(tiny_model("sd"), controlnet="nobody/nothing")
    with pytest.raises(InvalidOption, match=r"motion_adapter=.*takes no such part"):
        loaded(tiny_model("wan_video"), motion_adapter="nobody/nothing")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(UnsafeFormat):
        loaded(tiny_model("sd"), controlnet=str(tmp_path))

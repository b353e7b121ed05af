"""Parts beside a model: a ControlNet, a motion adapter, an IP-Adapter; and what a call makes of a model by them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.diffusion.briefs import blobs, brief, loaded, picture
from tests.diffusion.test_streaming import far, request, streamed
from tests.diffusion.tiny import save_controlnet, save_ip_adapter, save_motion_adapter, save_sparse_controlnet
from vid2vid.backbones.diffusion.calling import call
from vid2vid.backbones.diffusion.family import family_of
from vid2vid.backbones.diffusion.options import DiffusionOptions
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


def test_sparse_control_is_told_by_its_own_description(tiny_model: Folders, motion: str, tmp_path: Path) -> None:
    sparse = str(save_sparse_controlnet(tmp_path / "sparse"))
    model = loaded(tiny_model("sd"), motion_adapter=motion, controlnet=sparse)
    assert model.family.name == "animatediff_sparse" and "video" in model.family.takes_with(model.pipe)
    assert model.wanted.control is None, "it is shown pictures, not their lines"
    made = call(model, brief(4, 32), (), 4, 0)[0]
    assert made.shape == (4, 3, 32, 32) and torch.isfinite(made).all()


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_ip_adapter(tmp_path_factory.mktemp("parts") / "ip")


def test_references_reach_a_clip_through_an_ip_adapter(tiny_model: Folders, eyes: Path) -> None:
    model = loaded(tiny_model("animatediff"), ip_adapter=str(eyes))
    assert "references" in model.family.takes_with(model.pipe)
    given = brief(4, 32)
    shown, other, none = (
        call(model, replace(given, references=references), (), 4, 0)[0]
        for references in ((picture(6),), (picture(16), picture(17)), ())
    )
    assert far(shown, other) > 0.1 / 255 and far(shown, none) > 0.1 / 255
    plain = call(loaded(tiny_model("animatediff")), given, (), 4, 0)[0]
    torch.testing.assert_close(none, plain, atol=2e-3, rtol=0.0)


def test_a_model_may_bring_its_ip_adapter(tiny_model: Folders, eyes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sd"
    shutil.copytree(tiny_model("sd"), folder)
    shutil.copytree(eyes, folder / "ip_adapter")
    stream = ImageStream(loaded(folder, steps=2, denoise=1.0))
    assert stream.model.pipe.unet.encoder_hid_proj is not None
    asked = request(references=(picture(3),))
    stream._look_at = lambda given: ()  # type: ignore[method-assign]  # attention to references, their other way
    given = streamed(stream, asked, (1,))
    assert far(streamed(stream, replace(asked, references=(picture(4),)), (1,)), given) > 0.02 / 255


def test_an_ip_adapter_that_is_not_whole_is_refused(tiny_model: Folders, eyes: Path, tmp_path: Path) -> None:
    (tmp_path / "image_encoder").mkdir()
    with pytest.raises(InvalidOption, match=r"models/image_encoder.*Found: no \.safetensors"):
        loaded(tiny_model("sd"), ip_adapter=str(tmp_path))
    shutil.copytree(eyes, tmp_path / "pickled")
    weights = tmp_path / "pickled" / "image_encoder" / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(UnsafeFormat):
        loaded(tiny_model("sd"), ip_adapter=str(tmp_path / "pickled"))
    with pytest.raises(InvalidOption, match=r"ip_adapter=.*takes no such part"):
        loaded(tiny_model("wan_video"), ip_adapter=str(eyes))


def test_in_context_control_is_a_lora_beside_its_model() -> None:
    asked = DiffusionOptions(lora="lora.safetensors", control="pose")
    found = {family_of("LTX2Pipeline", options).name for options in (asked, replace(asked, lora=None))}  # type: ignore[union-attr]
    assert found == {"ltx2_in_context", "ltx2"}
    context = family_of("LTX2Pipeline", asked)
    assert context is not None and context.pipeline("LTX2Pipeline", asked) == "LTX2InContextPipeline"


def test_what_would_say_nothing_or_break_is_refused(tiny_model: Folders) -> None:
    with pytest.raises(InvalidOption, match=r"denoise=0.5: wan_vace always starts from noise"):
        loaded(tiny_model("wan_vace"), denoise=0.5)
    with pytest.raises(InvalidOption, match=r"window=40: .* know 32 frames"):
        loaded(tiny_model("animatediff"), window=40)


def test_an_older_ltx_model_has_its_noise_levels_shifted_once(tiny_model: Folders, tmp_path: Path) -> None:
    import json

    folder = tmp_path / "ltx"
    shutil.copytree(tiny_model("ltx"), folder)
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "use_dynamic_shifting": True, "shift_terminal": 0.1})
    )
    given = brief(9, 64, strength=1.0)
    made, wanted = (call(loaded(place), given, (), 9, 0)[0] for place in (folder, tiny_model("ltx")))
    assert torch.equal(made, wanted)


def test_a_part_that_is_not_there_is_named(tiny_model: Folders, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"controlnet=.*no ControlNetModel can be loaded"):
        loaded(tiny_model("sd"), controlnet="nobody/nothing")
    with pytest.raises(InvalidOption, match=r"motion_adapter=.*takes no such part"):
        loaded(tiny_model("wan_video"), motion_adapter="nobody/nothing")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(UnsafeFormat):
        loaded(tiny_model("sd"), controlnet=str(tmp_path))

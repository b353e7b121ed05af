from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vid2vid.backbones.diffusion.brief import Brief
from vid2vid.backbones.diffusion.joint import diffuse_together
from vid2vid.backbones.diffusion.loading import Model, load_model
from vid2vid.backbones.diffusion.options import DiffusionOptions


def loaded(folder: Path) -> Model:
    return load_model(f"keyframes:{folder}", DiffusionOptions(), device=torch.device("cpu"), dtype="float32")


def brief(count: int = 3) -> Brief:
    video = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    controls = {"line_art": video}
    return Brief(video, video, controls, "line_art", prompt="a bicycle", strength=0.5, steps=4, guidance=2.0)


@pytest.fixture(scope="module")
def sd(tiny_model: Callable[[str], Path]) -> Model:
    return loaded(tiny_model("sd"))


@pytest.mark.parametrize("agree", ["attention", "grid", "none"])
def test_key_frames_agree_as_asked(sd: Model, agree: str) -> None:
    whole = brief()
    other = replace(whole, video=torch.cat((whole.video[:2], 1.0 - whole.video[2:])))
    made, moved = (diffuse_together(sd, one, agree) for one in (whole, other))  # type: ignore[arg-type]
    assert made.way == agree
    assert made.pictures.shape == (3, 3, 64, 64)
    assert (made.pictures.min() >= 0.0) and (made.pictures.max() <= 1.0)
    seen = not torch.equal(made.pictures[0], moved.pictures[0])
    assert seen == (agree != "none"), "what the third key shows reaches the first, unless they are apart"
    assert made.evaluations == 3 * 2 * 2


def test_shared_attention_is_taken_back(sd: Model) -> None:
    before = diffuse_together(sd, brief(), "none").pictures
    diffuse_together(sd, brief(), "attention")
    assert torch.equal(diffuse_together(sd, brief(), "none").pictures, before)


def test_shared_attention_of_equal_frames_is_plain_attention(sd: Model) -> None:
    same = brief()
    same = replace(same, video=same.video[:1].repeat(3, 1, 1, 1))
    together, alone = (diffuse_together(sd, same, agree).pictures for agree in ("attention", "none"))  # type: ignore[arg-type]
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(together[0], together[2], atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("name", ["animatediff", "wan_vace"])
def test_a_video_model_sees_keys_as_a_clip(tiny_model: Callable[[str], Path], name: str) -> None:
    model = loaded(tiny_model(name))
    made = diffuse_together(model, brief(2))
    assert made.way == "clip"
    assert made.pictures.shape == (2, 3, 64, 64)
    other = brief(2)
    other = replace(other, video=1.0 - other.video, controls={"line_art": 1.0 - other.video})
    assert not torch.equal(made.pictures, diffuse_together(model, other).pictures)

"""Depth maps through a hub's model: how they are scaled, what reaches a video model, and what is said without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.diffusion.briefs import blobs, loaded
from tests.diffusion.test_streaming import request
from vid2vid.backbones.depth import DEPTH_MODEL, DepthFinder, find_depth
from vid2vid.backbones.diffusion.gathering import gather
from vid2vid.errors import CorruptWeights, InvalidOption, OfflineModelMissing
from vid2vid.types import Chunk, Conditions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import (
        DepthAnythingConfig,
        DepthAnythingForDepthEstimation,
        Dinov2Config,
        DPTImageProcessor,
    )

    torch.manual_seed(0)
    eyes = Dinov2Config(
        hidden_size=8, num_hidden_layers=4, num_attention_heads=2, image_size=56, out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=eyes, reassemble_hidden_size=8, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
        head_hidden_size=4, patch_size=14,
    )  # fmt: skip
    place = tmp_path_factory.mktemp("depth")
    DepthAnythingForDepthEstimation(config).save_pretrained(place)
    DPTImageProcessor(size={"height": 56, "width": 56}).save_pretrained(place)
    return place


def test_one_scale_serves_all_frames(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    finder = DepthFinder(folder, torch.device("cpu"))
    ramp = torch.linspace(0.0, 1.0, 64).view(1, 8, 8)
    seen = iter((ramp * 5.0, ramp * 10.0))
    monkeypatch.setattr(finder, "_net", lambda **_: SimpleNamespace(predicted_depth=next(seen)))
    made = finder(blobs(2, 1, 8))
    assert made.shape == (2, 3, 8, 8) and float(made.min()) == 0.0 and float(made.max()) == 1.0
    assert float(made[0].max()) == pytest.approx(0.5, abs=0.05), "the first frame is half as near as the second"
    assert torch.equal(made[:, 0], made[:, 2])


def test_depth_leads_a_model_where_it_is_asked_for(folder: Path, tiny_model: Callable[[str], Path]) -> None:
    model = loaded(tiny_model("wan_vace"), control="depth", depth_model=str(folder))
    assert model.wanted.control == "depth" and model.wanted.derived == ("depth",)
    frames = blobs(5, 1, 32)
    chunk = Chunk(frames, 0)
    given = gather(chunk, Conditions({"source": frames}), 0, 5, model.wanted).brief(model, request())
    assert given.control == "depth" and given.controls["depth"].shape == frames.shape
    other = model.drawn("depth", blobs(5, 2, 32))
    assert not torch.equal(given.controls["depth"], other) and float(other.min()) >= 0.0 and float(other.max()) <= 1.0


def test_a_depth_model_that_is_not_here_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Callable[[str], Path]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OfflineModelMissing, match=rf"{DEPTH_MODEL}.*model\.safetensors.*depth_model='FOLDER'"):
        loaded(tiny_model("wan_vace"), control="depth")
    with pytest.raises(InvalidOption, match="no such folder"):
        find_depth("/no/such/folder", torch.device("cpu"))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"<html>proxy")
    with pytest.raises(CorruptWeights):
        find_depth(str(tmp_path), torch.device("cpu"))

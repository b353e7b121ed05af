from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vid2vid
from tests.motion.test_coverage import pan, scene
from vid2vid.backbones import clip


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP with random weights, as transformers saves it."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    from tests.diffusion.tiny import clip_tokenizer

    folder = tmp_path_factory.mktemp("clip")
    tokenizer = clip_tokenizer()
    count = len(tokenizer)
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}
    text = CLIPTextConfig(
        vocab_size=count, bos_token_id=count - 2, eos_token_id=count - 1, pad_token_id=count - 1, **small
    )
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **small)
    CLIPModel(
        CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    ).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def placed(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clip.PLACE, str(network))


@pytest.mark.usefixtures("placed")
def test_frames_and_prompt_are_measured() -> None:
    moving = np.stack(pan(scene(3), 6, 12))
    frozen = np.stack([moving[0]] * 6)
    first, second = (vid2vid.evaluate(moving, prompt=words) for words in ("a cat", "x9 7 z"))
    still = vid2vid.evaluate(frozen)
    assert still.clip_consistency == pytest.approx(100.0, abs=0.01)
    assert first.clip_consistency is not None
    assert first.clip_consistency < 99.99
    assert still.clip_prompt is None
    assert first.clip_prompt is not None
    assert first.clip_prompt != second.clip_prompt
    assert -100.0 <= first.clip_prompt <= 100.0


def test_without_the_network_a_note_says_how_to_place_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(clip.PLACE, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = vid2vid.evaluate(np.stack(pan(scene(3), 3, 12)), prompt="a cat")
    assert (found.clip_consistency, found.clip_prompt) == (None, None)
    assert any("CLIP was left out" in note and clip.PLACE in note for note in found.notes)


def test_the_hubs_cache_is_found(network: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(clip.PLACE, raising=False)
    snapshots = tmp_path / "models--openai--clip-vit-base-patch32" / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / "0123abcd").symlink_to(network)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert isinstance(clip.find_clip(), clip.ClipMeasure)

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vid2vid
from tests.motion.test_coverage import pan, scene
from vid2vid.io import VideoWriter

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    (tmp_path / "pairs" / "one").mkdir(parents=True)
    for name, turned in (("source", False), ("target", True)):
        with VideoWriter(tmp_path / "pairs" / "one" / f"{name}.mp4", width=64, height=64, fps=25) as writer:
            for t, picture in enumerate(pan(scene(9), 24, 2)):
                frame = np.ascontiguousarray(picture[:64, :64])
                writer.write(255 - frame if turned else frame, Fraction(t, 25))
    return tmp_path / "pairs"


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("name", ["animatediff_control", "wan_vace"])
def test_adapters_are_taught_on_a_gpu(
    pairs: Path, tiny_model: Callable[[str], Path], tmp_path: Path, name: str, precision: str
) -> None:
    words: dict[str, Any] = {"window": 5, "size": 64, "rank": 4, "learning_rate": 1e-2, "progress": False}
    backbone = f"diffusers:{tiny_model(name)}"
    made = vid2vid.train(
        pairs, "paired", tmp_path / "look", steps=20, backbone=backbone, device="cuda", precision=precision, **words
    )
    assert made.scores[-1].values["loss"] < made.scores[0].values["loss"]
    clip = np.stack(pan(scene(9)[:64], 7, 2))[:, :, :64]
    out = vid2vid.translate(clip, made.path, steps=2, window=5, device="cuda", dtype="bfloat16", progress=False)
    assert out.frames.shape == clip.shape


@pytest.mark.parametrize("offload", ["none", "model", "sequential"])
def test_key_frames_on_a_gpu(tiny_model: Callable[[str], Path], offload: str) -> None:
    clip = np.stack([np.ascontiguousarray(picture[:64, :96]) for picture in pan(scene(8), 10, 3)])
    settings: dict[str, Any] = {"steps": 4, "denoise": 0.5, "most_keys": 2, "fit_minutes": 0.05}
    made = vid2vid.translate(
        clip,
        "cartoon_to_photoreal",
        backbone=f"keyframes:{tiny_model('sd')}",
        prompt="a street",
        device="cuda",
        dtype="bfloat16",
        offload=offload,
        progress=False,
        **settings,
    )
    assert made.frames.shape == clip.shape
    assert made.report["task_report"]["diffused"]["offload"] == offload

"""On a CUDA device: half precision, offload, compilation and tiling make the picture that float32 makes, nearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vid2vid
from tests.diffusion.briefs import brief
from vid2vid.backbones.diffusion.calling import call
from vid2vid.backbones.diffusion.loading import Model, load_model
from vid2vid.backbones.diffusion.options import DiffusionOptions

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]
FAMILIES = ("animatediff", "wan_vace", "wan_video", "cogvideox", "ltx")


def on_gpu(folder: Path, dtype: Any = "bfloat16", **options: Any) -> Model:
    asked = DiffusionOptions(**options)
    return load_model(f"diffusers:{folder}", asked, device=torch.device("cuda"), dtype=dtype, size=(64, 64))


def made(model: Model) -> torch.Tensor:
    family = model.family
    kinds = family.control_kinds
    frames = family.grid.fit(10 if family.grid.step == 8 else 4)
    pictures = call(model, brief(frames, 64, control=kinds[0] if kinds else "depth"), (), frames, 0)[0]
    assert pictures.shape == (frames, 3, 64, 64) and torch.isfinite(pictures).all()
    return pictures


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_makes_nearly_the_same(name: str, dtype: str, tiny_model: Callable[[str], Path]) -> None:
    exact = made(on_gpu(tiny_model(name), "float32"))
    assert float((made(on_gpu(tiny_model(name), dtype)) - exact).abs().mean()) < 0.05


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_offload_changes_nothing_and_frees_the_device(
    name: str, offload: str, tiny_model: Callable[[str], Path]
) -> None:
    whole = made(on_gpu(tiny_model(name), offload="none"))
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    model = on_gpu(tiny_model(name), offload=offload)
    pictures = made(model)
    assert float((pictures - whole).abs().max()) < 0.02
    weights = sum(
        value.numel() for part in model.pipe.components.values() if isinstance(part, torch.nn.Module)
        for value in part.parameters() if value.device.type == "cuda"
    )  # fmt: skip
    assert weights == 0 or torch.cuda.memory_allocated() - before < 4 * weights


@pytest.mark.parametrize("name", ["animatediff", "wan_video"])
def test_a_compiled_network_makes_nearly_the_same(name: str, tiny_model: Callable[[str], Path]) -> None:
    plain = made(on_gpu(tiny_model(name), "float32"))
    assert float((made(on_gpu(tiny_model(name), "float32", compile=True)) - plain).abs().mean()) < 0.01


def test_a_clip_is_rendered_in_windows_and_memory_stays(tiny_model: Callable[[str], Path]) -> None:
    rng = np.random.default_rng(0)
    still = np.kron(rng.integers(0, 255, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    peaks = []
    for length in (29, 87):
        torch.cuda.reset_peak_memory_stats()
        film = np.stack([np.roll(still, 2 * t, 1) for t in range(length)])
        result = vid2vid.translate(
            film, "cartoon_to_photoreal", backbone=f"diffusers:{tiny_model('wan_video')}", prompt="a street",
            size=64, device="cuda", window=13, overlap=5, steps=2, progress=False,
        )  # fmt: skip
        assert len(list(result.frames)) == length
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] <= 1.02 * peaks[0]

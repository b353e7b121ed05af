"""What a model takes is computed from its files, and what is made smaller changes no picture much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vid2vid.backbones.diffusion.calling import call
from vid2vid.backbones.diffusion.location import check_folder
from vid2vid.backbones.diffusion.memory import Needs, choose_offload, needs_of, networks
from vid2vid.errors import EngineUnavailable

from .briefs import brief, loaded


def test_needs_are_those_of_the_weights(tiny_model: Callable[[str], Path]) -> None:
    folder = tiny_model("wan_video")
    index = check_folder(folder)
    needs = needs_of(folder, index, "float32")
    bytes_there = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    assert needs.stored_mb == pytest.approx(bytes_there / 1e6, rel=0.3)
    assert needs.whole_mb == pytest.approx(needs.stored_mb)
    assert needs.largest_mb < needs.whole_mb
    assert needs_of(folder, index, "bfloat16").whole_mb == pytest.approx(needs.whole_mb / 2)
    assert needs_of(folder, index, "bfloat16", "nf4").whole_mb < needs.whole_mb / 2


@pytest.mark.parametrize(("free_gb", "wanted"), [(80, "none"), (20, "model"), (8, "sequential"), (1, "sequential")])
def test_offload_goes_by_what_is_free(monkeypatch: pytest.MonkeyPatch, free_gb: int, wanted: str) -> None:
    needs = Needs(whole_mb=30_000, largest_mb=11_000, stored_mb=60_000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free_gb * 1e9), int(80e9)))
    window = (81, 480, 832)
    assert choose_offload("auto", torch.device("cuda"), needs, window) == wanted
    assert choose_offload("model", torch.device("cuda"), needs, window) == "model"
    assert choose_offload("auto", torch.device("cpu"), needs, window) == "none"


def test_weights_in_eight_bits_still_make_the_picture(tiny_model: Callable[[str], Path]) -> None:
    given = brief(5, 32)
    exact = call(loaded(tiny_model("wan_video")), given, (), 5, 0)[0]
    model = loaded(tiny_model("wan_video"), quantise="fp8")
    kinds = {value.dtype for value in networks(model.pipe)[0].parameters()}
    assert torch.float8_e4m3fn in kinds
    fewer = call(model, given, (), 5, 0)[0]
    assert torch.isfinite(fewer).all() and not torch.equal(fewer, exact)
    assert float((fewer - exact).abs().mean()) < 0.05


def test_what_needs_a_package_that_is_not_there_says_so(
    tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec

    def absent(name: str, *rest: Any) -> Any:
        return None if name == "bitsandbytes" else real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    with pytest.raises(EngineUnavailable, match="pip install bitsandbytes"):
        loaded(tiny_model("wan_video"), quantise="nf4")

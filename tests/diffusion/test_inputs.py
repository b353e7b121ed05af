"""Every input that a family says it takes reaches its model, and no other does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.diffusion.briefs import blobs, brief, half, loaded, picture
from tests.diffusion.tiny import BUILDERS
from vid2vid.backbones.diffusion.brief import Brief
from vid2vid.backbones.diffusion.calling import call
from vid2vid.backbones.diffusion.family import TAKES
from vid2vid.backbones.diffusion.loading import Model

LEAST = 0.02 / 255
"""Of a picture; untrained networks hardly look at what they are shown, yet nothing changes by itself."""
WINDOWED = [name for name in BUILDERS if not name.startswith(("sd", "lcm"))]
CONTROLS = {"line_art", "pose", "depth"}


def changed(given: Brief, name: str) -> Brief:
    frames, side = given.length, given.size[0]
    if name in CONTROLS:
        return replace(given, controls={**given.controls, str(given.control): blobs(frames, 13, side)})
    if name == "face":
        return replace(given, controls={**given.controls, "face": blobs(frames, 14, side)})
    others = {
        "video": blobs(frames, 11, side),
        "prompt": "an oil painting of two ships at night",
        "negative_prompt": "text, logo, frame",
        "references": (picture(16),),
        "mask": half(frames, side, left=False),
        "plate": blobs(frames, 15, side),
        "known": blobs(1 if frames == 5 else 9, 17, side),
    }
    return replace(given, **{name: others[name]})


def made(model: Model, given: Brief) -> torch.Tensor:
    return call(model, given, (), given.length, 0)[0]


@pytest.mark.parametrize("name", WINDOWED)
def test_what_a_family_takes_reaches_its_model_and_nothing_else(name: str, tiny_model: Callable[[str], Path]) -> None:
    model = loaded(tiny_model(name))
    family = model.family
    kinds = [kind for kind in family.control_kinds if kind in family.takes_with(model.pipe)]
    frames = family.grid.fit(10 if family.grid.step == 8 else 4)
    side = 64 if family.multiple_of == 32 else 32
    given = brief(frames, side, control=kinds[0] if kinds else "depth")
    takes = set(family.takes_with(model.pipe))
    takes = takes - CONTROLS | set(kinds[:1])
    before = made(model, given)
    assert torch.equal(made(model, given), before)
    assert before.shape == (frames, 3, side, side) and torch.isfinite(before).all()
    differences = {one: float((made(model, changed(given, one)) - before).abs().max()) for one in sorted(takes)}
    assert {one: far for one, far in differences.items() if far < LEAST} == {}
    other = given
    for one in sorted(TAKES - takes - CONTROLS | (set() if kinds else {"depth"})):
        other = changed(other, one)
    assert torch.equal(made(model, other), before)

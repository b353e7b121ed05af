"""Windows agree where they meet because latents, noise and pictures are carried over; each alone makes a difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.diffusion.briefs import brief, loaded
from vid2vid.backbones.diffusion.calling import call
from vid2vid.backbones.diffusion.carrying import fade

SHAPES = {"wan_video": (13, 5), "wan_vace": (13, 5), "animatediff": (12, 4)}


@pytest.mark.parametrize("name", SHAPES)
def test_latents_carried_over_bring_shared_frames_together(name: str, tiny_model: Callable[[str], Path]) -> None:
    """Two windows of one film from other noise: at their worst, as where a scheduler draws noise of its own."""
    window, shared = SHAPES[name]
    model = loaded(tiny_model(name))
    side = model.family.multiple_of * 2
    film = brief(2 * window, side, strength=1.0, mask=None, references=(), guidance=1.0, steps=4)
    begin = window - shared
    first = replace(film, **_part(film, 0, window))
    second = replace(film, **_part(film, begin, begin + window), start=begin, seed=77)
    kept = call(model, first, (), begin, shared)[1]
    assert len(kept) >= 4 and all(one.shape[model.family.latent_axis] for one in kept)
    # A window that is followed from its own first frame hands out the latents of the frames that it shared.
    alone = call(model, second, (), 0, shared)[1]
    made, carried = call(model, second, kept, 0, shared)
    apart, together = (float((one[-1] - kept[-1]).abs().mean()) for one in (alone, carried))
    assert together < 0.8 * apart
    assert torch.isfinite(made).all()


def _part(film: object, start: int, stop: int) -> dict[str, object]:
    given = {name: getattr(film, name)[start:stop] for name in ("video", "source", "plate")}
    controls = {kind: value[start:stop] for kind, value in film.controls.items()}  # type: ignore[attr-defined]
    return {**given, "controls": controls}


@pytest.mark.parametrize("frames", [1, 2, 5, 17])
def test_a_fade_rises_evenly_and_gives_each_side_its_share(frames: int) -> None:
    shares = fade(frames)
    assert float(shares.min()) > 0.0 and float(shares.max()) < 1.0
    assert torch.allclose(shares + shares.flip(0), torch.ones(frames))

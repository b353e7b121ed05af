"""Windows of a pipeline that plays back what it is told: what is handed to it, and what becomes of its pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from vid2vid.backbones.diffusion.brief import Brief
from vid2vid.backbones.diffusion.choosing import Wanted
from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.loading import Model
from vid2vid.backbones.diffusion.location import Index, Location
from vid2vid.backbones.diffusion.memory import Needs
from vid2vid.backbones.diffusion.options import DiffusionOptions
from vid2vid.backbones.diffusion.windows import DiffusionBackbone
from vid2vid.errors import NonFiniteOutput, OutOfMemory
from vid2vid.types import Chunk, Conditions, Request, VideoInfo

SIDE = 16


class Played(Family):
    """Takes everything, on a grid of whole frames."""

    name: ClassVar[str] = "played"
    pipelines: ClassVar[Mapping[str, str]] = {}
    takes: ClassVar[frozenset[str]] = frozenset({"video", "prompt", "references", "mask", "known"})
    grid: ClassVar[Grid] = Grid(window=8, overlap=3)
    multiple_of: ClassVar[int] = 8
    recommended: ClassVar[Settings] = Settings(steps=4, guidance=1.0)
    carries_latents: ClassVar[bool] = False
    keeps_first: ClassVar[bool] = True

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        return {"brief": brief}


@dataclass
class Player:
    """A pipeline: `play` makes frames of a brief; briefs are kept."""

    play: Callable[[Brief], torch.Tensor]
    heard: list[Brief] = field(default_factory=list)

    def __call__(self, brief: Brief, generator: torch.Generator, output_type: str) -> SimpleNamespace:
        self.heard.append(brief)
        return SimpleNamespace(frames=self.play(brief)[None])


def backbone_of(
    play: Callable[[Brief], torch.Tensor], family: Family | None = None
) -> tuple[DiffusionBackbone, Player]:
    player = Player(play)
    model = Model(
        player,
        family or Played(),
        Location("diffusers", "played"),
        Path(),
        Index("Played", ()),
        DiffusionOptions(overlap=3),
        torch.device("cpu"),
        "float32",
        "none",
        Needs(1000.0, 500.0, 1000.0),
        Wanted(8),
    )
    return DiffusionBackbone(model), player


def render(backbone: DiffusionBackbone, length: int, **given: Any) -> torch.Tensor:
    frames = torch.linspace(0.0, 1.0, length).view(-1, 1, 1, 1).expand(-1, 3, SIDE, SIDE).clone()
    references = given.pop("references", ())
    info = VideoInfo(SIDE, SIDE, Fraction(25), None, "array")
    state = backbone.start(Request(info, SIDE, SIDE, options=None, references=references, seed=4))
    conditions = Conditions({"source": frames}, **given)
    pictures, state = backbone.step(Chunk(frames, 0), conditions, state)
    return torch.cat((pictures, backbone.finish(state)))


def test_what_a_pipeline_gives_back_comes_out_in_order() -> None:
    backbone, player = backbone_of(lambda brief: brief.video)
    made = render(backbone, 21)
    wanted = torch.linspace(0.0, 1.0, 21).mul(255).round() / 255
    assert torch.allclose(made[:, 0, 3, 3], wanted, atol=1e-6)
    assert [brief.start for brief in player.heard] == [0, 5, 10, 15]
    assert [brief.length for brief in player.heard] == [8, 8, 8, 6]


def test_shared_frames_fade_from_one_window_to_the_next() -> None:
    """Two windows with the same colours in other places, which no correction of colours can bring together."""

    def play(brief: Brief) -> torch.Tensor:
        halves = torch.full_like(brief.video, 0.6)
        halves[..., : SIDE // 2] = 0.4
        return halves.flip(-1) if brief.start else halves

    backbone, player = backbone_of(play)
    made = render(backbone, 13)[:, 0, 0, 0]
    known = player.heard[1].known
    assert known is not None and torch.allclose(known[..., 0], torch.full((3, 3, SIDE), 0.4))
    steps = (made[1:] - made[:-1]).abs()
    # The clip brightens by more than a correction may follow: 0.6 and the limit of 0.1.
    assert float(made[0]) == pytest.approx(0.4) and float(made[-1]) == pytest.approx(0.7, abs=0.01)
    assert float(steps.max()) < 0.1, "three shared frames, four steps"


def test_colours_are_held_to_those_of_the_first_window() -> None:
    """A pipeline that darkens with every window; a scene that does so itself stays as it is."""
    drifting, _ = backbone_of(lambda brief: (0.5 * torch.ones_like(brief.video)) - 0.004 * brief.start)
    frames = render(drifting, 30)[:, 0, 0, 0]
    faithful, _ = backbone_of(lambda brief: brief.video)
    kept = render(faithful, 30)[:, 0, 0, 0]
    slope = float(frames[-1] - frames[0])
    ramp = torch.linspace(0.0, 1.0, 30).mul(255).round() / 255
    assert float((kept - ramp).abs().max()) < 0.02
    assert slope > -0.03


def test_later_windows_see_the_first_picture_as_a_reference() -> None:
    shown = np.full((SIDE, SIDE, 3), 200, np.uint8)
    backbone, player = backbone_of(lambda brief: torch.full_like(brief.video, 0.25))
    render(backbone, 13, references=(shown,))
    assert [len(brief.references) for brief in player.heard] == [1, 2]
    assert int(player.heard[1].references[1][0, 0, 0]) == 64


def test_outside_the_mask_the_frames_stay() -> None:
    mask = torch.zeros(13, 1, SIDE, SIDE)
    mask[..., : SIDE // 2] = 1.0
    backbone, player = backbone_of(lambda brief: torch.rand(brief.video.shape))
    made = render(backbone, 13, mask=mask)
    assert player.heard[0].mask is not None
    ramp = (torch.linspace(0.0, 1.0, 13).mul(255).round() / 255).view(-1, 1, 1, 1)
    assert torch.allclose(made[..., SIDE // 2 :], ramp.expand(-1, 3, SIDE, SIDE // 2), atol=1e-6)
    assert not torch.allclose(made[..., : SIDE // 2], ramp.expand(-1, 3, SIDE, SIDE // 2), atol=0.05)


def test_an_aligned_reference_is_where_a_window_starts() -> None:
    reference = torch.zeros(4, 4, SIDE, SIDE)
    reference[:, 0, :, :4] = 1.0
    reference[:, 3, :, :4] = 1.0
    backbone, player = backbone_of(lambda brief: brief.video)
    render(backbone, 4, reference=reference)
    video = player.heard[0].video
    assert torch.equal(video[:, :, 0, 0], torch.tensor([1.0, 0.0, 0.0]).expand(4, 3))
    assert torch.equal(video[..., 8:], player.heard[0].source[..., 8:])


def test_out_of_memory_halves_the_window_once_and_says_so() -> None:
    def play(brief: Brief) -> torch.Tensor:
        if brief.length > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return brief.video

    backbone, player = backbone_of(play)
    made = render(backbone, 11)
    ramp = torch.linspace(0.0, 1.0, 11).mul(255).round() / 255
    assert torch.allclose(made[:, 0, 0, 0], ramp, atol=1e-6)
    assert max(brief.length for brief in player.heard[1:]) == 4
    assert backbone.conceded == ["windows of 4 frames instead of 8: memory was short"]


@pytest.mark.parametrize("fails_from", [0, 5])
def test_out_of_memory_in_the_smaller_window_is_an_error_that_says_how_much_is_needed(fails_from: int) -> None:
    def play(brief: Brief) -> torch.Tensor:
        if brief.start >= fails_from:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes.")
        return brief.video

    backbone, _ = backbone_of(play)
    with pytest.raises(OutOfMemory, match=r"window of 4 frames at 16x16 .* about 1,000 MB"):
        render(backbone, 13)


def test_memory_that_runs_out_later_loses_no_frame() -> None:
    failed = []

    def play(brief: Brief) -> torch.Tensor:
        if brief.start == 5 and not failed:
            failed.append(True)
            raise torch.OutOfMemoryError("out of memory")
        return brief.video

    backbone, _ = backbone_of(play)
    made = render(backbone, 21)
    assert torch.allclose(made[:, 0, 0, 0], torch.linspace(0.0, 1.0, 21).mul(255).round() / 255, atol=1e-6)


def test_other_errors_of_a_pipeline_are_not_taken_for_memory() -> None:
    def play(brief: Brief) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        render(backbone_of(play)[0], 9)


def test_values_that_are_not_finite_name_the_frame() -> None:
    def play(brief: Brief) -> torch.Tensor:
        made = brief.video.clone()
        made[1 if brief.start == 5 else 0, 0, 0, 0] = float("nan") if brief.start == 5 else 0.0
        return made

    with pytest.raises(NonFiniteOutput, match="Frame 6"):
        render(backbone_of(play)[0], 13)

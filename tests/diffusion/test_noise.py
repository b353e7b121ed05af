"""Noise belongs to the frames of a clip, whichever window draws it; nothing else of a pipeline is touched."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from vid2vid.backbones.diffusion.family import Grid
from vid2vid.backbones.diffusion.noise import Places, frame_noise, generator_for


def drawn(frames: tuple[int, ...], seed: int = 1, number: int = 1, axis: int = 2) -> torch.Tensor:
    shape = [1, 4, 3, 3]
    shape.insert(axis, len(frames))
    return Places(frames, axis, seed).draw(shape, number)


@pytest.mark.parametrize("axis", [1, 2])
def test_windows_that_share_frames_share_their_noise(axis: int) -> None:
    first, second = drawn((0, 4, 8, 12), axis=axis), drawn((8, 12, 16), axis=axis)
    assert torch.equal(first.narrow(axis, 2, 2), second.narrow(axis, 0, 2))
    assert not torch.equal(first.narrow(axis, 0, 2), second.narrow(axis, 0, 2))


def test_seed_frame_and_draw_tell_noise_apart() -> None:
    base = drawn((4, 8))
    assert torch.equal(base, drawn((4, 8)))
    for other in (drawn((4, 8), seed=2), drawn((4, 8), number=2), drawn((-1, 8))):
        assert not torch.equal(base[:, :, 0], other[:, :, 0])


def test_it_is_standard_normal_noise() -> None:
    noise = Places(tuple(range(16)), 2, 3).draw((1, 8, 16, 32, 32), 1)
    assert abs(float(noise.mean())) < 0.01 and abs(float(noise.std()) - 1.0) < 0.01


def test_generators_differ_for_any_whole_numbers() -> None:
    words = [(0, 0), (0, 1), (1, 0), (-1, 0), (2**63, 5)]
    assert len({float(torch.randn(1, generator=generator_for(*one))) for one in words}) == len(words)


def test_only_what_a_pipeline_prepares_and_its_scheduler_draws_is_given() -> None:
    class Pipe:
        def __init__(self) -> None:
            self.scheduler = SimpleNamespace(step=lambda: torch.randn((1, 2, 2, 3, 3)))

        def prepare_latents(self) -> torch.Tensor:
            return torch.randn(1, 2, 2, 3, 3, generator=torch.Generator().manual_seed(9))

    pipe, places = Pipe(), Places((4, 8), 2, 1)
    plain = pipe.scheduler.step
    torch.manual_seed(0)
    outside = torch.randn(1, 2, 2, 3, 3)
    with frame_noise(pipe, places):
        torch.manual_seed(0)
        assert torch.equal(torch.randn(1, 2, 2, 3, 3), outside), "the network's own chance stays"
        assert torch.equal(pipe.prepare_latents(), places.draw((1, 2, 2, 3, 3), 1))
        assert torch.equal(pipe.scheduler.step(), places.draw((1, 2, 2, 3, 3), 2))
    assert pipe.scheduler.step is plain and "prepare_latents" not in vars(pipe)


@pytest.mark.parametrize(
    ("grid", "frames", "fit", "floor", "latents"),
    [
        (Grid(81, 4, 1, 17), 10, 13, 9, 3),
        (Grid(97, 8, 1, 17, 9), 3, 9, 9, 2),
        (Grid(16, 1, 0, 4), 5, 5, 5, 5),
        (Grid(77, 4, 1, 5, 5), 1, 5, 5, 2),
    ],
)
def test_lengths_lie_on_the_grid(grid: Grid, frames: int, fit: int, floor: int, latents: int) -> None:
    assert (grid.fit(frames), grid.floor(frames), grid.latents(floor)) == (fit, floor, latents)

"""What every backbone that works in windows promises, on tiny models: latents in time, frame by frame, frames given."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load, save

from vid2vid.backbones.diffusion import build_diffusion
from vid2vid.backbones.diffusion.options import DiffusionOptions
from vid2vid.backbones.diffusion.windows import DiffusionBackbone, WindowState
from vid2vid.types import Chunk, Conditions, Request, VideoInfo

SIDE = 32
WINDOWS = {"wan_video": (13, 5), "animatediff": (8, 3), "wan_vace": (13, 5)}
LONGEST = 2 * 13 + 3


@functools.cache
def backbone_in(folder: Path, window: int, overlap: int) -> DiffusionBackbone:
    options = DiffusionOptions(steps=2, window=window, overlap=overlap, denoise=1.0, guidance=1.0)
    made = build_diffusion(
        f"diffusers:{folder}", options, device=torch.device("cpu"), dtype="float32", size=(SIDE, SIDE)
    )
    assert isinstance(made, DiffusionBackbone)
    return made


@pytest.fixture(params=WINDOWS)
def backbone(request: pytest.FixtureRequest, tiny_model: Callable[[str], Path]) -> DiffusionBackbone:
    return backbone_in(tiny_model(request.param), *WINDOWS[request.param])


def request(seed: int = 0) -> Request:
    return Request(VideoInfo(SIDE, SIDE, Fraction(25), None, "array"), SIDE, SIDE, options=None, prompt="a", seed=seed)


@functools.cache
def clip(length: int = LONGEST) -> torch.Tensor:
    """`(T, 3, H, W)`: soft blobs that move two pixels a frame."""
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(3))
    still = F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").clamp(0.0, 1.0)
    return torch.cat([still.roll(2 * t, -1) for t in range(length)])


def part(frames: torch.Tensor, start: int, stop: int, cuts: Sequence[int] = ()) -> tuple[Chunk, Conditions]:
    own = frames[start:stop]
    inside = frozenset(cut - start for cut in cuts if start <= cut < stop)
    return Chunk(own, start, inside), Conditions({"source": own})


def render(
    backbone: DiffusionBackbone,
    frames: torch.Tensor,
    ends: Sequence[int] = (),
    *,
    cuts: Sequence[int] = (),
    seed: int = 0,
    begin: int = 0,
) -> torch.Tensor:
    """Renders frames from `begin` in chunks that end at `ends`."""
    state = backbone.start(request(seed))
    made = []
    for start, stop in zip((begin, *ends), (*ends, len(frames)), strict=True):
        pictures, state = backbone.step(*part(frames, start, stop, cuts), state)
        made.append(pictures)
    return torch.cat([*(one for one in made if len(one)), backbone.finish(state)])


@functools.cache
def whole(backbone: DiffusionBackbone, seed: int = 0) -> torch.Tensor:
    return render(backbone, clip(), seed=seed)


@pytest.mark.parametrize("extra", ["1", "window - 1", "window", "window + 1"])
def test_gives_as_many_pictures_in_range(backbone: DiffusionBackbone, extra: str) -> None:
    length = int(eval(extra, {"window": backbone.window}))
    made = render(backbone, clip(length))
    assert made.shape == (length, 3, SIDE, SIDE) and made.dtype == torch.float32
    assert float(made.min()) >= 0.0 and float(made.max()) <= 1.0


def test_cutting_changes_nothing(backbone: DiffusionBackbone) -> None:
    assert whole(backbone).shape == (LONGEST, 3, SIDE, SIDE)
    for ends in (tuple(range(3, LONGEST, 3)), (backbone.window, backbone.window + 1)):
        assert torch.equal(render(backbone, clip(), ends), whole(backbone))


def test_pictures_come_while_the_clip_goes_on(backbone: DiffusionBackbone) -> None:
    state, out, sizes = backbone.start(request()), 0, []
    for start in range(LONGEST):
        pictures, state = backbone.step(*part(clip(), start, start + 1), state)
        out += len(pictures)
        assert start + 1 - out < backbone.window, "no more frames in flight than a window has"
        sizes.append(sum(value.nbytes for value in backbone.save_state(state).values()))
    full = backbone.window - backbone.overlap
    later = sizes[backbone.window + 1 :]
    assert max(later) <= 1.05 * max(sizes[full : backbone.window + full]), "the state does not grow"


def test_a_shot_begins_without_memory(backbone: DiffusionBackbone) -> None:
    cut = backbone.window + 3
    made = render(backbone, clip(), tuple(range(4, LONGEST, 4)), cuts=(cut,))
    alone = render(backbone, clip(), begin=cut)
    assert torch.equal(made[:cut], render(backbone, clip()[:cut]))
    assert torch.equal(made[cut:], alone)
    assert not torch.equal(whole(backbone)[cut:], alone), "or there was no memory to lose"


def in_flight(backbone: DiffusionBackbone, seed: int = 0) -> tuple[WindowState, int]:
    """A state behind the first window, with frames of the second waiting."""
    given = backbone.window + 2
    return backbone.step(*part(clip(), 0, given), backbone.start(request(seed)))[1], given


def test_a_state_with_frames_in_flight_survives_saving(backbone: DiffusionBackbone) -> None:
    state, given = in_flight(backbone, 3)
    restored = backbone.load_state(load(save(dict(backbone.save_state(state)))), request(3))
    made = []
    for one in (state, restored):
        pictures, after = backbone.step(*part(clip(), given, LONGEST), one)
        made.append(torch.cat((pictures, backbone.finish(after))))
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], whole(backbone, 3)[-len(made[0]) :])


def test_stepping_leaves_the_given_state_alone(backbone: DiffusionBackbone) -> None:
    state, given = in_flight(backbone)
    once, _ = backbone.step(*part(clip(), given, LONGEST), state)
    again, _ = backbone.step(*part(clip(), given, LONGEST), state)
    assert torch.equal(once, again) and len(once)


def test_chance_follows_the_seed(backbone: DiffusionBackbone) -> None:
    assert not torch.equal(whole(backbone, 3), whole(backbone))


def test_two_renders_in_turn_do_not_touch(backbone: DiffusionBackbone) -> None:
    first, second, made = backbone.start(request()), backbone.start(request(9)), []
    for start, stop in ((0, backbone.window), (backbone.window, LONGEST)):
        pictures, first = backbone.step(*part(clip(), start, stop), first)
        _, second = backbone.step(*part(clip(), start, stop), second)
        made.append(pictures)
    assert torch.equal(torch.cat((*made, backbone.finish(first))), whole(backbone))


def seam_score(made: torch.Tensor, backbone: DiffusionBackbone) -> float:
    """Frame difference where windows meet over that elsewhere."""
    steps = (made[1:] - made[:-1]).abs().mean((1, 2, 3))
    stride = backbone.window - backbone.overlap
    seams = {begin + t for begin in range(stride, len(steps), stride) for t in range(-1, backbone.overlap + 1)}
    inside = [float(step) for t, step in enumerate(steps) if t not in seams]
    return max(float(steps[t]) for t in seams if t < len(steps)) / max(inside)


def test_windows_meet_without_a_seam(backbone: DiffusionBackbone) -> None:
    assert seam_score(whole(backbone), backbone) <= 1.25

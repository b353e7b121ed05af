"""Memory and small numbers fail on purpose: what is retried, what is told, and what the frames are afterwards."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import vid2vid
from tests.killed_renders import Remembering
from vid2vid import headroom
from vid2vid.backbones.compact import CompactBackbone
from vid2vid.backbones.generator import CompactGenerator
from vid2vid.stepping import Standing, Stepper
from vid2vid.types import Chunk, Conditions


def clip(length: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (length, 40, 56, 3), np.uint8)


def render(**words: Any) -> vid2vid.Translation:
    return vid2vid.translate(clip(), Remembering(), **{"dtype": "float32", "progress": False, **words})


@pytest.mark.robustness(51)
@pytest.mark.parametrize(
    "said", ["CUDA out of memory. Tried to allocate 2.00 GiB", "DefaultCPUAllocator: can't allocate"]
)
def test_chunks_are_halved_where_memory_is_short(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = render()
    step = CompactBackbone.step

    def short(self: Any, chunk: Any, conditions: Any, state: Any) -> Any:
        if chunk.length > 2:
            raise RuntimeError(said)
        return step(self, chunk, conditions, state)

    monkeypatch.setattr(CompactBackbone, "step", short)
    made = render()
    assert np.array_equal(made.frames, whole.frames)
    assert any("chunks of 2 frames" in what for what in made.report["conceded"])
    assert whole.report["conceded"] == []


@pytest.mark.robustness(51)
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0"), "2,560 MB more"),
        (RuntimeError("not enough memory: you tried to allocate 1048576 bytes. can't allocate"), "1 MB more"),
        (MemoryError(), "one frame takes about"),
    ],
)
def test_no_memory_for_one_frame_names_what_is_missing(
    error: Exception, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(CompactBackbone, "step", short)
    with pytest.raises(vid2vid.OutOfMemory, match=told):
        render(output=tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def spoil(monkeypatch: pytest.MonkeyPatch, spoilt: Any) -> None:
    forward = CompactGenerator.forward
    seen = [0]

    def wrong(self: CompactGenerator, *maps: Any) -> torch.Tensor:
        seen[0] += 1
        made: torch.Tensor = forward(self, *maps)
        return made * float("nan") if seen[0] > 10 and spoilt(self) else made

    monkeypatch.setattr(CompactGenerator, "forward", wrong)


@pytest.mark.robustness(39)
def test_values_that_are_not_finite_are_tried_again_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, lambda net: net.stem_maps.weight.dtype != torch.float32)
    made = render(dtype="bfloat16")
    assert len(made.frames) == 12
    assert any("float32 from frame 8 on, because Frame 10" in what for what in made.report["conceded"])


@pytest.mark.robustness(39)
def test_values_that_are_not_finite_in_float32_name_the_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, lambda net: True)
    with pytest.raises(vid2vid.NonFiniteOutput, match="Frame 10"):
        render(output=tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


class Windowed:
    """Hands all frames out at the end; values are not finite unless it works in float32."""

    window, overlap, multiple_of = 4, 1, 1
    alive: ClassVar[weakref.WeakSet[Windowed]] = weakref.WeakSet()

    def __init__(self, single: bool) -> None:
        assert not self.alive, "the one before has to be let go first"
        self.single, self.conceded = single, [] if single else ["windows of 4 frames instead of 8: memory was short"]
        self.alive.add(self)

    def start(self, request: Any) -> torch.Tensor:
        return torch.zeros(0, 3, 8, 8)

    def step(self, chunk: Any, conditions: Any, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(0, 3, 8, 8), torch.cat((state, chunk.frames))

    def finish(self, state: torch.Tensor) -> torch.Tensor:
        if not self.single:
            raise vid2vid.NonFiniteOutput("Frame 2: the model gave values that are not finite.")
        return state

    def save_state(self, state: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"frames": state}

    def load_state(self, tensors: dict[str, torch.Tensor], request: Any) -> torch.Tensor:
        return tensors["frames"]


@pytest.mark.robustness(39)
def test_the_last_window_is_tried_again_in_float32_too() -> None:
    request: Any = None
    stepper = Stepper(Windowed(single=False), request, lambda: Windowed(single=True), Standing())  # type: ignore[arg-type,return-value]
    frames = torch.rand(3, 3, 8, 8)
    assert len(stepper.step(Chunk(frames, 0), Conditions({"source": frames}))) == 0
    made = stepper.finish()
    assert made is not None and torch.equal(made, frames) and stepper.single
    assert stepper.conceded[0].startswith("float32 for the last frames, because Frame 2")
    assert "windows of 4 frames instead of 8: memory was short" in stepper.conceded
    with pytest.raises(vid2vid.NonFiniteOutput):
        Windowed.alive.clear()
        Stepper(Windowed(single=False), request, None, Standing()).finish()  # type: ignore[arg-type]


@pytest.mark.robustness(23)
def test_frames_too_large_for_the_machine_are_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headroom, "available_megabytes", lambda: 1_500.0)
    monkeypatch.setattr(Remembering, "setup", lambda *_: pytest.fail("models were loaded"))
    large = np.zeros((1, 4320, 7680, 3), np.uint8)
    with pytest.raises(vid2vid.OutOfMemory, match=r"7680x4320 .* take about [\d,]+ MB, and 1,500 MB are free"):
        vid2vid.translate(large, Remembering(), progress=False)


def test_free_memory_is_told_in_megabytes() -> None:
    free = headroom.available_megabytes()
    assert free is None or 10 < free < 100_000_000

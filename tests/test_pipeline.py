"""The render loop through `translate()`: order, lengths, cutting, errors, strength, sizes and what is left behind."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import vid2vid
from vid2vid import Chunk, Conditions, Request, Task
from vid2vid.config import BackboneConfig, RenderConfig
from vid2vid.io import open_source
from vid2vid.render import Call, make_plan, run
from vid2vid.task import NoOptions

HEIGHT, WIDTH, LENGTH = 40, 56, 19


class Inverted(Task[list[int]]):
    """Turns colours over, and keeps the numbers of the frames it saw."""

    name: ClassVar[str] = "inverted"
    summary: ClassVar[str] = "Colours turned over."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(width=8, blocks=(1, 1))
    channels: ClassVar[dict[str, int]] = {"source": 3}
    Options: ClassVar[type[Any]] = NoOptions
    keeps_detail: ClassVar[bool] = False

    def setup(self, request: Request, device: torch.device) -> list[int]:
        return []

    def condition(self, chunk: Chunk, setup: list[int]) -> Conditions:
        setup.extend(range(chunk.start, chunk.start + chunk.length))
        return Conditions({"source": 1.0 - chunk.frames})

    def report(self, setup: list[int]) -> dict[str, Any]:
        return {"seen": list(setup)}


class Failing(Inverted):
    """Gives up at frame 9."""

    name: ClassVar[str] = "failing"

    def condition(self, chunk: Chunk, setup: list[int]) -> Conditions:
        if chunk.start + chunk.length > 9:
            raise ValueError("frame 9 is too much")
        return super().condition(chunk, setup)


def clip(length: int = LENGTH, second_shot: int | None = None) -> np.ndarray:
    columns = np.linspace(0, 255, WIDTH)[None, :, None]
    frames = np.stack([np.roll(np.repeat(np.repeat(columns, HEIGHT, 0), 3, 2), 2 * t, 1) for t in range(length)])
    frames = frames.astype(np.uint8)
    if second_shot is not None:
        frames[second_shot:] = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
    return frames


def test_every_frame_once_in_order_and_right() -> None:
    source = clip()
    made = vid2vid.translate(source, Inverted(), dtype="float32", progress=False)
    assert made.report["task_report"]["seen"] == list(range(LENGTH))
    assert made.frames.shape == source.shape and made.frames.dtype == np.uint8
    assert np.abs(made.frames.astype(int) - (255 - source)).max() <= 1
    assert made.info.frame_count == LENGTH and made.path is None


@pytest.mark.parametrize("length", [1, 3, 5])
def test_chunks_do_not_show(length: int) -> None:
    """Cutting the clip otherwise gives the same bytes, with history, texture and the bundled weights at work."""
    source = clip()

    def render(chunk_length: int) -> np.ndarray:
        config = RenderConfig(chunk_length=chunk_length, progress=False, dtype="float32")
        plan = make_plan(Call(source, "cartoon_to_photoreal"), config)
        kept: list[np.ndarray] = []
        run(plan, lambda picture, frame: kept.append(picture))
        return np.stack(kept)

    assert np.array_equal(render(length), render(LENGTH))


def test_a_tensor_gives_a_tensor_and_frames_give_an_array() -> None:
    tensor = torch.from_numpy(clip(4)).permute(0, 3, 1, 2).float() / 255.0
    made = vid2vid.translate(tensor, Inverted(), dtype="float32", progress=False)
    assert torch.allclose(made.frames, 1.0 - tensor, atol=1.5 / 255)
    again = vid2vid.translate(iter(list(clip(4))), Inverted(), dtype="float32", progress=False)
    assert again.frames.shape == (4, HEIGHT, WIDTH, 3)


def test_strength_mixes_with_the_source() -> None:
    source = clip(3)
    none = vid2vid.translate(source, Inverted(), strength=0.0, dtype="float32", progress=False)
    half = vid2vid.translate(source, Inverted(), strength=0.5, dtype="float32", progress=False)
    assert np.array_equal(none.frames, source)
    assert np.abs(half.frames.astype(int) - 127.5).max() <= 1.5


def test_a_smaller_working_size_keeps_the_output_size() -> None:
    made = vid2vid.translate(clip(3), Inverted(), size=32, dtype="float32", progress=False)
    assert made.report["working_size"] == [45, 32]
    assert made.frames.shape == (3, HEIGHT, WIDTH, 3)


@pytest.mark.robustness(37)
def test_cuts_are_found_and_reported() -> None:
    made = vid2vid.translate(clip(second_shot=11), Inverted(), dtype="float32", progress=False)
    assert made.report["cuts"] == [11]


def test_an_error_in_a_stage_reaches_the_caller_and_leaves_nothing(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="frame 9"):
        vid2vid.translate(clip(40), Failing(), tmp_path / "out.mp4", progress=False)
    assert not list(tmp_path.iterdir())
    assert threading.active_count() == before


def test_an_error_while_reading_reaches_the_caller() -> None:
    def broken() -> Iterator[np.ndarray]:
        yield from clip(5)
        raise OSError("the camera fell")

    with pytest.raises(OSError, match="camera"):
        vid2vid.translate(broken(), Inverted(), progress=False)


def test_a_file_comes_with_its_report(tmp_path: Path, square_clip: Path) -> None:
    made = vid2vid.translate(square_clip, Inverted(), tmp_path / "out.mp4", progress=False)
    report = json.loads((tmp_path / "out.report.json").read_text())
    assert report == json.loads(json.dumps(made.report, default=str))
    assert report["frames"] == 12 == len(list(made.frames))
    assert report["provenance"]["source_sha256"] and report["provenance"]["marked"] and report["provenance"]["signed"]
    assert report["provenance"]["output_sha256"] == hashlib.sha256((tmp_path / "out.mp4").read_bytes()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.report.json"]
    side = made.compare(tmp_path / "both.mp4")
    both = list(open_source(side))
    assert len(both) == 12 and both[0].pixels.shape[1] == 2 * 96


@pytest.mark.robustness(21)
def test_one_picture_in_one_picture_out(tmp_path: Path) -> None:
    from vid2vid.io import read_image, write_image

    write_image(tmp_path / "in.png", clip(1)[0])
    made = vid2vid.translate(tmp_path / "in.png", Inverted(), tmp_path / "out.png", dtype="float32", progress=False)
    assert made.path == tmp_path / "out.png"
    difference = np.abs(read_image(tmp_path / "out.png").astype(int) - (255 - clip(1)[0]))
    assert difference.mean() < 3 and difference.max() <= 24, "beyond what the invisible mark changes"
    with pytest.raises(vid2vid.InvalidOption, match="one picture"):
        vid2vid.translate(clip(3), Inverted(), tmp_path / "clip.png", progress=False)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ({"audio": "loud"}, "InvalidOption", "keep"),
        ({"audio": "effects"}, "InvalidOption", "no sound"),
        ({"prompt": "a cat"}, "InvalidOption", "takes no text"),
        ({"backbone": "sdxl"}, "InvalidOption", "compact"),
        ({"device": "cuda:77"}, "EngineUnavailable", "cpu"),
        ({"size": 3}, "InvalidOption", "32"),
        ({"strength": 2.0}, "InvalidOption", "0 to 1"),
        ({"finnish": "none"}, "InvalidOption", "finnish"),
        ({"consent": "sure"}, "InvalidOption", "licensed"),
        ({"reference": 5}, "InvalidOption", "image"),
    ],
)
def test_wrong_words_get_one_clear_error(words: dict[str, Any], error: str, said: str) -> None:
    with pytest.raises(getattr(vid2vid, error), match=said):
        vid2vid.translate(clip(2), Inverted(), progress=False, **words)


@pytest.mark.slow  # goes by the wall clock
def test_estimates_hold_for_a_clip_ten_times_longer() -> None:
    """Within 25 %, measured in a task whose every frame costs the same known time."""
    import time

    class Slow(Inverted):
        name: ClassVar[str] = "slow"

        def condition(self, chunk: Chunk, setup: list[int]) -> Conditions:
            time.sleep(0.02 * chunk.length)
            return super().condition(chunk, setup)

    from vid2vid import estimating

    original, estimating.TRIAL_S = estimating.TRIAL_S, 0.1  # type: ignore[misc]
    try:
        told = vid2vid.estimate(clip(360), Slow(), dtype="float32")
    finally:
        estimating.TRIAL_S = original  # type: ignore[misc]
    began = time.perf_counter()
    vid2vid.translate(clip(360), Slow(), dtype="float32", progress=False)
    assert told.frames == 360
    assert told.low_s < told.seconds < told.high_s
    assert told.seconds == pytest.approx(time.perf_counter() - began, rel=0.25)


@pytest.mark.robustness(14)
def test_times_of_the_source_are_kept(tmp_path: Path) -> None:
    from vid2vid.io import VideoWriter

    times = [Fraction(n, 100) for n in (0, 4, 8, 20, 24, 60)]
    with VideoWriter(tmp_path / "vfr.mp4", width=WIDTH, height=HEIGHT, fps=25, time_base=Fraction(1, 100)) as writer:
        for picture, time_s in zip(clip(6), times, strict=True):
            writer.write(picture, time_s)
    vid2vid.translate(tmp_path / "vfr.mp4", Inverted(), tmp_path / "out.mp4", progress=False)
    assert [frame.time_s for frame in open_source(tmp_path / "out.mp4")] == times

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch

import vid2vid
from tests.diffusion.test_rendered import Case, write
from tests.motion.test_coverage import pan, scene
from vid2vid.__main__ import main
from vid2vid.errors import InvalidOption, UsageError
from vid2vid.io import open_source
from vid2vid.types import Chunk, Conditions, Event, Request

SETTINGS: Mapping[str, Any] = {
    "steps": 2,
    "denoise": 0.5,
    "guidance": 1.0,
    "most_keys": 2,
    "fit_minutes": 0.0,
    "device": "cpu",
    "dtype": "float32",
    "progress": False,
}


class Tinted(vid2vid.Task[None]):
    """Its own generator gives the source back; the left half is tinted, and something sounds at frame 5."""

    name: ClassVar[str] = "tinted"
    summary: ClassVar[str] = "For tests."
    channels: ClassVar[Mapping[str, int]] = {"source": 3}

    def setup(self, request: Request, device: torch.device) -> None:
        return None

    def condition(self, chunk: Chunk, setup: None) -> Conditions:
        here = range(chunk.start, chunk.start + chunk.length)
        return Conditions({"source": chunk.frames}, events=(Event("impact", 5 / 25),) if 5 in here else ())

    def composite(self, source: Chunk, generated: torch.Tensor, conditions: Conditions, setup: None) -> torch.Tensor:
        made = source.frames.clone()
        made[:, :, :, :32] = 1.0 - made[:, :, :, :32]
        return made


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return np.stack([np.ascontiguousarray(picture[:64, :96]) for picture in pan(scene(8), 10, 3)])


@pytest.fixture(scope="module")
def sd(tiny_model: Callable[[str], Path]) -> str:
    return f"keyframes:{tiny_model('sd')}"


@pytest.fixture(scope="module")
def cartoon(clip: np.ndarray, sd: str) -> vid2vid.Translation:
    return vid2vid.translate(clip, "cartoon_to_photoreal", backbone=sd, prompt="a street", **SETTINGS)


def test_few_frames_are_diffused_and_all_are_made(cartoon: vid2vid.Translation, clip: np.ndarray) -> None:
    told = cartoon.report["task_report"]["diffused"]
    assert cartoon.frames.shape == clip.shape
    assert 1 <= len(told["frames"]) <= 2
    assert told["agreement"] in ("attention", "none")
    assert told["part_of_the_frame"] is False
    assert not np.array_equal(cartoon.frames, clip)


def test_every_frame_carries_the_look(cartoon: vid2vid.Translation, clip: np.ndarray) -> None:
    """Frames away from a key are nearer to the carried look than to what came in."""
    keys = cartoon.report["task_report"]["diffused"]["frames"]
    look = cartoon.frames[keys[0]].astype(float).mean((0, 1))
    source = clip.astype(float).mean((1, 2))
    for number in range(len(clip)):
        mean = cartoon.frames[number].astype(float).mean((0, 1))
        assert np.abs(mean - look).sum() < np.abs(mean - source[number]).sum(), number


def test_the_prompt_reaches_the_key_frames(cartoon: vid2vid.Translation, clip: np.ndarray, sd: str) -> None:
    other = vid2vid.translate(clip, "cartoon_to_photoreal", backbone=sd, prompt="zzz 999", **SETTINGS)
    assert not np.array_equal(other.frames, cartoon.frames)


def test_only_what_the_task_changed_is_diffused(clip: np.ndarray, sd: str) -> None:
    made = vid2vid.translate(clip, Tinted(), backbone=sd, **SETTINGS)
    assert made.report["task_report"]["diffused"]["part_of_the_frame"] is True
    assert np.array_equal(made.frames[:, :, 56:], clip[:, :, 56:]), "the right half is what came in, to the bit"
    tinted = 255 - clip[:, :, :28]
    assert np.abs(made.frames[:, :, :28].astype(int) - tinted).mean() > 5.0, "the left half is not the task's alone"
    assert [round(event["time_s"], 2) for event in made.report["events"]] == [0.2]


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("face_swap", "actor_swap", "paired")]


@pytest.mark.parametrize("task", ["sketch_to_scene", *SLOW])
def test_key_frames_serve_every_task_from_the_command_line(
    task: str, sd: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = Case(task, "sd", "", 3)
    clip = case.clip()[:, : case.clip().shape[1] // 2 * 2]
    source, output = tmp_path / "clip.mp4", tmp_path / "made.mp4"
    write(source, clip)
    words = ["translate", str(source), "--task", task, "-o", str(output), "--backbone", sd, "--prompt", "a photograph"]
    words += [
        f"--option={name}={SETTINGS[name]}" for name in ("steps", "denoise", "guidance", "most_keys", "fit_minutes")
    ]
    words += ["--device", "cpu", "--dtype", "float32", "--json"]
    given = case.words(clip)
    if "reference" in given:
        shown = given["reference"]
        if isinstance(shown, list):
            cv2.imwrite(str(tmp_path / "look.png"), shown[0][..., ::-1])
            shown = tmp_path / "look.png"
        words += ["--reference", str(shown)]
    if "consent" in given:
        words += ["--consent", given["consent"]]
    if task == "paired":
        words += ["--option", "minutes=0.02"]
    assert main(words) == 0
    capsys.readouterr()
    told = json.loads(output.with_suffix(".report.json").read_text())["task_report"]["diffused"]
    assert told["part_of_the_frame"] is (task in ("face_swap", "actor_swap"))
    with open_source(output) as made:
        frames = np.stack([frame.pixels for frame in made])
    assert frames.shape == clip.shape and np.abs(frames.astype(int) - clip).max() > 8


@pytest.mark.slow
def test_a_fitted_look(clip: np.ndarray, sd: str) -> None:
    settings = {**SETTINGS, "fit_minutes": 0.05, "fit_preset": "fast"}
    made = vid2vid.translate(clip, "cartoon_to_photoreal", backbone=sd, prompt="a street", **settings)
    assert made.frames.shape == clip.shape


def test_a_stream_that_passes_by_once_is_refused(clip: np.ndarray, sd: str) -> None:
    with pytest.raises(UsageError, match="pass by once"):
        vid2vid.translate(iter(clip), "cartoon_to_photoreal", backbone=sd, **SETTINGS)


@pytest.mark.parametrize("wrong", [{"most_keys": 9}, {"fit_minutes": -1.0}, {"agree": "yes"}])
def test_options_are_checked_before_anything_loads(clip: np.ndarray, sd: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(wrong))):
        vid2vid.translate(clip, "cartoon_to_photoreal", backbone=sd, **{**SETTINGS, **wrong})

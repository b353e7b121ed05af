"""Every family and every task, through `translate()` and the command line, on clips of two windows and three frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vid2vid
from tests.contracts.test_task_contract import look, person
from vid2vid.__main__ import main
from vid2vid.io import VideoWriter, open_source
from vid2vid.samples import FOLDER as SAMPLES

Folders = Callable[[str], Path]
SAMPLE = {"cartoon_to_photoreal": "rabbit.mp4", "paired": "rabbit.mp4", "sketch_to_scene": "fight.mp4",
          "face_swap": "smile.mp4"}  # fmt: skip
OVER_BORDER = 1.25
"""Seam score: the largest step from frame to frame where windows meet, over the largest elsewhere."""


@dataclass(frozen=True)
class Case:
    task: str
    model: str
    family: str
    window: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return 2 * self.window + 3

    def clip(self) -> np.ndarray:
        if self.task == "actor_swap":
            walk = person()
            return np.concatenate([walk, walk[::-1]])[np.arange(self.length) % (2 * len(walk))]
        width, frames = (128 if self.task == "face_swap" else 96), []
        with open_source(SAMPLES / SAMPLE[self.task]) as source:
            for frame in source:
                height = round(frame.pixels.shape[0] * width / frame.pixels.shape[1])
                frames.append(cv2.resize(frame.pixels, (width, height), interpolation=cv2.INTER_AREA))
                if len(frames) == self.length:
                    break
        return np.stack(frames)

    def words(self, clip: np.ndarray) -> dict[str, Any]:
        """Of the call, beside the clip, the task and the backbone."""
        words: dict[str, Any] = {"size": 64, "prompt": "a photograph", "steps": 2, **self.options}
        if self.window > 1:
            words["window"] = self.window
        if self.task == "paired":
            words["reference"] = [look(clip[3])]
        if self.task == "face_swap":
            words |= {"reference": SAMPLES / "face.jpg", "consent": "licensed"}
        if self.task == "actor_swap":
            words |= {"reference": [look(clip[1])], "consent": "synthetic"}
        return words


CASES = [
    Case("paired", "animatediff", "animatediff", 8),
    Case("sketch_to_scene", "animatediff_control", "animatediff_controlnet", 8),
    Case("cartoon_to_photoreal", "animatediff_sparse", "animatediff_sparse", 8),
    Case("sketch_to_scene", "wan_vace", "wan_vace", 9),
    Case("face_swap", "wan_vace_two", "wan_vace", 9),
    Case("cartoon_to_photoreal", "wan_video", "wan_video", 9),
    Case("actor_swap", "wan_animate", "wan_animate", 9),
    Case("cartoon_to_photoreal", "cogvideox", "cogvideox", 9),
    Case("sketch_to_scene", "cogvideox_control", "cogvideox_control", 9),
    Case("paired", "ltx", "ltx", 17),
    Case("cartoon_to_photoreal", "ltx2", "ltx2", 17),
    Case("sketch_to_scene", "ltx2_context", "ltx2_in_context", 17),
    Case("cartoon_to_photoreal", "sd", "images", 1),
    Case("actor_swap", "sd_control", "images", 1),
    Case("face_swap", "sdxl", "images", 1),
    Case("paired", "lcm", "images", 1),
]


def write(path: Path, clip: np.ndarray) -> None:
    """A film of a clip, nearly without loss."""
    height, width = clip.shape[1:3]
    with VideoWriter(path, width=width, height=height, fps=25, quality=10) as writer:
        for index, picture in enumerate(clip):
            writer.write(np.ascontiguousarray(picture), Fraction(index, 25))


def seam_score(made: np.ndarray, window: int, overlap: int) -> float:
    steps = np.abs(np.diff(made.astype(np.float32), axis=0)).mean((1, 2, 3))
    stride = window - overlap
    met = {t for begin in range(stride, len(steps), stride) for t in range(begin - 1, begin + overlap + 1)}
    inside = [step for t, step in enumerate(steps) if t not in met]
    return float(max(steps[t] for t in met if t < len(steps)) / max(max(inside), 0.2))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}-{case.task}")
def test_a_family_renders_a_task(case: Case, tiny_model: Folders) -> None:
    clip = case.clip()
    backbone = f"diffusers:{tiny_model(case.model)}"
    made = vid2vid.translate(clip, case.task, backbone=backbone, progress=False, **case.words(clip))
    frames = np.stack(list(made.frames))
    assert frames.shape == clip.shape and made.report["frames"] == case.length
    told = made.report["model"]
    assert told["family"] == case.family
    if case.window > 1:
        assert told["windows"] >= 2 and told["window"] == case.window
        assert seam_score(frames, told["window"], told["overlap"]) <= OVER_BORDER
    assert np.abs(frames.astype(int) - clip).max() > 8
    if case.task == "face_swap":
        # The face is right of the middle; what the task does not mask stays as it came in.
        still = np.abs(frames.astype(int) - clip).max(-1) <= 1
        assert still[:, :, :56].all() and still[:, :, -8:].all() and not still[:, 20:50, 75:100].any(0).all()


def test_the_set_spans_all_families_and_tasks() -> None:
    from vid2vid.backbones.diffusion.family import family_names

    assert {case.family for case in CASES} == set(family_names())
    assert {case.task for case in CASES} == {task.name for task in vid2vid.list_tasks()}


@pytest.mark.parametrize("model", ["animatediff", "sd"])
def test_the_command_line_renders(
    model: str, tiny_model: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = Case("cartoon_to_photoreal", model, "", 4).clip()
    source, output = tmp_path / "clip.mp4", tmp_path / "made.mp4"
    write(source, clip)
    words = ["translate", str(source), "--task", "cartoon_to_photoreal", "--output", str(output)]
    words += ["--backbone", f"diffusers:{tiny_model(model)}", "--prompt", "a photograph", "--size", "64", "--json"]
    assert main([*words, "--option", "window=4", "--option", "steps=2", "--option", "denoise=0.8"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["report"]["model"]["pipeline"].endswith("Pipeline") if "report" in told else output.is_file()
    with open_source(output) as made:
        frames = [frame.pixels for frame in made]
    assert len(frames) == len(clip) and frames[0].shape == clip[0].shape

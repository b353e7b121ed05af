from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import vid2vid
from tests.motion.test_coverage import pan, scene
from vid2vid import errors
from vid2vid.adapter_fitting import OWN, fit_adapters
from vid2vid.adapter_lesson import AdapterLesson, load_to_teach
from vid2vid.backbones.diffusion import adapters
from vid2vid.bundle import load_bundle
from vid2vid.config import TrainConfig
from vid2vid.data.examples import find_examples
from vid2vid.io import VideoWriter
from vid2vid.registry import get_task

FAST: dict[str, Any] = {"window": 5, "size": 64, "rank": 4, "learning_rate": 1e-2, "device": "cpu", "progress": False}
RENDER: dict[str, Any] = {"steps": 2, "denoise": 1.0, "guidance": 1.0, "window": 5, "device": "cpu", "dtype": "float32"}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip before and after: the after is its negative."""
    root = tmp_path_factory.mktemp("pairs")
    (root / "one").mkdir()
    frames = [np.ascontiguousarray(picture[:64, :64]) for picture in pan(scene(9), 24, 2)]
    for name, turned in (("source", False), ("target", True)):
        with VideoWriter(root / "one" / f"{name}.mp4", width=64, height=64, fps=25) as writer:
            for t, frame in enumerate(frames):
                writer.write(255 - frame if turned else frame, Fraction(t, 25))
    return root


@pytest.fixture(scope="module")
def bundle(pairs: Path, tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> vid2vid.Trained:
    output = tmp_path_factory.mktemp("bundles") / "negative"
    backbone = f"diffusers:{tiny_model('wan_video')}"
    return vid2vid.train(pairs, "paired", output, steps=25, backbone=backbone, prompt="a negative", **FAST)


def lesson_of(pairs: Path, folder: Path, **more: Any) -> tuple[AdapterLesson, TrainConfig]:
    config = TrainConfig(backbone=f"diffusers:{folder}", steps=4, **{**FAST, **more})
    task = get_task("paired")
    found = find_examples(pairs, supervision=task.supervision)
    return AdapterLesson(task, found, load_to_teach(task, config), config), config


def test_training_lowers_the_loss(bundle: vid2vid.Trained) -> None:
    before, after = bundle.scores[0], bundle.scores[-1]
    assert (before.step, after.step) == (0, 25)
    assert after.values["loss"] < 0.9 * before.values["loss"]
    assert bundle.metrics["loss"] == after.values["loss"]


def test_a_bundle_holds_adapters_alone(bundle: vid2vid.Trained, tiny_model: Callable[[str], Path]) -> None:
    base = tiny_model("wan_video")
    held = load_file(bundle.bundle.weights)
    assert all(name.startswith("transformer.") and ".lora_" in name for name in held)
    whole = sum(path.stat().st_size for path in base.rglob("*.safetensors"))
    assert bundle.bundle.weights.stat().st_size < 0.2 * whole
    adapter = load_bundle(bundle.path).adapter
    assert adapter is not None
    assert (adapter.base, adapter.revision, adapter.family, adapter.rank) == (str(base), None, "wan_video", 4)
    assert adapter.prompt == "a negative"
    assert "diffusers:" in (bundle.path / "README.md").read_text()


def test_a_bundle_changes_what_its_base_makes(bundle: vid2vid.Trained, tmp_path: Path) -> None:
    clip = np.stack(pan(scene(9)[:64], 7, 2))[:, :, :64]
    made = vid2vid.translate(clip, bundle.path, progress=False, **RENDER)
    nothing = tmp_path / "nothing.safetensors"
    zeros = {name: torch.zeros_like(value) for name, value in load_file(bundle.bundle.weights).items()}
    save_file(zeros, nothing, metadata={"form": adapters.FORM})
    base = vid2vid.translate(clip, bundle.path, progress=False, lora=str(nothing), **RENDER)
    assert made.frames.shape == clip.shape
    assert not np.array_equal(made.frames, base.frames)
    assert made.report["bundle"] == "negative"


@pytest.mark.parametrize("name", ["animatediff_control", "wan_vace_two"])
@pytest.mark.slow
def test_merged_adapters_do_what_taught_ones_do(
    pairs: Path, tiny_model: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    lesson, config = lesson_of(pairs, tiny_model(name))
    fitted = fit_adapters(lesson, OWN.asked(config), tmp_path, rank=4)
    held = lesson.held_out()
    taught = lesson.measured(held)
    fresh, _ = lesson_of(pairs, tiny_model(name))
    untaught = fresh.measured(held)
    assert adapters.merge(fresh.model.pipe, fitted.weights) > 0
    merged = fresh.measured(held)
    assert merged == pytest.approx(taught, abs=2e-3)
    assert abs(untaught - taught) > 5 * abs(merged - taught)
    parts = adapters.ranks(list(load_file(fitted.weights)))
    assert (
        parts == {"animatediff_control": ["controlnet", "unet"], "wan_vace_two": ["transformer", "transformer_2"]}[name]
    )


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bits(
    pairs: Path, tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tiny_model("wan_video")
    lesson, config = lesson_of(pairs, folder)
    settings = replace(OWN.asked(config), save_every_s=0.0)
    whole = load_file(fit_adapters(lesson, settings, tmp_path / "whole", rank=4).weights)
    killed, _ = lesson_of(pairs, folder)
    real, calls = killed.study, []

    def study(number: int) -> Any:
        calls.append(number)
        if number == 2:
            raise KeyboardInterrupt
        return real(number)

    killed.study = study  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        fit_adapters(killed, settings, tmp_path / "killed", rank=4)
    again, _ = lesson_of(pairs, folder)
    seen = again.study
    went_on: list[int] = []
    again.study = lambda number: went_on.append(number) or seen(number)  # type: ignore[method-assign,func-returns-value]
    fitted = fit_adapters(again, settings, tmp_path / "killed", rank=4)
    assert calls == [0, 1, 2]
    assert went_on == [2, 3]
    for name, value in load_file(fitted.weights).items():
        assert torch.equal(value, whole[name]), name
    with pytest.raises(errors.InvalidOption, match="rank was 4, now 8"):
        fit_adapters(lesson_of(pairs, folder)[0], settings, tmp_path / "killed", rank=8)


def test_the_control_reaches_the_loss(pairs: Path, tiny_model: Callable[[str], Path]) -> None:
    lesson, _ = lesson_of(pairs, tiny_model("wan_vace"))
    study = lesson.study(0)
    assert study.brief.control == "line_art" or study.brief.mask is not None or study.brief.controls
    other = replace(study, brief=replace(study.brief, controls={k: 1.0 - v for k, v in study.brief.controls.items()}))
    with torch.no_grad():
        assert lesson.loss(study, 1) == lesson.loss(study, 1)
        assert lesson.loss(study, 1) != lesson.loss(other, 1)


def test_another_base_is_refused(bundle: vid2vid.Trained, tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    clip = np.zeros((3, 64, 64, 3), np.uint8)
    with pytest.raises(errors.WeightsMismatch, match="another model"):
        vid2vid.translate(clip, bundle.path, backbone=f"diffusers:{tiny_model('wan_vace')}", progress=False)
    moved = tmp_path / "moved"
    shutil.copytree(bundle.path, moved)
    described = json.loads((moved / "bundle.json").read_text())
    described["adapters"][0]["base"] = str(tmp_path / "gone")
    (moved / "bundle.json").write_text(json.dumps(described))
    with pytest.raises(errors.InvalidOption, match="diffusers:FOLDER"):
        vid2vid.translate(clip, moved, progress=False)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rank": 0}, "rank is 0"),
        ({"fingerprint": "x"}, "64 hexadecimal"),
        ({"revision": 3}, "text or null"),
        ({"file": "/etc/passwd"}, "file is unknown"),
    ],
)
def test_a_wrong_description_is_refused(
    bundle: vid2vid.Trained, tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(bundle.path, moved)
    described = json.loads((moved / "bundle.json").read_text())
    described["adapters"][0] |= change
    (moved / "bundle.json").write_text(json.dumps(described))
    with pytest.raises(errors.InvalidBundle, match=fault):
        load_bundle(moved)


def test_what_cannot_be_taught_says_so(pairs: Path, tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidOption, match="keyframes"):
        vid2vid.train(pairs, "paired", tmp_path / "a", steps=1, backbone="keyframes:x/y")
    with pytest.raises(errors.InvalidOption, match="cannot teach"):
        vid2vid.train(pairs, "paired", tmp_path / "b", steps=1, backbone=f"diffusers:{tiny_model('cogvideox')}", **FAST)

"""What once went wrong in `train()`, or would for somebody: judged midway, odd examples, settings that do not fit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vid2vid
from tests.moving import clip, frame, look, write_clip, write_picture
from tests.test_teaching import KEYS, QUICK, Darker
from vid2vid import general_lesson, render
from vid2vid.errors import EngineUnavailable, InvalidBundle, InvalidOption, WeightsMismatch
from vid2vid.look_fitting import bundled_trunk
from vid2vid.motion.keyed_clip import find_keys
from vid2vid.trained import Trained


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(general_lesson, "DataLoader", lambda windows, **settings: windows)


@pytest.fixture
def paintings(tmp_path: Path) -> Path:
    for name, t in zip("ab", KEYS, strict=True):
        write_picture(tmp_path / "paintings" / f"{name}.png", look(frame(t)))
    return tmp_path / "paintings"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "film.mp4", clip())


@pytest.fixture
def bundle(film: Path, paintings: Path, tmp_path: Path) -> Trained:
    return vid2vid.train(paintings, clip=film, output=tmp_path / "look", **QUICK)


@pytest.mark.usefixtures("in_this_process")
def test_learning_goes_on_after_a_judgement(tmp_path: Path) -> None:
    write_clip(tmp_path / "examples" / "a" / "source.mp4", clip())
    write_clip(tmp_path / "examples" / "a" / "target.mp4", clip() // 2)
    settings = {**QUICK, "steps": 6, "judge_every_s": 1e-3}
    made = vid2vid.train(tmp_path / "examples", Darker(), output=tmp_path / "mine", **settings)
    assert made.steps == 6 and len(made.scores) >= 2


@pytest.mark.usefixtures("in_this_process")
def test_a_source_of_another_size_is_brought_to_the_targets(tmp_path: Path) -> None:
    for name, picture in (("source", frame(0)[::2, ::2]), ("target", frame(0))):
        for number in range(2):
            write_picture(tmp_path / "pairs" / name / f"{number}.png", np.ascontiguousarray(picture))
    made = vid2vid.train(tmp_path / "pairs", Darker(), output=tmp_path / "mine", **QUICK)
    assert made.steps == 3


def test_clips_of_three_frames_are_learned_from_and_not_judged(tmp_path: Path) -> None:
    write_clip(tmp_path / "pairs" / "a" / "source.mp4", clip(3))
    write_clip(tmp_path / "pairs" / "a" / "target.mp4", np.stack([look(picture) for picture in clip(3)]))
    made = vid2vid.train(tmp_path / "pairs", output=tmp_path / "look", **QUICK)
    assert not made.metrics and "too short to hold any frame back" in made.bundle.card.read_text("utf-8")


def test_a_named_start_must_fit(film: Path, paintings: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="another trunk than the preset 'fast'"):
        vid2vid.train(paintings, clip=film, output=tmp_path / "look", **QUICK, start=str(bundled_trunk("default")))
    settings = {**QUICK, "preset": "default"}
    made = vid2vid.train(paintings, clip=film, output=tmp_path / "look", **settings)
    assert made.bundle.recipe["start"] == "trunk"


def test_a_device_that_is_not_there_is_named(film: Path, paintings: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="device='gpu' cannot be used here"):
        vid2vid.train(paintings, clip=film, output=tmp_path / "look", **{**QUICK, "device": "gpu"})


def test_the_card_says_what_was_measured(bundle: Trained) -> None:
    card = bundle.bundle.card.read_text("utf-8")
    assert "| the key frames themselves | this bundle |" in card and "held out" not in card


def test_a_bundle_renders_what_can_be_read_only_once(bundle: Trained) -> None:
    made = vid2vid.translate(iter(clip(4)), task=bundle.path, progress=False)
    assert len(made.frames) == 4 and made.report["task_report"]["key_frames"] == []


def test_a_key_frame_beyond_the_end_is_named(film: Path) -> None:
    plan = render.make_plan(
        render.Call(film, "paired", reference=[frame(0)], options={"minutes": 0.0}), vid2vid.RenderConfig()
    )
    with plan.source:
        request = replace(plan.request, info=replace(plan.request.info, frame_count=None))
        with pytest.raises(InvalidOption, match="names frame 99, which the clip does not have"):
            find_keys(request, (99,))


def test_a_bundle_of_other_maps_is_refused(bundle: Trained, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = replace(bundle.bundle, channels={"source": 3, "depth": 1})
    monkeypatch.setattr(render, "load_bundle", lambda path: stranger)
    with pytest.raises(InvalidBundle, match="made for the maps"):
        vid2vid.translate(film, task=bundle.path, output=film.with_name("out.mp4"))


@pytest.mark.slow
def test_a_script_without_a_guard_can_train(tmp_path: Path) -> None:
    """The loader's worker must not run the script once more."""
    write_clip(tmp_path / "footage" / "a.mp4", clip())
    script = tmp_path / "script.py"
    script.write_text(
        "import vid2vid\n"
        "made = vid2vid.train('footage', 'cartoon_to_photoreal', output='mine', steps=1, batch=1, crop=32,\n"
        "                     device='cpu', precision='no', start='scratch', progress=False)\n"
        "print('steps', made.steps)\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("steps 1") == 1

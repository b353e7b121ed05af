"""`train()` from what lies on disk to a bundle that renders, on clips of 64 rows and in a few steps."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import vid2vid
from tests.moving import LENGTH, clip, foreign, frame, look, psnr_db, read, write_clip, write_picture
from vid2vid import Chunk, Conditions, Request, Task, general_lesson
from vid2vid.__main__ import main
from vid2vid.config import BackboneConfig
from vid2vid.errors import InvalidExamples, InvalidOption, OutputExists
from vid2vid.fitting import Window
from vid2vid.looks import LookWindows
from vid2vid.trained import Trained

QUICK: dict[str, Any] = {
    "steps": 3, "preset": "fast", "batch": 2, "crop": 32, "device": "cpu", "precision": "no", "judge_every_s": 1e6,
    "progress": False,
}  # fmt: skip
KEYS = (4, 18)
WANTED = np.stack([look(picture) for picture in clip()])
METRICS = {"st_lpips", "source_st_lpips", "psnr_db", "source_psnr_db"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("film") / "film.mp4", clip())


@pytest.fixture(scope="module")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paintings")
    for name, t in zip("ab", KEYS, strict=True):
        write_picture(folder / f"{name}.png", look(frame(t)))
    return folder


@pytest.fixture(scope="module")
def learned(film: Path, paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A bundle from two painted key frames."""
    return vid2vid.train(paintings, clip=film, output=tmp_path_factory.mktemp("bundles") / "look", **QUICK)


def test_key_frames_make_a_bundle_that_says_where_it_comes_from(learned: Trained, film: Path) -> None:
    assert (learned.steps, learned.bundle.task) == (3, "paired")
    assert [key.frame for key in learned.bundle.keys] == list(KEYS), "found by content"
    assert all(np.abs(k.look.astype(int) - look(frame(k.frame))).mean() < 1 for k in learned.bundle.keys)
    assert set(learned.metrics) == METRICS
    assert learned.metrics["psnr_db"] > learned.metrics["source_psnr_db"] + 3.0
    assert set(learned.bundle.data) == {"a.png", "b.png", "clip film.mp4"}
    recipe = learned.bundle.recipe
    assert (recipe["steps"], recipe["stopped"], recipe["preset"], recipe["start"]) == (3, "steps", "fast", "scratch")
    assert [path.name for path in learned.bundle.previews] == ["curve.png", "latest.png"]
    assert "these pictures" in learned.bundle.card.read_text(), "the card says that its numbers are no held-out ones"
    assert [path.name for path in learned.path.parent.iterdir()] == ["look"], "no checkpoints stay behind"
    assert vid2vid.load_bundle(learned.path).weights_sha256 == learned.bundle.weights_sha256


def test_the_bundle_renders_its_clip(learned: Trained, film: Path, tmp_path: Path) -> None:
    made = vid2vid.translate(film, task=learned.path, output=tmp_path / "out.mp4", progress=False)
    assert [key["frame"] for key in made.report["task_report"]["key_frames"]] == list(KEYS)
    assert made.report["bundle"] == "look" and made.report["task"] == "paired"
    frames = read(tmp_path / "out.mp4")
    assert frames.shape == (LENGTH, *WANTED.shape[1:])
    assert psnr_db(frames, WANTED) > psnr_db(clip(), WANTED) + 4.0
    said = vid2vid.translate(film, task=str(learned.path), output=tmp_path / "same.mp4", progress=False)
    assert said.report["bundle"] == "look"
    assert psnr_db(read(tmp_path / "same.mp4"), frames) > 40.0  # not to the bit: x264's threads may divide work anew


def test_the_bundle_renders_a_foreign_clip_by_what_it_learned(learned: Trained) -> None:
    frames = foreign(height=80, width=64)
    made = vid2vid.translate(frames, task=learned.path, progress=False)
    assert made.report["task_report"]["key_frames"] == []
    assert "no key frame of this clip" in made.report["summary"]
    wanted = np.stack([look(picture) for picture in frames])
    assert psnr_db(made.frames, wanted) > psnr_db(frames, wanted) + 3.0


def test_new_references_may_replace_a_bundles_keys(learned: Trained) -> None:
    made = vid2vid.translate(clip(), task=learned.path, reference=look(frame(10)), progress=False)
    assert [key["frame"] for key in made.report["task_report"]["key_frames"]] == [10]


def test_the_command_line_trains_and_renders(
    film: Path, paintings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, out = tmp_path / "my look", tmp_path / "out.mp4"
    words = ["train", str(paintings), "--clip", str(film), "-o", str(bundle), "--steps", "1", "--preset", "fast"]
    assert main([*words, "--device", "cpu", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"bundle", "steps", "seconds", "metrics"}
    assert (told["bundle"], told["steps"], set(told["metrics"])) == (str(bundle), 1, METRICS)
    assert main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "output_exists"
    assert main(["translate", str(film), "--task", str(bundle), "-o", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["report"]
    assert report["bundle"] == "my look" and len(read(out)) == LENGTH


def test_paired_clips_hold_their_end_back(tmp_path: Path) -> None:
    write_clip(tmp_path / "examples" / "a" / "source.mp4", clip())
    write_clip(tmp_path / "examples" / "a" / "target.mp4", WANTED)
    made = vid2vid.train(tmp_path / "examples", output=tmp_path / "look", **QUICK)
    assert set(made.bundle.data) == {"a/source", "a/target"}
    assert set(made.metrics) == METRICS
    frames = [key.frame for key in made.bundle.keys]
    assert frames == sorted(frames) and max(frames) < 0.9 * LENGTH, "the end is measured on, not kept"
    rendered = vid2vid.translate(clip(), task=made.path, progress=False)
    found = [key["frame"] for key in rendered.report["task_report"]["key_frames"]]
    assert found == frames
    assert psnr_db(rendered.frames, WANTED) > psnr_db(clip(), WANTED) + 4.0


def paired_pictures(folder: Path, numbers: tuple[int, ...]) -> Path:
    for t in numbers:
        write_picture(folder / "source" / f"{t:02}.png", frame(t))
        write_picture(folder / "target" / f"{t:02}.png", look(frame(t)))
    return folder


@pytest.mark.robustness(59)
def test_paired_pictures_without_the_faulty_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = paired_pictures(tmp_path / "examples", (0, 5, 10, 15, 20))
    (folder / "target" / "05.png").write_bytes(b"no picture")
    with pytest.raises(InvalidExamples, match="05"):
        vid2vid.train(folder, output=tmp_path / "look", strict=True, **QUICK)
    assert not (tmp_path / "look").exists()
    with caplog.at_level(logging.WARNING):
        made = vid2vid.train(folder, output=tmp_path / "look", **QUICK)
    assert "05" in caplog.text
    (left_out,) = made.bundle.recipe["left_out"]
    assert left_out.startswith("05")
    assert len(made.bundle.data) == 8 and not any("05" in name for name in made.bundle.data)
    assert len(made.bundle.keys) == 3, "one of the four is held back"
    assert set(made.metrics) == METRICS


def test_one_pair_alone_is_measured_on_nothing_and_says_so(tmp_path: Path) -> None:
    made = vid2vid.train(paired_pictures(tmp_path / "examples", (5,)), output=tmp_path / "look", **QUICK)
    assert not set(made.metrics) & METRICS
    assert "nothing was held back" in made.bundle.card.read_text()


def test_pairs_with_their_clip_are_key_frames(film: Path, tmp_path: Path) -> None:
    folder = paired_pictures(tmp_path / "examples", (6, 12))
    for picture in (folder / "target").iterdir():  # so unlike the clip that only its source tells which frame it is
        write_picture(picture, np.full((64, 96, 3), 90, np.uint8))
    made = vid2vid.train(folder, clip=film, output=tmp_path / "look", **QUICK)
    assert [key.frame for key in made.bundle.keys] == [6, 12]


class Stopping:
    """Ends a training before a step, as Ctrl-C would."""

    def __init__(self, step: int, patch: pytest.MonkeyPatch) -> None:
        start = LookWindows.start

        def stopped(windows: LookWindows, first: int, *which: int) -> Iterator[Window]:
            for number, window in enumerate(start(windows, first, *which), first):
                if number == step:
                    raise KeyboardInterrupt
                self.given.append(number)
                yield window

        self.given: list[int] = []
        patch.setattr(LookWindows, "start", stopped)


def test_an_interrupted_training_goes_on_to_the_same_weights(film: Path, paintings: Path, tmp_path: Path) -> None:
    settings = {**QUICK, "steps": 6, "save_every_s": 0.0}
    whole = vid2vid.train(paintings, clip=film, output=tmp_path / "whole", **settings)
    with pytest.MonkeyPatch.context() as patch:
        Stopping(4, patch)
        with pytest.raises(KeyboardInterrupt):
            vid2vid.train(paintings, clip=film, output=tmp_path / "part", **settings)
    assert not (tmp_path / "part").exists()
    assert (tmp_path / ".part.training").is_dir()
    with pytest.raises(InvalidOption, match=r"learning_rate was 0\.001, now 0\.01"):
        vid2vid.train(paintings, clip=film, output=tmp_path / "part", **settings, learning_rate=0.01)
    with pytest.MonkeyPatch.context() as patch:
        seen = Stopping(99, patch)
        part = vid2vid.train(paintings, clip=film, output=tmp_path / "part", **settings)
    assert seen.given == [4, 5]
    assert part.steps == 6
    assert part.bundle.weights.read_bytes() == whole.bundle.weights.read_bytes()
    assert part.metrics == whole.metrics
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part", "whole"]


@pytest.mark.parametrize("why", ["resume is off", "other examples"])
def test_checkpoints_that_are_not_wanted_or_of_other_examples_are_not_continued(
    why: str, film: Path, paintings: Path, tmp_path: Path
) -> None:
    settings = {**QUICK, "save_every_s": 0.0}
    with pytest.MonkeyPatch.context() as patch:
        Stopping(2, patch)
        with pytest.raises(KeyboardInterrupt):
            vid2vid.train(paintings, clip=film, output=tmp_path / "look", **settings)
    examples = paintings
    if why == "other examples":
        examples = tmp_path / "others"
        for t in KEYS:
            write_picture(examples / f"{t}.png", look(frame(t)) // 2)
    with pytest.MonkeyPatch.context() as patch:
        seen = Stopping(99, patch)
        vid2vid.train(examples, clip=film, output=tmp_path / "look", **settings, resume=why == "other examples")
    assert seen.given == [0, 1, 2]


def test_an_output_that_is_there_is_replaced_only_when_asked(film: Path, paintings: Path, tmp_path: Path) -> None:
    output = tmp_path / "look"
    first = vid2vid.train(paintings, clip=film, output=output, **{**QUICK, "steps": 1})
    before = first.bundle.weights.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        seen = Stopping(99, patch)
        with pytest.raises(OutputExists):
            vid2vid.train(paintings, clip=film, output=output, **QUICK)
        assert seen.given == [], "said before anything is learned"
    assert first.bundle.weights.read_bytes() == before
    second = vid2vid.train(paintings, clip=film, output=output, **QUICK, overwrite=True)
    assert vid2vid.load_bundle(output).weights_sha256 == second.bundle.weights_sha256 != first.bundle.weights_sha256
    other = tmp_path / "holiday"
    write_picture(other / "beach.png", frame(0))
    with pytest.raises(OutputExists):
        vid2vid.train(paintings, clip=film, output=other, **QUICK, overwrite=True)
    assert (other / "beach.png").is_file(), "a folder that is no bundle is never replaced"


def test_an_option_that_is_not_there_is_met_with_a_suggestion(paintings: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"no option 'learning_rat'\. Did you mean 'learning_rate'\?.*patience"):
        vid2vid.train(paintings, output=tmp_path / "look", learning_rat=0.1)
    with pytest.raises(vid2vid.UnknownTask, match="Did you mean 'paired'"):
        vid2vid.train(paintings, "pared", output=tmp_path / "look")
    with pytest.raises(vid2vid.ReferenceMismatch, match="resembles no frame"):
        strange = write_picture(tmp_path / "strange" / "a.png", foreign()[0])
        vid2vid.train([strange], clip=write_clip(tmp_path / "film.mp4", clip()), output=tmp_path / "look", **QUICK)
    assert not (tmp_path / "look").exists()


def test_it_ends_in_time(film: Path, paintings: Path, tmp_path: Path) -> None:
    """Six seconds in all; a step may wait for the processor, so the time that is allowed is wide."""
    settings = {**QUICK, "steps": None, "minutes": 0.1, "judge_every_s": 60.0}
    began = time.perf_counter()
    made = vid2vid.train(paintings, clip=film, output=tmp_path / "look", **settings)
    took = time.perf_counter() - began
    assert made.bundle.recipe["stopped"] == "minutes"
    assert made.steps > 1
    assert 3.5 < took < 12.0
    assert made.seconds == pytest.approx(took, abs=0.5)


# The general way: tasks that learn from clips by their own conditions.


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of its own takes seconds to begin."""
    monkeypatch.setattr(general_lesson, "DataLoader", lambda windows, **settings: windows)


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "footage"
    write_clip(folder / "a.mp4", clip())
    write_picture(folder / "b.png", foreign()[0])
    return folder


def test_self_supervised_clips_teach_the_cartoon_task(footage: Path, tmp_path: Path) -> None:
    settings = {**QUICK, "batch": 1, "start": "scratch"}
    made = vid2vid.train(footage, "cartoon_to_photoreal", output=tmp_path / "mine", **settings)
    assert made.bundle.task == "cartoon_to_photoreal" and made.bundle.keys == ()
    assert set(made.bundle.data) == {"a.mp4", "b.png"}
    assert set(made.metrics) == METRICS
    assert made.bundle.recipe["losses"]["temporal"] > 0
    frames = clip()[:4]
    own, bundled = (
        vid2vid.translate(frames, task=task, finish="none", progress=False, dtype="float32").frames
        for task in (made.path, "cartoon_to_photoreal")
    )
    assert not np.array_equal(own, bundled), "its own weights were used"
    assert psnr_db(own, frames) > 15.0


class Darker(Task[None]):
    """Learns what a pair shows; gives maps in two parts."""

    name: ClassVar[str] = "darker"
    summary: ClassVar[str] = "Darker."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(width=8, blocks=(1, 1))
    channels: ClassVar[dict[str, int]] = {"source": 3, "grey": 1}

    def setup(self, request: Request, device: torch.device) -> None:
        return None

    def condition(self, chunk: Chunk, setup: None) -> Conditions:
        return Conditions({"source": chunk.frames, "grey": chunk.frames.mean(1, keepdim=True)})

    def loss_weights(self) -> dict[str, float]:
        return {"l1": 2.0}


@pytest.mark.usefixtures("in_this_process")
def test_a_task_of_ones_own_learns_from_pairs(tmp_path: Path) -> None:
    write_clip(tmp_path / "examples" / "a" / "source.mp4", clip())
    write_clip(tmp_path / "examples" / "a" / "target.mp4", clip() // 2)
    settings = {**QUICK, "steps": 40, "learning_rate": 5e-3, "crop": 50}
    made = vid2vid.train(tmp_path / "examples", Darker(), output=tmp_path / "mine", **settings)
    assert made.bundle.recipe["losses"] == {"l1": 2.0}
    assert made.bundle.task == "darker" and dict(made.bundle.channels) == {"source": 3, "grey": 1}
    assert made.metrics["psnr_db"] > made.metrics["source_psnr_db"] + 2.0
    held = slice(LENGTH - 4, LENGTH)
    assert made.metrics["source_psnr_db"] == pytest.approx(psnr_db(clip()[held], clip()[held] // 2), abs=1.0)


def test_key_frames_teach_no_other_task(film: Path, paintings: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidExamples, match="task='paired'"):
        vid2vid.train(paintings, Darker(), clip=film, output=tmp_path / "mine", **QUICK)


@pytest.mark.usefixtures("in_this_process")
def test_windows_of_a_task_can_start_anywhere_and_be_shared(footage: Path) -> None:
    films = [(general_lesson.Footage(path, 64), None) for path in sorted(footage.iterdir())]

    def take(step: int, count: int, *which: int) -> list[Window]:
        stream = general_lesson.TaskWindows(Darker(), films, slots=3, crop=32, seed=2).start(step, *which)
        return [next(stream) for _ in range(count)]

    whole = take(0, 8)
    for name in Window.__slots__:
        for here, there in zip(take(5, 3), whole[5:], strict=True):
            assert torch.equal(getattr(here, name), getattr(there, name)), name
        for rank in (0, 1):
            share = take(4, 2, rank, 2)
            assert all(torch.equal(getattr(a, name), getattr(b, name)[rank::2])
                       for a, b in zip(share, whole[4:], strict=False)), name  # fmt: skip
    assert not torch.equal(whole[0].maps, whole[3].maps)
    assert not whole[0].trust[:, 0].any() and whole[1].trust[:, 0].any(), "an episode goes on in the next window"

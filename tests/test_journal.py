"""The journal of a render: what counts, what is dropped, whose it is, and what a folder holds after each fault."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import vid2vid
from tests.killed_renders import Remembering, StopsAt
from vid2vid import output
from vid2vid.account import write_report
from vid2vid.hashing import file_hash
from vid2vid.io import VideoWriter, open_source
from vid2vid.journal import Call, Journal, journal_folder
from vid2vid.locking import Lock

LENGTH, SEGMENT = 30, 8


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Thirty frames of noise that moves."""
    scene = np.random.default_rng(0).integers(0, 255, (64, 96 + LENGTH, 3), np.uint8)
    with VideoWriter(tmp_path / "film.mp4", width=96, height=64, fps=25) as writer:
        for index in range(LENGTH):
            writer.write(scene[:, index : index + 96], Fraction(index, 25))
    return tmp_path / "film.mp4"


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "SEGMENT_FRAMES", (SEGMENT, SEGMENT))


def render(film: Path, target: Path, task: Any = None, **words: Any) -> vid2vid.Translation:
    words = {"overwrite": True, "progress": False, "dtype": "float32", **words}
    return vid2vid.translate(film, task or Remembering(), target, **words)


def fail() -> None:
    raise ZeroDivisionError("as wanted")


def interrupted(film: Path, target: Path, frame: int = 20) -> Path:
    """Renders up to a frame; gives the journal's folder."""
    with pytest.raises(ZeroDivisionError):
        render(film, target, StopsAt(frame, fail))
    return journal_folder(target)


def pictures(path: Path) -> list[tuple[Fraction, bytes]]:
    with open_source(path) as source:
        return [(frame.time_s, frame.pixels.tobytes()) for frame in source]


@pytest.mark.robustness(49)
def test_a_render_that_failed_goes_on_from_its_last_segment(film: Path, tmp_path: Path) -> None:
    whole = render(film, tmp_path / "whole.mp4")
    folder = interrupted(film, tmp_path / "out.mp4")
    names = {path.name for path in folder.iterdir()}
    assert {"plan.json", "journal.jsonl", "segment-000001.mp4", "segment-000002.mp4", "fitted.safetensors"} <= names
    assert "lock" not in names and not (tmp_path / "out.mp4").exists()
    made = render(film, tmp_path / "out.mp4")
    assert made.report["resumed"] == {"frames": 16, "segments": 2}
    assert made.report["task_report"] == {"composited": LENGTH}
    assert pictures(tmp_path / "out.mp4") == pictures(tmp_path / "whole.mp4")
    assert not folder.exists()
    assert made.report["provenance"]["watermark"] == whole.report["provenance"]["watermark"]


@pytest.mark.robustness(49)
@pytest.mark.parametrize("fault", ["line", "torn", "segment", "state", "gone"])
def test_what_is_damaged_is_made_again(film: Path, tmp_path: Path, fault: str) -> None:
    render(film, tmp_path / "whole.mp4")
    folder = interrupted(film, tmp_path / "out.mp4", frame=28)
    lines = (folder / "journal.jsonl").read_bytes()
    assert lines.count(b"\n") == 3
    if fault == "line":
        (folder / "journal.jsonl").write_bytes(lines[:-40] + b"7" + lines[-39:])
    elif fault == "torn":
        (folder / "journal.jsonl").write_bytes(lines[:-40])
    else:
        path = folder / ("state-000003.safetensors" if fault == "state" else "segment-000003.mp4")
        path.unlink() if fault == "gone" else path.write_bytes(path.read_bytes()[:-1] + b"!")
    made = render(film, tmp_path / "out.mp4")
    assert made.report["resumed"] == {"frames": 16, "segments": 2}
    assert pictures(tmp_path / "out.mp4") == pictures(tmp_path / "whole.mp4")


@pytest.mark.robustness(13)
def test_another_stream_of_the_same_file_is_another_call(film: Path, tmp_path: Path) -> None:
    interrupted(film, tmp_path / "out.mp4")
    made = render(film, tmp_path / "out.mp4", stream=0)
    assert "stream differed" in made.report["resumed"]["note"]
    assert made.report["frames"] == LENGTH


def test_another_call_starts_anew_and_says_so(film: Path, tmp_path: Path) -> None:
    interrupted(film, tmp_path / "out.mp4")
    made = render(film, tmp_path / "out.mp4", seed=1)
    assert "another call" in made.report["resumed"]["note"] and "settings" in made.report["resumed"]["note"]
    assert "frames" not in made.report["resumed"]
    interrupted(film, tmp_path / "out.mp4")
    assert render(film, tmp_path / "out.mp4", resume=False).report["resumed"] == {}


@pytest.mark.robustness(56)
def test_an_input_that_changed_since_is_refused(film: Path, tmp_path: Path) -> None:
    folder = interrupted(film, tmp_path / "out.mp4")
    with film.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    with pytest.raises(vid2vid.InputChanged, match="--fresh"):
        render(film, tmp_path / "out.mp4")
    assert (folder / "segment-000002.mp4").exists()
    assert render(film, tmp_path / "out.mp4", resume=False).path == tmp_path / "out.mp4"


@pytest.mark.robustness(56)
@pytest.mark.parametrize("fault", ["changed", "removed", "touched"])
def test_an_input_that_changes_while_it_is_rendered(film: Path, tmp_path: Path, fault: str) -> None:
    def act() -> None:
        if fault == "removed":
            film.unlink(missing_ok=True)
        elif fault == "touched":
            os.utime(film)
        else:
            film.with_name("new").write_bytes(film.read_bytes()[:-1] + b"!")
            film.with_name("new").replace(film)

    if fault == "touched":
        assert render(film, tmp_path / "out.mp4", StopsAt(20, act)).path == tmp_path / "out.mp4"
        return
    with pytest.raises(vid2vid.InputChanged, match=fault):
        render(film, tmp_path / "out.mp4", StopsAt(20, act))
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.robustness(49)
def test_a_fitted_generator_is_not_fitted_again(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(film, tmp_path / "out.mp4")
    fitted = Remembering.generator
    monkeypatch.setattr(Remembering, "generator", lambda *_: pytest.fail("fitted again"))
    resumed = render(film, tmp_path / "out.mp4")
    monkeypatch.setattr(Remembering, "generator", fitted)
    render(film, tmp_path / "whole.mp4")
    assert pictures(tmp_path / "out.mp4") == pictures(tmp_path / "whole.mp4")
    assert resumed.report["resumed"]["segments"] == 2


@pytest.mark.robustness(52)
def test_two_renders_of_one_output(film: Path, tmp_path: Path) -> None:
    refused: list[str] = []

    def another() -> None:
        if not refused:
            with pytest.raises(vid2vid.OutputBusy) as caught:
                render(film, tmp_path / "out.mp4")
            refused.append(str(caught.value))

    assert render(film, tmp_path / "out.mp4", StopsAt(10, another)).path == tmp_path / "out.mp4"
    assert f"process {os.getpid()}" in refused[0]


@pytest.mark.robustness(52)
@pytest.mark.parametrize("left", ["dead", "reborn", "rebooted", "empty"])
def test_a_lock_that_was_left_behind_is_broken(tmp_path: Path, left: str) -> None:
    lock = Lock(tmp_path / "out.mp4.v2v", tmp_path / "out.mp4")
    lock.acquire()
    with pytest.raises(vid2vid.OutputBusy):
        Lock(tmp_path / "out.mp4.v2v", tmp_path / "out.mp4").acquire()
    owner = json.loads(lock.path.read_text())
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    other = {"dead": {"pid": child.pid}, "reborn": {"started": "1"}, "rebooted": {"boot": "before"}, "empty": {}}
    lock.path.write_text(json.dumps(owner | other[left]) if left != "empty" else "")
    again = Lock(tmp_path / "out.mp4.v2v", tmp_path / "out.mp4")
    again.acquire()
    assert json.loads(lock.path.read_text()) == owner


@pytest.mark.robustness(47, 48)
def test_a_full_disk_leaves_the_old_output_and_the_segments(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    render(film, tmp_path / "whole.mp4")
    target.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    largest = max(path.stat().st_size for path in interrupted(film, target).iterdir())

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))

    try:
        with pytest.raises(vid2vid.OutputDiskFull, match="No room left"):
            render(film, target, StopsAt(20, fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert largest > 1_000 and target.read_bytes() == b"old"
    assert not [path.name for path in tmp_path.iterdir() if ".partial" in path.name]
    assert render(film, target).report["resumed"]["segments"] == 2
    assert pictures(target) == pictures(tmp_path / "whole.mp4")


@pytest.mark.robustness(47)
def test_too_little_room_is_told_before_the_work(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    monkeypatch.setattr(Remembering, "setup", lambda *_: pytest.fail("models were loaded"))
    with pytest.raises(vid2vid.OutputDiskFull, match="are free"):
        render(film, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4.v2v").exists()


@pytest.mark.robustness(53)
@pytest.mark.parametrize("place", ["missing/out.mp4", "folder.mp4", "file/out.mp4"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    film: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(Remembering, "setup", lambda *_: pytest.fail("models were loaded"))
    with pytest.raises(vid2vid.OutputNotWritable):
        render(film, tmp_path / place)


@pytest.mark.robustness(57)
def test_one_name_in_two_folders_is_two_renders(film: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        interrupted(film, tmp_path / name / "out.mp4", frame=12 if name == "a" else 20)
    made = [render(film, tmp_path / name / "out.mp4").report["resumed"]["segments"] for name in ("a", "b")]
    assert made == [1, 2]


@pytest.mark.robustness(55)
def test_an_output_that_is_there_is_kept_until_the_end(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"old")
    with pytest.raises(vid2vid.OutputExists):
        render(film, target, overwrite=False)
    seen: list[bytes] = []
    render(film, target, StopsAt(0, lambda: seen.append(target.read_bytes())))
    assert set(seen) == {b"old"} and len(pictures(target)) == LENGTH


def test_partial_files_of_dead_processes_are_swept(film: Path, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    dead, alive = (tmp_path / f".out.mp4.partial-{pid}" for pid in (child.pid, os.getppid()))
    for path in (dead, alive):
        path.touch()
    render(film, tmp_path / "out.mp4")
    assert not dead.exists() and alive.exists()


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".webm"])
def test_other_containers_are_joined_too(film: Path, tmp_path: Path, suffix: str) -> None:
    made = render(film, tmp_path / f"out{suffix}")
    times = [time_s for time_s, _ in pictures(tmp_path / f"out{suffix}")]
    assert max(abs(time_s - Fraction(n, 25)) for n, time_s in enumerate(times)) <= Fraction(1, 1000)
    assert len(times) == LENGTH and made.report["provenance"]["signed"]


def test_names_of_any_length_have_a_journal(film: Path, tmp_path: Path) -> None:
    target = tmp_path / ("x" * 251 + ".mp4")
    assert len(os.fsencode(journal_folder(target).name)) < 255
    assert render(film, target).path == target


def test_a_name_that_leaves_just_enough_room_is_signed(film: Path, tmp_path: Path) -> None:
    """The name of the partial file has 255 bytes, and its signed copy has a longer one."""
    target = tmp_path / ("x" * (255 - len(f"..partial-{os.getpid()}") - 4) + ".mp4")
    assert render(film, target).report["provenance"]["signed"]
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


@pytest.mark.robustness(62)
def test_a_name_without_room_for_a_sidecar_is_refused_before_the_work(film: Path, tmp_path: Path) -> None:
    with pytest.raises(vid2vid.MarkingError, match="leaves no room for the name of its manifest"):
        render(film, tmp_path / ("x" * 247 + ".webm"))
    assert list(tmp_path.iterdir()) == [film]


@pytest.mark.robustness(53)
def test_what_others_put_into_the_journals_folder_stays(film: Path, tmp_path: Path) -> None:
    folder = interrupted(film, tmp_path / "out.mp4")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "segment.mp4").write_text("mine")
    render(film, tmp_path / "out.mp4", resume=False)
    assert sorted(path.name for path in folder.rglob("*")) == ["mine.txt", "notes", "segment.mp4"]


@pytest.mark.robustness(47)
def test_a_report_that_cannot_be_written_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "out.report.json").mkdir()
    with pytest.raises(vid2vid.OutputNotWritable, match=r"out\.report\.json"):
        write_report(tmp_path / "out.mp4", {"task": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["out.report.json"]


def test_an_empty_journal_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out.mp4", Call({"task": "x"}, {}), resume=True)
    journal.settle(payload=3)
    journal.close(done=False)
    assert list(tmp_path.iterdir()) == []


def test_the_report_names_the_sealed_file(film: Path, tmp_path: Path) -> None:
    made = render(film, tmp_path / "out.mp4")
    assert made.report["provenance"]["output_sha256"] == file_hash(tmp_path / "out.mp4")
    assert made.report["conceded"] == []


def test_state_of_a_backbone_is_kept_whole(film: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = interrupted(film, tmp_path / "out.mp4")
    state = load_file(folder / "state-000002.safetensors")
    assert set(state) >= {"backbone.output", "backbone.places", "backbone.seed", "task.mean", "task.frames"}
    assert int(state["task.frames"]) == 16 and torch.isfinite(state["backbone.output"]).all()

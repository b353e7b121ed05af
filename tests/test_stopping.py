"""Ctrl-C, a polite kill, both twice, and a reader of stdout that has gone: how long it takes and what stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vid2vid
from tests.killed_renders import StopsAt
from tests.stopped_renders import SEGMENT, Deaf
from vid2vid.io import VideoWriter, open_source

ROOT = Path(__file__).parents[1]
LENGTH = 120
WITHIN_S = 5.0
POLITE = ("interrupt", "polite kill")
HARD = ("interrupt, deaf", "two interrupts, deaf")


@dataclass(frozen=True)
class Stopped:
    """All renders, each stopped in its own way."""

    folder: Path
    ended: dict[str, Any]
    slower: float

    def said(self, case: str) -> str:
        return (self.folder / f"{case}.txt").read_text()

    def kept(self, case: str) -> set[str]:
        folder = self.folder / f"{case}.mp4.v2v"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    folder = tmp_path_factory.mktemp("stopped")
    scene = np.random.default_rng(0).integers(0, 255, (64, 96 + LENGTH, 3), np.uint8)
    with VideoWriter(folder / "film.mp4", width=96, height=64, fps=25) as writer:
        for index in range(LENGTH):
            writer.write(scene[:, index : index + 96], Fraction(index, 25))
    command = [sys.executable, "-m", "tests.stopped_renders", str(folder / "film.mp4"), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    yield Stopped(folder, **json.loads(done.stdout))


@pytest.mark.robustness(50)
@pytest.mark.parametrize("case", [*POLITE, *HARD, "interrupt in the setup"])
def test_a_stop_takes_five_seconds_at_most_and_leaves_no_output(stopped: Stopped, case: str) -> None:
    """On a machine that is busy otherwise it may take as many times longer as that machine is slower."""
    ended = stopped.ended[case]
    assert ended["code"] == 130
    assert ended["took_s"] < WITHIN_S * stopped.slower
    assert "error[interrupted]" in stopped.said(case) and "Traceback" not in stopped.said(case)
    assert not (stopped.folder / f"{case}.mp4").exists() and not (stopped.folder / f"{case}.report.json").exists()


@pytest.mark.robustness(50)
def test_the_second_interrupt_is_not_waited_out(stopped: Stopped) -> None:
    assert stopped.ended["two interrupts, deaf"]["took_s"] < 1.0 * stopped.slower
    assert stopped.ended["interrupt, deaf"]["took_s"] > 3.0


@pytest.mark.robustness(50)
@pytest.mark.parametrize("case", POLITE)
def test_a_polite_stop_keeps_what_is_done_and_tidies_up(stopped: Stopped, case: str) -> None:
    """What the generator had made already is finished, too."""
    kept, said = stopped.kept(case), stopped.said(case)
    frames = int(said.split(" frames are kept")[0].split()[-1])
    assert frames % SEGMENT == 0 and 3 * SEGMENT <= frames < LENGTH and f"{case}.mp4.v2v" in said
    segments = {f"segment-{number:06d}.mp4" for number in range(1, frames // SEGMENT + 1)}
    assert kept >= {"journal.jsonl", "plan.json"} | segments
    assert "lock" not in kept and not [name for name in kept if "partial" in name]


@pytest.mark.robustness(50)
def test_a_stop_before_the_first_segment_says_that_nothing_is_kept(stopped: Stopped) -> None:
    assert "nothing is kept" in stopped.said("interrupt in the setup")


@pytest.mark.robustness(50)
@pytest.mark.parametrize("case", [POLITE[0], *HARD])
def test_the_same_call_goes_on_from_there(stopped: Stopped, case: str) -> None:
    assert "the same call goes on from there" in stopped.said(case)
    target = stopped.folder / f"{case}.mp4"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vid2vid.output.SEGMENT_FRAMES", (8, 8))
        task = Deaf(Path("never"), print) if case in HARD else StopsAt(LENGTH, print)
        made = vid2vid.translate(stopped.folder / "film.mp4", task, target, dtype="float32", progress=False)
    # Other threads may have gone on a little after the signal.
    resumed = made.report["resumed"]["frames"]
    assert resumed % SEGMENT == 0 and (2 if case in HARD else 3) * SEGMENT <= resumed < LENGTH
    with open_source(target) as source:
        assert len(list(source)) == LENGTH
    assert not stopped.kept(case)
    assert not [path for path in stopped.folder.iterdir() if path.name.startswith(f".{case}.")]


@pytest.mark.robustness(50)
def test_a_reader_that_is_gone_is_no_fault(stopped: Stopped) -> None:
    assert stopped.ended["closed stdout"]["code"] == 1
    assert "Traceback" not in stopped.said("closed stdout")
    assert (stopped.folder / "closed stdout.mp4").exists()

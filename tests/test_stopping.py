"""Ctrl-C, a polite kill, both twice, and a reader of stdout that has gone: how long it takes and what stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vid2vid.io import VideoWriter, open_source

ROOT = Path(__file__).parents[1]
LENGTH = 40
_SLOWLY = """
import sys, time
import vid2vid, vid2vid.output, vid2vid.registry, vid2vid.render
from tests.killed_renders import Remembering, StopsAt
vid2vid.output.SEGMENT_FRAMES = (8, 8)
deaf, folder = sys.argv[1] == "deaf", sys.argv[2]

def act():
    print("rendering", file=sys.stderr, flush=True)
    time.sleep(0 if sys.argv[1] == "fast" else 0.5)

task = StopsAt(16, act)
if deaf:
    import ctypes
    def setup(request, device):
        print("rendering", file=sys.stderr, flush=True)
        lock = ctypes.create_string_buffer(256)
        library = ctypes.CDLL(None)
        library.pthread_mutex_lock(lock)
        library.pthread_mutex_lock(lock)  # never comes back, and no signal ends it
    task.setup = setup
vid2vid.render.get_task = lambda name: task
from vid2vid.__main__ import main
words = [f"{folder}/film.mp4", "--task", "remembering", "-o", f"{folder}/out.mp4", "--dtype", "float32", *sys.argv[3:]]
sys.exit(main(["translate", *words]))
"""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    scene = np.random.default_rng(0).integers(0, 255, (64, 96 + LENGTH, 3), np.uint8)
    with VideoWriter(tmp_path / "film.mp4", width=96, height=64, fps=25) as writer:
        for index in range(LENGTH):
            writer.write(scene[:, index : index + 96], Fraction(index, 25))
    return tmp_path / "film.mp4"


@contextmanager
def running(folder: Path, how: str = "slow", *words: str) -> Iterator[tuple[subprocess.Popen[str], float]]:
    """A render that has come to its third segment, or, where it is deaf, to its setup."""
    command = [sys.executable, "-c", _SLOWLY, how, str(folder), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stderr is not None
            for line in child.stderr:
                if line == "rendering\n":
                    break
            yield child, began
        finally:
            child.kill()


def end(child: subprocess.Popen[str], began: float) -> tuple[int, str, bool]:
    """Exit code, the rest of stderr, and whether it ended in time: five seconds, or more where the machine is busy.

    Starting takes about six seconds of an idle machine, and a busy one needs as many times longer to end as to start.
    """
    asked = time.monotonic()
    code = child.wait(timeout=120)
    assert child.stderr is not None
    return code, child.stderr.read(), time.monotonic() - asked < max(5.0, 5.0 * (asked - began) / 10.0)


@pytest.mark.slow
@pytest.mark.robustness(50)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_keeps_what_is_done_and_says_how_to_go_on(film: Path, tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as (child, began):
        child.send_signal(number)
        code, said, in_time = end(child, began)
    assert code == 130 and in_time
    assert "error[interrupted]" in said and "frames are kept" in said and "Traceback" not in said
    kept = sorted(path.name for path in (tmp_path / "out.mp4.v2v").iterdir())
    assert {"journal.jsonl", "plan.json", "segment-000001.mp4"} <= set(kept) and "lock" not in kept
    assert not [name for name in kept if "partial" in name]
    with running(tmp_path, "fast") as (child, began):
        child.communicate(timeout=120)
    assert child.returncode == 0
    with open_source(tmp_path / "out.mp4") as source:
        assert len(list(source)) == LENGTH


@pytest.mark.slow
@pytest.mark.robustness(50)
@pytest.mark.parametrize("twice", [True, False])
def test_a_render_that_cannot_listen_is_stopped_hard(film: Path, tmp_path: Path, twice: bool) -> None:
    """The main thread is in calls that do not come back to Python."""
    with running(tmp_path, "deaf") as (child, began):
        child.send_signal(signal.SIGINT)
        if twice:
            time.sleep(0.2)
            child.send_signal(signal.SIGINT)
        code, _, in_time = end(child, began)
    assert code == 130 and in_time


@pytest.mark.slow
@pytest.mark.robustness(50)
def test_a_reader_that_is_gone_is_no_fault(film: Path, tmp_path: Path) -> None:
    with running(tmp_path, "fast", "--json") as (child, began):
        assert child.stdout is not None
        child.stdout.close()
        code, said, _ = end(child, began)
    assert code == 1 and "Traceback" not in said
    assert (tmp_path / "out.mp4").exists()

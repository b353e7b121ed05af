"""decord in its own process: whatever happens to it, this one goes on and nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vid2vid.data.decord_reader import DecordFailed, DecordReader
from vid2vid.data.windows import ClipWindows
from vid2vid.io import open_source


def gone(pid: int) -> bool:
    """Whether a process has ended, within five seconds."""
    for _ in range(100):
        try:
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.robustness(26, 61)
def test_frames_come_from_the_other_process(square_clip: Path) -> None:
    reader = DecordReader(square_clip)
    with open_source(square_clip) as source:
        expected = np.stack([frame.pixels for frame in source])
    assert reader.count == 12
    got = reader.read(3, 4)
    assert np.abs(got.astype(int) - expected[3:7]).mean() < 2
    pid = reader._child.pid
    assert "decord" not in sys.modules
    del reader
    assert gone(pid)


@pytest.mark.robustness(26)
def test_a_file_that_never_answers_costs_only_its_deadline(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.mp4")
    began = time.monotonic()
    with pytest.raises(DecordFailed, match="no answer within"):
        DecordReader(tmp_path / "clip.mp4", start_s=1.5)
    assert time.monotonic() - began < 5


@pytest.mark.robustness(26)
def test_a_reader_that_hangs_is_replaced(square_clip: Path) -> None:
    windows = ClipWindows(square_clip)
    assert windows.reader == "decord"
    expected = windows.read(2, 3)
    reader: Any = windows._own.reader._reader
    reader._read_s = 0.5
    pid = reader._child.pid
    os.kill(pid, signal.SIGSTOP)
    assert np.abs(windows.read(2, 3).astype(int) - expected).mean() < 2
    assert windows.reader == "seek"
    assert gone(pid)


@pytest.mark.robustness(26)
def test_a_reader_that_crashes_is_replaced(square_clip: Path) -> None:
    windows = ClipWindows(square_clip)
    expected = windows.read(0, 2)
    os.kill(windows._own.reader._reader._child.pid, signal.SIGKILL)
    assert np.abs(windows.read(0, 2).astype(int) - expected).mean() < 2
    assert windows.reader == "seek"


@pytest.mark.robustness(26)
def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"text" * 100)
    with pytest.raises(DecordFailed):
        DecordReader(tmp_path / "x.mp4")


@pytest.mark.robustness(26, 61)
@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_it_ends_with_its_parent_even_while_it_hangs(square_clip: Path) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path; from vid2vid.data.decord_reader import DecordReader\n"
        "reader = DecordReader(Path(sys.argv[1])); os.kill(reader._child.pid, signal.SIGSTOP)\n"
        "print(reader._child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(square_clip)], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))

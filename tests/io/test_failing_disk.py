"""The system refuses to read on in the middle of a file: told as that, not taken for a file that was cut short."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.io.failing_disk import POSSIBLE
from vid2vid.account import source_hash
from vid2vid.errors import ReadFailed
from vid2vid.io.containers import check_readable

Clip = Callable[..., Path]
ROOT = Path(__file__).parents[2]
FRAMES = 60
_READ = """
import os, sys
from pathlib import Path
from tests.io.failing_disk import break_off
from vid2vid.errors import Vid2VidError
from vid2vid.io import open_source
OPENED = Path("/proc/self/fd")
for path in sys.argv[1:]:
    if os.fork() == 0:
        count = 0
        try:
            for frame in open_source(path):
                count += 1
                if count == 10:
                    break_off(min(int(one.name) for one in OPENED.iterdir() if one.exists() and one.samefile(path)))
            print(count, "no error", flush=True)
        except Vid2VidError as error:
            print(count, error.code, error, flush=True)
        finally:
            os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(not POSSIBLE, reason="needs a filter of system calls")
@pytest.mark.robustness(48)
def test_a_disk_that_fails_in_the_middle(clip: Clip) -> None:
    """By a real EIO from the kernel, in each kind of container."""
    noise = np.random.default_rng(0).integers(0, 255, (FRAMES, 128, 192, 3), np.uint8)
    paths = [
        clip(name, FRAMES, size=(192, 128), pictures=noise, options={"crf": "5"})
        for name in ("a.mp4", "a.mkv", "a.ts", "a.avi")
    ]
    command = [sys.executable, "-c", _READ, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(paths), done.stdout
    for path, line in zip(paths, lines, strict=True):
        count, code, told = line.split(" ", 2)
        assert 10 <= int(count) < FRAMES
        assert code == "read_failed"
        assert path.name in told and "Input/output error" in told


@pytest.mark.robustness(48)
def test_a_source_that_cannot_be_read_is_told_before_the_work(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_readable(plain)

    def refuse(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("vid2vid.account.file_hash", refuse)
    with pytest.raises(ReadFailed, match=r"cannot be read to its end \(Input/output error\)"):
        source_hash(plain)


def test_names_that_are_no_text_are_hashed(tmp_path: Path) -> None:
    (tmp_path / "a\udcff.png").write_bytes(b"1")
    first = source_hash(tmp_path)
    (tmp_path / "a\udcff.png").rename(tmp_path / "a\udcfe.png")
    assert first != source_hash(tmp_path)

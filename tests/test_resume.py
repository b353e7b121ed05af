"""kill -9 at random moments: the next call ends the render, frame for frame as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests import killed_renders
from vid2vid.io import VideoWriter, open_source

MOMENTS, LENGTH = 20, 60


@pytest.mark.robustness(49)
def test_twenty_kills_lose_one_segment_at_most_and_no_frame_differs(tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    scene = np.random.default_rng(0).integers(0, 255, (8, 20, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with VideoWriter(source, width=96, height=64, fps=25) as writer:
        for index in range(LENGTH):
            shot = scene if index < 33 else 255 - scene
            writer.write(shot[:, index : index + 96], Fraction(index, 25))
    command = [sys.executable, "-m", "tests.killed_renders", str(source), str(tmp_path), str(MOMENTS)]
    folder = Path(killed_renders.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])["told"]
    whole = _frames(tmp_path / "whole.mp4")
    assert len(whole) == LENGTH
    for number, attempt in enumerate(told):
        assert _frames(tmp_path / f"killed_{number}.mp4") == whole, attempt
        # Whatever was in the journal at the kill was not done again.
        # Killed between the last name and the removal of its journal, it has ended and its pieces are there.
        allowed = {0, attempt["kept"]} if attempt["ended"] else {attempt["kept"]}
        assert attempt["resumed"].get("segments", 0) in allowed, attempt
        assert attempt["composited"] == LENGTH
    assert sum(attempt["kept"] > 0 for attempt in told) >= 3, "the moments missed the rendering"
    assert {path.suffix for path in tmp_path.iterdir()} == {".mp4", ".json"}


def _frames(path: Path) -> list[tuple[Fraction, bytes]]:
    with open_source(path) as source:
        return [(frame.time_s, frame.pixels.tobytes()) for frame in source]

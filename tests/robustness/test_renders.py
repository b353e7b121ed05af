"""Clips at the edge of what there is, all the way through `translate()`."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vid2vid
from vid2vid.io import VideoWriter, open_source

TASKS = ("cartoon_to_photoreal", "face_swap", "actor_swap", "sketch_to_scene")
ACTOR = Path(str(files("vid2vid_tasks.sketch_to_scene"))) / "actors" / "woman" / "view_00.jpg"
NEEDS: dict[str, dict[str, Any]] = {
    "cartoon_to_photoreal": {},
    "face_swap": {"reference": Path(vid2vid.__file__).parent / "samples" / "face.jpg", "consent": "synthetic"},
    "actor_swap": {"reference": ACTOR, "consent": "synthetic"},
    "sketch_to_scene": {},
}


def film(kind: str) -> np.ndarray:
    """Ten frames: black, white, one picture ten times, black and white in turn, or noise."""
    chance = np.random.default_rng(0)
    if kind in ("black", "white"):
        return np.full((10, 64, 96, 3), 0 if kind == "black" else 255, np.uint8)
    if kind == "frozen":
        return np.repeat(chance.integers(0, 256, (1, 8, 12, 3), np.uint8).repeat(8, 1).repeat(8, 2), 10, 0)
    if kind == "flashing":
        return np.where(np.arange(10) % 2, 255, 0).astype(np.uint8)[:, None, None, None] * np.ones(
            (1, 64, 96, 3), np.uint8
        )
    return chance.integers(0, 256, (10, 64, 96, 3), np.uint8)


@pytest.mark.robustness(34, 38)
@pytest.mark.parametrize(
    ("task", "kind"),
    [
        *((task, kind) for task in TASKS[::3] for kind in ("black", "white", "frozen", "flashing", "noise")),
        *((task, kind) for task in TASKS[1:3] for kind in ("black", "flashing")),
    ],
)
def test_pictures_that_show_nothing(task: str, kind: str) -> None:
    source = film(kind)
    try:
        made = vid2vid.translate(source, task, progress=False, **NEEDS[task])
    except vid2vid.InputError as error:
        assert error.code == "no_figures"
        assert task == "sketch_to_scene"
        return
    frames = np.stack(list(made.frames))
    assert frames.shape == source.shape
    if task in ("face_swap", "actor_swap"):
        # Nobody is in the picture: it is passed through, and never comes out black.
        assert np.array_equal(frames, source)
    if kind == "white":
        assert frames.mean() > 150


@pytest.mark.robustness(21)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".gif"])
def test_a_clip_of_one_frame(tmp_path: Path, suffix: str) -> None:
    with VideoWriter(tmp_path / "in.mp4", width=96, height=64, fps=25) as writer:
        writer.write(film("frozen")[0], Fraction(0))
    made = vid2vid.translate(tmp_path / "in.mp4", "cartoon_to_photoreal", tmp_path / f"out{suffix}", progress=False)
    assert made.report["frames"] == 1
    with open_source(tmp_path / f"out{suffix}") as source:
        assert len(list(source)) == 1


@pytest.mark.robustness(20, 22)
@pytest.mark.parametrize("size", [(8, 8), (9, 33), (97, 65), (8, 200)])
def test_sizes_come_back_as_they_went_in(tmp_path: Path, size: tuple[int, int]) -> None:
    with VideoWriter(tmp_path / "in.mp4", width=size[0], height=size[1], fps=25) as writer:
        for index in range(3):
            writer.write(np.full((size[1], size[0], 3), 60 * index, np.uint8), Fraction(index, 25))
    vid2vid.translate(tmp_path / "in.mp4", "cartoon_to_photoreal", tmp_path / "out.mp4", progress=False)
    with open_source(tmp_path / "out.mp4") as source:
        assert (source.info.width, source.info.height) == size
        assert len(list(source)) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.robustness(23)
def test_8k_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """A picture has 100 MB; the decoder holds a few, and nothing piles up."""
    with VideoWriter(tmp_path / "in.mp4", width=7680, height=4320, fps=25, preset="ultrafast") as writer:
        for index in range(4):
            writer.write(np.full((4320, 7680, 3), 40 * index, np.uint8), Fraction(index, 25))
    # Not getrusage: its peak is that of the process before exec, which is this one.
    code = (
        "import sys; from pathlib import Path; from vid2vid.io import open_source\n"
        "count = sum(1 for frame in open_source(sys.argv[1]))\n"
        "peak = next(line for line in Path('/proc/self/status').read_text().splitlines() if 'VmHWM' in line)\n"
        "print(count, int(peak.split()[1]) // 1024)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "in.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    count, peak_mb = map(int, done.stdout.split())
    assert count == 4
    assert peak_mb < 900

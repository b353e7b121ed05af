"""ClipWindows: random access gives the frames that open_source gives, whoever reads them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vid2vid.data import windows
from vid2vid.data.windows import ClipWindows
from vid2vid.errors import InputNotFound, InvalidOption
from vid2vid.io import VideoWriter, open_source


def level(index: int) -> int:
    return 20 + 5 * (index * 7 % 40)


def make(path: Path, count: int = 40, size: tuple[int, int] = (96, 64), **kwargs: Any) -> Path:
    """A clip whose frame numbers show as grey levels, beside a moving bar."""
    with VideoWriter(path, width=size[0], height=size[1], fps=25, **kwargs) as writer:
        for index in range(count):
            picture = np.full((size[1], size[0], 3), level(index), np.uint8)
            picture[:, index * 2 : index * 2 + 6] = (240, 40, 40)
            writer.write(picture, Fraction(index, 25))
    return path


def read_levels(frames: np.ndarray) -> list[float]:
    return [float(frame[:, -4:].mean()) for frame in frames]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("w") / "c.mp4")


@pytest.mark.parametrize(
    ("name", "codec", "readers"),
    [
        ("a.mp4", None, {"decord", "seek"}),
        ("a.mkv", None, {"decord", "seek"}),
        ("a.webm", None, {"decord", "seek"}),
        ("b.mp4", "libsvtav1", {"seek"}),
        ("a.gif", None, {"seek", "sequential"}),
    ],
)
def test_random_windows(tmp_path: Path, name: str, codec: str | None, readers: set[str]) -> None:
    path = make(tmp_path / name, codec=codec)
    clip_windows = ClipWindows(path)
    assert clip_windows.reader in readers
    assert len(clip_windows) == 40
    with open_source(path) as source:
        expected = np.stack([frame.pixels for frame in source])
    for start, length in ((30, 10), (0, 1), (17, 5), (3, 20), (39, 1)):
        got = clip_windows.read(start, length)
        assert got.shape == (length, 64, 96, 3)
        assert got.dtype == np.uint8
        assert np.abs(got.astype(int) - expected[start : start + length]).mean() < 2
        assert read_levels(got) == pytest.approx([level(i) for i in range(start, start + length)], abs=15)


def test_short_side(clip: Path) -> None:
    clip_windows = ClipWindows(clip, short_side=32)
    assert (clip_windows.width, clip_windows.height) == (48, 32)
    got = clip_windows.read(5, 3)
    assert got.shape == (3, 32, 48, 3)
    assert read_levels(got) == pytest.approx([level(i) for i in range(5, 8)], abs=5)


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (39, 2), (0, 0), (0, 41)])
def test_windows_outside_are_refused(clip: Path, start: int, length: int) -> None:
    with pytest.raises(InvalidOption, match="which has 40"):
        ClipWindows(clip).read(start, length)


def test_wrong_arguments(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption):
        ClipWindows(clip, short_side=0)
    with pytest.raises(InputNotFound):
        ClipWindows(tmp_path / "none.mp4")


class _Shifted:
    """decord as it was seen to fail: every frame a neighbour."""

    def __init__(self, path: Path, count: int) -> None:
        with open_source(path) as source:
            self._frames = [frame.pixels for frame in source]

    def read(self, start: int, length: int) -> np.ndarray:
        return np.stack([self._frames[min(i + 1, len(self._frames) - 1)] for i in range(start, start + length)])


@pytest.mark.robustness(26)
def test_wrong_frames_are_noticed(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_DecordReader", _Shifted)
    clip_windows = ClipWindows(clip)
    assert clip_windows.reader == "seek"
    assert read_levels(clip_windows.read(10, 2)) == pytest.approx([level(10), level(11)], abs=5)


def test_wrong_colours_are_noticed(tmp_path: Path) -> None:
    """decord reads the BT.709 of HD clips as BT.601."""
    path = tmp_path / "hd.mp4"
    with VideoWriter(path, width=1280, height=720, fps=25, preset="ultrafast") as writer:
        for index in range(3):
            writer.write(np.full((720, 1280, 3), (200, 40, 40), np.uint8), Fraction(index, 25))
    got = ClipWindows(path).read(1, 1)[0]
    assert np.abs(got[300, 600].astype(int) - (200, 40, 40)).max() <= 4


def test_every_thread_has_its_own_reader(clip: Path) -> None:
    clip_windows = ClipWindows(clip)
    wrong: list[int] = []

    def work(offset: int) -> None:
        for start in range(offset, 36, 4):
            if read_levels(clip_windows.read(start, 2)) != pytest.approx([level(start), level(start + 1)], abs=5):
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert wrong == []


def _child(clip_windows: ClipWindows, results: Any) -> None:
    results.put((read_levels(clip_windows.read(7, 2)), clip_windows._own.process == os.getpid()))


@pytest.mark.robustness(61)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_every_process_has_its_own_reader(clip: Path, method: str) -> None:
    clip_windows = ClipWindows(clip)
    clip_windows.read(0, 1)
    context: Any = multiprocessing.get_context(method)
    if method == "spawn":
        # The child cannot import this module by name; what matters is that the object crosses over.
        again = pickle.loads(pickle.dumps(clip_windows))
        assert read_levels(again.read(7, 2)) == pytest.approx([level(7), level(8)], abs=5)
        return
    results = context.Queue()
    child = context.Process(target=_child, args=(clip_windows, results))
    child.start()
    levels, own = results.get(timeout=30)
    assert levels == pytest.approx([level(7), level(8)], abs=5)
    assert own
    child.join(timeout=30)
    assert child.exitcode == 0

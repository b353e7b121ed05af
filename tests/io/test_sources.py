"""open_source() on folders, arrays, tensors and iterables."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vid2vid.errors import EmptyInput, InvalidFrames, TooSmall, UsageError
from vid2vid.io import open_source, read_image


@pytest.fixture
def frames(numbers: Any) -> np.ndarray:
    return np.stack([numbers.draw(i) for i in range(6)])


def test_array(frames: np.ndarray) -> None:
    with open_source(frames, fps=Fraction(30000, 1001)) as source:
        assert (source.info.kind, source.info.frame_count, source.info.width, source.info.height) == (
            "array",
            6,
            96,
            64,
        )
        got = list(source)
    assert all(np.array_equal(frame.pixels, frames[i]) for i, frame in enumerate(got))
    assert [frame.time_s for frame in got] == [Fraction(i * 1001, 30000) for i in range(6)]
    assert np.shares_memory(got[3].pixels, frames)
    assert len(list(source.reopen())) == 6


def test_one_picture(frames: np.ndarray) -> None:
    with open_source(frames[0]) as source:
        assert (source.info.kind, source.info.frame_count) == ("image", 1)
        assert np.array_equal(next(source).pixels, frames[0])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((4, 16, 16, 3), np.float32), "float32"),
        (np.zeros((4, 3, 16, 16), np.uint8), "Move the channels"),
        (np.zeros((4, 16, 16, 4), np.uint8), r"\(4, 16, 16, 4\)"),
        (np.zeros((16, 16), np.uint8), r"\(16, 16\)"),
        ({"a": 1}, "dict"),
        (7, "int"),
        (b"bytes", "bytes"),
        (["a.png"], "Frame 0 is a str"),
        ([np.zeros((16, 16), np.uint8)], "Frame 0"),
    ],
)
def test_what_is_wrong_is_said(wrong: Any, says: str) -> None:
    with pytest.raises(InvalidFrames, match=says):
        open_source(wrong)


def test_nothing_inside() -> None:
    for empty in (np.zeros((0, 16, 16, 3), np.uint8), [], iter(())):
        with pytest.raises(EmptyInput):
            open_source(empty)


def test_too_small() -> None:
    with pytest.raises(TooSmall):
        open_source(np.zeros((2, 4, 40, 3), np.uint8))


def test_tensor(frames: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    for given in (tensor, tensor.double()):
        with open_source(given) as source:
            assert source.info.kind == "tensor"
            assert all(np.array_equal(frame.pixels, frames[frame.index]) for frame in source)
    assert source.reopenable
    for wrong, says in (
        ((tensor * 255).byte(), "uint8"),
        (tensor * 255, "divide by 255"),
        (tensor * 2 - 1, "-1 to 1"),
        (tensor.permute(0, 2, 3, 1), "permute"),
        (tensor[0], "unsqueeze"),
        (tensor / 0 * 0, "nan"),
    ):
        with pytest.raises(InvalidFrames, match=says):
            open_source(wrong)


def test_torch_is_not_imported_for_files(plain: Path) -> None:
    code = "import sys; from vid2vid.io import open_source as o; list(o(sys.argv[1])); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(plain)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"


def test_generator_is_read_once_and_lazily(frames: np.ndarray) -> None:
    asked = []

    def make() -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames):
            asked.append(index)
            yield frame

    source = open_source(make())
    assert asked == [0]
    assert (source.info.kind, source.info.frame_count, source.info.width) == ("frames", None, 96)
    next(source)
    next(source)
    assert asked == [0, 1]
    assert [frame.index for frame in source] == [2, 3, 4, 5]
    assert not source.reopenable
    with pytest.raises(UsageError, match="only once"):
        source.reopen()


def test_list_can_be_read_again(frames: np.ndarray) -> None:
    source = open_source(list(frames))
    assert source.info.frame_count == 6
    assert len(list(source)) == len(list(source.reopen())) == 6


def test_frame_of_another_size_is_named(frames: np.ndarray) -> None:
    source = open_source([frames[0], frames[1], frames[2][:32]])
    with pytest.raises(InvalidFrames, match="Frame 2"):
        list(source)


def test_folder_in_natural_order(tmp_path: Path, numbers: Any) -> None:
    for index in (10, 2, 1, 33):
        cv2.imwrite(str(tmp_path / f"im{index}.png"), numbers.draw(index)[..., ::-1])
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    with open_source(tmp_path, fps=10) as source:
        assert (source.info.kind, source.info.frame_count, source.info.fps) == ("folder", 4, 10)
        got = list(source)
    assert [numbers.read(frame.pixels) for frame in got] == [1, 2, 10, 33]
    assert got[3].time_s == Fraction(3, 10)
    assert got[0].pixels[4, 4].tolist() == [220, 30, 30]


def test_folder_of_mixed_sizes_and_a_broken_image(tmp_path: Path, numbers: Any) -> None:
    for index in range(30):
        cv2.imwrite(str(tmp_path / f"{index}.png"), numbers.draw(index)[..., ::-1])
    cv2.imwrite(str(tmp_path / "5.png"), cv2.resize(numbers.draw(5), (192, 128))[..., ::-1])
    (tmp_path / "7.png").write_bytes((tmp_path / "7.png").read_bytes()[:60])
    with open_source(tmp_path) as source:
        got = list(source)
    assert [numbers.read(frame.pixels) for frame in got] == [*range(7), 6, *range(8, 30)]
    assert {frame.pixels.shape for frame in got} == {(64, 96, 3)}
    assert source.report.concealed_frames == (7,)
    assert any("differ in size" in note for note in source.report.notes)
    assert any("7.png" in note for note in source.report.notes)


@pytest.mark.robustness(2)
def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(EmptyInput, match=r"\.png"):
        open_source(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
def test_image_formats(tmp_path: Path, suffix: str) -> None:
    picture = np.full((40, 50, 3), (200, 120, 40), np.uint8)
    cv2.imwrite(str(tmp_path / f"p{suffix}"), picture[..., ::-1])
    got = read_image(tmp_path / f"p{suffix}")
    assert got.shape == (40, 50, 3)
    assert np.abs(got.astype(int) - picture).max() <= 4
    assert read_image(os.fspath(tmp_path / f"p{suffix}"), size=(25, 20)).shape == (20, 25, 3)

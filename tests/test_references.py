"""References keep what the caller said of them: names, clips, folders in their natural order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vid2vid
from vid2vid.io import write_image
from vid2vid.references import pictures_of, read_references


def plain(level: int) -> np.ndarray:
    return np.full((40, 60, 3), level, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (10, 2, 1):
        write_image(tmp_path / f"{number}.png", plain(number * 20))
    (tmp_path / "._2.png").write_bytes(b"what a Mac leaves behind")
    return tmp_path


def test_a_folder_is_read_in_its_natural_order_and_hidden_files_are_left_out(folder: Path) -> None:
    (found,) = read_references(folder)
    assert [int(picture[0, 0, 0]) for picture in found.pictures] == [20, 40, 200]
    assert found.path == folder and not found.is_clip and found.name is None


def test_a_mapping_names_every_reference_and_a_clip_stays_a_clip(folder: Path, square_clip: Path) -> None:
    found = read_references({0: [square_clip, folder / "1.png"], "scene": plain(9)})
    assert [one.name for one in found] == ["0", "0", "scene"]
    assert [one.is_clip for one in found] == [True, False, False]
    assert found[0].path == square_clip and len(pictures_of(found)) == 3


def test_what_cannot_be_a_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(vid2vid.EmptyInput):
        read_references(tmp_path)
    with pytest.raises(vid2vid.InvalidFrames, match="uint8"):
        read_references(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(vid2vid.InvalidOption, match="mapping"):
        read_references({0: 5})

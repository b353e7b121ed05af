"""`vid2vid faces`: a sheet and a list of the faces of a clip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import vid2vid
from vid2vid.__main__ import main
from vid2vid.face_sheet import drawn, faces_of
from vid2vid.io import open_source, read_image

SMILE = Path(vid2vid.__file__).parent / "samples" / "smile.mp4"
PORTRAIT = SMILE.with_name("face.jpg")
Output = pytest.CaptureFixture[str]


def test_the_command_writes_a_sheet_and_says_what_it_shows(tmp_path: Path, capsys: Output) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["faces", str(PORTRAIT), "-o", str(sheet), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sheet"] == str(sheet) and told["frames"] == 1
    (face,) = told["faces"]
    assert (face["number"], face["first"], face["last"], face["frames"], face["sharpest"]) == (0, 0, 0, 1, 0)
    assert face["size_px"] == pytest.approx(196, abs=10)
    shown = read_image(sheet)
    assert shown.shape == (232, 192, 3)
    assert shown[60:130, 60:130].std() > 20 and shown[192:].max() > 200, "a face, and words below it"
    assert main(["faces", str(PORTRAIT), "-o", str(sheet)]) == 2, "it is there already"
    assert main(["faces", str(PORTRAIT), "-o", str(sheet), "--overwrite"]) == 0
    assert "size_px" in capsys.readouterr().out


def test_a_clip_without_faces_gets_no_sheet(square_clip: Path, tmp_path: Path, capsys: Output) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["faces", str(square_clip), "-o", str(sheet)]) == 0
    assert "No faces in" in capsys.readouterr().out and not sheet.exists()


def test_the_sharpest_frame_is_shown() -> None:
    import cv2

    with open_source(SMILE) as source:
        frames = [frame.pixels for frame, _ in zip(source, range(8), strict=False)]
    blurred = [cv2.GaussianBlur(frame, (0, 0), 2.5) if number != 5 else frame for number, frame in enumerate(frames)]
    (face,), count = faces_of(blurred)
    assert count == 8 and face.sharpest == 5 and (face.first, face.last) == (0, 7)
    two = drawn((face,) * 7)
    assert two.shape == (2 * 232, 6 * 192, 3)
    assert np.array_equal(two[:192, :192], face.picture) and two[232:, 192:].max() == 32

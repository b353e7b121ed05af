"""Examples: found from how files lie, and each that cannot be used is named with its reason before training starts."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vid2vid.data import inspection
from vid2vid.data.examples import (
    ClipPair,
    Examples,
    Fault,
    check_examples,
    content_hashes,
    find_examples,
    validate,
)
from vid2vid.errors import EmptyInput, InputError, InputNotFound, InvalidExamples
from vid2vid.io import FrameSource, VideoWriter, write_image


def picture(seed: int, width: int = 48, height: int = 32) -> np.ndarray:
    ramp = np.linspace(0, 200, width, dtype=np.uint8)
    made = np.repeat(np.tile(ramp, (height, 1))[..., None], 3, 2)
    made[4:20, seed % 20 : seed % 20 + 12] = (seed * 37 % 255, 90, 200)
    return made


def photo(path: Path, seed: int, width: int = 48, height: int = 32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, picture(seed, width, height))
    return path


@pytest.fixture
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def make(path: Path, seed: int, frames: int = 4, width: int = 48, height: int = 32) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with VideoWriter(path, width=width, height=height, fps=25, preset="ultrafast") as writer:
            for index in range(frames):
                writer.write(picture(seed + index, width, height), Fraction(index, 25))
        return path

    return make


Clip = Callable[..., Path]


def reasons(found: Examples) -> dict[str, str]:
    return {fault.name: fault.reason for fault in validate(found)}


# What lies how.


def test_a_folder_for_each_paired_clip(tmp_path: Path, clip: Clip) -> None:
    for number, name in enumerate(("a", "b")):
        clip(tmp_path / name / "source.mp4", 10 * number)
        clip(tmp_path / name / "Target.mkv", 10 * number + 5)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden").mkdir()
    found = find_examples(tmp_path, supervision="paired")
    assert (found.kind, found.faults, found.keys, found.clips, found.clip) == ("paired clips", (), (), (), None)
    assert found.pairs == tuple(
        ClipPair(tmp_path / name / "source.mp4", tmp_path / name / "Target.mkv", name) for name in ("a", "b")
    )
    assert check_examples(found) == found


def test_a_paired_clip_as_folders_of_frames(tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / "a" / "source" / f"{number}.png", number)
        photo(tmp_path / "a" / "target" / f"x{number}.png", number + 9)
    found = find_examples(tmp_path, supervision="paired")
    assert found.kind == "paired clips"
    assert [pair.name for pair in check_examples(found).pairs] == ["a"]
    (tmp_path / "a" / "target" / "x2.png").unlink()
    assert reasons(found) == {"a": "source has 3 frame(s), target 2; both need as many"}


def test_one_clip_folder_or_several_given_themselves(tmp_path: Path, clip: Clip) -> None:
    for name in ("a", "b"):
        clip(tmp_path / name / "source.mp4", ord(name))
        clip(tmp_path / name / "target.mp4", ord(name) + 7)
    assert [pair.name for pair in find_examples(tmp_path / "a", supervision="paired").pairs] == ["a"]
    found = find_examples([tmp_path / "a", str(tmp_path / "b")], supervision="paired")
    assert [pair.name for pair in found.pairs] == ["a", "b"]
    assert check_examples(found) == found


def test_paired_pictures_of_equal_names(tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / "source" / f"{number}.png", number)
        photo(tmp_path / "target" / f"{number}.jpg", number + 9)
    found = find_examples(tmp_path, supervision="paired")
    assert found.kind == "paired pictures"
    assert [(pair.name, pair.source.name, pair.target.name) for pair in found.pairs] == [
        (str(number), f"{number}.png", f"{number}.jpg") for number in range(3)
    ]
    assert check_examples(found) == found, "a picture is not too short"


def test_paired_clips_of_equal_names(tmp_path: Path, clip: Clip) -> None:
    clip(tmp_path / "source" / "a.mp4", 1)
    clip(tmp_path / "target" / "a.mp4", 2)
    found = find_examples(tmp_path, supervision="paired")
    assert (found.kind, [pair.name for pair in found.pairs]) == ("paired clips", ["a"])


@pytest.mark.parametrize("supervision", ["paired", "self"])
def test_painted_key_frames(tmp_path: Path, clip: Clip, supervision: str) -> None:
    film = clip(tmp_path / "film.mp4", 1)
    for number in (10, 2):
        photo(tmp_path / "keys" / f"{number:02}.png", number)
    found = find_examples(tmp_path / "keys", supervision=supervision, clip=film)  # type: ignore[arg-type]
    assert (found.kind, found.clip) == ("key frames", film)
    assert [path.name for path in found.keys] == ["02.png", "10.png"]
    assert check_examples(found) == found
    listed = find_examples(list(found.keys), supervision="paired", clip=str(film))
    assert listed == found
    assert find_examples(found.keys[0], supervision="paired", clip=film).keys == found.keys[:1]


def test_paintings_beside_the_frames_they_were_painted_over(tmp_path: Path, clip: Clip) -> None:
    film = clip(tmp_path / "film.mp4", 1)
    photo(tmp_path / "keys" / "source" / "1.png", 1)
    photo(tmp_path / "keys" / "target" / "1.png", 2)
    found = find_examples(tmp_path / "keys", supervision="paired", clip=film)
    assert (found.kind, found.clip, [pair.name for pair in found.pairs]) == ("paired pictures", film, ["1"])


def test_footage_of_the_target_alone(tmp_path: Path, clip: Clip) -> None:
    files = [
        clip(tmp_path / "b.mp4", 1),
        photo(tmp_path / "a.jpg", 2),
        clip(tmp_path / "more" / "c.mkv", 3),
        photo(tmp_path / "more" / "deep" / "b.mp4.png", 4),
    ]
    (tmp_path / "readme.md").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    found = find_examples(tmp_path, supervision="self")
    assert found.kind == "clips"
    assert found.clips == (files[1], files[0], files[2], files[3])
    assert check_examples(found) == found, "a photograph is a clip of one frame"
    assert find_examples(files[0], supervision="self").clips == (files[0],)
    assert find_examples([files[2], files[0], files[2]], supervision="self").clips == (files[2], files[0])


def test_pairs_serve_tasks_that_need_none(tmp_path: Path, clip: Clip) -> None:
    clip(tmp_path / "a" / "source.mp4", 1)
    clip(tmp_path / "a" / "target.mp4", 9)
    assert find_examples(tmp_path, supervision="self").kind == "paired clips"


def test_targets_alone_in_folders_of_clips(tmp_path: Path, clip: Clip) -> None:
    clip(tmp_path / "a" / "target.mp4", 9)
    assert [path.name for path in find_examples(tmp_path, supervision="self").clips] == ["target.mp4"]
    with pytest.raises(InvalidExamples, match="a: has no source"):
        find_examples(tmp_path, supervision="paired")


# What cannot be found.


@pytest.mark.robustness(59)
def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="none"):
        find_examples(tmp_path / "none", supervision="paired")
    with pytest.raises(InputNotFound, match="film"):
        find_examples(tmp_path, supervision="paired", clip=tmp_path / "film.mp4")
    (tmp_path / "notes.txt").touch()
    for supervision in ("paired", "self"):
        with pytest.raises(EmptyInput, match=r"\.mp4"):
            find_examples(tmp_path, supervision=supervision)  # type: ignore[arg-type]
    with pytest.raises(EmptyInput):
        find_examples([], supervision="self")


def test_no_pairs_for_a_task_that_learns_from_them(tmp_path: Path, clip: Clip) -> None:
    clip(tmp_path / "a.mp4", 1)
    with pytest.raises(InvalidExamples, match=r"1 file\(s\) and no pairs.*clip="):
        find_examples(tmp_path, supervision="paired")


def test_key_frames_that_are_none(tmp_path: Path, clip: Clip) -> None:
    film, keys = clip(tmp_path / "film.mp4", 1), tmp_path / "keys"
    clip(keys / "other.mp4", 2)
    with pytest.raises(InvalidExamples, match=r"other\.mp4' is none"):
        find_examples(keys, supervision="paired", clip=film)
    (keys / "other.mp4").unlink()
    for number in range(9):
        photo(keys / f"{number}.png", number)
    with pytest.raises(InvalidExamples, match="9 pictures; 1 to 8"):
        find_examples(keys, supervision="paired", clip=film)
    (keys / "8.png").unlink()
    assert len(find_examples(keys, supervision="paired", clip=film).keys) == 8


# What cannot be used.


@pytest.mark.robustness(59)
def test_without_a_partner(tmp_path: Path) -> None:
    for name in ("a", "b"):
        photo(tmp_path / "source" / f"{name}.png", ord(name))
    for name in ("b", "c"):
        photo(tmp_path / "target" / f"{name}.png", ord(name) + 9)
    found = find_examples(tmp_path, supervision="paired")
    assert [pair.name for pair in found.pairs] == ["b"]
    assert found.faults == (
        Fault("a.png", "has no partner of this name in target/"),
        Fault("c.png", "has no partner of this name in source/"),
    )
    assert check_examples(found).pairs == found.pairs
    photo(tmp_path / "source" / "b.jpg", 1)
    with pytest.raises(InvalidExamples, match="b: stands for several files"):
        find_examples(tmp_path, supervision="paired")


@pytest.mark.robustness(59)
def test_clip_folders_that_are_incomplete(tmp_path: Path, clip: Clip) -> None:
    clip(tmp_path / "a" / "source.mp4", 1)
    clip(tmp_path / "a" / "target.mp4", 2)
    clip(tmp_path / "b" / "source.mp4", 3)
    (tmp_path / "c").mkdir()
    shutil.copytree(tmp_path / "a", tmp_path / "d")
    clip(tmp_path / "d" / "target.mkv", 2)
    found = find_examples(tmp_path, supervision="paired")
    assert reasons(found) == {
        "b": "has no target",
        "c": "has no source and target",
        "d": "has more than one target",
    }


@pytest.mark.robustness(59)
def test_every_fault_of_pairs_is_listed_before_training(tmp_path: Path, clip: Clip) -> None:
    def pair(name: str, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        clip(tmp_path / name / "source.mp4", *before)
        clip(tmp_path / name / "target.mp4", *after)

    pair("good", (1,), (9,))
    pair("scaled", (2, 4, 48, 32), (9, 4, 96, 64))
    pair("aspect", (3,), (9, 4, 64, 32))
    pair("count", (4,), (9, 5))
    pair("short", (5, 1), (9, 1))
    pair("small", (6, 4, 48, 30), (9, 4, 48, 30))
    pair("same", (7,), (7,))
    pair("torn", (8,), (9,))
    (tmp_path / "torn" / "target.mp4").write_bytes((tmp_path / "torn" / "target.mp4").read_bytes()[:300])
    pair("text", (10,), (9,))
    (tmp_path / "text" / "source.mp4").write_text("no clip at all")
    pair("empty", (11,), (9,))
    os.truncate(tmp_path / "empty" / "source.mp4", 0)
    pair("zagain", (12,), (13,))
    shutil.copy(tmp_path / "good" / "source.mp4", tmp_path / "zagain" / "source.mp4")

    found = find_examples(tmp_path, supervision="paired")
    told = reasons(found)
    assert set(told) == {"aspect", "count", "short", "small", "same", "torn", "text", "empty", "zagain"}
    for name, words in {
        "aspect": "source is 48x32, target 64x32; both need the same ratio",
        "count": "source has 4 frame(s), target 5",
        "short": "source has 1 frame(s); at least 2",
        "small": "source is 48x30; at least 32 pixels",
        "same": "the same file",
        "torn": "cannot be read",
        "text": "cannot be read",
        "empty": "cannot be read",
        "zagain": "shows the same as 'good'",
    }.items():
        assert words in told[name], (name, told[name])

    good = check_examples(found)
    assert [pair.name for pair in good.pairs] == ["good", "scaled"]
    assert {fault.name for fault in good.faults} == set(told)
    assert "short" not in {fault.name for fault in validate(found, min_frames=1)}
    with pytest.raises(InvalidExamples, match=r"(?s)9 example.*strict.*\n  aspect: source is"):
        check_examples(found, strict=True)


@pytest.mark.robustness(59)
def test_faults_of_key_frames(tmp_path: Path, clip: Clip) -> None:
    film, keys = clip(tmp_path / "film.mp4", 1), tmp_path / "keys"
    photo(keys / "good.png", 1)
    photo(keys / "larger.png", 2, 96, 64)
    photo(keys / "square.png", 3, 48, 48)
    shutil.copy(keys / "good.png", keys / "twice.png")
    (keys / "bad.png").write_bytes((keys / "good.png").read_bytes()[:50])
    found = find_examples(keys, supervision="paired", clip=film)
    told = reasons(found)
    assert set(told) == {"square.png", "twice.png", "bad.png"}
    assert "is 48x48, its clip 48x32" in told["square.png"]
    assert [path.name for path in check_examples(found).keys] == ["good.png", "larger.png"]
    moving = find_examples(renamed(clip)(tmp_path / "moving.dat", 3), supervision="paired", clip=film)
    assert "is a clip of 4 frame(s)" in reasons(moving)["moving.dat"]
    film.write_text("gone")
    with pytest.raises(InputError, match="film"):
        validate(found)


def renamed(clip: Clip) -> Clip:
    """Makes a clip under a name that says nothing."""

    def make(path: Path, seed: int) -> Path:
        return clip(path.with_suffix(".mp4"), seed).rename(path)

    return make


@pytest.mark.robustness(59)
def test_faults_of_footage(tmp_path: Path, clip: Clip) -> None:
    clip(tmp_path / "a.mp4", 1)
    shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    clip(tmp_path / "more" / "a.mp4", 2, 1)
    (tmp_path / "c.mp4").write_bytes(b"\0" * 100)
    told = reasons(find_examples(tmp_path, supervision="self"))
    assert told[str(tmp_path / "more" / "a.mp4")] == "has 1 frame(s); at least 2 are needed"
    first = str(tmp_path / "a.mp4")
    assert told["b.mp4"] == f"shows the same as {first!r}, byte for byte"
    assert "cannot be read" in told["c.mp4"]
    assert len(told) == 3


@pytest.mark.robustness(59)
def test_none_remains(tmp_path: Path) -> None:
    for number in range(25):
        path = tmp_path / f"{number:02}.mp4"
        path.write_text(f"no clip {number}")
    with pytest.raises(InvalidExamples, match=r"None of the 25 example") as caught:
        check_examples(find_examples(tmp_path, supervision="self"))
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  and 5 more"
    assert lines[1].startswith("  00.mp4: cannot be read")


def test_long_clips_are_not_decoded_to_their_end(tmp_path: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "DECODED_FRAMES", 3)
    clip(tmp_path / "a" / "source.mp4", 1, 6)
    clip(tmp_path / "a" / "target.mp4", 9, 6)
    found = find_examples(tmp_path, supervision="paired")
    read = []
    monkeypatch.setattr(FrameSource, "__next__", lambda self, real=FrameSource.__next__: read.append(1) or real(self))
    assert reasons(found) == {}
    assert len(read) == 6, "three of each clip"
    (tmp_path / "a" / "target.mp4").unlink()
    clip(tmp_path / "a" / "target.mp4", 9, 7)
    assert reasons(found) == {"a": "source has 6 frame(s), target 7; both need as many"}


def test_hashes_are_of_contents(tmp_path: Path, clip: Clip) -> None:
    film = clip(tmp_path / "film.mp4", 1)
    key = photo(tmp_path / "keys" / "a.png", 1)
    hashes = content_hashes(find_examples(tmp_path / "keys", supervision="paired", clip=film))
    assert hashes == {
        "a.png": hashlib.sha256(key.read_bytes()).hexdigest(),
        "clip film.mp4": hashlib.sha256(film.read_bytes()).hexdigest(),
    }
    folder = tmp_path / "frames" / "a"
    for number in range(2):
        for side in ("source", "target"):
            photo(folder / side / f"{number}.png", number + len(side))
    before = content_hashes(find_examples(tmp_path / "frames", supervision="paired"))
    assert set(before) == {"a/source", "a/target"}
    photo(folder / "source" / "1.png", 19)
    after = content_hashes(find_examples(tmp_path / "frames", supervision="paired"))
    assert after["a/target"] == before["a/target"]
    assert after["a/source"] != before["a/source"]

"""VideoWriter and check_output(): exact times and colours, and files that appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vid2vid.errors import (
    InvalidFrames,
    InvalidOption,
    OutputDiskFull,
    OutputExists,
    OutputIsInput,
    OutputNotWritable,
)
from vid2vid.io import VideoWriter, check_output, open_source, probe, read_image, write_image
from vid2vid.io.output import PartialFile

Clip = Callable[..., Path]


def write(path: Path, numbers: Any, count: int = 12, size: tuple[int, int] = (96, 64), **kwargs: Any) -> Path:
    times = kwargs.pop("times", [Fraction(i, 25) for i in range(count)])
    with VideoWriter(path, width=size[0], height=size[1], fps=kwargs.pop("fps", 25), **kwargs) as writer:
        for index, time_s in enumerate(times):
            writer.write(numbers.draw(index, *size), time_s)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".gif"])
def test_containers(tmp_path: Path, numbers: Any, suffix: str) -> None:
    path = write(tmp_path / f"o{suffix}", numbers)
    with open_source(path) as source:
        frames = list(source)
    assert [numbers.read(frame.pixels) for frame in frames] == list(range(12))
    assert max(abs(frame.time_s - Fraction(frame.index, 25)) for frame in frames) <= Fraction(1, 1000)
    assert source.report.notes == ()
    assert source.info.duration_s == pytest.approx(12 / 25, abs=0.001)
    assert frames[0].pixels[6, 6] == pytest.approx((220, 30, 30), abs=12)


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "ffv1"])
def test_other_codecs(tmp_path: Path, numbers: Any, codec: str) -> None:
    path = write(tmp_path / "o.mkv", numbers, codec=codec)
    with open_source(path) as source:
        assert [numbers.read(frame.pixels) for frame in source] == list(range(12))


@pytest.mark.robustness(14)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_times_are_exact(tmp_path: Path, numbers: Any, suffix: str) -> None:
    times = [Fraction(t, 90000) for t in (0, 3003, 6006, 12000, 12500, 40000, 43003)]
    path = write(tmp_path / f"v{suffix}", numbers, times=times, time_base=Fraction(1, 90000))
    with open_source(path) as source:
        assert [frame.time_s for frame in source] == times
    # The last frame stays for as long as the one before did.
    assert probe(path).duration_s == pytest.approx(46006 / 90000, abs=1e-4)


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(456000, 15217), 12.5, 60])
def test_constant_rates_are_exact(tmp_path: Path, numbers: Any, fps: float | Fraction) -> None:
    times = [i / Fraction(fps) for i in range(10)]
    path = write(tmp_path / "c.mp4", numbers, times=times, fps=fps)
    with open_source(path) as source:
        assert [frame.time_s for frame in source] == times
    assert source.info.fps == Fraction(fps)


@pytest.mark.robustness(20)
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize("size", [(97, 65), (96, 65), (97, 64)])
def test_odd_sizes_stay(tmp_path: Path, numbers: Any, suffix: str, size: tuple[int, int]) -> None:
    path = write(tmp_path / f"o{suffix}", numbers, size=size)
    with open_source(path) as source:
        assert (source.info.width, source.info.height) == size
        assert [numbers.read(frame.pixels) for frame in source] == list(range(12))


def test_even_sizes_are_what_every_player_takes(tmp_path: Path, numbers: Any) -> None:
    assert probe(write(tmp_path / "e.mp4", numbers)).pixel_format == "yuv420p"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("rgb", [(200, 120, 40), (255, 0, 0), (10, 10, 200), (255, 255, 255)])
def test_colours_and_their_tags(tmp_path: Path, suffix: str, rgb: tuple[int, int, int]) -> None:
    path = tmp_path / f"c{suffix}"
    with VideoWriter(path, width=96, height=64, fps=25, quality=2) as writer:
        writer.write(np.full((64, 96, 3), rgb, np.uint8), Fraction(0))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1)
        if suffix != ".webm":
            assert (frame.color_trc, frame.color_primaries) == (1, 1)
        planes = [int(np.frombuffer(bytes(plane), np.uint8)[plane.line_size * 5 + 20]) for plane in frame.planes]
    r, g, b = (value / 255 for value in rgb)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    expected = [16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748]
    assert planes == pytest.approx(expected, abs=2)
    with open_source(path) as source:
        assert next(source).pixels[32, 48] == pytest.approx(rgb, abs=4)


def test_sample_aspect_is_kept(tmp_path: Path, numbers: Any) -> None:
    path = write(tmp_path / "a.mp4", numbers, sample_aspect=Fraction(8, 9))
    with open_source(path) as source:
        assert source.sample_aspect == Fraction(8, 9)
    assert any("8:9" in note for note in source.info.notes)


def test_lower_quality_is_smaller(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    sizes = []
    for quality in (10, 40):
        with VideoWriter(tmp_path / f"{quality}.mp4", width=96, height=64, fps=25, quality=quality) as writer:
            writer.write(noise, Fraction(0))
        sizes.append((tmp_path / f"{quality}.mp4").stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


def test_views_are_written_right(tmp_path: Path, numbers: Any) -> None:
    path = tmp_path / "v.mp4"
    with VideoWriter(path, width=96, height=64, fps=25) as writer:
        for index in range(5):
            wide = np.zeros((128, 192, 3), np.uint8)
            wide[::2, ::2] = numbers.draw(index)
            view = wide[::2, ::2]
            writer.write(view, Fraction(index, 25))
            wide[:] = 255
    with open_source(path) as source:
        assert [numbers.read(frame.pixels) for frame in source] == list(range(5))


@pytest.mark.parametrize(
    "wrong", [np.zeros((32, 96, 3), np.uint8), np.zeros((64, 96, 3), np.float32), np.zeros((64, 96), np.uint8)]
)
def test_wrong_frames_are_refused(tmp_path: Path, wrong: Any) -> None:
    with (
        pytest.raises(InvalidFrames, match="Frame 0"),
        VideoWriter(tmp_path / "w.mp4", width=96, height=64, fps=25) as w,
    ):
        w.write(wrong, Fraction(0))
    assert list(tmp_path.iterdir()) == []


def test_times_must_rise(tmp_path: Path, numbers: Any) -> None:
    with pytest.raises(InvalidFrames, match="not after"):
        write(tmp_path / "t.mp4", numbers, times=[Fraction(0), Fraction(1, 25), Fraction(1, 25)])
    assert list(tmp_path.iterdir()) == []


def test_no_frame_is_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidFrames, match="Not one frame"),
        VideoWriter(tmp_path / "n.mp4", width=96, height=64, fps=25),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.robustness(55)
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, numbers: Any) -> None:
    path = tmp_path / "o.mp4"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), VideoWriter(path, width=96, height=64, fps=25, overwrite=True) as writer:
        for index in range(60):
            writer.write(numbers.draw(index), Fraction(index, 25))
        assert [p.name for p in tmp_path.iterdir() if p != path] == [f".o.mp4.partial-{os.getpid()}"]
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["o.mp4"]
    assert path.read_bytes() == b"old"


@pytest.mark.robustness(55)
def test_old_file_stays_until_the_end(tmp_path: Path, numbers: Any) -> None:
    path = tmp_path / "o.mp4"
    path.write_bytes(b"old")
    with VideoWriter(path, width=96, height=64, fps=25, overwrite=True) as writer:
        writer.write(numbers.draw(0), Fraction(0))
        assert path.read_bytes() == b"old"
    assert probe(path).frame_count == 1
    assert [p.name for p in tmp_path.iterdir()] == ["o.mp4"]


def test_long_and_strange_names(tmp_path: Path, numbers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x" * 251 + ".mp4", "-y.mp4", "%03d.mp4", "a:b.mp4", "new\nline ü.mp4"):
        assert probe(write(Path(name), numbers, 3)).frame_count == 3
    assert len(list(tmp_path.iterdir())) == 5


_FULL = """
import resource, signal, sys
from fractions import Fraction
import numpy as np
from vid2vid.errors import OutputDiskFull
from vid2vid.io import VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
noise = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], width=96, height=64, fps=25, quality=1, overwrite=True) as writer:
        for index in range(int(sys.argv[2])):
            writer.write(noise.integers(0, 255, (64, 96, 3), np.uint8), Fraction(index, 25))
except OutputDiskFull as error:
    print("full:", error)
"""


@pytest.mark.robustness(47)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("frames", [100, 6], ids=["while writing", "at the end"])
def test_disk_full(tmp_path: Path, suffix: str, frames: int) -> None:
    path = tmp_path / f"f{suffix}"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", _FULL, str(path), str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("full: No room left"), done.stdout + done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"old"


@pytest.mark.robustness(47)
def test_full_disk_on_moving_into_place(tmp_path: Path, numbers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputDiskFull):
        write(tmp_path / "f.mp4", numbers)
    assert list(tmp_path.iterdir()) == []


def test_partial_file_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("sync"), sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b))[1])
    partial = PartialFile(tmp_path / "a.mp4")
    partial.path.write_bytes(b"new")
    partial.commit()
    assert order == ["sync", "replace", "sync"]
    assert (tmp_path / "a.mp4").read_bytes() == b"new"


class TestCheckOutput:
    """What is refused before any work begins."""

    def test_good_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert check_output("a.mp4") == tmp_path / "a.mp4"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["a.txt", "a", "a.mp3", "a.mp4.zip"])
    def test_suffix(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InvalidOption, match=r"\.mp4, \.m4v, \.mov, \.mkv, \.webm, \.gif"):
            check_output(tmp_path / name)

    @pytest.mark.robustness(55)
    def test_existing(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").touch()
        with pytest.raises(OutputExists, match="overwrite"):
            check_output(tmp_path / "a.mp4")
        check_output(tmp_path / "a.mp4", overwrite=True)

    def test_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").symlink_to(tmp_path / "gone")
        with pytest.raises(OutputExists):
            check_output(tmp_path / "a.mp4")

    @pytest.mark.robustness(54)
    @pytest.mark.parametrize("link", ["same", "symlink", "hardlink", "dotted"])
    def test_input(self, plain: Path, tmp_path: Path, link: str) -> None:
        source = tmp_path / "s.mp4"
        source.write_bytes(plain.read_bytes())
        output = tmp_path / "o.mp4"
        if link == "symlink":
            output.symlink_to(source)
        elif link == "hardlink":
            output.hardlink_to(source)
        else:
            output = source if link == "same" else tmp_path / ".." / tmp_path.name / "s.mp4"
        with pytest.raises(OutputIsInput):
            check_output(output, source, overwrite=True)

    @pytest.mark.robustness(53)
    def test_folders(self, tmp_path: Path) -> None:
        (tmp_path / "d.mp4").mkdir()
        for path in (tmp_path / "d.mp4", tmp_path / "missing" / "a.mp4"):
            with pytest.raises(OutputNotWritable):
                check_output(path, overwrite=True)

    @pytest.mark.robustness(53)
    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_read_only_folder(self, tmp_path: Path) -> None:
        (tmp_path / "r").mkdir(mode=0o500)
        with pytest.raises(OutputNotWritable):
            check_output(tmp_path / "r" / "a.mp4")

    @pytest.mark.robustness(53)
    def test_folder_that_refuses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
        with pytest.raises(OutputNotWritable, match="Permission denied"):
            check_output(tmp_path / "a.mp4")

    def test_fifo(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "f.mp4")
        with pytest.raises(OutputNotWritable):
            check_output(tmp_path / "f.mp4", overwrite=True)


@pytest.mark.parametrize(
    "wrong",
    [{"codec": "libvpx"}, {"quality": 60}, {"width": 0}, {"fps": 0}, {"time_base": Fraction(0)}],
    ids=lambda w: next(iter(w)),
)
def test_options_are_checked_at_once(tmp_path: Path, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"width": 96, "height": 64, "fps": 25} | wrong
    with pytest.raises(InvalidOption):
        VideoWriter(tmp_path / "o.mp4", **given)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_write_image(tmp_path: Path, numbers: Any, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    path.write_bytes(b"old")
    write_image(path, numbers.draw(5))
    got = read_image(path)
    assert numbers.read(got) == 5
    assert got[6, 6] == pytest.approx((220, 30, 30), abs=12)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]

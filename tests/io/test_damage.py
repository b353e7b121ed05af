"""Damaged and truncated files: nothing is lost beyond what is damaged, and everything is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vid2vid.errors import CorruptInput, TruncatedInput
from vid2vid.io import FrameSource, open_source

Clip = Callable[..., Path]


def break_packets(path: Path, target: Path, broken: Iterable[int]) -> Path:
    """Overwrites whole packets, counted in decoding order, with bytes that are no H.264."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for index in broken:
        position, size = packets[index]
        content[position : position + size] = b"\xff" * size
    target.write_bytes(content)
    return target


@pytest.fixture(scope="module")
def steady(clip: Clip) -> Path:
    """100 frames, no B-frames, a key frame every 10 and nowhere else."""
    options = {"bf": "0", "g": "10", "sc_threshold": "0"}
    return clip("d.mp4", 100, options=options, container_options={"movflags": "+faststart"})


def _numbers(source: FrameSource, numbers: Any) -> list[int]:
    return [numbers.read(frame.pixels) for frame in source]


@pytest.mark.robustness(9)
def test_lost_frames_repeat_the_last_good_one(steady: Path, numbers: Any, tmp_path: Path) -> None:
    path = break_packets(steady, tmp_path / "b.mp4", [15, 16, 59])
    with open_source(path) as source:
        frames = list(source)
    seen = [numbers.read(frame.pixels) for frame in frames]
    assert len(seen) == 100
    assert [frame.time_s * 25 for frame in frames] == list(range(100))
    assert seen[:15] == list(range(15))
    assert seen[15:17] == [14, 14]
    assert seen[20:59] == list(range(20, 59))
    assert seen[59:] == [58, *range(60, 100)]
    assert [frame.index for frame in frames if frame.concealed] == [15, 16, 59]
    report = source.report
    assert (report.concealed, report.concealed_frames, report.truncated) == (3, (15, 16, 59), False)


@pytest.mark.robustness(9)
def test_damage_with_b_frames_keeps_the_length(clip: Clip, numbers: Any, tmp_path: Path) -> None:
    good = clip("b.mp4", 100, options={"bf": "3", "g": "20"})
    path = break_packets(good, tmp_path / "b.mp4", [31, 47])
    with open_source(path) as source:
        frames = list(source)
    assert [frame.time_s * 25 for frame in frames] == list(range(100))
    assert 1 <= source.report.concealed <= 4
    seen = [numbers.read(frame.pixels) for frame in frames]
    assert seen[:25] == list(range(25))
    assert seen[60:] == list(range(60, 100))


@pytest.mark.robustness(9)
def test_lost_key_frame_holds_the_picture(steady: Path, numbers: Any, tmp_path: Path) -> None:
    with open_source(break_packets(steady, tmp_path / "b.mp4", [30])) as source:
        frames = list(source)
    seen = [numbers.read(frame.pixels) for frame in frames]
    assert [frame.time_s * 25 for frame in frames] == list(range(100))
    assert seen[:30] == list(range(30))
    assert seen[30] == 29
    assert seen[40:] == list(range(40, 100))
    assert 1 <= source.report.concealed <= 10


@pytest.mark.robustness(9)
def test_last_frames_lost(steady: Path, numbers: Any, tmp_path: Path) -> None:
    with open_source(break_packets(steady, tmp_path / "b.mp4", [98, 99])) as source:
        assert _numbers(source, numbers)[-3:] == [97, 97, 97]
    assert source.report.concealed_frames == (98, 99)


@pytest.mark.robustness(9)
def test_too_much_damage_is_refused(steady: Path, tmp_path: Path) -> None:
    path = break_packets(steady, tmp_path / "b.mp4", range(11, 18))
    with open_source(path) as source, pytest.raises(CorruptInput, match=r"of \d+ frames are damaged"):
        list(source)


@pytest.mark.robustness(9)
def test_damage_in_transport_stream_and_avi(clip: Clip, numbers: Any, tmp_path: Path) -> None:
    good = clip("d.avi", 100, codec="mpeg4", options={"g": "10"})
    path = break_packets(good, tmp_path / "b.avi", [25])
    with open_source(path) as source:
        frames = list(source)
    assert len(frames) == 100
    assert frames[-1].time_s * 25 == 99
    assert numbers.read(frames[99].pixels) == 99
    assert source.report.concealed + source.report.damaged >= 1


@pytest.mark.robustness(9)
def test_every_frame_broken(steady: Path, tmp_path: Path) -> None:
    path = break_packets(steady, tmp_path / "b.mp4", range(100))
    with pytest.raises(Exception, match="not one frame") as caught:
        open_source(path)
    assert getattr(caught.value, "code", "") == "no_decodable_frames"


@pytest.mark.robustness(5, 7, 8)
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("t.mp4", {"container_options": {"movflags": "+faststart"}}),
        ("f.mp4", {"container_options": {"movflags": "+frag_keyframe+empty_moov"}}),
        ("t.mkv", {}),
        ("t.avi", {"codec": "mpeg4"}),
        ("t.ts", {}),
    ],
)
def test_truncated(clip: Clip, numbers: Any, tmp_path: Path, name: str, how: dict[str, Any]) -> None:
    noise = np.random.default_rng(1).integers(0, 60, (64, 96, 3), np.uint8)
    pictures = [np.maximum(numbers.draw(i), noise) for i in range(100)]
    options = {"g": "10"} | ({"bf": "0"} if "codec" not in how else {})
    good = clip(name, 100, pictures=pictures, options=options, **how)
    content = good.read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * 0.6) // 188 * 188 + 50])
    with open_source(path) as source:
        seen = _numbers(source, numbers)
    assert 40 <= len(seen) <= 75
    assert seen[:-1] == list(range(len(seen) - 1))
    assert source.report.truncated
    assert any("ends early" in note for note in source.report.notes)
    with pytest.raises(TruncatedInput):
        for _ in open_source(path, strict=True):
            pass


@pytest.mark.robustness(5, 7)
def test_complete_files_are_not_called_truncated(clip: Clip) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi", "a.ts", "a.webm", "a.flv"):
        codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
        with open_source(clip(name, 20, codec=codec), strict=True) as source:
            assert len(list(source)) == 20
        assert not source.report.truncated


@pytest.mark.robustness(25)
def test_false_frame_count_is_harmless(steady: Path, tmp_path: Path) -> None:
    content = steady.read_bytes()
    duration = content.index(b"mvhd") + 20
    lie = content[:duration] + b"\x7f\xff\xff\xff" + content[duration + 4 :]
    (tmp_path / "lie.mp4").write_bytes(lie)
    with open_source(tmp_path / "lie.mp4") as source:
        assert len(list(source)) == 100
    assert not source.report.truncated

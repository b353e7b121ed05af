"""probe(): what it says of good files, and a typed error for every bad one."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from vid2vid.errors import (
    BadTimebase,
    EmptyInput,
    InputNotFound,
    InvalidOption,
    NoDecodableFrames,
    NotAVideo,
    NoVideoStream,
    TooLarge,
    TooSmall,
    UnreadableContainer,
)
from vid2vid.io import open_source, probe, write_image
from vid2vid.io.orientation import from_matrix

Clip = Callable[..., Path]


def test_says_what_the_file_is(plain: Path) -> None:
    info = probe(plain)
    assert (info.width, info.height, info.fps, info.frame_count) == (96, 64, 25, 40)
    assert (info.codec, info.pixel_format, info.container, info.kind) == ("h264", "yuv420p", "mov", "file")
    assert info.duration_s == pytest.approx(1.6)
    assert not info.has_audio
    assert info.notes == ()


def test_tells_of_sound(sounding: Path) -> None:
    assert probe(sounding).has_audio


@pytest.mark.robustness(15)
@pytest.mark.parametrize(
    ("counter_clockwise", "clockwise", "size"),
    [(90, 270, (64, 96)), (180, 180, (96, 64)), (270, 90, (64, 96)), (0, 0, (96, 64))],
)
def test_size_is_upright(clip: Clip, counter_clockwise: int, clockwise: int, size: tuple[int, int]) -> None:
    info = probe(clip("r.mp4", 3, rotation=counter_clockwise))
    assert (info.rotation, (info.width, info.height)) == (clockwise, size)


@pytest.mark.robustness(16)
def test_insane_matrix_counts_as_upright(clip: Clip) -> None:
    lowest = -(2**31)
    info = probe(clip("i.mp4", 3, matrix=(lowest, 0, 0, 0, lowest, 0, 0, 0, 1 << 30)))
    assert info.rotation == 0
    assert any("rotation ignored" in note for note in info.notes)


@pytest.mark.robustness(16)
def test_skewed_matrix_is_rounded() -> None:
    orientation = from_matrix(6000, 65000, -65000, 6000)
    assert orientation.rotation == 90
    assert orientation.note == "rotation rounded to a quarter turn"


@pytest.mark.robustness(2, 32)
@pytest.mark.parametrize("name", ["missing.mp4", "http://example.org/a.mp4", "pipe:0", "a\0b.mp4", "-"])
def test_names_are_not_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputNotFound):
        probe(name)


@pytest.mark.robustness(32)
@pytest.mark.parametrize(
    "name",
    [
        "-i.mp4",
        "%03d.mp4",
        "concat:a|b.mp4",
        "new\nline.mp4",
        "sp ace 🎬.mp4",
        "ü" * 125 + ".mp4",
        "file:x.mp4",
        "a?b#c",
    ],
)
def test_strange_names_are_plain_files(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(plain, tmp_path / name)
    assert probe(name).frame_count == 40


@pytest.mark.robustness(32)
def test_name_that_is_no_utf8(plain: Path, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4")
    shutil.copy(plain, name)
    assert probe(name).frame_count == 40


@pytest.mark.robustness(32)
def test_pattern_name_reads_one_image(tmp_path: Path) -> None:
    for name in ("%03d.png", "001.png", "002.png"):
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), 9 if name[0] == "%" else 99, np.uint8))
    frames = list(open_source(tmp_path / "%03d.png"))
    assert [frame.pixels.max() for frame in frames] == [9]


@pytest.mark.robustness(2)
def test_fifo_is_refused_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    code = (
        "import sys; from vid2vid.io import probe; from vid2vid.errors import InputNotFound\n"
        "try: probe(sys.argv[1])\nexcept InputNotFound: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(fifo)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout.strip() == "refused", done.stderr


@pytest.mark.robustness(2)
def test_device_and_folder_are_refused(tmp_path: Path) -> None:
    for path in ("/dev/zero", tmp_path):
        with pytest.raises(InputNotFound):
            probe(path)


@pytest.mark.robustness(1)
def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "e.mp4").touch()
    with pytest.raises(EmptyInput):
        probe(tmp_path / "e.mp4")


@pytest.mark.robustness(3, 33)
@pytest.mark.parametrize(
    "content",
    [
        bytes(np.random.default_rng(0).integers(0, 256, 20_000, np.uint8)),
        b"Some text, long enough to look at.\n" * 50,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nplain.mp4\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile plain.mp4\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        b"a=rtpmap:96 H264/90000\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
    ],
    ids=["noise", "text", "hls", "concat", "sdp", "dash"],
)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8"])
def test_other_content_is_no_video(plain: Path, tmp_path: Path, content: bytes, suffix: str) -> None:
    # The file that the playlists name is there: following one would succeed.
    shutil.copy(plain, tmp_path / "plain.mp4")
    (tmp_path / f"x.{suffix}").write_bytes(content)
    with pytest.raises(NotAVideo):
        probe(tmp_path / f"x.{suffix}")


@pytest.mark.robustness(12)
def test_sound_alone(tmp_path: Path) -> None:
    for name, codec in (("s.mp3", "libmp3lame"), ("s.m4a", "aac")):
        with av.open(str(tmp_path / name), "w") as out:
            stream = out.add_stream(codec, rate=48000, layout="stereo")
            stream.codec_context.open()
            size = stream.codec_context.frame_size or 1152
            for index in range(50):
                frame = av.AudioFrame(stream.format.name, "stereo", size)
                for plane in frame.planes:
                    plane.update(bytes(plane.buffer_size))
                frame.sample_rate, frame.pts, frame.time_base = 48000, index * size, Fraction(1, 48000)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        with pytest.raises(NoVideoStream):
            probe(tmp_path / name)


@pytest.mark.robustness(6)
def test_missing_index(plain: Path, tmp_path: Path) -> None:
    content = plain.read_bytes()
    (tmp_path / "m.mp4").write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(UnreadableContainer, match="untrunc"):
        probe(tmp_path / "m.mp4")


@pytest.mark.robustness(11)
def test_header_without_frames(clip: Clip, tmp_path: Path) -> None:
    content = clip("f.mp4", container_options={"movflags": "+faststart"}).read_bytes()
    (tmp_path / "h.mp4").write_bytes(content[: content.index(b"mdat") + 4])
    with pytest.raises(NoDecodableFrames):
        probe(tmp_path / "h.mp4")


@pytest.mark.robustness(24)
def test_huge_header_is_refused_before_allocation(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0))
    rest = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "h.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + rest)
    with pytest.raises(TooLarge, match="30000x30000"):
        probe(tmp_path / "h.png")


@pytest.mark.robustness(24)
def test_huge_video_header_is_refused(clip: Clip, tmp_path: Path) -> None:
    content = bytearray(clip("v.avi", 3, codec="ffv1").read_bytes())
    sizes = content.index(b"strf") + 12
    assert content[sizes : sizes + 8] == struct.pack("<2i", 96, 64)
    content[sizes : sizes + 8] = struct.pack("<2i", 30000, 30000)
    (tmp_path / "h.avi").write_bytes(content)
    # FFmpeg, told of the limit, does not even hand out such a size.
    with pytest.raises(NoDecodableFrames, match="over 67108864 pixels"):
        probe(tmp_path / "h.avi")


@pytest.mark.robustness(22)
def test_tiny_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "t.png"), np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(TooSmall, match="2x2"):
        probe(tmp_path / "t.png")


@pytest.mark.robustness(27)
def test_unbelievable_rate(clip: Clip) -> None:
    slow = clip("s.mp4", 3, fps=Fraction(1, 500))
    with pytest.raises(BadTimebase, match="fps="):
        probe(slow)
    assert probe(slow, fps=25).fps == 25


@pytest.mark.robustness(27)
@pytest.mark.parametrize("fps", [0, -25, float("nan"), float("inf"), 1e6, "fast"])
def test_fps_is_checked(plain: Path, fps: object) -> None:
    with pytest.raises(InvalidOption, match="frame rate"):
        probe(plain, fps=fps)  # type: ignore[arg-type]


@pytest.mark.robustness(4)
def test_wrong_suffix_is_noted(plain: Path, tmp_path: Path) -> None:
    shutil.copy(plain, tmp_path / "video.jpg")
    info = probe(tmp_path / "video.jpg")
    assert info.kind == "file"
    assert "named .jpg, but holds mov" in info.notes


@pytest.mark.robustness(31)
def test_metadata_that_is_no_utf8(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "m.mkv"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "TITLETITLE"
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height = 96, 64
        out.mux(stream.encode(av.VideoFrame(96, 64, "yuv420p")))
        out.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"TITLETITLE", b"\xff\xfe\xe9\xff\xfe\xe9\xff\xfe\xe9\xff"))
    assert probe(path).width == 96


@pytest.fixture
def two_streams(tmp_path: Path) -> Path:
    """A Matroska file of 32x32 and 96x64 pictures."""
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=25) for _ in range(2)]
        for stream, size in zip(streams, ((32, 32), (96, 64)), strict=True):
            stream.width, stream.height = size
        for stream in streams:
            for index in range(5):
                frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
                frame.pts = index
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return path


@pytest.mark.robustness(13)
def test_largest_stream_wins(two_streams: Path) -> None:
    info = probe(two_streams)
    assert (info.width, info.height) == (96, 64)
    assert "1 other picture stream(s) left out; stream=1 is read" in info.notes
    assert {frame.pixels.shape for frame in open_source(two_streams)} == {(64, 96, 3)}


@pytest.mark.robustness(13)
def test_another_stream_can_be_asked_for(two_streams: Path) -> None:
    source = open_source(two_streams, stream=0)
    assert "1 other picture stream(s) left out; stream=0 is read" in source.report.notes
    for frames in (source, source.reopen()):
        assert {frame.pixels.shape for frame in frames} == {(32, 32, 3)}


@pytest.mark.robustness(13)
@pytest.mark.parametrize("number", [2, 99, -1, True, 0.0, "1"])
def test_a_stream_that_is_not_there(two_streams: Path, number: Any) -> None:
    with pytest.raises(InvalidOption, match=f"stream={number!r}") as caught:
        open_source(two_streams, stream=number)
    if number in (2, 99):
        assert "has 2 picture streams, 0 to 1" in str(caught.value)


@pytest.mark.robustness(13)
def test_only_files_have_streams(two_streams: Path, tmp_path: Path) -> None:
    picture = np.zeros((16, 16, 3), np.uint8)
    write_image(tmp_path / "a.png", picture)
    for source in (picture, tmp_path):
        with pytest.raises(InvalidOption, match="only a video file has streams"):
            open_source(source, stream=0)
    assert len(list(open_source(tmp_path / "a.png", stream=0))) == 1
    with pytest.raises(InvalidOption, match="has one picture stream, 0"):
        open_source(tmp_path / "a.png", stream=1)

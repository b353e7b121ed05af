"""Files that other programs make, and files that somebody made on purpose: read rightly or refused by name."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from vid2vid.errors import (
    BadTimebase,
    CorruptInput,
    InputNotFound,
    NoDecodableFrames,
    NotAVideo,
    NoVideoStream,
    TooSmall,
    UnreadableContainer,
    UnsupportedCodec,
    Vid2VidError,
)
from vid2vid.io import VideoWriter, open_source, probe, read_sound
from vid2vid.samples import load_samples

Clip = Callable[..., Path]
SAMPLES = load_samples()


def read(path: Path) -> tuple[list[Any], Any]:
    with open_source(path) as source:
        frames = list(source)
    return frames, source.report


# Formats.


@pytest.mark.robustness(30)
@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.webm", "libvpx", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.mkv", "libsvtav1", "yuv420p"),
        ("a.mp4", "libx265", "yuv420p"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.flv", "flv1", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.wmv", "wmv2", "yuv420p"),
        ("a.ogg", "libvpx", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_formats_that_are_read(clip: Clip, numbers: Any, name: str, codec: str, pixel_format: str) -> None:
    frames, report = read(clip(name, 6, codec=codec, pixel_format=pixel_format))
    assert [numbers.read(frame.pixels) for frame in frames] == list(range(6))
    assert (report.concealed, report.damaged, report.truncated) == (0, 0, False)


@pytest.mark.robustness(30)
def test_a_codec_without_a_decoder_is_named_so(plain: Path, tmp_path: Path) -> None:
    content = plain.read_bytes()
    at = content.index(b"avc1", content.index(b"stsd"))
    (tmp_path / "u.mp4").write_bytes(content[:at] + b"xyz1" + content[at + 4 :])
    with pytest.raises(UnsupportedCodec, match=r"no decoder for its video \(codec 'xyz1'\)"):
        probe(tmp_path / "u.mp4")


@pytest.mark.robustness(30)
@pytest.mark.parametrize(("stored", "told"), [(b"V_AVS3", "codec avs3"), (b"V_XYZ9", "codec 'V_XYZ9'")])
def test_a_codec_of_matroska_without_a_decoder_is_named_so(clip: Clip, stored: bytes, told: str) -> None:
    """One that FFmpeg knows and cannot decode, and one that it does not know."""
    path = clip("u.mkv", 2, codec="ffv1")
    path.write_bytes(path.read_bytes().replace(b"V_FFV1", stored))
    with pytest.raises(UnsupportedCodec) as caught:
        probe(path)
    assert f"({told})" in str(caught.value)


@pytest.mark.robustness(19)
@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.mov", "prores_ks", "yuva444p10le"), ("a.mov", "qtrle", "argb"), ("a.mkv", "ffv1", "bgra")],
)
def test_alpha_of_clips_is_laid_over_black(clip: Clip, name: str, codec: str, pixel_format: str) -> None:
    frames, report = read(clip(name, 2, codec=codec, pixel_format=pixel_format, pictures=[_see_through()] * 2))
    assert [int(frames[1].pixels[30, x, 0]) for x in (16, 48, 80)] == pytest.approx([0, 100, 200], abs=3)
    assert "transparent parts laid over black" in report.notes


@pytest.mark.robustness(19)
def test_alpha_that_the_decoder_drops_is_told(clip: Clip) -> None:
    path = clip("a.webm", 2, codec="libvpx-vp9", pixel_format="yuva420p", pictures=[_see_through()] * 2)
    assert "the decoder drops this stream's alpha channel" in probe(path).notes


def _see_through() -> np.ndarray:
    rgba = np.full((64, 96, 4), 200, np.uint8)
    rgba[..., 3] = np.repeat((0, 128, 255), 32)
    return rgba


# Nothing to see.


@pytest.mark.robustness(11)
def test_an_encrypted_file_is_called_that(clip: Clip) -> None:
    scheme = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00112233" * 4, "encryption_kid": "01234567" * 4}
    with pytest.raises(NoDecodableFrames, match="it is encrypted"):
        probe(clip("e.mp4", 10, container_options=scheme))


@pytest.mark.robustness(11)
def test_an_init_segment_holds_no_frames(clip: Clip, tmp_path: Path) -> None:
    content = clip("f.mp4", container_options={"movflags": "+frag_keyframe+empty_moov"}).read_bytes()
    (tmp_path / "init.mp4").write_bytes(content[: content.index(b"moof") - 4])
    with pytest.raises(NoDecodableFrames):
        probe(tmp_path / "init.mp4")


@pytest.mark.robustness(12)
def test_cover_art_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "c.mp3"), "w") as out:
        sound: Any = out.add_stream("libmp3lame", rate=48000, layout="stereo")
        cover: Any = out.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame(96, 64, "yuvj420p")
        picture.pts = 0
        out.mux([*cover.encode(picture), *cover.encode(None)])
        for index in range(20):
            frame = av.AudioFrame(sound.format.name, "stereo", 1152)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = 48000, index * 1152, Fraction(1, 48000)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    with pytest.raises(NoVideoStream, match="audio, video"):
        probe(tmp_path / "c.mp3")


@pytest.mark.robustness(22)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (8, 6)])
def test_small_clips_are_refused_and_eight_pixels_are_enough(clip: Clip, size: tuple[int, int]) -> None:
    def of(width: int, height: int) -> Path:
        black = [np.zeros((height, width, 3), np.uint8)] * 2
        return clip("s.mkv", 2, codec="ffv1", pixel_format="bgr0", size=(width, height), pictures=black)

    with pytest.raises(TooSmall, match=f"{size[0]}x{size[1]}"):
        probe(of(*size))
    assert len(read(of(8, 8))[0]) == 2


# Headers that lie.


def _patched(path: Path, target: Path, box: bytes, offset: int, value: int) -> Path:
    """Writes four bytes at an offset from the name of the first box of a kind."""
    content = bytearray(path.read_bytes())
    at = content.index(box) + offset
    content[at : at + 4] = struct.pack(">I", value)
    target.write_bytes(content)
    return target


@pytest.fixture(scope="module")
def steady(clip: Clip) -> Path:
    return clip("s.mp4", 40, options={"bf": "0"})


@pytest.mark.robustness(25, 26)
def test_a_table_that_lists_more_frames_than_there_are(steady: Path, tmp_path: Path) -> None:
    path = _patched(steady, tmp_path / "l.mp4", b"stts", 12, 5000)
    assert probe(path).frame_count == 5000
    frames, report = read(path)
    assert [frame.time_s * 25 for frame in frames] == list(range(40))
    assert not report.truncated


@pytest.mark.robustness(25, 26)
@pytest.mark.parametrize("count", [2**31 - 1, 2**32 - 1])
def test_a_table_that_no_file_could_hold(steady: Path, tmp_path: Path, count: int) -> None:
    with pytest.raises(UnreadableContainer):
        probe(_patched(steady, tmp_path / "l.mp4", b"stsz", 12, count))


@pytest.mark.robustness(27)
def test_time_scales_of_nothing(steady: Path, tmp_path: Path) -> None:
    path = _patched(steady, tmp_path / "z.mp4", b"mdhd", 16, 0)
    with pytest.raises(BadTimebase, match="fps="):
        probe(path)
    assert len(list(open_source(path, fps=25))) >= 1
    assert len(read(_patched(steady, tmp_path / "m.mp4", b"mvhd", 16, 0))[0]) == 40
    with pytest.raises(BadTimebase):
        probe(_patched(steady, tmp_path / "h.mp4", b"stts", 16, 2**31 - 1))


@pytest.mark.robustness(27, 28)
def test_frames_that_take_no_time(steady: Path, tmp_path: Path) -> None:
    frames, report = read(_patched(steady, tmp_path / "n.mp4", b"stts", 16, 0))
    times = [frame.time_s for frame in frames]
    assert len(times) == 40
    assert times == sorted(set(times))
    assert any("set anew" in note for note in report.notes)


@pytest.mark.robustness(25, 28)
def test_a_leap_in_time_makes_no_endless_film(clip: Clip) -> None:
    """Half a day between two frames of a second-long clip is damage; an hour of standing still may be meant."""
    late = 25 * 43_200
    frames, report = read(clip("j.mkv", 20, ticks=[*range(10), *range(late, late + 10)]))
    assert [round(frame.time_s * 25) for frame in frames] == list(range(20))
    assert any("set anew" in note for note in report.notes)
    frames, report = read(clip("k.mkv", 20, ticks=[*range(10), *range(90_000, 90_010)]))
    assert [round(frame.time_s * 25) for frame in frames][9:11] == [9, 90_000]
    assert not report.notes


# Files that point elsewhere.


@contextmanager
def opened_files(folder: Path) -> Iterator[Callable[[], set[str]]]:
    """Tells the names of what is opened in a folder, by whatever code."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(handle, os.fsencode(folder), 0x20) >= 0

    def names() -> set[str]:
        found, content = set(), b""
        with suppress(BlockingIOError):
            content = os.read(handle, 1 << 16)
        while content:
            length = struct.unpack("iIII", content[:16])[3]
            found.add(content[16 : 16 + length].rstrip(b"\0").decode())
            content = content[16 + length :]
        return found

    try:
        yield names
    finally:
        os.close(handle)


@pytest.mark.skipif(sys.platform != "linux", reason="needs inotify")
@pytest.mark.robustness(33)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "txt", "sdp", "avi"])
def test_playlists_open_no_file_and_no_socket(plain: Path, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "victim.mp4").write_bytes(plain.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as server, opened_files(tmp_path) as names:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        for number, content in enumerate(
            (
                f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}\n#EXTINF:5,\nvictim.mp4\n#EXT-X-ENDLIST\n",
                f"ffconcat version 1.0\nfile victim.mp4\nfile '{url}'\n",
                "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
                f'<?xml version="1.0"?><MPD type="static"><BaseURL>{url}</BaseURL></MPD>',
                f"[playlist]\nFile1={url}\n",
                f"concat:victim.mp4|{url}",
                f"[InternetShortcut]\nURL={url}\n",
            )
        ):
            path = tmp_path / f"list{number}.{suffix}"
            path.write_text(content * 3)
            with pytest.raises(NotAVideo):
                probe(path)
        for name in (url, "concat:victim.mp4", "subfile,,start,0,end,9,,:victim.mp4", "data:,x", "tcp://127.0.0.1:1"):
            with pytest.raises(InputNotFound):
                probe(name)
        assert "victim.mp4" not in names()
        with pytest.raises(BlockingIOError):
            server.accept()


def _with_reference(content: bytes, target: str) -> bytes:
    """Makes a QuickTime file's samples lie in another file: an alias in its list of data references."""
    path = target.encode()
    alias = bytes(10) + b"\x01v" + bytes(26) + bytes(12) + bytes([1]) + b"f" + bytes(62) + bytes(16)
    alias += struct.pack(">2H", 1, 1) + bytes(16) + struct.pack(">2H", 2, len(path)) + path + b"\0" * (len(path) % 2)
    alias += struct.pack(">2H", 0xFFFF, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    at = content.index(b"url ", content.index(b"dref")) - 4
    grown = bytearray(content[:at] + entry + content[at + 12 :])
    for name in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = content.index(name) - 4
        size = struct.unpack(">I", content[place : place + 4])[0] + len(entry) - 12
        grown[place : place + 4] = struct.pack(">I", size)
    return bytes(grown)


@pytest.mark.skipif(sys.platform != "linux", reason="needs inotify")
@pytest.mark.robustness(33)
def test_samples_in_another_file_are_not_fetched(clip: Clip, tmp_path: Path) -> None:
    victim = tmp_path / "victim.mp4"
    victim.write_bytes(clip("v.mp4", 10).read_bytes())
    crafted = tmp_path / "crafted.mov"
    crafted.write_bytes(_with_reference(clip("c.mov", 10).read_bytes(), str(victim)))
    with opened_files(tmp_path) as names:
        with av.open(str(crafted), options={"enable_drefs": "1", "use_absolute_path": "1"}):
            assert "victim.mp4" in names(), "the trap works where FFmpeg is told to walk into it"
        with suppress(Vid2VidError):
            read(crafted)
        assert names() == {"crafted.mov"}


# Damage to real clips.


@pytest.mark.robustness(10)
@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_real_clips_with_a_hole_keep_their_length(sample: Any, tmp_path: Path) -> None:
    whole, _ = read(sample.path)
    with av.open(str(sample.path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(sample.path.read_bytes())
    at, size = packets[len(packets) // 3]
    content[at : at + size] = b"\xff" * size
    (tmp_path / "hole.mp4").write_bytes(content)
    frames, report = read(tmp_path / "hole.mp4")
    assert [frame.time_s for frame in frames] == [frame.time_s for frame in whole]
    assert 1 <= report.concealed + report.damaged <= len(whole) // 5
    for at, size in packets[len(packets) // 3 : len(packets) // 2]:
        content[at : at + size] = b"\xff" * size
    (tmp_path / "ruin.mp4").write_bytes(content)
    with pytest.raises(CorruptInput):
        read(tmp_path / "ruin.mp4")


@pytest.mark.robustness(10)
@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_real_clips_that_are_cut(sample: Any, tmp_path: Path, share: float) -> None:
    content = sample.path.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: int(len(content) * share)])
    if content.index(b"moov") > content.index(b"mdat"):
        with pytest.raises(UnreadableContainer, match="cut short"):
            probe(tmp_path / "cut.mp4")
        return
    frames, report = read(tmp_path / "cut.mp4")
    whole, _ = read(sample.path)
    assert report.truncated
    assert share * 0.3 < len(frames) / len(whole) < 1


# Sound.


@pytest.mark.robustness(9, 58)
def test_damaged_sound_costs_its_own_packets_only(clip: Clip, tmp_path: Path) -> None:
    """AAC from a transport stream is looked into on its way to MP4, and what is damaged is refused there."""
    good = clip("a.ts", 50, sound="aac", sound_s=2)
    content = bytearray(good.read_bytes())
    with av.open(str(good)) as container:
        places = [packet.pos for packet in container.demux(audio=0) if packet.size]
    start = content.index(b"\xff\xf1", places[len(places) // 2])
    content[start : start + 2] = b"\0\0"
    (tmp_path / "b.ts").write_bytes(content)
    with (
        open_source(tmp_path / "b.ts") as source,
        VideoWriter(tmp_path / "o.mp4", width=96, height=64, fps=25, audio_from=tmp_path / "b.ts") as writer,
    ):
        for frame in source:
            writer.write(frame.pixels, frame.time_s)
    assert "damaged packet(s) of sound left out" in writer.audio.reason
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert sum(1 for packet in container.demux(audio=0) if packet.size) > 50


@pytest.mark.robustness(58)
def test_surround_sound_keeps_its_channels(tmp_path: Path) -> None:
    source = tmp_path / "s.mkv"
    with av.open(str(source), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound: Any = out.add_stream("pcm_s16le", rate=48000, layout="5.1")
        for index in range(25):
            frame = av.VideoFrame(96, 64, "yuv420p")
            frame.pts = index
            out.mux(video.encode(frame))
            samples = np.repeat(np.arange(1, 7, dtype=np.int16)[None] * 1000, 1920, 0).reshape(1, -1)
            block = av.AudioFrame.from_ndarray(samples, format="s16", layout="5.1")
            block.sample_rate, block.pts, block.time_base = 48000, index * 1920, Fraction(1, 48000)
            out.mux(sound.encode(block))
        out.mux([*video.encode(None), *sound.encode(None)])
    target = tmp_path / "o.mp4"
    with (
        open_source(source) as frames,
        VideoWriter(target, width=96, height=64, fps=25, audio_from=source) as writer,
    ):
        for frame in frames:
            writer.write(frame.pixels, frame.time_s)
    assert writer.audio.action == "aac"
    with av.open(str(target)) as container:
        assert container.streams.audio[0].layout.name == "5.1"
        assert float(container.streams.audio[0].duration * container.streams.audio[0].time_base) < 1.1


@pytest.mark.robustness(9, 58)
def test_a_sound_track_without_a_rate_is_left_out(clip: Clip, tmp_path: Path) -> None:
    """What is left of a track in a damaged transport stream; the whole render was once refused over it."""
    good = clip("a.ts", 50, sound="aac", sound_s=2)
    content = bytearray(good.read_bytes())
    with av.open(str(good)) as container:
        track = container.streams.audio[0].id
    for at in range(0, len(content), 188):
        if int.from_bytes(content[at + 1 : at + 3], "big") & 0x1FFF == track:
            content[at + 32 : at + 188] = bytes(156)
    (tmp_path / "b.ts").write_bytes(content)
    with av.open(str(tmp_path / "b.ts")) as container:
        assert [stream.codec_context.sample_rate for stream in container.streams.audio] == [0]
    with (
        open_source(tmp_path / "b.ts") as source,
        VideoWriter(tmp_path / "o.mp4", width=96, height=64, fps=25, audio_from=tmp_path / "b.ts") as writer,
    ):
        for frame in source:
            writer.write(frame.pixels, frame.time_s)
    assert writer.audio.action == "none"
    assert "no sample rate" in writer.audio.reason


@pytest.mark.robustness(58)
def test_no_sound_to_read_is_no_sound(plain: Path) -> None:
    assert list(read_sound(plain)) == []


@pytest.mark.robustness(24)
@pytest.mark.parametrize("suffix", [".webp", ".jpg", ".tiff", ".gif"])
def test_pictures_that_claim_to_be_huge(tmp_path: Path, suffix: str) -> None:
    """As a PNG does in test_probe.py: by the size fields of each format."""
    picture = np.zeros((64, 96, 3), np.uint8)
    content = bytearray(cv2.imencode(suffix, picture)[1].tobytes())
    if suffix == ".jpg":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">2H", 30000, 30000)
    elif suffix == ".gif":
        content[6:10] = struct.pack("<2H", 30000, 30000)
        at = content.index(b"\x2c\0\0\0\0") + 5
        content[at : at + 4] = struct.pack("<2H", 30000, 30000)
    elif suffix == ".tiff":
        order = "<" if content[:2] == b"II" else ">"
        for tag in (256, 257):
            at = next(
                content.index(struct.pack(order + "2H", tag, kind))
                for kind in (3, 4)
                if struct.pack(order + "2H", tag, kind) in content
            )
            content[at + 2 : at + 12] = struct.pack(order + "HII", 4, 1, 30000)
    else:
        extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (29999).to_bytes(3, "little") * 2
        content[12:12] = extended
        content[4:8] = struct.pack("<I", len(content) - 8)
    (tmp_path / f"h{suffix}").write_bytes(content)
    with pytest.raises(Vid2VidError) as caught:
        list(open_source(tmp_path / f"h{suffix}"))
    assert caught.value.code in ("too_large", "no_decodable_frames", "unreadable_container")

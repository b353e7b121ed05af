"""open_source() on files: every frame, in order, at its time, upright and in the right colours."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from vid2vid.errors import UsageError
from vid2vid.io import open_source
from vid2vid.io.recovery import Clock

Clip = Callable[..., Path]

FORMATS = [
    ("a.mp4", {"options": {"bf": "3", "g": "12"}}),
    ("a.mov", {"options": {"bf": "3"}}),
    ("a.mkv", {"options": {"bf": "3"}}),
    ("a.ts", {"options": {"bf": "3"}}),
    ("a.avi", {"options": {"bf": "3"}}),
    ("a.flv", {"options": {"bf": "3"}}),
    ("a.h264", {"options": {"bf": "3"}}),
    ("b.avi", {"codec": "mpeg4"}),
    ("a.mpg", {"codec": "mpeg2video", "options": {"bf": "2"}}),
    ("a.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
    ("b.mp4", {"codec": "libsvtav1", "options": {"preset": "12"}}),
    ("c.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=error"}, "pixel_format": "yuv420p10le"}),
    ("d.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
    ("a.gif", {"codec": "gif", "pixel_format": "rgb8"}),
    ("odd.mp4", {"pixel_format": "yuv444p", "size": (97, 65)}),
    ("odd.webm", {"codec": "libvpx-vp9", "size": (97, 65), "options": {"deadline": "realtime", "cpu-used": "8"}}),
]


@pytest.mark.robustness(30)
@pytest.mark.parametrize(("name", "how"), FORMATS, ids=[f"{n}-{h.get('codec', 'x264')}" for n, h in FORMATS])
def test_every_frame_in_order_at_its_time(clip: Clip, numbers: Any, name: str, how: dict[str, Any]) -> None:
    path = clip(name, 40, **how)
    width, height = how.get("size", (96, 64))
    with open_source(path) as source:
        frames = list(source)
    assert [numbers.read(frame.pixels) for frame in frames] == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    assert max(abs(frame.time_s - Fraction(frame.index, 25)) for frame in frames) <= Fraction(1, 1000)
    assert {frame.pixels.shape for frame in frames} == {(height, width, 3)}
    assert all(frame.pixels.dtype == np.uint8 and frame.pixels.flags.c_contiguous for frame in frames)
    assert source.report.frames == 40
    assert (source.report.concealed, source.report.truncated, source.report.notes) == (0, False, ())


@pytest.mark.robustness(14)
def test_varying_rate_keeps_its_times(clip: Clip) -> None:
    ticks = [0, 3003, 6006, 12000, 12500, 40000, 43003, 90000]
    path = clip("v.mp4", 8, ticks=ticks, time_base=Fraction(1, 90000), options={"bf": "2"})
    with open_source(path) as source:
        assert [frame.time_s for frame in source] == [Fraction(tick, 90000) for tick in ticks]
        assert source.time_base == Fraction(1, 90000)


@pytest.mark.robustness(28)
def test_start_offset_is_taken_off_and_told(clip: Clip, numbers: Any) -> None:
    path = clip("o.mkv", 10, ticks=[125 + i for i in range(10)])
    with open_source(path) as source:
        assert source.start_s == 5
        frames = list(source)
    assert frames[0].time_s == 0
    assert frames[9].time_s == Fraction(9, 25)
    assert numbers.read(frames[0].pixels) == 0


@pytest.mark.robustness(63)
def test_edit_list_hides_frames(clip: Clip, numbers: Any) -> None:
    path = clip("e.mp4", 40, ticks=[i - 10 for i in range(40)], options={"bf": "0", "g": "50"})
    with av.open(str(path)) as container:
        expected = [numbers.read(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    assert 0 not in expected
    with open_source(path) as source:
        assert [numbers.read(frame.pixels) for frame in source] == expected


@pytest.mark.robustness(28)
def test_times_in_decoding_order_are_put_right(clip: Clip, numbers: Any, tmp_path: Path) -> None:
    path = tmp_path / "wrong.mp4"
    with av.open(str(clip("g.mp4", 40, options={"bf": "3"}))) as good, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(good.streams.video[0])
        for index, packet in enumerate(p for p in good.demux(good.streams.video[0]) if p.size):
            packet.pts = packet.dts = index * 512
            packet.stream = stream
            out.mux(packet)
    with open_source(path) as source:
        frames = list(source)
    assert [numbers.read(frame.pixels) for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(40)]


@pytest.mark.robustness(28)
def test_times_that_do_not_rise_are_set_anew() -> None:
    clock = Clock(Fraction(1, 100), Fraction(25), 10, counted=False)
    assert [clock.tell(stamp) * 100 for stamp in (10, 14, 14, 13, 26, None, 40)] == [0, 4, 8, 12, 16, 20, 30]
    assert clock.repairs == 2


def test_given_rate_replaces_the_times(plain: Path) -> None:
    with open_source(plain, fps=50) as source:
        assert source.info.fps == 50
        assert [frame.time_s for frame in source] == [Fraction(i, 50) for i in range(40)]


@pytest.mark.robustness(15)
def test_rotation_is_applied_once(clip: Clip) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48] = 255
    for counter_clockwise, turns in ((90, 1), (180, 2), (270, 3)):
        path = clip("r.mp4", 2, pictures=[picture] * 2, rotation=counter_clockwise)
        with open_source(path) as source:
            shown = next(source).pixels
            assert shown.shape[:2] == (source.info.height, source.info.width)
        assert np.abs(shown.astype(int) - np.rot90(picture, turns)).mean() < 4


@pytest.mark.robustness(15)
def test_camera_orientation_of_photos_is_applied(tmp_path: Path) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48] = 255
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    tag = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tag
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "p.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    with open_source(tmp_path / "p.jpg") as source:
        assert (source.info.width, source.info.height, source.info.kind) == (64, 96, "image")
        shown = next(source).pixels
    assert np.abs(shown.astype(int) - np.rot90(picture, -1)).mean() < 6


WEIGHTS = {"bt601": (5, 0.299, 0.114), "bt709": (1, 0.2126, 0.0722), "bt2020": (9, 0.2627, 0.0593)}


def _coded(rgb: tuple[int, int, int], matrix: str, full: bool, bits: int) -> list[int]:
    """BT.601/709/2020 by their definition, in integers."""
    _, red, blue = WEIGHTS[matrix]
    r, g, b = (value / 255 for value in rgb)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    scale = 2 ** (bits - 8)
    if full:
        top = 256 * scale - 1
        return [round(y * top), round(u * top + 128 * scale), round(v * top + 128 * scale)]
    return [round((16 + 219 * y) * scale), round((128 + 224 * u) * scale), round((128 + 224 * v) * scale)]


@pytest.mark.robustness(18)
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_tagged_colours(clip: Clip, matrix: str, full: bool, bits: int) -> None:
    rgb = (200, 120, 40)
    path = clip(
        "c.mp4",
        2,
        pixel_format="yuv420p" if bits == 8 else "yuv420p10le",
        planes=_coded(rgb, matrix, full, bits),
        tags=(WEIGHTS[matrix][0], 2 if full else 1),
        options={"crf": "4"},
    )
    with open_source(path) as source:
        assert np.abs(next(source).pixels[32, 48].astype(int) - rgb).max() <= 4


@pytest.mark.parametrize(("size", "matrix"), [((96, 64), "bt601"), ((1280, 720), "bt709")])
def test_untagged_colours_go_by_size(clip: Clip, size: tuple[int, int], matrix: str) -> None:
    rgb = (200, 60, 40)
    path = clip("u.mp4", 1, size=size, planes=_coded(rgb, matrix, False, 8), options={"crf": "4"})
    with open_source(path) as source:
        assert np.abs(next(source).pixels[32, 48].astype(int) - rgb).max() <= 4


@pytest.mark.robustness(18)
@pytest.mark.parametrize(("curve", "name", "code", "level"), [(16, "PQ", 520, 197), (18, "HLG", 594, 175)])
def test_hdr_is_toned_down_and_noted(clip: Clip, curve: int, name: str, code: int, level: int) -> None:
    """BT.2100: both codes are below graphics white, 203 cd/m2 (PQ 113, HLG 87); white and more become 255."""
    planes = [(luma, 512, 512) for luma in (64, 300, code, 940)]
    options = {"crf": "1", "bf": "0"}
    path = clip("h.mp4", 4, pixel_format="yuv420p10le", planes=planes, tags=(9, 1, curve, 9), options=options)
    with open_source(path) as source:
        pictures = [frame.pixels[32, 48].astype(int) for frame in source]
    assert max(np.ptp(picture) for picture in pictures) <= 2
    assert pictures[0][1] <= 2
    assert pictures[2][1] == pytest.approx(level, abs=5)
    assert pictures[3][1] >= 253
    assert f"HDR ({name}) brought to SDR; highlights above white are clipped" in source.report.notes


@pytest.mark.robustness(19)
def test_alpha_over_black(tmp_path: Path) -> None:
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[..., :3], rgba[:, 10:20, 3], rgba[:, 20:, 3] = 200, 128, 255
    cv2.imwrite(str(tmp_path / "a.png"), rgba)
    with open_source(tmp_path / "a.png") as source:
        shown = next(source).pixels
        assert list(source) == []
    assert [int(shown[5, x, 0]) for x in (5, 15, 25)] == [0, 100, 200]
    assert "transparent parts laid over black" in source.report.notes


@pytest.mark.robustness(17)
def test_interlaced_is_woven(clip: Clip) -> None:
    pictures = []
    for index in range(12):
        picture = np.full((64, 96, 3), 40, np.uint8)
        for field in range(2):
            picture[field::2, 8 + 6 * index + 3 * field : 20 + 6 * index + 3 * field] = 220
        pictures.append(picture)
    path = clip("i.mp4", 12, pictures=pictures, pixel_format="yuv444p", options={"flags": "+ildct+ilme", "crf": "10"})
    with av.open(str(path)) as container:
        combed = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    with open_source(path) as source:
        frames = list(source)
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(12)]
    assert any("bwdif" in note for note in source.report.notes)

    def comb(picture: np.ndarray) -> float:
        rows = picture[..., 1].astype(int)
        return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())

    assert np.mean([comb(f.pixels) for f in frames]) < 0.4 * np.mean([comb(f) for f in combed])


@pytest.mark.robustness(29)
def test_size_change_is_scaled_to_the_first(clip: Clip, numbers: Any, tmp_path: Path) -> None:
    small = [cv2.resize(numbers.draw(i), (48, 32), interpolation=cv2.INTER_AREA) for i in range(10)]
    first, second = clip("a.h264", 10), clip("b.h264", 10, size=(48, 32), pictures=small)
    path = tmp_path / "ab.h264"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with open_source(path) as source:
        frames = list(source)
    assert {frame.pixels.shape for frame in frames} == {(64, 96, 3)}
    assert [numbers.read(frame.pixels) for frame in frames] == [*range(10), *range(10)]
    assert any("size changes to 48x32" in note for note in source.report.notes)


def test_threads_give_the_same_frames(plain: Path) -> None:
    with open_source(plain) as one, open_source(plain, threads=2) as two:
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(one, two, strict=True))


def test_once_through_and_reopen(plain: Path) -> None:
    source = open_source(plain)
    assert next(source).index == 0
    assert [frame.index for frame in source] == list(range(1, 40))
    with pytest.raises(UsageError, match="reopen"):
        iter(source)
    assert source.reopenable
    with source.reopen() as again:
        assert next(again).index == 0


def test_leaving_early_closes_the_file(plain: Path) -> None:
    def handles() -> int:
        return sum(
            1 for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and "plain.mp4" in str(link.readlink())
        )

    with open_source(plain) as source:
        next(source)
        assert handles() == 1
    assert handles() == 0

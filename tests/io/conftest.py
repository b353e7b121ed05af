"""Synthesised clips whose every frame says its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

BITS = 7
BLOCK = 12


def numbered(index: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A grey picture with the number as bright and dark blocks in its middle rows; top left is red."""
    picture = np.full((height, width, 3), 70, np.uint8)
    for bit in range(BITS):
        picture[24:40, 6 + bit * BLOCK : 6 + (bit + 1) * BLOCK] = 230 if index >> bit & 1 else 20
    picture[:16, :16] = (220, 30, 30)
    return picture


def number_of(picture: np.ndarray) -> int:
    """Reads the number back."""
    middles = [picture[28:36, 6 + bit * BLOCK + 3 : 6 + bit * BLOCK + 9].mean() for bit in range(BITS)]
    return sum(int(level > 125) << bit for bit, level in enumerate(middles))


@dataclass(frozen=True)
class Numbers:
    """Hands the two functions above to test modules."""

    draw: Callable[..., np.ndarray] = numbered
    read: Callable[[np.ndarray], int] = number_of


@pytest.fixture(scope="session")
def numbers() -> Numbers:
    return Numbers()


def _tone(stream: Any, seconds: float, click_s: float, rate: int, start: int) -> list[Any]:
    """A quiet tone with one loud burst of 20 ms, encoded."""
    total = int(seconds * rate)
    moments = np.arange(total) / rate
    wave = 0.05 * np.sin(2 * np.pi * 440 * moments)
    burst = (moments >= click_s) & (moments < click_s + 0.02)
    wave[burst] = 0.9 * np.sin(2 * np.pi * 1000 * moments[burst])
    packets = []
    size = stream.codec_context.frame_size or 1024
    for at in range(0, total - size + 1, size):
        sample = stream.codec_context.format.name
        planar = sample.endswith("p")
        kind = {"s16": np.int16, "s32": np.int32, "flt": np.float32}[sample.removesuffix("p")]
        values = (wave[at : at + size] * (1 if kind is np.float32 else np.iinfo(kind).max)).astype(kind)
        data = np.stack([values, values]) if planar else np.repeat(values, 2)[None]
        frame = av.AudioFrame.from_ndarray(data, format=sample, layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, at + start, Fraction(1, rate)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def write_clip(
    path: Path,
    count: int = 40,
    *,
    codec: str = "libx264",
    muxer: str | None = None,
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (96, 64),
    fps: int | Fraction = 25,
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rotation: float | None = None,
    matrix: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    tags: tuple[int, ...] | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    planes: Sequence[Any] | None = None,
    sound: str | None = None,
    sound_start_s: float = 0.0,
    sound_s: float | None = None,
    click_s: float = 1.0,
) -> Path:
    """Writes a clip with PyAV alone, nothing of vid2vid's writer."""
    with av.open(str(path), "w", format=muxer, container_options=container_options or {}) as out:
        stream: Any = out.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        base = time_base or 1 / Fraction(fps)
        stream.codec_context.time_base = base
        if tags is not None:
            context = stream.codec_context
            for name, value in zip(("colorspace", "color_range", "color_trc", "color_primaries"), tags, strict=False):
                setattr(context, name, value)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        track: Any = None
        packets: list[Any] = []
        if sound is not None:
            track = out.add_stream(sound, rate=48000)
            track.layout = "stereo"
            seconds = sound_s if sound_s is not None else count / float(fps)
            packets = _tone(track, seconds, click_s, 48000, round(sound_start_s * 48000))
        for index in range(count):
            if planes is not None:
                frame = _flat(size, pixel_format, planes if isinstance(planes[0], int) else planes[index])
            else:
                picture = pictures[index] if pictures is not None else numbered(index, *size)
                frame = av.VideoFrame.from_ndarray(picture, "rgb24" if picture.shape[2] == 3 else "rgba")
                frame = frame.reformat(format=pixel_format, dst_colorspace=5, dst_color_range=1)
            frame.pts, frame.time_base = (ticks[index] if ticks else index), base
            out.mux(stream.encode(frame))
            due = frame.pts * base
            while packets and packets[0].pts * packets[0].time_base <= due:
                out.mux(packets.pop(0))
        out.mux(stream.encode(None))
        out.mux(packets)
    return path


def _flat(size: tuple[int, int], pixel_format: str, planes: Sequence[int]) -> av.VideoFrame:
    frame = av.VideoFrame(*size, pixel_format)
    kind = np.uint16 if "10" in pixel_format else np.uint8
    for plane, value in zip(frame.planes, planes, strict=True):
        plane.update(np.full(plane.buffer_size // kind().itemsize, value, kind).tobytes())
    return frame


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Gives a fresh clip: `clip("a.mp4", 40, codec=...)`."""

    def make(name: str, *args: Any, **kwargs: Any) -> Path:
        return write_clip(tmp_path_factory.mktemp("clip") / name, *args, **kwargs)

    return make


@pytest.fixture(scope="session")
def plain(clip: Callable[..., Path]) -> Path:
    """40 frames of H.264 with B-frames in an MP4."""
    return clip("plain.mp4", options={"bf": "3", "g": "12"})


@pytest.fixture(scope="session")
def sounding(clip: Callable[..., Path]) -> Path:
    """50 frames with AAC sound in an MP4."""
    return clip("sounding.mp4", 50, sound="aac")

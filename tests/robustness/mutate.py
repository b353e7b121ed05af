"""Damages real and made clips by a seed, and reads or renders what comes out; a program, so that a crash stays here.

    python mutate.py read|render|translate FIRST COUNT FOLDER

Prints one line of JSON before each case and one after it. A case that takes longer than `LIMIT_S` ends the program.
"""

from __future__ import annotations

import faulthandler
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vid2vid.errors import Vid2VidError
from vid2vid.io import VideoWriter, open_source, read_sound
from vid2vid.samples import load_samples

LIMIT_S = 30
MEMORY = {"read": 3 * 2**30, "render": 4 * 2**30, "translate": 12 * 2**30}
"""Bytes of address space; torch alone takes several."""
PACKETS = 24
MADE: tuple[tuple[str, str, str, str | None], ...] = (
    ("a.mp4", "libx264", "yuv420p", "aac"),
    ("b.mkv", "libx264", "yuv420p", "pcm_s16le"),
    ("c.ts", "libx264", "yuv420p", "aac"),
    ("d.avi", "mpeg4", "yuv420p", "libmp3lame"),
    ("e.mov", "prores_ks", "yuv422p10le", "pcm_s16le"),
    ("f.webm", "libvpx", "yuv420p", "libopus"),
    ("g.webm", "libvpx-vp9", "yuv420p", None),
    ("h.flv", "flv1", "yuv420p", None),
    ("i.mp4", "libx265", "yuv420p", None),
    ("j.mp4", "libsvtav1", "yuv420p", None),
    ("k.mpg", "mpeg2video", "yuv420p", None),
    ("l.mkv", "ffv1", "bgra", "flac"),
    ("m.wmv", "wmv2", "yuv420p", None),
    ("n.avi", "mjpeg", "yuvj420p", None),
    ("o.gif", "gif", "rgb8", None),
    ("p.png", "png", "rgb24", None),
    ("q.jpg", "mjpeg", "yuvj420p", None),
    ("r.webp", "libwebp", "yuv420p", None),
)


def bases(folder: Path) -> list[Path]:
    """The first packets of every sample, in three containers, and a made clip of every format."""
    found = []
    for sample in load_samples():
        for suffix in ("mp4", "mkv", "ts"):
            found.append(_head(sample.path, folder / f"{sample.name}.{suffix}"))
    for name, codec, pixel_format, sound in MADE:
        found.append(_make(folder / name, codec, pixel_format, sound))
    return found


def _head(source: Path, target: Path) -> Path:
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        kept: dict[int, Any] = {}
        for stream in (*container.streams.video[:1], *container.streams.audio[:1]):
            kept[stream.index] = out.add_stream_from_template(stream)
        seen = 0
        for packet in container.demux([container.streams[index] for index in kept]):
            seen += packet.stream.type == "video"
            if seen > PACKETS:
                break
            if packet.dts is not None:
                packet.stream = kept[packet.stream_index]
                out.mux(packet)
    return target


def _make(target: Path, codec: str, pixel_format: str, sound: str | None) -> Path:
    still = target.suffix in (".png", ".jpg", ".webp")
    with av.open(str(target), "w") as out:
        stream: Any = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        track: Any = out.add_stream(sound, rate=48000, layout="stereo") if sound else None
        for index in range(1 if still else 12):
            blocks = np.random.default_rng(index).integers(0, 255, (8, 12, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(blocks.repeat(8, 0).repeat(8, 1), "rgb24").reformat(format=pixel_format)
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track is not None:
            _add_tone(out, track)
    return target


def _add_tone(out: Any, track: Any) -> None:
    size = track.codec_context.frame_size or 1024
    kind = {"s16": np.int16, "s32": np.int32, "flt": np.float32}[track.format.name.removesuffix("p")]
    shape = (2, size) if track.format.name.endswith("p") else (1, 2 * size)
    for start in range(0, 24_000, size):
        frame = av.AudioFrame.from_ndarray(np.ones(shape, kind), format=track.format.name, layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def damaged(content: bytes, seed: int) -> bytes:
    """Flips bits, writes into headers, cuts, blanks, repeats or puts extreme numbers."""
    chance = random.Random(seed)
    made, at = bytearray(content), chance.randrange(len(content))
    kind = chance.choice(("flip", "flip", "head", "tail", "cut", "blank", "repeat", "number"))
    if kind == "flip":
        for _ in range(chance.choice((1, 4, 30, 200))):
            made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    elif kind in ("head", "tail"):
        for _ in range(chance.choice((1, 3, 10))):
            place = chance.randrange(min(len(made), 4000))
            made[place if kind == "head" else -1 - place] = chance.choice(
                (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
            )
    elif kind == "cut":
        del made[at:]
    elif kind == "blank":
        length = len(made[at : at + chance.randrange(1, 5000)])
        made[at : at + length] = bytes(length)
    elif kind == "repeat":
        made[at:at] = made[at : at + chance.randrange(1, 5000)]
    else:
        for _ in range(chance.choice((1, 2, 6))):
            place = chance.randrange(max(1, len(made) - 4))
            made[place : place + 4] = chance.choice(
                (bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1")
            )
    return bytes(made)


def read(path: Path, target: Path) -> None:
    """Reads every frame."""
    with open_source(path) as source:
        for frame in source:
            assert frame.pixels.shape == (source.info.height, source.info.width, 3)


def render(path: Path, target: Path) -> None:
    """Passes frames and sound through the writer."""
    with open_source(path) as source:
        info = source.info
        size = {"width": info.width, "height": info.height, "fps": info.fps, "time_base": source.time_base}
        with VideoWriter(target, **size, audio_from=path, preset="ultrafast") as writer:
            for frame in source:
                writer.write(frame.pixels, frame.time_s)
    for _ in read_sound(path):
        pass


def translate(path: Path, target: Path) -> None:
    """Goes the whole way."""
    import vid2vid

    vid2vid.translate(path, "cartoon_to_photoreal", target, size=32, finish="none", progress=False)


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(mode: str, first: int, count: int, folder: Path) -> None:
    """Runs the cases; what is raised and is no `Vid2VidError` ends the program with its traceback."""
    actions: dict[str, Callable[[Path, Path], None]] = {"read": read, "render": render, "translate": translate}
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY[mode], MEMORY[mode]))
    clips = bases(folder)
    for case in range(first, first + count):
        base = clips[case % len(clips)]
        path, work = folder / f"case{base.suffix}", folder / "work"
        path.write_bytes(damaged(base.read_bytes(), case))
        work.mkdir(exist_ok=True)
        target = work / ("out.png" if base.suffix in (".png", ".jpg", ".webp") and mode == "translate" else "out.mp4")
        _tell({"case": case, "base": base.name})
        faulthandler.dump_traceback_later(LIMIT_S, exit=True)
        began = time.monotonic()
        try:
            actions[mode](path, target)
            result = "ok"
        except Vid2VidError as error:
            result = error.code
        faulthandler.cancel_dump_traceback_later()
        left = sorted(file.name for file in work.iterdir())
        for file in work.rglob("*"):
            if file.is_file():
                file.unlink()
        told = {"case": case, "result": result, "left": left, "seconds": round(time.monotonic() - began, 2)}
        _tell(told)


if __name__ == "__main__":
    faulthandler.enable()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))

"""Made sound beside waiting pictures, sound read from a source, stems as WAV."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vid2vid.io import MadeSound, VideoWriter, WavWriter, read_sound

Clip = Callable[..., Path]
RATE = 48_000


def write(path: Path, numbers: Any, count: int, sound: MadeSound | None) -> VideoWriter:
    # One encoder thread: several may choose other frame types on a busy machine, and packets are compared to the bit.
    composed = None if sound is None else lambda length_s: sound
    writer = VideoWriter(path, width=96, height=64, fps=25, compose=composed, threads=1)
    with writer:
        for index in range(count):
            # Uneven times, as phones write them.
            writer.write(numbers.draw(index % 100), Fraction(index, 25) + (Fraction(1, 100) if index % 3 else 0))
    return writer


def silence(seconds: float) -> MadeSound:
    return MadeSound([np.zeros((round(seconds * RATE), 2), np.float32)], "silence")


def packets(path: Path) -> list[tuple[Any, ...]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts, packet.dts, packet.duration, packet.is_keyframe, bytes(packet))
            for packet in container.demux(video=0)
            if packet.size
        ]


def seek_table(path: Path) -> bytes:
    """MP4's list of key frames, which decoders do not tell: they look into the pictures."""
    content = path.read_bytes()
    at = content.index(b"stss")
    return content[at : at + int.from_bytes(content[at - 4 : at])]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_waiting_for_the_sound_changes_no_frame(tmp_path: Path, numbers: Any, suffix: str) -> None:
    """Packets, their times and key frames are those of a file written at once."""
    write(tmp_path / f"plain{suffix}", numbers, 60, None)
    write(tmp_path / f"sound{suffix}", numbers, 60, silence(2.4))
    assert packets(tmp_path / f"sound{suffix}") == packets(tmp_path / f"plain{suffix}")
    if suffix == ".mp4":
        assert seek_table(tmp_path / "sound.mp4") == seek_table(tmp_path / "plain.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_lies_beside_its_picture(tmp_path: Path, numbers: Any, suffix: str) -> None:
    write(tmp_path / f"o{suffix}", numbers, 600, silence(24))
    places = {"video": [], "audio": []}  # type: ignore[var-annotated]
    with av.open(str(tmp_path / f"o{suffix}")) as container:
        for packet in container.demux():
            if packet.size and packet.pos is not None and packet.dts is not None:
                places[packet.stream.type].append((packet.pos, float(packet.dts * packet.time_base)))
    order = sorted([(*place, 0) for place in places["video"]] + [(*place, 1) for place in places["audio"]])
    last, gaps = [0.0, 0.0], []
    for _, time_s, stream in order:
        last[stream] = time_s
        gaps.append(abs(last[0] - last[1]))
    assert max(gaps) < 0.5


def test_no_sound_made_and_none_to_copy(tmp_path: Path, numbers: Any) -> None:
    writer = write(tmp_path / "o.mp4", numbers, 5, MadeSound(None, "nothing happens"))
    assert (writer.audio.action, writer.audio.reason) == ("none", "nothing happens")
    assert len(packets(tmp_path / "o.mp4")) == 5
    writer = write(tmp_path / "o.gif", numbers, 5, silence(0.2))
    assert writer.audio.reason == "gif holds no sound"


def test_nothing_stays_behind_when_the_sound_fails(tmp_path: Path, numbers: Any) -> None:
    def compose(length_s: Fraction) -> MadeSound:
        raise ValueError("out of breath")

    with (
        pytest.raises(ValueError, match="breath"),
        VideoWriter(tmp_path / "o.mp4", width=96, height=64, fps=25, compose=compose) as writer,
    ):
        writer.write(numbers.draw(0), Fraction(0))
    assert list(tmp_path.iterdir()) == []


def test_the_length_told_is_the_films(tmp_path: Path, numbers: Any) -> None:
    told: list[Fraction] = []

    def compose(length_s: Fraction) -> MadeSound:
        told.append(length_s)
        return MadeSound(None, "")

    with VideoWriter(tmp_path / "o.mp4", width=96, height=64, fps=25, compose=compose) as writer:
        for index in range(10):
            writer.write(numbers.draw(index), Fraction(index, 25))
    assert told == [Fraction(10, 25)]


@pytest.mark.parametrize("sound_start_s", [5.0, 4.5, 5.3])
def test_a_source_is_read_from_its_first_frame_on(clip: Clip, sound_start_s: float) -> None:
    ticks = [125 + i for i in range(50)]
    source = clip("o.mkv", 50, ticks=ticks, sound="aac", sound_start_s=sound_start_s, sound_s=3, click_s=1.2)
    sound = np.concatenate(list(read_sound(source)))
    assert sound.shape[1] == 2 and sound.dtype == np.float32
    assert np.argmax(np.abs(sound).max(1) > 0.4) / RATE == pytest.approx(sound_start_s - 5 + 1.2, abs=0.03)


def test_a_source_is_read_to_the_sample_where_it_is_stored_so(clip: Clip) -> None:
    source = clip("a.mkv", 30, sound="pcm_s16le", click_s=0.5)
    sound = np.concatenate(list(read_sound(source)))
    assert np.argmax(np.abs(sound).max(1) > 0.4) / RATE == pytest.approx(0.5, abs=0.001)


def test_a_wav_holds_what_was_written(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((5000, 2)).astype(np.float32)
    with WavWriter(tmp_path / "o.wav") as stem:
        stem.write(noise[:2000])
        stem.write(noise[2000:])
    with av.open(str(tmp_path / "o.wav")) as container:
        read = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)])
    assert np.array_equal(read, noise)
    with pytest.raises(KeyError), WavWriter(tmp_path / "p.wav") as stem:
        stem.write(noise)
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["o.wav"]

"""Sound made for a render: in the decoded file each event is heard where the report says it happens."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pyloudnorm
import pytest
import torch

import vid2vid
from tests.moving import write_clip
from vid2vid import BackboneConfig, BrokenPlugin, Chunk, Conditions, Event, InvalidOption, Request, Task, UsageError
from vid2vid.audio.synthesis import onset_of, peak_of
from vid2vid.io import VideoWriter
from vid2vid.io.soundtrack import MadeSound

RATE, FPS, LENGTH = 48_000, 25, 90
EVENTS = (
    Event("impact", 0.613, 0.9, 1, (0.9, 0.5)),
    Event("whoosh", 1.107, 0.8, 0, (0.2, 0.5)),
    Event("footfall", 1.7, 0.6, 0, (0.1, 0.9)),
    Event("fall", 2.291, 0.7, 1, (0.8, 0.8)),
)


class Sounding(Task[float]):
    """Leaves the picture and tells events, each with the chunk in which it begins."""

    name: ClassVar[str] = "sounding"
    summary: ClassVar[str] = "Tells what happens."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(width=8, blocks=(1, 1))
    channels: ClassVar[dict[str, int]] = {"source": 3}
    keeps_detail: ClassVar[bool] = False
    events: tuple[Event, ...] = EVENTS

    def setup(self, request: Request, device: torch.device) -> float:
        return float(request.info.fps)

    def condition(self, chunk: Chunk, setup: float) -> Conditions:
        begin, end = chunk.start / setup, (chunk.start + chunk.length) / setup
        events = tuple(event for event in self.events if begin <= event.time_s < end)
        return Conditions({"source": chunk.frames}, events=events)


class Silent(Sounding):
    """Never tells anything, and declares effects."""

    name: ClassVar[str] = "silent"
    audio: ClassVar[Any] = "effects"
    events = ()


class OnWood(Sounding):
    name: ClassVar[str] = "on_wood"

    def ground(self, setup: float) -> Any:
        return "wood"


class Wrong(Sounding):
    name: ClassVar[str] = "wrong"
    events = (Event("impact", 0.5, 3.0),)


@pytest.fixture(scope="module")
def mute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("mute") / "mute.mp4", pictures())


@pytest.fixture(scope="module")
def humming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clip with a tone, quieter than any effect."""
    path = tmp_path_factory.mktemp("humming") / "humming.mp4"
    tone = 0.003 * np.sin(2 * np.pi * 330 * np.arange(RATE * LENGTH // FPS) / RATE)
    hum = np.repeat(tone[:, None], 2, 1).astype(np.float32)
    write(path, lambda length: MadeSound([hum], "a tone"))
    return path


def pictures() -> np.ndarray:
    frames = np.full((LENGTH, 64, 96, 3), 60, np.uint8)
    for t in range(LENGTH):
        frames[t, 20:40, t : t + 16] = 200
    return frames


def write(path: Path, compose: Any = None) -> VideoWriter:
    writer = VideoWriter(path, width=96, height=64, fps=FPS, compose=compose)
    with writer:
        for index, picture in enumerate(pictures()):
            # Uneven times, as phones write them.
            writer.write(picture, Fraction(index, FPS) + (Fraction(1, 100) if index % 3 else 0))
    return writer


def render(source: Any, task: Task[Any], output: Path, **words: Any) -> vid2vid.Translation:
    return vid2vid.translate(source, task, output, progress=False, dtype="float32", **words)


def heard(path: Path) -> np.ndarray:
    """The file's sound from its first frame shown on, `(N, 2)`."""
    with av.open(str(path)) as container:
        start = next(container.decode(video=0)).time
    pieces, begin = [], None
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            begin = frame.time if begin is None else begin
            samples = frame.to_ndarray()
            samples = samples.T if frame.format.is_planar else samples.reshape(-1, 2)
            whole = samples.dtype.kind == "i"
            pieces.append(samples / np.iinfo(samples.dtype).max if whole else samples)
    shift = round((begin - start) * RATE)
    joined = np.concatenate(pieces).astype(np.float64)
    return joined[-shift:] if shift < 0 else np.concatenate((np.zeros((shift, 2)), joined))


def wav(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)])


def packets(path: Path) -> list[tuple[Any, ...]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts, packet.dts, packet.duration, packet.is_keyframe, bytes(packet))
            for packet in container.demux(video=0)
            if packet.size
        ]


def late_ms(sound: np.ndarray, event: dict[str, Any]) -> float:
    first = round((event["time_s"] - 0.15) * RATE)
    part = sound[first : first + RATE * 4 // 10]
    at = peak_of(part) if event["kind"] == "whoosh" else onset_of(part.max(1))
    return abs(at + first - event["time_s"] * RATE) / RATE * 1000


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mov", "aac"), (".mkv", "flac"), (".webm", "opus")])
def test_events_are_heard_on_time_and_loud_enough(mute: Path, tmp_path: Path, suffix: str, codec: str) -> None:
    made = render(mute, Sounding(), tmp_path / f"o{suffix}", audio="effects")
    sound, report = heard(tmp_path / f"o{suffix}"), made.report
    assert report["audio"]["action"] == codec and report["audio"]["effects"] == len(EVENTS)
    assert [event["kind"] for event in report["events"]] == [event.kind for event in EVENTS]
    for event in report["events"]:
        assert late_ms(sound, event) <= (3.0 if event["kind"] == "whoosh" else 1.0), event
    assert pyloudnorm.Meter(RATE).integrated_loudness(sound) == pytest.approx(-16, abs=0.5)
    assert np.abs(sound).max() < 1.0, "the encoder's overshoot stays below full scale"
    assert len(sound) / RATE == pytest.approx(LENGTH / FPS, abs=0.03)
    left, right = (np.square(sound[round(at * RATE) :][:4800]).sum(0) for at in (1.7, 0.613))
    assert left[0] > 3 * left[1] and right[1] > 3 * right[0]
    assert made.info.has_audio and not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert json.loads((tmp_path / "o.report.json").read_text())["events"] == report["events"]


def test_mix_keeps_the_source_and_steps_back_for_effects(humming: Path, tmp_path: Path) -> None:
    made = render(humming, Sounding(), tmp_path / "o.mp4", audio="mix", stems=tmp_path / "stems")
    sound = heard(tmp_path / "o.mp4")
    for event in made.report["events"]:
        assert late_ms(sound, event) <= (5.0 if event["kind"] == "whoosh" else 1.0), event
    assert pyloudnorm.Meter(RATE).integrated_loudness(sound) == pytest.approx(-16, abs=0.5)
    source = wav(tmp_path / "stems" / "source.wav")

    def level_db(at: float) -> float:
        return float(10 * np.log10(np.square(source[round(at * RATE) :][:2400], dtype=np.float64).mean()))

    assert level_db(0.65) - level_db(0.2) == pytest.approx(-9, abs=0.5)
    assert level_db(3.45) == pytest.approx(level_db(0.2), abs=0.5)
    assert "first sound track" in made.report["audio"]["reason"]


def test_mix_without_source_sound_is_effects(mute: Path, tmp_path: Path) -> None:
    mix = render(mute, Sounding(), tmp_path / "a.mkv", audio="mix")
    render(mute, Sounding(), tmp_path / "b.mkv", audio="effects")
    assert np.array_equal(heard(tmp_path / "a.mkv"), heard(tmp_path / "b.mkv"))
    assert "no sound to mix" in mix.report["audio"]["reason"]


@pytest.mark.parametrize("audio", ["effects", "mix"])
def test_stems_add_up_to_the_sound(humming: Path, tmp_path: Path, audio: str) -> None:
    quiet = [Event("impact", 0.5, 1.0), Event("impact", 1.5, 1.0), Event("landing", 2.5, 1.0)]
    made = render(humming, Sounding(), tmp_path / "o.mkv", audio=audio, events=quiet, stems=tmp_path / "stems")
    names = {path.stem for path in (tmp_path / "stems").iterdir()}
    assert names == {"impact", "landing"} | ({"source"} if audio == "mix" else set())
    total = sum(wav(path).astype(np.float64) for path in (tmp_path / "stems").iterdir())
    assert made.report["audio"]["true_peak_dbtp"] < -2.2, "so nothing was limited"
    assert np.abs(total - heard(tmp_path / "o.mkv")).max() < 2 / 32767


def test_edited_events_change_the_sound_and_nothing_else(mute: Path, tmp_path: Path) -> None:
    first = render(mute, Sounding(), tmp_path / "a.mkv", audio="effects")
    same = render(mute, Sounding(), tmp_path / "b.mkv", audio="effects", events=tmp_path / "a.report.json")
    assert np.array_equal(heard(tmp_path / "a.mkv"), heard(tmp_path / "b.mkv"))
    assert same.report["events"] == first.report["events"]
    edited = json.loads((tmp_path / "a.report.json").read_text())["events"]
    edited[0]["time_s"] = 0.2
    edited.append({"kind": "impact", "time_s": 99})
    (tmp_path / "edited.json").write_text(json.dumps(edited))
    moved = render(mute, Sounding(), tmp_path / "c.mkv", audio="effects", events=str(tmp_path / "edited.json"))
    assert late_ms(heard(tmp_path / "c.mkv"), {"kind": "impact", "time_s": 0.2}) <= 1.0
    assert moved.report["audio"]["effects"] == len(EVENTS) and moved.report["audio"]["after_the_end"] == 1
    assert packets(tmp_path / "a.mkv") == packets(tmp_path / "c.mkv")


def test_ground_and_seed_are_heard(mute: Path, tmp_path: Path) -> None:
    step = [Event("footfall", 1.0)]

    def sound(name: str, task: Task[Any], seed: int) -> np.ndarray:
        render(mute, task, tmp_path / name, audio="effects", events=step, seed=seed)
        return heard(tmp_path / name)

    hard = sound("a.mkv", Sounding(), 1)
    assert np.array_equal(hard, sound("b.mkv", Sounding(), 1))
    assert not np.array_equal(hard, sound("c.mkv", Sounding(), 2))
    assert not np.array_equal(hard, sound("d.mkv", OnWood(), 1))


def test_without_events_there_is_no_sound_and_the_report_says_so(mute: Path, humming: Path, tmp_path: Path) -> None:
    for source, output, audio in ((humming, "a.mp4", "effects"), (mute, "b.mp4", "mix"), (humming, "c.mp4", "auto")):
        made = render(source, Silent(), tmp_path / output, audio=audio)
        assert made.report["audio"]["action"] == "none" and "'silent' saw none" in made.report["audio"]["reason"]
        assert made.report["events"] == [] and not made.info.has_audio
        with av.open(str(tmp_path / output)) as container:
            assert not container.streams.audio


def test_mix_without_events_copies_the_source(humming: Path, tmp_path: Path) -> None:
    made = render(humming, Silent(), tmp_path / "o.mp4", audio="mix")
    assert made.report["audio"]["action"] == "copied"
    assert np.array_equal(heard(tmp_path / "o.mp4"), heard(humming))


def test_the_list_is_in_the_report_whatever_is_heard(mute: Path, tmp_path: Path) -> None:
    assert len(render(mute, Sounding(), tmp_path / "o.mp4").report["events"]) == len(EVENTS)


def test_frames_in_memory_take_no_sound(tmp_path: Path) -> None:
    frames = pictures()[:8]
    for words in ({"audio": "effects"}, {"audio": "mix"}):
        with pytest.raises(InvalidOption, match="frames in memory"):
            vid2vid.translate(frames, Sounding(), progress=False, **words)
    assert vid2vid.translate(frames, Silent(), progress=False).report["audio"]["action"] == "none"
    with pytest.raises(InvalidOption, match="gif"):
        vid2vid.translate(frames, Sounding(), tmp_path / "o.gif", audio="effects", progress=False)
    made = render(frames, Sounding(), tmp_path / "o.mp4", audio="effects", events=[Event("impact", 0.1)])
    assert made.report["audio"]["action"] == "aac"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ({"events": "none.json"}, "audio='auto'"),
        ({"stems": "stems"}, "audio='auto'"),
        ({"audio": "effects", "events": "none.json"}, "cannot be read"),
        ({"audio": "effects", "events": 3}, "type int"),
    ],
)
def test_words_that_cannot_be_heard_are_refused(mute: Path, tmp_path: Path, words: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        render(mute, Sounding(), tmp_path / "o.mp4", **words)
    assert part in str(caught.value) and list(tmp_path.iterdir()) == []


def test_stems_of_another_render_are_not_replaced_unasked(mute: Path, tmp_path: Path) -> None:
    words: dict[str, Any] = {"audio": "effects", "stems": tmp_path / "stems"}
    render(mute, Sounding(), tmp_path / "a.mp4", **words)
    with pytest.raises(UsageError, match="exists"):
        render(mute, Sounding(), tmp_path / "b.mp4", **words)
    render(mute, Sounding(), tmp_path / "b.mp4", **words, events=[Event("fall", 1.0)], overwrite=True)
    assert [path.name for path in (tmp_path / "stems").iterdir()] == ["fall.wav"]


def test_a_task_that_tells_nonsense_is_named(mute: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokenPlugin, match=r"'wrong'.*strength=3\.0"):
        render(mute, Wrong(), tmp_path / "o.mp4", audio="effects")
    assert list(tmp_path.iterdir()) == []

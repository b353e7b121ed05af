"""Whatever is passed to the public functions: a result, or an error of this package's own, and no file half written."""

from __future__ import annotations

import datetime
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import vid2vid
from vid2vid import Chunk, Conditions, Request, Task
from vid2vid.audio.events import read_events
from vid2vid.config import BackboneConfig
from vid2vid.io import probe
from vid2vid.options import parse_options
from vid2vid.provenance.consent import new_consent, read_consent
from vid2vid.registry import get_task
from vid2vid.task import NoOptions

QUICK = settings(
    max_examples=int(os.environ.get("VID2VID_FUZZ_CASES", "100")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FEW = settings(QUICK, max_examples=QUICK.max_examples // 2)

NAMES = st.text(max_size=40) | st.sampled_from(
    ["-i", "%03d.png", "http://127.0.0.1:1/x", "/dev/zero", "a\0b", "..", "~", ""]
)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.fractions(-10, 10_000) | st.booleans()
ANYTHING = (
    st.none()
    | NUMBERS
    | NAMES
    | st.binary(max_size=8)
    | st.lists(NUMBERS | NAMES, max_size=3)
    | st.dictionaries(NAMES, NUMBERS, max_size=2)
    | st.just(object())
)


class Plain(Task[None]):
    """Gives the source back."""

    name: ClassVar[str] = "plain"
    summary: ClassVar[str] = "The source."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(width=8, blocks=(1, 1), textured=False)
    channels: ClassVar[dict[str, int]] = {"source": 3}
    Options: ClassVar[type[Any]] = NoOptions

    def setup(self, request: Request, device: torch.device) -> None:
        return None

    def condition(self, chunk: Chunk, setup: None) -> Conditions:
        return Conditions({"source": chunk.frames})


def sizes() -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(0, 40), max_size=5).map(tuple)


def arrays() -> st.SearchStrategy[Any]:
    kinds = st.sampled_from([np.uint8, np.int16, np.float32, np.bool_, np.complex64, object])
    right = st.tuples(st.integers(1, 3), st.integers(8, 40), st.integers(8, 40), st.just(3))
    return st.builds(lambda shape, kind: np.zeros(shape, kind), sizes() | right, kinds)


def tensors() -> st.SearchStrategy[Any]:
    kinds = st.sampled_from([torch.float32, torch.float16, torch.uint8, torch.complex64])
    right = st.tuples(st.integers(1, 3), st.just(3), st.integers(8, 40), st.integers(8, 40))
    value = st.sampled_from([0.5, float("nan"), float("inf"), -1.0, 200.0])
    return st.builds(
        lambda shape, kind, level: torch.full(shape, level if kind.is_floating_point else 1, dtype=kind),
        sizes() | right,
        kinds,
        value,
    )


@pytest.mark.robustness(2, 3, 22, 32)
@QUICK
@given(video=arrays() | tensors() | ANYTHING | st.lists(arrays(), max_size=3))
def test_any_video(tmp_path: Path, video: Any) -> None:
    os.chdir(tmp_path)
    try:
        made = vid2vid.translate(video, Plain(), progress=False, dtype="float32")
    except vid2vid.Vid2VidError:
        assert list(tmp_path.iterdir()) == []
        return
    shape = tuple(video[0].shape) if isinstance(video, list) else tuple(video.shape)
    assert len(shape) >= 3
    assert made.report["frames"] >= 1
    assert list(tmp_path.iterdir()) == []


WORDS = (
    *("reference", "prompt", "backbone", "audio", "consent", "size", "device", "dtype"),
    *("engine", "seed", "strength", "fps", "events", "stems", "output"),
)


@pytest.mark.robustness(27, 45, 53)
@FEW
@given(word=st.sampled_from(WORDS), value=ANYTHING)
def test_any_word(tmp_path: Path, word: str, value: Any) -> None:
    os.chdir(tmp_path)
    video = np.zeros((2, 16, 24, 3), np.uint8)
    try:
        vid2vid.translate(video, Plain(), progress=False, **{"dtype": "float32", word: value})
    except vid2vid.Vid2VidError as error:
        assert error.code
        assert [path for path in tmp_path.iterdir() if ".partial" in path.name] == []


@pytest.mark.robustness(32, 53)
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("a\0b.mp4", "invalid_option"),
        ("x" * 300 + ".mp4", "output_not_writable"),
        ("/dev/null/x.mp4", "output_not_writable"),
        ("/proc/x.mp4", "output_not_writable"),
        ("none/x.mp4", "output_not_writable"),
        ("http://127.0.0.1/x.mp4", "output_not_writable"),
        (".mp4", "invalid_option"),
        ("", "invalid_option"),
    ],
    ids=range(8),
)
def test_outputs_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vid2vid.Vid2VidError) as caught:
        vid2vid.translate(np.zeros((2, 16, 24, 3), np.uint8), Plain(), name, progress=False)
    assert caught.value.code == error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.robustness(32)
@pytest.mark.parametrize(
    "name",
    [
        "-y.mp4",
        "%03d.mp4",
        "concat:a|b.mp4",
        "new\nline.mp4",
        "sp ace 🎬.mp4",
        "ü" * 125 + "x.mp4",
        os.fsdecode(b"\xff\xfe.mp4"),
    ],
)
def test_strange_outputs_are_plain_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    vid2vid.translate(np.zeros((2, 16, 24, 3), np.uint8), Plain(), name, progress=False, dtype="float32")
    assert probe(name).frame_count == 2
    assert {path.suffix for path in tmp_path.iterdir()} == {".mp4", ".json"}


@pytest.mark.robustness(45)
@FEW
@given(task=ANYTHING)
def test_any_task(task: Any) -> None:
    with pytest.raises(vid2vid.Vid2VidError):
        vid2vid.translate(np.zeros((1, 16, 24, 3), np.uint8), task, progress=False)


@pytest.mark.robustness(45)
@QUICK
@given(
    name=st.sampled_from(["paired", "cartoon_to_photoreal", "face_swap", "actor_swap", "sketch_to_scene"]),
    data=st.data(),
)
def test_any_option(name: str, data: st.DataObject) -> None:
    task = get_task(name)
    known = list(parse_options(task, {}).__dataclass_fields__)
    options = data.draw(st.dictionaries(st.sampled_from(known) | NAMES, ANYTHING, max_size=3))
    try:
        made = parse_options(task, options)
    except vid2vid.InvalidOption as error:
        assert str(error)
        return
    assert isinstance(made, task.Options)


@pytest.mark.robustness(1, 3, 27, 32)
@QUICK
@given(name=NAMES, content=st.binary(max_size=200), fps=st.none() | NUMBERS)
def test_any_file(tmp_path: Path, name: str, content: bytes, fps: Any) -> None:
    os.chdir(tmp_path)
    path = tmp_path / "any.mp4"
    path.write_bytes(content)
    for given_name in (name, path):
        with pytest.raises(vid2vid.Vid2VidError):
            probe(given_name, fps=fps)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
EVENT: dict[str, Any] = {"kind": "impact", "time_s": 0.5, "strength": 1.0, "figure": 0, "position": [0.5, 0.5]}


@pytest.mark.robustness(45)
@QUICK
@given(content=JSON, name=st.sampled_from([*EVENT, "other"]))
@example(content=10**400, name="time_s")
@example(content=[10**400, 0], name="position")
@example(content=10**400, name="figure")
def test_any_events(tmp_path: Path, content: Any, name: str) -> None:
    path = tmp_path / "events.json"
    for told in (content, {"events": content}, [{**EVENT, name: content}]):
        path.write_text(json.dumps(told))
        try:
            assert isinstance(read_events(path), tuple)
        except vid2vid.InvalidOption as error:
            assert "event" in str(error)


RECORD: dict[str, Any] = json.loads(
    new_consent("Anna", "licensed", ["face_swap"], expires=datetime.date(2100, 1, 1))._text(1)
)


@pytest.mark.robustness(45)
@QUICK
@given(content=JSON, data=st.data())
def test_any_consent(tmp_path: Path, content: Any, data: st.DataObject) -> None:
    path = tmp_path / "consent.json"
    name = data.draw(st.sampled_from([*RECORD, "other"]))
    for told in (content, {**RECORD, name: content}):
        path.write_text(json.dumps(told))
        try:
            read_consent(path)
        except vid2vid.Vid2VidError as error:
            assert "consent" in str(error)


@pytest.mark.robustness(2, 32)
@pytest.mark.parametrize("read", [read_events, read_consent])
def test_small_files_that_are_none(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", tmp_path, "/dev/zero", "none.json", "a\0b.json", "x" * 300 + ".json"):
        with pytest.raises(vid2vid.Vid2VidError):
            read(Path(path))
        with pytest.raises(vid2vid.Vid2VidError):
            read(str(path))


@pytest.mark.robustness(27)
@QUICK
@given(fps=NUMBERS)
def test_any_rate(fps: Any) -> None:
    video = np.zeros((1, 16, 24, 3), np.uint8)
    try:
        with vid2vid.io.open_source(video, fps=fps) as source:
            assert Fraction(1, 100) <= source.info.fps <= 1000
    except vid2vid.InvalidOption as error:
        assert "fps" in str(error)

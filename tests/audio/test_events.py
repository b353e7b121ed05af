"""The event list as a file that a person edits: read back as written, and every fault named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vid2vid import Event, InvalidOption
from vid2vid.audio import KINDS, events_as_json, read_events

GOOD = {"kind": "impact", "time_s": 1.5, "strength": 0.5, "figure": 1, "position": [0.2, 0.7]}


def written(folder: Path, content: Any) -> Path:
    path = folder / "edited.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    events = [Event(kind, 3.0 - n, n / 4, n or None, (n / 4, 0.5) if n else None) for n, kind in enumerate(KINDS[:4])]
    as_json = events_as_json(events)
    assert [entry["time_s"] for entry in as_json] == [0.0, 1.0, 2.0, 3.0]
    assert read_events(written(tmp_path, as_json)) == tuple(reversed(events))
    assert read_events(written(tmp_path, {"task": "any", "events": as_json})) == tuple(reversed(events))
    assert read_events(events) == tuple(reversed(events))


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    assert read_events(written(tmp_path, [{"kind": "fall", "time_s": 2}])) == (Event("fall", 2),)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"kind": "kick"}, ("'kick'", "whoosh")),
        ({"kind": ["impact"]}, ("kind=['impact']", "whoosh")),
        ({"time_s": -0.1}, ("time_s=-0.1", "0 or more")),
        ({"time_s": "1"}, ("time_s='1'", "seconds")),
        ({"time_s": float("nan")}, ("time_s=nan", "seconds")),
        ({"strength": 1.2}, ("strength=1.2", "0 to 1")),
        ({"strength": True}, ("strength=True", "0 to 1")),
        ({"figure": -1}, ("figure=-1", "null")),
        ({"figure": 0.5}, ("figure=0.5", "null")),
        ({"position": [0.5]}, ("position=(0.5,)", "x and y")),
        ({"position": [0.5, 1.5]}, ("position=(0.5, 1.5)", "0 to 1")),
        ({"positon": [0.5, 0.5]}, ("'positon'", "position")),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, change: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidOption) as caught:
        read_events(written(tmp_path, [GOOD, {**GOOD, **change}]))
    for part in ("entry 2", "edited.json", *parts):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[{", "no JSON"),
        ('{"task": "any"}', "no list"),
        ("3", "no list"),
        ("[3]", "entry 1"),
        ('[{"kind": "fall"}]', "'time_s'"),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, content: str, part: str) -> None:
    with pytest.raises(InvalidOption, match="events") as caught:
        read_events(written(tmp_path, content))
    assert part in str(caught.value)


def test_a_missing_file_and_foreign_things_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="cannot be read"):
        read_events(tmp_path / "none.json")
    with pytest.raises(InvalidOption, match="entry 1 is of type int"):
        read_events([3])  # type: ignore[list-item]
    with pytest.raises(InvalidOption, match="type int"):
        read_events(3)  # type: ignore[arg-type]

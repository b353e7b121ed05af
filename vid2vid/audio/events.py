"""The list of what happens in the picture, as JSON that a person can edit and give back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Final

from vid2vid.errors import InvalidOption, Vid2VidError
from vid2vid.types import Event

KINDS: Final = ("impact", "fall", "landing", "footfall", "whoosh")
"""What has a sound."""
_FIELDS: Final = tuple(field.name for field in fields(Event))


def check_event(event: Event, whose: str, error: type[Vid2VidError] = InvalidOption) -> Event:
    """Gives the event back if it can be placed and heard.

    Args:
        event: from a task or a file.
        whose: where it comes from, to begin the message with.
        error: the class to raise.

    Raises:
        InvalidOption, or `error`: names the field, the value and what is allowed.
    """
    fault = _fault(event)
    if fault:
        raise error(f"{whose} has {fault}")
    return event


def events_as_json(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Gives the list for the report, in the order of time; `read_events` reads it back."""
    return [
        {
            "kind": event.kind,
            "time_s": float(event.time_s),
            "strength": float(event.strength),
            "figure": None if event.figure is None else int(event.figure),
            "position": None if event.position is None else [float(value) for value in event.position],
        }
        for event in sorted(events, key=lambda event: event.time_s)
    ]


def read_events(given: str | os.PathLike[str] | Sequence[Event]) -> tuple[Event, ...]:
    """Reads an edited list of events.

    Args:
        given: a JSON file that holds the list, or a whole report with it under `events`; or the events themselves.

    Returns:
        The events in the order of time.

    Raises:
        InvalidOption: the file cannot be read or an entry cannot be used; the message names the entry, the value and
            what is allowed.
    """
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        found = [_parsed(entry, f"events: entry {n} of {path.name!r}") for n, entry in enumerate(_entries(path), 1)]
    elif isinstance(given, Sequence):
        found = [_own(one, f"events: entry {n}") for n, one in enumerate(given, 1)]
    else:
        raise InvalidOption(f"events of type {type(given).__name__}: a JSON file's path or a list of Event is needed.")
    return tuple(sorted(found, key=lambda event: event.time_s))


def _entries(path: Path) -> list[Any]:
    try:
        if not path.is_file():  # reading a FIFO would wait, a device never end
            raise InvalidOption(f"events={str(path)!r} cannot be read (it is no file). Give a JSON file.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidOption(f"events={str(path)!r} cannot be read ({error.strerror}). Give a JSON file.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidOption(f"events={str(path)!r} is no JSON ({error}). The report's list `events` is.") from error
    if isinstance(content, Mapping):
        content = content.get("events")
    if not isinstance(content, list):
        raise InvalidOption(f"events={str(path)!r} holds no list of events. Take the list `events` of a report.")
    return content


def _own(entry: object, whose: str) -> Event:
    if not isinstance(entry, Event):
        raise InvalidOption(f"{whose} is of type {type(entry).__name__}; an Event is needed.")
    return check_event(entry, whose)


def _parsed(entry: Any, whose: str) -> Event:
    if not isinstance(entry, Mapping):
        raise InvalidOption(f"{whose} is {entry!r}; an object with {', '.join(_FIELDS)} is needed.")
    unknown = sorted(set(entry) - set(_FIELDS))
    if unknown:
        raise InvalidOption(f"{whose} has {unknown[0]!r}; there are {', '.join(_FIELDS)}.")
    missing = [name for name in ("kind", "time_s") if name not in entry]
    if missing:
        raise InvalidOption(f"{whose} has no {missing[0]!r}; kind and time_s are needed.")
    position = entry.get("position")
    event = Event(
        kind=entry["kind"],
        time_s=entry["time_s"],
        strength=entry.get("strength", 1.0),
        figure=entry.get("figure"),
        position=tuple(position) if isinstance(position, list) else position,
    )
    return check_event(event, whose)


def _fault(event: Event) -> str:
    """What is wrong with an event, or nothing."""
    if event.kind not in KINDS:
        return f"kind={event.kind!r}: one of {', '.join(KINDS)} is needed."
    if not _number(event.time_s) or event.time_s < 0:
        return f"time_s={event.time_s!r}: seconds from the first frame are needed, 0 or more."
    if not _number(event.strength) or not 0 <= event.strength <= 1:
        return f"strength={event.strength!r}: a number from 0 to 1 is needed."
    figure, position = event.figure, event.position
    if figure is not None and (isinstance(figure, bool) or not isinstance(figure, Integral) or figure < 0):
        return f"figure={figure!r}: a number from 0 on, or null, is needed."
    if position is not None and not (
        isinstance(position, tuple) and len(position) == 2 and all(_number(one) and 0 <= one <= 1 for one in position)
    ):
        return f"position={position!r}: x and y from 0 to 1, or null, are needed."
    return ""


def _number(value: Any) -> bool:
    # Arrays' own numbers are fine; a bool is none, though Python counts it as one.
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False

"""A task's own options: described, checked by name and type, and read from the command line's words."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Union

from vid2vid.errors import InvalidOption
from vid2vid.task import Task

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_WORDS: Mapping[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    type(None): "none",
}
_PLURALS: Mapping[object, str] = {
    bool: "true or false",
    int: "whole numbers",
    float: "numbers",
    str: "words",
    Path: "paths",
}


class _Unfit(Exception):
    """The value is not of the type that was tried."""


@dataclasses.dataclass(frozen=True, slots=True)
class KeyFrameOptions:
    """Options of tasks that take key frames of the clip as references."""

    key_frames: tuple[int, ...] = dataclasses.field(
        default=(),
        metadata={"help": "numbers of the frames that the references show; found by content where not given"},
    )
    minutes: float = dataclasses.field(
        default=1.0, metadata={"help": "minutes to fit the references' look before rendering; 0 only carries them"}
    )
    preset: Literal["fast", "default", "fine"] = dataclasses.field(
        default="default", metadata={"help": "generator that is fitted: fast renders quickest, fine is sharpest"}
    )


def parse_options(task: Task[Any], options: Mapping[str, object], reserved: Collection[str] = ()) -> Any:
    """Makes an instance of a task's `Options`.

    Args:
        task: whose options they are.
        options: name -> value; text is read as the option's type, so that `key=value` from a shell works.
        reserved: names that the caller takes itself; only suggested where an unknown option resembles one.

    Returns:
        `task.Options` with the given values in place of its defaults.

    Raises:
        InvalidOption: for an unknown name or a value of the wrong type or range; says what is allowed.
    """
    wanted = _types_of(task.Options)
    for name in options:
        if name not in wanted:
            raise InvalidOption(_unknown(task, name, wanted, reserved))
    return read_options(task.Options, options, f"task {task.name!r}")


def read_options(kind: type[Any], options: Mapping[str, object], owner: str) -> Any:
    """Makes an instance of an options dataclass.

    Args:
        kind: the dataclass.
        options: name -> value, each a field's name; text is read as the field's type.
        owner: whose options they are, for errors: "task 'paired'".

    Raises:
        InvalidOption: for a value of the wrong type or range; says what is allowed.
    """
    wanted = _types_of(kind)
    values = {}
    for name, value in options.items():
        try:
            values[name] = _coerce(value, wanted[name])
        except _Unfit:
            raise InvalidOption(f"Option {name}={value!r} of {owner}: {_allowed(wanted[name])} is needed.") from None
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise InvalidOption(f"Options of {owner}: {error}") from error


def describe_options(options: type[Any]) -> dict[str, str]:
    """Describes each field of an `Options` dataclass as "type, default, what it does".

    The last part is the field's `metadata={"help": ...}`.

    Raises:
        TypeError: if a field's type is none that options may have.
    """
    wanted = _types_of(options)
    lines = {}
    for field in dataclasses.fields(options):
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        parts = [_allowed(wanted[field.name]), f"default {_shown(default)}", str(field.metadata.get("help", ""))]
        lines[field.name] = ", ".join(part for part in parts if part)
    return lines


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """A sentence such as " Did you mean 'face_swap'?" with its leading space, or nothing."""
    nearest = difflib.get_close_matches(name, tuple(candidates), n=1, cutoff=0.5)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def _types_of(options: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(options)
    wanted = {field.name: hints[field.name] for field in dataclasses.fields(options) if field.init}
    for name, kind in wanted.items():
        for member in _members(kind):
            if not _understood(member):
                raise TypeError(
                    f"Options.{name} has the type {kind}; int, float, bool, str, Path, Literal, tuples of "
                    "any length of one of them, and unions with None are understood"
                )
    return wanted


def _understood(member: Any) -> bool:
    """Whether values of this type can be read; of tuples only those of one type and any length."""
    if typing.get_origin(member) is tuple:
        inner = typing.get_args(member)
        return len(inner) == 2 and inner[1] is Ellipsis and inner[0] in _PLURALS
    return member in _WORDS or typing.get_origin(member) is Literal


def _members(kind: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)


def _unknown(task: Task[Any], name: str, wanted: Collection[str], reserved: Collection[str]) -> str:
    listed = f"Its options: {', '.join(sorted(wanted))}." if wanted else "It has no options of its own."
    return f"Task {task.name!r} has no option {name!r}.{suggestion(name, [*wanted, *reserved])} {listed}"


def _coerce(value: object, kind: Any) -> object:
    """The value as the type wants it; text is tried as every other member of a union before it is taken as text."""
    for member in sorted(_members(kind), key=lambda member: (member in (str, Path), member is float)):
        try:
            return _read(value, member)
        except (_Unfit, ValueError, OverflowError):
            continue
    raise _Unfit


def _read(value: object, member: Any) -> object:
    origin = typing.get_origin(member)
    if origin is Literal:
        return _as_literal(value, member)
    if origin is tuple:
        return _as_tuple(value, typing.get_args(member)[0])
    return _READERS[member](value)


def _as_tuple(value: object, kind: Any) -> tuple[object, ...]:
    """A sequence, or text with commas between its parts."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, Iterable):
        raise _Unfit
    return tuple(_READERS[kind](part) for part in value)


def _as_literal(value: object, member: Any) -> object:
    for choice in typing.get_args(member):
        if (type(value) is type(choice) and value == choice) or value == str(choice):
            return choice
    raise _Unfit


def _as_none(value: object) -> None:
    if value is not None and not (isinstance(value, str) and value.strip().lower() == "none"):
        raise _Unfit


def _as_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE + _FALSE:
        return value.strip().lower() in _TRUE
    raise _Unfit


def _as_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral | str):
        raise _Unfit
    return int(value)


def _as_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real | str) or not math.isfinite(float(value)):
        raise _Unfit
    return float(value)


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unfit
    return value


def _as_path(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise _Unfit
    return Path(value)


_READERS: Mapping[object, typing.Callable[[object], object]] = {
    type(None): _as_none,
    bool: _as_bool,
    int: _as_int,
    float: _as_float,
    str: _as_text,
    Path: _as_path,
}


def _allowed(kind: Any) -> str:
    """What a type allows, in words: "a number or none", "one of soft, hard"."""
    words = []
    for member in _members(kind):
        if typing.get_origin(member) is Literal:
            words.append("one of " + ", ".join(str(choice) for choice in typing.get_args(member)))
        elif typing.get_origin(member) is tuple:
            words.append(f"a list of {_PLURALS[typing.get_args(member)[0]]}")
        else:
            words.append(_WORDS[member])
    return " or ".join(words)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(_shown(part) for part in value) or "empty"
    return "none" if value is None else str(value)

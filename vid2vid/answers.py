"""What commands take and say: words of the command line turned into values, and answers for people and programs."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table

from vid2vid.errors import InvalidOption

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say."""

    values: Mapping[str, object]
    """For `--json`."""
    text: RenderableType
    """For people."""
    exit_code: int = 0


def any_word(word: str | None) -> Any:
    """A word whose allowed values the called function checks, with a better message than a parser's."""
    return word


def frame_rate(text: str | None) -> Fraction | None:
    """A rate such as 25, 23.976 or 30000/1001."""
    try:
        return None if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise InvalidOption(f"fps={text!r}: a number such as 25, 23.976 or 30000/1001 is needed.") from None


def options(pairs: Sequence[str] | None, called: Callable[..., Any]) -> dict[str, Any]:
    """Reads `key=value` words; whoever takes them turns the values into their types.

    Args:
        pairs: as typed.
        called: the function that takes them; its own parameters have words of their own.
    """
    found: dict[str, str] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key.isidentifier():
            raise InvalidOption(f"--option {pair!r}: key=value is needed, such as --option grain=0.5.")
        if key in found:
            raise InvalidOption(f"--option {key} is given twice.")
        if key in inspect.signature(called).parameters:
            raise InvalidOption(f"--option {key}: this is no option of a task; say --{key.replace('_', '-')} {value}.")
        found[key] = value
    return found


def facts(values: Mapping[str, object]) -> Table:
    """Name and value, line by line; what was not measured is left out."""
    table = Table(show_header=False, box=None)
    for name, value in values.items():
        if value is not None and not (isinstance(value, tuple) and not value):
            table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
    return table


def rows(values: Sequence[Mapping[str, object]]) -> Table:
    """Values for people: a row for each, under their names."""
    table = Table(*values[0], box=None)
    for row in values:
        table.add_row(*(str(value) for value in row.values()))
    return table


@contextlib.contextmanager
def clean_stdout(as_json: bool) -> Iterator[None]:
    """Sends what libraries print to stderr, so that `--json` stays one object."""
    if not as_json:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield

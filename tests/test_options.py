"""A task's own options: names, types and text from a shell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from vid2vid.errors import BrokenPlugin, InvalidOption
from vid2vid.options import describe_options, parse_options
from vid2vid.task import Task
from vid2vid.types import Chunk, Conditions, Request


@dataclass(frozen=True)
class Options:
    grain: float = field(default=0.5, metadata={"help": "film grain, 0 to 1"})
    count: int = 3
    sharp: bool = False
    look: Literal["soft", "hard", 2] = "soft"
    title: str = ""
    lut: Path | None = None
    limit: int | None = None
    frames: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.grain <= 1:
            raise ValueError(f"grain={self.grain}: a number from 0 to 1 is needed.")


class Painter(Task[None]):
    name = "painter"
    summary = "Paints."
    channels = {"source": 3}
    Options = Options

    def setup(self, request: Request, device: Any) -> None: ...

    def condition(self, chunk: Chunk, setup: None) -> Conditions:
        return Conditions(maps={"source": chunk.frames})


def parse(**options: object) -> Options:
    made = parse_options(Painter(), options)
    assert isinstance(made, Options)
    return made


def test_nothing_given_keeps_the_defaults() -> None:
    assert parse() == Options()


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("grain", "0.25", 0.25), ("grain", 1, 1.0), ("grain", np.float32(0.5), 0.5), ("count", "12", 12),
        ("count", np.int64(4), 4), ("sharp", "yes", True), ("sharp", "off", False), ("sharp", True, True),
        ("look", "hard", "hard"), ("look", "2", 2), ("title", "5", "5"), ("lut", "a/b.cube", Path("a/b.cube")),
        ("lut", "none", None), ("lut", None, None), ("limit", "None", None), ("limit", "7", 7),
        ("frames", "0, 40,80", (0, 40, 80)), ("frames", [1, 2], (1, 2)), ("frames", "", ()),
    ],
)  # fmt: skip
def test_values_are_read_as_their_type(name: str, given: object, expected: object) -> None:
    value = getattr(parse(**{name: given}), name)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.robustness(45)
@pytest.mark.parametrize(
    ("name", "given", "allowed"),
    [
        ("grain", "much", "a number"), ("grain", True, "a number"), ("grain", "nan", "a number"),
        ("grain", "inf", "a number"), ("count", "1.5", "a whole number"), ("count", 1.5, "a whole number"),
        ("count", True, "a whole number"), ("count", None, "a whole number"), ("sharp", "perhaps", "true or false"),
        ("sharp", 1, "true or false"), ("look", "medium", "soft, hard, 2"), ("title", 5, "text"),
        ("lut", 5, "a path or none"), ("limit", "x", "a whole number or none"), ("frames", "1,x", "whole numbers"),
        ("frames", 5, "whole numbers"), ("grain", 10**400, "a number"),
    ],
)  # fmt: skip
def test_a_wrong_type_says_what_is_allowed(name: str, given: object, allowed: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse(**{name: given})
    assert f"Option {name}=" in str(caught.value)
    assert allowed in str(caught.value)


def test_a_misspelt_name_is_met_with_a_suggestion_and_the_list() -> None:
    with pytest.raises(InvalidOption, match=r"Did you mean 'grain'\? Its options: count, frames, grain") as caught:
        parse(grian=0.5)
    assert "'grian'" in str(caught.value)


def test_a_misspelt_argument_of_the_caller_is_suggested_too() -> None:
    with pytest.raises(InvalidOption, match="Did you mean 'overwrite'"):
        parse_options(Painter(), {"overwite": True}, reserved=("overwrite", "seed"))


def test_a_value_out_of_range_is_an_invalid_option() -> None:
    with pytest.raises(InvalidOption, match="from 0 to 1"):
        parse(grain=2)


def test_descriptions_give_type_default_and_help() -> None:
    lines = describe_options(Options)
    assert lines["grain"] == "a number, default 0.5, film grain, 0 to 1"
    assert lines["look"] == "one of soft, hard, 2, default soft"
    assert lines["lut"] == "a path or none, default none"
    assert lines["sharp"] == "true or false, default false"


def test_a_type_that_cannot_be_read_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd:
        table: dict[str, int] = field(default_factory=dict)

    odd: Any = Odd
    odd.__annotations__["table"] = dict[str, int]
    with pytest.raises(TypeError, match=r"Options\.table has the type"):
        describe_options(odd)
    assert not issubclass(BrokenPlugin, TypeError), "the registry turns this into BrokenPlugin, with the owner"

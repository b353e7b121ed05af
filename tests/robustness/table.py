"""Writes README.md beside this file: which test proves which fault, and how it went when all of them ran."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.robustness.cases import CASES

TESTS: Final = Path(__file__).parents[1]
README: Final = Path(__file__).with_name("README.md")
_HEAD: Final = """# Faults and the tests that prove them

Written by a run of all marked tests (`pytest -m robustness`, or the whole suite); do not edit. A test says which
faults it proves with `@pytest.mark.robustness(49)`, several numbers where it proves several.

| # | Fault | Right behaviour | Tests | Result |
|---|---|---|---|---|
"""


def marked_tests(folder: Path = TESTS) -> dict[str, tuple[int, ...]]:
    """Finds every marked test without importing any.

    Returns:
        `io/test_probe.py::test_empty_file` -> its cases; a mark on a class holds for the tests in it.
    """
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text("utf-8")
        if "mark.robustness(" in text:
            found |= _marked_in(ast.parse(text).body, path.relative_to(folder).as_posix(), ())
    return found


def _marked_in(body: list[ast.stmt], prefix: str, outer: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            cases = (*outer, *_cases(node.decorator_list))
            if isinstance(node, ast.ClassDef):
                found |= _marked_in(node.body, f"{prefix}::{node.name}", cases)
            elif cases and node.name.startswith("test"):
                found[f"{prefix}::{node.name}"] = tuple(sorted(set(cases)))
    return found


def _cases(decorators: list[ast.expr]) -> Iterator[int]:
    for decorator in decorators:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("mark.robustness"):
            yield from (int(ast.literal_eval(argument)) for argument in decorator.args)


def render(tests: Mapping[str, tuple[int, ...]], outcomes: Mapping[str, Counter[str]]) -> str:
    """Gives the whole page.

    Args:
        tests: name -> cases.
        outcomes: name -> how often it passed, failed or was skipped.
    """
    lines = []
    for number, case in CASES.items():
        names = [name for name, cases in tests.items() if number in cases]
        results = Counter[str]()
        for name in names:
            results.update(outcomes.get(name, Counter()))
        told = ", ".join(f"{results[word]} {word}" for word in ("failed", "passed", "skipped") if results[word])
        cells = (
            str(number),
            case.fault,
            case.right,
            "<br>".join(f"`{name}`" for name in names) or "none",
            told or "none",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return _HEAD + "\n".join(lines) + "\n"


def names_in(page: str) -> dict[int, tuple[str, ...]]:
    """Reads a page back: number -> names of tests."""
    found = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        number = cells[0].removeprefix("| ")
        if len(cells) == 5 and number.isdecimal():
            found[int(number)] = tuple(name.strip("`") for name in cells[3].split("<br>") if name != "none")
    return found

"""Follows the marked tests of a run and writes their table once all of them have run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.robustness.cases import CASES
from tests.robustness.table import README, TESTS, marked_tests, render


class Follower:
    """Keeps what became of every marked test."""

    def __init__(self) -> None:
        self._outcomes: dict[str, Counter[str]] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known: dict[str, tuple[int, ...]] | None = None
        for item in items:
            cases = {case for mark in item.iter_markers("robustness") for case in mark.args}
            if not cases:
                continue
            known = marked_tests() if known is None else known
            name = _name(f"{Path(item.path).relative_to(TESTS).as_posix()}{item.nodeid[item.nodeid.index('::') :]}")
            if set(known.get(name, ())) != cases or not cases <= CASES.keys():
                raise pytest.UsageError(
                    f"{name} is marked with {sorted(cases)}: give numbers 1 to {len(CASES)}, in a decorator of the "
                    "test or its class, so that the table can be made without importing the tests."
                )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Where tests run in several processes, reports reach the one that collected nothing: names come from them.
        if report.when == "call" or report.outcome != "passed":
            self._outcomes.setdefault(_name(report.nodeid), Counter())[report.outcome] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return
        tests = marked_tests() if self._outcomes else {}
        outcomes = {name: self._outcomes[name] for name in tests if name in self._outcomes}
        if outcomes and outcomes.keys() == tests.keys():
            README.write_text(render(tests, outcomes), "utf-8")


def _name(test: str) -> str:
    """Path below the tests' folder, class and function of a test, without its parameters."""
    return test.split("[", 1)[0].removeprefix(f"{TESTS.name}/")

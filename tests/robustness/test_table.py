"""The table of faults is complete and up to date."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.robustness.cases import CASES
from tests.robustness.plugin import Follower
from tests.robustness.table import README, marked_tests, names_in, render


def test_every_fault_has_a_test() -> None:
    proved = {number for cases in marked_tests().values() for number in cases}
    assert list(CASES) == list(range(1, 64))
    assert set(CASES) - proved == set()


def test_the_page_names_the_tests_that_there_are() -> None:
    now = names_in(render(marked_tests(), {}))
    assert names_in(README.read_text("utf-8")) == now, "run pytest -m robustness, which writes the page anew"


def test_marks_are_found_on_functions_and_classes(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('x', [1])\n@pytest.mark.robustness(7, 3)\ndef test_one(x): ...\n"
        "@pytest.mark.robustness(1)\nclass TestMany:\n    @pytest.mark.robustness(2)\n    def test_two(self): ...\n"
        "    def helper(self): ...\ndef test_bare(): ...\n"
    )
    found = marked_tests(tmp_path)
    assert found == {"test_a.py::test_one": (3, 7), "test_a.py::TestMany::test_two": (1, 2)}
    page = render(found, {"test_a.py::test_one": Counter(passed=2, failed=1)})
    assert names_in(page)[3] == ("test_a.py::test_one",)
    assert "| 1 failed, 2 passed |" in page


@pytest.mark.parametrize("number", [64, 0])
def test_a_mark_outside_the_table_is_an_error(request: pytest.FixtureRequest, number: int) -> None:
    item = pytest.Function.from_parent(request.node.parent, name="test_none", callobj=lambda: None)
    item.add_marker(pytest.mark.robustness(number))
    with pytest.raises(pytest.UsageError, match="give numbers 1 to 63"):
        Follower().pytest_collection_modifyitems([item])

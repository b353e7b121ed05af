"""Tasks are found in real entry-point tables, and a bad plug-in says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins import install, task_source
from vid2vid.errors import BrokenPlugin, DuplicateTask, UnknownTask
from vid2vid.registry import get_task, list_tasks, task_names, weights_path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path into which distributions are put."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_task_of_another_distribution_is_found(site: Path) -> None:
    install(site, "found-one", {"found": "found_one:task"}, version="4.5", module=task_source("found"))
    task = get_task("found")
    assert task.name == "found"
    assert get_task("found") is task, "one shared instance"
    info = next(info for info in list_tasks() if info.name == "found")
    assert (info.owner, info.summary, info.bundled, dict(info.options)) == (
        "found-one", "Gives the source back.", False, {})  # fmt: skip


def test_weights_beside_the_module_count_as_bundled(site: Path) -> None:
    body = "from vid2vid import BackboneConfig\nbackbone = BackboneConfig(weights='net.safetensors')"
    install(site, "with-weights", {"weighty": "with_weights:task"}, module=task_source("weighty", body))
    assert weights_path(get_task("weighty")) is None
    (site / "net.safetensors").write_bytes(b"x")
    assert weights_path(get_task("weighty")) == site / "net.safetensors"
    assert next(info for info in list_tasks() if info.name == "weighty").bundled


def test_an_unknown_name_is_met_with_a_suggestion_and_the_list(site: Path) -> None:
    install(site, "near-one", {"face_swap": "near_one:task"}, module=task_source("face_swap"))
    with pytest.raises(UnknownTask) as caught:
        get_task("fase_swap")
    assert "'fase_swap'" in str(caught.value)
    assert "Did you mean 'face_swap'?" in str(caught.value)
    assert "Installed tasks: " in str(caught.value)


@pytest.mark.parametrize(
    ("distribution", "module", "entry", "cause"),
    [
        ("bad-import", "import no_such_module_anywhere\n", "task", "ModuleNotFoundError"),
        ("bad-exit", "raise SystemExit(3)\n", "task", "SystemExit"),
        ("bad-attribute", "x = 1\n", "task", "AttributeError"),
        ("bad-type", "task = 'a string'\n", "task", "it is a str, not an instance"),
        ("bad-class", task_source("broken"), "Nothing", "declare an instance"),
        ("bad-name", task_source("other"), "task", "calls itself 'other'"),
        ("bad-needs", task_source("broken", "needs = frozenset({'coffee'})"), "task", "coffee"),
        ("bad-options", task_source("broken", "Options = int"), "task", "no dataclass"),
        ("bad-default", task_source("broken", "@dataclass(frozen=True)\nclass Options:\n    size: int"), "task",
         "Options.size has no default"),
        ("bad-kind", task_source("broken", "@dataclass(frozen=True)\nclass Options:\n    size: dict = None"), "task",
         "Options.size has the type"),
    ],
)  # fmt: skip
def test_a_broken_plugin_names_its_owner_and_the_cause(
    site: Path, distribution: str, module: str, entry: str, cause: str
) -> None:
    install(site, distribution, {"broken": f"{distribution.replace('-', '_')}:{entry}"}, version="7.8", module=module)
    install(site, f"healthy-{distribution}", {"healthy": f"healthy_{distribution.replace('-', '_')}:task"},
            module=task_source("healthy"))  # fmt: skip
    with pytest.raises(BrokenPlugin) as caught:
        get_task("broken")
    assert f"{distribution} 7.8" in str(caught.value)
    assert cause in str(caught.value)
    with pytest.raises(BrokenPlugin, match=r"7\.8"):
        list_tasks()
    assert get_task("healthy").name == "healthy", "one bad plug-in must not break the others"
    assert {"broken", "healthy"} <= set(task_names())


def test_two_owners_of_one_name_are_both_named(site: Path) -> None:
    install(site, "first-owner", {"shared": "first_owner:task"}, version="1.1", module=task_source("shared"))
    install(site, "second-owner", {"shared": "second_owner:task", "own": "second_owner:task"}, version="2.2",
            module=task_source("own"))  # fmt: skip
    with pytest.raises(DuplicateTask) as caught:
        get_task("shared")
    assert "first-owner 1.1" in str(caught.value)
    assert "second-owner 2.2" in str(caught.value)
    with pytest.raises(DuplicateTask):
        list_tasks()
    assert get_task("own").name == "own"


def test_a_distribution_twice_on_the_path_counts_once(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "seen-twice", {"twice": "seen_twice:task"}, module=task_source("twice"))
    other = tmp_path_factory.mktemp("other")
    install(other, "seen-twice", {"twice": "seen_twice:task"}, version="0.9", module=task_source("twice"))
    monkeypatch.syspath_prepend(other)
    assert get_task("twice").name == "twice"


def test_names_are_listed_without_importing_anything(site: Path) -> None:
    install(site, "never-imported", {"loud": "never_imported:task"}, module="raise RuntimeError('imported')\n")
    assert "loud" in task_names()

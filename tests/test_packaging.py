"""What is installed: every folder with code, the weights, the samples, and a task for every task folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENTRIES: dict[str, str] = SETTINGS["project"]["entry-points"]["vid2vid.tasks"]


def folders_with_code() -> set[str]:
    found = set()
    for folder, package in ((ROOT / "vid2vid", "vid2vid"), (ROOT / "tasks", "vid2vid_tasks")):
        for file in folder.rglob("*.py"):
            found.add(".".join((package, *file.parent.relative_to(folder).parts)))
    return found


def test_every_folder_with_code_is_a_declared_package() -> None:
    assert set(SETTINGS["tool"]["setuptools"]["packages"]) == folders_with_code()


def test_every_task_folder_is_declared_and_installed() -> None:
    folders = {path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py")}
    assert set(ENTRIES) == folders
    assert {name: f"vid2vid_tasks.{name}:task" for name in folders} == ENTRIES
    installed = {point.name: point.value for point in entry_points(group="vid2vid.tasks")}
    assert ENTRIES.items() <= installed.items(), "entry points freeze at install: pip install -e . again"


def test_the_wheel_holds_everything(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("vid2vid", "tasks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("vid2vid-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder, package in ((ROOT / "vid2vid", "vid2vid"), (ROOT / "tasks", "vid2vid_tasks")):
        for pattern in ("*.py", "*.safetensors", "*.mp4", "*.json", "py.typed"):
            for file in folder.rglob(pattern):
                assert f"{package}/{file.relative_to(folder).as_posix()}" in names
    assert "vid2vid/samples/rabbit.mp4" in names and "vid2vid/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests", "tasks/", "benchmarks", "examples")) for name in names)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_weights_a_task_names_lie_in_its_folder(name: str) -> None:
    from vid2vid.registry import get_task, weights_path

    task = get_task(name)
    if task.backbone.weights is not None:
        assert weights_path(task) == ROOT / "tasks" / name / task.backbone.weights

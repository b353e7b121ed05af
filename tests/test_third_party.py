"""A task from someone else's package: installed by pip, listed, shown and rendered like our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vid2vid.io import open_source

PACKAGE = Path(__file__).parent / "third_party" / "vid2vid-negative"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the package."""
    folder = tmp_path_factory.mktemp("third_party")
    copy = shutil.copytree(PACKAGE, folder / "source")  # building leaves files behind
    target = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--no-build-isolation", "--target", str(target), str(copy)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, timeout=300,
                          cwd=site.parent)  # fmt: skip


def test_it_is_not_there_before_it_is_installed() -> None:
    from vid2vid.registry import task_names

    assert "negative" not in task_names()


def test_list_tasks_finds_it(site: Path) -> None:
    code = "import vid2vid; print([(t.name, t.owner, dict(t.options)) for t in vid2vid.list_tasks()])"
    done = run(site, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "('negative', 'vid2vid-negative', {'white': 'a number, default 1.0, what black becomes'})" in done.stdout
    assert "cartoon_to_photoreal" in done.stdout


def test_the_command_line_shows_it(site: Path) -> None:
    done = run(site, "-m", "vid2vid", "tasks", "--json")
    shown = {task["name"]: task for task in json.loads(done.stdout)["tasks"]}
    assert shown["negative"]["summary"] == "Turns every picture into its negative."
    assert shown["negative"]["owner"] == "vid2vid-negative"
    assert "negative" in run(site, "-m", "vid2vid", "tasks").stdout


def test_translate_renders_with_it(site: Path, square_clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "negative.mp4"
    done = run(site, "-m", "vid2vid", "translate", str(square_clip), "--task", "negative", "-o", str(output),
               "--option", "white=0.9", "--dtype", "float32", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"]["options"] == {"white": 0.9}
    before, after = frames(square_clip), frames(output)
    assert after.shape == before.shape
    assert np.abs(after - 0.9 * (255 - before)).mean() < 4, "the negative, as dark as the option asks"


def frames(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.stack([frame.pixels for frame in source]).astype(np.float32)

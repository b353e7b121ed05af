"""Folders that appear whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vid2vid import errors
from vid2vid.folders import beside, publish, replace_durably, standing

KILLED = """
import os, sys
from pathlib import Path
from vid2vid.folders import beside, publish
at, target = int(sys.argv[1]), Path(sys.argv[2])
calls = []
def killing(real):
    def call(*given, **named):
        calls.append(real)
        if len(calls) == at:
            os._exit(9)
        return real(*given, **named)
    return call
for owner, name in ((os, "mkdir"), (os, "rename"), (os, "rmdir"), (os, "unlink"), (os, "fsync"), (os, "open")):
    setattr(owner, name, killing(getattr(owner, name)))
with beside(target) as folder:
    for name in ("a", "b"):
        (folder / name).write_text("new")
    publish(folder, target, replace=True)
"""


def make(target: Path, content: str) -> None:
    with beside(target) as folder:
        for name in ("a", "b"):
            (folder / name).write_text(content)
        publish(folder, target, replace=True)


def contents(target: Path) -> list[str]:
    return [(standing(target) / name).read_text() for name in ("a", "b")]


def test_made_and_replaced(tmp_path: Path) -> None:
    for content in ("old", "new"):
        make(tmp_path / "look", content)
        assert contents(tmp_path / "look") == [content] * 2
        assert [entry.name for entry in tmp_path.iterdir()] == ["look"]


@pytest.mark.parametrize("killed_before", [False, True])
def test_killed_at_any_call_to_the_system(tmp_path: Path, killed_before: bool) -> None:
    """Old or new, never half; and the next attempt succeeds. Runs until a process lives to its end."""
    outcomes = []
    for at in range(1, 100):
        target = tmp_path / str(at) / "look"
        make(target, "old")
        if killed_before:
            target.rename(target.with_name(".look.replaced"))
        done = subprocess.run([sys.executable, "-c", KILLED, str(at), str(target)], capture_output=True, timeout=60)
        assert done.returncode in (0, 9), done.stderr
        found = contents(target)
        assert found in (["old"] * 2, ["new"] * 2)
        outcomes.append(found[0])
        make(target, "newer")
        assert target.is_dir()
        assert contents(target) == ["newer"] * 2
        if done.returncode == 0:
            break
    assert len(outcomes) > 10
    assert outcomes == sorted(outcomes, reverse=True), "old until the new one is there, new from then on"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), beside(tmp_path / "look") as folder:
        (folder / "a").touch()
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_something_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with beside(tmp_path / "look") as folder:
        (folder / "a").touch()
        (tmp_path / "look").mkdir()
        (tmp_path / "look" / "b").touch()
        with pytest.raises(errors.OutputExists):
            publish(folder, tmp_path / "look", replace=False)
    assert [path.name for path in tmp_path.rglob("*")] == ["look", "b"]


def test_a_file_is_replaced_in_one_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.jsonl"
    replace_durably(path, b"old")

    def broken(descriptor: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError):
        replace_durably(path, b"new and longer")
    assert path.read_bytes() == b"old"

"""The doctor tells what is missing, and its exit code says whether anything needed is."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from tests.plugins import install, task_source
from vid2vid import doctor
from vid2vid.__main__ import main

Output = pytest.CaptureFixture[str]


def test_a_healthy_machine_ends_with_0(capsys: Output) -> None:
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"] is True
    checks = {check["name"]: check for check in told["checks"]}
    assert {"python", "libraries", "torch", "memory", "codecs", "task cartoon_to_photoreal"} <= set(checks)
    assert checks["task cartoon_to_photoreal"]["status"] == "ok"
    assert "finite" in checks["task cartoon_to_photoreal"]["found"]


def test_a_missing_library_ends_with_4_and_says_what_to_do(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "kornia":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(doctor, "version", version)
    assert main(["doctor"]) == 4
    assert "pip install kornia" in capsys.readouterr().out


def test_a_task_whose_weights_are_damaged_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    config = "BackboneConfig(width=8, blocks=(1, 1), weights='net.safetensors')"
    source = task_source("ill", f"from vid2vid import BackboneConfig\nbackbone = {config}")
    install(tmp_path, "ill-task", {"ill": "ill_task:task"}, module=source)
    assert check_of("ill").status == "warn", "the file is not there"
    (tmp_path / "net.safetensors").write_bytes(b"not weights at all")
    found = check_of("ill")
    assert found.status == "fail"
    assert "net.safetensors" in found.found


def check_of(name: str) -> doctor.Check:
    return next(check for check in doctor.examine() if check.name == f"task {name}")

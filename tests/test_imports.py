"""Importing and listing load no model library; each case runs in a fresh process and reads its `sys.modules`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "torch", "torchvision", "numpy", "scipy", "cv2", "av", "decord", "kornia", "accelerate", "lpips", "diffusers",
    "transformers", "safetensors", "openvino", "stlpips_pytorch", "pyloudnorm",
}  # fmt: skip
MODEL = HEAVY - {"numpy", "cv2", "av"}


def loaded_by(statement: str, folder: Path) -> set[str]:
    """Top-level modules in a fresh process after the statement; what it prints is thrown away."""
    code = (
        "import contextlib, io, json, sys\n"
        f"with contextlib.redirect_stdout(io.StringIO()):\n    {statement}\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import vid2vid",
        "import vid2vid; vid2vid.Task, vid2vid.Conditions, vid2vid.BackboneConfig, vid2vid.UnknownTask",
        "import vid2vid; assert vid2vid.list_tasks()",
        "import vid2vid; vid2vid.TrainConfig, vid2vid.KeyPair, vid2vid.InvalidExamples, vid2vid.NewerFormat",
        "from vid2vid.__main__ import main; assert main(['--help']) == 0",
        "from vid2vid.__main__ import main; assert main(['translate', '--help']) == 0",
        "from vid2vid.__main__ import main; assert main(['train', '--help']) == 0",
        "from vid2vid.__main__ import main; assert main(['tasks']) == 0",
        "from vid2vid.__main__ import main; assert main(['tasks', '--json']) == 0",
    ],
)
def test_nothing_heavy_is_loaded(statement: str, tmp_path: Path) -> None:
    assert loaded_by(statement, tmp_path) & HEAVY == set()


@pytest.mark.parametrize("name", ["translate", "train", "load_bundle", "Trained", "Bundle"])
def test_a_public_name_is_found_without_a_model_library(name: str, tmp_path: Path) -> None:
    found = loaded_by(f"import vid2vid; vid2vid.{name}", tmp_path)
    assert found & MODEL == set()
    assert "av" in found or name in ("Trained", "Bundle", "load_bundle"), "the probe works: it sees what is loaded"

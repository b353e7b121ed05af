"""A hundred damaged files on every run, a thousand at night: never a crash, a hang, a file half written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vid2vid import errors

CASES = int(os.environ.get("VID2VID_FUZZ_CASES", "100"))
SEED = int(os.environ.get("VID2VID_FUZZ_SEED", "0"))
PROGRAM = Path(__file__).with_name("mutate.py")
SOURCE_FAULTS = {
    kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.InputError)
}


def run(mode: str, count: int, folder: Path) -> list[dict[str, Any]]:
    """The outcomes of the cases.

    Raises:
        AssertionError: the program crashed, hung or raised what it should not; says at which case and how to repeat it.
    """
    command = [sys.executable, str(PROGRAM), mode, str(SEED), str(count), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SVT_LOG": "0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120 + 30 * count, env=environment)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, f"{lines[-1:]} of {' '.join(command)}:\n{done.stderr[-3000:]}"
    outcomes = [line for line in lines if "result" in line]
    assert len(outcomes) == count
    return outcomes


@pytest.mark.robustness(3, 5, 7, 8, 9, 10, 24, 25, 26)
@pytest.mark.parametrize(("mode", "share"), [("read", 1.0), ("render", 0.5), ("translate", 0.08)])
def test_damage_is_mended_or_refused_by_name(tmp_path: Path, mode: str, share: float) -> None:
    outcomes = run(mode, max(1, round(CASES * share)), tmp_path)
    results = Counter(outcome["result"] for outcome in outcomes)
    assert set(results) <= SOURCE_FAULTS | {"ok"}, results
    assert results["ok"] > 0
    if len(outcomes) >= 40:
        assert len(results) >= 4, "the damage is too mild to mean anything"
    for outcome in outcomes:
        assert not any(".partial-" in name for name in outcome["left"]), outcome
        if outcome["result"] != "ok":
            assert not any(name.startswith("out.") and not name.endswith(".v2v") for name in outcome["left"]), outcome

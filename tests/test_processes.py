"""Two processes that share the slots learn what one learns, and end together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.moving import clip, frame, look, write_clip, write_picture

TESTS = Path(__file__).parent
PROGRAM = """
import json, os, sys, time
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
import training_runs as t
from vid2vid.errors import NonFiniteOutput
from vid2vid import training

folder, case = Path(sys.argv[2]), sys.argv[3]
rank = int(os.environ.get("RANK", "0"))
training._LOG_EVERY = 1
losses = {**t.ALL_LOSSES, "perceptual": 1.0}
settings = t.config(5, learning_rate=1e-4, warmup_steps=1, save_every_s=0.0, perceptual_crop=32, losses=losses)
pictures, judge, told = t.Pictures(slots=3), None, []
net = t.net(seed=rank)
if case == "minutes":
    settings = t.config(None, minutes=0.12, judge_every_s=0.5)
    judge = t.Examiner(0.5, 0.4)
if case == "nan":
    pictures = t.Pictures(slots=3, poison_at=3)  # in the first slot, which the first process has
if case == "break" and not list(folder.glob("checkpoint-*")):
    pictures = t.Pictures(slots=3, stop_at=3)
try:
    fitted = training.fit(net, pictures, settings, folder, judge=judge, watch=told.append)
    result = {"steps": fitted.steps, "stopped": fitted.stopped, "seconds": fitted.seconds}
except (NonFiniteOutput, KeyboardInterrupt) as error:
    result = {"error": type(error).__name__}
result["told"] = len(told)
result["judged"] = len(judge.seen) if judge else 0
result["sum"] = float(sum(value.double().sum() for value in net.state_dict().values()))
(folder / f"result-{rank}.json").write_text(json.dumps(result))
"""

TEACHING = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
import vid2vid

folder = Path(sys.argv[2])
made = vid2vid.train(
    folder / "keys", clip=folder / "film.mp4", output=folder / "look", steps=3, preset="fast", batch=2, crop=32,
    device="cpu", precision="no", progress=False,
)
result = {"sha": made.bundle.weights_sha256, "steps": made.steps}
(folder / f"result-{os.environ['RANK']}.json").write_text(json.dumps(result))
"""


def run(folder: Path, processes: int, case: str = "steps") -> list[dict[str, Any]]:
    launch(PROGRAM, folder, processes, case)
    return [json.loads((folder / f"result-{rank}.json").read_text()) for rank in range(processes)]


def launch(text: str, folder: Path, processes: int, *words: str) -> None:
    """Runs a program that takes the folder of tests, its own folder and words."""
    folder.mkdir(exist_ok=True)
    program = folder / "program.py"
    program.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # With --cpu, accelerate's launcher starts several processes through MPI only, and without it just one.
    start = [sys.executable, "-m", "accelerate.commands.launch", f"--num_processes={processes}"]
    start += ["--multi_gpu", f"--main_process_port={port}"] if processes > 1 else ["--cpu"]
    start += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*start, str(program), str(TESTS), str(folder), *words], capture_output=True, env=environment, timeout=240
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]


def logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def close(first: Path, second: Path) -> None:
    weights = [load_file(folder / "weights.safetensors") for folder in (first, second)]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], atol=1e-5, rtol=0.0)
    assert len(logged(first)) == 5
    for one, two in zip(logged(first), logged(second), strict=True):
        assert one == pytest.approx(two, abs=2e-5)  # they are rounded to five places


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    run(folder, 1)
    return folder


def test_two_processes_learn_what_one_learns(alone: Path, tmp_path: Path) -> None:
    """Three slots, so one process has two of them; the second starts with another net, which must not matter."""
    first, second = run(tmp_path / "two", 2)
    assert first["sum"] == second["sum"]
    assert first["told"] > 0 and second["told"] == 0
    close(alone, tmp_path / "two")
    start = load_file(tmp_path / "two" / "weights.safetensors")
    sys.path.insert(0, str(TESTS))
    import training_runs

    moved = max(float((value - start[name]).abs().max()) for name, value in training_runs.net().state_dict().items())
    assert moved > 2e-4


@pytest.mark.robustness(60)
@pytest.mark.slow
def test_what_two_broke_off_one_continues(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    assert [result["error"] for result in run(folder, 2, "break")] == ["KeyboardInterrupt"] * 2
    run(folder, 1, "break")
    close(alone, folder)


@pytest.mark.slow
def test_they_end_together_in_time(tmp_path: Path) -> None:
    first, second = run(tmp_path / "minutes", 2, "minutes")
    assert first["stopped"] == second["stopped"] == "minutes"
    assert first["steps"] == second["steps"] > 3 and first["sum"] == second["sum"]
    assert 6.84 < first["seconds"] < 7.56
    assert first["judged"] >= 2 and second["judged"] == 0


@pytest.mark.slow
def test_all_hear_of_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    folder = tmp_path / "nan"
    assert [result["error"] for result in run(folder, 2, "nan")] == ["NonFiniteOutput"] * 2
    assert sorted(path.name for path in folder.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-3"]


@pytest.mark.slow
def test_two_processes_write_one_bundle(tmp_path: Path) -> None:
    write_clip(tmp_path / "film.mp4", clip())
    (tmp_path / "keys").mkdir()
    for t in (4, 18):
        write_picture(tmp_path / "keys" / f"{t}.png", look(frame(t)))
    launch(TEACHING, tmp_path, 2)
    first, second = (json.loads((tmp_path / f"result-{rank}.json").read_text()) for rank in range(2))
    assert first == second and first["steps"] == 3
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".look")]

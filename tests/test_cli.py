"""The command line: exit codes, one-line errors, pure JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import vid2vid
from tests.plugins import install
from vid2vid.__main__ import main
from vid2vid.errors import OutOfMemory
from vid2vid.io import probe

TASK = ("--task", "cartoon_to_photoreal")
SAMPLE = Path(vid2vid.__file__).parent / "samples" / "meadow.mp4"
Output = pytest.CaptureFixture[str]


def fails(capsys: Output, *words: str) -> tuple[int, str]:
    """Exit code and the one line on stderr; stdout stays empty and no traceback is shown."""
    code = main(words)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1 and shown.err.endswith("\n")
    assert "Traceback" not in shown.err
    return code, shown.err.strip()


@pytest.mark.parametrize(
    ("words", "code", "start", "part"),
    [
        (("translat", "a.mp4"), 2, "error[usage]: ", "Did you mean 'translate', 'train'?"),
        (("translate", "a.mp4"), 2, "error[usage]: ", "--task"),
        (("translate", *TASK), 2, "error[usage]: ", "argument"),
        (("translate", "a.mp4", *TASK, "--sise", "3"), 2, "error[usage]: ", "--size"),
        (("translate", "a.mp4", *TASK, "--size", "big"), 2, "error[usage]: ", "--size"),
        (("translate", "a.mp4", *TASK, "--size", "3"), 2, "error[invalid_option]: ", "at least 32"),
        (("translate", "a.mp4", *TASK, "--strength", "2"), 2, "error[invalid_option]: ", "from 0 to 1"),
        (("translate", "a.mp4", *TASK, "--fps", "1/0"), 2, "error[invalid_option]: ", "30000/1001"),
        (("translate", "a.mp4", *TASK, "--option", "finish"), 2, "error[invalid_option]: ", "key=value"),
        (("translate", "a.mp4", *TASK, "--option", "seed=3"), 2, "error[invalid_option]: ", "--seed 3"),
        (("translate", "a.mp4", *TASK, "--option", "grain=1", "--option", "grain=0"), 2, "error[invalid_option]: ",
         "twice"),
        (("translate", "a.mp4", *TASK, "--option", "finsh=film"), 2, "error[invalid_option]: ",
         "Did you mean 'finish'?"),
        (("translate", "a.mp4", *TASK, "--option", "finish=oil"), 2, "error[invalid_option]: ", "auto, none, subtle"),
        (("translate", "a.mp4", "--task", "cartoon_to_fotoreal"), 2, "error[unknown_task]: ",
         "Did you mean 'cartoon_to_photoreal'?"),
        (("translate", str(SAMPLE), *TASK, "--stems", "s"), 2, "error[invalid_option]: ", "audio='auto'"),
        (("translate", str(SAMPLE), *TASK, "--audio", "effects", "--events", "no.json"), 2, "error[invalid_option]: ",
         "no.json"),
        (("translate", "no such file.mp4", *TASK), 3, "error[input_not_found]: ", "no such file.mp4"),
        (("estimate", "no such file.mp4", *TASK), 3, "error[input_not_found]: ", "no such file.mp4"),
        (("translate", "a.mp4", "--task", "no/such/bundle"), 3, "error[input_not_found]: ", "no/such/bundle"),
        (("train",), 2, "error[usage]: ", "argument"),
        (("train", "no such folder"), 3, "error[input_not_found]: ", "no such folder"),
        (("train", "no such folder", "--preset", "slow"), 2, "error[invalid_option]: ", "fast, default, fine"),
        (("train", "no such folder", "--minutes", "0"), 2, "error[invalid_option]: ", "minutes=0.0"),
        (("train", "no such folder", "--steps", "0"), 2, "error[invalid_option]: ", "at least 1"),
        (("train", "no such folder", "--size", "16"), 2, "error[invalid_option]: ", "at least 64"),
        (("train", "no such folder", "--task", "pared"), 2, "error[unknown_task]: ", "Did you mean 'paired'?"),
        (("evaluate", "no such file.mp4"), 3, "error[input_not_found]: ", "no such file.mp4"),
    ],
)  # fmt: skip
def test_a_wrong_call_ends_with_its_code_and_one_line(
    words: tuple[str, ...], code: int, start: str, part: str, capsys: Output, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    returned, line = fails(capsys, *words)
    assert returned == code
    assert line.startswith(start)
    assert part in line
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize("words", [("translate", "no such file.mp4", *TASK), ("translate", "--nonsense")])
def test_json_errors_are_one_object(words: tuple[str, ...], capsys: Output) -> None:
    code = main([*words, "--json"])
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert set(told) == {"error", "message"}
    assert told["error"] == ("input_not_found" if code == 3 else "usage")
    assert shown.err == f"error[{told['error']}]: {told['message']}\n"


def test_a_broken_plugin_ends_with_4(capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "cli-broken", {"broken": "cli_broken:task"}, module="import no_such_module_anywhere\n")
    code, line = fails(capsys, "tasks")
    assert code == 4
    assert line.startswith("error[broken_plugin]: ")
    assert "cli-broken 1.0" in line


def replace_translate(monkeypatch: pytest.MonkeyPatch, error: BaseException, chatter: str = "") -> None:
    def translate(*words: Any, **options: Any) -> None:
        if chatter:
            print(chatter)  # noqa: T201
        raise error

    monkeypatch.setattr(vid2vid, "translate", translate)


def test_missing_resources_end_with_5(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_translate(monkeypatch, OutOfMemory("Too little\nmemory."), "a library chatters")
    assert main(["translate", "a.mp4", *TASK, "--json"]) == 5
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"error": "out_of_memory", "message": "Too little memory."}
    assert "a library chatters" in shown.err


@pytest.mark.robustness(50)
def test_an_interrupt_ends_with_130(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_translate(monkeypatch, KeyboardInterrupt())
    assert fails(capsys, "translate", "a.mp4", *TASK) == (130, "error[interrupted]: stopped before the end")


@pytest.mark.robustness(50)
def test_a_polite_kill_ends_with_130(tmp_path: Path) -> None:
    code = (
        "import sys, time, vid2vid\n"
        "def translate(*words, **options):\n    print('ready', file=sys.stderr, flush=True); time.sleep(60)\n"
        "vid2vid.translate = translate\n"
        "from vid2vid.__main__ import main\nsys.exit(main(['translate', 'a.mp4', '--task', 'x']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert child.wait(timeout=30) == 130
        assert time.monotonic() - began < 5


def test_the_handler_is_put_back(capsys: Output) -> None:
    def own(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, own)
    try:
        assert main(["--version"]) == 0
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().out == f"vid2vid {vid2vid.__version__}\n"


def test_a_command_may_run_in_any_thread() -> None:
    """Only the main one hears signals, and there they stay whose they are."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(main, ["--version"]).result() == 0


def test_a_fault_of_ours_shows_its_traceback_only_with_debug(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_translate(monkeypatch, ZeroDivisionError("oh"))
    assert main(["translate", "a.mp4", *TASK]) == 1
    shown = capsys.readouterr().err
    assert "error[internal]: ZeroDivisionError: oh" in shown
    assert "Traceback" not in shown
    assert main(["translate", "a.mp4", *TASK, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.robustness(50)
@pytest.mark.parametrize(
    "words", [("tasks",), ("tasks", "--json"), ("translate", "--help"), ("evaluate", "no such file.mp4", "--json")]
)
def test_a_reader_that_left_causes_no_traceback(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        command = [sys.executable, "-m", "vid2vid", *words]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, env=buffered)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_no_command_shows_the_help(capsys: Output) -> None:
    assert main([]) == 0
    assert "translate" in capsys.readouterr().out


def test_translate_writes_output_comparison_and_one_object(square_clip: Path, tmp_path: Path, capsys: Output) -> None:
    output = tmp_path / "a [b] clip.mp4"  # brackets would be markup to a careless console
    words = ["translate", str(square_clip), *TASK, "-o", str(output), "--compare", "--option", "finish=none"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == str(output)
    assert told["report"]["frames"] == 12
    assert told["report"]["options"]["finish"] == "none"
    assert probe(output).width == 96
    assert probe(Path(told["compare"])).width == 192
    assert fails(capsys, *words)[0] == 2, "the output is there already"
    assert main([*words, "--overwrite"]) == 0
    assert str(output) in capsys.readouterr().out.replace("\n", "")


def test_evaluate_and_estimate_report(square_clip: Path, capsys: Output) -> None:
    assert main(["evaluate", str(square_clip), "--source", str(square_clip), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["frames"] == 12
    assert told["motion_degree"] == pytest.approx(1.0)
    assert main(["evaluate", str(square_clip)]) == 0
    assert "sharpness" in capsys.readouterr().out
    assert main(["estimate", str(square_clip), *TASK, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 12

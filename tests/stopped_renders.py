"""Renders a clip several times at once and stops each render in its own way.

Run as a program of its own: it forks before anything has started a thread, so that no render loads the model libraries
again. It tells how every render ended, and how much slower than an idle machine this one was meanwhile.

    python stopped_renders.py FILM FOLDER
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

import vid2vid.output
import vid2vid.render
from tests.killed_renders import Remembering, StopsAt, forked
from vid2vid import Request
from vid2vid.__main__ import main as command_line

SEGMENT: Final = 8
SIGNALS: Final = {
    "interrupt": [signal.SIGINT],
    "polite kill": [signal.SIGTERM],
    "interrupt in the setup": [signal.SIGINT],
    "interrupt, deaf": [signal.SIGINT],
    "two interrupts, deaf": [signal.SIGINT, signal.SIGINT],
    "closed stdout": [],
}
"""Case -> what its render is sent, 0.2 s apart."""


class Deaf(Remembering):
    """Two segments are finished, then the main thread is in a call that no signal ends."""

    def __init__(self, journal: Path, act: Callable[[], object]) -> None:
        self.journal, self.act = journal, act

    def canvas(self, setup: dict[str, Any]) -> None:
        finished = self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0
        if finished >= 2 and threading.current_thread() is threading.main_thread():
            self.act()
            lock, library = ctypes.create_string_buffer(256), ctypes.CDLL(None)
            library.pthread_mutex_lock(lock)
            library.pthread_mutex_lock(lock)


class SlowSetup(Remembering):
    """Loads its models for longer than anybody waits."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def setup(self, request: Request, device: torch.device) -> dict[str, Any]:
        self.act()
        time.sleep(60.0)
        return super().setup(request, device)


def main() -> None:
    film, folder = Path(sys.argv[1]), Path(sys.argv[2])
    vid2vid.output.SEGMENT_FRAMES = (SEGMENT, SEGMENT)  # type: ignore[misc]
    slower = _slower()
    renders: dict[str, tuple[int, int]] = {}
    for case in SIGNALS:
        ready, told = os.pipe()
        renders[case] = (forked(partial(_render, case, film, folder, told)), ready)
        os.close(told)
    ended = _stopped(renders)
    sys.stdout.write(json.dumps({"ended": ended, "slower": max(slower, _slower())}) + "\n")


def _stopped(renders: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Sends each its signals once it has come so far; gives exit code and seconds since the last one."""
    ended: dict[str, Any] = {}
    asked: dict[str, float] = {}
    while len(ended) < len(renders):
        for case in renders.keys() - ended.keys():
            child, ready = renders[case]
            if case not in asked and select.select([ready], [], [], 0)[0]:
                for one in SIGNALS[case]:
                    time.sleep(0.2)
                    os.kill(child, one)
                asked[case] = time.monotonic()
            gone, status = os.waitpid(child, os.WNOHANG)
            if gone:
                took_s = time.monotonic() - asked.get(case, math.inf)
                ended[case] = {"code": os.waitstatus_to_exitcode(status), "took_s": took_s}
        time.sleep(0.01)
    return ended


def _slower() -> float:
    """Time that passes, over what of it this process gets."""
    began, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < 0.1:
        sum(range(10_000))
    return (time.perf_counter() - began) / (time.process_time() - used)


def _render(case: str, film: Path, folder: Path, told: int) -> None:
    """The command line, with what it says on stderr in a file."""
    output = folder / f"{case}.mp4"
    os.dup2(os.open(folder / f"{case}.txt", os.O_WRONLY | os.O_CREAT), 2)
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    if case == "closed stdout":
        os.close(reader)
        os.write(told, b"!")
    task = _task(case, folder / f"{case}.mp4.v2v" / "journal.jsonl", partial(os.write, told, b"!"))
    vid2vid.render.get_task = lambda name: task
    words = ["translate", str(film), "--task", "remembering", "-o", str(output), "--dtype", "float32", "--json"]
    os._exit(command_line(words))


def _task(case: str, journal: Path, ready: Callable[[], object]) -> Remembering:
    acted: list[bool] = []

    def act() -> None:
        """Once: with the chunks that are under way, several such waits would be taken for a render that is deaf."""
        if not acted:
            acted.append(True)
            ready()
            time.sleep(2.0)

    if "deaf" in case:
        return Deaf(journal, ready)
    if "setup" in case:
        return SlowSetup(ready)
    return StopsAt(2 * SEGMENT, act) if SIGNALS[case] else Remembering()


if __name__ == "__main__":
    main()

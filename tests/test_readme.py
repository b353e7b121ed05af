"""What the README shows runs, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vid2vid.__main__ import app, main
from vid2vid.io import open_source, probe, write_image
from vid2vid.registry import task_names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNNABLE = re.findall(r"<!-- runnable -->\n```python\n(.*?)```", README, re.DOTALL)


def frames(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.stack([frame.pixels for frame in source]).astype(np.float32)


@pytest.fixture(scope="module")
def ran(square_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every runnable block ran, in order and in one namespace, as a reader would type them."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "clip.mp4").write_bytes(square_clip.read_bytes())
    write_image(folder / "painted.png", (frames(square_clip)[3] * (0.9, 0.7, 0.5)).astype(np.uint8))
    space: dict[str, Any] = {"__name__": "readme"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number, block in enumerate(RUNNABLE):
            block = re.sub(r"minutes=\d+", "minutes=0.1", block)  # what a reader has the time for, a test has not
            exec(compile(block, f"README block {number}", "exec", dont_inherit=True), space)
    return folder


def test_every_python_block_is_marked_runnable() -> None:
    assert len(RUNNABLE) == README.count("```python") == 4


def test_the_first_block_renders_and_compares(ran: Path) -> None:
    assert (probe(ran / "real.mp4").width, probe(ran / "side_by_side.mp4").width) == (96, 192)
    assert (ran / "real.report.json").is_file()


def test_the_key_frame_block_takes_over_its_colours(ran: Path) -> None:
    red, _, blue = frames(ran / "look.mp4").mean((0, 1, 2))
    before = frames(ran / "clip.mp4").mean((0, 1, 2))
    assert blue / red < 0.8 * before[2] / before[0]


def test_the_trained_look_takes_over_its_colours(ran: Path) -> None:
    red, _, blue = frames(ran / "in_my_look.mp4").mean((0, 1, 2))
    before = frames(ran / "clip.mp4").mean((0, 1, 2))
    assert blue / red < 0.8 * before[2] / before[0]
    assert (ran / "bundles" / "my_look" / "bundle.json").is_file()


def test_the_task_of_the_readme_makes_night(ran: Path) -> None:
    night, day = frames(ran / "night.mp4").mean((0, 1, 2)), frames(ran / "clip.mp4").mean((0, 1, 2))
    assert night.mean() < 0.5 * day.mean()
    assert night[2] > night[0] + 3, "moonlight is blue"


def test_the_commands_shown_exist(capsys: pytest.CaptureFixture[str]) -> None:
    shells = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    shown = set(re.findall(r"^vid2vid (\w+)", shells, re.MULTILINE))
    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {str(group.name) for group in app.registered_groups}
    assert shown and shown <= known
    for command in shown:
        further = re.findall(rf"^vid2vid {command} (new)\b", shells, re.MULTILINE)[:1]
        assert main([command, *further, "--help"]) == 0
        text = capsys.readouterr().out
        for line in re.findall(rf"^vid2vid {command} (.*)$", shells, re.MULTILINE):
            for flag in re.findall(r"(?<!\S)--[a-z-]+", line):
                assert flag in text


def test_the_task_table_lists_the_bundled_tasks() -> None:
    table = README.partition("## Tasks")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == sorted(task_names())


def test_links_into_the_repository_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link

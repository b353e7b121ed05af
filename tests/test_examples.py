"""The examples run as a new user would run them, and what they promise holds."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import vid2vid
from vid2vid.io import probe

EXAMPLES = Path(__file__).parent.parent / "examples"
SECONDS = 20


def run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the example wrote into, and what it printed."""
    folder = tmp_path_factory.mktemp("look")
    ran = run("train_a_look.py", folder, "--minutes", str(SECONDS / 60), "--frames", "20")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "look_demo", ran.stdout


def test_a_look_taught_in_seconds_is_closer_than_the_untouched_clip(trained: tuple[Path, str]) -> None:
    told = trained[1]
    number = r"([0-9.]+)"
    psnr = re.search(rf"^PSNR .*: {number}, untouched clip {number}$", told, re.MULTILINE)
    distance = re.search(rf"^ST-LPIPS .*: {number}, untouched clip {number}$", told, re.MULTILINE)
    assert psnr and float(psnr[1]) > float(psnr[2]) + 4.0, told
    assert distance and float(distance[1]) < 0.6 * float(distance[2]), told


def test_the_bundle_tells_the_frames_that_were_painted(trained: tuple[Path, str]) -> None:
    folder = trained[0]
    bundle = vid2vid.load_bundle(folder / "bundle")
    painted = [int(path.stem.removeprefix("frame_")) for path in sorted((folder / "meadow_paintings").iterdir())]
    assert [key.frame for key in bundle.keys] == painted == [3, 10, 16]
    assert bundle.recipe["steps"] >= 1 and bundle.recipe["start"] in ("trunk", "scratch")
    assert probe(folder / "meadow_in_the_look.mp4").width == probe(folder / "meadow.mp4").width == 480


def stream_of_looks() -> Any:
    """The stream of the pretraining recipe over noise that drifts, and one still."""
    pretrain = imported("pretrain")
    rng = np.random.default_rng(3)
    canvas = cv2.GaussianBlur(rng.integers(0, 256, (300, 420, 3), np.uint8), (0, 0), 2.0)
    live = np.stack([canvas[:200, 2 * t : 2 * t + 300] for t in range(14)])
    return pretrain.RandomLooks([pretrain.Shot("live", live), pretrain.Shot("still", canvas[None])], batch=4, crop=48)


def imported(name: str) -> Any:
    folder = str(EXAMPLES / "pretrain")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        return importlib.import_module(name)


def test_a_step_of_pretraining_is_the_same_whenever_and_wherever_it_is_made() -> None:
    stream = stream_of_looks()
    patches = [stream.patch(5, number) for number in range(4)]
    stream.workers = 2
    windows = stream.start(3)
    later = [next(windows) for _ in range(3)][2]
    second = next(stream.start(5, rank=1, world=2))
    for name in ("maps", "target", "reference"):
        whole = torch.cat([getattr(patch, name) for patch in patches])
        assert torch.equal(getattr(later, name), whole)
        assert torch.equal(getattr(second, name), whole[1::2])
    assert later.maps.shape == (4, 1, 9, 48, 48) and later.reference.shape == (4, 1, 4, 48, 48)


def test_the_key_frame_of_pretraining_shows_the_look_of_its_patch() -> None:
    """Where the key frame is trusted, it is far nearer to the target than the source is."""
    stream = stream_of_looks()
    key, source = [], []
    for number in range(60):
        window = stream.patch(0, number)
        seen = window.reference[:, :, 3:] > 0.9
        if seen.any():
            key.append(float(((window.reference[:, :, :3] - window.target).abs() * seen).sum()))
            source.append(float(((window.maps[:, :, 3:6] - window.target).abs() * seen).sum()))
    assert 30 < len(key) < 50, "about a third has none"
    assert sum(key) < 0.35 * sum(source)


def test_random_looks_differ_and_stand_still_on_the_screen() -> None:
    looks = imported("random_looks")
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8), (0, 0), 3.0)
    drawn = [looks.random_look(np.random.default_rng(number)) for number in range(40)]
    made = [look(picture) for look in drawn]
    thumbs = [cv2.resize(one, (16, 16)).astype(np.float32) for one in made]
    apart = [np.abs(a - b).mean() for i, a in enumerate(thumbs) for b in thumbs[:i]]
    assert np.median(apart) > 25 and sum(distance < 2 for distance in apart) < 0.02 * len(apart)
    for look, whole in zip(drawn, made, strict=True):
        part = look(np.ascontiguousarray(picture[30:130, 20:120]), (30, 20))
        assert np.abs(part[28:-28, 28:-28].astype(int) - whole[58:102, 48:92]).mean() < 1.0


def test_what_is_held_out_never_comes_into_pretraining(tmp_path: Path, square_clip: Path) -> None:
    pretrain = imported("pretrain")
    for name in ("cup", "sports2d_demo", "anything"):
        (tmp_path / f"{name}.mp4").write_bytes(square_clip.read_bytes())
    assert [shot.name for shot in pretrain.live_shots(tmp_path)] == ["anything:0-11"]


def test_a_drawn_fight_and_its_sheet_become_films_with_sound(tmp_path: Path) -> None:
    ran = run("fight.py", tmp_path, "--seconds", "3.2", "--width", "384", "--output", "out")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for name in ("fight", "sheet"):
        film = probe(tmp_path / "out" / f"{name}_film.mp4")
        assert film.has_audio and film.frame_count is not None and film.frame_count > 40
    assert "impact" in ran.stdout

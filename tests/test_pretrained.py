"""A call that names a pretrained model: its words are sorted, checked before anything loads, and told of afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vid2vid_tasks.cartoon_to_photoreal import task as cartoon

import vid2vid
from vid2vid.__main__ import main
from vid2vid.errors import InvalidOption, Vid2VidError
from vid2vid.pretrained import check_pretrained, split_options

QUICK = {"steps": 2, "window": 13, "overlap": 5, "size": 48, "dtype": "float32", "progress": False}


def film(length: int = 5) -> np.ndarray:
    rng = np.random.default_rng(1)
    still = np.kron(rng.integers(0, 255, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    return np.stack([np.roll(still, 2 * t, 1) for t in range(length)])


def test_words_of_the_task_and_of_the_model_are_told_apart() -> None:
    given = {"finish": "none", "steps": 3, "minutes": 2.0, "negative_prompt": "text"}
    own, models = split_options(cartoon, "diffusers:a/b", given)
    assert own == {"finish": "none", "minutes": 2.0}
    assert models == {"steps": 3, "negative_prompt": "text"}
    assert split_options(cartoon, None, given) == (given, {})


def test_without_a_pretrained_model_there_is_nothing_to_check() -> None:
    assert check_pretrained(cartoon, None, {}) is None
    assert check_pretrained(cartoon, "compact", {}) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"guidence": 3}, "Did you mean 'guidance'?"),
        ({"steps": 0}, "steps=0: at least 1"),
        ({"steps": "many"}, "a whole number or none is needed"),
        ({"offload": "disk"}, "auto, none, model, sequential"),
        ({"overlap": 11}, "at most half of the window"),
        ({"control": "pose"}, "takes no such clip"),
        ({"backbone": "diffuser:a/b"}, "'diffusers:<hub id or folder>'"),
        ({"backbone": "compact"}, "has no option 'steps'"),
    ],
)
def test_wrong_words_are_refused_before_a_model_loads(
    words: dict[str, object],
    said: str,
    tiny_model: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object, **given: object) -> None:
        raise AssertionError("nothing may be loaded")

    monkeypatch.setattr("vid2vid.backbones.diffusion.loading.load_model", refuse)
    backbone = f"diffusers:{tiny_model('wan_video')}"
    with pytest.raises(InvalidOption) as error:
        vid2vid.translate(film(), "cartoon_to_photoreal", **{**QUICK, "backbone": backbone, **words})  # type: ignore[arg-type]
    assert said in str(error.value)


def test_text_is_for_models_that_take_it() -> None:
    with pytest.raises(InvalidOption, match="takes no text"):
        vid2vid.translate(film(), "cartoon_to_photoreal", prompt="a cat", progress=False)


def test_a_bundle_brings_its_own_generator(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    with pytest.raises(Vid2VidError):
        vid2vid.translate(film(), tmp_path, backbone=f"diffusers:{tiny_model('wan_video')}")


def test_the_report_tells_of_the_model(tiny_model: Callable[[str], Path]) -> None:
    made = vid2vid.translate(
        film(),
        "cartoon_to_photoreal",
        backbone=f"diffusers:{tiny_model('wan_video')}",
        finish="none",
        **QUICK,  # type: ignore[arg-type]
    )
    told = made.report["model"]
    assert told["family"] == "wan_video" and told["pipeline"] == "WanVideoToVideoPipeline"
    assert (told["window"], told["overlap"], told["windows"]) == (13, 5, 1)
    assert len(told["fingerprint"]) == 64
    assert np.stack(list(made.frames)).shape == film().shape


def test_an_estimate_counts_windows(tiny_model: Callable[[str], Path]) -> None:
    words = {name: value for name, value in QUICK.items() if name != "progress"}
    found = vid2vid.estimate(film(61), "cartoon_to_photoreal", backbone=f"diffusers:{tiny_model('wan_video')}", **words)
    assert found.frames == 61 and "takes 7 windows of 13" in found.note
    assert 0.0 < found.low_s < found.seconds < found.high_s


def test_a_clip_is_rendered_from_the_command_line(
    tiny_model: Callable[[str], Path], square_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", str(square_clip), "--task", "cartoon_to_photoreal", "-o", str(tmp_path / "out.mp4")]
    words += ["--backbone", f"diffusers:{tiny_model('wan_video')}", "--prompt", "a street at noon", "--size", "48"]
    words += ["--option", "steps=2", "--option", "window=13", "--dtype", "float32", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["output"]).is_file()


def test_an_unknown_folder_ends_with_2(square_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["translate", str(square_clip), "--task", "cartoon_to_photoreal", "--backbone", "diffusers:/no/folder"]
    assert main(words) == 2
    assert "there is no folder '/no/folder'" in capsys.readouterr().err.replace("\n", " ")

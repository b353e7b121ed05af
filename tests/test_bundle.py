"""Bundles: what is saved comes back, and what is replaced is never half."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from vid2vid import errors, folders
from vid2vid.backbones import make_generator
from vid2vid.backbones.weights import load_weights
from vid2vid.bundle import Bundle, KeyPair, check_bundle_path, is_bundle, load_bundle, save_bundle
from vid2vid.config import BackboneConfig
from vid2vid.io import write_image
from vid2vid.trained import Trained

BACKBONE = BackboneConfig(width=8, blocks=(1, 1), textured=False)
CHANNELS = {"source": 3, "edges": 1}
CLIP = "ab" * 32


def net(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return make_generator(BACKBONE, CHANNELS)


def picture(seed: int, height: int = 24, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, seed: int = 0, **given: Any) -> Bundle:
    made: dict[str, Any] = {
        "task": "paired",
        "backbone": BACKBONE,
        "channels": CHANNELS,
        "options": {"strength": 0.5, "where": Path("a/b"), "sizes": (1, 2)},
        "keys": (KeyPair(3, picture(1), picture(2), CLIP), KeyPair(90, picture(3), picture(4))),
        "data": {"film.mp4": "cd" * 32},
        "metrics": {"st_lpips": 0.1, "source_st_lpips": 0.4, "psnr_db": math.inf, "frames": np.int64(4)},
        "scores": [{"step": 10, "minutes": 0.5, "values": {"loss": 1.5}}],
        "recipe": {"preset": "fast", "steps": 10, "stopped": "steps"},
        "previews": {"sheet_0002": picture(6), "sheet_0001": picture(5), "curve": picture(7)},
        "summary": "Turns day to night.",
        "limits": ("People were not seen.",),
    }
    return save_bundle(path, net(seed), **{**made, **given})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("sound") / "look").path


def test_what_is_saved_comes_back(sound: Path) -> None:
    found = load_bundle(sound)
    assert (found.path, found.task, found.backbone, dict(found.channels)) == (sound, "paired", BACKBONE, CHANNELS)
    assert list(found.channels) == list(CHANNELS)
    assert found.options == {"strength": 0.5, "where": "a/b", "sizes": [1, 2]}
    assert [(key.frame, key.clip_sha256) for key in found.keys] == [(3, CLIP), (90, None)]
    for key, seed in zip(found.keys, (1, 3), strict=True):
        assert np.array_equal(key.source, picture(seed))
        assert np.array_equal(key.look, picture(seed + 1))
    assert found.data == {"film.mp4": "cd" * 32}
    assert found.metrics == {"st_lpips": 0.1, "source_st_lpips": 0.4, "psnr_db": None, "frames": 4}
    assert found.scores[0]["values"] == {"loss": 1.5}
    assert found.recipe["preset"] == "fast"
    assert set(found.versions) == {"vid2vid", "torch", "python"}
    assert [path.name for path in found.previews] == ["curve.png", "sheet_0001.png", "sheet_0002.png"]


def test_the_weights_come_back_to_half_precision(sound: Path) -> None:
    filled = make_generator(BACKBONE, CHANNELS)
    load_weights(filled, load_bundle(sound).weights)
    for name, value in net().state_dict().items():
        assert torch.equal(filled.state_dict()[name], value.half().float()), name
    with safe_open(sound / "weights.safetensors", "pt") as opened:
        assert {opened.get_tensor(name).dtype for name in opened.keys()} == {torch.float16}  # noqa: SIM118


def test_the_folder_holds_what_is_documented_and_nothing_else(sound: Path) -> None:
    files = {str(path.relative_to(sound)) for path in sound.rglob("*") if path.is_file()}
    pictures = {f"keys/000{n}_{which}.png" for n in (1, 2) for which in ("source", "look")}
    assert files == {
        "bundle.json", "weights.safetensors", "README.md", *pictures,
        "previews/curve.png", "previews/sheet_0001.png", "previews/sheet_0002.png",
    }  # fmt: skip
    assert [path.name for path in sound.parent.iterdir()] == ["look"], "nothing is left beside it"


def test_the_card_says_how_good_and_how_to_render(sound: Path) -> None:
    card = (sound / "README.md").read_text()
    for words in (
        "# look", "Turns day to night.", "task='look'", "| 0.1 | 0.4 |", "film.mp4: `cdcdcdcd", "preset: fast",
        "2 key frame(s)", "People were not seen.",
    ):  # fmt: skip
        assert words in card, words
    assert "nan" not in card.lower().split() and "inf" not in card.lower().split()


def test_a_bundle_without_keys_or_numbers(tmp_path: Path) -> None:
    found = save(tmp_path / "a", keys=(), metrics={}, scores=(), previews={}, data={}, summary="", limits=())
    assert found.keys == found.previews == ()
    assert "Nothing was measured" in found.card.read_text()
    assert load_bundle(tmp_path / "a").task == "paired"


def test_names_in_a_card_are_no_markup(tmp_path: Path) -> None:
    card = save(tmp_path / "a", data={"a|b`<img src=x>`\n# c": "cd" * 32}).card.read_text()
    assert "\\<img src=x\\>" in card
    assert "\n# c" not in card


def test_previews_may_be_files(tmp_path: Path) -> None:
    write_image(tmp_path / "given.png", picture(8))
    found = save(tmp_path / "a", previews={"sheet": tmp_path / "given.png"})
    assert found.previews[0].read_bytes() == (tmp_path / "given.png").read_bytes()
    with pytest.raises(errors.InvalidOption, match=r"'\.\./sheet'"):
        save(tmp_path / "b", previews={"../sheet": picture(1)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "given.png"]


def test_is_bundle(sound: Path, tmp_path: Path) -> None:
    assert is_bundle(sound)
    assert is_bundle(str(sound))
    for path in (tmp_path, tmp_path / "none", sound / "bundle.json", "cartoon_to_photoreal", "", "a\0b", "x" * 5000):
        assert not is_bundle(path), path


# Saving: whole or not at all.


def test_an_existing_bundle_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "look"
    first = save(path)
    with pytest.raises(errors.OutputExists, match="overwrite=True"):
        save(path, seed=1)
    assert load_bundle(path).weights_sha256 == first.weights_sha256
    second = save(path, seed=1, keys=(), overwrite=True)
    assert load_bundle(path).weights_sha256 == second.weights_sha256 != first.weights_sha256
    assert not list((path / "keys").iterdir()), "nothing of the old one is left inside"
    assert [entry.name for entry in tmp_path.iterdir()] == ["look"]


def test_nothing_but_a_bundle_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"dear")
    (tmp_path / "file").write_bytes(b"dear")
    for name in ("photos", "file"):
        with pytest.raises(errors.OutputExists, match="no bundle"):
            save(tmp_path / name, overwrite=True)
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == (tmp_path / "file").read_bytes() == b"dear"


def test_an_empty_folder_makes_way_and_missing_ones_are_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert is_bundle(save(tmp_path / "empty").path)
    assert is_bundle(save(tmp_path / "a" / "b" / "look").path)


def test_a_place_that_cannot_be_written_is_found_out_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.OutputNotWritable, match="file"):
        check_bundle_path(tmp_path / "file" / "look")
    with pytest.raises(errors.OutputNotWritable):
        check_bundle_path("/")
    assert check_bundle_path(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()


def test_bad_weights_never_replace_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "look"
    first = save(path)
    broken = net(1)
    with torch.no_grad():
        broken.colour.bias.fill_(1e30)  # finite, but not as float16
    with pytest.raises(errors.BadWeights):
        save_bundle(path, broken, task="paired", backbone=BACKBONE, channels=CHANNELS, overwrite=True)
    with pytest.raises(errors.WeightsMismatch):
        save_bundle(path, broken, task="paired", backbone=BACKBONE, channels={"source": 3}, overwrite=True)
    with pytest.raises(errors.InvalidBundle, match="no task's name"):
        save(path, task="Not A Task", overwrite=True)
    with pytest.raises(errors.InvalidBundle, match="its source"):
        save(path, keys=(KeyPair(0, picture(1), picture(1, 8, 8)),), overwrite=True)
    assert load_bundle(path).weights_sha256 == first.weights_sha256
    assert [entry.name for entry in tmp_path.iterdir()] == ["look"]


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
def test_a_rename_that_fails_leaves_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, error: BaseException
) -> None:
    path = tmp_path / "look"
    first = save(path)
    real, calls = Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == failing:
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    wanted = errors.OutputNotWritable if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(wanted):
        save(path, seed=1, overwrite=True)
    monkeypatch.undo()
    assert load_bundle(path).weights_sha256 == first.weights_sha256
    assert [entry.name for entry in tmp_path.iterdir()] == ["look"]


def test_a_kill_between_the_two_moves_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "look"
    first = save(path)
    path.rename(tmp_path / ".look.replaced")
    assert is_bundle(path)
    assert load_bundle(path).weights_sha256 == first.weights_sha256
    with pytest.raises(errors.OutputExists):
        save(path, seed=2)
    second = save(path, seed=2, overwrite=True)
    assert load_bundle(path).weights_sha256 == second.weights_sha256
    assert [entry.name for entry in tmp_path.iterdir()] == ["look"]


def test_a_full_disk_is_called_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(errors.OutputDiskFull):
        save(tmp_path / "look")
    assert not list(tmp_path.iterdir())


def test_everything_is_brought_to_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = folders.sync
    monkeypatch.setattr(folders, "sync", lambda path: (synced.append(path.name), real(path)))
    found = save(tmp_path / "look")
    files = {path.name for path in found.path.rglob("*")}
    assert files <= set(synced[:-1])
    assert synced[-1] == tmp_path.name, "the name comes last"


def test_importing_and_asking_load_no_model_library(sound: Path) -> None:
    code = f"import sys; from vid2vid.bundle import is_bundle; assert is_bundle({str(sound)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "safetensors", "av", "cv2", "numpy"} & set(done.stdout.split())


# What train() gives back.


def test_trained_shows_its_last_sheet(sound: Path) -> None:
    trained = Trained(load_bundle(sound), steps=10, seconds=2.0)
    assert (trained.path, trained.metrics["st_lpips"]) == (sound, 0.1)
    assert trained.sheet is not None
    assert trained.sheet.name == "sheet_0002.png"
    page = trained._repr_html_()
    assert 'src="data:image/png;base64,iVBOR' in page
    assert str(sound) in page


def test_trained_without_previews(tmp_path: Path) -> None:
    trained = Trained(save(tmp_path / "a<b", previews={}), steps=1, seconds=0.1)
    assert trained.sheet is None
    assert "a&lt;b" in trained._repr_html_()
    assert "<img" not in trained._repr_html_()

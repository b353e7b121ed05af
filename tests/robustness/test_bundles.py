"""Bundles from strangers: no archive is unpacked, nothing outside is read, nothing in them is run."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vid2vid
from vid2vid import errors
from vid2vid.backbones import make_generator
from vid2vid.bundle import load_bundle, save_bundle
from vid2vid.config import BackboneConfig
from vid2vid.options import parse_options
from vid2vid.registry import get_task
from vid2vid.types import KeyPair

BACKBONE = BackboneConfig(width=8, blocks=(1, 1), textured=False)
CHANNELS = {"source": 3}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("sound") / "look"
    picture = np.zeros((24, 40, 3), np.uint8)
    keys = (KeyPair(0, picture, picture, None),)
    net = make_generator(BACKBONE, CHANNELS)
    save_bundle(path, net, task="paired", backbone=BACKBONE, channels=CHANNELS, keys=keys)
    return path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "look"))


def _zip_that_climbs(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
        archive.writestr("../climbed.txt", "x")


def _zip_bomb(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "bundle.json", "bundle.json")
        archive.writestr("weights.safetensors", bytes(20_000_000))


def _tar_with_links(folder: Path, path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(folder, "look")
        for kind, name in ((tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard"), (tarfile.CHRTYPE, "device")):
            entry = tarfile.TarInfo(f"look/{name}")
            entry.type, entry.linkname = kind, "/etc/hostname"
            archive.addfile(entry, io.BytesIO())


@pytest.mark.robustness(44)
@pytest.mark.parametrize("pack", [_zip_that_climbs, _zip_bomb, _tar_with_links])
def test_archives_are_not_unpacked(copy: Path, tmp_path: Path, pack: Callable[[Path, Path], None]) -> None:
    path = tmp_path / "look.zip"
    pack(copy, path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(errors.InvalidBundle, match="A bundle is a folder"):
        load_bundle(path)
    with pytest.raises(errors.InvalidBundle, match="A bundle is a folder"):
        vid2vid.translate(np.zeros((1, 32, 32, 3), np.uint8), path, progress=False)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.robustness(44)
def test_a_hard_link_shows_nothing_of_the_file_it_names(copy: Path, tmp_path: Path) -> None:
    """A hard link is an ordinary file to everyone; what it holds is no weights, and the message does not quote it."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2 " * 20)
    for name in ("weights.safetensors", "bundle.json", "keys/0001_look.png"):
        folder = Path(shutil.copytree(copy, tmp_path / f"hard-{Path(name).stem}"))
        (folder / name).unlink()
        os.link(secret, folder / name)
        with pytest.raises(errors.ModelError) as caught:
            load_bundle(folder)
        assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root makes devices")
@pytest.mark.robustness(44)
@pytest.mark.parametrize("name", ["weights.safetensors", "bundle.json", "keys/0001_look.png"])
def test_a_device_is_never_read(copy: Path, name: str) -> None:
    import stat

    (copy / name).unlink()
    try:
        os.mknod(copy / name, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this system makes no devices")
    with pytest.raises(errors.InvalidBundle, match="regular file"):
        load_bundle(copy)


@pytest.mark.robustness(44, 45)
def test_a_name_that_stands_twice_is_refused(copy: Path) -> None:
    file = copy / "bundle.json"
    text = file.read_text()
    file.write_text('{"task": "paired",' + text.lstrip()[1:])
    with pytest.raises(errors.InvalidBundle, match="stands twice"):
        load_bundle(copy)


@pytest.mark.robustness(44)
def test_files_that_nobody_named_are_not_looked_at(copy: Path, tmp_path: Path) -> None:
    """A plug-in's code, more pickles, names that differ in case only: a bundle is what its description names."""
    for name in ("__init__.py", "sitecustomize.py", "WEIGHTS.SAFETENSORS", "extra.pkl", "keys/0001_LOOK.png"):
        (copy / name).write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'sprung')!r}).touch()")
    assert load_bundle(copy).task == "paired"
    assert not (tmp_path / "sprung").exists()


TRICKS = [
    "__import__('os').system('touch sprung')",
    "!!python/object/apply:os.system ['touch sprung']",
    "${jndi:file://x}",
    "$(touch sprung)",
    "{{ ''.__class__ }}",
    10**400,
    -(2**63),
    1e308,
    {"__reduce__": ["os.system", "touch sprung"]},
    [["a"] * 3] * 3,
    "fast\0",
]


@pytest.mark.robustness(45)
@pytest.mark.parametrize("value", TRICKS, ids=[repr(value)[:20] for value in TRICKS])
def test_options_are_data(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    monkeypatch.chdir(tmp_path)
    task: Any = get_task("paired")
    for name in ("preset", "minutes", "key_frames"):
        if (name, value) in (("minutes", -(2**63)), ("minutes", 1e308)):
            continue  # numbers, out of range: the next test
        with pytest.raises(errors.InvalidOption):
            parse_options(task, {name: value})
    file = copy / "bundle.json"
    described = json.loads(file.read_text())
    for part in ("task", "format", "weights_sha256", "channels", "backbone", "adapters"):
        file.write_text(json.dumps({**described, part: value}))
        with pytest.raises(errors.Vid2VidError):
            load_bundle(copy)
    for field in described["backbone"]:
        file.write_text(json.dumps({**described, "backbone": {**described["backbone"], field: value}}))
        with pytest.raises(errors.Vid2VidError):
            load_bundle(copy)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.robustness(45)
@pytest.mark.parametrize("text", ["9" * 5000, "1e999", "-1e999", "NaN", "Infinity", "[" * 100_000, '"\\ud800"'])
def test_numbers_and_depths_beyond_reason(copy: Path, text: str) -> None:
    file = copy / "bundle.json"
    described = json.loads(file.read_text())
    for part in ("format", "options"):
        marked = json.dumps({**described, part: "HERE" if part == "format" else {"minutes": "HERE"}})
        file.write_text(marked.replace('"HERE"', text))
        with pytest.raises(errors.Vid2VidError):
            parse_options(get_task("paired"), load_bundle(copy).options)


@pytest.mark.robustness(32)
def test_examples_may_have_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.mp4")
    net = make_generator(BACKBONE, CHANNELS)
    save_bundle(tmp_path / "a", net, task="paired", backbone=BACKBONE, channels=CHANNELS, data={name: "ab" * 32})
    assert dict(load_bundle(tmp_path / "a").data) == {name: "ab" * 32}

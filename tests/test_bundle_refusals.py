"""Bundles that are damaged, too new or hostile: each is refused with an error of its own, and nothing of it is used."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vid2vid import bundle as bundles
from vid2vid import description, errors
from vid2vid.backbones import make_generator
from vid2vid.backbones.weights import save_weights
from vid2vid.bundle import KeyPair, is_bundle, load_bundle, save_bundle
from vid2vid.config import BackboneConfig
from vid2vid.hashing import file_hash
from vid2vid.io import write_image

BACKBONE = BackboneConfig(width=8, blocks=(1, 1), textured=False)
CHANNELS = {"source": 3, "edges": 1}
CLIP = "ab" * 32


def net() -> Any:
    torch.manual_seed(0)
    return make_generator(BACKBONE, CHANNELS)


def picture(seed: int, height: int = 24, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = (KeyPair(3, picture(1), picture(2), CLIP), KeyPair(90, picture(3), picture(4)))
    path = tmp_path_factory.mktemp("sound") / "look"
    save_bundle(path, net(), task="paired", backbone=BACKBONE, channels=CHANNELS, keys=keys, previews={"a": picture(5)})
    return path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A sound bundle to damage."""
    return Path(shutil.copytree(sound, tmp_path / "look"))


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the description."""
    file = folder / "bundle.json"
    described = json.loads(file.read_text())
    edit(described)
    file.write_text(json.dumps(described))


def resign(folder: Path) -> None:
    """Makes the hash right again, as somebody hostile would."""
    found = file_hash(folder / "weights.safetensors")
    change(folder, lambda described: described.update(weights_sha256=found))


def test_the_copy_is_sound(copy: Path) -> None:
    resign(copy)
    assert len(load_bundle(copy).keys) == 2


# Refusals of the description.


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(errors.InputNotFound, match=r"no bundle at '.*none'.*train"):
        load_bundle(tmp_path / "none")


def test_a_file_or_another_folder(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(errors.InvalidBundle, match="is a file"):
        load_bundle(tmp_path / "net.pt")
    with pytest.raises(errors.InvalidBundle, match=r"'bundle.json' is missing"):
        load_bundle(tmp_path)


@pytest.mark.robustness(45)
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"not json", b"\xff\xfe{}", b'{"format": NaN}', b'{"metrics": {"a": Infinity}}', b"[" * 10**6],
    ids=["empty", "cut", "text", "not utf-8", "nan", "infinity", "deep"],
)  # fmt: skip
def test_not_json(copy: Path, content: bytes) -> None:
    (copy / "bundle.json").write_bytes(content)
    with pytest.raises(errors.InvalidBundle, match="is not JSON"):
        load_bundle(copy)


@pytest.mark.parametrize("content", ["[]", "1", "null", '"text"'])
def test_no_object(copy: Path, content: str) -> None:
    (copy / "bundle.json").write_text(content)
    with pytest.raises(errors.InvalidBundle, match="an object is needed"):
        load_bundle(copy)


def test_a_newer_format_says_so_whatever_else_it_holds(copy: Path) -> None:
    (copy / "bundle.json").write_text('{"format": 2, "something": "new"}')
    with pytest.raises(errors.NewerFormat, match=r"format 2, this vid2vid reads 1: update"):
        load_bundle(copy)


@pytest.mark.parametrize("value", [0, -1, "1", 1.0, True, None, [1]])
def test_no_format(copy: Path, value: Any) -> None:
    change(copy, lambda described: described.update(format=value))
    with pytest.raises(errors.InvalidBundle, match="format is"):
        load_bundle(copy)


def test_an_unknown_key_gets_a_suggestion(copy: Path) -> None:
    change(copy, lambda described: described.update(metric={}))
    with pytest.raises(errors.InvalidBundle, match=r"metric is unknown\. Did you mean 'metrics'\?"):
        load_bundle(copy)


@pytest.mark.parametrize("name", sorted(description._KINDS))
def test_a_missing_key(copy: Path, name: str) -> None:
    change(copy, lambda described: described.pop(name))
    with pytest.raises(errors.InvalidBundle, match=f"{name} is missing"):
        load_bundle(copy)


@pytest.mark.parametrize("name", sorted(set(description._KINDS) - {"format"}))
@pytest.mark.parametrize("value", [7, None, 1.5])
def test_a_key_of_another_type(copy: Path, name: str, value: Any) -> None:
    change(copy, lambda described: described.update({name: value}))
    with pytest.raises(errors.InvalidBundle, match=rf"{name} is .* is needed"):
        load_bundle(copy)


@pytest.mark.robustness(45)
@pytest.mark.parametrize(
    ("part", "value", "fault"),
    [
        ("task", "../paired", "no task's name"),
        ("task", "", "no task's name"),
        ("weights_sha256", "xyz", "64 hexadecimal"),
        ("weights_sha256", "AB" * 32, "64 hexadecimal"),
        ("scores", [1], r"scores\[0\] is 1; an object"),
        ("versions", {"torch": 2}, "versions.torch is 2; text"),
        ("channels", {}, "names 0 maps"),
        ("channels", {"source": 0}, "channels.source is 0"),
        ("channels", {"source": True}, "channels.source is True"),
        ("channels", {"source": 10**9}, "channels.source is 1000000000"),
        ("channels", {"edges": 1, "source": 3}, "source comes first"),
        ("data", [{"name": "a"}], r"data\[0\].sha256 is missing"),
        ("data", [{"name": "a", "sha256": "1"}], r"data\[0\].sha256"),
        ("data", [{"name": "a", "sha256": CLIP}] * 2, "a second time"),
        ("keys", [{"frame": 1}], r"keys\[0\].source is missing"),
        ("keys", [{}] * 65, "65 key frames; at most 64"),
        ("keys", ["0001"], r"keys\[0\] is '0001'; an object"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be(copy: Path, part: str, value: Any, fault: str) -> None:
    change(copy, lambda described: described.update({part: value}))
    with pytest.raises(errors.InvalidBundle, match=fault):
        load_bundle(copy)


@pytest.mark.robustness(45)
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"widht": 8}, r"backbone.widht is unknown\. Did you mean 'width'"),
        ({"width": "8"}, "backbone.width is '8'; a whole number"),
        ({"width": 7}, "backbone has width=7"),
        ({"width": 2**20}, "at most 1024"),
        ({"blocks": [1]}, "backbone has blocks="),
        ({"blocks": []}, "backbone has blocks="),
        ({"blocks": [1, "2"]}, "backbone.blocks is"),
        ({"blocks": [1, 10**9]}, "backbone.blocks is"),
        ({"blocks": [1] * 9}, "backbone.blocks is"),
        ({"reduction": 3}, "backbone has reduction=3"),
        ({"recurrent": 1}, "backbone.recurrent is 1; true or false"),
        ({"weights": "/etc/passwd"}, "backbone.weights is '/etc/passwd'; null"),
        ({"name": "unet"}, "No backbone named 'unet'"),
    ],
)  # fmt: skip
def test_a_backbone_that_cannot_be(copy: Path, changes: dict[str, Any], fault: str) -> None:
    change(copy, lambda described: described["backbone"].update(changes))
    with pytest.raises(errors.InvalidBundle, match=fault):
        load_bundle(copy)


def test_every_field_of_the_backbone_is_described() -> None:
    assert set(description._BACKBONE_KINDS) == {item.name for item in dataclasses.fields(BackboneConfig)}


def test_adapters_wait_for_a_diffusion_backbone(copy: Path) -> None:
    change(copy, lambda described: described.update(adapters=[{"rank": 4}]))
    with pytest.raises(errors.InvalidOption, match="adapters need a diffusion backbone"):
        load_bundle(copy)


# Refusals of weights.


def test_no_weights(copy: Path) -> None:
    (copy / "weights.safetensors").unlink()
    with pytest.raises(errors.InvalidBundle, match=r"'weights.safetensors' is missing"):
        load_bundle(copy)
    os.mkfifo(copy / "weights.safetensors")
    with pytest.raises(errors.InvalidBundle, match="no regular file"):
        load_bundle(copy)


@pytest.mark.robustness(42)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("signed", [False, True])
def test_truncated_weights(copy: Path, share: float, signed: bool) -> None:
    file = copy / "weights.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    if signed:
        resign(copy)
    with pytest.raises(errors.CorruptWeights):
        load_bundle(copy)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (Path(self.path),))


@pytest.mark.robustness(43)
@pytest.mark.parametrize("zipped", [False, True], ids=["pickle", "torch.save"])
def test_a_pickle_in_disguise_is_refused_and_not_run(copy: Path, tmp_path: Path, zipped: bool) -> None:
    file, sprung = copy / "weights.safetensors", tmp_path / "sprung"
    trap = {"a": Trap(str(sprung))}
    if zipped:
        torch.save(trap, file)
    else:
        file.write_bytes(pickle.dumps(trap))
    resign(copy)
    with pytest.raises(errors.UnsafeFormat, match="pickle"):
        load_bundle(copy)
    assert not sprung.exists()


@pytest.mark.robustness(42)
def test_one_flipped_bit_is_noticed(copy: Path) -> None:
    file = copy / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(errors.CorruptWeights, match="SHA-256"):
        load_bundle(copy)


def rewrite(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    tensors = {name: value.half().contiguous() for name, value in net().state_dict().items()}
    edit(tensors)
    save_file(tensors, folder / "weights.safetensors", metadata={"form": net().form})
    resign(folder)


@pytest.mark.robustness(41)
@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda tensors: tensors.pop("colour.bias"), "colour.bias is missing"),
        (lambda tensors: tensors.update(more=torch.zeros(1)), "more is unknown"),
        (lambda tensors: tensors.update({"colour.bias": torch.zeros(5)}), r"colour.bias has shape \(5,\)"),
    ],
)  # fmt: skip
def test_weights_of_another_shape(copy: Path, edit: Callable[[dict[str, Any]], Any], fault: str) -> None:
    rewrite(copy, edit)
    with pytest.raises(errors.WeightsMismatch, match=fault):
        load_bundle(copy)


def test_weights_for_another_generator(copy: Path) -> None:
    change(copy, lambda described: described["backbone"].update(width=16))
    with pytest.raises(errors.WeightsMismatch):
        load_bundle(copy)


def test_weights_of_another_form(copy: Path) -> None:
    other = net()
    other.form = "something-1"
    save_weights(other, copy / "weights.safetensors")
    resign(copy)
    with pytest.raises(errors.WeightsMismatch, match="something-1"):
        load_bundle(copy)


@pytest.mark.robustness(40)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite(copy: Path, value: float) -> None:
    rewrite(copy, lambda tensors: tensors["colour.bias"].fill_(value))
    with pytest.raises(errors.BadWeights, match=r"colour\.bias"):
        load_bundle(copy)


@pytest.mark.robustness(45)
def test_a_huge_generator_takes_no_memory_before_it_is_refused(copy: Path) -> None:
    change(copy, lambda described: described["backbone"].update(width=1024, blocks=[64] * 8))
    with pytest.raises(errors.WeightsMismatch):
        load_bundle(copy)


@pytest.mark.robustness(44)
def test_sizes_are_bounded_before_reading(copy: Path) -> None:
    with (copy / "weights.safetensors").open("r+b") as file:
        file.truncate(bundles.MAX_WEIGHTS_BYTES + 1)
    with pytest.raises(errors.InvalidBundle, match="at most 500000000"):
        load_bundle(copy)
    with (copy / "bundle.json").open("r+b") as file:
        file.truncate(description.MAX_BYTES + 1)
    with pytest.raises(errors.InvalidBundle, match="at most 4194304"):
        load_bundle(copy)


# Refusals of key pictures and paths.


def test_a_missing_key_picture(copy: Path) -> None:
    (copy / "keys" / "0002_look.png").unlink()
    with pytest.raises(errors.InvalidBundle, match=r"'keys/0002_look.png' is missing"):
        load_bundle(copy)


def test_a_key_picture_of_another_size(copy: Path) -> None:
    write_image(copy / "keys" / "0001_look.png", picture(9, 24, 48))
    with pytest.raises(errors.InvalidBundle, match="has 48x24 pixels, its source 40x24"):
        load_bundle(copy)


def test_a_key_picture_that_is_none(copy: Path) -> None:
    file = copy / "keys" / "0001_look.png"
    content = file.read_bytes()
    file.write_bytes(b"#EXTM3U\nhttp://127.0.0.1/a.ts\n")
    with pytest.raises(errors.InvalidBundle, match="no PNG"):
        load_bundle(copy)
    file.write_bytes(content[:40])
    with pytest.raises(errors.InvalidBundle, match="cannot be read"):
        load_bundle(copy)


@pytest.mark.robustness(44)
def test_key_pictures_that_are_too_large_are_not_decoded(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_KEY_PIXELS", 40 * 24 * 4 - 1)
    with pytest.raises(errors.InvalidBundle, match="pixels together"):
        load_bundle(copy)


def test_a_negative_frame_and_a_clip_without_hash(copy: Path) -> None:
    change(copy, lambda described: described["keys"][0].update(frame=-1))
    with pytest.raises(errors.InvalidBundle, match=r"keys\[0\].frame is -1"):
        load_bundle(copy)
    change(copy, lambda described: described["keys"][0].update(frame=1, clip_sha256="x"))
    with pytest.raises(errors.InvalidBundle, match=r"keys\[0\].clip_sha256"):
        load_bundle(copy)


@pytest.mark.robustness(44)
@pytest.mark.parametrize(
    "name", ["../out.png", "keys/../../out.png", "/etc/hostname", "C:\\a.png", "..\\out.png", "\\a.png"]
)
def test_names_that_lead_out(copy: Path, name: str) -> None:
    write_image(copy.parent / "out.png", picture(1))
    change(copy, lambda described: described["keys"][0].update(source=name))
    with pytest.raises(errors.UnsafeFormat, match="outside"):
        load_bundle(copy)


@pytest.mark.robustness(44)
@pytest.mark.parametrize("name", ["", "a\0b", "keys"])
def test_names_of_no_file(copy: Path, name: str) -> None:
    change(copy, lambda described: described["keys"][0].update(source=name))
    with pytest.raises(errors.InvalidBundle):
        load_bundle(copy)


@pytest.mark.robustness(44)
@pytest.mark.parametrize("name", ["bundle.json", "weights.safetensors", "keys/0001_source.png", "keys"])
def test_links_that_lead_out(copy: Path, name: str) -> None:
    outside = copy.parent / "outside"
    (copy / name).rename(outside)
    (copy / name).symlink_to(outside)
    with pytest.raises(errors.UnsafeFormat, match="outside"):
        load_bundle(copy)


def test_a_link_to_a_whole_bundle_is_fine(copy: Path) -> None:
    link = copy.parent / "link"
    link.symlink_to(copy)
    assert is_bundle(link)
    assert load_bundle(link).path == copy


@pytest.mark.robustness(44)
def test_previews_that_are_links_are_not_shown(copy: Path) -> None:
    (copy / "previews" / "zzz.png").symlink_to("/etc/hostname")
    assert "zzz" not in [path.stem for path in load_bundle(copy).previews]

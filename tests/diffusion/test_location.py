"""What a call names, and what a model's folder is checked for before anything of it is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vid2vid.backbones.diffusion import family as families
from vid2vid.backbones.diffusion.location import check_folder, fingerprint, is_location, parse_location
from vid2vid.errors import CorruptWeights, InvalidModel, InvalidOption, UnsafeFormat, UnsupportedModel


def test_a_hub_id_a_revision_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    hub = parse_location("diffusers:Wan-AI/Wan2.1-T2V-1.3B-Diffusers@abc123")
    assert (hub.name, hub.revision, hub.folder) == ("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "abc123", None)
    assert parse_location("diffusers:someone/model@main", "v2").revision == "v2"
    here = parse_location(f"keyframes:{tmp_path}")
    assert (here.scheme, here.folder) == ("keyframes", tmp_path)
    assert is_location("diffusers:a/b") and not is_location("compact") and not is_location(None)


@pytest.mark.parametrize("backbone", ["diffusers:", "hub:a/b", "diffusers:/no/such/folder", "diffusers:a/b/c", "wan"])
def test_other_names_are_refused(backbone: str) -> None:
    with pytest.raises(InvalidOption, match="backbone="):
        parse_location(backbone)


def test_every_family_is_found_by_the_pipelines_it_says_it_runs() -> None:
    said = {}
    for name in families.family_names():
        family = families.get_family(name)
        assert family.takes <= families.TAKES and set(family.control_kinds) <= family.takes
        assert family.grid.floor(family.grid.window) == family.grid.window
        said |= dict.fromkeys(family.pipelines, family.name)
    assert set(said) == set(families.pipeline_names())
    for pipeline, name in said.items():
        found = families.family_of(pipeline)
        assert found is not None and found.name == name


def test_no_family_is_told_by_the_name_of_a_repository(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "AnimateDiff-LTX-SDXL"
    shutil.copytree(tiny_model("wan_video"), folder)
    assert check_folder(folder).pipeline == "WanVideoToVideoPipeline"


@pytest.fixture
def model(tiny_model: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder that may be damaged."""
    return Path(shutil.copytree(tiny_model("wan_video"), tmp_path / "model"))


def changed_index(model: Path, **values: object) -> None:
    path = model / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


def test_a_model_without_description_or_parts_is_named(model: Path) -> None:
    shutil.rmtree(model / "vae")
    with pytest.raises(InvalidModel, match=r"vae' is missing"):
        check_folder(model)
    (model / "model_index.json").unlink()
    with pytest.raises(InvalidModel, match=r"model_index\.json' is missing"):
        check_folder(model)


def test_weights_that_are_missing_are_named(model: Path) -> None:
    (model / WEIGHTS).unlink()
    with pytest.raises(InvalidModel, match=r"transformer' has no weights"):
        check_folder(model)


def test_pickles_are_refused_unread(model: Path) -> None:
    canary = model / "canary"
    (model / WEIGHTS).unlink()
    (model / "transformer/diffusion_pytorch_model.bin").write_bytes(
        b"cos\nsystem\n(S'touch " + bytes(canary) + b"'\ntR."
    )
    with pytest.raises(UnsafeFormat, match=r"diffusion_pytorch_model\.bin' is a pickle"):
        check_folder(model)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"_class_name": "MusicLDMPipeline"}, UnsupportedModel, "MusicLDMPipeline, which no family"),
        ({"_class_name": ["my_code.py", "Mine"]}, UnsafeFormat, "own code"),
        ({"vae": ["my_code", "Mine"]}, UnsafeFormat, "comes from 'my_code'"),
        ({"../vae": ["diffusers", "AutoencoderKLWan"]}, UnsafeFormat, "no name for a part"),
    ],
)
def test_descriptions_that_lead_elsewhere_are_refused(
    model: Path, values: dict[str, object], error: type[Exception], said: str
) -> None:
    changed_index(model, **values)
    with pytest.raises(error, match=said):
        check_folder(model)


def test_a_description_that_is_no_json_is_told_from_a_web_page(model: Path) -> None:
    (model / "model_index.json").write_text("half of a {")
    with pytest.raises(InvalidModel, match="no description"):
        check_folder(model)
    (model / "model_index.json").write_text("<html>Log in</html>")
    with pytest.raises(InvalidModel, match="a proxy or login page"):
        check_folder(model)


def test_damaged_weights_are_told_with_their_sizes(model: Path) -> None:
    path = model / WEIGHTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(CorruptWeights, match=rf"has {len(whole) - 10} bytes, needed are {len(whole)}"):
        check_folder(model)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CorruptWeights, match="no safetensors file"):
        check_folder(model)
    path.write_bytes(b"<!DOCTYPE html><title>proxy</title>")
    with pytest.raises(CorruptWeights, match="a web page"):
        check_folder(model)


def test_a_shard_that_is_missing_is_named(model: Path) -> None:
    index = model / "transformer/diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "diffusion_pytorch_model-00002.safetensors"}}))
    with pytest.raises(InvalidModel, match=r"00002\.safetensors' is missing"):
        check_folder(model)
    index.write_text(json.dumps({"weight_map": {"a": "../../outside.safetensors"}}))
    with pytest.raises(UnsafeFormat, match="outside its folder"):
        check_folder(model)


def test_other_weights_of_the_same_form_have_another_fingerprint(model: Path) -> None:
    before = fingerprint(model, check_folder(model))
    assert fingerprint(model, check_folder(model)) == before
    path = model / WEIGHTS
    content = bytearray(path.read_bytes())
    content[8 + int.from_bytes(content[:8], "little") + 5] ^= 1
    path.write_bytes(content)
    assert fingerprint(model, check_folder(model)) != before

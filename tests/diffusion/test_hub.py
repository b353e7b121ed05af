"""Models come from a hub whole, checked and once, or an error says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.diffusion.hub_server import COMMIT, Hub, serving
from vid2vid.backbones.diffusion.hub import models_here, resolve
from vid2vid.backbones.diffusion.location import parse_location
from vid2vid.errors import CorruptWeights, InvalidModel, OfflineModelMissing, UnsupportedModel

NAME = "diffusers:someone/model"


@pytest.fixture
def hub(tiny_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves a tiny model, and an empty cache for what comes from it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    with serving(Hub(tiny_model("wan_video"))) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        yield running


def fetched(name: str = NAME) -> Path:
    return resolve(parse_location(name))[0]


def weights_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.safetensors")}


def test_a_model_is_fetched_once_and_only_what_is_needed(hub: Hub) -> None:
    assert models_here() == ()
    folder = fetched()
    assert folder.name == COMMIT
    assert weights_in(folder) == weights_in(hub.folder)
    names = [name for name, _ in hub.served]
    assert len(names) == len(set(names))
    before = len(hub.served)
    assert fetched() == folder and fetched(f"{NAME}@{COMMIT}") == folder
    assert len(hub.served) == before
    assert models_here() == ("someone/model (wan_video)",)


@pytest.mark.robustness(46)
def test_a_download_that_was_cut_goes_on_where_it_stopped(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    # What came is written in pieces of this size; models are much larger than the usual ten megabytes, these are not.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)
    hub.cut_after = 1200
    assert weights_in(fetched()) == weights_in(hub.folder)
    assert [begin for _, begin in hub.served if begin] == [1000]


@pytest.mark.robustness(46)
def test_a_file_with_another_hash_is_refused_and_fetched_anew(hub: Hub) -> None:
    hub.falsified = True
    with pytest.raises(CorruptWeights, match=r"2 more files\) is not the file that the hub announced"):
        fetched()
    hub.falsified = False
    assert weights_in(fetched()) == weights_in(hub.folder)


@pytest.mark.robustness(46)
@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("model_index.json", InvalidModel, "web page, not JSON: a proxy"),
        ("vae/diffusion_pytorch_model.safetensors", CorruptWeights, "is not the file that the hub announced"),
    ],
)
def test_a_proxys_page_is_told_for_what_it_is(hub: Hub, name: str, error: type[Exception], said: str) -> None:
    hub.web_page = name
    with pytest.raises(error, match=said):
        fetched()
    hub.web_page = None
    assert weights_in(fetched()) == weights_in(hub.folder)


@pytest.mark.robustness(46)
def test_without_a_connection_the_error_names_the_file_and_how_to_place_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineModelMissing, match=r"model_index\.json is missing") as missing:
        fetched()
    assert "hf download someone/model --local-dir FOLDER" in str(missing.value)
    assert "backbone='diffusers:FOLDER'" in str(missing.value)
    assert missing.value.exit_code == 4
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    folder = fetched()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched() == folder


@pytest.mark.robustness(46)
def test_a_server_that_does_not_answer_is_told_like_no_connection(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OfflineModelMissing, match=r"someone/model"):
        fetched()


def test_a_model_of_no_family_is_refused_before_its_weights_come(hub: Hub, tmp_path: Path) -> None:
    hub.folder = tmp_path / "other"
    hub.folder.mkdir()
    (hub.folder / "model_index.json").write_text('{"_class_name": "MusicLDMPipeline"}')
    (hub.folder / "big.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(UnsupportedModel, match="MusicLDMPipeline"):
        fetched()
    assert [name for name, _ in hub.served] == ["model_index.json"]

"""Weights that are damaged, foreign or hostile: each is refused by its own error, and the network stays as it was."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vid2vid.backbones.generator import CompactGenerator
from vid2vid.backbones.weights import load_trunk, load_weights, save_weights
from vid2vid.errors import BadWeights, CorruptWeights, InputNotFound, UnsafeFormat, WeightsMismatch


def small() -> CompactGenerator:
    torch.manual_seed(0)
    return CompactGenerator(3, width=8, blocks=(1, 1))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("w") / "w.safetensors"
    save_weights(small(), path)
    return path


def refuse(path: Path, error: type[Exception], match: str) -> None:
    """Both ways of loading refuse it and leave the network alone."""
    net = small()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for load in (load_weights, load_trunk):
        with pytest.raises(error, match=match):
            load(net, path)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.robustness(42)
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"\(0 bytes\).*no safetensors"),
        (b"\0" * 5000, "no safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12345\n", "Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html>Sign in to the proxy</html>", "web page"),
        (b"\n  <html></html>", "web page"),
        (struct.pack("<Q", 2**63) + b"{}", "header alone has 9223372036854775808 bytes"),
        (struct.pack("<Q", 2**40) + b'{"a":{', "header alone has 1099511627776 bytes"),
        (struct.pack("<Q", 10) + b'{"a":[[[[[' + bytes(90), "cannot be read"),
        (struct.pack("<Q", 20_000) + b'{"a":' + b"[" * 19_995 + bytes(90), "cannot be read"),
    ],
    ids=["empty", "zeros", "lfs", "html", "html after space", "2^63", "2^40", "no JSON", "deep JSON"],
)
def test_what_is_no_weights_file_says_what_it_is(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    refuse(path, CorruptWeights, match)


@pytest.mark.robustness(42)
def test_a_cut_file_says_how_long_it_should_be(good: Path, tmp_path: Path) -> None:
    content = good.read_bytes()
    path = tmp_path / "w.safetensors"
    for length in (4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        refuse(path, CorruptWeights, rf"\({length} bytes\)")
    with pytest.raises(CorruptWeights, match=f"speaks of {len(content)} bytes"):
        load_weights(small(), path)


@pytest.mark.robustness(42)
def test_sizes_that_the_file_does_not_hold(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    refuse(path, CorruptWeights, "cannot be read")


@pytest.mark.robustness(2, 42)
def test_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.safetensors")
    for path in (tmp_path / "w.safetensors", tmp_path, Path("/dev/zero"), tmp_path / "none"):
        refuse(path, InputNotFound, "no weights at")


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.path}'",)


def _zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return packed.getvalue()


def _tarred(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("data.pkl")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.robustness(43)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin", ".ckpt", ".pkl", ""])
@pytest.mark.parametrize("pack", [bytes, _zipped, _tarred], ids=["bare", "zip", "tar"])
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_no_pickle_is_opened(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], protocol: int) -> None:
    sprung = tmp_path / "sprung"
    path = tmp_path / f"w{suffix}"
    path.write_bytes(pack(pickle.dumps({"a": Canary(sprung)}, protocol)))
    # Before protocol 2 nothing marks a pickle but its suffix; it is refused all the same.
    marked = protocol >= 2 or pack is not bytes or suffix not in ("", ".safetensors")
    refuse(path, UnsafeFormat if marked else CorruptWeights, "pickle" if marked else "no safetensors")
    assert not sprung.exists()


@pytest.mark.robustness(43)
def test_the_canary_would_sing(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Canary(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.robustness(43)
def test_an_old_torch_file(good: Path, tmp_path: Path) -> None:
    for new in (True, False):
        path = tmp_path / f"{new}.safetensors"
        torch.save(load_file(good), path, _use_new_zipfile_serialization=new)
        refuse(path, UnsafeFormat, "pickle")


def _changed(good: Path, path: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    tensors = load_file(good)
    edit(tensors)
    save_file(tensors, path, metadata={"form": small().form})
    return path


@pytest.mark.robustness(40)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_every_tensor_is_looked_through(good: Path, tmp_path: Path, value: float) -> None:
    for name in load_file(good):

        def edit(tensors: dict[str, torch.Tensor], name: str = name) -> None:
            tensors[name].view(-1)[-1] = value

        with pytest.raises(BadWeights, match=f"'{name}'"):
            load_weights(small(), _changed(good, tmp_path / "w.safetensors", edit))


@pytest.mark.robustness(41)
def test_five_faults_are_listed_and_the_rest_counted(good: Path, tmp_path: Path) -> None:
    def edit(tensors: dict[str, torch.Tensor]) -> None:
        for number, name in enumerate(sorted(tensors)[:7]):
            tensors[f"extra{number}"] = tensors.pop(name)

    with pytest.raises(WeightsMismatch) as caught:
        load_weights(small(), _changed(good, tmp_path / "w.safetensors", edit))
    assert str(caught.value).count(" is missing") == 5
    assert "and 9 more" in str(caught.value)


@pytest.mark.robustness(41)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64, torch.bool, torch.float8_e4m3fn])
def test_numbers_of_another_kind(good: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    def edit(tensors: dict[str, torch.Tensor]) -> None:
        name = sorted(tensors)[0]
        tensors[name] = tensors[name].to(dtype)

    refuse(_changed(good, tmp_path / "w.safetensors", edit), WeightsMismatch, "holds torch")

"""Checkpoints are complete or absent, whatever happens while they are written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from vid2vid import checkpoint
from vid2vid.errors import CorruptCheckpoint


def save(folder: Path, step: int, keep: int = 2) -> Path:
    place = checkpoint.begin(folder)
    checkpoint.write_tensors(place, "net", {"weight": torch.full((2, 3), float(step)), "half": torch.ones(2).half()})
    return checkpoint.finish(folder, step, {"elapsed_s": 1.5 * step}, keep)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "nowhere") is None
    assert checkpoint.newest(tmp_path) is None
    assert save(tmp_path, 7).name == "checkpoint-7"
    found = checkpoint.newest(tmp_path)
    assert found is not None and (found.step, found.facts) == (7, {"elapsed_s": 10.5})
    tensors = found.tensors("net")
    assert torch.equal(tensors["weight"], torch.full((2, 3), 7.0)) and tensors["half"].dtype == torch.float16
    assert found.has("net") and not found.has("best")


def test_the_newest_by_number_is_taken(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        save(tmp_path, step)
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.step == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-100"]


def test_one_step_may_be_saved_again(tmp_path: Path) -> None:
    save(tmp_path, 5)
    assert save(tmp_path, 5).name == "checkpoint-5.1"
    assert save(tmp_path, 5).name == "checkpoint-5.2"
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.path.name == "checkpoint-5.2" and found.step == 5


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.robustness(60)
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: flip(path / "net.safetensors"), "net.safetensors is not what was written"),
        (lambda path: flip(path / "state.json"), "state.json is not what was written"),
        (lambda path: (path / "net.safetensors").unlink(), "net.safetensors is missing"),
        (lambda path: (path / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda path: (path / "manifest.json").write_text('{"format": 1, "st'), "manifest.json cannot be read"),
        (lambda path: (path / "manifest.json").write_text("[]"), "manifest.json cannot be read"),
        (lambda path: (path / "manifest.json").write_text('{"format": 2}'), "format 2, this version reads 1"),
        (
            lambda path: (path / "manifest.json").write_text('{"format": 1, "step": 8, "sha256": {}}'),
            "state.json is not listed",
        ),
    ],
)
def test_a_harmed_checkpoint_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: object, words: str
) -> None:
    save(tmp_path, 4)
    harm(save(tmp_path, 8))  # type: ignore[operator]
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.step == 4
    assert "checkpoint-8" in caplog.text and words in caplog.text


@pytest.mark.robustness(60)
def test_none_good_is_an_error_that_names_them(tmp_path: Path) -> None:
    first, second = save(tmp_path, 4), save(tmp_path, 8)
    flip(first / "net.safetensors")
    (second / "manifest.json").unlink()
    with pytest.raises(CorruptCheckpoint, match=r"checkpoint-8 .*manifest.* checkpoint-4 .*net.safetensors"):
        checkpoint.newest(tmp_path)


def test_pruning_never_counts_a_harmed_one(tmp_path: Path) -> None:
    """A corrupt newer one must not push out the good one that training went on from."""
    save(tmp_path, 4)
    flip(save(tmp_path, 8) / "net.safetensors")
    save(tmp_path, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-4", "checkpoint-5"]


@pytest.mark.robustness(60)
@pytest.mark.parametrize("count", range(1, 8))
def test_breaking_off_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """At every moment at which something reaches the disk: the old checkpoint or the new one is found."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    done = 0

    def limited(function):  # type: ignore[no-untyped-def]
        def call(*arguments):  # type: ignore[no-untyped-def]
            nonlocal done
            done += 1
            if done == count:
                raise KeyboardInterrupt
            return function(*arguments)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", limited(os.fsync))
        patched.setattr(Path, "rename", limited(Path.rename))
        patched.setattr(shutil, "rmtree", limited(shutil.rmtree))
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, 3)
    found = checkpoint.newest(tmp_path)
    renamed_at = 5
    assert found is not None and found.step == (3 if count > renamed_at else 2)
    save(tmp_path, 4)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_order_of_durability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file, then the manifest, then the folder's new name: each on the disk before the next."""
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        assert (path / "manifest.json").exists()
        events.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    save(tmp_path, 3)
    wanted = ["net.safetensors", "state.json", "manifest.json", ".checkpoint.partial", "rename", tmp_path.name]
    assert events == wanted


@pytest.mark.robustness(43)
def test_nothing_is_a_pickle(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    for file in path.iterdir():
        assert file.suffix in (".json", ".safetensors")
        if file.suffix == ".json":
            json.loads(file.read_text())
        else:
            assert file.read_bytes()[8:9] == b"{"


def test_an_optimiser_goes_on_as_before(tmp_path: Path) -> None:
    """Its memory comes back in the order of the weights, which are interleaved."""

    def layer() -> nn.Conv2d:
        torch.manual_seed(0)
        return nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)

    def learn(net: nn.Conv2d, adam: torch.optim.AdamW, steps: int) -> None:
        for step in range(steps):
            torch.manual_seed(step)
            adam.zero_grad()
            net(torch.rand(2, 3, 8, 8)).square().mean().backward()
            adam.step()

    whole, part, rest = layer(), layer(), layer()
    whole_adam, part_adam, rest_adam = (torch.optim.AdamW(net.parameters(), lr=0.01) for net in (whole, part, rest))
    learn(whole, whole_adam, 3)
    learn(part, part_adam, 3)
    place = checkpoint.begin(tmp_path)
    checkpoint.write_tensors(place, "optimiser", checkpoint.optimiser_tensors(part_adam))
    checkpoint.finish(tmp_path, 3, {})
    found = checkpoint.newest(tmp_path)
    assert found is not None
    rest.load_state_dict(part.state_dict())
    checkpoint.restore_optimiser(rest_adam, found.tensors("optimiser"))
    learn(whole, whole_adam, 3)
    learn(rest, rest_adam, 3)
    assert torch.equal(whole.weight, rest.weight) and torch.equal(whole.bias, rest.bias)
    state = rest_adam.state[rest.weight]
    assert state["exp_avg"].is_contiguous(memory_format=torch.channels_last) and float(state["step"]) == 6.0

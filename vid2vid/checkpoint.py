"""States of a training, each complete or absent: a process killed at any moment leaves the last one readable.

A checkpoint is a folder `checkpoint-<step>` (`checkpoint-<step>.<n>` where a step is saved again). It is made under
another name; every file is on the disk before `manifest.json`, which holds their sha256, and that before the folder
takes its name. Tensors are safetensors, all else is JSON: nothing that is read could run code.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load, save
from torch import Tensor

from vid2vid.errors import CorruptCheckpoint
from vid2vid.folders import sync, write_durably
from vid2vid.hashing import file_hash

_LOG = logging.getLogger(__name__)
_NAME: Final = re.compile(r"checkpoint-(\d+)(?:\.(\d+))?")
_PARTIAL: Final = ".checkpoint.partial"
_MANIFEST: Final = "manifest.json"
_FACTS: Final = "state.json"
_FORMAT: Final = 1
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One complete checkpoint."""

    path: Path
    step: int
    facts: Mapping[str, Any]
    """What JSON can hold."""

    def has(self, name: str) -> bool:
        """Whether tensors were saved under this name."""
        return (self.path / f"{name}.safetensors").exists()

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Tensors saved under one name, on the CPU."""
        return load((self.path / f"{name}.safetensors").read_bytes())


def begin(folder: Path) -> Path:
    """Gives the empty folder in which the next checkpoint is put together; what a killed process left there goes."""
    partial = partial_folder(folder)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    return partial


def partial_folder(folder: Path) -> Path:
    """Where `begin` puts a checkpoint together, for processes that add their own tensors."""
    return folder / _PARTIAL


def write_tensors(partial: Path, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Adds tensors of any device and memory order to a checkpoint, durably."""
    plain = {key: value.detach().to("cpu").contiguous() for key, value in tensors.items()}
    write_durably(partial / f"{name}.safetensors", save(plain))


def finish(folder: Path, step: int, facts: Mapping[str, Any], keep: int = 2) -> Path:
    """Completes the checkpoint begun in `folder` and removes all but the newest good ones.

    Args:
        folder: where checkpoints are.
        step: the step after which training goes on.
        facts: what JSON can hold.
        keep: how many remain, this one included.

    Returns:
        The checkpoint's path.
    """
    partial = partial_folder(folder)
    write_durably(partial / _FACTS, json.dumps(dict(facts)).encode())
    sums = {path.name: file_hash(path) for path in sorted(partial.iterdir())}
    manifest = {"format": _FORMAT, "step": step, "sha256": sums}
    write_durably(partial / _MANIFEST, json.dumps(manifest, indent=1).encode())
    sync(partial)
    place = _free_place(folder, step)
    partial.rename(place)
    sync(folder)
    _prune(folder, place, keep)
    return place


def newest(folder: Path) -> Checkpoint | None:
    """Finds the newest checkpoint whose files are all as they were written.

    Returns:
        The checkpoint, or None if there is no checkpoint at all.

    Raises:
        CorruptCheckpoint: there are some, and none of them is good.
    """
    faults = []
    for path in _places(folder):
        fault = _fault(path)
        if fault is None:
            facts = json.loads((path / _FACTS).read_bytes())
            return Checkpoint(path, int(json.loads((path / _MANIFEST).read_bytes())["step"]), facts)
        _LOG.warning("The checkpoint '%s' is skipped: %s.", path, fault)
        faults.append(f"{path.name} ({fault})")
    if faults:
        raise CorruptCheckpoint(
            f"No checkpoint in '{folder}' can be continued: {'; '.join(faults)}. "
            "Restore one of them, or remove the folder to start afresh."
        )
    return None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers, by number of the parameter and name; it must all be tensors, as Adam's is."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, values in state.items() for name, value in values.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimiser_tensors` gave, in the memory order of the parameters.

    Loops over interleaved and over plain memory may round differently, so that order is part of being bit-equal.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape and name != "step":
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        optimiser.state[parameter][name] = value


def _places(folder: Path) -> list[Path]:
    """Folders named like checkpoints, newest first."""
    if not folder.is_dir():
        return []
    found = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    ordered = sorted(((int(m[1]), int(m[2] or 0), path) for m, path in found if m), reverse=True)
    return [path for _, _, path in ordered]


def _free_place(folder: Path, step: int) -> Path:
    """A name that is not taken: a folder that is there cannot be replaced in one move."""
    place, again = folder / f"checkpoint-{step}", 0
    while place.exists():
        again += 1
        place = folder / f"checkpoint-{step}.{again}"
    return place


def _prune(folder: Path, fresh: Path, keep: int) -> None:
    """Keeps the fresh one and the newest good others; those newer than the fresh one were skipped as corrupt."""
    kept = 1
    for path in _places(folder):
        if path == fresh:
            continue
        if kept < keep and _fault(path) is None:
            kept += 1
        else:
            shutil.rmtree(path)


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        for name, sum_ in _listed(manifest):
            if Path(name).name != name or not (path / name).is_file():
                return f"{name} is missing"
            if file_hash(path / name) != sum_:
                return f"{name} is not what was written"
    except FileNotFoundError:
        return f"{_MANIFEST} is missing"
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return f"{_MANIFEST} cannot be read: {error!r}"
    return None


def _listed(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if manifest["format"] != _FORMAT:
        raise ValueError(f"format {manifest['format']}, this version reads {_FORMAT}")
    int(manifest["step"])
    if _FACTS not in manifest["sha256"]:
        raise ValueError(f"{_FACTS} is not listed")
    yield from manifest["sha256"].items()

"""Where a pretrained model lies: `diffusers:<hub id>[@revision]` or a folder, checked before anything of it is loaded.

What is checked: `model_index.json` names a pipeline that some family runs and parts of known libraries only; every
part's weights are safetensors whose headers fit their sizes. Nothing of a model is ever run as code.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vid2vid.backbones.diffusion.family import family_of, pipeline_names
from vid2vid.errors import CorruptWeights, InvalidModel, InvalidOption, UnsafeFormat, UnsupportedModel

INDEX: Final = "model_index.json"
SCHEMES: Final = ("diffusers", "keyframes")
_LIBRARIES: Final = ("diffusers", "transformers", "stable_diffusion")
"""Where parts may come from; anything else would be code that comes with the model, or is not known here.
`stable_diffusion` is how old models name the module of diffusers that holds the safety checker."""
_PICKLES: Final = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
_HUB_ID: Final = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
_LONGEST_HEADER: Final = 100_000_000
_HTML: Final = (b"<!doc", b"<html", b"<?xml", b"<head")


@dataclass(frozen=True, slots=True)
class Location:
    """A model as the caller names it."""

    scheme: str
    """`diffusers` or `keyframes`."""
    name: str
    """Hub id, or the folder's path as given."""
    revision: str | None = None
    folder: Path | None = None
    """None for a model of a hub."""

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class Index:
    """What a model says of itself."""

    pipeline: str
    """Class name."""
    parts: tuple[str, ...]
    """Names of the parts that it has, each a folder."""


def is_location(backbone: str | None) -> bool:
    """Whether a backbone's name is that of a pretrained model."""
    return backbone is not None and backbone.partition(":")[0] in SCHEMES and ":" in backbone


def parse_location(backbone: str, revision: str | None = None) -> Location:
    """Reads `diffusers:<hub id or folder>[@revision]`.

    Args:
        backbone: as the caller gave it.
        revision: the option of that name; goes before one in the text.

    Raises:
        InvalidOption: no such scheme, nothing behind it, or neither a folder nor the name of a hub's model.
    """
    scheme, _, rest = backbone.partition(":")
    if scheme not in SCHEMES or not rest:
        raise InvalidOption(
            f"backbone={backbone!r}: 'compact', 'diffusers:<hub id or folder>' or 'keyframes:<hub id or folder>' is "
            "needed."
        )
    path = Path(rest).expanduser()
    if path.is_dir():
        return Location(scheme, rest, None, path)
    name, _, marked = rest.partition("@")
    if not _HUB_ID.match(name):
        raise InvalidOption(
            f"backbone={backbone!r}: there is no folder '{rest}', and a model of a hub is named owner/name[@revision]."
        )
    return Location(scheme, name, revision or marked or None)


def check_folder(folder: Path) -> Index:
    """Checks a model's folder before anything is loaded.

    Raises:
        InvalidModel: it holds no diffusers model.
        UnsupportedModel: no family runs its pipeline.
        UnsafeFormat: weights are pickles, or a part would run code that comes with the model.
        CorruptWeights: a weights file is no safetensors file, or is cut off.
    """
    index = read_index(folder / INDEX)
    for part in index.parts:
        check_part(folder / part)
    return index


def read_index(path: Path) -> Index:
    """Reads a `model_index.json`.

    Raises:
        InvalidModel, UnsupportedModel, UnsafeFormat: as in `check_folder`.
    """
    if not path.is_file():
        raise InvalidModel(f"'{path}' is missing: give the folder of a diffusers model, which has that file.")
    content = path.read_bytes()
    if content.lstrip()[:5].lower() in _HTML:
        raise InvalidModel(
            f"'{path}' is a web page, not JSON: a proxy or login page came in its place. Delete it and fetch it again."
        )
    try:
        index = json.loads(content)
        pipeline = index["_class_name"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidModel(f"'{path}' is no description of a diffusers model ({error!r}). Fetch it again.") from error
    if not isinstance(pipeline, str):
        raise UnsafeFormat(f"'{path}' names a pipeline of its own code, {pipeline!r}; models' code is never run.")
    if family_of(pipeline) is None:
        known = ", ".join(pipeline_names())
        raise UnsupportedModel(f"'{path.parent}' is a {pipeline}, which no family here runs. There are: {known}.")
    return Index(pipeline, tuple(_parts(path, index)))


def _parts(path: Path, index: Mapping[str, Any]) -> Iterator[str]:
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list) or len(value) != 2 or value[0] is None:
            continue
        library = value[0]
        if library not in _LIBRARIES and library != index["_class_name"] and not _of_diffusers(library):
            raise UnsafeFormat(
                f"'{path}': the part '{name}' comes from {library!r}, which may be code of the model's own; only parts "
                "of diffusers and transformers are loaded."
            )
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise UnsafeFormat(f"'{path}': {name!r} is no name for a part; it would lead outside the folder.")
        yield name


def _of_diffusers(library: Any) -> bool:
    """Whether a part's module is one of diffusers' own pipelines, which older models name this way."""
    import importlib.util

    return (
        isinstance(library, str)
        and library.isidentifier()
        and (importlib.util.find_spec(f"diffusers.pipelines.{library}") is not None)
    )


def check_part(folder: Path) -> None:
    """Checks the weights of one part. Only networks have them, and a `config.json`; schedulers and tokenizers pass.

    Raises:
        InvalidModel: weights are missing, all or one of the files that their index names.
        UnsafeFormat, CorruptWeights: as in `check_folder`.
    """
    if not folder.is_dir():
        raise InvalidModel(f"'{folder}' is missing: the model's folder is incomplete. Fetch it again.")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    safe = [path for path in files if path.suffix == ".safetensors"]
    pickles = [path for path in files if path.suffix.lower() in _PICKLES]
    if pickles and not safe:
        raise UnsafeFormat(
            f"'{pickles[0]}' is a pickle, which could run code when opened. Only safetensors are loaded: look for a "
            "revision or variant of the model that has them."
        )
    if not safe and (folder / "config.json").is_file():
        raise InvalidModel(f"'{folder}' has no weights (*.safetensors): the folder is incomplete. Fetch it again.")
    for path in safe:
        check_safetensors(path)
    for path in files:
        if path.name.endswith(".safetensors.index.json"):
            _check_shards(path)


def _check_shards(path: Path) -> None:
    try:
        names = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError) as error:
        raise InvalidModel(f"'{path}' is no index of weights ({error!r}). Fetch it again.") from error
    for name in sorted(names):
        if not isinstance(name, str) or Path(name).name != name:
            raise UnsafeFormat(f"'{path}' names {name!r}, which lies outside its folder.")
        if not (path.parent / name).is_file():
            raise InvalidModel(f"'{path.parent / name}' is missing: the model's folder is incomplete. Fetch it again.")


def check_safetensors(path: Path) -> int:
    """Checks that a file is a whole safetensors file, without reading its tensors.

    Returns:
        Bytes of its tensors.

    Raises:
        CorruptWeights: it is a page of a proxy, something else, or cut off; says how many bytes are there and needed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start.lstrip()[:5].lower() in _HTML:
            raise CorruptWeights(f"'{path}' is a web page, not weights: a proxy answered. Delete it, fetch it again.")
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= min(size, _LONGEST_HEADER):
            raise CorruptWeights(f"'{path}' ({size} bytes) is no safetensors file. Delete it and fetch it again.")
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptWeights(f"'{path}' has no readable header. Delete it and fetch it again.") from error
    needed = 8 + length + max(ends, default=0)
    if size != needed:
        raise CorruptWeights(f"'{path}' has {size} bytes, needed are {needed}. Delete it and fetch it again.")
    return max(ends, default=0)


def fingerprint(folder: Path, index: Index) -> str:
    """SHA-256 of a model's description and of its weights' headers and sizes: tells models apart in milliseconds."""
    total = hashlib.sha256((folder / INDEX).read_bytes())
    for part in index.parts:
        for path in sorted((folder / part).glob("*.safetensors")) if (folder / part).is_dir() else ():
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                total.update(file.read(min(length, 1 << 27)))
                # Headers alone are alike for all models of a form; a few bytes of values tell them apart.
                total.update(file.read(4096))
            total.update(json.dumps([part, path.name, path.stat().st_size]).encode())
    return total.hexdigest()

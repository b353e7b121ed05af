"""Reads and checks `bundle.json`, the description in a trained bundle, and finds the files that it names.

It may come from anybody: sizes are bounded before anything is read, no name leads out of the folder, and a field that
is unknown, missing or of another type is refused instead of guessed at. Importing this module loads no model library.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar, cast

from vid2vid.config import BackboneConfig
from vid2vid.errors import InvalidBundle, InvalidOption, NewerFormat, UnsafeFormat
from vid2vid.options import suggestion

FORMAT = 1
"""Changes whenever an older reader would misread a bundle."""
FILE_NAME = "bundle.json"
MAX_BYTES = 4 * 2**20
MAX_KEYS = 64
_MAX_LEVELS, _MAX_BLOCKS, _MAX_WIDTH, _MAX_MAPS, _MAX_CHANNELS = 8, 64, 1024, 64, 1024
"""Shapes beyond these are refused: even the outline of such a generator would take minutes to make."""
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")

_KINDS: Mapping[str, type] = {
    "format": int,
    "task": str,
    "options": dict,
    "backbone": dict,
    "channels": dict,
    "keys": list,
    "data": list,
    "metrics": dict,
    "scores": list,
    "recipe": dict,
    "versions": dict,
    "weights_sha256": str,
    "adapters": list,
}
_KEY_KINDS: Mapping[str, type] = {"frame": int, "source": str, "look": str, "clip_sha256": object}
_DATA_KINDS: Mapping[str, type] = {"name": str, "sha256": str}
_BACKBONE_KINDS: Mapping[str, type] = {
    "name": str,
    "width": int,
    "blocks": list,
    "reduction": int,
    "recurrent": bool,
    "textured": bool,
    "weights": object,
}
_WORDS: Mapping[type, str] = {
    int: "a whole number",
    str: "text",
    dict: "an object",
    list: "a list",
    bool: "true or false",
}
_T = TypeVar("_T")


_ADAPTER_KINDS: Mapping[str, type] = {
    "base": str,
    "revision": object,
    "fingerprint": str,
    "family": str,
    "pipeline": str,
    "rank": int,
    "window": int,
    "control": object,
    "prompt": str,
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """What the weights of a bundle are added to, where they are adapters of a pretrained model."""

    base: str
    """Hub id of the model, or the folder as it was given."""
    revision: str | None
    """Commit of the hub's repository; None for a folder."""
    fingerprint: str
    """Hash that tells the model from others; see `backbones.diffusion.location.fingerprint`."""
    family: str
    pipeline: str
    """Class name in the model's `model_index.json`."""
    rank: int
    window: int
    """Frames of the windows that it learned from."""
    control: str | None
    """Kind of the control clip that it was shown."""
    prompt: str
    """Text that went with its examples."""

    @property
    def location(self) -> str:
        """The model as `backbone=` names it."""
        return f"diffusers:{self.base}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key frame as the description lists it."""

    frame: int
    source: Path
    """Picture of the frame, a regular file within the bundle."""
    look: Path
    """The same in the look, likewise."""
    clip_sha256: str | None


@dataclass(frozen=True, slots=True)
class Description:
    """The content of a `bundle.json`, checked; see `bundle.Bundle` for what each part means."""

    task: str
    options: Mapping[str, Any]
    backbone: BackboneConfig
    channels: Mapping[str, int]
    keys: tuple[KeyEntry, ...]
    data: Mapping[str, str]
    metrics: Mapping[str, Any]
    scores: tuple[Mapping[str, Any], ...]
    recipe: Mapping[str, Any]
    versions: Mapping[str, str]
    weights_sha256: str
    adapter: Adapter | None = None


def read_description(folder: Path) -> Description:
    """Reads the description of a bundle.

    Args:
        folder: the bundle, resolved.

    Raises:
        InvalidBundle: it is missing, too large, no JSON, or a field is unknown, missing or not as documented.
        NewerFormat: a later version of vid2vid wrote it.
        UnsafeFormat: a name leads out of the folder.
        InvalidOption: it lists adapters, which the compact backbone cannot take.
    """
    where = file_inside(folder, FILE_NAME, MAX_BYTES)
    try:
        found = json.loads(where.read_bytes().decode(), parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(f"'{where}' is not JSON ({error}). Copy or train the bundle again.") from error
    _check_format(_typed(found, dict, "the whole", where), where)
    _check_fields(found, _KINDS, "", where)
    adapter = _adapter(found["adapters"], where) if found["backbone"].get("name") == "diffusers" else None
    if found["adapters"] and adapter is None:
        count = len(found["adapters"])
        raise InvalidOption(
            f"'{where}' lists {count} adapter(s); adapters need a diffusion backbone, and {found['task']!r} has a "
            "compact one. Train it without, so that adapters is []."
        )
    require(_NAME.fullmatch(found["task"]) is not None, where, f"task is {reprlib.repr(found['task'])}, no task's name")
    return Description(
        task=found["task"],
        options=found["options"],
        backbone=_backbone(found["backbone"], where),
        channels=_channels(found["channels"], where),
        keys=_keys(found["keys"], folder, where),
        data=_data(found["data"], where),
        metrics=found["metrics"],
        scores=tuple(_typed(score, dict, f"scores[{i}]", where) for i, score in enumerate(found["scores"])),
        recipe=found["recipe"],
        versions={name: _typed(text, str, f"versions.{name}", where) for name, text in found["versions"].items()},
        weights_sha256=_hash(found["weights_sha256"], "weights_sha256", where),
        adapter=adapter,
    )


def file_inside(folder: Path, name: str, limit: int) -> Path:
    """Finds a regular file of a bundle.

    Args:
        folder: the bundle, resolved.
        name: relative to it, with forward slashes.
        limit: most bytes it may have.

    Raises:
        UnsafeFormat: the name, or a link on the way, leads out of the folder.
        InvalidBundle: it is missing, no regular file or too large.
    """
    pure, foreign = PurePosixPath(name), PureWindowsPath(name)
    leads_out = pure.is_absolute() or ".." in foreign.parts or bool(foreign.drive or foreign.root)
    require("\0" not in name and name != "", folder, f"{name!r} is no file name")
    if leads_out or not (folder / name).resolve().is_relative_to(folder):
        raise UnsafeFormat(
            f"'{folder}' names the file {name!r}, which lies outside of it. Only files within a bundle are read; "
            "replace links by the files themselves, or fetch the bundle from somebody you trust."
        )
    path = folder / name
    require(path.is_file(), folder, f"the file {name!r} is missing or is no regular file")
    size = path.stat().st_size
    require(size <= limit, path, f"it has {size} bytes; at most {limit} are read")
    return path


def require(condition: bool, where: Path, fault: str) -> None:
    """Raises `InvalidBundle` about a file or folder unless the condition holds."""
    if not condition:
        raise InvalidBundle(f"'{where}': {fault}. Copy or train the bundle again.")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose every name stands once; what checks the first of two and uses the second can be fooled."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a name stands twice among {reprlib.repr([name for name, _ in pairs])}")
    return found


def _check_format(found: Mapping[str, Any], where: Path) -> None:
    """Before all else: a newer format may well have other fields."""
    if "format" not in found:
        return
    number = _typed(found["format"], int, "format", where)
    if number > FORMAT:
        raise NewerFormat(
            f"'{where}' has format {number}, this vid2vid reads {FORMAT}: update it (pip install --upgrade vid2vid)."
        )
    require(number == FORMAT, where, f"format is {number}; {FORMAT} is needed")


def _check_fields(found: Mapping[str, Any], kinds: Mapping[str, type], within: str, where: Path) -> None:
    """Holds an object to its fields: each there, each of its type, no other."""
    for name in found:
        known = ", ".join(kinds)
        require(name in kinds, where, f"{within}{name} is unknown.{suggestion(name, kinds)} Known: {known}")
    for name, kind in kinds.items():
        require(name in found, where, f"{within}{name} is missing")
        _typed(found[name], kind, within + name, where)


def _typed(value: Any, kind: type[_T], what: str, where: Path) -> _T:
    fits = isinstance(value, kind) and (kind is bool or kind is object or not isinstance(value, bool))
    require(fits, where, f"{what} is {reprlib.repr(value)}; {_WORDS.get(kind, 'another value')} is needed")
    return cast("_T", value)


def _hash(value: Any, what: str, where: Path) -> str:
    fits = isinstance(value, str) and _HASH.fullmatch(value) is not None
    require(fits, where, f"{what} is {reprlib.repr(value)}; 64 hexadecimal digits are needed")
    return cast("str", value)


def _backbone(found: Mapping[str, Any], where: Path) -> BackboneConfig:
    _check_fields(found, _BACKBONE_KINDS, "backbone.", where)
    blocks = found["blocks"]
    counted = all(type(count) is int and count <= _MAX_BLOCKS for count in blocks)
    require(
        counted and len(blocks) <= _MAX_LEVELS,
        where,
        f"backbone.blocks is {reprlib.repr(blocks)}; at most {_MAX_LEVELS} whole numbers up to {_MAX_BLOCKS} are read",
    )
    require(found["width"] <= _MAX_WIDTH, where, f"backbone.width is {found['width']}; at most {_MAX_WIDTH} is read")
    require(found["weights"] is None, where, f"backbone.weights is {reprlib.repr(found['weights'])}; null is needed")
    try:
        return BackboneConfig(**{**found, "blocks": tuple(blocks)})
    except InvalidOption as error:
        raise InvalidBundle(f"'{where}': backbone has {error} Copy or train the bundle again.") from error


def _adapter(found: Sequence[Any], where: Path) -> Adapter:
    require(len(found) == 1, where, f"adapters lists {len(found)} entries; a bundle of a diffusion model has one")
    fields = _typed(found[0], dict, "adapters[0]", where)
    _check_fields(fields, _ADAPTER_KINDS, "adapters[0].", where)
    for name in ("revision", "control"):
        fits = fields[name] is None or isinstance(fields[name], str)
        require(fits, where, f"adapters[0].{name} is {reprlib.repr(fields[name])}; text or null is needed")
    _hash(fields["fingerprint"], "adapters[0].fingerprint", where)
    for name, most in (("rank", _MAX_WIDTH), ("window", _MAX_CHANNELS)):
        require(1 <= fields[name] <= most, where, f"adapters[0].{name} is {fields[name]}; 1 to {most} is needed")
    return Adapter(**fields)


def _channels(found: Mapping[str, Any], where: Path) -> Mapping[str, int]:
    require(1 <= len(found) <= _MAX_MAPS, where, f"channels names {len(found)} maps; 1 to {_MAX_MAPS} are needed")
    for name, count in found.items():
        fits = 1 <= _typed(count, int, f"channels.{name}", where) <= _MAX_CHANNELS
        require(fits, where, f"channels.{name} is {count}; 1 to {_MAX_CHANNELS} are needed")
    # The generator's output starts from the source's three colours, which it finds in its first channels.
    led = "source" not in found or (next(iter(found)) == "source" and found["source"] >= 3)
    require(led, where, f"channels is {reprlib.repr(found)}; source comes first and has at least 3")
    return found


def _data(found: Sequence[Any], where: Path) -> Mapping[str, str]:
    hashes: dict[str, str] = {}
    for number, item in enumerate(found):
        what = f"data[{number}]"
        _check_fields(_typed(item, dict, what, where), _DATA_KINDS, f"{what}.", where)
        require(item["name"] not in hashes, where, f"{what}.name is {reprlib.repr(item['name'])} a second time")
        hashes[item["name"]] = _hash(item["sha256"], f"{what}.sha256", where)
    return hashes


def _keys(found: Sequence[Any], folder: Path, where: Path) -> tuple[KeyEntry, ...]:
    require(len(found) <= MAX_KEYS, where, f"keys lists {len(found)} key frames; at most {MAX_KEYS} are read")
    entries = []
    for number, item in enumerate(found):
        what = f"keys[{number}]"
        _check_fields(_typed(item, dict, what, where), _KEY_KINDS, f"{what}.", where)
        require(item["frame"] >= 0, where, f"{what}.frame is {item['frame']}; frames are counted from 0")
        clip = item["clip_sha256"]
        if clip is not None:
            _hash(clip, f"{what}.clip_sha256", where)
        source, look = (file_inside(folder, item[name], MAX_BYTES * 16) for name in ("source", "look"))
        entries.append(KeyEntry(item["frame"], source, look, clip))
    return tuple(entries)

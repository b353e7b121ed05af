"""A trained bundle: one folder that holds everything a render of a learned look needs.

    my_look/
    ├── bundle.json             what it is, checked in full before anything of it is used
    ├── weights.safetensors     the generator, float16
    ├── README.md               the card, for people
    ├── keys/0001_source.png    key frames and the same in the look, where there are any
    ├── keys/0001_look.png
    └── previews/*.png          sheets and curves from training

A bundle may come from anybody: nothing in it is run, no name in it leads out of its folder, and sizes are bounded
before memory is reserved. Importing this module loads no model library.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vid2vid.card import write_card
from vid2vid.description import FILE_NAME, FORMAT, Adapter, KeyEntry, file_inside, read_description, require
from vid2vid.errors import (
    CorruptWeights,
    InputError,
    InputNotFound,
    InvalidBundle,
    InvalidOption,
    OutputExists,
    OutputNotWritable,
)
from vid2vid.folders import beside, publish, standing
from vid2vid.hashing import file_hash
from vid2vid.types import KeyPair

if TYPE_CHECKING:
    from vid2vid.backbones.weights import Formed
    from vid2vid.config import BackboneConfig
    from vid2vid.types import Picture

MAX_WEIGHTS_BYTES = 500 * 10**6
MAX_KEY_PIXELS = 200_000_000
"""Of all key pictures together: 600 MB once decoded, which is twelve pairs at 4K."""
_WEIGHTS, _CARD, _PREVIEWS = "weights.safetensors", "README.md", "previews"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained bundle whose every part has been checked."""

    path: Path
    """The folder."""
    task: str
    """Name of the task that renders it."""
    backbone: BackboneConfig
    channels: Mapping[str, int]
    """Condition map -> its channels, in the order of the generator's input."""
    weights_sha256: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """The task's own options that it was trained with."""
    keys: tuple[KeyPair, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    """Name of each example -> SHA-256 of its content."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """By the lesson's judge, the card says on what; names that begin with `source_` are the untouched source's."""
    scores: tuple[Mapping[str, Any], ...] = ()
    """Held-out scores over the course of training."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """How it was trained."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Name of what it was made with -> version."""
    adapter: Adapter | None = None
    """What the weights are added to, where they are adapters of a pretrained model; None for a compact generator."""

    @property
    def weights(self) -> Path:
        """The generator's weights, or the adapters."""
        return self.path / _WEIGHTS

    @property
    def card(self) -> Path:
        """The description for people, in Markdown."""
        return self.path / _CARD

    @property
    def previews(self) -> tuple[Path, ...]:
        """Pictures from training, in the order of their names."""
        found = sorted((self.path / _PREVIEWS).glob("*.png"))
        return tuple(path for path in found if path.is_file() and not path.is_symlink())


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Tells whether this is a folder that describes itself as a bundle; whether it is a sound one, `load_bundle` says.

    False as well for the name of a task, which need not be a path at all.
    """
    try:
        return (standing(Path(path)) / FILE_NAME).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Reads a bundle; everything in it is checked before anything is handed out.

    Args:
        path: its folder.

    Raises:
        InputNotFound: nothing is there.
        InvalidBundle: it is no bundle, a part is missing, or its description is not as documented.
        NewerFormat: a later version of vid2vid wrote it.
        UnsafeFormat: a name leads out of the folder, or the weights are a pickle.
        CorruptWeights, WeightsMismatch, BadWeights: the weights are damaged, of another shape or not finite.
        InvalidOption: it has adapters beside a compact generator, which takes none.
    """
    folder = standing(Path(path))
    if not folder.exists():
        raise InputNotFound(f"There is no bundle at '{path}'. Give the folder that train() wrote.")
    if not folder.is_dir():
        raise InvalidBundle(f"'{path}' is a file. A bundle is a folder with {FILE_NAME} in it; give that folder.")
    folder = folder.resolve()
    found = read_description(folder)
    bundle = Bundle(
        path=folder,
        task=found.task,
        backbone=found.backbone,
        channels=found.channels,
        weights_sha256=found.weights_sha256,
        options=found.options,
        keys=_read_keys(found.keys),
        data=found.data,
        metrics=found.metrics,
        scores=found.scores,
        recipe=found.recipe,
        versions=found.versions,
        adapter=found.adapter,
    )
    _check_weights(bundle)
    return bundle


def check_bundle_path(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Gives the folder that `save_bundle` will write, after every check that can be made before training starts.

    Args:
        path: where the bundle should go; folders around it that are missing will be made.
        overwrite: whether a bundle that is there may be replaced. Nothing but a bundle ever is.

    Raises:
        OutputExists: something is there that may not be replaced.
        OutputNotWritable: the folder around it is not one or may not be written.
    """
    target = Path(path).resolve()
    if not target.name:
        raise OutputNotWritable(f"'{path}' cannot be a bundle. Give the name of a new folder.")
    if is_bundle(target):
        if not overwrite:
            raise OutputExists(f"The bundle '{path}' exists. Choose another name or allow it with overwrite=True.")
    elif os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise OutputExists(f"'{path}' is there and is no bundle, so it is never replaced. Choose another name.")
    around = next(parent for parent in target.parents if os.path.lexists(parent))
    if not around.is_dir() or not os.access(around, os.W_OK | os.X_OK):
        raise OutputNotWritable(f"'{around}' is no folder that may be written. Choose another place for '{path}'.")
    return target


def save_bundle(
    path: str | os.PathLike[str],
    net: Formed,
    *,
    task: str,
    backbone: BackboneConfig,
    channels: Mapping[str, int],
    options: Mapping[str, Any] | None = None,
    keys: Sequence[KeyPair] = (),
    data: Mapping[str, str] | None = None,
    metrics: Mapping[str, Any] | None = None,
    scores: Sequence[Any] = (),
    recipe: Mapping[str, Any] | None = None,
    previews: Mapping[str, Picture | Path] | None = None,
    summary: str = "",
    limits: Sequence[str] = (),
    measured: str = "held out",
    adapter: Adapter | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Writes a bundle that is complete and readable, or nothing.

    It is written under a hidden name beside its place, read back with every check of `load_bundle`, and then moved
    there. A bundle that is replaced stays readable until the new one is in its place, and comes back if that fails.

    Args:
        path: the folder to write.
        net: the trained generator, as `make_generator(backbone, channels)` makes it, or adapters.
        task, backbone, channels, options, keys, data, metrics, scores, recipe: see `Bundle`. In them dataclasses become
            objects, paths text, and numbers that are not finite null.
        previews: name without suffix -> `(H, W, 3)` uint8 picture, or a PNG file to copy.
        summary: what the look does, in a sentence for the card.
        limits: what it does not do, in sentences for the card.
        measured: what the metrics were taken on, in a word or two for the card.
        adapter: what adapters are added to; None for a compact generator.
        overwrite: whether a bundle that is there may be replaced.

    Returns:
        The bundle as read back.

    Raises:
        OutputExists, OutputNotWritable, OutputDiskFull: it cannot be written there.
        InvalidOption: a preview has no plain name.
        ModelError: what was written cannot be used, for instance weights that are not finite.
    """
    from vid2vid.io.output import writing

    target = check_bundle_path(path, overwrite=overwrite)
    described = {
        "format": FORMAT,
        "task": task,
        "options": options or {},
        "backbone": dataclasses.replace(backbone, weights=None),
        "channels": channels,
        "keys": [_key_fields(number, key) for number, key in enumerate(keys, 1)],
        "data": [{"name": name, "sha256": sha256} for name, sha256 in (data or {}).items()],
        "metrics": metrics or {},
        "scores": scores,
        "recipe": recipe or {},
        "versions": {name: version(name) for name in ("vid2vid", "torch")} | {"python": platform.python_version()},
        "adapters": [adapter] if adapter else [],
    }
    card = partial(write_card, target.name, summary=summary, limits=limits, measured=measured)
    with writing(target), beside(target) as folder:
        _fill(folder, net, described, keys, previews or {}, card)
        made = load_bundle(folder)
        publish(folder, target, replace=overwrite and is_bundle(target))
    return dataclasses.replace(made, path=target)


def _read_keys(entries: Sequence[KeyEntry]) -> tuple[KeyPair, ...]:
    """Decodes the key pictures once all their sizes are known and bounded."""
    if not entries:
        return ()
    from vid2vid.io import probe, read_image

    pixels = 0
    try:
        for entry in entries:
            sizes = []
            for path in (entry.source, entry.look):
                with path.open("rb") as file:
                    require(file.read(len(_PNG)) == _PNG, path, "it is no PNG picture")
                info = probe(path)
                sizes.append((info.width, info.height))
                pixels += info.width * info.height
            same = sizes[0] == sizes[1]
            require(same, entry.look, "it has {2}x{3} pixels, its source {0}x{1}".format(*sizes[0], *sizes[1]))
            require(pixels <= MAX_KEY_PIXELS, entry.look, f"key frames have over {MAX_KEY_PIXELS} pixels together")
        return tuple(KeyPair(e.frame, read_image(e.source), read_image(e.look), e.clip_sha256) for e in entries)
    except InputError as error:
        raise InvalidBundle(f"A key picture cannot be read: {error} Copy or train the bundle again.") from error


class _Outline:
    """A generator without values: names and shapes that weights are held against, without memory for them."""

    def __init__(self, backbone: BackboneConfig, channels: Mapping[str, int]) -> None:
        import torch

        from vid2vid.backbones import make_generator

        with torch.device("meta"):
            net = make_generator(backbone, channels)
        self.form: str = net.form
        self._needed = net.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Weights by name, of which only shapes mean something."""
        return self._needed

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Keeps nothing."""


def _check_weights(bundle: Bundle) -> None:
    from vid2vid.backbones.weights import load_weights

    path = file_inside(bundle.path, _WEIGHTS, MAX_WEIGHTS_BYTES)
    if bundle.adapter is not None:
        from vid2vid.backbones.diffusion.adapters import read_adapters

        read_adapters(path)
    else:
        try:
            outline = _Outline(bundle.backbone, bundle.channels)
        except InvalidOption as error:
            raise InvalidBundle(f"'{bundle.path / FILE_NAME}': {error} Copy or train the bundle again.") from error
        load_weights(outline, path)
    found = file_hash(path)
    if found != bundle.weights_sha256:
        raise CorruptWeights(
            f"'{path}' has the SHA-256 {found[:16]}…, its bundle says {bundle.weights_sha256[:16]}…. One of the two "
            "was changed after training; copy or train the bundle again."
        )


def _key_fields(number: int, key: KeyPair) -> dict[str, Any]:
    names = {which: f"keys/{number:04}_{which}.png" for which in ("source", "look")}
    return {"frame": key.frame, **names, "clip_sha256": key.clip_sha256}


def _fill(
    folder: Path,
    net: Formed,
    described: Mapping[str, Any],
    keys: Sequence[KeyPair],
    previews: Mapping[str, Picture | Path],
    card: Callable[[Mapping[str, Any]], str],
) -> None:
    """Writes every file; the description comes last and makes a bundle of the folder."""
    _write_pictures(folder, keys, previews)
    _write_weights(folder / _WEIGHTS, net)
    plain = _plain({**described, "weights_sha256": file_hash(folder / _WEIGHTS)})
    # Names of files need not be text.
    (folder / _CARD).write_text(card(plain), "utf-8", errors="replace")
    described_as = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    (folder / FILE_NAME).write_text(described_as, "utf-8", errors="backslashreplace")


def _write_pictures(folder: Path, keys: Sequence[KeyPair], previews: Mapping[str, Picture | Path]) -> None:
    from vid2vid.io import write_image

    (folder / "keys").mkdir()
    (folder / _PREVIEWS).mkdir()
    for number, key in enumerate(keys, 1):
        names = _key_fields(number, key)
        write_image(folder / names["source"], key.source)
        write_image(folder / names["look"], key.look)
    for name, picture in previews.items():
        if re.fullmatch(r"\w[\w.-]{0,99}", name) is None:
            raise InvalidOption(f"previews names {name!r}; letters, digits, '_', '-' and '.' are allowed.")
        if isinstance(picture, Path):
            shutil.copyfile(picture, folder / _PREVIEWS / f"{name}.png")
        else:
            write_image(folder / _PREVIEWS / f"{name}.png", picture)


def _write_weights(path: Path, net: Formed) -> None:
    from safetensors import SafetensorError

    from vid2vid.backbones.weights import save_weights

    try:
        save_weights(net, path)
    except SafetensorError as error:  # what it makes of a full disk
        raise OutputNotWritable(f"The weights cannot be written to '{path}' ({error}). Check the disk.") from error


def _plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # a number of numpy or torch
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

"""Fetching a model from a hub into the hub's own cache: pinned, safetensors only, resumed where it was cut off."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.backbones.diffusion.family import family_of
from vid2vid.backbones.diffusion.location import INDEX, check_folder, read_index
from vid2vid.errors import CorruptWeights, InvalidModel, InvalidOption, ModelError, OfflineModelMissing

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.location import Index, Location

_LOG = logging.getLogger(__name__)
_PLAIN: Final = ("*.json", "*.txt", "*.model", "*.jinja")
"""What parts hold beside weights: configurations, tokenizers."""
_ATTEMPTS: Final = 3


def resolve(location: Location, variant: str | None = None) -> tuple[Path, Index]:
    """The folder of a model, fetched where it is not here yet, and what it says of itself.

    Raises:
        OfflineModelMissing: it is not here and the hub cannot be reached; names the file and how to place it.
        CorruptWeights: a file is not what the hub says it is.
        InvalidModel, UnsupportedModel, UnsafeFormat: see `check_folder`.
    """
    if location.folder is not None:
        return location.folder, check_folder(location.folder)
    folder = _cached(location, variant) or _fetched(location, variant)
    return folder, check_folder(folder)


def _cached(location: Location, variant: str | None) -> Path | None:
    """The snapshot in the cache, where it is whole."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(location.name, INDEX, revision=location.revision)
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    try:
        check_folder(folder)
    except InvalidModel:
        # Some files are missing: a download that was cut off. Going on costs only what is left.
        return None
    return folder if all(_whole(path) for path in folder.rglob("*.safetensors")) else None


def _fetched(location: Location, variant: str | None) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    endpoint = os.environ.get("HF_ENDPOINT")
    words: dict[str, Any] = {"revision": location.revision, "endpoint": endpoint}
    with _explained(location, INDEX):
        index_path = Path(hf_hub_download(location.name, INDEX, **words))
    try:
        index = read_index(index_path)
    except InvalidModel:
        _discard(index_path)
        raise
    weights = [f"{part}/*.{variant}.safetensors" if variant else f"{part}/*.safetensors" for part in index.parts]
    plain = [f"{part}/{pattern}" for part in index.parts for pattern in _PLAIN]
    _LOG.info("fetching %s", location)
    for attempt in range(_ATTEMPTS):
        try:
            with _explained(location, "its weights"):
                folder = Path(snapshot_download(location.name, allow_patterns=[INDEX, *weights, *plain], **words))
            break
        except OfflineModelMissing:
            # A connection that broke: what came is kept, and the next attempt goes on from there.
            if attempt + 1 == _ATTEMPTS:
                raise
    _check_hashes(folder)
    return folder


def models_here() -> tuple[str, ...]:
    """Names of the models in the hub's cache that some family runs, with the family's name."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        # Named, since its default is what was set when that module was first imported.
        repositories = sorted(scan_cache_dir(constants.HF_HUB_CACHE).repos, key=lambda one: one.repo_id)
    except CacheNotFound:
        return ()
    found = []
    for repository in repositories:
        for snapshot in repository.revisions:
            with suppress(ModelError):
                family = family_of(check_folder(Path(snapshot.snapshot_path)).pipeline)
                found.append(f"{repository.repo_id} ({family.name if family else 'unknown'})")
    return tuple(dict.fromkeys(found))


def _explained(location: Location, wanted: str) -> AbstractContextManager[None]:
    return explained(location.name, wanted, f"backbone='{location.scheme}:FOLDER'", location.revision)


@contextmanager
def explained(name: str, wanted: str, given: str, revision: str | None = None) -> Iterator[None]:
    """Within it, what a hub's client says in its own words is said in ours.

    Args:
        name: of the repository.
        wanted: what is being fetched.
        given: the argument that takes a folder in place of the hub's repository.
        revision: that was asked for.

    Raises:
        OfflineModelMissing, ModelError, InvalidOption: in place of the client's own errors.
    """
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    place = (
        f"Fetch it on a machine with a connection (`hf download {name} --local-dir FOLDER`), "
        f"copy the folder here, and give {given}."
    )
    client = logging.getLogger("huggingface_hub")
    loudness = client.level
    client.setLevel(logging.ERROR)  # each of its attempts would be a line; the outcome is told below
    try:
        yield
    except GatedRepoError as error:
        raise ModelError(
            f"'{name}' asks its users to accept conditions: do so on the hub's page, then `hf auth login`."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise OfflineModelMissing(
            f"'{name}' is not on this machine and the hub cannot be reached: {wanted} is missing. {place}"
        ) from error
    except RevisionNotFoundError as error:
        raise InvalidOption(f"'{name}' has no revision {revision!r}.") from error
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        raise OfflineModelMissing(
            f"The hub has no '{name}', or not {wanted}. Check the name; private models need `hf auth login`."
        ) from error
    except _connection_errors() as error:
        raise OfflineModelMissing(
            f"'{name}' could not be fetched ({str(error).splitlines()[0]}): {wanted} is missing. Call again "
            f"to go on where it stopped. {place}"
        ) from error
    finally:
        client.setLevel(loudness)


def _connection_errors() -> tuple[type[Exception], ...]:
    """What the hub's client lets through of its own client for HTTP, whose name depends on its version."""
    from huggingface_hub.errors import HfHubHTTPError

    here = (name for name in ("httpx2", "httpx") if importlib.util.find_spec(name))
    return (HfHubHTTPError, OSError, *(importlib.import_module(name).HTTPError for name in here))


def _whole(path: Path) -> bool:
    """Whether a file of the cache was compared with its hash before, or fits it now."""
    return _mark(path).is_file() or _fits(path)


def _check_hashes(folder: Path) -> None:
    """Compares all weights with what the hub announced, and deletes those that differ."""
    wrong = [path for path in sorted(folder.rglob("*.safetensors")) if not _fits(path)]
    if not wrong:
        return
    announced = wrong[0].resolve().name
    for path in wrong:
        _discard(path)
    more = f" (and {len(wrong) - 1} more files)" if len(wrong) > 1 else ""
    raise CorruptWeights(
        f"'{wrong[0]}'{more} is not the file that the hub announced (SHA-256 {announced[:12]}...); it was deleted. "
        "Call again to fetch it anew."
    )


def _fits(path: Path) -> bool:
    """Compares a file of the cache with the hash that is its name there; files without one pass."""
    blob = path.resolve()
    if len(blob.name) != 64:
        return True
    with blob.open("rb") as file:
        fits = hashlib.file_digest(file, "sha256").hexdigest() == blob.name
    if fits:
        mark = _mark(path)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(json.dumps({"bytes": blob.stat().st_size}), encoding="utf-8")
    return fits


def _mark(path: Path) -> Path:
    from platformdirs import user_cache_path

    blob = path.resolve()
    return user_cache_path("vid2vid") / "compared" / f"{blob.name}-{blob.stat().st_size}-{blob.stat().st_mtime_ns}"


def _discard(path: Path) -> None:
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)

"""Reads content credentials: in a file, beside it, or from the local list of renders. Files may come from anybody."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import c2pa

from vid2vid.provenance.keys import trusted_roots
from vid2vid.provenance.manifest import RENDER_ASSERTION, STORE_FORMAT, settings, sidecar_of

ManifestState = Literal["valid", "tampered", "expired", "unreadable", "absent"]
_TIME: Final = ("signingCredential.expired", "claimSignature.outsideValidity")
_TRUST: Final = ("signingCredential.untrusted",)
_LARGEST_SIDECAR: Final = 64_000_000
_DATA_HASH: Final = "c2pa.hash.data"
_ALGORITHMS: Final = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class Ingredient:
    """Something that went into a file, as its manifest tells."""

    title: str
    sha256: str | None
    """Of the file, in hexadecimal, where vid2vid wrote the manifest."""
    relationship: str
    """`parentOf` for what was opened, `componentOf` for what was added."""
    signed: bool
    """Whether it came with a manifest of its own, which is kept in this one."""


@dataclass(frozen=True, slots=True)
class ManifestReading:
    """What a file's manifest says, and whether it can be believed."""

    state: ManifestState
    """`valid`: nothing was changed since it was signed. `tampered`: the file or the manifest was. `expired`: the
    signer's certificate ran out. `unreadable`: there is one that is too damaged to read. `absent`: there is none."""
    place: Literal["embedded", "sidecar", "list of renders"] | None = None
    trusted: bool = False
    """Whether this machine knows the signer."""
    signer: str | None = None
    """Common name in the certificate; anybody can put any name there, see `trusted`."""
    generator: str | None = None
    """The program that wrote it."""
    title: str | None = None
    made: str | None = None
    """When it was signed, by the signer's own word."""
    actions: tuple[str, ...] = ()
    """What was done, such as `c2pa.opened`."""
    source_type: str | None = None
    """The IPTC's term for what kind of media it is."""
    ingredients: tuple[Ingredient, ...] = ()
    render: Mapping[str, Any] = field(default_factory=dict)
    """What vid2vid wrote of the render; empty for the manifests of others."""
    earlier: tuple[str, ...] = ()
    """Payloads of earlier renders of vid2vid that went into this file."""
    failures: tuple[str, ...] = ()
    """C2PA's codes of what does not hold."""

    @property
    def payload(self) -> str | None:
        """Of the watermark that the file should carry; None for manifests of others."""
        return _payload(self.render)


ABSENT: Final = ManifestReading("absent")


def read_manifest(path: Path) -> ManifestReading:
    """Reads and checks the manifest in a file, else one in a sidecar beside it.

    Args:
        path: a regular file. `out.webm.c2pa` and `out.c2pa` are looked for beside `out.webm`.
    """
    with path.open("rb") as file:
        found = _read(file, None, None, "embedded")
    for sidecar in (sidecar_of(path), path.with_suffix(".c2pa")):
        if found.state != "absent" or sidecar == path or not sidecar.is_file():
            continue
        if sidecar.stat().st_size > _LARGEST_SIDECAR:
            return ManifestReading("unreadable", "sidecar")
        found = _read_beside(path, sidecar.read_bytes())
    return found


def _read_beside(path: Path, store: bytes) -> ManifestReading:
    """Reads a file by the manifest store beside it.

    c2pa holds up to half a gigabyte of a file while it hashes it. Where the manifest binds the whole file by one hash,
    as ours do, that is compared here instead; a file that it does not fit is left to c2pa to judge.
    """
    bound = _whole_file_hash(store)
    if bound is not None:
        algorithm, wanted = bound
        with path.open("rb") as file:
            if hashlib.file_digest(file, algorithm).digest() == wanted:
                return _read(io.BytesIO(store), STORE_FORMAT, None, "sidecar", fits=True)
    with path.open("rb") as file:
        return _read(file, STORE_FORMAT, store, "sidecar")


def _whole_file_hash(store: bytes) -> tuple[str, bytes] | None:
    """Algorithm and hash of the one binding of a store's active manifest, if it leaves out nothing of the file."""
    try:
        with c2pa.Reader(STORE_FORMAT, io.BytesIO(store), context=settings()) as reader:
            told = _mapping(json.loads(reader.detailed_json()))
    except (c2pa.C2paError, ValueError, RecursionError):
        return None
    manifest = _mapping(_mapping(told.get("manifests")).get(_text(told.get("active_manifest")) or ""))
    bindings = {name: _mapping(one) for name, one in _mapping(manifest.get("assertion_store")).items() if _binds(name)}
    binding = bindings.get(_DATA_HASH, {})
    algorithm, wanted = binding.get("alg"), binding.get("hash")
    if len(bindings) != 1 or binding.get("exclusions") or algorithm not in _ALGORITHMS or not isinstance(wanted, str):
        return None
    try:
        return algorithm, base64.b64decode(wanted, validate=True)
    except ValueError:
        return None


def _binds(label: str) -> bool:
    return label.startswith("c2pa.hash.")


def read_store(path: Path) -> ManifestReading:
    """Reads a manifest store from the local list of renders, whose file is not at hand.

    Its state is `valid` where signature and content of the manifest hold.
    """
    try:
        with path.open("rb") as file:
            return _read(file, STORE_FORMAT, None, "list of renders")
    except OSError:
        return ManifestReading("unreadable", "list of renders")


def _read(
    file: Any,
    media: str | None,
    store: bytes | None,
    place: Literal["embedded", "sidecar", "list of renders"],
    *,
    fits: bool = False,
) -> ManifestReading:
    """Reads with c2pa; `fits` says that the hash over the file, which is not given then, is known to be right."""
    try:
        with c2pa.Reader(media, file, store, context=settings(trusted_roots())) as reader:
            told = json.loads(reader.json())
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return ABSENT
    except (c2pa.C2paError, ValueError, RecursionError) as error:
        # A file so damaged that no manifest can be looked for reads like one whose manifest is damaged.
        return ManifestReading("unreadable", place, failures=(str(error)[:200],))
    manifests = _mapping(told.get("manifests"))
    active = _mapping(manifests.get(told.get("active_manifest")))
    failures = _failures(told)
    if place == "list of renders":
        failures = [code for code in failures if not code.endswith("Hash.mismatch")]
    if fits:
        failures = [code for code in failures if code != "assertion.dataHash.mismatch"]
    return _reading(active, manifests, failures, place)


def _reading(
    active: Mapping[str, Any],
    manifests: Mapping[str, Any],
    failures: list[str],
    place: Literal["embedded", "sidecar", "list of renders"],
) -> ManifestReading:
    broken = [code for code in failures if code not in _TRUST and code not in _TIME]
    late = any(code in _TIME for code in failures)
    actions = _actions(active)
    others = (_payload(_render(_mapping(one))) for one in manifests.values() if one is not active)
    signature = _mapping(active.get("signature_info"))
    return ManifestReading(
        state="tampered" if broken else "expired" if late else "valid",
        place=place,
        trusted=not broken and not any(code in _TRUST for code in failures),
        signer=_text(signature.get("common_name")) or _text(signature.get("issuer")),
        generator=_generator(active),
        title=_text(active.get("title")),
        made=next((found for one in actions if (found := _text(one.get("when")))), None),
        actions=tuple(found for one in actions if (found := _text(one.get("action")))),
        source_type=next((found for one in actions if (found := _last_part(one.get("digitalSourceType")))), None),
        ingredients=tuple(_ingredients(active)),
        render=_render(active),
        earlier=tuple(found for found in others if found),
        failures=tuple(failures),
    )


def _failures(told: Mapping[str, Any]) -> list[str]:
    """Codes of what does not hold in the file itself; faults of ingredients are the ingredients' own affair."""
    active = _text(told.get("active_manifest")) or ""
    found = [_mapping(one) for one in told.get("validation_status") or ()]
    results = _mapping(_mapping(told.get("validation_results")).get("activeManifest"))
    found += [_mapping(one) for one in results.get("failure") or ()]
    codes = [_text(one.get("code")) or "unknown" for one in found if active in (_text(one.get("url")) or active)]
    if told.get("validation_state") == "Invalid" and not codes:
        codes = ["unknown"]
    return sorted(set(codes))


def _actions(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for assertion in _assertions(manifest, "c2pa.actions"):
        actions = assertion.get("actions")
        found += [_mapping(one) for one in actions] if isinstance(actions, list) else []
    return found


def _render(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(_assertions(manifest, RENDER_ASSERTION), {})


def _assertions(manifest: Mapping[str, Any], label: str) -> Iterator[Mapping[str, Any]]:
    assertions = manifest.get("assertions")
    for one in assertions if isinstance(assertions, list) else ():
        name = _text(_mapping(one).get("label")) or ""
        if name == label or name.startswith((f"{label}.v", f"{label}__")):
            yield _mapping(_mapping(one).get("data"))


def _ingredients(manifest: Mapping[str, Any]) -> Iterator[Ingredient]:
    ingredients = manifest.get("ingredients")
    for one in map(_mapping, ingredients if isinstance(ingredients, list) else ()):
        yield Ingredient(
            title=_text(one.get("title")) or "unnamed",
            sha256=_text(_mapping(one.get("metadata")).get("org.vid2vid.sha256")),
            relationship=_text(one.get("relationship")) or "unknown",
            signed="active_manifest" in one,
        )


def _generator(manifest: Mapping[str, Any]) -> str | None:
    told = manifest.get("claim_generator_info")
    first = _mapping(told[0]) if isinstance(told, list) and told else {}
    name, version = _text(first.get("name")), _text(first.get("version"))
    return f"{name} {version}" if name and version else name or _text(manifest.get("claim_generator"))


def _payload(render: Mapping[str, Any]) -> str | None:
    payload = _text(_mapping(render.get("watermark")).get("payload"))
    with contextlib.suppress(TypeError, ValueError):
        return f"{int(payload or '', 16):012x}"
    return None


def _last_part(uri: Any) -> str | None:
    text = _text(uri)
    return text.rsplit("/", 1)[-1] if text else None


def _text(value: Any) -> str | None:
    """A text of one line and of bearable length: a manifest may say anything."""
    return " ".join(value.split())[:500] if isinstance(value, str) and value.strip() else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

"""The C2PA manifest: what it says of a render, and how it gets into the file or beside it.

Source: C2PA Technical Specification 2.4 (actions v2, ingredients v3, soft bindings, AI disclosure) and the CAWG's
Training and Data Mining Assertion 1.1. Nothing is fetched: there is no time-stamp authority, so the time of signing is
the signer's own word.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import logging
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import c2pa

from vid2vid.errors import MarkingError

if TYPE_CHECKING:
    from vid2vid.provenance.facts import Facts, Material
    from vid2vid.provenance.keys import Identity

RENDER_ASSERTION: Final = "org.vid2vid.render"
"""Label of the assertion with all that is vid2vid's own."""
WATERMARK_ALGORITHM: Final = "org.vid2vid.watermark.1"
"""Name of the invisible watermark in soft bindings. It is not in C2PA's list of registered algorithms."""
FORMATS: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".gif": "image/gif",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
}
SIDECARS: Final = frozenset({".mkv", ".webm"})
"""Containers that C2PA has no place in: their manifest goes beside them."""
STORE_FORMAT: Final = "application/c2pa"
_SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_NOT_FOR_TRAINING: Final = ("cawg.data_mining", "cawg.ai_training", "cawg.ai_generative_training")
_SETTINGS: Final[dict[str, Any]] = {
    "builder": {"thumbnail": {"enabled": False}},
    "core": {"backing_store_memory_threshold_in_mb": 8},  # a whole film would be held in memory on its way
    "verify": {
        "verify_trust": True,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
        "verify_after_sign": True,
        "verify_after_sign_hash": True,
    },
}
_PIECES: Final = {"merkle_tree_chunk_size_in_kb": 4096, "merkle_tree_max_proofs": 0}
"""MP4 is hashed in pieces, whose hashes stand in the manifest: hashed at once, half a gigabyte of it is held in memory.
With c2pa 0.91.3 this fails where a file has more than one box of media data, which FFmpeg does not write."""
_LOG: Final = logging.getLogger(__name__)


def sidecar_of(path: Path) -> Path:
    """Where the manifest of a file lies that cannot carry it: `out.webm.c2pa` beside `out.webm`."""
    return path.with_name(f"{path.name}.c2pa")


def payload_text(payload: int) -> str:
    """The 48 bits of a watermark as they are written in manifests and reports: twelve hexadecimal digits."""
    return f"{payload:012x}"


def settings(anchors: str = "") -> c2pa.Context:
    """A context that never touches the network.

    Args:
        anchors: root certificates to trust, in PEM.
    """
    return _settings(anchors, {})


def _settings(anchors: str, core: Mapping[str, int]) -> c2pa.Context:
    trust = {"user_anchors": anchors} if anchors else {}
    every = {**_SETTINGS, "core": {**_SETTINGS["core"], **core}, "trust": trust}
    return c2pa.Context(c2pa.Settings.from_dict(every))


def describe(facts: Facts, title: str, media: str, payload: int) -> dict[str, Any]:
    """Writes the manifest's definition, without hash and signature.

    Args:
        facts: of the render.
        title: name of the file.
        media: its media type.
        payload: of the watermark in its frames.
    """
    return {
        "claim_version": 2,
        "claim_generator_info": [{"name": "vid2vid", "version": facts.versions.get("vid2vid", "unknown")}],
        "title": title,
        "format": media,
        "assertions": [
            _assertion("c2pa.actions.v2", {"actions": _actions(facts)}),
            _assertion("cawg.training-mining", {"entries": {key: {"use": "notAllowed"} for key in _NOT_FOR_TRAINING}}),
            _assertion("c2pa.soft-binding", _soft_binding(payload)),
            _assertion("c2pa.ai-disclosure", _disclosure(facts)),
            _assertion(RENDER_ASSERTION, _render(facts, payload)),
        ],
    }


def sign(
    facts: Facts, identity: Identity, title: str, payload: int, unsigned: IO[bytes], signed: IO[bytes], suffix: str
) -> bytes:
    """Signs a finished file; gives the manifest store.

    Args:
        facts: of the render, the finished ones.
        identity: who signs.
        title: name of the file.
        payload: of the watermark.
        unsigned: the file, at its start; read in pieces.
        signed: takes the file with its manifest; stays empty for the containers of `SIDECARS`.
        suffix: of the file's name, lower case with its dot.

    Raises:
        MarkingError: the signer refuses, or what it made does not verify.
    """
    media = FORMATS[suffix]
    told = json.dumps(describe(facts, title, media, payload), ensure_ascii=False)
    # Names of files need not be text, and a manifest holds nothing else.
    definition = json.loads(told.encode("utf-8", "replace"))
    try:
        pieces = {} if _bodies(unsigned) > 1 else _PIECES
        return _signed(definition, facts, identity, unsigned, signed, suffix, _settings(identity.root, pieces))
    except c2pa.C2paError as error:
        raise MarkingError(
            f"'{title}' cannot be signed as '{identity.name}' ({error}). Check the certificate; unset "
            "VID2VID_CERTIFICATE and VID2VID_KEY to sign with the key that vid2vid makes."
        ) from error


def _bodies(file: IO[bytes]) -> int:
    """How many boxes of media data an MP4 has; 0 for other files. FFmpeg writes one.

    Of several, c2pa 0.91 makes manifests in pieces that do not verify, and does not always notice.
    """
    found, place, end = 0, 0, file.seek(0, os.SEEK_END)
    while place + 8 <= end:
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if place == 0 and kind != b"ftyp":
            break
        found += kind == b"mdat"
        place = end if size < 8 else place + size
    file.seek(0)
    return found


def _signed(
    definition: dict[str, Any],
    facts: Facts,
    identity: Identity,
    unsigned: IO[bytes],
    signed: IO[bytes],
    suffix: str,
    context: c2pa.Context,
) -> bytes:
    algorithm = getattr(c2pa.C2paSigningAlg, identity.algorithm)
    signer = c2pa.Signer.from_callback(identity.sign, algorithm, identity.chain, None)
    told = {**definition, "assertions": list(definition["assertions"])}
    streams = _add_materials(told, facts, context)
    if suffix in SIDECARS:
        told["assertions"].append(_assertion("c2pa.hash.data", _whole_file_hash(unsigned)))
    with c2pa.Builder(told, context=context) as builder:
        for entry, media, path in streams:
            with path.open("rb") as file:
                builder.add_ingredient(entry, media, file)
        if suffix not in SIDECARS:
            return bytes(builder.sign(signer, FORMATS[suffix], unsigned, signed))
        builder.set_no_embed()
        return bytes(builder.sign(signer, STORE_FORMAT, unsigned, io.BytesIO()))


def try_out(facts: Facts, identity: Identity, title: str, payload: int) -> None:
    """Signs a picture of one pixel, so that a failing signer shows before any work.

    Raises:
        MarkingError: see `sign`.
    """
    sign(facts, identity, title, payload, io.BytesIO(_one_pixel()), io.BytesIO(), ".png")


def _assertion(label: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": label, "data": dict(content)}


def _actions(facts: Facts) -> list[dict[str, Any]]:
    agent = {"name": "vid2vid", "version": facts.versions.get("vid2vid", "unknown")}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    made = {
        "softwareAgent": agent,
        "when": now,
        "digitalSourceType": _SOURCE_TYPES + facts.source_type,
        "description": f"{facts.task}: {facts.summary}",
    }
    if facts.sources:
        opened = {"ingredientIds": [_label("source", 0)]}
        actions = [{"action": "c2pa.opened", "parameters": opened}, {"action": "c2pa.edited", **made}]
    else:
        actions = [{"action": "c2pa.created", **made}]
    placed = [_label("source", number) for number in range(1, len(facts.sources))]
    placed += [_label("reference", number) for number in range(len(facts.references))]
    if placed:
        actions.append({"action": "c2pa.placed", "softwareAgent": agent, "parameters": {"ingredientIds": placed}})
    actions.append({"action": "c2pa.watermarked.bound", "softwareAgent": agent})
    return actions


def _soft_binding(payload: int) -> dict[str, Any]:
    return {"alg": WATERMARK_ALGORITHM, "blocks": [{"scope": {}, "value": payload_text(payload)}]}


def _disclosure(facts: Facts) -> dict[str, Any]:
    made: dict[str, Any] = {
        "modelType": "c2pa.types.model.pytorch",
        "modelName": f"vid2vid {facts.task}" + (f" ({facts.backbone})" if facts.backbone else ""),
    }
    if facts.weights:
        made["modelIdentifier"] = ", ".join(f"{name} sha256:{found}" for name, found in sorted(facts.weights.items()))
    return made


def _render(facts: Facts, payload: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "statement": f"Made by software from another video (task {facts.task}); not a recording.",
        "task": facts.task,
        "summary": facts.summary,
        "backbone": facts.backbone,
        "bundle": facts.bundle,
        "options": facts.options,
        "prompt": facts.prompt,
        "seed": facts.seed,
        "strength": facts.strength,
        "sources": [_told(one) for one in facts.sources],
        "references": [_told(one) for one in facts.references],
        "weights": facts.weights,
        "consent": facts.consent,
        "watermark": {"algorithm": WATERMARK_ALGORITHM, "payload": payload_text(payload)},
        "versions": facts.versions,
        "result": facts.result,
    }
    # Options may hold paths and other things that JSON has no form for; nulls say nothing.
    plain: dict[str, Any] = json.loads(json.dumps(told, default=_plain))
    return {name: value for name, value in plain.items() if value not in (None, "", {}, [])}


def _plain(value: Any) -> object:
    """Of a path only the name: a manifest travels, and folders tell about their owner."""
    return value.name if isinstance(value, os.PathLike) and isinstance(value, Path) else str(value)


def _told(material: Material) -> dict[str, Any]:
    told = {"name": material.name, "sha256": material.sha256, "label": material.label}
    return {name: value for name, value in told.items() if value is not None}


def _label(role: str, number: int) -> str:
    return f"{role}{number}"


def _add_materials(
    definition: dict[str, Any], facts: Facts, context: c2pa.Context
) -> list[tuple[dict[str, Any], str, Path]]:
    """Puts ingredients into the definition; gives those that are to be read, for the credentials they may carry."""
    streams: list[tuple[dict[str, Any], str, Path]] = []
    definition["ingredients"] = []
    for role, materials in (("source", facts.sources), ("reference", facts.references)):
        for number, material in enumerate(materials):
            media = FORMATS.get(Path(material.name).suffix.lower(), "application/octet-stream")
            entry: dict[str, Any] = {
                "title": material.name,
                "label": _label(role, number),
                "relationship": "parentOf" if (role, number) == ("source", 0) else "componentOf",
            }
            if material.sha256 is not None:
                entry["metadata"] = {"org.vid2vid.sha256": material.sha256}
            if material.path is not None and _carries_credentials(material.path, media, context):
                streams.append((entry, media, material.path))
            else:
                definition["ingredients"].append({**entry, "format": media})
    return streams


def _carries_credentials(path: Path, media: str, context: c2pa.Context) -> bool:
    """Whether a file holds a manifest that can be taken along; damaged ones are left out and logged."""
    if media not in c2pa.Reader.get_supported_mime_types() or not path.is_file():
        return False
    try:
        with path.open("rb") as file, c2pa.Reader(media, file, context=context):
            return True
    except c2pa.C2paError.ManifestNotFound:
        return False
    except (c2pa.C2paError, OSError) as error:
        _LOG.warning("Content credentials of '%s' cannot be read and are not taken along: %s", path.name, error)
        return False


def _whole_file_hash(file: IO[bytes]) -> dict[str, Any]:
    """The hard binding of a file that no manifest is put into: a hash over all its bytes."""
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]  # IO[bytes] lacks readable()
    file.seek(0)
    # As numbers, since c2pa would keep a text as a text and then not know it for a hash.
    return {"alg": "sha256", "name": "jumbf manifest", "hash": list(found), "pad": []}


def _one_pixel() -> bytes:
    """A PNG of one black pixel."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\0\0\0")),
        (b"IEND", b""),
    )
    framed = (
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)

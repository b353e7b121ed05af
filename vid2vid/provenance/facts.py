"""What a manifest says of a render: facts gathered before it, and those known once it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

DigitalSource = Literal[
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "algorithmicallyEnhanced",
    "algorithmicMedia",
    "composite",
]
"""Terms of the IPTC's digital source types that a task may declare.
Source: http://cv.iptc.org/newscodes/digitalsourcetype/ (2024-09-17)."""


@dataclass(frozen=True, slots=True)
class Material:
    """Something that went into a render: the source, or a reference."""

    name: str
    """File name, or what the caller calls it; never a folder's path."""
    sha256: str | None
    """Hash of the file or of the pixels, in hexadecimal; None for frames that pass by once."""
    path: Path | None = None
    """The file, if it is one: it becomes an ingredient with the credentials that it carries itself."""
    label: str | None = None
    """Whom or what it stands for, such as the number of a face."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a manifest tells of one render."""

    task: str
    """Name of the task."""
    summary: str
    """What the task does, in one line."""
    source_type: DigitalSource = "compositeWithTrainedAlgorithmicMedia"
    """What kind of media the result is."""
    sources: tuple[Material, ...] = ()
    """What was translated."""
    references: tuple[Material, ...] = ()
    """What it should look like."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """Name of a model -> SHA-256 of its weights."""
    backbone: str = ""
    """Name of the generator."""
    bundle: str | None = None
    """Name of the trained bundle, where one was used."""
    consent: Mapping[str, Any] | None = None
    """Basis and hash of the record; see `Consent.as_public`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The task's options, as JSON values."""
    prompt: str | None = None
    seed: int = 0
    strength: float = 1.0
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """Known at the end: frames, width, height, seconds, what was conceded on the way."""

    def finished(self, **result: Any) -> Facts:
        """The same facts with what is known once the last frame is done."""
        return replace(self, result={**self.result, **result})

    def identity(self, signer: str) -> int | None:
        """48 bits that stand for this render; None where the source has no hash to tell it from another.

        The same call on the same machine gives the same bits, so that its frames are the same; another signer's differ.

        Args:
            signer: fingerprint of the signing certificate.
        """
        if not self.sources or any(source.sha256 is None for source in self.sources):
            return None
        told = asdict(replace(self, result={}, versions={}))
        for one in (*told["sources"], *told["references"]):
            one.pop("path")
        text = json.dumps([signer, told], sort_keys=True, default=str)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")

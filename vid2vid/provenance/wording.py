"""What a verification means, in words for people who know neither C2PA nor watermarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vid2vid.provenance.reading import ManifestReading
    from vid2vid.provenance.verification import WatermarkReading


def about_manifest(manifest: ManifestReading) -> str:
    """What the state of a manifest means."""
    where = "beside the file" if manifest.place == "sidecar" else "in the file"
    if manifest.state == "absent":
        return (
            "There is no manifest. Re-encoding a file loses it, most platforms drop it, and anybody can cut it off: "
            "its absence proves nothing."
        )
    if manifest.state == "unreadable":
        return f"There is a manifest {where}, too damaged to read. It says nothing any more."
    if manifest.state == "tampered":
        return (
            f"The manifest {where} does not hold: the file, or the manifest, was changed after signing "
            f"({', '.join(manifest.failures)}). What it tells is shown as it stands and may be false."
        )
    if manifest.state == "expired":
        return (
            f"The manifest {where} fits the file, but the certificate of its signer '{manifest.signer}' has run out, "
            "so that it cannot be told whether it was signed in time."
        )
    unchanged = f"The manifest {where} is valid: nothing was changed since {_writer(manifest)} signed it."
    if manifest.trusted:
        return f"{unchanged} This machine knows the signer '{manifest.signer}'."
    return (
        f"{unchanged} This machine does not know the signer '{manifest.signer}'. Anybody can make a key of any name, "
        "so this shows that the file is unchanged, not who made it."
    )


def about_watermark(mark: WatermarkReading, manifest: ManifestReading) -> str:
    """What the state of a watermark means."""
    if mark.state == "absent":
        return _absent(mark, manifest)
    if mark.state == "not looked for":
        return ""
    whose = "of the private key on this machine" if mark.private else "of vid2vid"
    found = f"The frames carry a watermark {whose} (score {mark.score:.1f}, needed {mark.threshold:.1f})"
    if mark.state == "unreadable":
        return f"{found}, too weak to read which render it names. The file is a copy of something made by vid2vid."
    if mark.state == "agrees":
        return f"{found}, and it names {'this' if mark.payload == manifest.payload else 'an earlier'} render."
    if mark.state == "unknown":
        return (
            f"{found}. It names render {mark.payload}, which is not in this machine's list: it was made elsewhere. A "
            "watermark can be copied onto other pictures, so it is a strong hint and no proof."
        )
    if mark.state == "known":
        return f"{found}. It names {_known(mark)}, which the pictures look like{_likeness(mark)}."
    if mark.manifest is None:
        return (
            f"Contradiction: the watermark names render {mark.payload}, the manifest render {manifest.payload}. One of "
            "the two was put onto pictures that it does not belong to."
        )
    return (
        f"Contradiction: the watermark names {_known(mark)}, but the pictures look different{_likeness(mark)}. It was "
        "copied onto them, or they were changed beyond recognition."
    )


def about_consent(consent: Mapping[str, Any] | None, known: bool) -> str:
    """What is told of consent; nothing where the render itself is not known."""
    if consent is None:
        return "Nothing is said of consent: the task asks for none." if known else ""
    record = consent.get("record_sha256")
    basis = f"The people shown are so on the basis '{consent.get('basis')}', as whoever rendered it declared"
    if record is None:
        return f"{basis}, without a record."
    return f"{basis}; the record has the hash {str(record)[:16]}… and stays with them."


def _absent(mark: WatermarkReading, manifest: ManifestReading) -> str:
    looked = f"No watermark was found in {mark.frames} frames (score {mark.score:.1f}, needed {mark.threshold:.1f})."
    if manifest.state == "valid" and manifest.payload is not None:
        return f"{looked} The manifest names one; in dark, flat or very small pictures too little of it remains."
    return (
        f"{looked} Files that vid2vid did not make have none. It is also lost in small or strongly compressed copies, "
        "in narrow crops and when a picture is filmed from a screen or redrawn, and a mark of a private key shows only "
        "to whoever has that key: its absence proves nothing."
    )


def _writer(manifest: ManifestReading) -> str:
    writer = manifest.generator or "an unnamed program"
    return f"{writer} ({manifest.made})" if manifest.made else writer


def _known(mark: WatermarkReading) -> str:
    """A render from this machine's list."""
    known = mark.manifest
    if known is None:
        return f"render {mark.payload}"
    return f"the render of '{known.title}' by {known.render.get('task', 'an unknown task')}, {known.made or 'undated'}"


def _likeness(mark: WatermarkReading) -> str:
    return "" if mark.likeness is None else f" (likeness {mark.likeness:.2f})"

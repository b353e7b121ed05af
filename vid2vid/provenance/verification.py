"""Says what a file tells of its origin, by its manifest and by its watermark, and what each absence means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from vid2vid.errors import InputError
from vid2vid.io.containers import check_file
from vid2vid.io.spread import spread_frames
from vid2vid.provenance import index
from vid2vid.provenance.fingerprint import PLACES, FingerprintTaker, read_fingerprint
from vid2vid.provenance.keys import watermark_key
from vid2vid.provenance.manifest import payload_text
from vid2vid.provenance.reading import ManifestReading, read_manifest, read_store
from vid2vid.provenance.wording import about_consent, about_manifest, about_watermark

if TYPE_CHECKING:
    from vid2vid.provenance.fingerprint import Fingerprint
    from vid2vid.provenance.watermark import MarkReading

WatermarkState = Literal["agrees", "known", "unknown", "unreadable", "contradicts", "absent", "not looked for"]
_RUN: Final = 8
_CROPPED: Final = 0.06
"""How far the mark's scale may be off before the copy counts as cropped or padded."""
_ALIKE: Final = 0.7
"""Likeness from which a copy that is not cropped shows what was signed. Measured on 11 clips: re-encoded, blurred and
graded copies 0.99 and more, other clips at most 0.6."""
_ALIKE_CROPPED: Final = 0.3
"""The same for cropped copies: down to 0.37 with a quarter cut off two sides, where other clips may reach 0.6, so that
only a clear difference counts."""


@dataclass(frozen=True, slots=True)
class WatermarkReading:
    """What the frames carry."""

    state: WatermarkState
    """`agrees`: it names the manifest's render, or one that went into it. `known`: there is no manifest, and the render
    is in this machine's list. `unknown`: it is not. `unreadable`: there is a mark, too weak to tell whose.
    `contradicts`: it names another render than the manifest, or one that looks different. `absent`: none was found.
    `not looked for`: the pictures cannot be decoded."""
    payload: str | None = None
    """Number of the render, as twelve hexadecimal digits."""
    score: float = 0.0
    """Best fit found."""
    threshold: float = 0.0
    """Fit that an unmarked clip exceeds once in a million."""
    frames: int = 0
    """Frames looked at."""
    private: bool = False
    """Whether it is a mark of the private key on this machine."""
    likeness: float | None = None
    """How far the picture looks like that of the render named, 1 for the same; None where that is not known."""
    manifest: ManifestReading | None = None
    """Of the render named, from this machine's list of renders."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a file tells of its origin."""

    marked: bool
    """Whether it says that it was made by vid2vid: by a valid manifest, or by a watermark."""
    manifest: ManifestReading
    """The content credentials in the file or beside it."""
    watermark: WatermarkReading
    """The mark in the frames."""
    trusted: bool
    """Whether the manifest is valid and its signer known to this machine."""
    consent: Mapping[str, Any] | None
    """Basis, and hash of the record, on which people are shown; None where nothing is told."""
    reasons: tuple[str, ...]
    """What was found and what it means, one sentence or two each."""

    @property
    def render(self) -> Mapping[str, Any]:
        """What was done, by which task: from the manifest, else from the render that the watermark names."""
        return _render_of(self.manifest, self.watermark)

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against what the file says: no tampering, no contradiction."""
        return self.manifest.state not in ("tampered", "unreadable") and self.watermark.state != "contradicts"


def verify_file(path: str | Path, *, thorough: bool = True) -> Verification:
    """Reads manifest and watermark of a file.

    Args:
        path: a video or image file.
        thorough: whether to look for turned and stretched marks where none is found, which takes some seconds.

    Raises:
        InputError: the file is not there, or is no video or image and carries no manifest.
    """
    file = check_file(path)
    manifest = read_manifest(file)
    try:
        mark, looks = _look(file, thorough)
    except InputError as error:
        if manifest.state == "absent":
            raise
        watermark = WatermarkReading("not looked for")
        return _conclude(manifest, watermark, (f"The pictures cannot be decoded: {error}",))
    watermark = _compare(mark, looks, manifest)
    return _conclude(manifest, watermark, ())


def _look(file: Path, thorough: bool) -> tuple[MarkReading, Fingerprint]:
    from vid2vid.provenance.watermark import PUBLIC_KEY, find_mark

    private = watermark_key()
    keys = (PUBLIC_KEY,) if private is None else (PUBLIC_KEY, private)
    duration_s, frames = spread_frames(file, PLACES, _RUN)
    taker = FingerprintTaker(duration_s)
    return find_mark(taker.watch(frames), keys=keys, thorough=thorough), taker.result()


def _compare(mark: MarkReading, looks: Fingerprint, manifest: ManifestReading) -> WatermarkReading:
    """Holds the mark against the manifest, or against the list of renders where there is none."""
    private = mark.key is not None and mark.key == watermark_key()
    measured = (round(mark.score, 2), round(mark.threshold, 2), mark.frames, private)
    if not mark.detected:
        return WatermarkReading("absent", None, *measured)
    if mark.payload is None:
        return WatermarkReading("unreadable", None, *measured)
    payload = payload_text(mark.payload)
    if manifest.state in ("valid", "expired"):
        named = (manifest.payload, *manifest.earlier)
        state: WatermarkState = "agrees" if payload in named else "contradicts" if manifest.payload else "unknown"
        if state != "unknown":
            return WatermarkReading(state, payload, *measured)
    known, likeness = _resolve(payload, looks, flipped=mark.flipped)
    if known is None:
        return WatermarkReading("unknown", payload, *measured)
    cropped = abs(mark.scale - 1) > _CROPPED
    alike = likeness is None or likeness >= (_ALIKE_CROPPED if cropped else _ALIKE)
    return WatermarkReading("known" if alike else "contradicts", payload, *measured, likeness, known)


def _resolve(payload: str, looks: Fingerprint, *, flipped: bool) -> tuple[ManifestReading | None, float | None]:
    """The render of a payload, and how much the file looks like it; of several, the likest."""
    best: tuple[ManifestReading | None, float | None] = (None, None)
    for entry in index.entries(payload):
        found = read_store(index.store_path(entry))
        if found.state not in ("valid", "expired") or found.payload != payload:
            continue
        result = found.render.get("result")
        kept = read_fingerprint(result.get("fingerprint")) if isinstance(result, Mapping) else None
        likeness = None if kept is None else kept.likeness(looks, flipped=flipped)
        if best[0] is None or (likeness or 0.0) >= (best[1] or 0.0):
            best = (found, None if likeness is None else round(likeness, 3))
    return best


def _conclude(manifest: ManifestReading, watermark: WatermarkReading, more: tuple[str, ...]) -> Verification:
    render = _render_of(manifest, watermark)
    consent = render.get("consent")
    consent = consent if isinstance(consent, Mapping) else None
    by_vid2vid = manifest.state in ("valid", "expired") and manifest.payload is not None
    detected = watermark.state not in ("absent", "not looked for")
    told = (about_manifest(manifest), about_watermark(watermark, manifest), about_consent(consent, bool(render)))
    return Verification(
        marked=by_vid2vid or detected,
        manifest=manifest,
        watermark=watermark,
        trusted=manifest.state == "valid" and manifest.trusted,
        consent=consent,
        reasons=(*(one for one in told if one), *more),
    )


def _render_of(manifest: ManifestReading, watermark: WatermarkReading) -> Mapping[str, Any]:
    if manifest.render:
        return manifest.render
    return watermark.manifest.render if watermark.manifest and watermark.state == "known" else {}

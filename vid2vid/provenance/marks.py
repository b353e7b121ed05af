"""What a render does to be known again: every frame is marked, and the finished file is signed, last of all.

`prepare_marks` is called before a model loads, so that a missing key or a failing signer costs no work; `Marks.mark`
sees every frame on its way to the encoder; `Marks.seal` signs the complete file before it gets its name.
"""

from __future__ import annotations

import io
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.errors import InputError, MarkingError
from vid2vid.folders import write_durably
from vid2vid.hashing import file_hash
from vid2vid.io.output import MAX_NAME_BYTES, writing
from vid2vid.io.spread import spread_frames
from vid2vid.provenance import index
from vid2vid.provenance.fingerprint import PLACES, FingerprintTaker
from vid2vid.provenance.keys import load_identity, watermark_key
from vid2vid.provenance.manifest import FORMATS, SIDECARS, payload_text, sidecar_of, sign, try_out

if TYPE_CHECKING:
    from vid2vid.provenance.facts import Facts
    from vid2vid.provenance.keys import Identity
    from vid2vid.types import Picture

_LOG: Final = logging.getLogger(__name__)
_ONE_AT_A_TIME: Final = threading.Lock()
"""The environment is the process's; of two renders that changed it at once, one would leave its folder behind."""


@dataclass(frozen=True, slots=True)
class SealedFacts:
    """A signed file, not yet at its name."""

    sha256: str
    """Hash of the file as it is now, in hexadecimal."""
    payload: str
    """Of the watermark, as twelve hexadecimal digits."""
    signer: str
    """Common name of the signing certificate."""
    self_made: bool
    """Whether vid2vid made that certificate, so that nobody vouches for it."""
    sidecar: tuple[Path, Path] | None
    """For containers that cannot carry a manifest: the file that holds it now, and the name it has to get before the
    video gets its own."""

    def as_json(self) -> Mapping[str, Any]:
        """For the report."""
        return {
            "marked": True,
            "signed": True,
            "watermark": self.payload,
            "signer": self.signer,
            "self_made_key": self.self_made,
            "manifest": self.sidecar[1].name if self.sidecar else "embedded",
        }


def prepare_marks(facts: Facts, target: Path, width: int, height: int, payload: int | None = None) -> Marks:
    """Makes sure that the result can be marked and signed, before any work.

    Args:
        facts: what is known so far.
        target: where the result goes; its suffix decides how the manifest travels.
        width: columns of the frames.
        height: rows of the frames.
        payload: of an interrupted render that goes on; None derives one from the facts, or draws one where the source
            has no hash.

    Raises:
        MarkingError: key, certificate or list of renders cannot be used, or a trial signature fails.
    """
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        raise MarkingError(f"'{target.name}' cannot carry a mark: the suffix is none of {', '.join(FORMATS)}.")
    if suffix in SIDECARS and len(os.fsencode(sidecar_of(target).name)) > MAX_NAME_BYTES:
        raise MarkingError(f"'{target.name}' leaves no room for the name of its manifest. Shorten it by five letters.")
    identity = load_identity()
    index.check_writable()
    if payload is None:
        payload = facts.identity(identity.fingerprint)
    if payload is None:
        payload = secrets.randbits(48)
    try_out(facts, identity, target.name, payload)
    return Marks(identity, target, payload, width, height)


class Marks:
    """Marks the frames of one render and signs its file. Holds no state between frames."""

    def __init__(self, identity: Identity, target: Path, payload: int, width: int, height: int) -> None:
        """Called by `prepare_marks`."""
        from vid2vid.provenance.watermark import PUBLIC_KEY, Marker

        self._identity, self._target = identity, target
        self._marker = Marker(width, height, payload, watermark_key() or PUBLIC_KEY)
        self.payload = payload
        """48 bits that stand for this render; a render that goes on has to be given them again."""

    def mark(self, picture: Picture) -> Picture:
        """Gives the `(H, W, 3)` uint8 picture with the invisible mark in it."""
        return self._marker(picture)

    def seal(self, partial: Path, facts: Facts) -> SealedFacts:
        """Signs the finished file in place, or writes its manifest beside it, and adds it to the list of renders.

        Needs room for two more copies of the file beside it for a while. Memory does not grow with its size, except for
        GIF, of which up to half a gigabyte is held.

        Args:
            partial: the complete file under its temporary name.
            facts: the finished ones.

        Raises:
            MarkingError: it cannot be signed.
            OutputDiskFull, OutputNotWritable: the disk refuses.
        """
        suffix, signed = self._target.suffix.lower(), partial.with_name(f"{partial.name}.signed")
        facts = facts.finished(**_looks(partial))
        with writing(self._target), _whole(signed), _scratch_in(partial.parent):
            with partial.open("rb") as before, _Watched(signed) as after:
                try:
                    store = sign(facts, self._identity, self._target.name, self.payload, before, after, suffix)
                except MarkingError:
                    after.reraise()
                    raise
            sidecar = None
            if suffix in SIDECARS:
                write_durably(signed, store)
                sidecar = (signed, sidecar_of(self._target))
            else:
                signed.replace(partial)
        found = file_hash(partial)
        index.remember(payload_text(self.payload), self._target.name, facts.task, found, store)
        identity = self._identity
        return SealedFacts(found, payload_text(self.payload), identity.name, identity.own, sidecar)


def _looks(partial: Path) -> dict[str, Any]:
    """The fingerprint of a finished file; nothing where its pictures are too small to be read again."""
    try:
        duration_s, frames = spread_frames(partial, PLACES, run=1)
        taker = FingerprintTaker(duration_s)
        deque(taker.watch(frames), maxlen=0)
    except InputError as error:
        _LOG.warning("No fingerprint of the result is kept: %s", error)
        return {}
    return {"fingerprint": taker.result().as_json()}


class _Watched(io.FileIO):
    """A file that remembers why a write failed: the signer only tells that it did."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._failure: OSError | None = None

    def write(self, content: Any) -> int:
        """Writes all of it."""
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self._failure = error
            raise
        return len(content)

    def reraise(self) -> None:
        """Raises what a write failed with, if one did."""
        if self._failure is not None:
            raise self._failure


@contextmanager
def _scratch_in(folder: Path) -> Iterator[None]:
    """Lets the signer keep its copy of the file on the output's disk: the usual place is often memory, or too small."""
    with _ONE_AT_A_TIME:
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Removes a file that was not finished."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise

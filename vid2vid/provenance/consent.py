"""Records of consent: who agreed to be shown, on what basis, for which tasks and until when.

A record is a small JSON file that stays with whoever renders. Manifests and reports carry its basis and its hash; the
subject's name, the purposes and the evidence never leave the record. The program checks what it can: the tasks, the
day, and, where the record lists them, the references. Whether it is true, and whether the purpose is kept to, it
cannot check.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vid2vid.errors import ConsentInvalid, InvalidOption

BASES: Final = ("self", "licensed", "synthetic", "public-domain")
"""On what basis a person may be shown: it is oneself, they agreed, they do not exist, no rights stand against it."""
_FORMAT, _VERSION = "vid2vid-consent", 1
_LARGEST: Final = 1_000_000
_KEYS: Final = frozenset(
    {"format", "version", "id", "subject", "basis", "tasks", "purposes", "expires", "evidence_sha256", "references"}
    | {"made"}
)


@dataclass(frozen=True, slots=True)
class Consent:
    """A basis, and the record that stands behind it where there is one."""

    basis: str
    """One of `BASES`."""
    subject: str | None = None
    """Who is shown. Stays in the record."""
    tasks: tuple[str, ...] = ()
    """Tasks that were agreed to; a record always names at least one."""
    purposes: tuple[str, ...] = ()
    """What the results may be used for, in words. Not checked by the program."""
    expires: datetime.date | None = None
    """The last day, in UTC, on which something may be rendered; None for no end."""
    evidence_sha256: str | None = None
    """Hash of what proves it, such as a signed form that is kept elsewhere."""
    references: tuple[str, ...] = ()
    """Hashes of the pictures, clips or bundles agreed to; empty where any may be used."""
    made: str | None = None
    """When the record was made, ISO 8601 in UTC."""
    id: str | None = None
    """Of the record; None where only a basis was given."""

    @property
    def sha256(self) -> str | None:
        """Hash of the record, in hexadecimal, however its file is laid out; None where only a basis was given."""
        return hashlib.sha256(self._text(indent=None)).hexdigest() if self.id else None

    def check(self, task: str, today: datetime.date | None = None) -> None:
        """Makes sure that the record covers a task today.

        Raises:
            ConsentInvalid: it has expired or names other tasks.
        """
        if self.id is None:
            return
        today = today or datetime.datetime.now(datetime.UTC).date()
        if self.expires is not None and today > self.expires:
            raise ConsentInvalid(
                f"The consent record {self.id} expired on {self.expires}. Ask again, and make a new record with "
                "`vid2vid consent new`."
            )
        if task not in self.tasks:
            raise ConsentInvalid(
                f"The consent record {self.id} covers {', '.join(self.tasks)}, not '{task}'. Ask for it, and make a "
                "record with that in its scope."
            )

    def check_references(self, hashes: Sequence[str]) -> None:
        """Makes sure that what is shown is what was agreed to, where the record says what that is.

        Args:
            hashes: SHA-256 of every reference, or of a bundle's weights where no reference is shown.

        Raises:
            ConsentInvalid: one of them is not in the record.
        """
        foreign = [found for found in hashes if found not in self.references]
        if self.references and (foreign or not hashes):
            shown = f"the reference with hash {foreign[0][:12]}" if foreign else "what is rendered without a reference"
            raise ConsentInvalid(
                f"The consent record {self.id} is for other pictures: {shown} is not among its {len(self.references)}. "
                "Use those agreed to, or make a record that lists this one."
            )

    def as_public(self) -> dict[str, str]:
        """What may be told to anybody who sees the result: the basis, and the record's hash and last day."""
        last_day = None if self.expires is None else str(self.expires)
        told = {"basis": self.basis, "record_sha256": self.sha256, "expires": last_day}
        return {name: value for name, value in told.items() if value is not None}

    def write(self, path: Path) -> None:
        """Writes the record, readable by its owner only, to a file that must not be there yet.

        Raises:
            OSError: it is there, or the system refuses.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self._text(indent=2) + b"\n")

    def _text(self, indent: int | None) -> bytes:
        told = {
            "format": _FORMAT,
            "version": _VERSION,
            "id": self.id,
            "subject": self.subject,
            "basis": self.basis,
            "tasks": self.tasks,
            "purposes": self.purposes,
            "expires": None if self.expires is None else str(self.expires),
            "evidence_sha256": self.evidence_sha256,
            "references": self.references,
            "made": self.made,
        }
        return json.dumps(told, indent=indent, ensure_ascii=False).encode()


def new_consent(
    subject: str,
    basis: str,
    tasks: Sequence[str],
    *,
    purposes: Sequence[str] = (),
    expires: str | datetime.date | None = None,
    evidence_sha256: str | None = None,
    references: Sequence[str] = (),
) -> Consent:
    """Makes a record of today.

    Args:
        subject: who is shown.
        basis: one of `BASES`.
        tasks: names of the tasks agreed to.
        purposes: what for, in words.
        expires: the last day, such as `2027-01-01`.
        evidence_sha256: hash of what proves it.
        references: hashes of the pictures or clips agreed to.

    Raises:
        ConsentInvalid: something is missing or makes no sense.
    """
    return _checked(
        {
            "format": _FORMAT,
            "version": _VERSION,
            "id": secrets.token_hex(8),
            "subject": subject,
            "basis": basis,
            "tasks": list(tasks),
            "purposes": list(purposes),
            "expires": None if expires is None else str(expires),
            "evidence_sha256": evidence_sha256,
            "references": list(references),
            "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
        "The new record",
    )


def read_consent(consent: Any) -> Consent | None:
    """Reads what a call gives as consent.

    Args:
        consent: None, one of `BASES`, the path of a record, the record's content, or a `Consent`.

    Raises:
        InvalidOption: a word that is no basis.
        ConsentInvalid: the record cannot be read, or is none.
    """
    if consent is None or isinstance(consent, Consent):
        return consent
    if isinstance(consent, Mapping):
        return _checked(dict(consent), "The consent record")
    if isinstance(consent, str) and consent in BASES:
        return Consent(consent)
    if not isinstance(consent, (str, os.PathLike)) or (
        isinstance(consent, str) and not consent.endswith(".json") and not _is_file(Path(consent))
    ):
        raise InvalidOption(f"consent={consent!r}: one of {', '.join(BASES)}, or the path of a record, is needed.")
    path = Path(consent)
    if not _is_file(path):
        raise ConsentInvalid(f"The consent record '{path}' cannot be read (no file). `vid2vid consent new` makes one.")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        told = json.loads(content) if len(content) <= _LARGEST else None
    except OSError as error:
        raise ConsentInvalid(
            f"The consent record '{path}' cannot be read ({error.strerror}). `vid2vid consent new` makes one."
        ) from error
    except (ValueError, RecursionError):
        told = None
    return _checked(told, f"The consent record '{path}'")


def _is_file(path: Path) -> bool:
    """Whether this is a regular file: reading a FIFO would wait. False as well for what no file can be called."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _checked(told: Any, name: str) -> Consent:
    """The record, once every field is what it should be."""
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise ConsentInvalid(f"{name} is no such record. `vid2vid consent new` makes one.")
    if told.get("version") != _VERSION:
        raise ConsentInvalid(
            f"{name} has version {told.get('version')!r}; this vid2vid reads {_VERSION}. Update vid2vid, or make a new "
            "record."
        )
    unknown = sorted(set(told) - _KEYS)
    if unknown:
        # A misspelt restriction must not be passed over.
        raise ConsentInvalid(f"{name} has an unknown field '{unknown[0]}'. Known are {', '.join(sorted(_KEYS))}.")
    if told.get("basis") not in BASES:
        raise ConsentInvalid(f"{name} has the basis {told.get('basis')!r}; one of {', '.join(BASES)} is needed.")
    for field in ("id", "subject", "made"):
        if not isinstance(told.get(field), str) or not told[field].strip():
            raise ConsentInvalid(f"{name} lacks '{field}', a text.")
    return Consent(
        basis=told["basis"],
        subject=told["subject"],
        tasks=_texts(told, "tasks", name, needed=True),
        purposes=_texts(told, "purposes", name),
        expires=_day(told.get("expires"), name),
        evidence_sha256=_hash(told.get("evidence_sha256"), name),
        references=tuple(found for one in _texts(told, "references", name) if (found := _hash(one, name))),
        made=told["made"],
        id=told["id"],
    )


def _texts(told: dict[str, Any], field: str, name: str, *, needed: bool = False) -> tuple[str, ...]:
    found = told.get(field) or []
    if not isinstance(found, list) or not all(isinstance(one, str) and one.strip() for one in found):
        raise ConsentInvalid(f"{name} has {field}={found!r}; a list of texts is needed.")
    if needed and not found:
        raise ConsentInvalid(f"{name} names no {field}. List what was agreed to.")
    return tuple(found)


def _day(text: Any, name: str) -> datetime.date | None:
    try:
        return None if text is None else datetime.date.fromisoformat(text)
    except (TypeError, ValueError):
        raise ConsentInvalid(f"{name} has expires={text!r}; a day such as 2027-01-31 is needed.") from None


def _hash(text: Any, name: str) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str) or len(text) != 64 or set(text.lower()) - set("0123456789abcdef"):
        raise ConsentInvalid(f"{name} has the hash {text!r}; 64 hexadecimal digits are needed.")
    return text.lower()

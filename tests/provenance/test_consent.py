"""Records of consent: what they must hold, what they cover, and what of them may be told."""

from __future__ import annotations

import datetime
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vid2vid
from tests.plugins import install
from vid2vid.__main__ import main
from vid2vid.errors import ConsentInvalid, InvalidOption
from vid2vid.hashing import file_hash
from vid2vid.provenance.consent import Consent, new_consent, read_consent
from vid2vid.types import Reference

DAY = datetime.date(2026, 5, 1)
PLUGIN = """
import torch
from vid2vid import Task, Conditions, BackboneConfig

class Portrait(Task):
    name, summary = "portrait", "Shows somebody."
    backbone = BackboneConfig(width=8, blocks=(1, 1), recurrent=False)
    channels = {"source": 3}
    needs = frozenset({"reference", "consent"})
    def setup(self, request, device): return None
    def condition(self, chunk, setup): return Conditions({"source": chunk.frames})

task = Portrait()
"""


def record(**changes: Any) -> dict[str, Any]:
    made = new_consent("Anna Example", "licensed", ["face_swap"], purposes=["a short film"], expires="2026-05-01")
    told: dict[str, Any] = json.loads(made._text(indent=None))
    return {**told, **changes}


def test_a_record_survives_being_written(tmp_path: Path) -> None:
    made = new_consent(
        "Anna Exämple", "licensed", ["face_swap", "actor_swap"], purposes=["film"], expires="2027-01-31",
        evidence_sha256="AB" * 32, references=["cd" * 32],
    )  # fmt: skip
    path = tmp_path / "anna.consent.json"
    made.write(path)
    again = read_consent(path)
    assert again == made == read_consent(str(path))
    assert again.sha256 == made.sha256
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        made.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=7), encoding="utf-8")
    relaid = read_consent(path)
    assert relaid is not None and relaid.sha256 == made.sha256, "its layout is no part of it"


def test_what_is_told_to_everybody_is_not_who_it_is() -> None:
    made = new_consent("Anna Example", "licensed", ["face_swap"], purposes=["secret"], expires="2027-01-31")
    assert made.as_public() == {"basis": "licensed", "record_sha256": made.sha256, "expires": "2027-01-31"}
    assert new_consent("Anna Example", "licensed", ["face_swap"]).sha256 != made.sha256
    assert Consent("self").as_public() == {"basis": "self"}


def test_a_record_covers_its_tasks_until_its_last_day() -> None:
    made = read_consent(record())
    assert made is not None
    made.check("face_swap", DAY)
    with pytest.raises(ConsentInvalid, match="expired on 2026-05-01"):
        made.check("face_swap", DAY + datetime.timedelta(days=1))
    with pytest.raises(ConsentInvalid, match="not 'actor_swap'"):
        made.check("actor_swap", DAY)
    Consent("self").check("anything", DAY)
    endless = read_consent(record(expires=None))
    assert endless is not None
    endless.check("face_swap", datetime.date(2999, 1, 1))


def test_listed_references_are_the_only_ones() -> None:
    made = read_consent(record(references=["ab" * 32, "cd" * 32]))
    assert made is not None
    made.check_references(["cd" * 32])
    for shown in (["ef" * 32], ["ab" * 32, "ef" * 32], []):
        with pytest.raises(ConsentInvalid, match="other pictures"):
            made.check_references(shown)
    free = read_consent(record())
    assert free is not None
    free.check_references(["ef" * 32])


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "no such record"),
        (b"{", "no such record"),
        (b"[" * 100_000, "no such record"),
        (b"null", "no such record"),
        (b"[]", "no such record"),
        (b"\xff\xfe", "no such record"),
        (b'{"format": "other"}', "no such record"),
        (b" " * 1_100_000, "no such record"),
        ({"version": 2}, "Update vid2vid"),
        ({"basis": "sure"}, "licensed"),
        ({"subject": " "}, "subject"),
        ({"subject": None}, "subject"),
        ({"id": 3}, "'id'"),
        ({"tasks": []}, "tasks"),
        ({"tasks": "face_swap"}, "list of texts"),
        ({"tasks": [1]}, "list of texts"),
        ({"expires": "soon"}, "2027-01-31"),
        ({"expires": 20270131}, "2027-01-31"),
        ({"evidence_sha256": "abc"}, "64 hexadecimal"),
        ({"references": ["x" * 64]}, "64 hexadecimal"),
        ({"expirse": "2026-05-01"}, "unknown field 'expirse'"),
    ],
)
def test_what_is_no_record_is_refused(content: Any, part: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(record(**content)).encode())
    with pytest.raises(ConsentInvalid, match=part) as raised:
        read_consent(path)
    assert (raised.value.code, raised.value.exit_code) == ("consent_invalid", 6)


def test_words_and_paths_that_are_not_there() -> None:
    assert read_consent(None) is None
    assert read_consent("self") == Consent("self")
    for nonsense in ("sure", "", 3, b"self"):
        with pytest.raises(InvalidOption, match="public-domain"):
            read_consent(nonsense)
    for missing in ("no.json", Path("no record")):
        with pytest.raises(ConsentInvalid, match="consent new"):
            read_consent(missing)


@pytest.fixture
def portrait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A task that shows somebody."""
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "consenting", {"portrait": "consenting:task"}, module=PLUGIN)
    return "portrait"


def picture(level: int) -> np.ndarray:
    return np.full((48, 48, 3), level, np.uint8)


def test_translate_takes_records_and_reports_their_hash(portrait: str, tmp_path: Path) -> None:
    from vid2vid.references import reference_hash

    agreed = reference_hash(Reference((picture(9),)))
    made = new_consent("Anna", "licensed", [portrait], references=[agreed])
    made.write(tmp_path / "anna.json")
    frames = np.stack([picture(80), picture(90)])
    words: dict[str, Any] = {"reference": picture(9), "progress": False}
    done = vid2vid.translate(frames, portrait, consent=tmp_path / "anna.json", **words)
    assert done.report["provenance"]["consent"] == "licensed"
    assert done.report["provenance"]["consent_record_sha256"] == made.sha256
    assert "Anna" not in json.dumps(done.report, default=str)
    with pytest.raises(ConsentInvalid, match="other pictures"):
        vid2vid.translate(frames, portrait, consent=made, reference=picture(10), progress=False)
    with pytest.raises(ConsentInvalid, match="covers face_swap"):
        vid2vid.translate(frames, portrait, consent=new_consent("Anna", "licensed", ["face_swap"]), **words)
    with pytest.raises(ConsentInvalid, match="expired"):
        late = new_consent("Anna", "licensed", [portrait], expires="2020-01-01")
        vid2vid.translate(frames, portrait, consent=late, **words)
    with pytest.raises(vid2vid.ConsentRequired, match="consent new"):
        vid2vid.translate(frames, portrait, **words)


def test_the_command_writes_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evidence, output = tmp_path / "form.pdf", tmp_path / "anna.consent.json"
    evidence.write_bytes(b"signed")
    words = ["consent", "new", "--subject", "Anna", "--basis", "licensed", "--scope", "face_swap,actor_swap"]
    words += ["--expires", "2099-01-01", "--evidence", str(evidence), "--purpose", "a film", "-o", str(output)]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    made = read_consent(output)
    assert made is not None
    assert told["record_sha256"] == made.sha256
    assert made.tasks == ("face_swap", "actor_swap")
    assert made.evidence_sha256 == hashlib.sha256(b"signed").hexdigest() == file_hash(evidence)
    assert main(words) == 2
    assert "never replaced" in capsys.readouterr().err
    output.unlink()
    assert main(words) == 0
    assert "face_swap, actor_swap of any picture, as none is listed, until 2099-01-01" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "code", "part"),
    [
        ({"--basis": "sure"}, 6, "licensed"),
        ({"--scope": "fase_swap"}, 2, "Did you mean 'face_swap'?"),
        ({"--expires": "soon"}, 6, "2027-01-31"),
        ({"--expires": "2020-01-01"}, 2, "is past"),
        ({"--evidence": "no.pdf"}, 3, "no.pdf"),
        ({"--reference": "no.jpg"}, 3, "no.jpg"),
        ({"-o": "anna.txt"}, 2, ".json"),
        ({"-o": "no/such/folder/anna.json"}, 5, "Check its folder"),
        ({"--subject": " "}, 6, "subject"),
    ],
)
def test_a_wrong_record_is_not_written(
    changes: dict[str, str], code: int, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words = {"--subject": "Anna", "--basis": "self", "--scope": "face_swap", "-o": "anna.json", **changes}
    assert main(["consent", "new", *(word for pair in words.items() for word in pair)]) == code
    assert part in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

"""The signing key: made once and kept private, or the user's own; anything wrong shows before work."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.provenance.certificates import write_pair
from vid2vid.errors import MarkingError
from vid2vid.provenance.keys import load_identity, trusted_roots


def bring(monkeypatch: pytest.MonkeyPatch, chain: Path, key: Path) -> None:
    monkeypatch.setenv("VID2VID_CERTIFICATE", str(chain))
    monkeypatch.setenv("VID2VID_KEY", str(key))


def test_the_key_is_made_once_and_is_its_owners_alone(home: Path) -> None:
    first, second = load_identity(), load_identity()
    assert first.fingerprint == second.fingerprint and first.own
    assert first.algorithm == "ES256"
    assert stat.S_IMODE((home / "signer" / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "signer").stat().st_mode) == 0o700
    assert {path.name for path in home.iterdir()} == {"signer"}, "nothing half-made is left"
    assert "PRIVATE" not in (home / "signer" / "chain.pem").read_text()


def test_processes_that_start_at_once_share_one_key(home: Path) -> None:
    code = "from vid2vid.provenance.keys import load_identity; print(load_identity().fingerprint)"
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(4)]
    told = {process.communicate(timeout=120)[0] for process in running}
    assert len(told) == 1 and len(told.pop().strip()) == 64
    assert {path.name for path in home.iterdir()} == {"signer"}


def test_reading_makes_no_key(home: Path) -> None:
    assert trusted_roots() == ""
    assert not home.exists()


@pytest.mark.robustness(62)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_refused(home: Path, mode: int) -> None:
    load_identity()
    (home / "signer" / "key.pem").chmod(mode)
    with pytest.raises(MarkingError, match="chmod 600"):
        load_identity()


@pytest.mark.robustness(62)
@pytest.mark.parametrize("damage", ["missing key", "missing chain", "cut key", "cut chain", "another key"])
def test_a_damaged_key_is_refused_and_not_replaced(home: Path, tmp_path: Path, damage: str) -> None:
    load_identity()
    what, which = damage.split()
    file = home / "signer" / f"{which}.pem"
    if what == "missing":
        file.unlink()
    elif what == "cut":
        file.write_bytes(file.read_bytes()[:100])
    else:
        file.write_bytes(write_pair(tmp_path)[1].read_bytes())
    before = sorted((home / "signer").iterdir())
    with pytest.raises(MarkingError, match="Move the folder"):
        load_identity()
    assert sorted((home / "signer").iterdir()) == before


@pytest.mark.robustness(62)
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VID2VID_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(MarkingError, match="VID2VID_HOME"):
        load_identity()


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512"), ("Ed25519", "ED25519"), ("RSA", "PS256")],
)
def test_the_users_own_certificate_signs(
    kind: str, algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    bring(monkeypatch, *write_pair(tmp_path, kind)[:2])
    identity = load_identity()
    assert (identity.algorithm, identity.name, identity.own) == (algorithm, "Studio", False)
    assert not home.exists(), "no key is made beside the user's own"


@pytest.mark.robustness(62)
def test_half_a_pair_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, key, _ = write_pair(tmp_path)
    monkeypatch.setenv("VID2VID_CERTIFICATE", str(chain))
    with pytest.raises(MarkingError, match="Set VID2VID_KEY too"):
        load_identity()
    monkeypatch.delenv("VID2VID_CERTIFICATE")
    monkeypatch.setenv("VID2VID_KEY", str(key))
    with pytest.raises(MarkingError, match="Set VID2VID_CERTIFICATE too"):
        load_identity()


@pytest.mark.robustness(62)
@pytest.mark.parametrize(
    ("kind", "days", "part"),
    [
        ("P-256", (-300, -1), "expired on"),
        ("P-256", (5, 300), "clock"),
        ("secp256k1", (-1, 300), "kind"),
    ],
)
def test_an_unusable_certificate_is_refused(
    kind: str, days: tuple[int, int], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(monkeypatch, *write_pair(tmp_path, kind, days=days)[:2])
    with pytest.raises(MarkingError, match=part):
        load_identity()


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, key, _ = write_pair(tmp_path)
    bring(monkeypatch, tmp_path / "no.pem", key)
    with pytest.raises(MarkingError, match=r"no\.pem"):
        load_identity()
    bring(monkeypatch, chain, tmp_path / "no key.pem")
    with pytest.raises(MarkingError, match=r"no key\.pem"):
        load_identity()

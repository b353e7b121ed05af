"""Signed files: every container, read by c2pa's own reader; faults before and while sealing."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest

from tests.provenance.certificates import write_pair
from tests.provenance.renders import FACTS, HEIGHT, WIDTH, decode, encode, render, scene, spoil
from vid2vid.errors import MarkingError, OutputDiskFull
from vid2vid.io import probe
from vid2vid.provenance import Material, prepare_marks
from vid2vid.provenance.facts import Facts

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def read(path: Path, sidecar: Path | None = None) -> dict[str, Any]:
    """What the independent reader says, with nothing of ours but the root to trust."""
    root = path.parent / "home" / "signer" / "chain.pem"
    trust = {"user_anchors": root.read_text()} if root.exists() else {}
    settings = c2pa.Settings.from_dict({"trust": trust, "verify": {"verify_trust": True}})
    with path.open("rb") as file:
        media, store = ("application/c2pa", sidecar.read_bytes()) if sidecar else (None, None)
        with c2pa.Reader(media, file, store, context=c2pa.Context(settings)) as reader:
            told: dict[str, Any] = json.loads(reader.json())
    return told


def active(told: dict[str, Any]) -> dict[str, Any]:
    manifest: dict[str, Any] = told["manifests"][told["active_manifest"]]
    return manifest


def assertion(told: dict[str, Any], label: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one["data"] for one in active(told)["assertions"] if one["label"] == label]
    assert len(found) == 1, label
    return found[0]


@pytest.mark.robustness(62)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".gif", ".png", ".jpg", ".webp", ".mkv", ".webm"])
def test_the_independent_reader_accepts_every_container(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    sealed = render(path)
    sidecar = sealed.sidecar[1] if sealed.sidecar else None
    assert (sidecar is not None) == (suffix in (".mkv", ".webm"))
    told = read(path, sidecar)
    assert told["validation_state"] == "Trusted"
    assert not told.get("validation_status")
    assert active(told)["title"] == path.name
    assert probe(path).width == WIDTH, "it still plays"
    assert {one.name for one in tmp_path.iterdir()} == {"home", path.name, *([sidecar.name] if sidecar else [])}
    if sidecar:
        spoil(path, 2000)
        assert read(path, sidecar)["validation_state"] == "Invalid", "the sidecar binds every byte"


def test_the_manifest_tells_what_was_done(tmp_path: Path) -> None:
    sealed = render(tmp_path / "out.mp4")
    told = read(tmp_path / "out.mp4")
    actions = assertion(told, "c2pa.actions.v2")["actions"]
    assert [one["action"] for one in actions] == [
        "c2pa.opened", "c2pa.edited", "c2pa.placed", "c2pa.watermarked.bound",
    ]  # fmt: skip
    assert actions[1]["digitalSourceType"] == SOURCE_TYPE + "compositeWithTrainedAlgorithmicMedia"
    ingredients = active(told)["ingredients"]
    assert [(one["title"], one["relationship"]) for one in ingredients] == [
        ("film.mp4", "parentOf"), ("anna.jpg", "componentOf"),
    ]  # fmt: skip
    assert ingredients[0]["metadata"]["org.vid2vid.sha256"] == "ab" * 32
    assert assertion(told, "cawg.training-mining")["entries"]["cawg.ai_generative_training"] == {"use": "notAllowed"}
    assert assertion(told, "c2pa.ai-disclosure")["modelIdentifier"] == "general sha256:" + "ef" * 32
    assert assertion(told, "c2pa.soft-binding")["blocks"][0]["value"] == sealed.payload
    own = assertion(told, "org.vid2vid.render")
    assert own["task"] == "face_swap"
    assert own["consent"] == FACTS.consent
    assert own["options"] == {"blend": 0.5}
    assert own["result"]["frames"] == 24


def test_a_result_without_a_source_was_created(tmp_path: Path) -> None:
    facts = dataclasses.replace(FACTS, sources=(), references=(), source_type="trainedAlgorithmicMedia")
    render(tmp_path / "out.png", facts)
    actions = assertion(read(tmp_path / "out.png"), "c2pa.actions.v2")["actions"]
    assert actions[0]["action"] == "c2pa.created"
    assert actions[0]["digitalSourceType"] == SOURCE_TYPE + "trainedAlgorithmicMedia"


def test_folders_do_not_travel(tmp_path: Path) -> None:
    private = tmp_path / "private folder" / "anna.jpg"
    facts = dataclasses.replace(FACTS, options={"events": private}, references=(Material("anna.jpg", None, private),))
    render(tmp_path / "out.mp4", facts)
    assert b"private folder" not in (tmp_path / "out.mp4").read_bytes()
    assert assertion(read(tmp_path / "out.mp4"), "org.vid2vid.render")["options"] == {"events": "anna.jpg"}


@pytest.mark.parametrize("spoilt", [False, True])
def test_credentials_of_the_source_are_taken_along(tmp_path: Path, spoilt: bool) -> None:
    first = tmp_path / "first.mp4"
    render(first)
    if spoilt:
        spoil(first, -3000)
    facts = dataclasses.replace(FACTS, sources=(Material("first.mp4", "aa" * 32, first),))
    render(tmp_path / "second.mp4", facts, seed=2)
    told = read(tmp_path / "second.mp4")
    assert told["validation_state"] == "Trusted", "what was wrong with the source is told, and is not this file's fault"
    assert len(told["manifests"]) == 2
    source = next(one for one in active(told)["ingredients"] if one["relationship"] == "parentOf")
    assert source["title"] == "first.mp4"
    assert source["active_manifest"] in told["manifests"]
    failures = {one["code"] for one in source["validation_results"]["activeManifest"]["failure"]}
    assert ("assertion.bmffHash.mismatch" in failures) == spoilt


def test_a_source_of_damaged_credentials_is_named_all_the_same(tmp_path: Path) -> None:
    first = tmp_path / "first.mp4"
    render(first)
    spoil(first, first.read_bytes().find(b"jumb"))
    facts = dataclasses.replace(FACTS, sources=(Material("first.mp4", "aa" * 32, first),))
    render(tmp_path / "second.mp4", facts, seed=2)
    told = read(tmp_path / "second.mp4")
    assert told["validation_state"] == "Trusted"
    assert active(told)["ingredients"][0]["title"] == "first.mp4"
    assert len(told["manifests"]) == 1


@pytest.mark.robustness(62)
@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"VID2VID_CERTIFICATE": "no.pem", "VID2VID_KEY": "no.pem"}, "cannot be read"),
        ({"VID2VID_HOME": "/proc/no/such/place"}, "VID2VID_HOME"),
    ],
)
def test_a_missing_key_shows_before_any_work(
    variables: dict[str, str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MarkingError, match=part) as raised:
        prepare_marks(FACTS, tmp_path / "out.mp4", WIDTH, HEIGHT)
    assert raised.value.exit_code == 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.robustness(62)
def test_a_certificate_unfit_for_signing_shows_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, key, _ = write_pair(tmp_path, usage=False)
    monkeypatch.setenv("VID2VID_CERTIFICATE", str(chain))
    monkeypatch.setenv("VID2VID_KEY", str(key))
    with pytest.raises(MarkingError, match=r"'out\.mp4' cannot be signed as 'Studio'"):
        prepare_marks(FACTS, tmp_path / "out.mp4", WIDTH, HEIGHT)


@pytest.mark.robustness(62)
def test_a_list_of_renders_that_cannot_be_written_shows_before_any_work(tmp_path: Path, home: Path) -> None:
    (home / "renders.jsonl").mkdir(parents=True)
    with pytest.raises(MarkingError, match="list of renders"):
        prepare_marks(FACTS, tmp_path / "out.mp4", WIDTH, HEIGHT)


@pytest.mark.parametrize("kind", ["P-384", "Ed25519", "RSA"])
def test_the_users_own_certificate_is_in_the_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, key, root = write_pair(tmp_path, kind)
    monkeypatch.setenv("VID2VID_CERTIFICATE", str(chain))
    monkeypatch.setenv("VID2VID_KEY", str(key))
    sealed = render(tmp_path / "out.png")
    assert (sealed.signer, sealed.self_made) == ("Studio", False)
    told = read(tmp_path / "out.png")
    assert told["validation_state"] == "Valid"
    assert active(told)["signature_info"]["common_name"] == "Studio"
    settings = c2pa.Settings.from_dict({"trust": {"user_anchors": root.read_text()}})
    with (tmp_path / "out.png").open("rb") as file, c2pa.Reader(None, file, context=c2pa.Context(settings)) as reader:
        assert reader.get_validation_state() == "Trusted"


def test_the_same_call_marks_alike_and_another_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def payload(facts: Facts) -> int:
        return prepare_marks(facts, tmp_path / "out.mp4", WIDTH, HEIGHT).payload

    first = payload(FACTS)
    assert payload(FACTS) == payload(FACTS.finished(frames=3)) == first
    assert payload(dataclasses.replace(FACTS, seed=8)) != first
    assert payload(dataclasses.replace(FACTS, sources=(Material("film.mp4", "ba" * 32),))) != first
    unknown = dataclasses.replace(FACTS, sources=(Material("frames in memory", None),))
    assert payload(unknown) != payload(unknown), "two clips that cannot be told apart get numbers of their own"
    monkeypatch.setenv("VID2VID_HOME", str(tmp_path / "another home"))
    assert payload(FACTS) != first


def test_a_render_that_goes_on_marks_as_before(tmp_path: Path) -> None:
    marks = prepare_marks(FACTS, tmp_path / "out.mp4", WIDTH, HEIGHT, 123)
    again = prepare_marks(FACTS, tmp_path / "out.mp4", WIDTH, HEIGHT, 123)
    picture = scene(1, 1)[0]
    kept = picture.copy()
    assert marks.payload == again.payload == 123
    assert np.array_equal(marks.mark(picture), again.mark(picture))
    assert np.array_equal(picture, kept)
    assert 35 < 10 * np.log10(255**2 / np.mean((marks.mark(picture).astype(float) - picture) ** 2)) < 50


def test_pictures_of_any_size_are_marked_and_signed(tmp_path: Path) -> None:
    for width, height in ((1, 1), (7, 3), (64, 64)):
        marks = prepare_marks(FACTS, tmp_path / "out.png", width, height)
        picture = np.full((height, width, 3), 128, np.uint8)
        partial = tmp_path / "partial"
        partial.write_bytes(_png(marks.mark(picture)))
        marks.seal(partial, FACTS)
        partial.replace(tmp_path / "out.png")
        assert read(tmp_path / "out.png")["validation_state"] == "Trusted"


def _png(picture: Any) -> bytes:
    import cv2

    encoded: bytes = cv2.imencode(".png", picture)[1].tobytes()
    return encoded


def test_a_full_disk_while_sealing_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = prepare_marks(FACTS, tmp_path / "out.mp4", WIDTH, HEIGHT)
    partial = encode(tmp_path / "partial.mp4", [marks.mark(one) for one in scene(1)])
    before = partial.read_bytes()

    def full(file: io.FileIO, content: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vid2vid.provenance.marks._Watched.write", _noting(full))
    with pytest.raises(OutputDiskFull, match=r"out\.mp4"):
        marks.seal(partial, FACTS)
    assert partial.read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {"home", "partial.mp4"}


def _noting(fault: Any) -> Any:
    def write(file: Any, content: Any) -> int:
        try:
            number: int = fault(file, content)
        except OSError as error:
            file._failure = error
            raise
        return number

    return write


def test_a_limit_on_file_sizes_is_told_as_such(tmp_path: Path) -> None:
    """The real fault: the system refuses to let the signed copy grow."""
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from tests.provenance.renders import *\nfrom vid2vid.errors import OutputDiskFull\n"
        "folder = Path(sys.argv[1])\nmarks = prepare_marks(FACTS, folder / 'out.mp4', WIDTH, HEIGHT)\n"
        "partial = encode(folder / 'partial.mp4', [marks.mark(one) for one in scene(1)])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (partial.stat().st_size - 999, resource.RLIM_INFINITY))\n"
        "try:\n    marks.seal(partial, FACTS)\nexcept OutputDiskFull:\n    print('told')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "told", done.stderr
    assert not list(tmp_path.glob("*.signed"))


def test_sealing_a_long_film_takes_no_more_memory(tmp_path: Path) -> None:
    code = (
        "import resource, struct, sys\nfrom pathlib import Path\nfrom tests.provenance.renders import *\n"
        "folder = Path(sys.argv[1])\nmarks = prepare_marks(FACTS, folder / 'out.mp4', WIDTH, HEIGHT)\n"
        "partial = encode(folder / 'partial.mp4', [marks.mark(one) for one in scene(1)])\n"
        "marks.seal(partial, FACTS)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "partial = encode(folder / 'partial.mp4', scene(1))\n"
        "content = partial.read_bytes()\nat = content.index(b'mdat') - 4\n"
        "with partial.open('r+b') as file:\n"
        "    file.seek(at)\n    file.write(struct.pack('>I', len(content) - at + 120_000_000))\n"
        "    file.truncate(len(content) + 120_000_000)\n"
        "marks.seal(partial, FACTS)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40, "megabytes"


def test_a_file_that_cannot_be_hashed_in_pieces_is_signed_all_the_same(tmp_path: Path) -> None:
    marks = prepare_marks(FACTS, tmp_path / "out.mp4", WIDTH, HEIGHT)
    partial = encode(tmp_path / "partial.mp4", scene(1))
    with partial.open("ab") as file:
        file.write((9_000_008).to_bytes(4, "big") + b"mdat" + bytes(9_000_000))
    marks.seal(partial, FACTS)
    partial.replace(tmp_path / "out.mp4")
    found = read(tmp_path / "out.mp4")
    assert found["validation_state"] == "Trusted", found.get("validation_status")


def test_marked_frames_are_what_was_encoded(tmp_path: Path) -> None:
    marks = prepare_marks(FACTS, tmp_path / "out.mkv", WIDTH, HEIGHT)
    pictures = [marks.mark(one) for one in scene(1, 3)]
    partial = encode(tmp_path / "partial.mkv", pictures, codec="ffv1")
    before = decode(partial)
    sealed = marks.seal(partial, FACTS)
    assert sealed.sidecar is not None
    assert all(np.array_equal(one, other) for one, other in zip(before, decode(partial), strict=True))

"""`verify()`: what files, copies, fakes and damaged files are said to be."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vid2vid
from tests.provenance.certificates import write_pair
from tests.provenance.renders import FACTS, HEIGHT, WIDTH, decode, encode, render, scene, spoil
from vid2vid.__main__ import main
from vid2vid.errors import InputError, InputNotFound
from vid2vid.provenance import Material, Verification, index, prepare_marks, reading
from vid2vid.provenance.fingerprint import read_fingerprint
from vid2vid.provenance.watermark import Marker


def verify(path: Path) -> Verification:
    return vid2vid.verify(path, thorough=False)


def copy_of(path: Path, target: Path, scale: float = 1.0, crop: float = 0.0, **how: object) -> Path:
    """Another encoding of a clip, smaller or cropped."""
    pictures = []
    for picture in decode(path):
        height, width = picture.shape[:2]
        down, right = int(height * crop / 2), int(width * crop / 2)
        cut = np.ascontiguousarray(picture[down : height - down, right : width - right])
        pictures.append(cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return encode(target, pictures, **how)


@pytest.mark.robustness(62)
@pytest.mark.parametrize("name", ["out.mp4", "out.webm", "out.png"])
def test_a_fresh_file_is_valid_known_and_marked(name: str, tmp_path: Path) -> None:
    sealed = render(tmp_path / name)
    found = verify(tmp_path / name)
    assert (found.marked, found.trusted, found.sound) == (True, True, True)
    assert (found.manifest.state, found.watermark.state) == ("valid", "agrees")
    assert found.manifest.place == ("sidecar" if name == "out.webm" else "embedded")
    assert found.watermark.payload == found.manifest.payload == sealed.payload
    assert found.consent == FACTS.consent
    assert found.render["task"] == "face_swap"
    assert found.manifest.generator == "vid2vid 9.8.7"
    assert [one.title for one in found.manifest.ingredients] == ["film.mp4", "anna.jpg"]
    assert "nothing was changed" in found.reasons[0]


@pytest.mark.parametrize("fault", ["none", "film", "manifest", "other"])
def test_a_sidecar_says_the_same_without_the_film_in_memory(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """c2pa would hold half a gigabyte of the film; it is asked only where the hash of the whole does not fit."""
    path = tmp_path / "out.webm"
    render(path)
    if fault == "film":
        spoil(path, 3000)
    if fault == "manifest":
        spoil(tmp_path / "out.webm.c2pa", 3000)
    if fault == "other":
        render(path, seed=2)
        render(tmp_path / "second.webm", seed=3)
        shutil.copy(tmp_path / "second.webm.c2pa", tmp_path / "out.webm.c2pa")
    here = reading.read_manifest(path)
    monkeypatch.setattr(reading, "_whole_file_hash", lambda store: None)
    assert here == reading.read_manifest(path)
    assert here.state == ("valid" if fault == "none" else "tampered")


def test_the_film_beside_a_sidecar_is_not_given_to_c2pa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render(tmp_path / "out.webm")
    given: list[Any] = []
    own = reading._read

    def watched(file: Any, *words: Any, **more: Any) -> Any:
        given.append(file)
        return own(file, *words, **more)

    monkeypatch.setattr(reading, "_read", watched)
    assert reading.read_manifest(tmp_path / "out.webm").state == "valid"
    assert isinstance(given[-1], io.BytesIO)


def test_a_file_from_elsewhere_has_nothing(square_clip: Path) -> None:
    began = time.monotonic()
    found = vid2vid.verify(square_clip)
    assert time.monotonic() - began < 60
    assert (found.marked, found.trusted, found.sound, found.consent) == (False, False, True, None)
    assert (found.manifest.state, found.watermark.state) == ("absent", "absent")
    assert all("proves nothing" in reason for reason in found.reasons[:2])


@pytest.mark.parametrize(
    ("name", "scale", "crop", "how"),
    [
        ("copy.mkv", 1.0, 0.0, {"quality": 28}),
        ("copy.webm", 1.25, 0.0, {}),
        ("copy.mp4", 1.0, 0.1, {"codec": "libx265"}),
    ],
)
def test_a_copy_is_known_by_its_watermark(
    name: str, scale: float, crop: float, how: dict[str, object], tmp_path: Path
) -> None:
    render(tmp_path / "out.mp4")
    found = verify(copy_of(tmp_path / "out.mp4", tmp_path / name, scale, crop, **how))
    assert (found.manifest.state, found.watermark.state) == ("absent", "known")
    assert (found.marked, found.trusted) == (True, False)
    assert found.render["task"] == "face_swap"
    assert found.consent == FACTS.consent
    assert found.watermark.likeness is not None and found.watermark.likeness > 0.7
    assert "'out.mp4' by face_swap" in found.reasons[1]


def test_a_copy_of_something_made_elsewhere_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render(tmp_path / "out.mp4")
    copy = copy_of(tmp_path / "out.mp4", tmp_path / "copy.mp4")
    monkeypatch.setenv("VID2VID_HOME", str(tmp_path / "another home"))
    found = verify(copy)
    assert (found.watermark.state, found.marked, found.render) == ("unknown", True, {})
    assert "made elsewhere" in found.reasons[1]
    original = verify(tmp_path / "out.mp4")
    assert (original.manifest.state, original.trusted) == ("valid", False)
    assert "does not know the signer" in original.reasons[0]
    assert original.watermark.state == "agrees"


def test_signers_named_as_trusted_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, key, root = write_pair(tmp_path)
    with monkeypatch.context() as studio:
        studio.setenv("VID2VID_CERTIFICATE", str(chain))
        studio.setenv("VID2VID_KEY", str(key))
        render(tmp_path / "out.png")
        assert verify(tmp_path / "out.png").trusted, "its own signer"
    assert not verify(tmp_path / "out.png").trusted
    monkeypatch.setenv("VID2VID_TRUST", str(root))
    assert verify(tmp_path / "out.png").trusted
    monkeypatch.setenv("VID2VID_TRUST", str(tmp_path / "no.pem"))
    assert not verify(tmp_path / "out.png").trusted


@pytest.mark.parametrize(("name", "at"), [("out.mp4", -3000), ("out.webm", 3000), ("out.png", -200)])
def test_a_changed_file_is_told(name: str, at: int, tmp_path: Path) -> None:
    render(tmp_path / name)
    spoil(tmp_path / name, at)
    found = verify(tmp_path / name)
    assert (found.manifest.state, found.trusted, found.sound) == ("tampered", False, False)
    assert "does not hold" in found.reasons[0]


def test_a_changed_manifest_is_told(tmp_path: Path) -> None:
    render(tmp_path / "out.mp4")
    content = (tmp_path / "out.mp4").read_bytes()
    (tmp_path / "out.mp4").write_bytes(content.replace(b"licensed", b"publicly"))
    found = verify(tmp_path / "out.mp4")
    assert (found.manifest.state, found.trusted, found.sound) == ("tampered", False, False)


def test_a_manifest_beyond_reading_is_told(tmp_path: Path) -> None:
    render(tmp_path / "out.webm")
    (tmp_path / "out.webm.c2pa").write_bytes(b"junk" * 100)
    found = verify(tmp_path / "out.webm")
    assert (found.manifest.state, found.sound, found.watermark.state) == ("unreadable", False, "known")
    (tmp_path / "out.webm.c2pa").unlink()
    assert verify(tmp_path / "out.webm").manifest.state == "absent"


def test_a_certificate_that_ran_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What c2pa's reader says of a file whose certificate expired since, without waiting for it."""
    render(tmp_path / "out.png")
    told = reading.c2pa.Reader.json

    def later(reader: Any) -> str:
        return json.dumps({**json.loads(told(reader)), "validation_status": [{"code": "signingCredential.expired"}]})

    monkeypatch.setattr(reading.c2pa.Reader, "json", later)
    found = verify(tmp_path / "out.png")
    assert (found.manifest.state, found.trusted, found.sound) == ("expired", False, True)
    assert "has run out" in found.reasons[0]


def test_a_watermark_of_another_render_contradicts_the_manifest(tmp_path: Path) -> None:
    render(tmp_path / "first.mp4", payload=111)
    foreign = Marker(WIDTH, HEIGHT, 222)
    pictures = [foreign(picture) for picture in scene(1)]
    marks = prepare_marks(FACTS, tmp_path / "fake.mp4", WIDTH, HEIGHT, 333)
    partial = encode(tmp_path / "partial.mp4", pictures)
    marks.seal(partial, FACTS)
    partial.replace(tmp_path / "fake.mp4")
    found = verify(tmp_path / "fake.mp4")
    assert (found.manifest.state, found.watermark.state, found.sound) == ("valid", "contradicts", False)
    assert found.reasons[1].startswith("Contradiction")


@pytest.mark.robustness(62)
def test_a_mark_copied_onto_another_clip_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    render(tmp_path / "out.mp4", payload=111)
    copied = Marker(WIDTH, HEIGHT, 111)
    fake = encode(tmp_path / "fake.mp4", [copied(picture) for picture in scene(2)])
    found = verify(fake)
    assert (found.manifest.state, found.watermark.state, found.sound) == ("absent", "contradicts", False)
    assert found.watermark.likeness is not None and found.watermark.likeness < 0.6
    assert "look different" in found.reasons[1]
    assert found.render == {}, "what is known of the other render is not said of this file"
    assert main(["verify", str(fake), "--quick"]) == 3
    assert "doubtful: what it says contradicts itself" in capsys.readouterr().out


def test_a_render_of_a_render_agrees_with_both(tmp_path: Path) -> None:
    render(tmp_path / "first.mp4", payload=111)
    facts = dataclasses.replace(FACTS, sources=(Material("first.mp4", None, tmp_path / "first.mp4"),))
    marks = prepare_marks(facts, tmp_path / "second.mp4", WIDTH, HEIGHT, 222)
    shutil.copy(tmp_path / "first.mp4", tmp_path / "partial.mp4")  # a task that changes nothing, whose mark is lost
    marks.seal(tmp_path / "partial.mp4", facts)
    (tmp_path / "partial.mp4").replace(tmp_path / "second.mp4")
    found = verify(tmp_path / "second.mp4")
    assert found.manifest.earlier == ("00000000006f",)
    assert (found.watermark.state, found.sound) == ("agrees", True)
    assert "an earlier render" in found.reasons[1]


def test_a_private_watermark_shows_to_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VID2VID_WATERMARK_KEY", "correct horse")
    render(tmp_path / "out.mp4")
    copy = copy_of(tmp_path / "out.mp4", tmp_path / "copy.mp4")
    found = verify(copy)
    assert (found.watermark.state, found.watermark.private) == ("known", True)
    monkeypatch.setenv("VID2VID_WATERMARK_KEY", "another")
    assert verify(copy).watermark.state == "absent"
    monkeypatch.delenv("VID2VID_WATERMARK_KEY")
    assert verify(copy).watermark.state == "absent"


def test_files_that_are_no_video_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        verify(tmp_path / "no.mp4")
    (tmp_path / "text.mp4").write_text("hello " * 100)
    with pytest.raises(InputError):
        verify(tmp_path / "text.mp4")


def test_a_file_cut_short_still_tells_what_its_manifest_said(tmp_path: Path) -> None:
    render(tmp_path / "out.mp4")
    content = (tmp_path / "out.mp4").read_bytes()
    (tmp_path / "out.mp4").write_bytes(content[: content.rfind(b"mdat") + 40])
    found = verify(tmp_path / "out.mp4")
    assert (found.watermark.state, found.sound) == ("not looked for", False)
    assert "cannot be decoded" in found.reasons[-1]


def test_a_damaged_list_of_renders_is_read_as_far_as_it_goes(tmp_path: Path, home: Path) -> None:
    render(tmp_path / "out.mp4", payload=111)
    lines = home / "renders.jsonl"
    lines.write_text("{half a li\n[1]\n{}\n" + lines.read_text() + '{"payload": "cut', encoding="utf-8")
    assert [entry.name for entry in index.entries("00000000006f")] == ["out.mp4"]
    (kept,) = (home / "manifests").iterdir()
    copy = copy_of(tmp_path / "out.mp4", tmp_path / "copy.mp4")
    assert verify(copy).watermark.state == "known"
    spoil(kept, 3000)
    assert verify(copy).watermark.state == "unknown", "a damaged manifest is not believed"


@pytest.mark.parametrize("told", [None, 3, {}, {"thumbnails": 3}, {"thumbnails": ["x"], "duration_s": 1}, []])
def test_fingerprints_of_others_are_checked(told: object) -> None:
    assert read_fingerprint(told) is None


def test_the_command_shows_one_screen_and_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("out [b].mp4")
    render(path)
    assert main(["verify", str(path), "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "out [b].mp4" in shown and "valid, embedded" in shown and "face_swap" in shown
    assert len(shown.splitlines()) < 40
    assert main(["verify", str(path), "--quick", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["manifest"]["state"] == "valid" and told["watermark"]["state"] == "agrees" and told["marked"]
    assert told["render"]["task"] == "face_swap"
    spoil(path, -3000)
    assert main(["verify", str(path), "--quick"]) == 3
    assert main(["verify", "no.mp4", "--quick"]) == 3
    assert "error[input_not_found]" in capsys.readouterr().err

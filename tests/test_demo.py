"""The demo page plays its clips from the folder it lies in, with nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from vid2vid import demo
from vid2vid.errors import OutputNotWritable, UnknownTask
from vid2vid.io import probe
from vid2vid.registry import list_tasks
from vid2vid.report import Entry, demo_page
from vid2vid.samples import FOLDER, Sample, load_samples


class Links(HTMLParser):
    """Collects what a page loads or links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def links_of(page: str) -> list[str]:
    parser = Links()
    parser.feed(page)
    return parser.found


def entry(**changes: str) -> Entry:
    words = {
        "title": "T", "task": "t", "summary": "s", "source": "a.mp4", "result": "b.mp4", "comparison": "c.mp4",
        "report": "b.report.json", "attribution": "x", "licence": "MIT", **changes,
    }  # fmt: skip
    return Entry(**words, facts={"frames": "12"}, notes=("a note",))


def test_the_page_needs_nothing_but_its_folder() -> None:
    page = demo_page([entry(source="odd name #1 <b>.mp4")])
    assert links_of(page) == ["./odd%20name%20%231%20%3Cb%3E.mp4", "./b.mp4", "./c.mp4", "./b.report.json"]
    assert "<script" not in page
    assert not re.search(r"(url\(|@import|https?://)", page)
    assert "prefers-color-scheme: dark" in page


def test_what_comes_from_reports_is_escaped() -> None:
    page = demo_page([entry(title="<img src=x onerror=alert(1)>", attribution="A & B")])
    assert "<img" not in page
    assert "A &amp; B" in page


def test_the_samples_are_there_with_their_licences() -> None:
    samples = load_samples()
    assert {sample.path.name for sample in samples} == {path.name for path in FOLDER.glob("*.mp4")}
    for sample in samples:
        info = probe(sample.path)
        assert info.codec == "h264" and info.pixel_format == "yuv420p", "what every browser plays"
        assert sample.licence and sample.attribution and sample.tasks
        assert sample.path.stat().st_size < 700_000
    assert probe(FOLDER / "rabbit.mp4").has_audio


def test_the_demo_renders_and_every_link_leads_to_a_clip(
    square_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = Sample("tiny", square_clip, "A square", ("cartoon_to_photoreal",), "tests", "MIT", "made here")
    monkeypatch.setattr(demo, "load_samples", lambda: (sample,))
    made = demo.render_demo(tmp_path / "out")
    page = made.page.read_text(encoding="utf-8")
    links = links_of(page)
    assert len(links) == 4
    for link in links:
        assert (made.page.parent / unquote(link)).is_file()
    assert probe(tmp_path / "out" / "tiny_cartoon_to_photoreal.mp4").width == 96
    assert probe(tmp_path / "out" / "tiny_cartoon_to_photoreal.compare.mp4").width == 192
    assert "made here" in page and "<dt>frames</dt><dd>12</dd>" in page
    demo.render_demo(tmp_path / "out")


def test_a_task_that_brings_no_weights_is_left_out(
    square_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`paired` shows what its user painted: with nothing painted there is nothing to show."""
    tasks = {task.name: task for task in list_tasks()}
    assert not tasks["paired"].bundled and tasks["cartoon_to_photoreal"].bundled
    sample = Sample("tiny", square_clip, "A square", ("paired",), "tests", "MIT", "made here")
    monkeypatch.setattr(demo, "load_samples", lambda: (sample,))
    with pytest.raises(UnknownTask, match="comes with weights"):
        demo.render_demo(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputNotWritable, match="Name another"):
        demo.render_demo(tmp_path / "file" / "demo")

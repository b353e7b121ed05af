"""Renders the bundled clips with the bundled tasks into a folder that can be looked at in any browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vid2vid.api import translate
from vid2vid.errors import OutputNotWritable, UnknownTask
from vid2vid.registry import list_tasks
from vid2vid.report import Entry, demo_page
from vid2vid.samples import Sample, load_samples
from vid2vid.translation import Translation
from vid2vid.types import TaskInfo


@dataclass(frozen=True, slots=True)
class Demo:
    """What was made."""

    page: Path
    """`index.html`; every clip it shows lies beside it."""
    entries: tuple[Entry, ...]
    seconds: float


def render_demo(folder: Path) -> Demo:
    """Renders each sample with each bundled task it suits, and writes a page that shows them side by side.

    A task that brings no weights is left out: `paired` would need somebody's paintings first.

    Args:
        folder: made if it is not there; clips of an earlier demo in it are replaced.

    Raises:
        UnknownTask: if no installed task comes with weights.
        OutputNotWritable: if the folder cannot be made.
        Vid2VidError: as `translate()`.
    """
    started = time.perf_counter()
    pairs = [(sample, task) for task in list_tasks() for sample in load_samples()
             if task.name in sample.tasks and (task.bundled or sample.reference)]  # fmt: skip
    if not pairs:
        raise UnknownTask("The demo needs a task that comes with weights; none is installed. See `vid2vid tasks`.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(f"The folder {folder} cannot be made: {error.strerror}. Name another.") from error
    entries = tuple(_render(sample, task, folder) for sample, task in pairs)
    page = folder / "index.html"
    page.write_text(demo_page(entries), encoding="utf-8")
    return Demo(page, entries, time.perf_counter() - started)


def _render(sample: Sample, task: TaskInfo, folder: Path) -> Entry:
    source = folder / sample.path.name
    shutil.copyfile(sample.path, source)
    result = folder / f"{sample.name}_{task.name}.mp4"
    made = translate(source, task.name, result, reference=sample.reference, consent=sample.consent, overwrite=True)
    comparison = folder / f"{sample.name}_{task.name}.compare.mp4"
    made.compare(comparison, overwrite=True)
    return Entry(
        title=sample.title, task=task.name, summary=task.summary, source=source.name, result=result.name,
        comparison=comparison.name, facts=_facts(made, source, result), report=result.with_suffix(".report.json").name,
        notes=_notes(made.report), attribution=sample.attribution, licence=sample.licence,
    )  # fmt: skip


def _facts(made: Translation, source: Path, result: Path) -> Mapping[str, str]:
    """Measured on this run, in words."""
    info, report = made.info, made.report
    width, height = report["working_size"]
    return {
        "what was done": str(report["summary"]),
        "picture": f"{info.width}x{info.height} at {float(info.fps):g} frames a second, worked at {width}x{height}",
        "frames": str(report["frames"]),
        "rendered in": f"{made.seconds:.1f} s, {report['fps']:.1f} frames a second once loaded, on {report['device']}",
        "source file": f"{source.stat().st_size / 1e6:.2f} MB",
        "result file": f"{result.stat().st_size / 1e6:.2f} MB",
        "sound": f"{report['audio']['action']}: {report['audio']['reason']}",
    }


def _notes(report: Mapping[str, Any]) -> tuple[str, ...]:
    """What the viewer should know: the task's own remarks, what the reader mended, and that this is no recording."""
    found = [*report["task_report"].get("notes", ()), *report["input"]["notes"], report["provenance"]["statement"]]
    return tuple(str(note) for note in found)

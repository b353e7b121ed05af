"""What is told of a render: what makes it the same as another, and its report."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.hashing import file_hash
from vid2vid.io.containers import reading
from vid2vid.io.output import fitting_name, writing
from vid2vid.journal import Call
from vid2vid.types import Reference

if TYPE_CHECKING:
    from vid2vid.output import Sink
    from vid2vid.provenance import Facts
    from vid2vid.render import Outcome, Plan

_STAGES: Final = ("read", "conditions", "generator", "output")


def source_hash(path: Path | None) -> str | None:
    """Of a file, or of the names and contents of a folder's files; None for frames in memory.

    Raises:
        ReadFailed: the system cannot read it.
    """
    if path is None:
        return None
    with reading(path):
        if path.is_file():
            return file_hash(path)
        found = hashlib.sha256()
        for one in sorted(path.iterdir()):
            if one.is_file():
                found.update(os.fsencode(one.name) + f"\0{file_hash(one)}\n".encode())
        return found.hexdigest()


def call_of(plan: Plan, facts: Facts) -> Call:
    """What has to be equal for a render to go on from another's journal. Sound is made at the end and may differ."""
    source, info = facts.sources[0], plan.request.info
    words = {
        "task": facts.task,
        "task_code": _code_hash(plan),
        "bundle": facts.bundle,
        "backbone": asdict(plan.backbone),
        "pretrained": dict(plan.pretrained.told()) if plan.pretrained else None,
        "options": facts.options,
        "references": [[one.label, one.sha256] for one in facts.references],
        "weights": facts.weights,
        "consent": facts.consent,
        "prompt": facts.prompt,
        "settings": {name: value for name, value in asdict(plan.config).items() if name != "progress"},
        "working_size": [plan.request.width, plan.request.height],
        "fps": str(info.fps),
        "stream": plan.stream,
        "versions": facts.versions,
    }
    return Call(words, {"path": str(info.path and info.path.absolute()), "sha256": source.sha256, "kind": info.kind})


def _code_hash(plan: Plan) -> str | None:
    """Of the file that holds the task, so that a task which was rewritten in between does not go on."""
    try:
        return file_hash(Path(inspect.getfile(type(plan.task))))
    except (OSError, TypeError):
        return None


def make_report(plan: Plan, facts: Facts, outcome: Outcome, sink: Sink, seconds: float) -> dict[str, Any]:
    """Everything that is known of a finished render, as JSON values."""
    read, timings, info = plan.source.report, outcome.timings, plan.request.info
    return {
        "task": plan.task.name,
        "bundle": facts.bundle,
        "summary": outcome.task_report.get("summary", plan.task.summary),
        "task_report": dict(outcome.task_report),
        "model": dict(outcome.model),
        "options": asdict(plan.request.options),
        "seed": plan.config.seed,
        "strength": plan.config.strength,
        "source": {
            "width": info.width,
            "height": info.height,
            "fps": float(info.fps),
            "kind": info.kind,
            "name": info.path.name if info.path else None,
        },
        "working_size": [plan.request.width, plan.request.height],
        "frames": outcome.frames,
        "cuts": timings.cuts,
        "input": {
            "concealed": read.concealed,
            "concealed_frames": list(read.concealed_frames),
            "damaged": read.damaged,
            "truncated": read.truncated,
            "notes": list(read.notes),
        },
        "audio": sink.audio(),
        "conceded": list(outcome.conceded),
        "resumed": dict(sink.resumed()),
        "device": outcome.device,
        "dtype": outcome.dtype,
        "engine": plan.config.engine,
        "seconds": {
            "total": round(seconds, 3),
            "setup": round(outcome.setup_s, 3),
            "render": round(outcome.render_s, 3),
            **{stage: round(getattr(timings, stage), 3) for stage in _STAGES},
        },
        "fps": round(outcome.frames / max(outcome.render_s, 1e-9), 2),
        "provenance": _provenance(plan, facts, sink.marks()),
        "versions": dict(facts.versions),
    }


def _provenance(plan: Plan, facts: Facts, marks: Mapping[str, Any]) -> dict[str, Any]:
    shown = plan.request.shown or [Reference((key.look,)) for key in plan.request.keys]
    return {
        "generator": f"vid2vid {version('vid2vid')}",
        "statement": f"Made by software from another video (task {facts.task}); not a recording.",
        "task": facts.task,
        "source_sha256": facts.sources[0].sha256,
        "weights_sha256": next(iter(facts.weights.values()), None),
        "output_sha256": None,
        "consent": facts.consent["basis"] if facts.consent else None,
        "consent_record_sha256": facts.consent.get("record_sha256") if facts.consent else None,
        "references": [
            {"name": one.name, "file": one.path.name if one.path else None, "sha256": known.sha256}
            for one, known in zip(shown, facts.references, strict=True)
        ],
        **marks,
    }


def write_report(target: Path, report: Mapping[str, Any]) -> None:
    """Writes the report beside an output; it appears at its name whole.

    Raises:
        OutputDiskFull, OutputNotWritable: the system refuses; the output itself is there and complete.
    """
    place = report_path(target)
    partial = place.with_name(fitting_name(place.name, ".", f".partial-{os.getpid()}"))
    text = json.dumps(report, indent=2, ensure_ascii=False, default=str) + "\n"
    # Names of files need not be text: what is none becomes the escape that JSON has for it.
    try:
        with writing(place):
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
            partial.replace(place)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def report_path(target: Path) -> Path:
    """Where the report of an output lies."""
    return target.with_name(fitting_name(target.stem, "", ".report.json"))

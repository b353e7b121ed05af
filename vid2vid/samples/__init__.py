"""Short clips that come with the package, each with its source and licence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip of `samples.json`."""

    name: str
    path: Path
    title: str
    tasks: tuple[str, ...]
    """Names of the tasks it suits."""
    source: str
    licence: str
    attribution: str
    """The line to show beside it."""
    reference: Path | None = None
    """What it should look like, for tasks that need to be shown."""
    consent: str | None = None
    """On what basis the people in it are shown."""


def load_samples() -> tuple[Sample, ...]:
    """Gives every bundled clip in the order of the index."""
    rows = json.loads((FOLDER / "samples.json").read_text(encoding="utf-8"))
    return tuple(
        Sample(
            name=row["name"],
            path=FOLDER / row["file"],
            title=row["title"],
            tasks=tuple(row["tasks"]),
            source=row["source"],
            licence=row["licence"],
            attribution=row["attribution"],
            reference=FOLDER / row["reference"] if "reference" in row else None,
            consent=row.get("consent"),
        )
        for row in rows
    )

"""Distributions made of text, so that the registry reads real entry-point tables."""

from __future__ import annotations

from pathlib import Path


def install(site: Path, distribution: str, entries: dict[str, str], *, version: str = "1.0", module: str = "") -> None:
    """Puts a distribution into a folder: its metadata, its table of tasks and, if given, its one module."""
    metadata = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (metadata / "entry_points.txt").write_text(f"[vid2vid.tasks]\n{lines}")
    if module:
        (site / f"{distribution.replace('-', '_')}.py").write_text(module)


def task_source(name: str, body: str = "") -> str:
    """A module with a task that does nothing; `body` adds lines to the class."""
    extra = "".join(f"    {line}\n" for line in body.splitlines())
    return (
        "from dataclasses import dataclass\n"
        "from vid2vid import Conditions, NoOptions, Task\n"
        "class Nothing(Task[None]):\n"
        f"    name = {name!r}\n"
        "    summary = 'Gives the source back.'\n"
        "    channels = {'source': 3}\n"
        f"{extra}"
        "    def setup(self, request, device):\n"
        "        return None\n"
        "    def condition(self, chunk, setup):\n"
        "        return Conditions(maps={'source': chunk.frames})\n"
        "task = Nothing()\n"
    )

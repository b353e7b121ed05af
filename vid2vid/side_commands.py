"""Commands around rendering: faces, verify, consent, doctor and demo. They are registered by `vid2vid.__main__`."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

import vid2vid
from vid2vid.answers import Answer, AsJson, Debug, facts, rows
from vid2vid.errors import InvalidOption, OutputExists, OutputNotWritable

if TYPE_CHECKING:
    from vid2vid.provenance import Verification
    from vid2vid.provenance.consent import Consent
    from vid2vid.provenance.reading import ManifestReading

consent = typer.Typer(help="Makes records of consent.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    for command in (faces, verify, doctor, demo):
        app.command()(command)
    app.add_typer(consent, name="consent")


def faces(
    video: Annotated[Path, typer.Argument(help="A video, an image or a folder of images.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: <name>_faces.png, here.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a sheet that is there.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> Answer:
    """Lists the faces of a video with the numbers that tasks know them by, and writes a sheet that shows each."""
    from vid2vid.face_sheet import make_face_sheet

    made = make_face_sheet(video, output, overwrite=overwrite)
    values = {"sheet": made.path and str(made.path), "frames": made.frames, "faces": made.rows()}
    if not made.faces:
        return Answer(values, f"No faces in {made.frames} frames.")
    return Answer(values, Group(rows(made.rows()), Text(str(made.path))))


def verify(
    file: Annotated[Path, typer.Argument(help="A video or an image.")],
    quick: Annotated[bool, typer.Option("--quick", help="Do not look for turned or stretched watermarks.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> Answer:
    """Says what a file tells of its origin: credentials, watermark, consent. Ends with 3 where they do not hold."""
    found = vid2vid.verify(file, thorough=not quick)
    values = {**dataclasses.asdict(found), "render": found.render, "sound": found.sound}
    return Answer(values, _told(file, found), 0 if found.sound else 3)


def _told(file: Path, found: Verification) -> RenderableType:
    """A verification on one screen."""
    render, manifest, mark = found.render, found.manifest, found.watermark
    known = mark.manifest if mark.manifest and mark.state == "known" else manifest
    went_in = [f"{one.title} ({one.sha256[:12]})" if one.sha256 else one.title for one in known.ingredients]
    shown = facts(
        {
            "file": str(file),
            "made by vid2vid": _maker(found),
            "manifest": manifest.state + (f", {manifest.place}" if manifest.place else ""),
            "signer": _signer(manifest),
            "watermark": mark.state + (f", render {mark.payload}" if mark.payload else ""),
            "task": render.get("task"),
            "what was done": render.get("summary"),
            "when": known.made,
            "kind of media": known.source_type,
            "made from": ", ".join(went_in) or None,
            "consent": found.consent and found.consent.get("basis"),
        }
    )
    colour = "green" if found.trusted else "yellow" if found.sound else "red"
    return Group(
        shown, *(Text(f"\n{reason}", colour if not number else "") for number, reason in enumerate(found.reasons))
    )


def _maker(found: Verification) -> str:
    """Whether vid2vid made the file, and what says so."""
    if found.watermark.state == "contradicts":
        return "doubtful: what it says contradicts itself"
    if not found.marked:
        return "not as far as can be seen"
    by_manifest = found.manifest.state in ("valid", "expired") and found.manifest.payload is not None
    return "yes, says its manifest" if by_manifest else "yes, says its watermark"


def _signer(manifest: ManifestReading) -> str | None:
    if manifest.signer is None or manifest.state == "tampered":
        return manifest.signer and f"{manifest.signer}, who signed something else"
    return f"{manifest.signer} ({'known' if manifest.trusted else 'not known'} here)"


@consent.callback()
def _records() -> None:
    """Makes records of consent."""


@consent.command("new")
def new(
    subject: Annotated[str, typer.Option(help="Who is shown. Stays in the record.")],
    basis: Annotated[str, typer.Option(help="self, licensed, synthetic or public-domain.")],
    scope: Annotated[list[str], typer.Option(help="A task agreed to, such as face_swap; repeat.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The record, such as anna.consent.json.")],
    purpose: Annotated[list[str] | None, typer.Option(help="What for, in words; repeat.")] = None,
    expires: Annotated[str | None, typer.Option(help="The last day, such as 2027-01-31.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="What proves it; only its hash is kept.")] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="A picture, clip or bundle agreed to, so that no other passes; repeat.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> Answer:
    """Writes a record for `translate --consent`. It stays with you: results carry its basis and hash only."""
    from vid2vid.hashing import file_hash
    from vid2vid.io.containers import check_file
    from vid2vid.provenance.consent import new_consent

    made = new_consent(
        subject,
        basis,
        _tasks(scope),
        purposes=purpose or (),
        expires=expires,
        evidence_sha256=None if evidence is None else file_hash(check_file(evidence)),
        references=[found for path in reference or () for found in _hashes(path)],
    )
    if output.suffix != ".json":
        raise InvalidOption(f"-o {str(output)!r}: a name ending in .json is needed, such as anna.consent.json.")
    if made.expires is not None and made.expires < datetime.datetime.now(datetime.UTC).date():
        raise InvalidOption(f"--expires {made.expires} is past: nothing could be rendered with it. Give a later day.")
    try:
        made.write(output)
    except FileExistsError:
        raise OutputExists(f"{str(output)!r} exists, and records are never replaced. Choose another name.") from None
    except OSError as error:
        raise OutputNotWritable(f"{str(output)!r} cannot be written ({error.strerror}). Check its folder.") from error
    values = {"record": str(output), "id": made.id, **made.as_public()}
    return Answer(values, f"{output}  ({_covered(made)})\nUse it with: vid2vid translate ... --consent {output}")


def _covered(record: Consent) -> str:
    """What a record allows, in one line."""
    count = len(record.references)
    shown = f"{count} picture(s) or bundle(s)" if count else "any picture, as none is listed"
    until = f"until {record.expires}" if record.expires else "without an end"
    return f"{', '.join(record.tasks)} of {shown}, {until}"


def _tasks(scope: list[str]) -> list[str]:
    """Names of installed tasks; a misspelt one would make the record worthless on the day it is needed."""
    from vid2vid.registry import get_task

    return [get_task(name.strip()).name for one in scope for name in one.split(",")]


def _hashes(path: Path) -> list[str]:
    """What `translate` will compare with: the hash of a reference, or of a bundle's weights."""
    from vid2vid.bundle import is_bundle, load_bundle
    from vid2vid.hashing import file_hash
    from vid2vid.references import read_references, reference_hash

    if is_bundle(path):
        return [file_hash(load_bundle(path).weights)]
    return [reference_hash(one) for one in read_references(path)]


def doctor(as_json: AsJson = False, debug: Debug = False) -> Answer:
    """Checks what this machine offers and whether the bundled tasks can run."""
    from vid2vid.doctor import examine

    checks = examine()
    table = Table(box=None, show_header=False)
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    for check in checks:
        found = f"{check.found}\n{check.next_step}".strip()
        table.add_row(Text(check.status, colours[check.status]), check.name, found)
    healthy = not any(check.status == "fail" for check in checks)
    values = {"healthy": healthy, "checks": [dataclasses.asdict(check) for check in checks]}
    return Answer(values, table, 0 if healthy else 4)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the clips and index.html.")] = Path("demo"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> Answer:
    """Renders the bundled clips with every bundled task and writes a page that shows them."""
    from vid2vid.demo import render_demo

    made = render_demo(output)
    values = {"page": str(made.page), "renders": len(made.entries), "seconds": made.seconds}
    text = f"{len(made.entries)} clips in {made.seconds:.0f} s. Open {made.page.resolve().as_uri()} in a browser."
    return Answer(values, text)

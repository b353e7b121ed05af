"""The command line: `vid2vid translate | train | tasks | evaluate | estimate | ...`.

A command returns an `Answer` and prints nothing; `main` shows it, or its JSON, or the error in one line. Model
libraries load inside the commands that need them.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

import vid2vid
from vid2vid import side_commands
from vid2vid.answers import Answer, AsJson, Debug, any_word, clean_stdout, facts, frame_rate, options
from vid2vid.errors import Interrupted, UsageError, Vid2VidError
from vid2vid.stopping import Stopping

if TYPE_CHECKING:
    from vid2vid.translation import Translation

_STOPPED = ("interrupted", "stopped before the end", 130)
_UsageProblem: Any = typer.BadParameter.__mro__[2]  # ClickException; newer typer carries its own copy of click
app = typer.Typer(
    name="vid2vid",
    help="Video-to-video translation.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TaskName = Annotated[
    str, typer.Option("--task", "-t", help="Name of an installed task (see `vid2vid tasks`) or path of a bundle.")
]
References = Annotated[
    list[Path] | None, typer.Option("--reference", help="Picture or folder of what it should look like; repeat.")
]
Pairs = Annotated[list[str] | None, typer.Option("--option", help="key=value, one of the task's own options; repeat.")]
Prompt = Annotated[str | None, typer.Option(help="Text, for backbones that take it.")]
BackboneName = Annotated[str | None, typer.Option("--backbone", help="Another generator than the task's own.")]
Audio = Annotated[str, typer.Option(help="auto, keep or none; effects or mix for tasks that see what happens.")]
Events = Annotated[Path | None, typer.Option("--events", help="Edited list of events (JSON) to be heard instead.")]
Stems = Annotated[Path | None, typer.Option("--stems", help="Folder for one WAV of each kind of event.")]
Consent = Annotated[str | None, typer.Option(help="self, licensed, synthetic or public-domain, if a person is shown.")]
Size = Annotated[int | None, typer.Option(help="Working size of the short side, in pixels.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N.")]
NumberFormat = Annotated[str | None, typer.Option("--dtype", help="float32, bfloat16 or float16.")]
Engine = Annotated[str, typer.Option(help="torch or openvino.")]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]
Strength = Annotated[float, typer.Option(help="0 returns the source, 1 the full translation.")]
Rate = Annotated[str | None, typer.Option("--fps", help="Frames a second to read the source at: 25, 30000/1001.")]
Stream = Annotated[int | None, typer.Option("--stream", help="Of several picture streams, which one; from 0 on.")]
Strict = Annotated[bool, typer.Option("--strict", help="Treat damage to the input as an error.")]


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> Answer | None:
    """Video-to-video translation: give it a video and a task, get a video back."""
    if version:
        return Answer({"version": vid2vid.__version__}, f"vid2vid {vid2vid.__version__}")
    if context.invoked_subcommand is None:
        return Answer({}, context.get_help())
    return None


@app.command()
def translate(
    video: Annotated[Path, typer.Argument(help="A video, an image or a folder of images.")],
    task: TaskName,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: <name>_<task>.mp4, here.")] = None,
    reference: References = None,
    prompt: Prompt = None,
    backbone: BackboneName = None,
    audio: Audio = "auto",
    consent: Consent = None,
    size: Size = None,
    device: Device = None,
    dtype: NumberFormat = None,
    engine: Engine = "torch",
    seed: Seed = 0,
    strength: Strength = 1.0,
    fps: Rate = None,
    stream: Stream = None,
    events: Events = None,
    stems: Stems = None,
    option: Pairs = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that is there.")] = False,
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Go on from an interrupted render.")] = True,
    strict: Strict = False,
    compare: Annotated[bool, typer.Option("--compare", help="Also write a side-by-side clip.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> Answer:
    """Renders a video with a task."""
    try:
        made = vid2vid.translate(
            video,
            task,
            output,
            reference=reference or None,
            prompt=prompt,
            backbone=backbone,
            audio=any_word(audio),
            consent=consent,
            size=size,
            device=device,
            dtype=any_word(dtype),
            engine=engine,
            seed=seed,
            strength=strength,
            fps=frame_rate(fps),
            stream=stream,
            events=events,
            stems=stems,
            overwrite=overwrite,
            resume=resume,
            strict=strict,
            **options(option, vid2vid.translate),
        )
    except KeyboardInterrupt as stop:
        raise Interrupted(str(stop) or _STOPPED[1]) from stop
    return _rendered(made, _beside(made) if compare else None)


@app.command()
def train(
    examples: Annotated[list[Path], typer.Argument(help="Folder or files to learn from; see `vid2vid.train`.")],
    task: Annotated[str, typer.Option("--task", "-t", help="The task to teach; paired learns any look.")] = "paired",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bundle.")] = Path("bundles/my_look"),
    clip: Annotated[Path | None, typer.Option(help="The clip that painted key frames belong to.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time to train.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    preset: Annotated[str, typer.Option(help="fast, default or fine.")] = "default",
    size: Annotated[int | None, typer.Option(help="Short side at which examples are looked at.")] = None,
    device: Device = None,
    seed: Seed = 0,
    start: Annotated[str, typer.Option(help="trunk, scratch, or a file of weights to start from.")] = "trunk",
    backbone: BackboneName = None,
    prompt: Prompt = None,
    rank: Annotated[int, typer.Option(help="Of the adapters that a diffusion model is taught.")] = 8,
    window: Annotated[int | None, typer.Option(help="Frames at once, for a diffusion model.")] = None,
    patience: Annotated[float | None, typer.Option(help="Minutes without a better score after which to stop.")] = None,
    tracker: Annotated[bool, typer.Option("--tracker", help="Write scalars for TensorBoard.")] = False,
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Go on from an interrupted training.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Let one faulty example stop everything.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> Answer:
    """Teaches a task from examples and writes a bundle, which `translate --task BUNDLE` renders."""
    made = vid2vid.train(
        examples[0] if len(examples) == 1 else examples,
        task,
        output,
        clip,
        minutes,
        steps,
        resume,
        preset=any_word(preset),
        size=size,
        device=device,
        seed=seed,
        start=start,
        backbone=backbone,
        prompt=prompt,
        rank=rank,
        window=window,
        patience_minutes=patience,
        tracker=tracker,
        overwrite=overwrite,
        strict=strict,
    )
    values = {"bundle": str(made.path), "steps": made.steps, "seconds": made.seconds, "metrics": dict(made.metrics)}
    shown = facts({"bundle": str(made.path), "steps": made.steps, "seconds": made.seconds, **made.metrics})
    return Answer(values, Group(shown, Text(f"Render with: vid2vid translate VIDEO --task {made.path}")))


@app.command()
def tasks(as_json: AsJson = False, debug: Debug = False) -> Answer:
    """Lists the installed tasks and their options."""
    listed = vid2vid.list_tasks()
    shown: list[RenderableType] = []
    for task in listed:
        needs = ", ".join(task.needs) or "nothing but a video"
        weights = "weights bundled" if task.bundled else "no bundled weights"
        shown += [Text(task.name, "bold"), Text(f"  {task.summary}\n  needs {needs}; {weights}; from {task.owner}")]
        options = Table(show_header=False, box=None, padding=(0, 1, 0, 4))
        for name, what in task.options.items():
            options.add_row(name, what)
        shown.append(options)
    return Answer({"tasks": [dataclasses.asdict(task) for task in listed]}, Group(*shown))


@app.command()
def evaluate(
    output: Annotated[Path, typer.Argument(help="The rendered video.")],
    source: Annotated[Path | None, typer.Option(help="What it was made from.")] = None,
    target: Annotated[Path | None, typer.Option(help="What it should have become, frame by frame.")] = None,
    reference: Annotated[Path | None, typer.Option(help="What it should look like.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Text that it should agree with, by CLIP.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> Answer:
    """Measures a rendered video: temporal stability, sharpness, motion, distance to a target."""
    measured = vid2vid.evaluate(output, source=source, target=target, reference=reference, prompt=prompt)
    values = dataclasses.asdict(measured)
    return Answer(values, facts(values))


@app.command()
def estimate(
    video: Annotated[Path, typer.Argument(help="The video that would be rendered.")],
    task: TaskName,
    reference: References = None,
    prompt: Prompt = None,
    backbone: BackboneName = None,
    consent: Consent = None,
    size: Size = None,
    device: Device = None,
    dtype: NumberFormat = None,
    engine: Engine = "torch",
    fps: Rate = None,
    stream: Stream = None,
    option: Pairs = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> Answer:
    """Says how long a render would take on this machine, and what it would need."""
    values = dataclasses.asdict(
        vid2vid.estimate(
            video,
            task,
            reference=reference or None,
            prompt=prompt,
            backbone=backbone,
            consent=consent,
            size=size,
            device=device,
            dtype=any_word(dtype),
            engine=engine,
            fps=frame_rate(fps),
            stream=stream,
            **options(option, vid2vid.translate),
        )
    )
    return Answer(values, facts(values))


side_commands.add_to(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: the words after `vid2vid`; None takes the process's own.

    Returns:
        The exit code: 0 done, 2 usage, 3 input, 4 model, 5 resources, 6 policy, 130 interrupted, 1 a fault of vid2vid.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    with Stopping():
        try:
            return _run(words, as_json="--json" in words, debug="--debug" in words)
        except BrokenPipeError:
            # Whoever read stdout is gone; Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1


def _run(words: list[str], *, as_json: bool, debug: bool) -> int:
    """Runs the command, shows its answer or its error, and gives the exit code."""
    if debug:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    try:
        with clean_stdout(as_json):
            answer = app(words, prog_name="vid2vid", standalone_mode=False)
        if isinstance(answer, Answer):
            return _show(answer, as_json)
        return _complain(*_STOPPED, as_json) if answer == _STOPPED[2] else int(answer or 0)
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, typer.Abort):
        return _complain(*_STOPPED, as_json)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _complain(*_diagnose(error), as_json)


def _diagnose(error: Exception) -> tuple[str, str, int]:
    """Code, message and exit code of an error."""
    if isinstance(error, Vid2VidError):
        return error.code, str(error), error.exit_code
    if isinstance(error, _UsageProblem):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "vid2vid"
        message = f"{error.format_message().rstrip('.')}. See {command} --help."
        return UsageError.code, message, UsageError.exit_code
    return "internal", f"{type(error).__name__}: {error} This is a fault of vid2vid; --debug shows where.", 1


def _show(answer: Answer, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(answer.values, default=_plain) + "\n")
    elif answer.text:
        # Without markup, or a file called [b].mp4 would lose its name.
        Console(markup=False, highlight=False).print(answer.text, soft_wrap=isinstance(answer.text, str))
    sys.stdout.flush()
    return answer.exit_code


def _plain(value: Any) -> object:
    """What JSON has no form for: numbers of numpy as numbers, all else as text."""
    return value.item() if hasattr(value, "item") else str(value)


def _complain(code: str, message: str, exit_code: int, as_json: bool) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"error[{code}]: {line}\n")
    if as_json:
        sys.stdout.write(json.dumps({"error": code, "message": line}) + "\n")
        sys.stdout.flush()
    return exit_code


def _beside(made: Translation) -> Path:
    """Writes the side-by-side clip next to the output."""
    path = Path(str(made.path))
    # The output itself was new or might be replaced, so a comparison of this name belongs to an earlier render.
    return made.compare(path.with_name(f"{path.stem}.compare.mp4"), overwrite=True)


def _rendered(made: Translation, comparison: Path | None) -> Answer:
    from vid2vid.account import report_path

    report = report_path(Path(str(made.path)))
    values = {
        "output": str(made.path),
        "compare": None if comparison is None else str(comparison),
        "seconds": made.seconds,
        "fps": made.fps,
        "report": made.report,
    }
    lines = [f"{made.path}  ({made.seconds:.1f} s, {made.fps:.1f} frames a second)"]
    lines += [str(path) for path in (comparison, report) if path is not None and path.exists()]
    return Answer(values, "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())

"""`translate()`, `train()`, `evaluate()` and `estimate()`: resolve, check, hand on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vid2vid.account import call_of, make_report, source_hash, write_report
from vid2vid.audio import events_as_json
from vid2vid.bundle import load_bundle
from vid2vid.config import RenderConfig, TrainConfig
from vid2vid.credentials import facts_of
from vid2vid.errors import InvalidOption, UsageError
from vid2vid.io import PICTURES, check_output, open_source
from vid2vid.output import Place, open_sink
from vid2vid.registry import list_tasks
from vid2vid.render import Call, Plan, frame_total, make_plan, run
from vid2vid.scoring import check_wish
from vid2vid.translation import Translation

if TYPE_CHECKING:
    from vid2vid.config import NumberFormat
    from vid2vid.provenance import Verification
    from vid2vid.task import Task
    from vid2vid.trained import Trained
    from vid2vid.types import Estimate, Event, Metrics

__all__ = ["estimate", "evaluate", "list_tasks", "load_bundle", "train", "translate", "verify"]


def translate(
    video: Any,
    task: str | Path | Task[Any],
    output: str | Path | None = None,
    *,
    reference: Any = None,
    prompt: str | None = None,
    backbone: str | None = None,
    audio: str = "auto",
    consent: Any = None,
    size: int | None = None,
    device: str | None = None,
    dtype: NumberFormat | None = None,
    engine: str = "torch",
    seed: int = 0,
    strength: float = 1.0,
    fps: Any = None,
    stream: int | None = None,
    events: str | Path | Sequence[Event] | None = None,
    stems: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = True,
    strict: bool = False,
    progress: bool = True,
    **options: Any,
) -> Translation:
    """Translates a video with a task.

    Args:
        video: path of a video, an image or a folder of images; `(T, H, W, 3)` uint8 array; `(T, 3, H, W)` float tensor
            in [0, 1]; iterable of `(H, W, 3)` uint8 frames; or one such picture.
        task: name of an installed task, path of a bundle that `train()` wrote, or a `Task`.
        output: file to write (.mp4, .mov, .mkv, .webm, .gif; .png or .jpg for one picture). None writes
            `<stem>_<task>.mp4` (`.png` for an image) into the working folder for files; no file for frames in memory.
        reference: what it should look like: paths of pictures, clips or folders, arrays, a list of those, or a mapping
            that gives them names, such as `{0: "anna.jpg", 1: "bob.mp4"}` for two figures.
        prompt: text, for backbones that take it.
        backbone: None takes the task's own.
        audio: `keep` the source's sound; `none`; `effects` made from the events that the task sees in the picture;
            `mix`: those over the source's own, which steps back for them; or `auto`: what the task declares.
        consent: on what basis a person is shown, for tasks that need it: `self`, `licensed`, `synthetic` or
            `public-domain`, or the path of a record that `vid2vid consent new` made.
        size: working size of the short side in pixels; the output keeps the source's size. None works at the source's
            size up to a short side of 720.
        device: `cpu`, `cuda`, `cuda:N`; None takes a GPU where there is one.
        dtype: `float32`, `bfloat16` or `float16`; None chooses by device.
        engine: `torch`, or `openvino` (CPU) where that extra is installed.
        seed: of everything random, such as film grain.
        strength: 0 gives the source back, 1 the full translation.
        fps: frames a second of arrays and folders (25), or in place of a file's own times.
        stream: of several picture streams in a file, the number of the one to translate, from 0 on; None takes the
            largest.
        events: for `effects` and `mix`, in place of what the task sees: a JSON file with the list `events` of a report
            (or that report), edited; or the events.
        stems: for `effects` and `mix`, a folder for one WAV of each kind of event (and `source.wav`); they add up to
            the sound before its limiter.
        overwrite: whether an existing output may be replaced.
        resume: go on from where the same call was interrupted. Films from files that are longer than six seconds are
            kept in segments in the folder `<output>.v2v` until they are complete. False starts anew.
        strict: refuse a damaged input instead of mending it and saying so in the report.
        progress: draw a progress bar on stderr.
        **options: the task's own; see `vid2vid tasks`.

    Returns:
        The translation; beside a file `<stem>.report.json` is written.

    Raises:
        Vid2VidError: one of its subclasses, with what is wrong and what to do. No partial file stays behind; finished
            segments of a film do, for the next call to go on from.
        KeyboardInterrupt: on Ctrl-C; its text says what was kept.
    """
    began = time.perf_counter()
    config = RenderConfig(
        size=size,
        device=device,
        dtype=dtype,
        engine=engine,
        seed=seed,
        strength=strength,
        strict=strict,
        progress=progress,
    )
    call = Call(video, task, reference, prompt, backbone, audio, consent, fps, stream, options)
    plan = make_plan(call, config)
    with plan.source:
        target = _target(plan, output, overwrite)
        wish = check_wish(audio, plan.audio, target, events, stems, overwrite)
        facts = facts_of(plan, source_hash(plan.request.info.path))
        place = Place(target, overwrite, resume, wish, facts, call_of(plan, facts))
        with open_sink(plan, place) as sink, _bar(plan) as advance:
            outcome = run(plan, sink.write, advance=advance, keeping=sink.keeping, journal=sink.journal)
            sink.hear(outcome)
    info = sink.info(outcome.frames)
    report = make_report(plan, facts, outcome, sink, time.perf_counter() - began)
    report["events"] = events_as_json(outcome.events if wish.events is None else wish.events)
    if target is not None:
        write_report(target, report)
    reopen = plan.source.reopen if plan.source.reopenable else None
    return Translation(target, info, report, time.perf_counter() - began, video, reopen, sink.kept())


def train(
    examples: Any,
    task: str | Task[Any] = "paired",
    output: str | Path = "bundles/my_look",
    clip: Any = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = True,
    **config: Any,
) -> Trained:
    """Teaches a task from examples and writes a bundle that `translate()` renders.

    Args:
        examples: a folder, a file or a list of them: `<clip>/{source,target}.mp4`; `source/` and `target/` with
            pictures of equal names; one to eight painted key frames together with `clip`; or clips and pictures of the
            target alone, for tasks that learn from those.
        task: name of an installed task, or a `Task`. `paired` learns any look from pairs or key frames.
        output: folder of the bundle. Until it is complete, checkpoints lie in a hidden folder beside it.
        clip: the clip that painted key frames belong to; which frame each shows is found by content.
        minutes: time to train; it ends within 5 % of it, unless preparing the examples takes most of it. Where neither
            minutes nor steps are given, the task decides.
        steps: optimiser steps, instead of or beside minutes.
        resume: go on from checkpoints of an interrupted training of the same examples into the same output.
        **config: fields of `vid2vid.TrainConfig`: preset, seed, size, device, precision, start, batch, crop,
            learning_rate, patience_minutes, judge_every_s, save_every_s, tracker, strict, overwrite, progress; and
            backbone, prompt, rank, window to teach adapters of a diffusion model instead of the task's own generator.

    Returns:
        The bundle, how long it took, and the scores on the way.

    Raises:
        UsageError: an option is wrong, or the output exists and `overwrite` is off.
        InputError: the examples cannot be used; faulty ones are left out and logged as long as one remains.
        NonFiniteOutput: the loss stopped being finite; nothing was saved after that.
    """
    from vid2vid.options import suggestion
    from vid2vid.teaching import teach

    known = {field.name for field in fields(TrainConfig)}
    unknown = sorted(set(config) - known)
    if unknown:
        raise InvalidOption(
            f"train() has no option '{unknown[0]}'.{suggestion(unknown[0], known)} "
            f"There are: {', '.join(sorted(known))}."
        )
    return teach(examples, task, output, clip, TrainConfig(minutes=minutes, steps=steps, **config), resume)


def _target(plan: Plan, output: str | Path | None, overwrite: bool) -> Path | None:
    info = plan.source.info
    if output is None:
        if info.path is None:
            return None
        suffix = ".png" if info.kind == "image" else ".mp4"
        name = plan.bundle.path.name if plan.bundle else plan.task.name
        output = Path.cwd() / f"{info.path.stem}_{name}{suffix}"
    target = check_output(output, info.path, overwrite)
    if target.suffix.lower() in PICTURES and info.kind != "image":
        raise InvalidOption(f"'{target.name}' holds one picture, but the source is a clip. Give a name ending in .mp4.")
    return target


@contextmanager
def _bar(plan: Plan) -> Iterator[Callable[[int], None]]:
    """A progress bar with frames, rate and time left on stderr; silent where that is no terminal."""
    if not plan.config.progress:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} fps"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        job = bar.add_task(plan.task.name, total=frame_total(plan.source), rate="-")
        began, finished = time.perf_counter(), 0

        def advance(count: int) -> None:
            nonlocal finished
            finished += count
            bar.update(job, advance=count, rate=f"{finished / (time.perf_counter() - began):.1f}")

        yield advance


def evaluate(
    output: Any, source: Any = None, target: Any = None, reference: Any = None, *, prompt: str | None = None
) -> Metrics:
    """Measures a result: temporal steadiness, sharpness, and closeness to a target where there is one.

    Args:
        output: what is measured: a path, an array, a tensor, frames, or a `Translation`.
        source: what it was made from; flow and masks are taken from it.
        target: what it should be, frame by frame.
        reference: not used by any metric yet.
        prompt: text that the result should agree with.

    Returns:
        See `Metrics`; fields are None where what they need is missing.

    Raises:
        InputError: a clip cannot be read.
        UsageError: `reference` was given.
    """
    from vid2vid.metrics import measure

    if reference is not None:
        raise UsageError("reference=: no metric compares with references yet. Leave it out.")
    clips = [clip.frames if isinstance(clip, Translation) else clip for clip in (output, source, target)]
    opened = [None if clip is None else open_source(clip) for clip in clips]
    try:
        result, before, wanted = (None if one is None else (frame.pixels for frame in one) for one in opened)
        if result is None:
            raise UsageError("output=None: give the clip to be measured.")
        return measure(result, before, wanted, prompt)
    finally:
        for one in opened:
            if one is not None:
                one.close()


def estimate(video: Any, task: str | Path | Task[Any], **same: Any) -> Estimate:
    """Answers how long a translation would take on this machine, from a trial of a few seconds.

    Args:
        video, task, same: as for `translate()`; `output` and `overwrite` are ignored.

    Returns:
        Frames, seconds with a range, memory and size of the output, and how sure that is.

    Raises:
        Vid2VidError: as `translate()` would.
    """
    from vid2vid.estimating import estimate_call

    return estimate_call(video, task, same)


def verify(path: str | Path, *, thorough: bool = True) -> Verification:
    """Says what a video or picture tells of its origin, by its content credentials and by the watermark in its frames.

    Works offline. A copy that lost its credentials is known again by its watermark, and what was done by this machine's
    list of renders.

    Args:
        path: the file.
        thorough: whether to look for turned and stretched watermarks where none is found, which takes some seconds.

    Returns:
        State of manifest and watermark, consent, and in `reasons` what each means; see docs/responsible-use.md for what
        they prove.

    Raises:
        InputError: the file is not there, or is no video or picture.
    """
    from vid2vid.provenance import verify_file

    return verify_file(path, thorough=thorough)

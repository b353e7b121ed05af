"""From a call of `train()` to a bundle: examples are found and checked, a lesson is made, a generator is fitted."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.bundle import check_bundle_path, load_bundle, save_bundle
from vid2vid.config import BackboneConfig
from vid2vid.data.examples import check_examples, content_hashes, find_examples
from vid2vid.errors import InvalidOption
from vid2vid.folders import replace_durably
from vid2vid.registry import get_task, task_names, weights_path
from vid2vid.task import Task
from vid2vid.trained import Trained
from vid2vid.types import KeyPair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vid2vid.adapter_lesson import AdapterLesson
    from vid2vid.bundle import Bundle
    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.fitting import Fitted, Watch
    from vid2vid.fitting import Progress as Progress_
    from vid2vid.lesson import Lesson

_LOG = logging.getLogger(__name__)
LEAST_SHARE: Final = 0.2
"""Of the minutes, that are spent learning however long the examples took to prepare."""


def teach(
    examples: Any, task: str | Task[Any], output: str | Path, clip: Any, config: TrainConfig, resume: bool
) -> Trained:
    """Does what `vid2vid.train` says; see there."""
    began = time.perf_counter()
    taught = task if isinstance(task, Task) else get_task(task)
    target = check_bundle_path(output, overwrite=config.overwrite)
    found = find_examples(examples, supervision=taught.supervision, clip=clip)
    if taught.name not in task_names():
        _LOG.warning("The task '%s' is not installed: its bundle renders only where a package declares it", taught.name)
    good = check_examples(found, strict=config.strict)
    for fault in good.faults:
        _LOG.warning("Left out %s", fault)
    from vid2vid.processes import main_first

    hashes = content_hashes(good)
    lesson = None if _pretrained(taught, config) else _lesson(taught, good, config)
    folder = target.parent / f".{target.name}.training"
    with main_first(config.device) as main:
        if main:
            _prepare(folder, taught, hashes, config, resume)
    keep: Callable[[], Bundle]
    if lesson is None:
        fitted, keep = _teach_adapters(taught, good, hashes, folder, target, config)
    else:
        fitted = _fit(lesson, folder, time.perf_counter() - began, config)
        keep = partial(_keep, taught, good, hashes, lesson, fitted, folder, target, config)
    with main_first(config.device) as main:
        if main:
            bundle = keep()
            if (folder / "tracker").is_dir():
                scalars = target.with_name(f"{target.name}.tracker")
                shutil.rmtree(scalars, ignore_errors=True)
                shutil.move(folder / "tracker", scalars)
            shutil.rmtree(folder, ignore_errors=True)
        else:
            bundle = load_bundle(target)
    return Trained(bundle, fitted.steps, time.perf_counter() - began, fitted.scores)


def _lesson(task: Task[Any], examples: Examples, config: TrainConfig) -> Lesson:
    own = task.lesson(examples, config)
    if own is not None:
        return own
    if task.backbone.name != "compact":
        raise InvalidOption(f"The task '{task.name}' runs on '{task.backbone.name}', which train() cannot teach.")
    from vid2vid.general_lesson import general_lesson

    return general_lesson(task, examples, config, weights_path(task))


def _pretrained(task: Task[Any], config: TrainConfig) -> bool:
    """Whether adapters of a pretrained model are taught.

    Raises:
        InvalidOption: the backbone is neither the task's own nor a diffusion model.
    """
    if config.backbone in (None, task.backbone.name):
        return False
    if config.backbone is not None and config.backbone.startswith("diffusers:"):
        return True
    raise InvalidOption(
        f"backbone={config.backbone!r}: train() teaches '{task.backbone.name}', or adapters of "
        "'diffusers:<hub id or folder>'."
    )


def _teach_adapters(
    task: Task[Any], examples: Examples, hashes: Mapping[str, str], folder: Path, target: Path, config: TrainConfig
) -> tuple[Fitted, Callable[[], Bundle]]:
    """Teaches adapters of a diffusion model; gives what writes their bundle."""
    from vid2vid.adapter_fitting import OWN, fit_adapters
    from vid2vid.adapter_lesson import AdapterLesson, load_to_teach

    model = load_to_teach(task, config)
    lesson = AdapterLesson(task, examples, model, config)
    with _bar(config.progress) as watch:
        fitted = fit_adapters(lesson, OWN.asked(config), folder, rank=config.rank, batch=config.batch or 1, watch=watch)
    return fitted, partial(_keep_adapters, task, examples, hashes, lesson, fitted, target, config)


def _keep_adapters(
    task: Task[Any],
    examples: Examples,
    hashes: Mapping[str, str],
    lesson: AdapterLesson,
    fitted: Fitted,
    target: Path,
    config: TrainConfig,
) -> Bundle:
    from vid2vid.backbones.diffusion.adapters import taken_out

    base = lesson.base(config.rank)
    first, last = (fitted.scores[0].values, fitted.scores[-1].values) if fitted.scores else ({}, {})
    recipe = {
        "base": base.location,
        "family": base.family,
        "prompt": base.prompt,
        "rank": base.rank,
        "window": base.window,
        "control": base.control,
        "seed": config.seed,
        "size": config.size,
        "steps": fitted.steps,
        "minutes": round(fitted.seconds / 60.0, 2),
        "stopped": fitted.stopped,
        "left_out": [str(fault) for fault in examples.faults],
    }
    return save_bundle(
        target,
        taken_out(lesson.model.pipe),
        task=task.name,
        backbone=BackboneConfig(name="diffusers"),
        channels=task.channels,
        data=hashes,
        metrics={**last, **{f"source_{name}": value for name, value in first.items()}},
        scores=[asdict(score) for score in fitted.scores],
        recipe=recipe,
        summary=f"The task `{task.name}` on {base.base}, taught on {len(examples)} {examples.kind}.",
        limits=(
            "It holds adapters only: rendering needs the base model, from the hub or by backbone='diffusers:FOLDER'.",
            "In the table, 'untouched source' is the base model before training.",
        ),
        measured="held-out windows",
        adapter=base,
        overwrite=config.overwrite,
    )


def _prepare(folder: Path, task: Task[Any], hashes: Mapping[str, str], config: TrainConfig, resume: bool) -> None:
    """Makes the folder where checkpoints lie; those of another task or of other examples are thrown away."""
    record = folder / "examples.json"
    facts: dict[str, Any] = {"task": task.name, "start": config.start, "size": config.size, "examples": dict(hashes)}
    if config.backbone is not None:
        facts |= {"backbone": config.backbone, "prompt": config.prompt, "window": config.window}
    learned = json.dumps(facts, sort_keys=True)
    if folder.exists():
        known = record.read_text("utf-8") if record.is_file() else None
        if resume and known != learned:
            _LOG.warning("'%s' is of other examples or settings: starting anew", folder)
        if not resume or known != learned:
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not record.is_file():
        replace_durably(record, learned.encode())


def _fit(lesson: Lesson, folder: Path, prepared_s: float, config: TrainConfig) -> Fitted:
    """Within the minutes, of which preparing the examples has already taken some."""
    from vid2vid.training import fit

    settings = lesson.config
    if settings.minutes is not None:
        left = max(LEAST_SHARE * settings.minutes, settings.minutes - prepared_s / 60.0)
        settings = replace(settings, minutes=left)
    with _bar(config.progress) as watch:
        return fit(lesson.net, lesson.windows, settings, folder, judge=lesson.judge, watch=watch)


def _keep(
    task: Task[Any],
    examples: Examples,
    hashes: Mapping[str, str],
    lesson: Lesson,
    fitted: Fitted,
    folder: Path,
    target: Path,
    config: TrainConfig,
) -> Bundle:
    kept = next((score for score in fitted.scores if score.step == fitted.kept_step), None)
    return save_bundle(
        target,
        lesson.net.cpu(),
        task=task.name,
        backbone=lesson.backbone,
        channels=lesson.channels,
        keys=[KeyPair(key.index, key.source, key.look) for key in lesson.keys],
        data=hashes,
        metrics=kept.values if kept else {},
        scores=[asdict(score) for score in fitted.scores],
        recipe=_recipe(lesson, fitted, config, examples.faults),
        previews=_previews(folder / "previews"),
        summary=lesson.summary,
        limits=_limits(task, lesson, config),
        measured=lesson.measured,
        overwrite=config.overwrite,
    )


def _limits(task: Task[Any], lesson: Lesson, config: TrainConfig) -> tuple[str, ...]:
    """What the card says beyond the lesson's own limits."""
    own = lesson.limits
    if config.size is not None:
        own += (f"It was learned at a short side of {config.size} pixels: render with size={config.size}.",)
    if task.name not in task_names():
        own += (
            f"It renders where a package declares the task '{task.name}', or where translate() is given that task.",
        )
    return own


def _recipe(lesson: Lesson, fitted: Fitted, config: TrainConfig, faults: Sequence[Any]) -> dict[str, Any]:
    return {
        "preset": config.preset,
        "start": lesson.start,
        "seed": config.seed,
        "size": config.size,
        "steps": fitted.steps,
        "minutes": round(fitted.seconds / 60.0, 2),
        "kept_step": fitted.kept_step,
        "stopped": fitted.stopped,
        "learning_rate": lesson.config.learning_rate,
        "losses": dict(lesson.config.losses),
        **lesson.facts,
        "left_out": [str(fault) for fault in faults],
    }


def _previews(folder: Path) -> Mapping[str, Path]:
    """The last sheet and the curve, which tell most."""
    return {path.stem: path for path in (folder / "latest.png", folder / "curve.png") if path.is_file()}


@contextmanager
def _bar(shown: bool) -> Iterator[Watch | None]:
    """A progress bar with loss, held-out ST-LPIPS and time left on stderr; none where that is no terminal."""
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[told]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        job = bar.add_task("training", total=1.0, told="")

        def watch(progress: Progress_) -> None:
            bar.update(job, completed=progress.share, told=_told(progress))

        yield watch


def _told(progress: Progress_) -> str:
    parts = [f"step {progress.step}"]
    for name, shown in (("l1", "L1"), ("loss", "loss")):
        if name in progress.losses:
            parts.append(f"{shown} {progress.losses[name]:.4f}")
    if progress.score is not None and "st_lpips" in progress.score.values:
        parts.append(f"ST-LPIPS {progress.score.values['st_lpips']:.4f}")
    if progress.seconds_left is not None:
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return ", ".join(parts)

"""From a call to a running render: everything is checked before a model loads."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.bundle import is_bundle, load_bundle
from vid2vid.config import RenderConfig
from vid2vid.errors import (
    ConsentRequired,
    InvalidBundle,
    InvalidOption,
    OutOfMemory,
    ReferenceRequired,
)
from vid2vid.io import FrameSource, open_source
from vid2vid.options import parse_options
from vid2vid.references import pictures_of, read_references
from vid2vid.registry import get_task, task_names, weights_path
from vid2vid.task import Task
from vid2vid.types import AUDIO_MODES, Request

if TYPE_CHECKING:
    from vid2vid.bundle import Bundle
    from vid2vid.config import BackboneConfig
    from vid2vid.pipeline import Timings
    from vid2vid.types import AudioMode, Event, Frame, Ground, Picture

CONSENTS: Final = ("self", "licensed", "synthetic", "public-domain")


@dataclass(frozen=True, slots=True)
class Call:
    """The words of a `translate()` call that tasks and backbones see; see there."""

    video: Any
    task: str | Path | Task[Any]
    reference: Any = None
    prompt: str | None = None
    backbone: str | None = None
    audio: str = "auto"
    consent: str | None = None
    fps: Any = None
    options: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked call, its source open at the first frame and no model loaded yet."""

    source: FrameSource
    task: Task[Any]
    request: Request
    config: RenderConfig
    audio: AudioMode
    weights: Path | None
    backbone: BackboneConfig
    channels: Mapping[str, int]
    bundle: Bundle | None = None
    """The trained bundle that was named as the task."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished render leaves behind besides its frames."""

    frames: int
    setup_s: float
    render_s: float
    timings: Timings
    task_report: Mapping[str, Any]
    device: str
    dtype: str
    events: tuple[Event, ...] = ()
    """What the task saw happen, in the order of time."""
    ground: Ground = "hard"
    """What feet meet, as the task tells."""


def make_plan(call: Call, config: RenderConfig) -> Plan:
    """Checks a call and opens its source.

    Raises:
        UsageError, InputError, PolicyError: whatever is wrong, before any model loads.
    """
    task, bundle = resolve_task(call.task)
    options = parse_options(task, {**(bundle.options if bundle else {}), **(call.options or {})})
    audio = _audio(call.audio, task)
    _check_needs(call, task, bundle)
    source = open_source(call.video, fps=call.fps, strict=config.strict)
    try:
        source = task.unfold(source, options)
        request = _request(call, bundle, options, source, config)
    except BaseException:
        source.close()
        raise
    if bundle is None:
        return Plan(source, task, request, config, audio, weights_path(task), task.backbone, task.channels)
    return Plan(source, task, request, config, audio, bundle.weights, bundle.backbone, bundle.channels, bundle)


def resolve_task(task: str | Path | Task[Any]) -> tuple[Task[Any], Bundle | None]:
    """The task meant, and the trained bundle where one was named.

    Raises:
        UnknownTask, BrokenPlugin, DuplicateTask: see `get_task`.
        InputError, ModelError: see `load_bundle`.
    """
    if isinstance(task, Task):
        return task, None
    name = os.fspath(task)
    if name not in task_names() and (is_bundle(name) or isinstance(task, Path) or os.sep in name):
        bundle = load_bundle(name)
        own = get_task(bundle.task)
        if dict(bundle.channels) != dict(own.channels):
            raise InvalidBundle(
                f"'{name}' was made for the maps {dict(bundle.channels)}, but the task '{own.name}' gives "
                f"{dict(own.channels)}. Train it again with this version."
            )
        return own, bundle
    return get_task(name), None


def _request(call: Call, bundle: Bundle | None, options: Any, source: FrameSource, config: RenderConfig) -> Request:
    width, height = working_size(source.info.width, source.info.height, config)
    shown = read_references(call.reference)
    return Request(
        info=source.info,
        width=width,
        height=height,
        options=options,
        references=pictures_of(shown),
        shown=shown,
        keys=bundle.keys if bundle else (),
        fitted=bundle is not None,
        scores=_finite(bundle.metrics) if bundle else {},
        open_source=source.reopen if source.reopenable else None,
        prompt=call.prompt,
        consent=call.consent,
        seed=config.seed,
        strength=config.strength,
    )


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those of a bundle's metrics that are numbers: a bundle may come from anybody."""
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float) and isfinite(value)}


def working_size(width: int, height: int, config: RenderConfig) -> tuple[int, int]:
    """Columns and rows to work at: the short side as asked, never above the source's own."""
    short = min(width, height)
    wanted = min(short, config.size or config.max_size)
    return max(1, round(width * wanted / short)), max(1, round(height * wanted / short))


def _audio(audio: str, task: Task[Any]) -> AudioMode:
    if audio not in AUDIO_MODES:
        raise InvalidOption(f"audio={audio!r}: one of {', '.join(AUDIO_MODES)} is needed.")
    chosen: AudioMode = task.audio if audio == "auto" else audio
    return chosen


def _check_needs(call: Call, task: Task[Any], bundle: Bundle | None) -> None:
    if call.backbone not in (None, task.backbone.name):
        raise InvalidOption(f"backbone={call.backbone!r}: the task '{task.name}' runs on '{task.backbone.name}'.")
    if call.prompt is not None and "prompt" not in task.needs:
        raise InvalidOption(
            f"prompt={call.prompt!r}: the task '{task.name}' on '{task.backbone.name}' takes no text. Leave it out."
        )
    if "reference" in task.needs and call.reference is None and not (bundle and bundle.keys):
        raise ReferenceRequired(
            f"The task '{task.name}' needs reference=: an image or clip of what it should look like."
        )
    if call.consent is not None and call.consent not in CONSENTS:
        raise InvalidOption(f"consent={call.consent!r}: one of {', '.join(CONSENTS)} is needed.")
    if "consent" in task.needs and call.consent is None:
        raise ConsentRequired(
            f"The task '{task.name}' shows a person: say on what basis with consent= one of {', '.join(CONSENTS)}."
        )


def run(
    plan: Plan,
    write: Callable[[Picture, Frame], None],
    *,
    advance: Callable[[int], None] = lambda count: None,
    frames: Iterable[Frame] | None = None,
) -> Outcome:
    """Loads the models and renders.

    Args:
        plan: from `make_plan`; its source is read to the end unless `frames` are given.
        write: takes every finished picture and its frame, in order.
        advance: told how many frames were finished.
        frames: the frames to render in place of the source's own.

    Raises:
        Vid2VidError: from any stage.
    """
    from vid2vid.backbones import build, choose_device, default_dtype
    from vid2vid.pipeline import Pipeline

    began = time.perf_counter()
    device = choose_device(plan.config.device)
    dtype = plan.config.dtype or default_dtype(device)
    with _memory_errors(plan):
        setup = plan.task.setup(plan.request, device)
        fitted = plan.task.generator(plan.request, setup, device)
        config, channels = (fitted.backbone, fitted.channels) if fitted else (plan.backbone, plan.channels)
        multiple = config.multiple_of
        height, width = plan.task.canvas(setup) or (plan.request.height, plan.request.width)
        size = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
        backbone = build(
            config,
            channels,
            weights=plan.weights,
            net=fitted.net if fitted else None,
            device=device,
            dtype=dtype,
            engine=plan.config.engine,
            size=size,
        )
        ready = time.perf_counter()
        pipeline = Pipeline(plan.task, setup, backbone, plan.request, plan.config, write, advance)
        count = pipeline.run(plan.source if frames is None else frames)
    ended = time.perf_counter()
    return Outcome(
        count,
        ready - began,
        ended - ready,
        pipeline.timings,
        plan.task.report(setup),
        str(device),
        dtype,
        tuple(sorted(pipeline.events, key=lambda event: event.time_s)),
        plan.task.ground(setup),
    )


@contextlib.contextmanager
def _memory_errors(plan: Plan) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "out of memory" not in str(error) and "can't allocate" not in str(error):
            raise
        raise OutOfMemory(
            f"There is not enough memory to work at {plan.request.width}x{plan.request.height}. Try a smaller size=."
        ) from error


def frame_total(source: FrameSource) -> int | None:
    """How many frames to expect, for progress bars and estimates; None if the container does not tell."""
    info = source.info
    if info.frame_count is not None:
        return info.frame_count
    if info.duration_s is not None:
        return max(1, round(Fraction(info.duration_s) * info.fps))
    return None

"""From a call to a running render: everything is checked before a model loads."""

from __future__ import annotations

import contextlib
import os
import reprlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vid2vid.adapter_base import with_base
from vid2vid.backbones.diffusion.location import is_location
from vid2vid.bundle import is_bundle, load_bundle
from vid2vid.config import RenderConfig
from vid2vid.errors import (
    ConsentRequired,
    InvalidBundle,
    InvalidOption,
    ReferenceRequired,
)
from vid2vid.hashing import file_hash
from vid2vid.headroom import check_headroom
from vid2vid.io import FrameSource, open_source
from vid2vid.options import parse_options
from vid2vid.pretrained import OPTION_NAMES, Pretrained, check_pretrained, split_options
from vid2vid.provenance.consent import BASES, read_consent
from vid2vid.references import pictures_of, read_references, reference_hash
from vid2vid.registry import get_task, task_names, weights_path
from vid2vid.task import Task
from vid2vid.types import AUDIO_MODES, Request

if TYPE_CHECKING:
    import torch

    from vid2vid.backbones.base import Backbone
    from vid2vid.bundle import Bundle
    from vid2vid.config import BackboneConfig, NumberFormat
    from vid2vid.journal import Journal
    from vid2vid.lesson import FittedGenerator
    from vid2vid.pipeline import Keeping, Timings
    from vid2vid.provenance.consent import Consent
    from vid2vid.types import AudioMode, Event, Frame, Ground, Picture


@dataclass(frozen=True, slots=True)
class Call:
    """The words of a `translate()` call that tasks and backbones see; see there."""

    video: Any
    task: str | Path | Task[Any]
    reference: Any = None
    prompt: str | None = None
    backbone: str | None = None
    audio: str = "auto"
    consent: Any = None
    fps: Any = None
    stream: Any = None
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("prompt", "backbone", "audio"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InvalidOption(f"{name}={reprlib.repr(value)}: text is needed.")
        if not isinstance(self.task, str | os.PathLike | Task):
            raise InvalidOption(f"task={reprlib.repr(self.task)}: a name, the path of a bundle or a Task is needed.")


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
    consent: Consent | None = None
    """The basis, or the record, on which people are shown."""
    pretrained: Pretrained | None = None
    """The pretrained model that runs the task in place of its own generator."""
    stream: int | None = None
    """Which of the source's picture streams was asked for."""


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
    conceded: tuple[str, ...] = ()
    """What had to be given up on the way for want of memory or of finite numbers, in plain words."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """What a pretrained model tells of this render; empty for others."""


def make_plan(call: Call, config: RenderConfig) -> Plan:
    """Checks a call and opens its source.

    Raises:
        UsageError, InputError, PolicyError: whatever is wrong, before any model loads.
    """
    task, bundle = resolve_task(call.task)
    call = replace(call, **with_base(bundle, call.backbone, call.prompt, call.options or {}))
    _check_needs(call, task, bundle)
    given, models = split_options(task, call.backbone, {**(bundle.options if bundle else {}), **(call.options or {})})
    options = parse_options(task, given, OPTION_NAMES if is_location(call.backbone) else ())
    audio = _audio(call.audio, task)
    pretrained = check_pretrained(task, call.backbone, models, call.prompt)
    config = _sized(config, pretrained)
    consent = _consent(call, task)
    source = open_source(call.video, fps=call.fps, strict=config.strict, stream=call.stream)
    try:
        source = task.unfold(source, options)
        request = _request(call, consent, bundle, options, source, config)
        _check_shown(consent, request, bundle)
        check_headroom(source.info.width, source.info.height, request.width, request.height)
    except BaseException:
        source.close()
        raise
    if bundle is None or bundle.adapter is not None:
        weights = None if pretrained and pretrained.in_windows else weights_path(task)
        made = weights, task.backbone, task.channels
    else:
        made = bundle.weights, bundle.backbone, bundle.channels
    return Plan(source, task, request, config, audio, *made, bundle, consent, pretrained, call.stream)


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


def _sized(config: RenderConfig, pretrained: Pretrained | None) -> RenderConfig:
    """Works at the size that a pretrained model knows, where the call says nothing."""
    short = pretrained.short_side() if pretrained and pretrained.in_windows else None
    return config if short is None else replace(config, max_size=min(short, config.max_size))


def _request(
    call: Call,
    consent: Consent | None,
    bundle: Bundle | None,
    options: Any,
    source: FrameSource,
    config: RenderConfig,
) -> Request:
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
        fitted=bundle is not None and bundle.adapter is None,
        adapted=bundle is not None and bundle.adapter is not None,
        scores=_finite(bundle.metrics) if bundle else {},
        open_source=source.reopen if source.reopenable else None,
        prompt=call.prompt,
        consent=None if consent is None else consent.basis,
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
    pretrained = is_location(call.backbone)
    if call.backbone not in (None, task.backbone.name) and not pretrained:
        raise InvalidOption(
            f"backbone={call.backbone!r}: the task '{task.name}' runs on '{task.backbone.name}', on "
            "'diffusers:<hub id or folder>' or on 'keyframes:<hub id or folder>'."
        )
    if pretrained and bundle is not None and bundle.adapter is None:
        raise InvalidOption(
            f"backbone={call.backbone!r}: '{bundle.path.name}' brings its own generator. Leave backbone out, or name "
            f"the task '{task.name}'."
        )
    if call.prompt is not None and "prompt" not in task.needs and not pretrained:
        raise InvalidOption(
            f"prompt={call.prompt!r}: the task '{task.name}' on '{task.backbone.name}' takes no text. Leave it out."
        )
    if "reference" in task.needs and call.reference is None and not (bundle and bundle.keys):
        raise ReferenceRequired(
            f"The task '{task.name}' needs reference=: an image or clip of what it should look like."
        )


def _consent(call: Call, task: Task[Any]) -> Consent | None:
    """The basis given, or the record, which has to cover this task today."""
    consent = read_consent(call.consent)
    if consent is not None:
        consent.check(task.name)
    elif "consent" in task.needs:
        raise ConsentRequired(
            f"The task '{task.name}' shows a person: say on what basis with consent= one of {', '.join(BASES)}, or "
            "give the path of a record from `vid2vid consent new`."
        )
    return consent


def _check_shown(consent: Consent | None, request: Request, bundle: Bundle | None) -> None:
    """Where a record lists pictures, those shown have to be among them; of a bundle, its weights."""
    if consent is not None and consent.references:
        shown = [reference_hash(one) for one in request.shown]
        consent.check_references(shown or ([file_hash(bundle.weights)] if bundle else []))


def run(
    plan: Plan,
    write: Callable[[Picture, Frame], None],
    *,
    advance: Callable[[int], None] = lambda count: None,
    frames: Iterable[Frame] | None = None,
    keeping: Keeping | None = None,
    journal: Journal | None = None,
) -> Outcome:
    """Loads the models and renders.

    Args:
        plan: from `make_plan`; its source is read to the end unless `frames` are given.
        write: takes every finished picture and its frame, in order.
        advance: told how many frames were finished.
        frames: the frames to render in place of the source's own.
        keeping: how the render is kept, and where it goes on.
        journal: where a generator that is fitted for this render is kept.

    Raises:
        Vid2VidError: from any stage.
    """
    from vid2vid.backbones import build, choose_device, default_dtype
    from vid2vid.backbones.base import Reporting
    from vid2vid.pipeline import Pipeline

    began = time.perf_counter()
    device = choose_device(plan.config.device)
    dtype = plan.config.dtype or default_dtype(device)
    plan = _key_framed(plan)
    with _memory_errors(plan):
        setup = plan.task.setup(plan.request, device)
        fitted = _fitted(plan, setup, device, journal)
        config, channels = (fitted.backbone, fitted.channels) if fitted else (plan.backbone, plan.channels)
        multiple = config.multiple_of
        windowed = plan.pretrained if plan.pretrained and plan.pretrained.in_windows else None
        canvas = None if windowed else plan.task.canvas(setup)
        height, width = canvas or (plan.request.height, plan.request.width)
        size = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)

        def make(numbers: NumberFormat) -> Backbone[Any]:
            if windowed is not None:
                return windowed.build(device, numbers, size)
            return build(
                config,
                channels,
                weights=plan.weights,
                # A net that has been put into smaller numbers once has lost the others.
                net=deepcopy(fitted.net) if fitted else None,
                device=device,
                dtype=numbers,
                engine=plan.config.engine,
                size=size,
            )

        in_single = None if dtype == "float32" else partial(make, "float32")
        pipeline = Pipeline(
            plan.task,
            setup,
            make(dtype),
            plan.request,
            plan.config,
            write,
            advance,
            keeping,
            in_single,
            windowed is not None,
        )
        ready = time.perf_counter()
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
        pipeline.conceded,
        pipeline.backbone.report() if isinstance(pipeline.backbone, Reporting) else {},
    )


def _key_framed(plan: Plan) -> Plan:
    """The plan; its task goes over key frames alone where a model is to make only those."""
    if plan.pretrained is None or plan.pretrained.in_windows:
        return plan
    from vid2vid.keyframing import Own, key_framed

    own = Own(plan.task, plan.backbone, plan.channels, plan.weights, plan.pretrained.prompt)
    return replace(plan, task=key_framed(own, plan.pretrained, plan.config.dtype))


def _fitted(plan: Plan, setup: Any, device: torch.device, journal: Journal | None) -> FittedGenerator | None:
    """The generator that the task fits for this render, or that it had fitted before an interruption."""
    kept = journal.fitted() if journal else None
    if kept is not None:
        plan.task.recall(setup, kept)
        return kept
    if plan.pretrained is not None and plan.pretrained.in_windows:
        return None
    fitted = plan.task.generator(plan.request, setup, device)
    if fitted is not None and journal is not None:
        journal.keep_fitted(fitted)
    return fitted


@contextlib.contextmanager
def _memory_errors(plan: Plan) -> Iterator[None]:
    from vid2vid.stepping import is_memory_error, out_of_memory

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        raise out_of_memory(error, plan.request) from error


def frame_total(source: FrameSource) -> int | None:
    """How many frames to expect, for progress bars and estimates; None if the container does not tell."""
    info = source.info
    if info.frame_count is not None:
        return info.frame_count
    if info.duration_s is not None:
        return max(1, round(Fraction(info.duration_s) * info.fps))
    return None

"""The render loop: decode, conditions, generator and output overlap, each a few chunks ahead of the next.

    reader thread ──> conditions thread ──> generator (caller's thread) ──> output thread

Every queue is bounded, so memory does not grow with the clip. The first error in any stage stops all of them and is
raised in the caller's thread.

A render that goes on from an earlier one sees every frame again up to the conditions, whose memory cannot be saved; the
generator, the composite and the output begin where the earlier one had ended.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vid2vid.audio import check_event
from vid2vid.composite import enlarge, resize, to_pictures, to_tensor
from vid2vid.conditions.motion import CutDetector, MotionTracker
from vid2vid.errors import BrokenPlugin
from vid2vid.staging import finish_staged, stage
from vid2vid.stepping import Standing, Stepper
from vid2vid.types import Chunk, Conditions, Event, Frame, Motion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vid2vid.backbones.base import Backbone
    from vid2vid.config import RenderConfig
    from vid2vid.staging import Staged
    from vid2vid.task import Task
    from vid2vid.types import Picture, Request

CHUNK_PIXELS: Final = 2_000_000
"""Pixels of source that a chunk may hold: larger frames travel in shorter chunks, which changes no result."""
_POLL_S: Final = 0.05

Item = TypeVar("Item")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk on its way to the generator."""

    frames: tuple[Frame, ...]
    chunk: Chunk
    """At the working size."""
    conditions: Conditions
    staged: Staged | None = None
    """The frames as the task made them by itself, where a pretrained model goes over them."""


@dataclass(frozen=True, slots=True)
class Made:
    """A chunk on its way out."""

    prepared: Prepared
    generated: Tensor | None
    """`(T, 3, h, w)` at the working size; None where an earlier render has finished these frames."""
    standing: Standing | None = None
    """Where the generator stands after these frames, where a segment ends with them."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a render is kept so that another can go on from it."""

    every: int
    """Frames of a segment."""
    keep: Callable[[Standing], None]
    """Takes where the render stands, at the end of every segment and of the film, when its frames are written."""
    begin: Standing = field(default_factory=Standing)
    """Where an earlier render had ended."""


@dataclass(slots=True)
class Timings:
    """Seconds that each stage worked, without waiting."""

    read: float = 0.0
    conditions: float = 0.0
    generator: float = 0.0
    output: float = 0.0
    cuts: list[int] = field(default_factory=list)
    """Frames at which a new shot begins."""


class _Stopped(Exception):
    """Another stage failed or the caller left."""


class _Pipe(Generic[Item]):
    """A bounded queue that ends, and that lets go when the render stops."""

    def __init__(self, depth: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[Item | None] = queue.Queue(depth)
        self._stop = stop

    def put(self, item: Item | None) -> None:
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=_POLL_S)
                return
        raise _Stopped

    def __iter__(self) -> Iterator[Item]:
        while True:
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                if self._stop.is_set():
                    raise _Stopped from None
                continue
            if item is None:
                return
            yield item


class Pipeline:
    """One render of one clip through a task and a backbone.

    Args:
        task, setup: the task and its own for this render.
        backbone: the generator.
        request: the checked call.
        config: how to run.
        write: takes each finished picture `(H, W, 3)` uint8 at the source's size, with its frame.
        advance: told the number of frames finished, for a progress bar.
        keeping: how the render is kept; None for one that is not.
        in_single: makes the generator in float32, where it is not that already.
        pretrained: whether the generator is a pretrained model, which makes whole pictures, whatever the task's canvas.
    """

    def __init__(
        self,
        task: Task[Any],
        setup: Any,
        backbone: Backbone[Any],
        request: Request,
        config: RenderConfig,
        write: Callable[[Picture, Frame], None],
        advance: Callable[[int], None],
        keeping: Keeping | None = None,
        in_single: Callable[[], Backbone[Any]] | None = None,
        pretrained: bool = False,
    ) -> None:
        self._task, self._setup, self._pretrained = task, setup, pretrained
        self._overlap, self._multiple_of = backbone.overlap, backbone.multiple_of
        self._request, self._config = request, config
        self._write, self._advance, self._keeping = write, advance, keeping
        self._begin = keeping.begin if keeping else Standing()
        self._stepper = Stepper(backbone, request, in_single, self._begin)
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._written = 0
        self.timings = Timings()
        self.events: list[Event] = []
        """What the task saw happen, as it told."""

    @property
    def backbone(self) -> Backbone[Any]:
        """The generator in use: the one given, or that in float32. Only here: the one given has to be let go then."""
        return self._stepper.backbone

    @property
    def conceded(self) -> tuple[str, ...]:
        """What had to be given up on the way, in plain words."""
        return tuple(self._stepper.conceded)

    def run(self, frames: Iterable[Frame]) -> int:
        """Renders all frames; gives their number.

        Raises:
            Vid2VidError: the first error of any stage.
        """
        depth = self._config.look_ahead
        read: _Pipe[tuple[Frame, ...]] = _Pipe(depth, self._stop)
        ready: _Pipe[Prepared] = _Pipe(depth, self._stop)
        made: _Pipe[Made] = _Pipe(depth, self._stop)
        threads = [
            self._start("reader", lambda: self._read(frames, read)),
            self._start("conditions", lambda: self._prepare(read, ready)),
            self._start("output", lambda: self._output(made)),
        ]
        try:
            self._generate(ready, made)
            for thread in threads:
                thread.join()
        except BaseException as error:
            self._fail(error)
            for thread in threads:
                thread.join()
        if self._errors:
            raise self._errors[0]
        return self._written

    def _start(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self._fail(error)

        thread = threading.Thread(target=guarded, name=f"vid2vid-{name}", daemon=True)
        thread.start()
        return thread

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, _Stopped):
            self._errors.append(error)
        self._stop.set()

    def _read(self, frames: Iterable[Frame], out: _Pipe[tuple[Frame, ...]]) -> None:
        length = min(
            self._config.chunk_length, max(1, CHUNK_PIXELS // (self._request.info.width * self._request.info.height))
        )
        collected: list[Frame] = []
        began = time.perf_counter()
        for frame in frames:
            collected.append(frame)
            if len(collected) == length or self._ends_segment(frame):
                self.timings.read += time.perf_counter() - began
                out.put(tuple(collected))
                collected = []
                began = time.perf_counter()
        if collected:
            out.put(tuple(collected))
        out.put(None)

    def _prepare(self, chunks: _Pipe[tuple[Frame, ...]], out: _Pipe[Prepared]) -> None:
        detector, tracker = CutDetector(), MotionTracker()
        for frames in chunks:
            began = time.perf_counter()
            pictures = [resize(frame.pixels, self._request.width, self._request.height) for frame in frames]
            cuts = frozenset(t for t, picture in enumerate(pictures) if self._config.detect_cuts and detector(picture))
            self.timings.cuts += [frames[t].index for t in sorted(cuts)]
            chunk = Chunk(to_tensor(pictures), frames[0].index, cuts)
            conditions = self._task.condition(chunk, self._setup)
            whose = f"The task '{self._task.name}' gave an event that"
            self.events += [check_event(event, whose, BrokenPlugin) for event in conditions.events]
            staged = None
            if self._pretrained and self._task.canvas(self._setup) is not None:
                staged = stage(self._task, self._setup, frames, chunk, conditions)
                conditions = staged.conditions
            if self._overlap == 0 and conditions.motion is None:
                conditions = _with_motion(conditions, tracker(pictures, cuts))
            self.timings.conditions += time.perf_counter() - began
            out.put(Prepared(frames, chunk, conditions, staged))
        out.put(None)

    def _ends_segment(self, frame: Frame) -> bool:
        return self._keeping is not None and (frame.index + 1) % self._keeping.every == 0

    def _generate(self, chunks: _Pipe[Prepared], out: _Pipe[Made]) -> None:
        given, pictures = self._begin.given, self._begin.part("pipeline.").get("pictures")
        waiting: deque[Prepared] = deque()
        for prepared in chunks:
            if prepared.frames[-1].index < self._begin.frames:
                out.put(Made(prepared, None))
                continue
            waiting.append(prepared)
            if prepared.frames[-1].index >= self._begin.given:
                pictures = _joined(pictures, self._step(prepared))
                given = prepared.frames[-1].index + 1
            pictures = self._hand_on(waiting, pictures, given, out)
        pictures = _joined(pictures, self._stepper.finish())
        self._hand_on(waiting, pictures, given, out)
        out.put(None)

    def _step(self, prepared: Prepared) -> Tensor:
        began = time.perf_counter()
        padded = pad_conditions(prepared.conditions, self._multiple_of)
        generated = self._stepper.step(prepared.chunk, padded)
        self.timings.generator += time.perf_counter() - began
        return generated

    def _hand_on(
        self, waiting: deque[Prepared], pictures: Tensor | None, given: int, out: _Pipe[Made]
    ) -> Tensor | None:
        """Hands on the chunks whose pictures are all there; gives the pictures left over."""
        canvas = None if self._pretrained else self._task.canvas(self._setup)
        height, width = canvas or (self._request.height, self._request.width)
        while waiting and pictures is not None and len(pictures) >= len(waiting[0].frames):
            prepared = waiting.popleft()
            count = len(prepared.frames)
            own, pictures = pictures[:count], pictures[count:]
            standing = None
            if self._ends_segment(prepared.frames[-1]):
                tensors = {**self._stepper.tensors(), "pipeline.pictures": pictures}
                standing = Standing(prepared.frames[-1].index + 1, given, self._stepper.single, tensors)
            out.put(Made(prepared, own[..., :height, :width], standing))
        return pictures

    def _output(self, chunks: _Pipe[Made]) -> None:
        recalled = not self._begin.frames
        for made in chunks:
            began = time.perf_counter()
            frames = made.prepared.frames
            if made.generated is not None:
                recalled = recalled or self._recall()
                pictures = self._finished(made, made.generated)
                for picture, frame in zip(pictures, frames, strict=True):
                    self._write(picture, frame)
            self._written += len(frames)
            if made.standing is not None:
                self._keep(made.standing)
            self.timings.output += time.perf_counter() - began
            self._advance(len(frames))
        if not recalled:
            self._recall()
        if self._keeping is not None and self._begin.frames < self._written and self._written % self._keeping.every:
            self._keep(Standing(self._written, self._written, self._stepper.single))

    def _finished(self, made: Made, generated: Tensor) -> list[Picture]:
        keeps_detail = self._task.keeps_detail and not self._pretrained
        return finish_chunk(self._task, self._setup, made, generated, self._config.strength, keeps_detail)

    def _recall(self) -> bool:
        """Gives the task back what its composite had remembered; staged frames have gone through it anew."""
        if self._pretrained and self._task.canvas(self._setup) is not None:
            return True
        self._task.load_memory(self._setup, self._begin.part("task."))
        return True

    def _keep(self, standing: Standing) -> None:
        memory = {f"task.{name}": value for name, value in self._task.save_memory(self._setup).items()}
        if self._keeping is not None:
            self._keeping.keep(replace(standing, tensors={**standing.tensors, **memory}))


def _joined(pictures: Tensor | None, more: Tensor | None) -> Tensor | None:
    if pictures is None or more is None:
        return more if pictures is None else pictures
    return torch.cat((pictures, more))


def finish_chunk(
    task: Task[Any], setup: Any, made: Made, generated: Tensor, strength: float, keeps_detail: bool
) -> list[Picture]:
    """Enlarges, composites and mixes with the source by strength: T pictures `(H, W, 3)` uint8 at the source's size."""
    chunk, frames = made.prepared.chunk, made.prepared.frames
    source = chunk.frames
    if frames[0].pixels.shape[:2] != tuple(source.shape[-2:]):
        source = to_tensor([frame.pixels for frame in frames])
    if made.prepared.staged is not None:
        result = finish_staged(made.prepared.staged, generated, source)
    else:
        canvas = task.canvas(setup)
        full = generated if canvas is not None else enlarge(generated, chunk.frames, source, keeps_detail)
        result = task.composite(Chunk(source, chunk.start, chunk.cuts), full, made.prepared.conditions, setup)
    if strength < 1.0:
        result = source + (result - source) * strength
    return to_pictures(result)


def pad_conditions(conditions: Conditions, multiple: int) -> Conditions:
    """Repeats the last rows and columns until height and width are multiples of `multiple`."""
    height, width = next(iter(conditions.maps.values())).shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not down and not right:
        return conditions

    def pad(tensor: Tensor) -> Tensor:
        return F.pad(tensor, (0, right, 0, down), mode="replicate")

    motion = conditions.motion
    return Conditions(
        maps={name: pad(value) for name, value in conditions.maps.items()},
        reference=None if conditions.reference is None else pad(conditions.reference),
        motion=None if motion is None else Motion(pad(motion.flow), pad(motion.weight)),
        mask=conditions.mask,
        tokens=conditions.tokens,
        events=conditions.events,
        notes=conditions.notes,
    )


def _with_motion(conditions: Conditions, motion: Motion) -> Conditions:
    return Conditions(
        conditions.maps,
        conditions.reference,
        motion,
        conditions.mask,
        conditions.tokens,
        conditions.events,
        conditions.notes,
    )

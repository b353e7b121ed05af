"""The render loop: decode, conditions, generator and output overlap, each a few chunks ahead of the next.

    reader thread ──> conditions thread ──> generator (caller's thread) ──> output thread

Every queue is bounded, so memory does not grow with the clip. The first error in any stage stops all of them and is
raised in the caller's thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import torch.nn.functional as F
from torch import Tensor

from vid2vid.audio import check_event
from vid2vid.composite import enlarge, resize, to_pictures, to_tensor
from vid2vid.conditions.motion import CutDetector, MotionTracker
from vid2vid.errors import BrokenPlugin
from vid2vid.types import Chunk, Conditions, Event, Frame, Motion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vid2vid.backbones.base import Backbone
    from vid2vid.config import RenderConfig
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


@dataclass(frozen=True, slots=True)
class Made:
    """A chunk on its way out."""

    prepared: Prepared
    generated: Tensor
    """`(T, 3, h, w)` at the working size."""


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
    ) -> None:
        self._task, self._setup, self._backbone = task, setup, backbone
        self._request, self._config = request, config
        self._write, self._advance = write, advance
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._written = 0
        self.timings = Timings()
        self.events: list[Event] = []
        """What the task saw happen, as it told."""

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
            if len(collected) == length:
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
            if self._backbone.overlap == 0 and conditions.motion is None:
                conditions = _with_motion(conditions, tracker(pictures, cuts))
            self.timings.conditions += time.perf_counter() - began
            out.put(Prepared(frames, chunk, conditions))
        out.put(None)

    def _generate(self, chunks: _Pipe[Prepared], out: _Pipe[Made]) -> None:
        state = self._backbone.start(self._request)
        height, width = self._task.canvas(self._setup) or (self._request.height, self._request.width)
        for prepared in chunks:
            began = time.perf_counter()
            padded = pad_conditions(prepared.conditions, self._backbone.multiple_of)
            generated, state = self._backbone.step(prepared.chunk, padded, state)
            generated = generated[..., :height, :width]
            self.timings.generator += time.perf_counter() - began
            out.put(Made(prepared, generated))
        out.put(None)

    def _output(self, chunks: _Pipe[Made]) -> None:
        for made in chunks:
            began = time.perf_counter()
            frames = made.prepared.frames
            pictures = finish_chunk(self._task, self._setup, made, self._config.strength)
            for picture, frame in zip(pictures, frames, strict=True):
                self._write(picture, frame)
            self._written += len(frames)
            self.timings.output += time.perf_counter() - began
            self._advance(len(frames))


def finish_chunk(task: Task[Any], setup: Any, made: Made, strength: float) -> list[Picture]:
    """Enlarges, composites and mixes with the source by strength: T pictures `(H, W, 3)` uint8 at the source's size."""
    chunk, frames = made.prepared.chunk, made.prepared.frames
    source = chunk.frames
    if frames[0].pixels.shape[:2] != tuple(source.shape[-2:]):
        source = to_tensor([frame.pixels for frame in frames])
    full = made.generated
    if task.canvas(setup) is None:
        full = enlarge(full, chunk.frames, source, task.keeps_detail)
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

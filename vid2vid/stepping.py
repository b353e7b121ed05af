"""Runs a backbone from chunk to chunk, and carries on where memory or a small number format fails it.

Too little memory: the chunk is halved, as often as needed; a causal backbone's result does not depend on that. Values
that are not finite: the generator goes over to float32, once and for the rest of the render. Both are logged and kept
in `conceded` for the report.
"""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import torch

from vid2vid.errors import NonFiniteOutput, OutOfMemory
from vid2vid.headroom import frame_megabytes
from vid2vid.types import Chunk, Conditions, Motion

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.backbones.base import Backbone
    from vid2vid.types import Request

_LOG = logging.getLogger(__name__)
_ASKED: Final = re.compile(r"tried to allocate ([\d.]+) ?(bytes|[KMG]iB)", re.IGNORECASE)
_UNITS: Final = {"bytes": 2**-20, "kib": 2**-10, "mib": 1.0, "gib": 2.0**10}


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a render has come: enough to go on from there."""

    frames: int = 0
    """Frames handed out."""
    given: int = 0
    """Frames that the backbone has been given; more than `frames` for one that works in windows."""
    single: bool = False
    """Whether the generator has gone over to float32."""
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    """What backbone, pipeline and task remember."""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Tensors of one of them, by their own names."""
        return {name[len(prefix) :]: value for name, value in self.tensors.items() if name.startswith(prefix)}


class Stepper:
    """One backbone on its way through one clip; owns its state.

    Args:
        backbone: the generator.
        request: the checked call.
        in_single: makes the same generator in float32; None where it is that already.
        begin: where an earlier render left off.
    """

    def __init__(
        self, backbone: Backbone[Any], request: Request, in_single: Callable[[], Backbone[Any]] | None, begin: Standing
    ) -> None:
        self._backbone, self._request, self._in_single = backbone, request, in_single
        self.single = False
        """Whether it has gone over to float32."""
        self._conceded: list[str] = []
        if begin.single and in_single is not None:
            self._backbone, self.single = in_single(), True
        own = begin.part("backbone.")
        self._state = self._backbone.load_state(own, request) if own else self._backbone.start(request)

    @property
    def backbone(self) -> Backbone[Any]:
        """The generator in use."""
        return self._backbone

    @property
    def conceded(self) -> list[str]:
        """What had to be given up on the way, here and by the generator itself, in plain words."""
        return list(dict.fromkeys((*self._conceded, *getattr(self._backbone, "conceded", ()))))

    def step(self, chunk: Chunk, conditions: Conditions) -> Tensor:
        """The pictures that are finished after a chunk: all of its own for a causal backbone.

        Raises:
            NonFiniteOutput: values are not finite in float32 either.
            OutOfMemory: not even one frame fits; names the memory asked for.
        """
        try:
            return self._halving(chunk, conditions)
        except NonFiniteOutput as error:
            if self._in_single is None or self.single:
                raise
            why = f"from frame {chunk.start} on, because {error}"
        # Outside the handler, or the error would keep alive the generator that is to make room.
        self._go_single(self._in_single, why)
        return self._halving(chunk, conditions)

    def finish(self) -> Tensor | None:
        """The pictures still inside a windowed backbone, after the last chunk.

        Raises:
            NonFiniteOutput: values are not finite in float32 either.
        """
        if not hasattr(self._backbone, "finish"):
            return None
        try:
            made: Tensor = self._backbone.finish(self._state)
            return made
        except NonFiniteOutput as error:
            if self._in_single is None or self.single:
                raise
            why = f"for the last frames, because {error}"
        self._go_single(self._in_single, why)
        made = self._backbone.finish(self._state)
        return made

    def tensors(self) -> dict[str, Tensor]:
        """The backbone's state by name."""
        return {f"backbone.{name}": value for name, value in self._backbone.save_state(self._state).items()}

    def _halving(self, chunk: Chunk, conditions: Conditions) -> Tensor:
        try:
            pictures, self._state = self._backbone.step(chunk, conditions, self._state)
            return pictures
        except (MemoryError, RuntimeError) as error:
            if not is_memory_error(error):
                raise
            if chunk.length == 1 or self._backbone.overlap:
                raise out_of_memory(error, self._request) from error
            self._concede(f"chunks of {chunk.length // 2} frames instead of {chunk.length}: memory was short")
        # Outside the handler, or the error would keep alive what filled the memory.
        with suppress(RuntimeError, AssertionError):
            torch.cuda.empty_cache()
        half = chunk.length // 2
        return torch.cat(
            [self._halving(_frames(chunk, span), _maps(conditions, span)) for span in (slice(half), slice(half, None))]
        )

    def _go_single(self, in_single: Callable[[], Backbone[Any]], why: str) -> None:
        """Goes over to float32. The generator in use is let go first: two may not fit."""
        self._concede(f"float32 {why}")
        self._conceded = self.conceded
        state = dict(self._backbone.save_state(self._state))
        del self._backbone, self._state
        gc.collect()
        with suppress(RuntimeError, AssertionError):
            torch.cuda.empty_cache()
        self._backbone, self.single = in_single(), True
        self._state = self._backbone.load_state(state, self._request)

    def _concede(self, what: str) -> None:
        _LOG.warning("The render goes on with %s.", what)
        if what not in self._conceded:
            self._conceded.append(what)


def is_memory_error(error: BaseException) -> bool:
    """Whether an error says that memory is missing, on the machine or the accelerator."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate" in text


def out_of_memory(error: BaseException, request: Request) -> OutOfMemory:
    """The error for a caller, with the memory that was asked for where that is told."""
    found = _ASKED.search(str(error))
    info = request.info
    usual = frame_megabytes(info.width, info.height, request.width, request.height)
    megabytes = float(found[1]) * _UNITS[found[2].lower()] if found else usual
    asked = f"{megabytes:,.0f} MB more were asked for" if found else f"one frame takes about {megabytes:,.0f} MB"
    return OutOfMemory(
        f"There is not enough memory to work at {request.width}x{request.height}: {asked}. Try a smaller size=, "
        "or free memory."
    )


def _frames(chunk: Chunk, span: slice) -> Chunk:
    start, stop, _ = span.indices(chunk.length)
    cuts = frozenset(cut - start for cut in chunk.cuts if start <= cut < stop)
    return Chunk(chunk.frames[span], chunk.start + start, cuts)


def _maps(conditions: Conditions, span: slice) -> Conditions:
    motion = conditions.motion
    return replace(
        conditions,
        maps={name: value[span] for name, value in conditions.maps.items()},
        reference=None if conditions.reference is None else conditions.reference[span],
        motion=None if motion is None else Motion(motion.flow[span], motion.weight[span]),
        mask=None if conditions.mask is None else conditions.mask[span],
    )

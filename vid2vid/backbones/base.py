"""The contract of a generator, whatever makes its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from vid2vid.types import Chunk, Conditions, Request

StateT = TypeVar("StateT")


class Backbone(Protocol[StateT]):
    """Makes pictures from conditions, chunk by chunk, in order.

    All memory between chunks sits in the state, which the caller owns. For a causal backbone (`overlap == 0`) the
    result is the same however a clip is cut into chunks; noise for frame i depends on (seed, i) alone.
    """

    window: int
    """Frames that a windowed backbone takes at once; 1 for a causal one."""
    overlap: int
    """Frames shared by neighbouring windows; 0 for a causal one."""
    multiple_of: int
    """Height and width of what it is given must be multiples of this; the pipeline pads and crops."""

    def start(self, request: Request) -> StateT:
        """Gives the state before the first frame."""
        ...

    def step(self, chunk: Chunk, conditions: Conditions, state: StateT) -> tuple[Tensor, StateT]:
        """Makes the pictures of one chunk.

        Returns:
            `(T, 3, H, W)` float32 in [0, 1], and the state for the next chunk; the state given stays as it was. A
            windowed backbone gives those that are finished by now, in order: none at first, and more than T later.
        """
        ...

    def save_state(self, state: StateT) -> Mapping[str, Tensor]:
        """The state as named tensors, fit for safetensors."""
        ...

    def load_state(self, tensors: Mapping[str, Tensor], request: Request) -> StateT:
        """The state that `save_state` gave."""
        ...


class WindowedBackbone(Backbone[StateT], Protocol[StateT]):
    """A backbone that looks at `window` frames at once and therefore hands pictures out late.

    A cut ends a window: the frames before it are finished within the `step` that brings it.
    """

    def finish(self, state: StateT) -> Tensor:
        """Gives the pictures of the frames still in flight, after the last chunk: `(K, 3, H, W)`; K may be 0."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """A backbone that has something to tell of a render."""

    def report(self) -> Mapping[str, Any]:
        """JSON values: which model, its windows, what it had to do without."""
        ...

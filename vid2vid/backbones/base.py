"""The contract of a generator, whatever makes its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

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
            `(T, 3, H, W)` float32 in [0, 1], and the state for the next chunk; the state given stays as it was.
        """
        ...

    def save_state(self, state: StateT) -> Mapping[str, Tensor]:
        """The state as named tensors, fit for safetensors."""
        ...

    def load_state(self, tensors: Mapping[str, Tensor], request: Request) -> StateT:
        """The state that `save_state` gave."""
        ...

"""Noise that belongs to the frames of a clip, not to the window that draws it.

Convention:
    Latent frame j of a window that begins at frame s stands for the pictures from s + step * j; its noise comes from
    (seed, s + step * j, number of the draw) alone, so that windows that share frames share their noise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.family import Family

_WHOLE: Final = -1_000_000
"""Stands for a frame where a draw has no axis of frames."""


def generator_for(*words: int) -> torch.Generator:
    """A generator on the CPU, seeded from whole numbers of any sign; the same there and everywhere."""
    entropy = [word & 0xFFFFFFFFFFFFFFFF for word in words]
    state = np.random.SeedSequence(entropy).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 32 | int(state[1]))


@dataclass(frozen=True, slots=True)
class Places:
    """Which frame of the clip each latent frame of a window stands for."""

    frames: tuple[int, ...]
    """Of the latents that the pipeline draws; negative for those that references take."""
    axis: int
    seed: int

    def draw(self, shape: Sequence[int], number: int) -> Tensor:
        """Standard normal values of a shape; `number` tells draws of one window apart."""
        for axis in (self.axis, 0):
            # Encoders that see frame by frame put the frames where others have the batch.
            if axis < len(shape) and len(shape) >= 4 and shape[axis] == len(self.frames) and len(self.frames) > 1:
                one = (*shape[:axis], *shape[axis + 1 :])
                drawn = [torch.randn(one, generator=generator_for(self.seed, f, number)) for f in self.frames]
                return torch.stack(drawn, axis)
        first = next((frame for frame in self.frames if frame >= 0), 0)
        return torch.randn(tuple(shape), generator=generator_for(self.seed, _WHOLE + first, number))


def places_of(family: Family, brief: Brief) -> Places:
    """Where a window's noise comes from."""
    lead, grid = family.lead(brief), family.grid
    frames = [brief.start + grid.step * j for j in range(grid.latents(brief.length))]
    return Places((*range(-lead, 0), *frames), family.latent_axis, brief.seed)


class _Drawing(TorchFunctionMode):
    """While entered, `torch.randn` and its like give the noise of the window's frames; only in this thread."""

    def __init__(self, places: Places, count: list[int]) -> None:
        super().__init__()
        self._places, self._count = places, count

    def __torch_function__(
        self, function: Callable[..., Any], kinds: Any, arguments: tuple[Any, ...] = (), words: Any = None
    ) -> Any:
        words = words or {}
        if function is torch.randn:
            shape = words.get("size", arguments[0] if arguments and not isinstance(arguments[0], int) else arguments)
            return self._drawn(tuple(shape), words.get("dtype"), words.get("device"))
        if function is torch.randn_like:
            like = arguments[0]
            return self._drawn(like.shape, words.get("dtype") or like.dtype, words.get("device") or like.device)
        return function(*arguments, **words)

    def _drawn(self, shape: Sequence[int], dtype: Any, device: Any) -> Tensor:
        self._count[0] += 1
        with torch._C.DisableTorchFunction():
            return self._places.draw(shape, self._count[0]).to(device=device, dtype=dtype or torch.float32)


@contextmanager
def frame_noise(pipe: Any, places: Places) -> Iterator[None]:
    """Within it, what a pipeline draws to start from, and what its scheduler draws, is the noise of the frames.

    Only those two are touched, and only of this pipeline object: the network itself runs untouched, so that it can be
    compiled.
    """
    count = [0]
    owners = [(pipe, "prepare_latents"), (getattr(pipe, "scheduler", None), "step")]
    changed = [(owner, name, vars(owner).get(name)) for owner, name in owners if hasattr(owner, name)]
    for owner, name, _ in changed:
        setattr(owner, name, _within(getattr(owner, name), places, count))
    try:
        yield
    finally:
        for owner, name, before in changed:
            delattr(owner, name)
            if before is not None:
                setattr(owner, name, before)


def _within(function: Callable[..., Any], places: Places, count: list[int]) -> Callable[..., Any]:
    @functools.wraps(function)
    def drawing(*arguments: Any, **words: Any) -> Any:
        with _Drawing(places, count):
            return function(*arguments, **words)

    return drawing

"""One call of a diffusers pipeline: one window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vid2vid.backbones.diffusion.carrying import Carrier
from vid2vid.backbones.diffusion.noise import frame_noise, generator_for, places_of
from vid2vid.errors import OutOfMemory

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.loading import Model


def call(
    model: Model, brief: Brief, before: tuple[Tensor, ...], kept_from: int, shared: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Makes the pictures of one window.

    Args:
        model: whose pipeline is called.
        brief: what the window is to show.
        before: for each step, the latents that the window before left; empty at a shot's beginning.
        kept_from: frame of this window at which the next one begins.
        shared: frames that it shares with the next one; 0 where there is none.

    Returns:
        `(T, 3, H, W)` float32 on the CPU, not yet checked or clamped; and the latents for the window after.

    Raises:
        OutOfMemory: with what the family is known to need.
    """
    family, pipe = model.family, model.pipe
    words = family.arguments(pipe, brief)
    carrier = Carrier(family, brief, kept_from, shared, before)
    if family.carries_latents:
        words["callback_on_step_end"] = carrier
    words["generator"] = generator_for(brief.seed, brief.start)
    with torch.no_grad(), told_of_memory(model, brief), family.calling(pipe, brief):
        with frame_noise(pipe, places_of(family, brief)):
            output = pipe(**words, output_type=family.output_type)
        return family.pictures(output), tuple(carrier.kept)


@contextmanager
def told_of_memory(model: Model, brief: Brief) -> Iterator[None]:
    """Within it, running out of memory is told with what the brief is known to need.

    Raises:
        OutOfMemory: in place of the libraries' own errors.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _out_of_memory(error):
            raise
        with suppress(AttributeError):  # parts that had come onto the accelerator for the call go back
            model.pipe.maybe_free_model_hooks()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        height, width = brief.size
        raise OutOfMemory(
            f"A window of {brief.length} frames at {width}x{height} does not fit into memory; about "
            f"{model.needed_mb(brief.length, height, width):,.0f} MB are needed. Try a smaller size= or window=, or "
            "offload='sequential'."
        ) from error


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error) or "can't allocate" in str(error)

"""A few frames of one clip diffused together, so that they agree, by whatever pipeline there is.

Image models see all frames at once through their self-attention, or as one large picture. Video models see them as a
short clip in which every frame is held for as long as one of their latent frames lasts.

Source:
    Self-attention over all key frames: Geyer et al., "TokenFlow: Consistent Diffusion Features for Consistent Video
    Editing", 2024. Frames as one grid: Kara et al., "RAVE", 2024. Neither's carrying to other frames is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vid2vid.backbones.diffusion.calling import call, told_of_memory
from vid2vid.backbones.diffusion.noise import generator_for
from vid2vid.backbones.diffusion.pictures import to_frames
from vid2vid.backbones.diffusion.strength import steps_left
from vid2vid.errors import InvalidOption, NonFiniteOutput

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.loading import Model

Agreement = Literal["auto", "attention", "grid", "none"]
_NOISE: Final = -7
"""In place of a frame's number: all key frames begin from the same noise, so that what stands still comes out alike."""
_SELF: Final = "attn1"
"""Name of self-attention in the U-Nets of diffusers."""


@dataclass(frozen=True, slots=True)
class Diffused:
    """Key frames as a model made them."""

    pictures: Tensor
    """`(K, 3, H, W)` in [0, 1]."""
    way: str
    """How they were made to agree: `attention`, `grid`, `none` or `clip`."""
    evaluations: int
    """Pictures times steps that the denoiser went over, guidance counted twice."""


def diffuse_together(model: Model, brief: Brief, agree: Agreement = "auto") -> Diffused:
    """Diffuses the frames of a brief, which need not follow one another, in one call of the pipeline.

    Args:
        model: an image or video model.
        brief: K frames with their controls.
        agree: how an image model makes them alike; `auto` shares attention where the model has a U-Net.

    Raises:
        InvalidOption: the model cannot do what `agree` asks for.
        NonFiniteOutput: values that are not finite.
        OutOfMemory: they do not fit.
    """
    if model.family.name != "images":
        made, way = _as_clip(model, brief), "clip"
    else:
        way = _way(model, agree) if brief.length > 1 else "none"
        made = _as_grid(model, brief) if way == "grid" else _as_batch(model, brief, way == "attention")
    if not torch.isfinite(made).all():
        raise NonFiniteOutput("A key frame holds values that are not finite. Try dtype='float32' or 'bfloat16'.")
    return Diffused(made.clamp(0.0, 1.0), way, evaluations(model, brief))


def evaluations(model: Model, brief: Brief) -> int:
    """Pictures times steps that the denoiser goes over for a brief."""
    steps = brief.steps if model.family.from_noise else steps_left(brief)
    return brief.length * steps * (2 if brief.guidance > 1.0 else 1)


def _as_clip(model: Model, brief: Brief) -> Tensor:
    """Each frame held for one latent frame; of each stay the last picture is taken."""
    grid = model.family.grid
    order = [0] * (grid.offset or grid.step)
    for frame in range(1, brief.length):
        order += [frame] * grid.step
    stays = [len(order) - 1 - order[::-1].index(frame) for frame in range(brief.length)]
    order += [brief.length - 1] * (grid.fit(len(order)) - len(order))
    return call(model, _chosen(brief, order), (), len(order), 0)[0][stays]


def _chosen(brief: Brief, order: list[int]) -> Brief:
    def pick(frames: Tensor | None) -> Tensor | None:
        return None if frames is None else frames[order]

    return replace(
        brief,
        video=brief.video[order],
        source=brief.source[order],
        controls={kind: frames[order] for kind, frames in brief.controls.items()},
        mask=pick(brief.mask),
        plate=pick(brief.plate),
    )


def _way(model: Model, agree: Agreement) -> str:
    able = hasattr(getattr(model.pipe, "unet", None), "attn_processors")
    if agree == "attention" and not able:
        raise InvalidOption(
            f"agree='attention': {type(model.pipe).__name__} has no U-Net whose attention could be shared. "
            "Use agree='grid'."
        )
    return ("attention" if able else "grid") if agree == "auto" else agree


def _as_batch(model: Model, brief: Brief, shared: bool) -> Tensor:
    with _shared_attention(model.pipe, brief.length if shared else 1):
        return _call_images(model, brief)


def _as_grid(model: Model, brief: Brief) -> Tensor:
    """All frames beside one another in one picture; places that are left over repeat the last frame."""
    columns = ceil(sqrt(brief.length))
    rows = ceil(brief.length / columns)
    order = [min(place, brief.length - 1) for place in range(rows * columns)]
    height, width = brief.size

    def laid_out(frames: Tensor) -> Tensor:
        tiles = frames[order].view(rows, columns, -1, height, width)
        return tiles.permute(2, 0, 3, 1, 4).reshape(1, -1, rows * height, columns * width)

    whole = replace(
        brief,
        video=laid_out(brief.video),
        source=laid_out(brief.source),
        controls={kind: laid_out(frames) for kind, frames in brief.controls.items() if frames.shape[-2:] == brief.size},
        mask=None if brief.mask is None else laid_out(brief.mask),
        plate=None,
    )
    made = _call_images(model, whole)[0]
    tiles = made.view(3, rows, height, columns, width).permute(1, 3, 0, 2, 4)
    return tiles.reshape(-1, 3, height, width)[: brief.length]


def _call_images(model: Model, brief: Brief) -> Tensor:
    """One call of an image pipeline for a batch of pictures."""
    words = model.family.arguments(model.pipe, brief)
    words["generator"] = [generator_for(brief.seed, _NOISE) for _ in range(brief.length)]
    with torch.no_grad(), told_of_memory(model, brief):
        made = to_frames(model.pipe(**words, output_type="pt").images)
    height, width = brief.size
    if made.shape[-2:] != (height, width):  # some pipelines round to a coarser grid than their family says
        made = F.interpolate(made, (height, width), mode="bilinear", align_corners=False)
    return made


class _Together:
    """Self-attention in which every picture of a group sees all of them.

    Args:
        inner: the processor that computes it.
        count: pictures in a group; a batch holds one or more groups, such as with and without the prompt.
    """

    def __init__(self, inner: Any, count: int) -> None:
        self._inner, self._count = inner, count

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *rest: Any, **words: Any
    ) -> Tensor:
        if encoder_hidden_states is None and hidden_states.shape[0] % self._count == 0:
            _, places, channels = hidden_states.shape
            whole = hidden_states.reshape(-1, self._count * places, channels)
            encoder_hidden_states = whole.repeat_interleave(self._count, 0)
        made: Tensor = self._inner(attn, hidden_states, encoder_hidden_states, *rest, **words)
        return made


@contextmanager
def _shared_attention(pipe: Any, count: int) -> Iterator[None]:
    """Within it, the pipeline's networks see all pictures of a group at once; the processors are put back after."""
    networks = [net for net in (getattr(pipe, "unet", None), getattr(pipe, "controlnet", None)) if net is not None]
    before = [(net, dict(net.attn_processors)) for net in networks if hasattr(net, "attn_processors") and count > 1]
    try:
        for net, own in before:
            changed = {name: _Together(one, count) if _SELF in name else one for name, one in own.items()}
            net.set_attn_processor(changed)
        yield
    finally:
        for net, own in before:
            net.set_attn_processor(own)

"""Frames that wait for their window, with everything that is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from vid2vid.backbones.diffusion.brief import Brief

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.choosing import Wanted
    from vid2vid.backbones.diffusion.loading import Model
    from vid2vid.types import Chunk, Conditions, Request

_CONTROL: Final = "control."
_PREFIX: Final = "waiting."


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """N consecutive frames. Pictures are kept as bytes: a window of them would else take four times the memory."""

    start: int
    """Index of the first frame within the clip."""
    pictures: Mapping[str, Tensor]
    """`source`, `video`, `mask`, `plate`, `control.<kind>` -> `(N, C, H, W)` uint8."""

    @staticmethod
    def empty() -> Gathered:
        """No frames."""
        return Gathered(0, {})

    @property
    def length(self) -> int:
        """Number of frames."""
        return int(self.pictures["video"].shape[0]) if self.pictures else 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width; 1 and 1 where there is nothing."""
        if not self.pictures:
            return (1, 1)
        height, width = self.pictures["video"].shape[-2:]
        return (int(height), int(width))

    def __add__(self, other: Gathered) -> Gathered:
        """These frames and those that follow."""
        if not self.length:
            return other
        shared = {name: torch.cat((value, other.pictures[name])) for name, value in self.pictures.items()}
        return Gathered(self.start, shared)

    def after(self, count: int) -> Gathered:
        """Without the first `count` frames."""
        return Gathered(self.start + count, {name: value[count:].clone() for name, value in self.pictures.items()})

    def first(self, count: int) -> Gathered:
        """Only the first `count` frames."""
        return Gathered(self.start, {name: value[:count] for name, value in self.pictures.items()})

    def padded(self, length: int) -> Gathered:
        """As long as a window: going back in time from the last frame, and forth again where that is not enough."""
        if length <= self.length:
            return self
        turn = list(range(self.length)) + list(range(self.length - 2, 0, -1))
        order = [turn[k % len(turn)] for k in range(length)]
        return Gathered(self.start, {name: value[order] for name, value in self.pictures.items()})

    def tensors(self) -> Mapping[str, Tensor]:
        """As named tensors."""
        named = {_PREFIX + name: value.contiguous() for name, value in self.pictures.items()}
        return {**named, "start": torch.tensor(self.start)}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> Gathered:
        """What `tensors` gave."""
        pictures = {name[len(_PREFIX) :]: value for name, value in tensors.items() if name.startswith(_PREFIX)}
        return Gathered(int(tensors["start"]), pictures)

    def brief(self, model: Model, request: Request) -> Brief:
        """What these frames are to become."""
        frames = {name: value.float().div_(255.0) for name, value in self.pictures.items()}
        settings = model.settings(request)
        controls = {name[len(_CONTROL) :]: frame for name, frame in frames.items() if name.startswith(_CONTROL)}
        missing = [kind for kind in model.wanted.derived if kind not in controls]
        # Lines are those of what the task has laid out already; who moves how is seen in the film itself.
        controls |= {kind: model.drawn(kind, frames["video" if kind == "line_art" else "source"]) for kind in missing}
        return Brief(
            video=frames["video"],
            source=frames["source"],
            controls=controls,
            control=model.wanted.control,
            mask=frames.get("mask"),
            plate=frames.get("plate"),
            references=request.references,
            prompt=settings.prompt,
            negative_prompt=settings.negative_prompt,
            strength=settings.strength,
            steps=settings.steps,
            guidance=settings.guidance,
            control_scale=model.options.control_scale,
            start=self.start,
            seed=request.seed,
        )


def gather(chunk: Chunk, conditions: Conditions, begin: int, end: int, wanted: Wanted) -> Gathered:
    """Takes the frames from `begin` to `end` of a chunk with their conditions.

    Returns:
        Everything at the frames' size, with the last rows and columns repeated up to a multiple of `multiple_of`.
    """
    frames, maps = chunk.frames[begin:end], conditions.maps
    if begin == end:
        return Gathered.empty()
    height, width = frames.shape[-2:]
    cut = {name: value[begin:end, :, :height, :width] for name, value in maps.items()}
    video = _video(frames, cut, conditions, begin, end)
    pictures = {"source": frames, "video": video}
    mask = cut[wanted.maps["mask"]] if wanted.maps.get("mask") in cut else _part(conditions.mask, begin, end)
    if mask is not None:
        pictures["mask"] = mask
    if wanted.maps.get("plate") in cut:
        pictures["plate"] = cut[wanted.maps["plate"]]
    for kind, name in wanted.maps.items():
        if kind not in ("mask", "plate") and name in cut:
            pictures[_CONTROL + kind] = _coloured(cut[name])
    return Gathered(chunk.start + begin, {name: _kept(value, wanted.multiple_of) for name, value in pictures.items()})


def _part(tensor: Tensor | None, begin: int, end: int) -> Tensor | None:
    return None if tensor is None else tensor[begin:end]


def _video(frames: Tensor, maps: Mapping[str, Tensor], conditions: Conditions, begin: int, end: int) -> Tensor:
    """The task's own picture, or the frame, and over it the aligned reference as far as it is valid."""
    own = maps.get("source")
    video = frames if own is None or own.shape[1] != 3 or own.shape[-2:] != frames.shape[-2:] else own
    reference = _part(conditions.reference, begin, end)
    if reference is None:
        return video
    reference = reference[..., : frames.shape[-2], : frames.shape[-1]]
    return torch.lerp(video, reference[:, :3], reference[:, 3:])


def _coloured(picture: Tensor) -> Tensor:
    return picture if picture.shape[1] == 3 else picture[:, :1].expand(-1, 3, -1, -1)


def _kept(frames: Tensor, multiple: int) -> Tensor:
    down, right = -frames.shape[-2] % multiple, -frames.shape[-1] % multiple
    if down or right:
        frames = F.pad(frames, (0, right, 0, down), mode="replicate")
    return frames.clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8)

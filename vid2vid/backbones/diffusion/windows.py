"""The diffusion backbone: any length in constant memory, window by window.

    frames ──> gathered until a window is full ──> Brief ──> pipeline ──> cross-fade with the window before ──> out

Windows share `overlap` frames. Where they meet, three things make them agree: the same noise for the same frame,
latents carried along at every step, and a cross-fade of the pictures. Against drift, the first window of a shot is
remembered.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vid2vid.backbones.diffusion.brief import Brief
from vid2vid.backbones.diffusion.calling import call
from vid2vid.backbones.diffusion.carrying import fade
from vid2vid.backbones.diffusion.choosing import left_out
from vid2vid.backbones.diffusion.gathering import Gathered, gather
from vid2vid.backbones.diffusion.remembering import Memory, corrected, remember
from vid2vid.errors import NonFiniteOutput, OutOfMemory

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.loading import Model
    from vid2vid.types import Chunk, Conditions, Request

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class WindowState:
    """What one render carries. Frames in flight lie in `waiting`, of which the first `len(held)` are made already."""

    request: Request
    """The checked call; not part of what is saved."""
    waiting: Gathered
    """Frames not yet handed out, and what is known of them."""
    window: int
    """Frames of a window; smaller once memory ran out."""
    held: Tensor | None = None
    """`(overlap, 3, H, W)`: the last window's pictures of frames that the next one shares; None at a shot's start."""
    trajectory: tuple[Tensor, ...] = ()
    """For each step, the latents of those frames."""
    memory: Memory | None = None
    """Of the shot's first window."""
    shrunk: bool = False
    """Whether the window was made smaller because memory ran out."""
    windows: int = 0
    """Windows made so far."""


@dataclass(slots=True, eq=False)
class DiffusionBackbone:
    """Runs a pretrained video diffusion model over windows of a clip.

    Args:
        model: the loaded pipeline, its family and how it is to run.
    """

    model: Model
    window: int = field(init=False)
    overlap: int = field(init=False)
    multiple_of: int = field(init=False)
    notes: list[str] = field(default_factory=list)
    """What the model could not use, for the report."""
    conceded: list[str] = field(default_factory=list)
    """What had to be given up on the way, for the report."""
    windows_made: int = 0

    def __post_init__(self) -> None:
        self.window, self.overlap = self.model.window, self.model.overlap
        self.multiple_of = self.model.family.multiple_of

    def start(self, request: Request) -> WindowState:
        """Gives the state before the first frame."""
        self._say(request)
        return WindowState(request, Gathered.empty(), self.window)

    def step(self, chunk: Chunk, conditions: Conditions, state: WindowState) -> tuple[Tensor, WindowState]:
        """Takes the frames of a chunk, and makes the windows that are full.

        Args:
            chunk: frames at the working size.
            conditions: of the same frames, at the working size or padded beyond it.
            state: of the frames before; it is not changed.

        Returns:
            `(K, 3, H, W)` float32 in [0, 1] on the CPU: the pictures that are finished, in order, from the first frame
            that none was given of yet; K may be 0. And the next state.

        Raises:
            NonFiniteOutput: naming the frame.
            OutOfMemory: even a smaller window does not fit.
        """
        done: list[Tensor] = []
        begin = 0
        for cut in (*sorted(cut for cut in chunk.cuts if cut > 0), chunk.length):
            if begin in chunk.cuts:
                rest, state = self._closed(state)
                done.append(rest)
            state = replace(state, waiting=state.waiting + gather(chunk, conditions, begin, cut, self.model.wanted))
            while state.waiting.length >= state.window:
                made, state = self._windowed(state)
                done.append(made)
            begin = cut
        return torch.cat([part for part in done if part.shape[0]] or [torch.zeros(0, 3, *state.waiting.size)]), state

    def finish(self, state: WindowState) -> Tensor:
        """The pictures of all frames that are still in flight, `(K, 3, H, W)`; K may be 0."""
        return self._closed(state)[0]

    def save_state(self, state: WindowState) -> Mapping[str, Tensor]:
        """The state as named tensors, frames in flight among them."""
        counts = {"window": state.window, "shrunk": state.shrunk, "windows": state.windows}
        named = {**state.waiting.tensors(), **{name: torch.tensor(value) for name, value in counts.items()}}
        if state.held is not None:
            named["held"] = state.held.contiguous()
        named |= {f"trajectory.{k:04d}": value for k, value in enumerate(state.trajectory)}
        return named if state.memory is None else {**named, **state.memory.tensors()}

    def load_state(self, tensors: Mapping[str, Tensor], request: Request) -> WindowState:
        """The state that `save_state` gave."""
        self._say(request)
        steps = sorted(name for name in tensors if name.startswith("trajectory."))
        self.windows_made = int(tensors["windows"])
        return WindowState(
            request,
            Gathered.from_tensors(tensors),
            int(tensors["window"]),
            tensors.get("held"),
            tuple(tensors[name] for name in steps),
            Memory.from_tensors(tensors),
            bool(tensors["shrunk"]),
            self.windows_made,
        )

    def report(self) -> Mapping[str, Any]:
        """JSON values about this render: the model, its window, what it could not use."""
        return {**self.model.facts(), "windows": self.windows_made, "notes": list(dict.fromkeys(self.notes))}

    def _say(self, request: Request) -> None:
        model = self.model
        self.notes += left_out(model.family, model.family.takes_with(model.pipe), model.controls, request)

    def _overlap(self, state: WindowState) -> int:
        """Of a window that was made smaller, at most a half."""
        grid = self.model.family.grid
        return self.overlap if state.window == self.window else min(self.overlap, grid.fit(max(1, state.window // 4)))

    def _windowed(self, state: WindowState) -> tuple[Tensor, WindowState]:
        """Makes the window that is full, and hands out all but the frames that the next one shares."""
        length = state.window
        shared = self._overlap(state)
        try:
            made, trajectory, memory = self._make(state, length, length, shared)
        except OutOfMemory as error:
            return self._smaller(state, error)
        keep = length - shared
        after = replace(
            state,
            waiting=state.waiting.after(keep),
            held=made[keep:] if shared else None,
            trajectory=trajectory,
            memory=memory,
            windows=self.windows_made,
        )
        return made[:keep], after

    def _closed(self, state: WindowState) -> tuple[Tensor, WindowState]:
        """Makes the rest of a shot in one shorter window; the next shot begins without memory."""
        done: list[Tensor] = []
        while (count := state.waiting.length) > (0 if state.held is None else state.held.shape[0]):
            if count > state.window:
                made, state = self._windowed(state)
                done.append(made)
                continue
            try:
                made, _, _ = self._make(state, count, self.model.family.grid.fit(count), 0)
            except OutOfMemory as error:
                made, state = self._smaller(state, error)
                done.append(made)
                continue
            done.append(made)
            state = replace(state, waiting=state.waiting.after(count), held=None, windows=self.windows_made)
        if state.held is not None:
            done.append(state.held)
        fresh = WindowState(state.request, Gathered.empty(), state.window, shrunk=state.shrunk, windows=state.windows)
        return torch.cat([*done, torch.zeros(0, 3, *state.waiting.size)]), fresh

    def _make(
        self, state: WindowState, count: int, length: int, shared: int
    ) -> tuple[Tensor, tuple[Tensor, ...], Memory | None]:
        """Makes the first `count` waiting frames in a window of `length`, faded into what is held."""
        brief = self._brief(state, count, length)
        made, trajectory = call(self.model, brief, state.trajectory, length - shared, shared)
        self.windows_made = state.windows + 1
        _check_finite(made, brief.start)
        made = made[:count].clamp(0.0, 1.0)
        began, mask = brief.video[:count], None if brief.mask is None else brief.mask[:count]
        memory = state.memory or remember(made, began, mask)
        if state.memory is not None:
            made = corrected(made, began, mask, state.memory)
        if mask is not None:
            # Whatever a family does with a mask, what lies outside it stays.
            made = torch.lerp(began, made, mask)
        if state.held is not None:
            share = fade(state.held.shape[0]).view(-1, 1, 1, 1)
            made = torch.cat((torch.lerp(state.held, made[: len(share)], share), made[len(share) :]))
        return made, trajectory, memory

    def _brief(self, state: WindowState, count: int, length: int) -> Brief:
        brief = state.waiting.first(count).padded(length).brief(self.model, state.request)
        family, memory = self.model.family, state.memory
        references = brief.references
        if memory is not None and family.keeps_first and "references" in family.takes:
            references = (*references, memory.picture)
        return replace(brief, known=state.held, references=references)

    def _smaller(self, state: WindowState, error: OutOfMemory) -> tuple[Tensor, WindowState]:
        """Goes on with windows of half the length, once in a render; hands out what they no longer share."""
        window = self.model.family.grid.floor(state.window // 2)
        if state.shrunk or window >= state.window:
            raise error
        said = f"windows of {window} frames instead of {state.window}: memory was short"
        _LOG.warning("The render goes on with %s.", said)
        self.conceded.append(said)
        after = replace(state, window=window, shrunk=True, trajectory=())
        if state.held is None:
            return torch.zeros(0, 3, *state.waiting.size), after
        surplus = max(0, state.held.shape[0] - self._overlap(after))
        return state.held[:surplus], replace(after, waiting=state.waiting.after(surplus), held=state.held[surplus:])


def _check_finite(made: Tensor, start: int) -> None:
    bad = ~torch.isfinite(made).flatten(1).all(1)
    if bad.any():
        raise NonFiniteOutput(
            f"Frame {start + int(bad.nonzero()[0])}: the diffusion model gave values that are not finite. "
            "Try dtype='float32' or 'bfloat16'."
        )

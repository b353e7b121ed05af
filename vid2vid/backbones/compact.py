"""The compact backbone: one small generator a frame, steadied by its own last output moved along the source's flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vid2vid.backbones.generator import CompactGenerator, sample_at
from vid2vid.backbones.texture import carried_places, look_up, make_tile, new_places
from vid2vid.config import BackboneConfig
from vid2vid.errors import NonFiniteOutput

if TYPE_CHECKING:
    from vid2vid.types import Chunk, Conditions, Request

    Generator = Callable[[Tensor, Tensor | None, Tensor | None, Tensor | None], Tensor]
    """What `CompactGenerator.forward` does, on whatever engine."""


@dataclass(frozen=True, slots=True)
class CompactState:
    """What one render carries from frame to frame."""

    output: Tensor | None = None
    """`(1, 3, H, W)` float32, the last picture made; None before the first frame."""
    places: Tensor | None = None
    """`(1, 2, H, W)` float32, where each pixel's texture is looked up; None likewise."""
    seed: int = 0


class CompactBackbone:
    """Runs a compact generator causally, frame by frame; the result does not depend on how a clip is cut into chunks.

    Args:
        net: the generator, whose device and number format it works in.
        config: says whether last output and texture come in.
        engine: another engine that runs the same generator; None runs the torch module.
        channels: names of the condition maps in the order of the generator's input.
    """

    window = 1
    overlap = 0

    def __init__(
        self,
        net: CompactGenerator,
        channels: tuple[str, ...],
        config: BackboneConfig | None = None,
        engine: Generator | None = None,
    ) -> None:
        self.net = net.eval().requires_grad_(False)
        self.multiple_of = net.multiple_of
        self._channels = channels
        self._config = config or BackboneConfig()
        self._engine = engine
        weight = net.stem_maps.weight
        self._device = weight.device
        self._tile = make_tile().to(self._device)

    def start(self, request: Request) -> CompactState:
        """Gives the state before the first frame."""
        return CompactState(seed=request.seed)

    @torch.inference_mode()
    def step(self, chunk: Chunk, conditions: Conditions, state: CompactState) -> tuple[Tensor, CompactState]:
        """Makes the pictures of one chunk.

        Args:
            chunk: only its start and length are used; pictures come from `conditions.maps`.
            conditions: maps and optional reference, motion; H and W multiples of `multiple_of`.
            state: of the frame before; it is not changed.

        Returns:
            `(T, 3, H, W)` float32 in [0, 1] on the CPU, and the next state.

        Raises:
            NonFiniteOutput: naming the frame.
        """
        maps = torch.cat([conditions.maps[name] for name in self._channels], 1)
        pictures = []
        for t in range(maps.shape[0]):
            history, places = self._carry(conditions, t, chunk.start + t, state, maps)
            reference = None if conditions.reference is None else self._on_device(conditions.reference[t : t + 1])
            texture = look_up(self._tile, places) if self._config.textured else None
            picture = self._run(self._on_device(maps[t : t + 1]), reference, history, texture)
            if not torch.isfinite(picture).all():
                raise NonFiniteOutput(
                    f"Frame {chunk.start + t}: the generator gave values that are not finite. "
                    "Try dtype='float32', or train the weights again."
                )
            picture = picture.clamp(0.0, 1.0)
            state = replace(state, output=picture, places=places)
            pictures.append(picture)
        return torch.cat(pictures).cpu(), state

    def save_state(self, state: CompactState) -> Mapping[str, Tensor]:
        """The state as named tensors."""
        named = {"output": state.output, "places": state.places, "seed": torch.tensor(state.seed)}
        return {name: value.cpu().contiguous() for name, value in named.items() if value is not None}

    def load_state(self, tensors: Mapping[str, Tensor], request: Request) -> CompactState:
        """The state that `save_state` gave."""
        output, places = (tensors[name].to(self._device) if name in tensors else None for name in ("output", "places"))
        return CompactState(output, places, int(tensors["seed"]))

    def _carry(
        self, conditions: Conditions, t: int, index: int, state: CompactState, maps: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """The last output warped to this frame beside its trust, and the places of its texture."""
        fresh = new_places(self._on_device(maps[t : t + 1]), state.seed, index)
        motion = conditions.motion
        if not self._config.recurrent or motion is None or not motion.weight[t].any():
            return None, fresh
        if state.output is None or state.places is None:
            return None, fresh
        flow, trust = self._on_device(motion.flow[t : t + 1]), self._on_device(motion.weight[t : t + 1])
        moved = sample_at(torch.cat((state.output, state.places), 1), flow)
        return torch.cat((moved[:, :3], trust), 1), carried_places(moved[:, 3:], trust, fresh)

    def _on_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)

    def _run(self, maps: Tensor, reference: Tensor | None, history: Tensor | None, texture: Tensor | None) -> Tensor:
        if self._engine is not None:
            return self._engine(maps, reference, history, texture)
        picture: Tensor = self.net(maps, reference, history, texture)
        return picture

"""Image models as streams: every frame by itself, one to four steps, held together by what was made before.

Three things hold the frames together: all begin from the same noise; the self-attention of each also looks at the frame
before, the first of its shot and the references; and the latents of the frame before, moved along the source's flow,
are mixed into its finished ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from vid2vid.backbones.diffusion.calling import told_of_memory
from vid2vid.backbones.diffusion.choosing import left_out
from vid2vid.backbones.diffusion.features import FeatureBank, Features
from vid2vid.backbones.diffusion.gathering import gather
from vid2vid.backbones.diffusion.noise import generator_for
from vid2vid.backbones.diffusion.pictures import to_frames
from vid2vid.backbones.generator import sample_at
from vid2vid.errors import NonFiniteOutput

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.loading import Model
    from vid2vid.types import Chunk, Conditions, Motion, Picture, Request

SHARE_OF_LAST: Final = 0.5
"""How far the latents of the frame before take the place of a frame's own, where the flow is to be trusted."""
MOST_REFERENCES: Final = 2
"""As many pictures are looked at beside the film itself; each costs as much attention as a frame."""
_NOISE: Final = -7
"""In place of a frame's number: all frames begin from the same noise."""
_FIRST: Final = "first."
_LAST: Final = "last."


@dataclass(frozen=True, slots=True, eq=False)
class StreamState:
    """What one render carries from frame to frame."""

    age: int = 0
    """Frames made since the shot began."""
    latents: Tensor | None = None
    """`(1, C, h, w)` on the CPU, of the frame before; None at a shot's beginning."""
    first: Features = field(default_factory=dict)
    """Of the shot's first frame."""
    last: Features = field(default_factory=dict)
    """Of the frame before."""
    references: tuple[Features, ...] | None = None
    """None until the first frame tells the size."""


class ImageStream:
    """Runs an image model causally; the result does not depend on how a clip is cut into chunks.

    Args:
        model: the loaded pipeline and how it is to run.
    """

    window = 1
    overlap = 0

    def __init__(self, model: Model) -> None:
        self.model = model
        self.multiple_of = model.family.multiple_of
        self._bank = FeatureBank(model.pipe.unet)
        self._request: Request | None = None
        self._notes: list[str] = []
        self._made = 0

    def start(self, request: Request) -> StreamState:
        """Gives the state before the first frame."""
        model, self._request = self.model, request
        self._notes += left_out(model.family, model.family.takes_with(model.pipe), model.controls, request)
        return StreamState()

    def step(self, chunk: Chunk, conditions: Conditions, state: StreamState) -> tuple[Tensor, StreamState]:
        """Makes the pictures of one chunk.

        Args:
            chunk: frames at the working size.
            conditions: of the same frames, at the working size or padded beyond it.
            state: of the frame before; it is not changed.

        Returns:
            `(T, 3, H, W)` float32 in [0, 1] on the CPU, padded to multiples of `multiple_of`, and the next state.

        Raises:
            NonFiniteOutput: naming the frame.
            OutOfMemory: one frame does not fit.
        """
        assert self._request is not None  # start() and load_state() set it
        pictures = []
        for t in range(chunk.length):
            if t in chunk.cuts:
                state = StreamState(references=state.references)
            brief = gather(chunk, conditions, t, t + 1, self.model.wanted).brief(self.model, self._request)
            if state.references is None:
                state = replace(state, references=self._look_at(brief))
            picture, state = self._frame(brief, _part(conditions.motion, t), state)
            pictures.append(picture)
        return torch.cat(pictures), state

    def save_state(self, state: StreamState) -> Mapping[str, Tensor]:
        """The state as named tensors; features of references are made anew."""
        named = {"age": torch.tensor(state.age)}
        if state.latents is not None:
            named["latents"] = state.latents
        named |= {_FIRST + name: value for name, value in state.first.items()}
        named |= {_LAST + name: value for name, value in state.last.items()}
        return {name: value.cpu().contiguous() for name, value in named.items()}

    def load_state(self, tensors: Mapping[str, Tensor], request: Request) -> StreamState:
        """The state that `save_state` gave."""
        self._request = request
        first, last = (
            {name.removeprefix(part): value for name, value in tensors.items() if name.startswith(part)}
            for part in (_FIRST, _LAST)
        )
        return StreamState(int(tensors["age"]), tensors.get("latents"), first, last)

    def report(self) -> Mapping[str, Any]:
        """JSON values about this render: the model, frames made, what it had to do."""
        return {**self.model.facts(), "frames": self._made, "notes": list(dict.fromkeys(self._notes))}

    def _frame(self, brief: Brief, motion: Motion | None, state: StreamState) -> tuple[Tensor, StreamState]:
        shown = [*(state.references or ()), state.first, *([state.last] if state.age > 1 else [])]
        carried = _moved(state.latents, motion, brief.size)
        picture, latents, seen = self._call(brief, shown, carried)
        self._made += 1
        if not torch.isfinite(picture).all():
            raise NonFiniteOutput(
                f"Frame {brief.start}: the diffusion model gave values that are not finite. "
                "Try dtype='float32' or 'bfloat16'."
            )
        after = StreamState(state.age + 1, latents, state.first or seen, seen, state.references)
        return picture.clamp(0.0, 1.0), after

    def _call(
        self, brief: Brief, shown: list[Features], carried: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Features]:
        """One frame: its picture, its latents, what the layers saw of it."""
        pipe, family = self.model.pipe, self.model.family
        mixer = _Mixer(self._bank, carried)
        self._bank.begin(shown, brief.size)
        with torch.no_grad(), told_of_memory(self.model, brief):
            output = pipe(
                **family.arguments(pipe, brief),
                generator=generator_for(brief.seed, _NOISE),
                callback_on_step_end=mixer,
                callback_on_step_end_tensor_inputs=mixer.wanted(pipe),
                output_type="pt",
            )
        if any(getattr(output, "nsfw_content_detected", None) or ()):
            self._notes.append(f"the model's own safety checker blacked out frame {brief.start}")
        assert mixer.latents is not None  # every pipeline makes at least one step
        return to_frames(output.images), mixer.latents, self._bank.seen

    def _look_at(self, brief: Brief) -> tuple[Features, ...]:
        """What the layers see of the references, at each step: as if they were frames of the film."""
        looked = []
        for picture in brief.references[:MOST_REFERENCES]:
            video = _covering(picture, *brief.size)
            looked.append(self._call(replace(brief, video=video), [], None)[2])
        return tuple(looked)


class _Mixer:
    """Hears every step: counts it for the bank, and mixes the latents of the frame before into the finished ones.

    Source: Yang et al., "Rerender A Video", 2023, fuse along flow in early steps, with few key frames. Where every
    frame follows from the one before, that makes each a further translation of the last, and a still scene walks away;
    mixed after the last step, the film is only steadied.
    """

    def __init__(self, bank: FeatureBank, carried: tuple[Tensor, Tensor] | None) -> None:
        self._bank, self._carried = bank, carried
        self.latents: Tensor | None = None
        """`(1, C, h, w)` on the CPU: the finished latents, after the last step."""

    def wanted(self, pipe: Any) -> list[str]:
        """Names of what is to be heard: consistency models decode their last guess instead of the latents."""
        return ["latents", "denoised"] if "denoised" in pipe._callback_tensor_inputs else ["latents"]

    def __call__(self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """As `callback_on_step_end` of diffusers."""
        self._bank.step = step + 1
        if step + 1 < pipe.num_timesteps:
            return tensors
        name = "denoised" if "denoised" in tensors else "latents"
        latents: Tensor = tensors[name]
        if self._carried is not None:
            moved, share = (part.to(latents.device, latents.dtype) for part in self._carried)
            latents = torch.lerp(latents, moved, SHARE_OF_LAST * share)
        self.latents = latents.detach().to("cpu", torch.float32)
        return {**tensors, name: latents}


def _part(motion: Motion | None, t: int) -> Motion | None:
    return None if motion is None else replace(motion, flow=motion.flow[t : t + 1], weight=motion.weight[t : t + 1])


def _moved(latents: Tensor | None, motion: Motion | None, size: tuple[int, int]) -> tuple[Tensor, Tensor] | None:
    """The latents of the frame before, where their things are now, and how far to trust each; None without any."""
    if latents is None or motion is None or not motion.weight.any():
        return None
    small = (int(latents.shape[-2]), int(latents.shape[-1]))
    flow, weight = (_fitted(part, size) for part in (motion.flow, motion.weight))
    scale = torch.tensor([small[1] / size[1], small[0] / size[0]]).view(1, 2, 1, 1)
    flow = F.interpolate(flow, size=small, mode="area") * scale
    return sample_at(latents, flow), F.interpolate(weight, size=small, mode="area")


def _fitted(field: Tensor, size: tuple[int, int]) -> Tensor:
    """A field cut or continued at its lower and right edges."""
    height, width = size
    field = field[..., :height, :width].float()
    return F.pad(field, (0, width - field.shape[-1], 0, height - field.shape[-2]), mode="replicate")


def _covering(picture: Picture, height: int, width: int) -> Tensor:
    """A picture as `(1, 3, height, width)`: scaled to cover that size, its middle cut out."""
    whole = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255.0
    scale = max(height / whole.shape[-2], width / whole.shape[-1])
    sized = (max(height, round(whole.shape[-2] * scale)), max(width, round(whole.shape[-1] * scale)))
    whole = F.interpolate(whole, size=sized, mode="bilinear", antialias=True)
    top, left = (sized[0] - height) // 2, (sized[1] - width) // 2
    return whole[..., top : top + height, left : left + width].clamp(0.0, 1.0)

"""CogVideoX: video to video, and Fun control, which makes a clip from noise along a control clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.pictures import to_images
from vid2vid.backbones.diffusion.strength import whole_strength
from vid2vid.errors import InvalidModel

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.options import DiffusionOptions


@dataclass(frozen=True, slots=True)
class OddLatents(Grid):
    """Lengths with an odd number of latent frames: the decoder takes them in pairs after the first one, and of an even
    number it makes three pictures too many.
    """

    def fit(self, frames: int) -> int:
        """See `Grid`."""
        wanted = max(frames, self.least)
        return self.offset + -(-(wanted - self.offset) // (2 * self.step)) * 2 * self.step

    def floor(self, frames: int) -> int:
        """See `Grid`."""
        below = self.offset + (frames - self.offset) // (2 * self.step) * 2 * self.step
        return max(below, self.fit(self.least))


class CogVideoX(Family):
    """Video-to-video: the clip is noised and denoised. 8k + 1 frames at 8 a second, 720x480."""

    name: ClassVar[str] = "cogvideox"
    pipelines: ClassVar[Mapping[str, str]] = {
        "CogVideoXVideoToVideoPipeline": "CogVideoXVideoToVideoPipeline",
        "CogVideoXPipeline": "CogVideoXVideoToVideoPipeline",
    }
    takes: ClassVar[frozenset[str]] = frozenset({"video", "prompt", "negative_prompt"})
    grid: ClassVar[Grid] = OddLatents(window=49, step=4, offset=1, overlap=9, least=9)
    multiple_of: ClassVar[int] = 16
    recommended: ClassVar[Settings] = Settings(
        steps=50, guidance=6.0, strength=0.8, width=720, height=480, memory_mb=26000
    )
    latent_axis: ClassVar[int] = 1

    def loaded(self, pipe: Any, options: DiffusionOptions) -> None:
        """See `Family`.

        Raises:
            InvalidModel: it is CogVideoX 1.5, which takes even numbers of latent frames only.
        """
        if pipe.transformer.config.patch_size_t is not None:
            raise InvalidModel(
                "CogVideoX 1.5 joins latent frames in pairs, which its decoder and this program's windows do not fit. "
                "Use CogVideoX 1.0 (2B or 5B), or a Wan model."
            )

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`."""
        return {"video": to_images(brief.video), "strength": whole_strength(brief), **self.usual(brief)}


class CogVideoXControl(CogVideoX):
    """Fun control: starts from noise; a control clip of line art, pose or depth leads."""

    name: ClassVar[str] = "cogvideox_control"
    pipelines: ClassVar[Mapping[str, str]] = {"CogVideoXFunControlPipeline": "CogVideoXFunControlPipeline"}
    takes: ClassVar[frozenset[str]] = frozenset({"prompt", "negative_prompt", "line_art", "pose", "depth"})
    control_kinds: ClassVar[tuple[str, ...]] = ("line_art", "pose", "depth")
    from_noise: ClassVar[bool] = True

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """See `Family`. Without a control clip the model is shown a black one, as in its training."""
        control = brief.leading_control()
        shown = torch.zeros_like(brief.source) if control is None else control * min(brief.control_scale, 1.0)
        return {"control_video": to_images(shown), **self.usual(brief)}

"""Wan 2.1 and 2.2 A14B, video to video: the clip's own latents, noised as far as `denoise` says, are denoised again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.pictures import to_images
from vid2vid.backbones.diffusion.strength import whole_strength
from vid2vid.errors import InvalidModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.options import DiffusionOptions

_COMPRESSION: Final = 8
"""Pixels of a side that one latent stands for, in the models whose clips can be denoised from."""


class WanVideo(Family):
    """Starts from the window's picture; text-to-video models are loaded the same way, from the same parts."""

    name: ClassVar[str] = "wan_video"
    pipelines: ClassVar[Mapping[str, str]] = {
        "WanVideoToVideoPipeline": "WanVideoToVideoPipeline",
        "WanPipeline": "WanVideoToVideoPipeline",
    }
    takes: ClassVar[frozenset[str]] = frozenset({"video", "prompt", "negative_prompt"})
    grid: ClassVar[Grid] = Grid(window=81, step=4, offset=1, overlap=17)
    multiple_of: ClassVar[int] = 16
    recommended: ClassVar[Settings] = Settings(
        steps=30, guidance=5.0, strength=0.6, width=832, height=480, memory_mb=8200
    )
    exact_parts: ClassVar[tuple[str, ...]] = ("vae",)

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """The clip, the prompt, and how far from the clip."""
        return {"video": to_images(brief.video), "strength": whole_strength(brief), **self.usual(brief)}

    def kind(self, found: str, options: DiffusionOptions) -> Any:
        """See `Family`: diffusers' own would drop the second network of Wan 2.2 without a word."""
        from vid2vid.backbones.diffusion.experts import WanExperts

        return WanExperts

    def loaded(self, pipe: Any, options: DiffusionOptions) -> None:
        """See `Family`.

        Raises:
            InvalidModel: it is the 5B model of Wan 2.2, whose tokens have noise levels of their own.
        """
        if pipe.vae.config.scale_factor_spatial != _COMPRESSION:
            raise InvalidModel(
                "Wan 2.2 TI2V 5B cannot go from video to video in diffusers: its frames have noise levels of their "
                "own. Use Wan 2.1, Wan 2.2 A14B, or a VACE model."
            )

    @contextmanager
    def calling(self, pipe: Any, brief: Brief) -> Iterator[None]:
        """See `Family`: after a call that failed half way, the network for much noise is the first again."""
        try:
            yield
        finally:
            pipe._current_timestep = None

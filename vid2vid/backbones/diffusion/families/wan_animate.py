"""Wan-Animate: a person from one picture moves as the clip's person does, alone or in that person's place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import torch

from vid2vid.backbones.diffusion.controls import fitted
from vid2vid.backbones.diffusion.family import Family, Grid, Settings
from vid2vid.backbones.diffusion.pictures import to_framed, to_images

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.backbones.diffusion.brief import Brief

_KNOWN: Final = (5, 1)
"""Finished frames that the model takes before its own, more first."""


class WanAnimate(Family):
    """With a mask it replaces the person and keeps the scene; without one it animates the reference's own picture."""

    name: ClassVar[str] = "wan_animate"
    pipelines: ClassVar[Mapping[str, str]] = {"WanAnimatePipeline": "WanAnimatePipeline"}
    takes: ClassVar[frozenset[str]] = frozenset(
        {"prompt", "negative_prompt", "references", "mask", "plate", "pose", "face", "known"}
    )
    grid: ClassVar[Grid] = Grid(window=77, step=4, offset=1, overlap=5, least=5)
    multiple_of: ClassVar[int] = 16
    recommended: ClassVar[Settings] = Settings(
        steps=20, guidance=1.0, strength=1.0, width=1280, height=720, memory_mb=48000
    )
    exact_parts: ClassVar[tuple[str, ...]] = ("vae", "image_encoder")
    control_kinds: ClassVar[tuple[str, ...]] = ("pose",)
    from_noise: ClassVar[bool] = True

    def arguments(self, pipe: Any, brief: Brief) -> dict[str, Any]:
        """Who (the reference, or else the window's first picture), the pose, the face, and the scene."""
        height, width = brief.size
        # Where nobody is shown as reference, the aligned picture says who it is.
        who = to_framed(brief.references[0], height, width) if brief.references else to_images(brief.video[:1])[0]
        pose = brief.leading_control()
        face = brief.controls.get("face")
        side = int(pipe.transformer.config.motion_encoder_size)
        blank = torch.zeros_like(brief.video)
        words: dict[str, Any] = {
            "image": who,
            "pose_video": to_images(blank if pose is None else pose),
            "face_video": to_images(fitted(blank if face is None else face, side, side)),
            "segment_frame_length": brief.length,
            "prev_segment_conditioning_frames": _taken(brief),
            "mode": "animate",
            **self.usual(brief),
        }
        if brief.mask is not None:
            words |= {"mode": "replace", "mask_video": to_images(brief.mask)}
            words["background_video"] = to_images(_scene(brief))
        return words

    def lead(self, brief: Brief) -> int:
        """The reference's own latent frame."""
        return 1

    def calling(self, pipe: Any, brief: Brief) -> AbstractContextManager[None]:
        """Hands finished frames to the model.

        The pipeline cuts long clips itself and would carry its own last frames on; here every window is a call of its
        own, so that what it carries has to be put in its place.
        """
        return _going_on(pipe, brief)


def _taken(brief: Brief) -> int:
    """Finished frames that the model takes; in a short window a single one, as it counts segments by them."""
    there = 1 if brief.known is None else brief.known.shape[0]
    return next(count for count in _KNOWN if count <= there and (count == 1 or brief.length > 2 * count))


def _scene(brief: Brief) -> Tensor:
    """The background without the person: the plate, or the frames with the person cut out."""
    if brief.plate is not None:
        return brief.plate
    assert brief.mask is not None
    return brief.source * (1.0 - brief.mask)


@contextmanager
def _going_on(pipe: Any, brief: Brief) -> Iterator[None]:
    if brief.known is None:
        yield
        return
    prepare = pipe.prepare_prev_segment_cond_latents
    count = _taken(brief)
    before = brief.known[:count].permute(1, 0, 2, 3)[None] * 2.0 - 1.0

    def prepared(video: Any = None, **words: Any) -> Any:
        # A start above 0 is how the pipeline tells that the frames before are pictures and not a blank.
        device = words.get("device")
        return prepare(before.to(device=device), **{**words, "start_frame": 1})

    pipe.prepare_prev_segment_cond_latents = prepared
    try:
        yield
    finally:
        del pipe.prepare_prev_segment_cond_latents

"""Options of a call that diffuses key frames and carries them. Importing this module loads no model library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vid2vid.backbones.diffusion.options import DiffusionOptions

MOST_KEYS = 8
"""As many as a look is carried from; their fields take 150 MB each."""


@dataclass(frozen=True, slots=True)
class KeyFramesOptions(DiffusionOptions):
    """What `translate(..., backbone="keyframes:...")` takes beside the task's own options."""

    most_keys: int = field(default=4, metadata={"help": "most frames to diffuse, 1 to 8; fewer where more add little"})
    agree: Literal["auto", "attention", "grid", "none"] = field(
        default="auto",
        metadata={"help": "how image models make key frames alike: shared attention, one large picture, or not at all"},
    )
    fit_minutes: float = field(
        default=1.0, metadata={"help": "minutes to fit the look of the key frames; 0 only carries them along"}
    )
    fit_preset: Literal["fast", "default", "fine"] = field(
        default="default", metadata={"help": "generator that is fitted: fast renders quickest, fine is sharpest"}
    )

    def __post_init__(self) -> None:
        DiffusionOptions.__post_init__(self)
        if not 1 <= self.most_keys <= MOST_KEYS:
            raise ValueError(f"most_keys={self.most_keys}: 1 to {MOST_KEYS} is needed.")
        if not 0.0 <= self.fit_minutes <= 600.0:
            raise ValueError(f"fit_minutes={self.fit_minutes}: 0 to 600 is needed.")

"""What one window of a diffusion model is to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.types import Picture


@dataclass(frozen=True, slots=True, eq=False)
class Brief:
    """One window's frames and everything that is known of them, for a family to turn into arguments.

    All pictures have the model's size (multiples of the family's `multiple_of`) and lie on the CPU as float32. T is a
    length that the family's grid allows.
    """

    video: Tensor
    """`(T, 3, H, W)` in [0, 1]: where to start from: the task's picture, and over it the aligned reference where
    it is valid."""
    source: Tensor
    """`(T, 3, H, W)` in [0, 1]: the frames as they came in."""
    controls: Mapping[str, Tensor] = field(default_factory=dict)
    """Kind (`line_art`, `pose`, `depth`, `face`) -> `(T, 3, H, W)` in [0, 1]; what the family and the call ask for.
    `face` is a square crop of its own size."""
    control: str | None = None
    """The kind that leads where a model takes a single control clip; None where none was asked for or there is none."""
    mask: Tensor | None = None
    """`(T, 1, H, W)` in [0, 1], 1 = to be generated; None for everywhere."""
    plate: Tensor | None = None
    """`(T, 3, H, W)` in [0, 1]: the background without the person, where the task has one."""
    references: tuple[Picture, ...] = ()
    """Who or what it should look like, each `(H, W, 3)` uint8 sRGB at its own size."""
    known: Tensor | None = None
    """`(K, 3, H, W)` in [0, 1], K < T: the window's first frames as the window before left them; None at a shot's
    beginning. For families that take finished frames as a condition."""
    prompt: str = ""
    negative_prompt: str = ""
    strength: float = 1.0
    """How far the model may leave `video`, in (0, 1]."""
    steps: int = 20
    """Denoising steps at strength 1."""
    guidance: float = 1.0
    """Scale of the guidance by the prompt; 1 is without."""
    control_scale: float = 1.0
    """How strongly controls bind."""
    start: int = 0
    """Index of the first frame within the clip; noise of frame i comes from (seed, i)."""
    seed: int = 0

    @property
    def length(self) -> int:
        """Number of frames, T."""
        return int(self.video.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.video.shape[-2]), int(self.video.shape[-1])

    def leading_control(self) -> Tensor | None:
        """`(T, 3, H, W)`: the control clip of the kind that leads; None where there is none."""
        return None if self.control is None else self.controls.get(self.control)

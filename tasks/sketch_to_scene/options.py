"""What a caller can say about a drawing and about who plays it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vid2vid.errors import InvalidOption

Kind = Literal["auto", "animation", "drawings", "sheet", "lines"]
Camera = Literal["still", "follow"]
GroundName = Literal["hard", "wood", "grass", "gravel"]


@dataclass(frozen=True, slots=True)
class Options:
    """The task's own options."""

    kind: Kind = field(
        default="auto",
        metadata={"help": "what came in: a stick-men animation, a few drawings of it, a sheet of panels, or line art"},
    )
    rate: float = field(
        default=24.0, metadata={"help": "frames a second to which slow animations, drawings and sheets are filled in"}
    )
    pace: float = field(default=0.35, metadata={"help": "seconds from one panel of a sheet to the next"})
    figures: int | None = field(default=None, metadata={"help": "number of stick-men, 1 to 4; found out by default"})
    actors: str = field(default="", metadata={"help": "bundled actors by name, one a figure, with commas between"})
    scene: str = field(
        default="",
        metadata={"help": "bundled scene by name; by default that of the first clip given as actor, or the usual one"},
    )
    camera: Camera = field(default="still", metadata={"help": "still, or follow the figures"})
    ground: GroundName = field(default="hard", metadata={"help": "what feet sound on"})
    shutter: float = field(default=0.3, metadata={"help": "motion blur of fast limbs: share of a frame's time, 0 to 1"})
    shadows: float = field(default=1.0, metadata={"help": "strength of shadows on the ground, 0 to 2"})
    refine: bool = field(default=True, metadata={"help": "whether the net works over the moved pictures"})
    key_frames: tuple[int, ...] = field(
        default=(), metadata={"help": "line art: numbers of the frames that the references show, in their order"}
    )

    def __post_init__(self) -> None:
        for value, name, low, high in (
            (self.rate, "rate", 8, 60),
            (self.pace, "pace", 0.05, 5),
            (self.shutter, "shutter", 0, 1),
            (self.shadows, "shadows", 0, 2),
        ):
            if not low <= value <= high:
                raise InvalidOption(f"{name}={value}: a number from {low} to {high} is needed.")
        if self.figures is not None and not 1 <= self.figures <= 4:
            raise InvalidOption(f"figures={self.figures}: 1 to 4 stick-men can be followed.")

    @property
    def cast(self) -> tuple[str, ...]:
        """Names in `actors`."""
        return tuple(name.strip() for name in self.actors.split(",") if name.strip())

"""What a caller can say about who is replaced and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vid2vid.errors import InvalidOption
from vid2vid.taking_over import Words

WORDS = Words("person", "people", "film", "A render's report lists them.")
Mode = Literal["replace", "animate"]


@dataclass(frozen=True, slots=True)
class Options:
    """The task's own options."""

    people: str | tuple[int, ...] = field(
        default="largest",
        metadata={"help": "whose part is taken over: largest, all, or people's numbers as the report gives them"},
    )
    mode: Mode = field(
        default="replace",
        metadata={"help": "replace: the actor in the film; animate: the film's motion in the actor's own scene"},
    )
    shadows: float = field(default=0.6, metadata={"help": "strength of the shadows that are added, 0 to 2"})
    shutter: float = field(default=0.3, metadata={"help": "motion blur of fast limbs: share of a frame's time, 0 to 1"})

    def __post_init__(self) -> None:
        WORDS.check(self.people)
        for value, name, high in ((self.shadows, "shadows", 2), (self.shutter, "shutter", 1)):
            if not 0 <= value <= high:
                raise InvalidOption(f"{name}={value}: a number from 0 to {high} is needed.")

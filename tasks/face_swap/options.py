"""What a caller can say about which faces are swapped and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from vid2vid.errors import InvalidOption
from vid2vid.taking_over import Words

WORDS = Words("face", "faces", "clip", "`vid2vid faces VIDEO` shows them.")


@dataclass(frozen=True, slots=True)
class Options:
    """The task's own options."""

    faces: str | tuple[int, ...] = field(
        default="largest",
        metadata={"help": "faces to swap: largest, all, or their numbers as `vid2vid faces` shows them"},
    )
    shape: float = field(
        default=0.95,
        metadata={"help": "how far the face takes on the reference's shape, 0 to 1; 0 is texture alone"},
    )
    light: float = field(default=0.5, metadata={"help": "how far broad light and shade come from the clip, 0 to 1"})
    hands: bool = field(default=True, metadata={"help": "whether hands before a face are looked for and kept"})
    keys: int = field(default=4, metadata={"help": "most pictures of the references that are used for one face"})

    def __post_init__(self) -> None:
        WORDS.check(self.faces)
        for value, name in ((self.shape, "shape"), (self.light, "light")):
            if not 0 <= value <= 1:
                raise InvalidOption(f"{name}={value}: a number from 0 to 1 is needed.")
        if not 1 <= self.keys <= 8:
            raise InvalidOption(f"keys={self.keys}: 1 to 8 pictures can be used.")

"""Counts what happened while a source was read."""

from __future__ import annotations

from dataclasses import dataclass, field

from vid2vid.errors import CorruptInput

MAX_BAD_SHARE = 0.05
"""A source with a larger share of frames whose own data cannot be decoded is refused."""
MAX_CONCEALED_SHARE = 0.2
"""One lost key frame can take a stretch of good frames with it; a source that stands still for longer is refused."""
_LISTED = 1000
_SOON = 200
"""Before this many frames the share says little, unless the container tells how many there are."""


@dataclass(frozen=True, slots=True)
class DecodeReport:
    """What a reader met so far."""

    frames: int
    """Frames handed out."""
    concealed: int
    """How many of them repeat another because their own data was lost, or that of a frame they build on."""
    concealed_frames: tuple[int, ...]
    """Their indices, the first thousand at most."""
    damaged: int
    """Frames that decoded with errors and are shown as the decoder mended them."""
    truncated: bool
    """Whether the file ends early."""
    notes: tuple[str, ...]
    """What the reader had to decide, in plain words."""


@dataclass(slots=True)
class Tally:
    """Owned by one `FrameSource`, filled by its reader."""

    name: str
    declared: int | None
    frames: int = 0
    bad: int = 0
    """Packets or images that cannot be decoded."""
    concealed: int = 0
    damaged: int = 0
    truncated: bool = False
    _indices: list[int] = field(default_factory=list)
    _notes: dict[str, None] = field(default_factory=dict)

    def note(self, *notes: str) -> None:
        """Keeps each note once."""
        self._notes.update(dict.fromkeys(notes))

    def add(self, *, concealed: bool) -> int:
        """Counts a frame and gives its index.

        Raises:
            CorruptInput: too many are concealed already, however the rest may be.
        """
        index = self.frames
        self.frames += 1
        if concealed:
            self.concealed += 1
            if len(self._indices) < _LISTED:
                self._indices.append(index)
            self._check(max(self.frames, self.declared or 0, _SOON))
        return index

    def finish(self) -> None:
        """Judges the whole.

        Raises:
            CorruptInput: too many frames are concealed.
        """
        self._check(self.frames)

    def report(self) -> DecodeReport:
        """Gives a frozen copy."""
        return DecodeReport(
            self.frames, self.concealed, tuple(self._indices), self.damaged, self.truncated, tuple(self._notes)
        )

    def _check(self, total: int) -> None:
        for count, share, what in (
            (self.bad, MAX_BAD_SHARE, "are damaged"),
            (self.concealed, MAX_CONCEALED_SHARE, "are lost through damage"),
        ):
            # One lost frame is mended even in a clip so short that it is more than the share.
            if count > max(1, share * total):
                raise CorruptInput(
                    f"{self.name}: {count} of {self.frames} frames {what}, more than the {share:.0%} allowed. "
                    "Get an undamaged copy."
                )

"""Which windows and which control clips a family is given; loads no model library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.family import Family
    from vid2vid.backbones.diffusion.options import DiffusionOptions
    from vid2vid.types import Request

DERIVED: Final = ("line_art", "pose", "face", "depth")
"""Kinds that can be drawn from frames; `depth` takes a model of a hub and is drawn only where it is asked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a family can use of a task's conditions, and what is to be derived from the frames."""

    multiple_of: int
    maps: Mapping[str, str] = field(default_factory=dict)
    """Control kind, `mask` or `plate` -> name of the task's map."""
    derived: tuple[str, ...] = ()
    """Control kinds to be drawn from the frames themselves."""
    control: str | None = None
    """The kind that leads."""


def windows_of(family: Family, options: DiffusionOptions) -> tuple[int, int]:
    """Window and overlap on the family's grid.

    Raises:
        InvalidOption: the overlap leaves less than half of the window.
    """
    grid = family.grid
    window = grid.window if options.window is None else grid.floor(options.window)
    wanted = min(grid.overlap, window // 3) if options.overlap is None else options.overlap
    # Below one step there is nothing to share but a single picture, which lies on every grid with an offset.
    overlap = 0 if wanted == 0 else min(Step(grid.step, grid.offset).floor(wanted), window)
    if overlap > window // 2 and window > 1:
        raise InvalidOption(
            f"overlap={wanted} with window={window}: at most half of the window can be shared, {window // 2} frames."
        )
    return window, overlap


@dataclass(frozen=True, slots=True)
class Step:
    """A grid without a least length."""

    step: int
    offset: int

    def floor(self, frames: int) -> int:
        """The largest length on the grid that is at most `frames`, at least one step or the single first picture."""
        least = self.offset or self.step
        return max(least, self.offset + (frames - self.offset) // self.step * self.step)


def choose_controls(family: Family, options: DiffusionOptions, own: Mapping[str, str]) -> Wanted:
    """Which control clips a family is given: the task's own where it has them, else drawn from the frames.

    Raises:
        InvalidOption: the family takes no such control.
    """
    maps = {kind: name for kind, name in own.items() if kind in family.takes}
    kinds, asked = family.control_kinds, options.control
    if asked not in ("auto", "none") and asked not in kinds:
        allowed = ", ".join(kinds) or "none"
        raise InvalidOption(f"control={asked!r}: {family.name} takes no such clip. It takes: {allowed}.")
    leading = None
    if asked == "auto":
        leading = next((kind for kind in kinds if kind in maps), None)
        leading = leading or next((kind for kind in kinds if kind in DERIVED and kind != "depth"), None)
    elif asked != "none":
        leading = asked
    derived = [kind for kind in (leading, "face") if kind in DERIVED and kind in family.takes]
    return Wanted(family.multiple_of, maps, tuple(dict.fromkeys(derived)), leading)


def check_denoise(family: Family, options: DiffusionOptions) -> None:
    """Refuses `denoise` where it would say nothing.

    Raises:
        InvalidOption: the family always starts from noise.
    """
    if family.from_noise and options.denoise not in (None, 1.0):
        follows = "; control_scale= says how closely it follows its control" if family.control_kinds else ""
        raise InvalidOption(
            f"denoise={options.denoise}: {family.name} always starts from noise. Leave it out{follows}."
        )


def left_out(family: Family, takes: frozenset[str], own: Mapping[str, str], request: Request | None) -> tuple[str, ...]:
    """What the call or the task gives and the family cannot use, in plain words for the report.

    Args:
        family: that runs the task.
        takes: what this very model takes.
        own: control kind, `mask` or `plate` -> name of the task's map.
        request: the checked call; None where there is none.
    """
    said = []
    if request is not None and request.references and "references" not in takes:
        said.append(f"{family.name} takes no references: they count only as far as the task laid them over the frames")
    said += [
        f"{family.name} takes no {kind.replace('_', ' ')}: the task's was not shown to it"
        for kind in sorted(own)
        if kind not in takes
    ]
    return tuple(said)

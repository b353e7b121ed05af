"""How many steps a strength leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief


def steps_left(brief: Brief) -> int:
    """Denoising steps that are run: the share `strength` of all, at least one."""
    return min(brief.steps, max(1, int(brief.steps * brief.strength + 1e-6)))


def whole_strength(brief: Brief) -> float:
    """The strength to hand a pipeline so that its rounding down gives `steps_left`; it fails where no step is left."""
    return min(1.0, (steps_left(brief) + 1e-4) / brief.steps)

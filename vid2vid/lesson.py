"""What `train()` needs to know of one task and one set of examples: a net, windows, a judge, and what to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vid2vid.backbones.generator import CompactGenerator
    from vid2vid.config import BackboneConfig
    from vid2vid.fitting import FitConfig, Judge, Windows
    from vid2vid.motion.keyframes import KeyFrame


@dataclass(frozen=True, slots=True)
class FittedGenerator:
    """A generator that a task has fitted for one render, in place of its bundled one."""

    net: CompactGenerator
    backbone: BackboneConfig
    channels: Mapping[str, int]
    """Condition map -> channels, in the order of the generator's input."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Everything that one fit takes, made by a task from examples."""

    net: CompactGenerator
    """The generator at its start."""
    backbone: BackboneConfig
    """Its shape, as the bundle records it."""
    channels: Mapping[str, int]
    """Condition map -> channels, in the order of the generator's input."""
    windows: Windows
    config: FitConfig
    judge: Judge | None = None
    keys: tuple[KeyFrame, ...] = ()
    """Key frames that the bundle keeps."""
    start: str = "scratch"
    """What the net started from."""
    summary: str = ""
    """What is learned, in a sentence for the card."""
    limits: tuple[str, ...] = ()
    """What the numbers do not say, in sentences for the card."""
    measured: str = "held out"
    """What the scores were taken on, in a word or two for the card."""
    facts: Mapping[str, float | int | str] = field(default_factory=dict)
    """What the card's recipe should say beyond the settings."""

"""One fighter of a drawn fight: motions played one after another without a jump, and what happens in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vid2vid.data.fight_moves import RATE, turned
from vid2vid.motion.skeleton import FOOT_A, FOOT_B, HIP, KNEE_A, KNEE_B

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vid2vid.data.fight_moves import Motion


@dataclass(frozen=True, slots=True)
class Happening:
    """An event in the space of the fight."""

    kind: str
    time_s: float
    strength: float
    figure: int
    place: tuple[float, float]
    """Metres along the ground and above it."""


@dataclass(slots=True, eq=False)
class Fighter:
    """A figure and all that it has done so far."""

    number: int
    scale: float
    """Its size against the captured one."""
    moves: Mapping[str, Motion]
    stance: str
    """Clip in whose first pose it waits."""
    facing: int
    """+1 to the right, -1 to the left."""
    blocks: list[Motion] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    lying: bool = False
    duration: int = 0
    """Poses so far."""

    @property
    def now_s(self) -> float:
        """Where its story has come to."""
        return self.duration / RATE

    @property
    def pose(self) -> NDArray[np.float64]:
        """`(11, 3)`, its latest."""
        return np.asarray(self.blocks[-1][-1])

    @property
    def x(self) -> float:
        """Where it is along the ground."""
        return float(self.pose[HIP, 0])

    def own(self, clip: str) -> Motion:
        """A clip at its size, as it faces."""
        motion = self.moves[clip] * self.scale
        return motion if self.facing > 0 else turned(motion)

    def start(self, x: float) -> None:
        """Puts it into its stance at a place."""
        pose = self.own(self.stance)[:1].copy()
        pose[..., 0] += x - pose[0, HIP, 0]
        self._add(pose)

    def play(self, motion: Motion, blend_s: float = 0.35) -> Motion:
        """Goes on with a motion: it is put where the figure is, and the change of pose and speed fades out.

        Args:
            motion: `(N, 11, 3)`, as it faces.
            blend_s: until nothing of the old pose is left.

        Returns:
            What was played.
        """
        moved = motion.copy()
        moved[..., 0] += self.x - moved[0, HIP, 0]
        last = self.blocks[-1]
        speed = (last[-1] - last[-2]) * RATE if len(last) > 1 else np.zeros((11, 3))
        speed = speed - (moved[min(1, len(moved) - 1)] - moved[0]) * RATE
        time = (np.arange(1, len(moved) + 1) / RATE)[:, None, None]
        share = np.clip(time / blend_s, 0, 1)
        rest = self.pose - moved[0]
        moved += (rest + speed * time * (1 - share)) * (1 - share**2 * (3 - 2 * share))
        self._add(moved)
        return moved

    def go_on(self, motion: Motion) -> None:
        """Goes on with a motion that begins where the figure is."""
        self._add(motion)

    def wait(self, until_s: float, rng: np.random.Generator) -> None:
        """Stays where it is, breathing and swaying in its stance, until a moment."""
        count = round(until_s * RATE) - self.duration
        if count <= 0:
            return
        if self.lying:
            self._add(np.repeat(self.pose[None], count, 0))
            return
        motion = np.repeat(self.own(self.stance)[:1], count, 0)
        time = np.arange(count) / RATE
        ease = np.minimum(1, time / 0.4)
        bob = ease * rng.uniform(0.005, 0.02) * np.sin(2 * np.pi * rng.uniform(0.6, 1.6) * time)
        sway = ease * rng.uniform(0.0, 0.03) * np.sin(2 * np.pi * rng.uniform(0.3, 0.8) * time)
        free = np.ones(11)
        free[[FOOT_A, FOOT_B]], free[[KNEE_A, KNEE_B]] = 0.0, 0.5
        motion[..., 0] += sway[:, None] * free
        motion[..., 1] += bob[:, None] * free
        self.play(motion, blend_s=rng.uniform(0.3, 0.5))

    def turn(self, facing: int, rng: np.random.Generator) -> None:
        """Turns round on the spot."""
        if facing == self.facing:
            return
        count = round(rng.uniform(0.35, 0.6) * RATE)
        share = np.linspace(0, 1, count)
        angle = np.pi * share**2 * (3 - 2 * share)
        pose = self.own(self.stance)[0]
        x, z = pose[:, 0] - pose[HIP, 0], pose[:, 2]
        motion = np.repeat(pose[None], count, 0)
        motion[..., 0] = np.cos(angle)[:, None] * x + np.sin(angle)[:, None] * z
        motion[..., 2] = -np.sin(angle)[:, None] * x + np.cos(angle)[:, None] * z
        self.play(motion)
        self.facing = facing

    def note(self, kind: str, after_s: float, strength: float, joint: int | tuple[float, float]) -> None:
        """Notes what happens `after_s` seconds after now, or before it, at a joint's latest place or elsewhere."""
        place = joint if isinstance(joint, tuple) else (float(self.pose[joint, 0]), float(self.pose[joint, 1]))
        strength = float(np.clip(strength, 0.05, 1.0))
        self.happenings.append(Happening(kind, self.now_s + after_s, strength, self.number, place))

    def _add(self, motion: Motion) -> None:
        self.blocks.append(motion)
        self.duration += len(motion)

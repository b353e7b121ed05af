"""Who does what to whom in a drawn fight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.data.fight_moves import RATE, STRIKES, Strike, at_speed, cycles, turned
from vid2vid.data.fight_reactions import Blow, knock_down, stagger
from vid2vid.data.fighter import Fighter
from vid2vid.motion.skeleton import HEAD, HIP, NECK

if TYPE_CHECKING:
    from vid2vid.data.fight_moves import Motion

_SURFACE_M: Final = 0.04
"""From a trunk's line to where a blow meets it."""
_HIGH_M: Final = 1.05
_ARENA_M: Final = 1.1
"""Half of the ground for each figure; who stands farther out is driven back in."""


@dataclass(slots=True, eq=False)
class Script:
    """A fight that is being made up."""

    fighters: list[Fighter]
    moves: Mapping[str, Motion]
    rng: np.random.Generator
    misses_s: list[float] = field(default_factory=list)

    @classmethod
    def begin(cls, moves: Mapping[str, Motion], count: int, rng: np.random.Generator) -> Script:
        """Figures stand side by side and look to the middle."""
        places = (np.arange(count) - (count - 1) / 2) * rng.uniform(1.2, 1.9) + rng.uniform(-0.2, 0.2, count)
        fighters = []
        for number, x in enumerate(places):
            stance = str(rng.choice(["kick", "punch", "jump", "spinkick"]))
            fighter = Fighter(number, rng.uniform(0.9, 1.1), moves, stance, 1 if x < 0 else -1)
            fighter.start(float(x))
            fighters.append(fighter)
        return cls(fighters, moves, rng)

    def run(self, seconds: float) -> None:
        """Lets them fight; afterwards all have that many seconds at least."""
        while min(fighter.now_s for fighter in self.fighters) < seconds:
            ready = min(self.fighters, key=lambda fighter: fighter.now_s)
            if ready.lying:
                self._get_up(ready)
                continue
            free = [other for other in self.fighters if other.now_s < ready.now_s + 1.5 and not other.lying]
            near = sorted((other for other in free if other is not ready), key=lambda other: abs(other.x - ready.x))
            if near and self.rng.random() < 0.75:
                self._attack(ready, near[0])
            elif near and self.rng.random() < 0.4:
                self._cross(ready, near[0])
            else:
                self._alone(ready)

    def _outwards(self, fighter: Fighter, way: int) -> bool:
        return fighter.x * way > _ARENA_M * len(self.fighters) - 0.6

    def _get_up(self, fighter: Fighter) -> None:
        fighter.wait(fighter.now_s + self.rng.uniform(0.2, 0.9), self.rng)
        fighter.lying = False
        fighter.play(at_speed(fighter.own("getup_faceup"), self.rng.uniform(1.3, 2.0)))

    def _alone(self, fighter: Fighter) -> None:
        """Something that nobody else takes part in."""
        rng = self.rng
        if self._outwards(fighter, fighter.facing) or rng.random() < 0.15:
            fighter.turn(-fighter.facing, rng)
        choice = rng.choice(["wait", "walk", "jump", "roll", "backflip", "slip"], p=[0.25, 0.25, 0.2, 0.12, 0.1, 0.08])
        if choice == "wait":
            fighter.wait(fighter.now_s + rng.uniform(0.3, 1.0), rng)
        elif choice == "walk":
            self._walk(fighter, rng.uniform(0.4, 1.2))
        elif choice == "slip":
            self._fall(fighter, Blow(-fighter.facing, rng.uniform(0.2, 0.8), rng.uniform(0.12, 0.2), True))
        else:
            fighter.play(at_speed(fighter.own(str(choice)), rng.uniform(0.85, 1.25)))

    def _walk(self, fighter: Fighter, distance: float) -> None:
        """Forwards, or backwards where the distance is negative; and back into the stance."""
        rng, gait = self.rng, "run" if distance > 1.6 and self.rng.random() < 0.5 else "walk"
        motion = cycles(self.moves[gait], abs(distance) / fighter.scale) * fighter.scale
        motion = motion if fighter.facing > 0 else turned(motion)
        motion = at_speed(motion[::-1] if distance < 0 else motion, rng.uniform(0.9, 1.4))
        fighter.play(motion, blend_s=0.5)
        fighter.wait(fighter.now_s + rng.uniform(0.1, 0.3), rng)

    def _cross(self, fighter: Fighter, other: Fighter) -> None:
        """Past another, who may come the other way."""
        way = 1 if other.x > fighter.x else -1
        if self._outwards(other, way):
            return self._alone(fighter)
        fighter.turn(way, self.rng)
        self._walk(fighter, abs(other.x - fighter.x) + self.rng.uniform(0.6, 1.2))
        if self.rng.random() < 0.5 and not self._outwards(other, -way):
            other.turn(-way, self.rng)
            self._walk(other, self.rng.uniform(0.6, 1.5))
        fighter.turn(-way, self.rng)
        other.turn(way, self.rng)

    def _attack(self, fighter: Fighter, other: Fighter) -> None:
        """Walks up and strikes; the blow lands or not."""
        rng = self.rng
        way = 1 if other.x > fighter.x else -1
        if self._outwards(other, way):
            return self._cross(fighter, other) if rng.random() < 0.6 else self._alone(fighter)
        fighter.turn(way, rng)
        if other.facing == way and rng.random() < 0.9:
            other.turn(-way, rng)
        strike = STRIKES[int(rng.integers(len(STRIKES)))]
        landing = str(rng.choice(["hit", "short", "dodge", "duck", "through"], p=[0.72, 0.09, 0.07, 0.06, 0.06]))
        blow = self._prepared(fighter, strike)
        contact, reach, farthest = blow.contact, blow.reach, blow.farthest
        if landing in ("short", "dodge"):
            reach = farthest + rng.uniform(0.06, 0.3)
        height = float(blow.motion[contact, strike.tip, 1])
        wanted = abs(_surface(other, height, way) - fighter.x) - reach
        if abs(wanted) > 0.12:
            self._walk(fighter, wanted)
        begin_s = max(fighter.now_s, other.now_s - contact / RATE + rng.uniform(0.05, 0.4))
        fighter.wait(begin_s, rng)
        contact_s = fighter.now_s + contact / RATE
        other.wait(contact_s - (0.35 if landing in ("dodge", "duck") else 0.0), rng)
        rest = abs(_surface(other, height, way) - fighter.x) - reach
        slide = np.clip(np.arange(len(blow.motion)) / contact, 0, 1)
        moved = blow.motion.copy()
        moved[..., 0] += (way * rest * slide**2 * (3 - 2 * slide))[:, None]
        played = fighter.play(moved, blend_s=min(0.25, 0.8 * contact / RATE))
        if landing == "hit":
            at = (float(played[contact, strike.tip, 0]), float(played[contact, strike.tip, 1]))
            self._take(other, way, at)
        else:
            self.misses_s.append(contact_s)
            self._evade(other, landing)

    def _prepared(self, fighter: Fighter, strike: Strike) -> _Prepared:
        """A strike at this fighter's size and pace."""
        rng, factor = self.rng, self.rng.uniform(0.85, 1.35)
        part = self.moves[strike.clip][round(strike.start_s * RATE) : round(strike.stop_s * RATE)]
        motion = at_speed(part, factor) * fighter.scale
        motion = turned(motion) if strike.backwards else motion
        motion[..., 0] -= motion[0, HIP, 0]
        first, last = (round((moment - strike.start_s) * RATE / factor) for moment in strike.peak_s)
        tip = motion[first:last, strike.tip, 0]
        out = first + int(np.argmax(tip - motion[first:last, HIP, 0]))
        follow = rng.uniform(0.04, 0.2)
        contact = first + int(np.argmax(tip >= motion[out, strike.tip, 0] - follow))
        contact = max(
            contact, out - round((0.02 if strike.backwards else 0.06) * RATE)
        )  # a spinning foot comes from below
        reach, farthest = float(motion[contact, strike.tip, 0]), float(motion[:, strike.tip, 0].max())
        return _Prepared(motion if fighter.facing > 0 else turned(motion), contact, reach, farthest)

    def _take(self, other: Fighter, way: int, at: tuple[float, float]) -> None:
        """Is hit: staggers or falls."""
        rng, high = self.rng, at[1] > _HIGH_M * other.scale
        blow = Blow(way, rng.uniform(1.2, 3.2), rng.uniform(0.03, 0.14), high)
        other.note("impact", 0.0, blow.speed / 3.2, at)
        if other.facing != way and rng.random() < 0.4:
            return self._fall(other, replace(blow, speed=blow.speed * 1.1 + 0.4))
        other.go_on(stagger(other.pose, blow, other.facing, rng))
        return other.wait(other.now_s + rng.uniform(0.1, 0.5), rng)

    def _fall(self, fighter: Fighter, blow: Blow) -> None:
        motion, fall_s = knock_down(fighter.pose, fighter.own("getup_faceup")[0], blow, self.rng)
        begin_s = fighter.now_s
        fighter.go_on(motion)
        fighter.lying = True
        fighter.note("fall", begin_s + fall_s - fighter.now_s, 0.4 + blow.speed / 5, HIP)

    def _evade(self, other: Fighter, landing: str) -> None:
        """Steps back, ducks or stands through a blow that misses."""
        if landing == "dodge":
            self._walk(other, -self.rng.uniform(0.25, 0.5))
        elif landing == "duck":
            down = at_speed(other.own("jump")[: round(0.58 * RATE)], self.rng.uniform(1.3, 1.8))
            other.play(np.concatenate([down, down[::-1]]))
        else:
            other.wait(other.now_s + self.rng.uniform(0.1, 0.5), self.rng)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A strike that a fighter is about to make."""

    motion: Motion
    contact: int
    """Pose in which the tip should meet the other."""
    reach: float
    """Metres before the hip's first place at which it is then."""
    farthest: float
    """Most metres before it."""


def _surface(other: Fighter, height: float, way: int) -> float:
    """Where a blow from the side meets someone's trunk or head at a height."""
    trunk = other.pose[[HIP, NECK, HEAD]]
    return float(np.interp(height, trunk[:, 1], trunk[:, 0])) - way * _SURFACE_M

"""Fights of two to four stick-men made from motion capture, with their skeletons and events known exactly.

Contact is made in the fight's own space and time, 120 poses a second, and drawn afterwards at any rate; so no event
falls on a frame but by chance. Blows that miss, are dodged or pass without effect are among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.data.fight_moves import RATE, touches
from vid2vid.data.fight_script import Script
from vid2vid.data.fighter import Happening
from vid2vid.data.stick_drawings import draw_frame, paper
from vid2vid.motion.capture import STANDING_M
from vid2vid.motion.skeleton import ARMS, FOOT_A, FOOT_B, HIP, LEGS, Tracks
from vid2vid.types import Event

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.data.fight_moves import Motion
    from vid2vid.data.fighter import Fighter
    from vid2vid.data.stick_drawings import Style
    from vid2vid.types import Picture

RATES: Final = (Fraction(24), Fraction(25), Fraction(30))
WHOOSH: Final = 3.0
"""Speed of a hand or foot against the hip, in standing heights a second, from which it is heard."""
_ANKLE_M: Final = 0.05
"""The captured figure ends at the ankles; drawn, they stand on the line."""


@dataclass(frozen=True, slots=True, eq=False)
class Fight:
    """A fight as it is to be drawn."""

    tracks: Tracks
    """True joints, all figures in the picture all the time."""
    events: tuple[Event, ...]
    """What happens, in the order of time."""
    misses_s: tuple[float, ...]
    """When blows passed without effect."""
    fps: Fraction
    size: tuple[int, int]
    """Columns and rows."""


def make_fight(
    moves: Mapping[str, Motion],
    seed: int,
    size: tuple[int, int] = (640, 360),
    seconds: float = 10.0,
    figures: int | None = None,
    fps: Fraction | None = None,
) -> Fight:
    """Makes up a fight.

    Args:
        moves: from `load_moves`.
        seed: decides everything that is not given.
        size: columns and rows of the picture.
        seconds: its length.
        figures: two to four; drawn at random where None.
        fps: frame rate; one of `RATES` where None.
    """
    rng = np.random.default_rng((seed, 41))
    count = figures or int(rng.choice([2, 2, 3, 4]))
    rate = fps or RATES[int(rng.integers(len(RATES)))]
    script = Script.begin(moves, count, rng)
    script.run(seconds)
    poses = np.stack([np.concatenate(fighter.blocks)[: round(seconds * RATE)] for fighter in script.fighters], 1)
    happenings = [
        each for fighter in script.fighters for each in (*fighter.happenings, *_steps(fighter), *_whooshes(fighter))
    ]
    phase_s = rng.uniform(0, 1) / float(rate)
    times = np.arange(int((seconds - 2 / RATE - phase_s) * rate)) / float(rate) + phase_s
    camera = _Camera.aimed(poses, size, rng)
    joints = camera.seen(_sampled(poses, times))
    heights = np.array([STANDING_M * fighter.scale * camera.px_per_m for fighter in script.fighters], np.float32)
    ground = np.array([camera.ground, 0.0], np.float32)
    tracks = Tracks(joints, np.ones(joints.shape[:2], np.bool_), heights, ground)
    events = [camera.event(each, phase_s) for each in happenings if 0 <= each.time_s - phase_s < times[-1] - phase_s]
    misses = tuple(float(miss - phase_s) for miss in script.misses_s)
    return Fight(tracks, tuple(sorted(events, key=lambda event: event.time_s)), misses, rate, size)


def render_fight(fight: Fight, style: Style, seed: int = 0) -> Iterator[Picture]:
    """Draws a fight frame by frame.

    Args:
        fight: from `make_fight`.
        style: how.
        seed: of what differs from drawing to drawing.
    """
    rng = np.random.default_rng((seed, 43))
    sheet, ground = paper(fight.size, style), fight.tracks.ground
    height_px = float(fight.tracks.heights.mean())
    for figures in fight.tracks.joints:
        yield draw_frame(sheet, figures, height_px, style, rng, None if ground is None else float(ground[0]))


def _sampled(poses: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Poses between poses: `(N, F, 11, 3)` at `RATE` -> `(T, F, 11, 3)` at the times."""
    before = np.minimum((times * RATE).astype(int), len(poses) - 2)
    share = (times * RATE - before)[:, None, None, None]
    return np.asarray(poses[before] * (1 - share) + poses[before + 1] * share)


def _steps(fighter: Fighter) -> list[Happening]:
    """Where its feet come down."""
    motion, found = np.concatenate(fighter.blocks), []
    for touch in touches(motion):
        x = float(motion[min(len(motion) - 1, round(touch.time_s * RATE)), (FOOT_A, FOOT_B)[touch.foot], 0])
        kind, strength = "landing" if touch.landing else "footfall", float(np.clip(touch.speed / 2.5, 0.05, 1))
        found.append(Happening(kind, touch.time_s, strength, fighter.number, (x, 0.0)))
    return found


def _whooshes(fighter: Fighter) -> list[Happening]:
    """Fastest moments of hands and feet."""
    motion = np.concatenate(fighter.blocks)
    height, reach, found = STANDING_M * fighter.scale, RATE // 4, []
    for _, tip in (*ARMS, *LEGS):
        relative = (motion[:, tip] - motion[:, HIP])[:, :2]
        speed = np.linalg.norm(np.gradient(relative, axis=0), axis=1) * RATE / height
        for at in np.flatnonzero(speed > WHOOSH):
            if speed[at] == speed[max(0, at - reach) : at + reach].max():
                place = (float(motion[at, tip, 0]), float(motion[at, tip, 1]))
                found.append(Happening("whoosh", at / RATE, min(1.0, float(speed[at]) / 6), fighter.number, place))
    return found


@dataclass(frozen=True, slots=True)
class _Camera:
    """Looks at the fight from the side, and a little from its front or back."""

    px_per_m: float
    middle: float
    """Metres along the ground in the middle of the picture."""
    ground: float
    """Row of the ground."""
    yaw: float
    size: tuple[int, int]

    @classmethod
    def aimed(cls, poses: NDArray[np.float64], size: tuple[int, int], rng: np.random.Generator) -> _Camera:
        """So near that all stays in the picture."""
        width, height = size
        yaw = rng.uniform(-0.25, 0.25)
        across = poses[..., 0] * np.cos(yaw) + poses[..., 2] * np.sin(yaw)
        fits = 0.92 * width / float(np.ptp(across) + 0.3)
        top = 0.8 * height / float(poses[..., 1].max() + 0.2)
        px_per_m = min(rng.uniform(0.3, 0.55) * height / STANDING_M, fits, top)
        return cls(px_per_m, float(across.max() + across.min()) / 2, rng.uniform(0.84, 0.93) * height, yaw, size)

    def seen(self, poses: NDArray[np.float64]) -> NDArray[np.float32]:
        """`(..., 3)` metres -> `(..., 2)` pixels."""
        across = poses[..., 0] * np.cos(self.yaw) + poses[..., 2] * np.sin(self.yaw)
        x = self.size[0] / 2 + (across - self.middle) * self.px_per_m
        return np.stack([x, self.ground - (poses[..., 1] - _ANKLE_M) * self.px_per_m], -1).astype(np.float32)

    def event(self, happening: Happening, phase_s: float) -> Event:
        """As it is heard of the film that begins `phase_s` seconds into the fight."""
        place = self.seen(np.array([*happening.place, 0.0])) / np.array(self.size)
        x, y = np.clip(place, 0, 1).tolist()
        return Event(happening.kind, happening.time_s - phase_s, happening.strength, happening.figure, (x, y))

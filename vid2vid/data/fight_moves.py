"""What fighters in a drawn fight can do: clips of motion capture, and where their feet meet the ground.

Convention:
    Motion is `(N, 11, 3)` float64 at `RATE`: metres, x forwards, y upwards, joints as in `STICK`; the hip stays at
    depth 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vid2vid.errors import InputNotFound
from vid2vid.motion.capture import STANDING_M, read_motion
from vid2vid.motion.footing import Touch, find_touches
from vid2vid.motion.skeleton import FOOT_A, FOOT_B, HAND_B, HIP

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Motion = NDArray[np.float64]

RATE: Final = 120
"""Poses a second in which fights are made before they are drawn at a film's rate."""
NEEDED: Final = ("backflip", "getup_faceup", "jump", "kick", "punch", "roll", "run", "spinkick", "walk")
_UPRIGHT_M: Final = 0.5
"""A hip lower than this lies or rolls: its feet take no steps."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A blow in the repertoire."""

    clip: str
    tip: int
    """Joint that hits."""
    start_s: float
    stop_s: float
    """Part of the clip that is played."""
    peak_s: tuple[float, float]
    """Between which moments of the clip the tip goes out."""
    backwards: bool = False
    """Whether the captured blow goes to the side away from where the figure looks at first."""


STRIKES: Final = (
    Strike("kick", FOOT_B, 0.0, 1.3, (0.5, 0.75)),
    Strike("punch", HAND_B, 0.25, 1.5, (0.65, 0.95)),
    Strike("spinkick", FOOT_A, 0.0, 1.25, (0.4, 0.62), backwards=True),
)


def load_moves(folder: Path) -> Mapping[str, Motion]:
    """Reads the clips of a folder.

    Args:
        folder: holds `humanoid3d_<name>.txt` for each name of `NEEDED`; more are welcome.

    Returns:
        Name -> motion; the hip's depth is taken out, as if all fought on one line.

    Raises:
        InputNotFound: a clip is missing.
        InvalidFrames: a file cannot be read as motion capture.
    """
    paths = {path.stem.removeprefix("humanoid3d_"): path for path in sorted(folder.glob("humanoid3d_*.txt"))}
    missing = [name for name in NEEDED if name not in paths]
    if missing:
        raise InputNotFound(
            f"'{folder}' has no motion humanoid3d_{missing[0]}.txt; drawn fights need {', '.join(NEEDED)}."
        )
    return {name: _on_a_line(read_motion(path, RATE)) for name, path in paths.items()}


def _on_a_line(joints: NDArray[Any]) -> Motion:
    motion = joints.astype(np.float64)
    motion[..., 2] -= motion[:, HIP, None, 2]
    motion[..., 0] -= motion[0, HIP, 0]
    return motion


def turned(motion: Motion) -> Motion:
    """The same motion, looking the other way."""
    return np.asarray(motion * np.array([-1.0, 1.0, -1.0]))


def at_speed(motion: Motion, factor: float) -> Motion:
    """The same motion, `factor` times as fast."""
    wanted = np.arange(0, len(motion) - 1, factor)
    before = wanted.astype(int)
    share = (wanted - before)[:, None, None]
    return np.asarray(motion[before] * (1 - share) + motion[before + 1] * share)


def cycles(motion: Motion, distance: float) -> Motion:
    """A walk or a run, repeated until its hip has gone `distance` metres."""
    stride = motion[-1, HIP, 0] - motion[0, HIP, 0]
    rounds = int(np.ceil(distance / stride)) + 1
    whole = np.concatenate([motion[:-1] + np.array([stride * number, 0.0, 0.0]) for number in range(rounds)])
    gone = whole[:, HIP, 0] - whole[0, HIP, 0]
    return whole[: max(2, int(np.searchsorted(gone, distance)))]


def touches(motion: Motion) -> list[Touch]:
    """Where feet come down in a motion on flat ground; while it lies or rolls, they do not."""
    feet = motion[:, [FOOT_A, FOOT_B], :2] / STANDING_M
    feet[..., 1] -= np.percentile(feet[..., 1], 4)
    upright = motion[:, HIP, 1] > _UPRIGHT_M
    return [touch for touch in find_touches(feet, RATE) if upright[min(len(upright) - 1, round(touch.time_s * RATE))]]

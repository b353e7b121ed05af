"""Blows between figures, told by the one who takes them.

The trunk of the one who is struck is thrown away, suddenly, when somebody's limb arrives at it. A striking limb alone
tells little: it follows through, and it may miss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.ndimage import maximum_filter1d

from vid2vid.motion.onsets import STEPS, find_onsets, peaks, smoothed
from vid2vid.motion.skeleton import ARMS, HEAD, HIP, LEGS, NECK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.onsets import Onsets

    Curve = NDArray[np.float64]

CORE: Final = (HEAD, NECK, HIP)
"""Joints of a trunk."""
ENDS: Final = tuple(limb[1] for limb in (*ARMS, *LEGS))
_TIPS: Final = (*(joint for limb in ARMS for joint in limb), *(joint for limb in LEGS for joint in limb))
_SHARES: Final = np.array([0.2, 0.4, 0.4])
"""Their parts in the trunk's speed; of one who is hit in the belly the head comes later."""
_RISES_S: Final = (0.02, 0.06, 0.1, 0.14)
"""Within which a trunk may gain its speed."""
_REACH_S: Final = (0.2, 0.16)
"""How far before and after contact its path is looked at."""
_DECAY_S: Final = 0.2
"""In which it loses that speed again."""
_NOISE: Final = 0.01
"""Of joints, in standing heights."""
_AWAY: Final = 0.4
"""Standing heights a second at which the trunk must go the limb's way then: who only stops was not struck."""
_RUSHING: Final = 0.5
"""Standing heights a second at which someone comes up to a limb who then stops of their own will."""
_SCORE: Final = 5.0
"""Of the onset, for it to be sudden."""
_NEAR: Final = 0.13
"""Standing heights between a limb's end and the trunk at contact."""
_TOUCH: Final = 0.04
"""The same, at which it has surely arrived."""
_HEAD_RADIUS: Final = 0.06
_CLOSING: Final = 1.8
"""Standing heights a second at which the limb must come near."""
_USUAL: Final = 3.0
"""The same, of an ordinary punch."""
_LIMB: Final = 0.7
"""Standing heights a second that it must move against its own hip: walking into someone is no blow."""
_LEVEL: Final = 0.6
"""Cosine to the ground of a limb's way; a steeper one throws away from the striker's body."""
_LATE_S: Final = 0.1
"""How long before or after contact the trunk may begin to move."""
_MISFIT_S: Final = 0.06
"""How well the two fit in time; of limbs that came near, the one that fits best struck."""
_LAG_S: Final = 0.015
"""By how much the throw is seen after the contact on the whole."""
_CONTACT_SHARE: Final = 0.35
"""Weight of the contact's moment against that of the throw."""
_BIAS_S: Final = 0.011
"""Both are seen later than they happen: a body takes a while to gain speed, a limb to come to rest."""
_WEIGHT: Final = 4.5
"""Clearness from which a blow is heard; chosen on made-up fights."""
_REACH: Final = 0.75
"""Standing heights between a striker's hip and the trunk that is struck."""
_LASHING: Final = 2.4
"""Standing heights a second of a hand or foot of one who may have struck unseen."""
_STILL, _HOPS, _VIOLENT = 0.25, 0.4, 0.9
"""Speeds of one who is struck unseen: along the ground before at most, upwards gained at most, away gained at least."""
_UNSEEN: Final = 0.1
"""Part in the clearness of such a blow: it must be ten times as violent as one whose limb is seen to arrive."""
_APART_S: Final = 0.25
"""Between two blows to the same figure."""


@dataclass(frozen=True, slots=True)
class Blow:
    """Somebody is struck."""

    time_s: float
    struck: int
    by: int
    tip: int
    """Joint of the striker that hit."""
    joint: int
    """Joint of the one who is struck that was nearest."""
    strength: float
    """In [0, 1]."""
    weight: float
    """How clear it is; of two that exclude each other the clearer counts."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A limb's end reaches somebody's trunk."""

    time_s: float
    side: int
    """Along x, which way it strikes: +1 or -1."""
    closing: float
    """Standing heights a second at which the distance shrank."""
    joint: int
    """The trunk's nearest joint."""


def find_blows(joints: NDArray[Any], fps: float) -> list[Blow]:
    """Finds who is struck when.

    Args:
        joints: `(T, F, 11, 2)` in standing heights, the same for all figures.
        fps: frames a second.
    """
    paths = joints.astype(np.float64)
    smooth = smoothed(paths, fps)
    found: list[Blow] = []
    for struck in range(paths.shape[1]):
        core = paths[:, struck, list(CORE)].reshape(len(paths), -1)
        onsets = find_onsets(core, fps, _RISES_S, _REACH_S, _NOISE, _DECAY_S)
        for by in range(paths.shape[1]):
            if by == struck:
                continue
            for tip in _TIPS:
                for contact in contacts(smooth[:, struck], smooth[:, by], tip, fps):
                    blow = _taken(onsets, contact, (struck, by, tip))
                    found += [blow] if blow else []
            found += _unseen(onsets, smooth[:, struck], smooth[:, by], fps, (struck, by))
    return _clearest(found)


def contacts(victim: Curve, striker: Curve, tip: int, fps: float) -> list[Contact]:
    """Where a limb's end comes up to a trunk, or to its nearest point before it."""
    core, end = victim[:, list(CORE)], striker[:, tip]
    gap = trunk_gap(core, end)
    relative = np.gradient(end - core.mean(1), axis=0) * fps
    limb = np.linalg.norm(np.gradient(end - striker[:, HIP], axis=0), axis=1) * fps
    back = round(0.15 * fps)
    found = []
    for at in range(1, len(gap) - 1):
        arrives = gap[at] < _TOUCH <= gap[at - 1]
        nearest = _TOUCH <= gap[at] < _NEAR and gap[at - 1] > gap[at] <= gap[at + 1]
        if not (arrives or nearest):
            continue
        begun = max(0, at - back)
        fastest = begun + int(np.argmax(np.linalg.norm(relative[begun : at + 1], axis=1)))
        closing, speed = float((gap[begun:at] - gap[at]).max()) / 0.15, float(np.linalg.norm(relative[fastest]))
        if speed < _CLOSING or limb[begun : at + 1].max() < _LIMB or closing < 0.4:
            continue
        share = (gap[at - 1] - _TOUCH) / (gap[at - 1] - gap[at]) - 1 if arrives else 0.0
        level = relative[fastest, 0] / speed
        side = np.sign(level if abs(level) > _LEVEL else core[at, :, 0].mean() - striker[at, HIP, 0])
        joint = CORE[int(np.argmin(np.linalg.norm(core[at] - end[at], axis=1)))]
        found.append(Contact((at + share) / fps, int(side), speed, joint))
    return found


def _taken(onsets: Onsets, contact: Contact, who: tuple[int, int, int]) -> Blow | None:
    """The blow, if the trunk is thrown the limb's way about when it arrives."""
    shape = (len(onsets.gain), len(CORE), 2)
    away = onsets.gain.reshape(shape)[..., 0] @ _SHARES * contact.side
    before = onsets.speed.reshape(shape)[..., 0] @ _SHARES * contact.side
    thrown = (before + away > _AWAY) & (before > -_RUSHING) & (onsets.score > _SCORE)
    fine = thrown & (away > 0) & (np.abs(onsets.times_s - contact.time_s) < _LATE_S)
    if not fine.any():
        return None
    at = int(np.argmax(np.where(fine, onsets.score, 0)))
    thrown_s, apart_s = _moment(onsets, at), float(onsets.times_s[at]) - contact.time_s - _LAG_S
    time_s = max(0.0, thrown_s + _CONTACT_SHARE * (contact.time_s - thrown_s) - _BIAS_S)
    share = (1.0 if who[2] in ENDS else 0.5) * min(1.5, contact.closing / _USUAL)
    weight = share * float(onsets.score[at] * away[at] * np.exp(-((apart_s / _MISFIT_S) ** 2)))
    if weight < _WEIGHT:
        return None
    return Blow(time_s, *who, contact.joint, float(np.clip(away[at] / 2, 0.05, 1)), weight)


def _unseen(onsets: Onsets, victim: Curve, striker: Curve, fps: float, who: tuple[int, int]) -> list[Blow]:
    """Throws so violent that somebody within reach must have struck, though no limb was seen to arrive.

    Where two figures touch, the limb that strikes is the one that trackers lose.
    """
    frames = np.minimum((onsets.times_s * fps).round().astype(int), len(victim) - 1)
    apart = victim[frames][:, [HIP, NECK], 0].mean(1) - striker[frames, HIP, 0]
    tips = np.linalg.norm(np.gradient(striker[:, list(ENDS)] - striker[:, [HIP]], axis=0), axis=-1).max(1) * fps
    lashing = maximum_filter1d(tips, 2 * round(0.2 * fps) + 1)[frames] > _LASHING
    gain = _SHARES @ onsets.gain.reshape(-1, len(CORE), 2)
    away, before = gain[:, 0] * np.sign(apart), _SHARES @ onsets.speed.reshape(-1, len(CORE), 2)[..., 0, None]
    thrown = (np.abs(before[:, 0]) < _STILL) & (gain[:, 1] > -_HOPS) & (away > _VIOLENT)
    clear = np.where(lashing & (np.abs(apart) < _REACH) & thrown, onsets.score * away * _UNSEEN, 0)
    found = []
    for at in peaks(np.where(clear < _WEIGHT, 0, clear), round(_APART_S * fps * STEPS)):
        strength = float(np.clip(away[at] / 2, 0.05, 1))
        found.append(Blow(max(0.0, _moment(onsets, at) - _LAG_S), *who, HIP, NECK, strength, float(clear[at])))
    return found


def _moment(onsets: Onsets, at: int) -> float:
    """When the trunk began to move: the middle of all moments that explain it nearly as well as the best."""
    near = np.abs(onsets.times_s - onsets.times_s[at]) < _LATE_S
    good = near & (onsets.score > 0.8 * onsets.score[at])
    return float(onsets.times_s[good].mean())


def trunk_gap(core: Curve, points: Curve) -> Curve:
    """How far points are from a trunk or its head.

    Args:
        core: `(T, 3, 2)`: joints of `CORE`.
        points: `(T, 2)`.

    Returns:
        `(T,)`, in the same unit, 0 within the head.
    """
    head = np.linalg.norm(points - core[:, 0], axis=-1) - _HEAD_RADIUS
    return np.asarray(np.maximum(np.minimum(_from_line(points, core[:, 2], core[:, 1]), head), 0))


def _from_line(point: Curve, start: Curve, end: Curve) -> Curve:
    """Distances `(T,)` of points from stretches."""
    along = end - start
    share = np.clip(((point - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-9), 0, 1)
    return np.asarray(np.linalg.norm(point - start - share[:, None] * along, axis=-1))


def _clearest(found: list[Blow]) -> list[Blow]:
    """Leaves the clearest of those that cannot both be."""
    kept: list[Blow] = []
    for blow in sorted(found, key=lambda blow: -blow.weight):
        if all(
            abs(blow.time_s - other.time_s) > _APART_S or (blow.struck != other.struck and blow.by != other.by)
            for other in kept
        ):
            kept.append(blow)
    return kept

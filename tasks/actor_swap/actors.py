"""Actors made of what the caller shows, in the light of the person they replace."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.people import PeopleFinder
from vid2vid.errors import ReferenceMismatch
from vid2vid.motion.actor import MAX_VIEWS, Actor
from vid2vid.motion.casting import actor_from_reference, join_actors
from vid2vid.motion.cutout import cut_out, in_one_light
from vid2vid.motion.face_light import to_lab, to_rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import KeyPair, Picture, Reference

    Floats = NDArray[np.float32]

_LOG = logging.getLogger(__name__)
KEPT_HEIGHT: Final = 320.0
"""Standing height of the actor in the pictures that a trained bundle keeps."""
_MOST: Final = (12.0, 5.0, 5.0)
"""Change of mean L, a, b that is approached and never reached: clothes differ as well, and are not to be changed."""
_SPREADS: Final = (0.85, 1.2)
"""Limits of the change of contrast."""
_SHARE: Final = 0.6
"""Of the difference in contrast, how much is taken on; of colour all, within `_MOST`: the same person in other light is
then in this one (0.1 dB)."""


@dataclass(frozen=True, slots=True, eq=False)
class Player:
    """Somebody who can take over a part."""

    actor: Actor
    first: Picture
    """`(H, W, 3)` uint8: a picture with the actor in their own scene."""
    name: str | None = None
    """Number of the person whose part it is; None for any."""


def players(shown: Sequence[Reference]) -> list[Player]:
    """Makes an actor of every reference; references of one name show one person, as do all without a name.

    Raises:
        ReferenceMismatch: somebody's references show no whole person.
    """
    names = list(dict.fromkeys(reference.name for reference in shown))
    return [_player([one for one in shown if one.name == name], name) for name in names]


def kept_player(keys: Sequence[KeyPair]) -> Player:
    """The actor of a trained bundle, which keeps pictures and beside each the same place without the actor.

    Raises:
        ReferenceMismatch: none of its pictures shows a person.
    """
    finder, views = PeopleFinder(), []
    for key in keys[:MAX_VIEWS]:
        people = finder.find(key.source)
        if not people:
            _LOG.warning("Nobody was found in picture %d of the bundle: it is left out.", key.frame)
            continue
        plate = None if np.array_equal(key.source, key.look) else key.look
        views.append(cut_out(key.source, replace(people[0], height=KEPT_HEIGHT), finder, KEPT_HEIGHT, plate))
    if not views:
        raise ReferenceMismatch(f"Nobody was found in the bundle's {len(keys)} pictures. Train it again.")
    return Player(Actor("trained", in_one_light(views), KEPT_HEIGHT), keys[0].source)


def _player(shown: Sequence[Reference], name: str | None) -> Player:
    made: list[Actor] = []
    faults: list[ReferenceMismatch] = []
    for reference in shown:
        try:
            made.append(actor_from_reference(reference))
        except ReferenceMismatch as error:
            faults.append(error)
    if not made:
        raise faults[0]
    joined = made[0] if len(made) == 1 else join_actors(_few(made), made[0].name, made[0].credit)
    return Player(joined, shown[0].pictures[0], name)


def _few(actors: Sequence[Actor]) -> list[Actor]:
    """No more views than one actor may have; every actor keeps some."""
    each = max(1, MAX_VIEWS // len(actors))
    return [replace(actor, views=actor.views[:each]) for actor in actors[:MAX_VIEWS]]


def lit(actor: Actor, colour: Floats, spread: float) -> Actor:
    """An actor some way in the light of the person who is replaced.

    Args:
        actor: in the light of their pictures.
        colour: `(3,)` mean R, G, B of the person replaced, 0 to 255.
        spread: standard deviation of that person's L.

    Source:
        Reinhard et al., "Color Transfer between Images", 2001; here the change is softly limited.
    """
    labs = [to_lab(view.picture) for view in actor.views]
    inside = np.concatenate([lab[view.mask > 200] for lab, view in zip(labs, actor.views, strict=True)])
    if not len(inside):
        return actor
    own, wanted = inside.mean(0), to_lab(np.asarray(colour, np.uint8)[None, None])[0, 0]
    most = np.array(_MOST, np.float32)
    shift = most * np.tanh((wanted - own) / most)
    gain = float(np.clip((spread + 2.0) / (float(inside[:, 0].std()) + 2.0), *_SPREADS)) ** _SHARE
    views = [
        replace(view, picture=to_rgb(_changed(lab, own, shift, gain)))
        for lab, view in zip(labs, actor.views, strict=True)
    ]
    return replace(actor, views=tuple(views))


def _changed(lab: Floats, own: Floats, shift: Floats, gain: float) -> Floats:
    """L, a, b in another light; what is dark takes on less of it, or black cloth would turn grey and coloured."""
    share = np.clip(lab[..., :1] / max(float(own[0]), 1.0), 0.0, 1.0)
    gains = np.array([gain, 1.0, 1.0], np.float32)
    return np.asarray((lab - own) * gains + own + shift * share, np.float32)


def spread_of(picture: Picture, mask: Floats) -> float:
    """Standard deviation of L of a person in a picture; both of one window."""
    return float(cv2.meanStdDev(to_lab(picture)[..., 0], mask=(mask > 0.8).astype(np.uint8))[1][0, 0])

"""Who plays the figures and where: from references, or from what is bundled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.errors import InvalidOption, ReferenceMismatch
from vid2vid.io import read_image
from vid2vid.motion.actor import load_actor
from vid2vid.motion.casting import actor_from_reference, join_actors
from vid2vid.options import suggestion

from .staging import GROUND_SHARE

if TYPE_CHECKING:
    from vid2vid.motion.actor import Actor
    from vid2vid.types import Picture, Reference

    from .options import Options

SCENE_NAMES: Final = ("scene", "background", "plate")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Where actors play."""

    picture: Picture
    """`(H, W, 3)` uint8, empty of people."""
    ground: float
    """Where people stand in it, from 0 at its top to 1 at its bottom."""
    name: str = "given"
    credit: str = ""


@dataclass(slots=True)
class Cast:
    """One actor for each figure, and a scene."""

    actors: list[Actor]
    scene: Scene
    notes: list[str] = field(default_factory=list)


def check_names(options: Options) -> None:
    """Refuses names that are not bundled, before anything is read.

    Raises:
        InvalidOption: names what was meant and what there is.
    """
    for option, given, known in (
        ("actors", options.cast, actor_names()),
        ("scene", tuple(filter(None, (options.scene,))), scene_names()),
    ):
        for name in given:
            if name not in known:
                raise InvalidOption(
                    f"{option}={name!r}: nothing of this name is bundled.{suggestion(name, known)} "
                    f"There are: {', '.join(known)}."
                )


def make_cast(shown: Sequence[Reference], figures: int, options: Options) -> Cast:
    """Chooses actors and scene.

    Args:
        shown: the caller's references: pictures and clips with a person become actors, those without the scene. Names
            may be a figure's number, from 0, or `scene`.
        figures: how many there are to play.
        options: of the task.

    Raises:
        ReferenceMismatch: a reference that was named for a figure shows no whole person.
        InvalidOption: a name that is neither a figure nor bundled.
    """
    check_names(options)
    notes: list[str] = []
    named: dict[int, list[Actor]] = {}
    free: list[Actor] = []
    scene: Scene | None = None
    for reference in shown:
        figure = _figure(reference, figures)
        if (reference.name or "") in SCENE_NAMES:
            scene = _scene_from(reference)
            continue
        try:
            actor = actor_from_reference(reference)
        except ReferenceMismatch as error:
            if figure is not None or scene is not None:
                raise
            scene = _scene_from(reference)
            notes.append(f"a reference without a whole person became the scene ({error})")
            continue
        if figure is None:
            free.append(actor)
        else:
            named.setdefault(figure, []).append(actor)
    players = {
        figure: one[0] if len(one) == 1 else join_actors(one, one[0].name, one[0].credit)
        for figure, one in named.items()
    }
    actors = _distributed(players, free or _bundled_actors((options.cast or actor_names())[:figures]), figures)
    if options.scene:
        scene = bundled_scene(options.scene)
    return Cast(actors, scene or _own_scene([*players.values(), *free]) or bundled_scene(""), notes)


def _distributed(named: Mapping[int, Actor], others: Sequence[Actor], figures: int) -> list[Actor]:
    """Who is named plays that figure; the rest take turns."""
    turn = 0
    actors = []
    for figure in range(figures):
        if figure in named:
            actors.append(named[figure])
            continue
        actors.append(others[turn % len(others)])
        turn += 1
    return actors


def _figure(reference: Reference, figures: int) -> int | None:
    name = reference.name
    if name is None or name in SCENE_NAMES:
        return None
    if name.isdecimal() and int(name) < figures:
        return int(name)
    raise InvalidOption(
        f"reference {name!r}: this drawing has {figures} figures, called 0 to {figures - 1} from left to right where "
        f"they first appear; besides these there is 'scene'."
    )


def _scene_from(reference: Reference) -> Scene:
    name = reference.path.name if reference.path else "given"
    return Scene(reference.pictures[0], GROUND_SHARE, name)


def _own_scene(actors: Sequence[Actor]) -> Scene | None:
    """The first actor's own surroundings, if they are known."""
    for actor in actors:
        if actor.plate is not None:
            return Scene(actor.plate, GROUND_SHARE, f"of {actor.name}")
    return None


def actor_names() -> tuple[str, ...]:
    """Names of the bundled actors, the usual ones first."""
    return tuple(_table()["actors"])


def scene_names() -> tuple[str, ...]:
    """Names of the bundled scenes, the usual one first."""
    return tuple(_table()["scenes"])


def _bundled_actors(names: Sequence[str]) -> list[Actor]:
    return [load_actor(_place() / "actors" / name) for name in names]


def bundled_scene(name: str) -> Scene:
    """A bundled scene; the usual one where the name is empty."""
    chosen = name or scene_names()[0]
    told: Mapping[str, Any] = _table()["scenes"][chosen]
    picture = read_image(_place() / str(told["picture"]))
    return Scene(picture, float(told["ground"]), chosen, str(told["credit"]))


@cache
def _table() -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((_place() / "cast.json").read_text(encoding="utf-8"))
    return content


def _place() -> Path:
    return Path(str(files(__package__)))

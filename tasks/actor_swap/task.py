"""The task: a person of the film is taken out, and the reference's actor plays the part, moving as they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from vid2vid.config import BackboneConfig
from vid2vid.errors import ReferenceRequired, UsageError
from vid2vid.task import Task

from .options import Options as ActorOptions

if TYPE_CHECKING:
    import torch

    from vid2vid.conditions.motion import MotionTracker
    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.lesson import FittedGenerator, Lesson
    from vid2vid.types import Chunk, Conditions, Event, Picture, Request

    from .canvas import Cell
    from .parts import Part
    from .swapping import Painter
    from .watching import Watched

_READ_ONCE = (
    "actor_swap looks through the film first: give a file, a folder or an array instead of frames that pass by once."
)
_NO_GAIN = (
    "The bundle's generator was measured to be no better than the moved pictures it works over, so it is left out; the "
    "bundle's pictures are used. Train it on more footage, or for longer."
)
_ANOTHER = "A reference was given beside the bundle, whose generator knows only its own person and is left out."
_SILENT = BackboneConfig(width=8, blocks=(1, 1, 1), textured=False, recurrent=False)
"""A generator that changes nothing need not be large."""
_NOTHING = 32
"""Side of the empty canvas of a render without a trained generator."""


@dataclass(slots=True)
class Setup:
    """What one render needs."""

    seen: Watched
    numbers: list[int]
    """Of everybody who is there for long enough."""
    parts: list[Part]
    painter: Painter
    motion: MotionTracker
    share: float
    """Of what a trained generator changes, how much is taken on; 0 where none works over the actors."""
    left_out: str | None
    """Why the generator of the bundle given is not used; None where it is, or where none was given."""
    pending: list[Event] = field(default_factory=list)
    """Events not yet handed on, in the order of time."""


class ActorSwap(Task[Setup]):
    """Puts an actor in the place of a person.

    The film is looked through first: everybody is followed, and what is behind them is gathered. Then the chosen
    person's joints, on the actor's proportions, move cut-out pictures of the actor, which are laid over the empty
    scene. A generator that was taught the actor mends them; without one no network paints anything.
    """

    name: ClassVar[str] = "actor_swap"
    summary: ClassVar[str] = "Another actor takes over a person's part in a film, from one photo or a clip of them."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(width=32, blocks=(1, 1, 2), textured=False)
    channels: ClassVar[Mapping[str, int]] = {"source": 3, "limbs": 3, "cover": 1, "plate": 3}
    prompt: ClassVar[str] = "live action film still of a person moving in a real place, natural light, realistic"
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "consent"})
    supervision: ClassVar[Any] = "self"
    Options: ClassVar[type[Any]] = ActorOptions

    def setup(self, request: Request, device: torch.device) -> Setup:
        """Makes the actors and follows everybody in the film.

        Raises:
            ReferenceMismatch: a reference shows no whole person, or is for somebody whom the film does not show.
            InvalidOption: `people` names somebody whom it does not show.
            UsageError: frames that can be read only once.
        """
        from vid2vid.conditions.motion import MotionTracker
        from vid2vid.motion.events import detect_events

        from .actors import kept_player, players
        from .own_scene import own_scene
        from .parts import cast, people_of, tracks_of
        from .swapping import Painter, Swapper
        from .watching import watch

        options: ActorOptions = request.options
        if request.open_source is None:
            raise UsageError(_READ_ONCE)
        if not request.shown and not request.keys:
            raise ReferenceRequired("reference= holds no picture: give a photo or clip of the actor.")
        given = players(request.shown) if request.shown else [kept_player(request.keys)]
        with request.open_source() as source:
            seen = watch(source)
        fps = float(request.info.fps)
        parts = cast(seen, given, options, fps)
        events = detect_events(tracks_of(parts, seen.length), fps, seen.size) if parts else ()
        scene, placed = None, parts
        if options.mode == "animate" and parts:
            scene, placed = own_scene(given[0], parts, seen.size)
        painter = Painter(seen, [Swapper(part, options, seen.size) for part in placed], options, scene)
        left_out = _left_out(request)
        share = _share(request) if request.fitted and left_out is None else 0.0
        return Setup(seen, people_of(seen, fps), parts, painter, MotionTracker(), share, left_out, list(events))

    def generator(self, request: Request, setup: Setup, device: torch.device) -> FittedGenerator | None:
        """None for a trained bundle; else a generator that adds nothing."""
        from vid2vid.backbones import make_generator
        from vid2vid.lesson import FittedGenerator

        if setup.share:
            return None
        net = make_generator(_SILENT, self.channels)
        net.silence()
        return FittedGenerator(net, _SILENT, self.channels)

    def canvas(self, setup: Setup) -> tuple[int, int]:
        """A cell for each actor, side by side."""
        from .canvas import CELL

        return (CELL, CELL * max(1, len(setup.parts))) if setup.share else (_NOTHING, _NOTHING)

    def condition(self, chunk: Chunk, setup: Setup) -> Conditions:
        """The actors' cells, where a trained generator works over them; and what is heard of the parts."""
        import numpy as np
        import torch

        from vid2vid.composite import to_pictures
        from vid2vid.types import Conditions, Motion

        from .canvas import stacked

        heard = _heard(chunk, setup)
        if not setup.share:
            shape = (chunk.length, 1, _NOTHING, _NOTHING)
            empty = {name: torch.zeros(shape[0], count, *shape[2:]) for name, count in self.channels.items()}
            still = Motion(torch.zeros(shape).repeat(1, 2, 1, 1), torch.zeros(shape))
            return Conditions(maps=empty, motion=still, events=heard)
        pictures = to_pictures(chunk.frames)
        rows = [_cells(picture, chunk.start + t, setup) for t, picture in enumerate(pictures)]
        maps, reference = stacked(rows)
        shown = [np.concatenate([cell.source for cell in row], 1) for row in rows]
        return Conditions(maps=maps, reference=reference, motion=setup.motion(shown, chunk.cuts), events=heard)

    def composite(self, source: Chunk, generated: torch.Tensor, conditions: Conditions, setup: Setup) -> torch.Tensor:
        """Puts the actors in; a trained generator's change is added to them. Nothing is remembered here."""
        from vid2vid.composite import to_pictures, to_tensor

        changes = _changes(generated, conditions, setup)
        made = []
        for t, picture in enumerate(to_pictures(source.frames)):
            painted = setup.painter.paint(picture, source.start + t)
            made.append(painted if changes is None else _mended(painted, picture, changes[t], source.start + t, setup))
        return to_tensor(made)

    def report(self, setup: Setup) -> Mapping[str, Any]:
        """Who was there, and who was taken over."""
        from .telling import told

        replaces = setup.painter.scene is None
        found = told(setup.seen, setup.numbers, setup.parts, setup.painter.swapped, replaces=replaces)
        if setup.left_out:
            found["notes"].append(setup.left_out)
        return found | {"generator": "trained" if setup.share else "none"}

    def lesson(self, examples: Examples, config: TrainConfig) -> Lesson:
        """Learns to mend an actor's moved pictures, from clips in which they play themself.

        Raises:
            InvalidExamples: no clip shows enough of a whole person.
        """
        from .lesson import actor_lesson

        return actor_lesson(self, examples, config)


def _left_out(request: Request) -> str | None:
    if not request.fitted:
        return None
    if request.shown:
        return _ANOTHER
    return None if _share(request) else _NO_GAIN


def _share(request: Request) -> float:
    """How much of the generator's change was measured to be best: the lesson's judge says it, and 0 for none."""
    return min(1.0, max(0.0, request.scores.get("share", 1.0)))


def _heard(chunk: Chunk, setup: Setup) -> tuple[Event, ...]:
    end = chunk.start + chunk.length
    times_s = setup.seen.times_s
    until = times_s[end] if end < len(times_s) else float("inf")
    heard = tuple(event for event in setup.pending if event.time_s < until)
    setup.pending = setup.pending[len(heard) :]
    return heard


def _cells(picture: Picture, frame: int, setup: Setup) -> list[Cell]:
    """Of all parts, in their order; the frame may be smaller than the film."""
    from vid2vid.composite import resize

    from .canvas import Cell, make_cell, way_into

    staged = setup.painter.stage(resize(picture, *setup.seen.size), frame)
    cells = []
    for swapper in setup.painter.swappers:
        place, drawn = swapper.part.at(frame), staged.drawn.get(swapper.part.number)
        if place is None or drawn is None:
            cells.append(Cell.empty())
        else:
            cells.append(make_cell(staged, drawn, way_into(swapper.part, place)))
    return cells or [Cell.empty()]


def _changes(generated: torch.Tensor, conditions: Conditions, setup: Setup) -> list[list[Any]] | None:
    """For each frame and part what the generator changed, `(CELL, CELL, 3)` in levels of 255; None without one."""
    import numpy as np

    from .canvas import CELL, reach_of

    if not setup.share:
        return None
    added = (generated - conditions.maps["source"]) * (setup.share * 255.0)
    rows = added.permute(0, 2, 3, 1).contiguous().numpy()
    covers = np.round(conditions.maps["cover"][:, 0].numpy() * 255.0).astype(np.uint8)
    columns = [slice(CELL * number, CELL * (number + 1)) for number in range(len(setup.parts))]
    return [[row[:, one] * reach_of(cover[:, one])[..., None] for one in columns]
            for row, cover in zip(rows, covers, strict=True)]  # fmt: skip


def _mended(painted: Picture, picture: Picture, changes: list[Any], frame: int, setup: Setup) -> Picture:
    """A painted frame with what the generator changed; pixels that the swap left alone stay as they were."""
    from .canvas import put_back, way_into

    before = picture if setup.painter.scene is None else setup.painter.scene
    allowed = (painted != before).any(-1)
    for swapper, change in zip(setup.painter.swappers, changes, strict=True):
        place = swapper.part.at(frame)
        if place is not None:
            painted = put_back(painted, change, way_into(swapper.part, place), allowed)
    return painted

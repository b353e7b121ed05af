"""The task: a person of the film is taken out, and the reference's actor plays the part, moving as they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from vid2vid.config import BackboneConfig
from vid2vid.errors import UsageError
from vid2vid.task import Task

from .options import Options as ActorOptions

if TYPE_CHECKING:
    import torch

    from vid2vid.lesson import FittedGenerator
    from vid2vid.types import Chunk, Conditions, Event, Request

    from .parts import Part
    from .swapping import Painter
    from .watching import Watched

_READ_ONCE = (
    "actor_swap looks through the film first: give a file, a folder or an array instead of frames that pass by once."
)
_NOTHING = 32
"""Side of the empty canvas: no generator works over the frames."""


@dataclass(slots=True)
class Setup:
    """What one render needs."""

    seen: Watched
    numbers: list[int]
    """Of everybody who is there for long enough."""
    parts: list[Part]
    painter: Painter
    pending: list[Event] = field(default_factory=list)
    """Events not yet handed on, in the order of time."""


class ActorSwap(Task[Setup]):
    """Puts an actor in the place of a person.

    The film is looked through first: everybody is followed, and what is behind them is gathered. Then the chosen
    person's joints, on the actor's proportions, move cut-out pictures of the actor, which are laid over the empty
    scene. No network paints anything.
    """

    name: ClassVar[str] = "actor_swap"
    summary: ClassVar[str] = "Another actor takes over a person's part in a film, from one photo or a clip of them."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(width=32, blocks=(1, 1, 2), textured=False)
    channels: ClassVar[Mapping[str, int]] = {"cover": 1}
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "consent"})
    Options: ClassVar[type[Any]] = ActorOptions

    def setup(self, request: Request, device: torch.device) -> Setup:
        """Makes the actors and follows everybody in the film.

        Raises:
            ReferenceMismatch: a reference shows no whole person, or is for somebody whom the film does not show.
            InvalidOption: `people` names somebody whom it does not show.
            UsageError: frames that can be read only once.
        """
        from vid2vid.motion.events import detect_events

        from .actors import players
        from .own_scene import own_scene
        from .parts import cast, people_of, tracks_of
        from .swapping import Painter, Swapper
        from .watching import watch

        options: ActorOptions = request.options
        if request.open_source is None:
            raise UsageError(_READ_ONCE)
        given = players(request.shown)
        with request.open_source() as source:
            seen = watch(source)
        fps = float(request.info.fps)
        parts = cast(seen, given, options, fps)
        events = detect_events(tracks_of(parts, seen.length), fps, seen.size) if parts else ()
        scene, placed = None, parts
        if options.mode == "animate" and parts:
            scene, placed = own_scene(given[0], parts, seen.size)
        painter = Painter(seen, [Swapper(part, options, seen.size) for part in placed], options, scene)
        return Setup(seen, people_of(seen, fps), parts, painter, list(events))

    def generator(self, request: Request, setup: Setup, device: torch.device) -> FittedGenerator:
        """One that adds nothing: the pictures of the actor are moved, not painted."""
        from vid2vid.backbones import make_generator
        from vid2vid.lesson import FittedGenerator

        net = make_generator(self.backbone, self.channels)
        net.silence()
        return FittedGenerator(net, self.backbone, self.channels)

    def canvas(self, setup: Setup) -> tuple[int, int]:
        """Nothing to look at."""
        return (_NOTHING, _NOTHING)

    def condition(self, chunk: Chunk, setup: Setup) -> Conditions:
        """Nothing to look at; what is heard of the parts."""
        import torch

        from vid2vid.types import Conditions, Motion

        shape = (chunk.length, 1, _NOTHING, _NOTHING)
        end = chunk.start + chunk.length
        times_s = setup.seen.times_s
        until = times_s[end] if end < len(times_s) else float("inf")
        heard = tuple(event for event in setup.pending if event.time_s < until)
        setup.pending = setup.pending[len(heard) :]
        still = Motion(torch.zeros(shape).repeat(1, 2, 1, 1), torch.zeros(shape))
        return Conditions(maps={"cover": torch.zeros(shape)}, motion=still, events=heard)

    def composite(self, source: Chunk, generated: torch.Tensor, conditions: Conditions, setup: Setup) -> torch.Tensor:
        """Puts the actors in."""
        from vid2vid.composite import to_pictures, to_tensor

        pictures = to_pictures(source.frames)
        return to_tensor([setup.painter.paint(picture, source.start + t) for t, picture in enumerate(pictures)])

    def report(self, setup: Setup) -> Mapping[str, Any]:
        """Who was there, and who was taken over."""
        from .telling import told

        replaces = setup.painter.scene is None
        return told(setup.seen, setup.numbers, setup.parts, setup.painter.swapped, replaces=replaces)

"""The task: stick-men become actors on a scene, with sounds; line art becomes the scene that its key frame shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from vid2vid.config import BackboneConfig
from vid2vid.errors import InputError, InvalidOption, NoFigures, UsageError
from vid2vid.task import Task

from .options import Options as SketchOptions

if TYPE_CHECKING:
    import torch

    from vid2vid.conditions.motion import MotionTracker
    from vid2vid.io import FrameSource
    from vid2vid.lesson import FittedGenerator
    from vid2vid.motion.keyed_clip import KeyedClip
    from vid2vid.types import AudioMode, Chunk, Conditions, Event, Ground, Request

    from .casting import Cast
    from .performance import Performance
    from .staging import Stage


@dataclass(slots=True)
class Figures:
    """What lives for one render of stick-men."""

    performance: Performance
    cast: Cast
    stage: Stage
    motion: MotionTracker
    options: SketchOptions
    sheet: bool
    """Whether the clip was made of one sheet of panels."""
    pending: list[Event] = field(default_factory=list)
    """Events not yet handed on, in the order of time."""


@dataclass(slots=True)
class Lines:
    """What lives for one render of line art."""

    keyed: KeyedClip | None
    options: SketchOptions


Setup = Figures | Lines


class SketchToScene(Task[Setup]):
    """Turns drawings into scenes.

    Stick-men: figures are read as skeletons; real pixels of actors are moved into their poses, over a scene; the
    generator mends what moving pictures cannot do; what happens is heard. Line art: its key frames are carried along.
    """

    name: ClassVar[str] = "sketch_to_scene"
    summary: ClassVar[str] = "Stick-men on paper become actors in a scene, with sounds; line art becomes footage."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(
        width=32, blocks=(1, 1, 2), textured=False, weights="weights.safetensors"
    )
    channels: ClassVar[Mapping[str, int]] = {"source": 3, "limbs": 3, "cover": 1}
    prompt: ClassVar[str] = "live action film still of real people in a real place, natural light, detailed, realistic"
    controls: ClassVar[Mapping[str, str]] = {"pose": "limbs", "mask": "cover"}
    audio: ClassVar[AudioMode] = "effects"
    keeps_detail: ClassVar[bool] = False
    Options: ClassVar[type[Any]] = SketchOptions

    def unfold(self, source: FrameSource, options: Any) -> FrameSource:
        """Gives the panels of a sheet in turn, and slow drawings at the wanted rate.

        Raises:
            InputError: the picture was said to be a sheet of panels, and is none.
            UsageError: frames that can be read only once.
        """
        from .unfolding import unfold

        return unfold(source, options)

    def setup(self, request: Request, device: torch.device) -> Setup:
        """Reads the drawing and chooses who plays.

        Raises:
            NoFigures: the drawing was said to show stick-men, and none is found.
            ReferenceMismatch, InvalidOption: references or names that cannot be used.
        """
        options: SketchOptions = request.options
        if options.kind == "lines":
            return self._lines(request, options)
        try:
            return self._figures(request, options)
        except NoFigures as none:
            meant = options.kind != "auto" or options.figures is not None or options.actors or options.scene
            if meant or any(reference.name for reference in request.shown):
                raise
            try:
                return self._lines(request, options)
            except (InputError, UsageError) as error:
                raise type(error)(f"{error} It was taken for line art because of this: {none}") from error

    def _figures(self, request: Request, options: SketchOptions) -> Figures:
        from vid2vid.conditions.motion import MotionTracker

        from .casting import check_names, make_cast
        from .performance import read_performance
        from .staging import Stage
        from .unfolding import READ_ONCE

        if request.open_source is None:
            raise UsageError(READ_ONCE)
        check_names(options)
        performance = read_performance(request, request.open_source, options)
        cast = make_cast(request.shown, performance.tracks.figures, options)
        stage = Stage(performance, cast.actors, cast.scene, (request.width, request.height), options)
        sheet = request.info.kind == "unfolded"
        return Figures(performance, cast, stage, MotionTracker(), options, sheet, list(performance.events))

    def _lines(self, request: Request, options: SketchOptions) -> Lines:
        from .lines import follow_keys

        if options.actors or options.scene:
            raise InvalidOption("actors and scene are for stick-men; this drawing shows none.")
        keyed = follow_keys(request, options.key_frames) if request.references else None
        return Lines(keyed, options)

    def generator(self, request: Request, setup: Setup, device: torch.device) -> FittedGenerator | None:
        """The bundled net works over stick-men; line art is shown as carried, which no net has bettered yet."""
        from vid2vid.backbones import make_generator
        from vid2vid.lesson import FittedGenerator

        if isinstance(setup, Figures):
            if setup.options.refine:
                return None
            config, channels = self.backbone, self.channels
        else:
            from .lines import BACKBONE, CHANNELS

            config, channels = BACKBONE, CHANNELS
        net = make_generator(config, channels)
        net.silence()
        return FittedGenerator(net, config, channels)

    def condition(self, chunk: Chunk, setup: Setup) -> Conditions:
        """Actors on the scene, or the key frame carried along the lines."""
        if isinstance(setup, Lines):
            from .lines import line_conditions

            return line_conditions(chunk, setup.keyed.keys if setup.keyed else ())
        return self._staged(chunk, setup)

    def _staged(self, chunk: Chunk, setup: Figures) -> Conditions:
        import numpy as np
        import torch

        from vid2vid.composite import to_tensor
        from vid2vid.types import Conditions

        staged = [setup.stage.frame(chunk.start + t) for t in range(chunk.length)]
        pictures = [each.picture for each in staged]
        tensor = to_tensor(pictures)
        cover = torch.from_numpy(np.stack([each.cover for each in staged]))[:, None]
        maps = {"source": tensor, "limbs": to_tensor([each.limbs for each in staged]), "cover": cover}
        motion = setup.motion(pictures, frozenset())
        until = setup.performance.begins_s(chunk.start + chunk.length)
        told = tuple(setup.stage.heard(event) for event in setup.pending if event.time_s < until)
        setup.pending = setup.pending[len(told) :]
        return Conditions(maps=maps, motion=motion, events=told)

    def ground(self, setup: Setup) -> Ground:
        """As the caller says."""
        return setup.options.ground

    def report(self, setup: Setup) -> Mapping[str, Any]:
        """What was found in the drawing and who plays it."""
        if isinstance(setup, Lines):
            keys = setup.keyed.facts() if setup.keyed else []
            said = f"line art with {len(keys)} key frames" if keys else "line art without a key frame: a grey relief"
            return {"kind": "lines", "key_frames": keys, "summary": said}
        return _told(setup)


def _told(setup: Figures) -> dict[str, Any]:
    tracks, cast = setup.performance.tracks, setup.cast
    kind = "sheet" if setup.sheet else "drawings" if setup.performance.held else "animation"
    figures: Sequence[dict[str, Any]] = [
        {
            "actor": actor.name,
            "credit": actor.credit,
            "height_px": round(float(height), 1),
            "frames": int(present.sum()),
        }
        for actor, height, present in zip(cast.actors, tracks.heights, tracks.present.T, strict=True)
    ]
    return {
        "kind": kind,
        "drawings": setup.performance.drawings,
        "figures": figures,
        "scene": {"name": cast.scene.name, "credit": cast.scene.credit},
        "notes": cast.notes,
        "summary": f"{len(figures)} stick-men, {setup.performance.drawings} drawings, {tracks.length} frames",
    }

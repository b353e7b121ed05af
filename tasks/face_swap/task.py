"""The task: a face of the clip becomes another person's, from their pictures at once or by what was learned of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from vid2vid.config import BackboneConfig
from vid2vid.errors import ReferenceRequired, UsageError
from vid2vid.task import Task

from .options import Options as FaceOptions

if TYPE_CHECKING:
    import torch

    from vid2vid.conditions.motion import MotionTracker
    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.lesson import FittedGenerator, Lesson
    from vid2vid.types import Chunk, Conditions, Reference, Request

    from .canvas import Cell
    from .parts import Watched
    from .swapping import Swapper

_READ_ONCE = (
    "face_swap looks through the clip first: give a file, a folder or an array instead of frames that pass by once."
)
_NO_GAIN = (
    "The bundle's generator was measured to be no better than the pictures it works over, so it is left out. Train it "
    "on more footage, or for longer."
)
_ANOTHER = "A reference was given beside the bundle, whose generator knows only its own person and is left out."
_NOTHING = 32
"""Side of the empty canvas of a render without a trained generator."""


@dataclass(slots=True)
class Setup:
    """What one render needs."""

    seen: Watched
    swappers: tuple[Swapper, ...]
    fitted: bool
    """Whether a trained generator works over the faces."""
    scale: float
    """Pixels of the working size for each of the source."""
    motion: MotionTracker
    left_out: str | None
    """Why the generator of the bundle given is not used; None where it is, or where none was given."""
    swapped: dict[int, int] = field(default_factory=dict)
    """Frames in which each face was swapped."""


class FaceSwap(Task[Setup]):
    """Puts another person's face on a clip's.

    The clip is looked through first: faces and hands are followed. Key pictures of the reference are then moved onto
    the landmarks of every frame, lit as it is, and blended in; a generator that was taught the person mends them.
    """

    name: ClassVar[str] = "face_swap"
    summary: ClassVar[str] = "Another person's face on a clip's, from one photo at once, better after training."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(width=32, blocks=(1, 1, 2), textured=False)
    channels: ClassVar[Mapping[str, int]] = {"light": 3, "landmarks": 3, "cover": 1, "trust": 1}
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "consent"})
    prompt: ClassVar[str] = "a photograph of a person, natural skin, sharp face, realistic"
    supervision: ClassVar[Any] = "self"
    Options: ClassVar[type[Any]] = FaceOptions

    def setup(self, request: Request, device: torch.device) -> Setup:
        """Follows the clip's faces and looks at the references.

        Raises:
            ReferenceMismatch: a reference shows no face that can be used, or is for a face that the clip does not have.
            InvalidOption: `faces` names one that it does not have.
            UsageError: frames that can be read only once.
        """
        from vid2vid.conditions.motion import MotionTracker

        from .keys import identities
        from .parts import cast, watch
        from .swapping import Swapper

        options: FaceOptions = request.options
        if request.open_source is None:
            raise UsageError(_READ_ONCE)
        if not request.shown and not request.keys:
            raise ReferenceRequired("reference= holds no picture: give a photo or clip of the person.")
        people = identities(request.shown or _brought(request))
        with request.open_source() as source:
            seen = watch(source, hands=options.hands)
        parts = cast(seen, people, options, float(request.info.fps))
        swappers = tuple(Swapper(part, options) for part in parts)
        scale = request.width / request.info.width
        left_out = _left_out(request)
        fitted = request.fitted and left_out is None
        return Setup(seen, swappers, fitted, scale, MotionTracker(), left_out)

    def generator(self, request: Request, setup: Setup, device: torch.device) -> FittedGenerator | None:
        """None for a trained bundle; else a generator that adds nothing."""
        from vid2vid.backbones import make_generator
        from vid2vid.lesson import FittedGenerator

        if setup.fitted:
            return None
        net = make_generator(self.backbone, self.channels)
        net.silence()
        return FittedGenerator(net, self.backbone, self.channels)

    def canvas(self, setup: Setup) -> tuple[int, int]:
        """A cell for each face, side by side."""
        from .canvas import CELL

        return (CELL, CELL * max(1, len(setup.swappers))) if setup.fitted else (_NOTHING, _NOTHING)

    def condition(self, chunk: Chunk, setup: Setup) -> Conditions:
        """The cells of the chunk's faces; nothing to look at where no trained generator works."""
        import numpy as np
        import torch

        from vid2vid.composite import to_pictures
        from vid2vid.types import Conditions, Motion

        from .canvas import Cell, stacked

        if not setup.fitted:
            shape = (chunk.length, 1, _NOTHING, _NOTHING)
            empty = {name: torch.zeros(shape[0], count, *shape[2:]) for name, count in self.channels.items()}
            return Conditions(maps=empty, motion=Motion(torch.zeros(shape).repeat(1, 2, 1, 1), torch.zeros(shape)))
        rows: list[list[Cell]] = []
        for t, picture in enumerate(to_pictures(chunk.frames)):
            cells = [one.cell(picture, setup.scale, chunk.start + t) for one in setup.swappers]
            rows.append([Cell.empty() if cell is None else cell for cell in cells] or [Cell.empty()])
        maps, reference = stacked(rows)
        targets = [np.concatenate([cell.target for cell in row], 1) for row in rows]
        return Conditions(maps=maps, reference=reference, motion=setup.motion(targets, chunk.cuts))

    def composite(self, source: Chunk, generated: torch.Tensor, conditions: Conditions, setup: Setup) -> torch.Tensor:
        """Puts the faces in; a trained generator's change is added to them."""
        from vid2vid.composite import to_pictures, to_tensor

        changes = _changes(generated, conditions, setup)
        pictures = []
        for t, picture in enumerate(to_pictures(source.frames)):
            frame = source.start + t
            hands = setup.seen.hands.get(frame, ())
            for number, swapper in enumerate(setup.swappers):
                change = None if changes is None else changes[t][number]
                before, picture = picture, swapper.put(picture, frame, hands, change)
                which = swapper.part.number
                setup.swapped[which] = setup.swapped.get(which, 0) + int(picture is not before)
            pictures.append(picture)
        return to_tensor(pictures)

    def save_memory(self, setup: Setup) -> Mapping[str, torch.Tensor]:
        """Light on each face, and how often each was swapped."""
        import torch

        memory = {f"{number}.swapped": torch.tensor(count) for number, count in setup.swapped.items()}
        for place, swapper in enumerate(setup.swappers):
            memory |= {f"{place}.light.{name}": torch.from_numpy(value) for name, value in swapper.memory().items()}
        return memory

    def load_memory(self, setup: Setup, memory: Mapping[str, torch.Tensor]) -> None:
        """As `save_memory` gave it."""
        setup.swapped = {
            int(name.removesuffix(".swapped")): int(count) for name, count in memory.items() if "swapped" in name
        }
        for place, swapper in enumerate(setup.swappers):
            start = f"{place}.light."
            light = {name.removeprefix(start): one.numpy() for name, one in memory.items() if name.startswith(start)}
            swapper.recall(light)

    def report(self, setup: Setup) -> Mapping[str, Any]:
        """Which faces were there, which were swapped, and in which frames not."""
        from .telling import told

        found = told(setup.seen, [swapper.part for swapper in setup.swappers], setup.swapped)
        if setup.left_out:
            found["notes"].append(setup.left_out)
        return found | {"generator": "trained" if setup.fitted else "none"}

    def lesson(self, examples: Examples, config: TrainConfig) -> Lesson:
        """Learns to rebuild a person's face from distorted views of it.

        Raises:
            InvalidExamples: no clip shows enough of a face.
        """
        from .lesson import face_lesson

        return face_lesson(self, examples, config)


def _left_out(request: Request) -> str | None:
    if not request.fitted:
        return None
    if request.shown:
        return _ANOTHER
    return _NO_GAIN if _useless(request) else None


def _useless(request: Request) -> bool:
    """Whether a bundle's generator was measured to be no better than the moved pictures it works over."""
    return request.scores.get("st_lpips", 0.0) > request.scores.get("source_st_lpips", 1.0)


def _brought(request: Request) -> Sequence[Reference]:
    """The pictures of the person that a trained bundle keeps."""
    from vid2vid.types import Reference

    return [Reference(tuple(key.look for key in request.keys))]


def _changes(generated: torch.Tensor, conditions: Conditions, setup: Setup) -> list[list[Any]] | None:
    """For each frame and face what the generator changed, `(CELL, CELL, 3)` in levels of 255; None without one."""
    from .canvas import CELL

    if not setup.fitted or conditions.reference is None:
        return None
    added = (generated - conditions.reference[:, :3]) * conditions.maps["cover"] * 255.0
    rows = added.permute(0, 2, 3, 1).contiguous().numpy()
    return [[row[:, CELL * n : CELL * (n + 1)] for n in range(len(setup.swappers))] for row in rows]

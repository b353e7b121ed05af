"""How an actor is learned: their moved pictures are mended towards what they really looked like in that pose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from vid2vid.backbones import make_generator
from vid2vid.backbones.compact import CompactBackbone, CompactState
from vid2vid.backbones.generator import CLOSINGS
from vid2vid.composite import to_pictures
from vid2vid.conditions.motion import MotionTracker
from vid2vid.episodes import EpisodeWindows
from vid2vid.errors import InvalidExamples
from vid2vid.fitting import FitConfig, Score, Window
from vid2vid.judging import Comparison
from vid2vid.lesson import Lesson
from vid2vid.motion.actor import MAX_VIEWS
from vid2vid.types import Chunk, Conditions

from .canvas import CELL, CHANNELS, reach_of, stacked
from .rehearsal import MOST_FRAMES, Role, Shot, held_out, kept_pictures, read_role, rehearsed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.backbones.generator import CompactGenerator
    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.task import Task
    from vid2vid.types import Picture

LENGTH: Final = 2
"""Frames of a window."""
WINDOWS: Final = 3
"""Windows in which a slot stays with one passage."""
SLOTS: Final = 3
CROP: Final = 128
DEFAULT_MINUTES: Final = 15.0
SHARES: Final = (0.25, 0.5, 0.75, 1.0)
"""Of the generator's change, tried on the held-out frames; at full strength it may soften more than it mends."""
LOSSES: Final = {"l1": 3.0, "gradient": 1.0, "perceptual": 4.0, "temporal": 0.5}
_JUDGED: Final = 6
"""Shots that are judged, and at most so many frames of each ..."""
_JUDGED_FRAMES: Final = 16
_JUDGED_EVERY: Final = 4
"""... of which every n-th is compared."""
_GAINS: Final = 0.15
"""How far light and colour are changed by chance."""


class ActorWindows(EpisodeWindows):
    """Windows of an actor's rehearsals without end."""

    def __init__(self, shots: Sequence[Shot], *, slots: int, crop: int, seed: int = 0) -> None:
        super().__init__(slots=slots, windows=WINDOWS, seed=seed)
        self.shots, self.crop = shots, min(crop, CELL)

    def episode(self, rng: np.random.Generator) -> Iterator[Window]:
        """A passage of one shot in one square and one light."""
        weights = np.array([float(len(shot)) for shot in self.shots])
        shot = self.shots[int(rng.choice(len(self.shots), p=weights / weights.sum()))]
        first = int(rng.integers(0, max(1, len(shot) - LENGTH * WINDOWS + 1)))
        frames = np.minimum(np.arange(first, first + LENGTH * WINDOWS), len(shot) - 1)
        box = self._box(shot.cover[frames[0]], rng)
        gains = (1.0 + rng.uniform(-_GAINS, _GAINS) + rng.uniform(-0.04, 0.04, 3)).astype(np.float32)
        return window_of(shot, frames, box, gains, mirrored=bool(rng.random() < 0.5)).cut(LENGTH)

    def _box(self, cover: NDArray[np.uint8], rng: np.random.Generator) -> tuple[slice, slice]:
        """A square that shows something of the actor."""
        rows, columns = np.nonzero(cover > 128)
        number = int(rng.integers(len(rows))) if len(rows) else 0
        middle = (rows[number], columns[number]) if len(rows) else (CELL // 2, CELL // 2)
        top, left = (
            int(np.clip(at + rng.integers(-self.crop // 4, self.crop // 4 + 1) - self.crop // 2, 0, CELL - self.crop))
            for at in middle
        )
        return slice(top, top + self.crop), slice(left, left + self.crop)


def window_of(
    shot: Shot, frames: NDArray[np.intp], box: tuple[slice, slice], gains: NDArray[np.float32], *, mirrored: bool
) -> Window:
    """Some frames of a shot as one window of a batch of one, in another light and perhaps mirrored."""
    way = -1 if mirrored else 1

    def cut(name: str) -> NDArray[np.uint8]:
        return np.ascontiguousarray(getattr(shot, name)[frames][:, *box][:, :, ::way])

    source, plate, truth = (np.clip(cut(name) / np.float32(255.0) * gains, 0.0, 1.0) for name in _PICTURES)
    limbs, cover = cut("limbs") / np.float32(255.0), cut("cover")[..., None] / np.float32(255.0)
    if mirrored:
        limbs = limbs[..., [1, 0, 2]]  # left limbs are red and right ones green
    maps = np.concatenate((source, limbs, cover, plate), -1)
    reference = np.concatenate((source, cover), -1)
    motion = MotionTracker()(list((source * 255.0).round().astype(np.uint8)), frozenset())
    tensors = (torch.from_numpy(np.asarray(one, np.float32)).permute(0, 3, 1, 2) for one in (maps, truth, reference))
    return Window(*(each[None] for each in (*tensors, motion.flow, motion.weight)))


_PICTURES: Final = ("source", "plate", "truth")


class ActorJudge:
    """Measures a net on frames that nothing was learned from, in closed loop, at several shares of what it changes."""

    def __init__(self, task: Task[Any], shots: Sequence[Shot]) -> None:
        self._task, self._shots, self._compare = task, shots[:_JUDGED], Comparison()

    def __call__(self, net: CompactGenerator) -> Score:
        """ST-LPIPS and PSNR around the actor at the best share, and that share: 0 where none is better than nothing.

        `source_...` are the moved pictures themselves.
        """
        rows = [row for shot in self._shots for row in self._rows(net, shot)]
        device = net.stem_maps.weight.device
        found: list[tuple[float, Score]] = []
        for share in SHARES:
            mixed = [(one, _mixed(one, other, share), truth) for one, other, truth in rows]
            found.append((share, self._compare(mixed, device)))
        share, best = min(found, key=lambda entry: entry[1].values["st_lpips"])
        values = dict(best.values)
        if values["st_lpips"] >= values["source_st_lpips"]:
            share = 0.0
        return Score(values | {"share": share}, best.sheet)

    def _rows(self, net: CompactGenerator, shot: Shot) -> Iterator[tuple[Picture, Picture, Picture]]:
        """Moved pictures, those mended at full strength, and truth, cut out around the actor."""
        backbone = CompactBackbone(net, tuple(CHANNELS), self._task.backbone)
        count = min(len(shot), _JUDGED_FRAMES)
        maps, reference = stacked([[shot.cell(number)] for number in range(count)])
        motion = MotionTracker()(list(shot.source[:count]), frozenset())
        conditions = Conditions(maps=maps, reference=reference, motion=motion)
        made, _ = backbone.step(Chunk(maps["source"], 0), conditions, CompactState())
        for number in range(min(count, _JUDGED_EVERY) - 1, count, _JUDGED_EVERY):
            reach = reach_of(shot.cover[number])[..., None]
            picture = to_pictures(made[number : number + 1])[0] * reach + shot.source[number] * (1.0 - reach)
            box = _box_of(shot.cover[number])
            yield shot.source[number][box], np.asarray(picture[box].round(), np.uint8), shot.truth[number][box]


def _mixed(one: Picture, other: Picture, share: float) -> Picture:
    return np.asarray((one * (1.0 - share) + other * share).round(), np.uint8)


def _box_of(cover: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Rows and columns in which the actor is, at least 48 pixels a side."""
    rows, columns = np.flatnonzero((cover > 25).any(1)), np.flatnonzero((cover > 25).any(0))
    if not len(rows):
        return slice(0, CELL), slice(0, CELL)
    ends = []
    for places in (rows, columns):
        room = max(6, (48 - (int(places[-1]) - int(places[0]))) // 2 + 1)
        ends.append(slice(max(0, int(places[0]) - room), min(CELL, int(places[-1]) + room)))
    return ends[0], ends[1]


def actor_lesson(task: Task[Any], examples: Examples, config: TrainConfig) -> Lesson:
    """Makes the lesson of `actor_swap`.

    Raises:
        InvalidExamples: no clip shows a whole person for long enough.
    """
    share = max(1, MOST_FRAMES // max(1, len(examples.clips)))
    roles = [role for path in examples.clips if (role := read_role(path, share)) is not None]
    rng = np.random.default_rng(config.seed)
    shots = [shot for role in roles for shot in rehearsed(role, rng)]
    if not shots:
        raise InvalidExamples(
            f"In {len(examples.clips)} examples nobody is seen whole for long enough. Give clips of a few seconds that "
            "show the actor from head to foot."
        )
    judged = [shot for role in roles for shot in held_out(role)]
    torch.manual_seed(config.seed)
    net = make_generator(task.backbone, task.channels)
    with torch.no_grad():  # the lines of actors are their own, none are to be closed
        net.local.bias[-len(CLOSINGS) :] = -8.0  # type: ignore[index]
    own = FitConfig(
        minutes=DEFAULT_MINUTES, warmup_steps=50, recurrent=task.backbone.recurrent, textured=False, losses=LOSSES
    )
    keys = _kept(roles)
    return Lesson(
        net,
        task.backbone,
        task.channels,
        ActorWindows(shots, slots=config.batch or SLOTS, crop=config.crop or CROP, seed=config.seed),
        own.asked(config),
        ActorJudge(task, judged) if judged else None,
        keys=tuple(keys),
        summary=f"An actor learned from {len(roles)} clips, {sum(len(role.there) for role in roles)} frames.",
        limits=() if judged else ("Its examples are too short to hold any back, so nothing was measured.",),
        facts={"frames": sum(len(role.there) for role in roles), "pictures kept": len(keys)},
    )


def _kept(roles: Sequence[Role]) -> list[Any]:
    """Of every clip the pictures chosen first, which differ most."""
    each = max(1, MAX_VIEWS // len(roles))
    return [key for role in roles for key in list(kept_pictures(role))[:each]][:MAX_VIEWS]

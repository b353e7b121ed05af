"""How a person's face is learned: rebuilt from a distorted view of it, as in 2018, but from a view moved into place.

Every frame of the person's clips is what the generator should make. It sees one of their other frames moved onto this
one's landmarks and then warped, blurred and re-lit; this frame's landmarks; and its broad light.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch

from vid2vid.backbones import make_generator
from vid2vid.backbones.compact import CompactBackbone, CompactState
from vid2vid.backbones.generator import CLOSINGS
from vid2vid.composite import to_pictures
from vid2vid.conditions.face_tracks import FaceTracks, read_faces
from vid2vid.conditions.motion import MotionTracker
from vid2vid.data.distortion import distort_reference
from vid2vid.episodes import EpisodeWindows
from vid2vid.errors import InvalidExamples
from vid2vid.fitting import FitConfig, Score, Window
from vid2vid.io import open_source
from vid2vid.judging import Comparison
from vid2vid.lesson import Lesson
from vid2vid.motion.face_blend import face_mask
from vid2vid.motion.face_light import LightMatcher
from vid2vid.motion.face_mesh import warp_face
from vid2vid.motion.keyframes import KeyFrame
from vid2vid.types import Chunk, Conditions

from .canvas import CELL, CHANNELS, Cell, cut, into_cell, make_cell, moved, stacked
from .keys import Identity, Key, View, awake, identity_with, key_of, sample
from .parts import steady_path, stretches

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vid2vid.backbones.generator import CompactGenerator
    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.task import Task

    Floats = NDArray[np.float32]

LENGTH: Final = 2
"""Frames of a window."""
EPISODE: Final = 3
"""Windows in which a slot stays with one passage and one view."""
SLOTS: Final = 4
CROP: Final = 112
MOST_FRAMES: Final = 900
"""Frames kept of all clips together: a cell takes a tenth of a megabyte."""
HELD_OUT: Final = 0.15
"""Share at the end of every clip that is measured on and never learned from."""
APART: Final = 12
"""Frames between a frame and the view that it is rebuilt from: nearer ones would show the answer."""
CANDIDATES: Final = 60
"""Frames of each clip among which those pictures are chosen."""
KEPT: Final = (4, 12)
"""Pictures of the person that the bundle keeps: the best, and others from all over."""
DEFAULT_MINUTES: Final = 10.0
_LEAST: Final = 8
_FAR: Final = 1_000_000
"""Frames between two clips, where time is compared."""
_JUDGED: Final = 4
_VALID: Final = 7.0
"""Logit of the share of the moved view at the start."""
_HISTORY: Final = -3.0
"""Logit of the share of the last output at the start."""
LOSSES: Final = {"l1": 2.0, "gradient": 1.0, "perceptual": 4.0, "temporal": 0.5}


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """The person's face through consecutive frames of one clip."""

    cells: NDArray[np.uint8]
    """`(T, CELL, CELL, 3)` sRGB."""
    points: Floats
    """`(T, 478, 3)` in the cells."""
    start: int
    """Number of its first frame among all that were read, from which distances in time are taken."""
    keys: Mapping[int, Key]
    """By frame: views at full size, of a few frames."""

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def taught(self) -> int:
        """Frames that are learned from; those after them are measured on."""
        return len(self) if len(self) < 6 * LENGTH else len(self) - max(2 * LENGTH, round(HELD_OUT * len(self)))


def read_shots(paths: Sequence[Path]) -> list[Shot]:
    """The face that covers most of every clip, in cells; cuts and passages without it divide a clip into shots."""
    share = MOST_FRAMES // max(1, len(paths))
    return [shot for number, path in enumerate(paths) for shot in _shots(path, share, number * _FAR)]


def _shots(path: Path, share: int, start: int) -> list[Shot]:
    """Read twice, so that no more than one frame is held: landmarks first, then cells."""
    with open_source(path) as source:
        count, fps = source.info.frame_count or share, float(source.info.fps)
        begin = max(0, (count - share) // 2)
        tracks = read_faces(frame.pixels for frame in islice(source, begin, begin + share))
    if not tracks.numbers:
        return []
    number = max(tracks.numbers, key=lambda one: _area(tracks, one))
    points, present = steady_path(tracks, number, fps)
    cells = np.zeros((len(points), CELL, CELL, 3), np.uint8)
    keys: dict[int, Key] = {}
    step = -(-len(points) // CANDIDATES)
    with open_source(path) as source:
        for place, frame in enumerate(islice(source, begin, begin + len(points))):
            if present[place]:
                if place % step == 0:
                    keys[place] = key_of(frame.pixels, points[place])
                way = into_cell(points[place])
                cells[place], points[place] = cut(frame.pixels, way), moved(points[place], way)
    return [
        Shot(
            cells[run],
            points[run],
            start + run.start,
            {n - run.start: keys[n] for n in range(run.start, run.stop) if n in keys},
        )
        for run in stretches(present, tracks.cuts)
        if run.stop - run.start >= LENGTH * EPISODE
    ]


def _area(tracks: FaceTracks, number: int) -> float:
    """What a face covers in all frames together, in squared distances between the eyes' outer corners."""
    found = (tracks.points(number, frame) for frame in tracks.seen(number))
    return sum(float(np.square(points[33] - points[263]).sum()) for points in found if points is not None)


class FaceWindows(EpisodeWindows):
    """Windows of a person's face without end."""

    def __init__(self, shots: Sequence[Shot], keys: Sequence[Key], *, slots: int, crop: int, seed: int = 0) -> None:
        super().__init__(slots=slots, windows=EPISODE, seed=seed)
        self.shots, self.keys, self.crop = shots, keys, min(crop, CELL)

    def episode(self, rng: np.random.Generator) -> Iterator[Window]:
        """A passage of one shot with one view of the person moved onto it, in one light."""
        weights = np.array([float(shot.taught) for shot in self.shots])
        shot = self.shots[int(rng.choice(len(self.shots), p=weights / weights.sum()))]
        first = int(rng.integers(0, max(1, shot.taught - LENGTH * EPISODE + 1)))
        view = view_for(self.shots, self.keys, shot, first, rng)
        top, left = (int(side) for side in rng.integers(0, CELL - self.crop + 1, 2))
        box = (slice(top, top + self.crop), slice(left, left + self.crop))
        rows = list(rehearsed(shot, range(first, first + LENGTH * EPISODE), view, rng))
        whole = window_of(rows)
        yield from Window(*(getattr(whole, name)[..., *box] for name in Window.__slots__)).cut(LENGTH)


def view_for(shots: Sequence[Shot], keys: Sequence[Key], shot: Shot, frame: int, rng: np.random.Generator) -> View:
    """A view of the person from another moment: one of the keys that a render would use, or any other frame."""
    if rng.random() < 0.5:
        return keys[int(rng.integers(len(keys)))]
    first, last = shot.start + frame - APART, shot.start + frame + LENGTH * EPISODE + APART
    far = [(other, place) for other in shots for place in range(other.taught) if not first < other.start + place < last]
    if not far:
        return keys[int(rng.integers(len(keys)))]
    other, place = far[int(rng.integers(len(far)))]
    return View(other.cells[place], other.points[place])


def rehearsed(shot: Shot, frames: range, view: View, rng: np.random.Generator | None) -> Iterator[Cell]:
    """Frames of a shot with a view of the person moved onto them; distorted and re-lit where there is chance.

    Args:
        shot: whose frames they are.
        frames: their numbers; beyond the end the last one stands still.
        view: what is moved.
        rng: None for a view as a render has it.
    """
    match, light = LightMatcher(), _relighting(rng)
    for frame in frames:
        place = min(frame, len(shot) - 1)
        target, points = cv2.LUT(shot.cells[place], light), shot.points[place]
        warped = warp_face(view.picture, view.points, points, (CELL, CELL))
        unit = float(np.linalg.norm(points[33, :2] - points[263, :2]))
        mask = face_mask(points, (CELL, CELL), (0.0, 0.0), unit)
        cell = make_cell(np.asarray(target, np.uint8), points, warped, mask, match)
        reference = cell.reference
        if rng is not None:
            reference = distort_reference(reference, rng)
        wanted = (target / 255.0) * mask[..., None] + cell.light * (1.0 - mask[..., None])
        truth = (wanted * 255.0).round().astype(np.uint8)
        yield replace(cell, reference=reference.astype(np.float32), target=truth)


def _relighting(rng: np.random.Generator | None) -> NDArray[np.uint8]:
    """`(1, 256, 3)`: another exposure and colour of light, the same for all frames of a passage."""
    levels = np.arange(256, dtype=np.float32)[:, None] / 255.0
    gain, gamma = np.ones(3), 1.0
    if rng is not None:
        gain = np.exp(rng.normal(0.0, 0.12) + rng.normal(0.0, 0.04, 3))
        gamma = float(np.exp(rng.normal(0.0, 0.12)))
    curve = np.clip(levels**gamma * gain, 0.0, 1.0) * 255.0
    return np.asarray(curve.round()[None], np.uint8)


def window_of(rows: Sequence[Cell]) -> Window:
    """Cells in a row as one window of a batch of one."""
    maps, reference = stacked([[cell] for cell in rows])
    pictures = [cell.target for cell in rows]
    motion = MotionTracker()(pictures, frozenset())
    target = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255.0
    whole = torch.cat([maps[name] for name in CHANNELS], 1)
    return Window(*(each[None] for each in (whole, target, reference, motion.flow, motion.weight)))


class FaceJudge:
    """Measures a net on the last frames of every shot, each rebuilt from a key, in closed loop."""

    def __init__(self, task: Task[Any], shots: Sequence[Shot], keys: Sequence[Key]) -> None:
        self._task, self._compare = task, Comparison()
        there = [shot for shot in shots if shot.taught < len(shot)][:_JUDGED]
        self._rows = [
            list(rehearsed(shot, range(shot.taught, min(len(shot), shot.taught + 8)), keys[0], None)) for shot in there
        ]

    def __call__(self, net: CompactGenerator) -> Score:
        """ST-LPIPS and PSNR of the last frame of each; `source` is the view as moved, without the net."""
        backbone = CompactBackbone(net, tuple(CHANNELS), self._task.backbone)
        found = []
        for row in self._rows:
            maps, reference = stacked([[cell] for cell in row])
            motion = MotionTracker()([cell.target for cell in row], frozenset())
            conditions = Conditions(maps=maps, reference=reference, motion=motion)
            made, _ = backbone.step(Chunk(maps["light"], 0), conditions, CompactState())
            moved_ = to_pictures(reference[-1:, :3])[0]
            found.append((moved_, to_pictures(made[-1:])[0], row[-1].target))
        return self._compare(found, net.stem_maps.weight.device)


def face_lesson(task: Task[Any], examples: Examples, config: TrainConfig) -> Lesson:
    """Makes the lesson of `face_swap`.

    Raises:
        InvalidExamples: no clip shows a face for long enough.
    """
    shots = read_shots(examples.clips)
    if sum(len(shot) for shot in shots) < _LEAST:
        raise InvalidExamples(
            f"In {len(examples.clips)} examples no face was found in {_LEAST} frames or more in turn. Give clips of a "
            "few seconds that show the person's face from the front."
        )
    person = _person(shots)
    kept = sample(person, *KEPT)
    torch.manual_seed(config.seed)
    net = make_generator(task.backbone, task.channels)
    _start_as_moved(net)
    own = FitConfig(
        minutes=DEFAULT_MINUTES, warmup_steps=50, recurrent=task.backbone.recurrent, textured=False, losses=LOSSES
    )
    judged = any(shot.taught < len(shot) for shot in shots)
    return Lesson(
        net,
        task.backbone,
        task.channels,
        FaceWindows(shots, kept, slots=config.batch or SLOTS, crop=config.crop or CROP, seed=config.seed),
        own.asked(config),
        FaceJudge(task, shots, kept) if judged else None,
        keys=tuple(KeyFrame(number, key.picture, key.picture) for number, key in enumerate(kept)),
        summary=f"A face learned from {len(examples.clips)} clips, {sum(map(len, shots))} frames.",
        limits=() if judged else ("Its examples are too short to hold any back, so nothing was measured.",),
        facts={"frames": sum(map(len, shots)), "views kept": len(kept)},
    )


@torch.no_grad()
def _start_as_moved(net: CompactGenerator) -> None:
    """Starts a net as the moved view itself, so that the best judged of its weights are not worse.

    From a usual start, which mixes in an eighth of the broad light and a fifth of the last output, a net that had
    little to mend had not found back after 1,600 steps.
    """
    net.local.bias[-len(CLOSINGS) :] = -8.0  # type: ignore[index]  # lines of a face are its own: none is closed
    net.alignment.bias[2] = _VALID  # type: ignore[index]
    net.detail.weight[:3] = 0.0
    net.detail.bias[4] = _HISTORY  # type: ignore[index]


def _person(shots: Sequence[Shot]) -> Identity:
    """Keys with open eyes from frames that are learned from, spread over all shots."""
    return identity_with(awake([key for shot in shots for frame, key in shot.keys.items() if frame < shot.taught]))

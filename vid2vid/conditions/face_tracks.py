"""The faces of a whole clip, read once and kept small.

Convention:
    Frames are counted from 0. Points as in `vid2vid.conditions.faces`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vid2vid.conditions.faces import FaceFinder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

BRIDGED: Final = 8
"""Frames without a face that are filled in between two with it."""
FADED: Final = 4
"""Frames over which a face comes and goes."""
_SHORTEST: Final = 5
"""A face seen in fewer frames in a row is taken for a mistake, unless the shot is no longer."""
_STEPS: Final = 32767


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Points of one face in one frame: whole steps from its middle, half the size of float32."""

    middle: Floats
    """`(3,)`."""
    step: float
    """Pixels; a hundredth of one for a face that fills a large frame."""
    steps: NDArray[np.int16]
    """`(478, 3)`."""

    @classmethod
    def of(cls, points: Floats) -> _Kept:
        middle = points.mean(0)
        away = points - middle
        step = float(np.abs(away).max()) / _STEPS + 1e-9
        return cls(middle, step, np.round(away / step).astype(np.int16))

    def points(self) -> Floats:
        return np.asarray(self.middle + self.steps * np.float32(self.step), np.float32)


class FaceTracks:
    """Where each face of a clip is in every frame; made by `read_faces`."""

    def __init__(self, seen: Mapping[int, Mapping[int, Floats]], frame_count: int, cuts: Iterable[int] = ()) -> None:
        """Bridges gaps and drops what flashes up.

        Args:
            seen: by number, then by frame: points `(478, 3)`.
            frame_count: of the clip.
            cuts: frames at which a new shot begins.
        """
        self.frame_count = frame_count
        self.cuts = tuple(sorted(cuts))
        self._bounds = {0, frame_count, *self.cuts}
        """Frames before which a face neither fades in nor, in the frame before, fades out."""
        self._runs: dict[int, list[tuple[int, int]]] = {}
        self._kept: dict[int, dict[int, _Kept]] = {}
        for number in sorted(seen):
            runs = [run for run in self._runs_of(sorted(seen[number])) if self._believed(run, seen[number])]
            if runs:
                self._runs[number] = runs
                self._kept[number] = {
                    frame: _Kept.of(points)
                    for frame, points in seen[number].items()
                    if any(start <= frame < end for start, end in runs)
                }

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of all faces, in the order in which they came up; those of one frame by size."""
        return tuple(self._runs)

    def first(self, number: int) -> int:
        """The first frame with a face."""
        return self._runs[number][0][0]

    def last(self, number: int) -> int:
        """The last frame with a face, itself included."""
        return self._runs[number][-1][1] - 1

    def seen(self, number: int) -> tuple[int, ...]:
        """Frames in which a face was found, without those that were filled in."""
        return tuple(sorted(self._kept[number]))

    def points(self, number: int, frame: int) -> Floats | None:
        """`(478, 3)`, or None where the face is not; in brief gaps they lie in between."""
        kept = self._kept.get(number, {})
        if frame in kept:
            return kept[frame].points()
        if not any(start <= frame < end for start, end in self._runs.get(number, [])):
            return None
        before = max(other for other in kept if other < frame)
        after = min(other for other in kept if other > frame)
        part = np.float32((frame - before) / (after - before))
        return (1 - part) * kept[before].points() + part * kept[after].points()

    def path(self, number: int) -> tuple[Floats, NDArray[np.bool_]]:
        """A face through the clip.

        Returns:
            Points `(T, 478, 3)`, zero where it is not, and `(T,)`: whether it is there.
        """
        found = [self.points(number, frame) for frame in range(self.frame_count)]
        present = np.array([points is not None for points in found])
        nowhere = np.zeros((478, 3), np.float32)
        return np.stack([nowhere if points is None else points for points in found]), present

    def coming(self, number: int, frame: int) -> float:
        """How much of a face is to be shown, in [0, 1]: it fades in and out where it comes and goes within a shot."""
        for start, end in self._runs.get(number, []):
            if start <= frame < end:
                rising = 1.0 if start in self._bounds else (frame - start + 1) / (FADED + 1)
                falling = 1.0 if end in self._bounds else (end - frame) / (FADED + 1)
                return min(1.0, rising, falling)
        return 0.0

    def _runs_of(self, frames: list[int]) -> Iterator[tuple[int, int]]:
        """Frames from each start to before each end; brief gaps within a shot do not part them."""
        start = previous = frames[0]
        for frame in [*frames[1:], None]:
            gap = frame is None or frame - previous > BRIDGED + 1
            if frame is None or gap or any(previous < cut <= frame for cut in self.cuts):
                yield start, previous + 1
                start = previous if frame is None else frame
            previous = previous if frame is None else frame

    def _believed(self, run: tuple[int, int], seen: Mapping[int, Floats]) -> bool:
        whole_shot = run[0] in self._bounds and run[1] in self._bounds
        return whole_shot or sum(run[0] <= frame < run[1] for frame in seen) >= _SHORTEST


def read_faces(frames: Iterable[Picture], finder: FaceFinder | None = None) -> FaceTracks:
    """Follows the faces of a whole clip.

    Args:
        frames: `(H, W, 3)` uint8 sRGB each, in order; read once.
        finder: to load the networks only once for several clips.
    """
    finder = finder or FaceFinder()
    seen: dict[int, dict[int, Floats]] = {}
    count = 0
    for faces in finder.follow(frames):
        for face in faces:
            seen.setdefault(face.number, {})[count] = face.points
        count += 1
    return FaceTracks(seen, count, finder.cuts)

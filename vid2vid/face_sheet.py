"""A sheet of the faces of a clip: which there are, where each comes and goes, and a picture of each.

Tasks that change one face of several are told its number; this is where people find it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.conditions.face_tracks import FaceTracks
from vid2vid.conditions.faces import FaceFinder
from vid2vid.io import check_output, open_source, write_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from vid2vid.conditions.faces import Face
    from vid2vid.types import Picture

_SIDE: Final = 192
_CAPTION: Final = 40
_COLUMNS: Final = 6
_GROUND: Final = 32
_INK: Final = (235, 235, 235)


@dataclass(frozen=True, slots=True, eq=False)
class ShownFace:
    """One face of a clip."""

    number: int
    first: int
    """Frame in which it is seen first, counted from 0."""
    last: int
    """Frame in which it is seen last."""
    frames: int
    """In how many it is seen."""
    size_px: float
    """Longer side of the box around its points, the median over its frames."""
    sharpest: int
    """The frame of the picture."""
    picture: Picture
    """`(192, 192, 3)` uint8 sRGB."""


@dataclass(frozen=True, slots=True)
class FaceSheet:
    """All faces of a clip, by number."""

    faces: tuple[ShownFace, ...]
    frames: int
    """Of the clip."""
    path: Path | None
    """Of the picture; None if there are no faces."""

    def rows(self) -> list[dict[str, object]]:
        """What is known of each face, without its picture."""
        names = ("number", "first", "last", "frames", "size_px", "sharpest")
        return [{name: getattr(face, name) for name in names} for face in self.faces]


def make_face_sheet(
    video: str | os.PathLike[str], output: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> FaceSheet:
    """Finds the faces of a clip and writes a picture that shows each with its number.

    Args:
        video: a video, an image or a folder of images.
        output: where the picture goes; `<name>_faces.png` in the working folder without it.
        overwrite: whether a picture that is there may be replaced.

    Raises:
        InputError, InvalidOption, OutputError: as `open_source` and `check_output`.
    """
    path = check_output(output or f"{Path(video).stem}_faces.png", video, overwrite)
    with open_source(video) as source:
        faces, count = faces_of(frame.pixels for frame in source)
    if faces:
        write_image(path, drawn(faces))
    return FaceSheet(faces, count, path if faces else None)


def faces_of(frames: Iterable[Picture]) -> tuple[tuple[ShownFace, ...], int]:
    """The faces of a clip, by number, and how many frames it has; frames are read once and not kept."""
    finder = FaceFinder()
    seen: dict[int, dict[int, NDArray[np.float32]]] = {}
    best: dict[int, tuple[float, int, Picture]] = {}
    here: list[Picture] = []
    count = 0
    for faces in finder.follow(_watched(frames, here)):
        for face in faces:
            seen.setdefault(face.number, {})[count] = face.points
            sharpness = _sharpness(face, here[0])
            if face.number not in best or sharpness > best[face.number][0]:
                best[face.number] = (sharpness, count, _cut(face, here[0]))
        count += 1
    tracks = FaceTracks(seen, count, finder.cuts)
    return tuple(_shown(tracks, number, *best[number][1:]) for number in tracks.numbers), count


def drawn(faces: Iterable[ShownFace]) -> Picture:
    """Draws the sheet: `(H, W, 3)` uint8 sRGB."""
    tiles = [_tile(face) for face in faces]
    columns = min(len(tiles), _COLUMNS)
    tiles += [np.full_like(tiles[0], _GROUND)] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[start : start + columns], 1) for start in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def _watched(frames: Iterable[Picture], here: list[Picture]) -> Iterator[Picture]:
    """Hands frames on and leaves the latest in `here`."""
    for frame in frames:
        here[:] = [frame]
        yield frame


def _sharpness(face: Face, picture: Picture) -> float:
    """Contrast of fine detail at one size for all, so that larger and more frontal faces win, too."""
    grey = cv2.cvtColor(face.region.cut(picture, _SIDE), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std() * np.cos(face.yaw) * np.cos(face.pitch))


def _cut(face: Face, picture: Picture) -> Picture:
    return face.region.cut(picture, _SIDE)


def _shown(tracks: FaceTracks, number: int, sharpest: int, picture: Picture) -> ShownFace:
    frames = tracks.seen(number)
    sides = []
    for frame in frames:
        points = tracks.points(number, frame)
        if points is not None:
            sides.append(float(np.ptp(points[:, :2], axis=0).max()))
    size = round(float(np.median(sides)), 1)
    return ShownFace(number, tracks.first(number), tracks.last(number), len(frames), size, sharpest, picture)


def _tile(face: ShownFace) -> Picture:
    tile = np.full((_SIDE + _CAPTION, _SIDE, 3), _GROUND, np.uint8)
    tile[:_SIDE] = face.picture
    lines = (f"face {face.number}   {face.size_px:.0f} px", f"frames {face.first}-{face.last}")
    for row, line in enumerate(lines):
        place = (6, _SIDE + 16 + 17 * row)
        cv2.putText(tile, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return tile

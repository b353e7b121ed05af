"""Faces swapped in both directions of two clips that show one person each, and from one photo.

python -m benchmarks.faces --clips DIR [--bundle-man BUNDLE] [--bundle-woman BUNDLE] [--sheet faces.png]

Each result stands beside "do nothing", the clip as it is. "at once" is made without training, from the first part of
the other clip or from the photo; a bundle is one trained on the person whose face is put on, on that first part alone.
Whether it is them is told by faces of the last part, or of another clip than the photo: none that the reference shows.
In the rest of the woman's clip her hand is before her face.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

import vid2vid
from benchmarks.faces_measured import Embedder, FaceScores, Watched, iod, measure, watch
from benchmarks.machine import save
from vid2vid.conditions.faces import FaceFinder
from vid2vid.io import open_source
from vid2vid.io.encode import VideoWriter
from vid2vid.previews import sheet, write_png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

CLIPS: Final = {"woman": ("WolfgangLanger_Pexels.mp4", 230, 411), "man": ("jwpIntro.mp4", 0, 173)}
"""File, first frame, frame after the last."""
HELD_FROM: Final = {"woman": 351, "man": 116}
"""Frame at which the reference ends, and from which faces tell whether a result is that person."""
PHOTO, PHOTO_CLIP = "single_face.jpg", "single_face.mp4"
"""What is given, and a clip that is not, whose face the embedding takes for the same person (0.45 apart)."""
SHOWN: Final = 4
_CELL: Final = 260
_ROOM: Final = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Somebody to put on: what is given to the task, and what tells whether it is them."""

    name: str
    reference: Path
    embeddings: Floats
    """Of faces that the reference does not show."""
    seen: Floats
    """Of faces that it shows."""
    picture: Picture
    """Their face, for the sheet."""
    bundle: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What one method made of one clip."""

    method: str
    scores: FaceScores
    seconds: float
    output: Watched
    seen: float
    """As `scores.identity`, but to faces that the reference shows."""

    def as_json(self, frames: int) -> dict[str, float | None]:
        """Figures, with the rate of the whole render: reading references, following faces and writing included."""
        rate = round(frames / self.seconds, 2) if self.seconds else None
        return {**self.scores.as_json(), "identity_in_reference": round(self.seen, 4), "fps": rate}


def read(path: Path, first: int = 0, stop: int | None = None) -> list[Picture]:
    """Frames of a clip."""
    with open_source(path) as source:
        return [
            frame.pixels for number, frame in enumerate(source) if first <= number and (stop is None or number < stop)
        ]


def close_up(picture: Picture, points: Floats) -> Picture:
    """A face and some room around it, in a cell of the sheet."""
    room = _ROOM * iod(points)
    left, top = np.maximum(points[:, :2].min(0) - room, 0).astype(int)
    right, bottom = (points[:, :2].max(0) + room).astype(int)
    cut = picture[top:bottom, left:right]
    scale = _CELL / max(cut.shape[:2])
    return np.asarray(cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def first_part(clips: Path, name: str, folder: Path) -> Path:
    """Writes the frames of a clip that a reference may show, nearly without loss."""
    frames, path = read(clips / CLIPS[name][0], 0, HELD_FROM[name]), folder / f"{name}.mp4"
    height, width = frames[0].shape[:2]
    with VideoWriter(path, width=width, height=height, fps=25, quality=1, overwrite=True) as writer:
        for number, frame in enumerate(frames):
            writer.write(frame, Fraction(number, 25))
    return path


def people(clips: Path, embed: Embedder, bundles: dict[str, Path | None], folder: Path) -> Iterator[Person]:
    """Those of the clips, and the one of the photo."""
    for name, (file, first, stop) in CLIPS.items():
        held = HELD_FROM[name]
        shown, other = (watch(read(clips / file, *part)) for part in ((first, held), (held, stop)))
        numbers = shown.spread()
        picture = close_up(shown.frames[numbers[0]], shown.points[numbers[0]])
        told = (embed.of(other, other.spread()), embed.of(shown, numbers))
        yield Person(name, first_part(clips, name, folder), *told, picture, bundles.get(name))
    photo = read(clips / PHOTO)[0]
    points = FaceFinder().find(photo)[0].points
    other = watch(read(clips / PHOTO_CLIP))
    told = (embed.of(other, other.spread()), embed(photo, points)[None])
    yield Person("photo", clips / PHOTO, *told, close_up(photo, points))


def swap(target: Watched, person: Person, bundle: Path | None) -> tuple[list[Picture], float, float | None]:
    """The clip with another face.

    Returns:
        Its frames, seconds that took, and the share of frames in which the task says that it changed the face.
    """
    made = vid2vid.translate(
        np.stack(target.frames),
        "face_swap" if bundle is None else bundle,
        reference=None if bundle is not None else person.reference,
        consent="licensed",
        progress=False,
    )
    shares = [face.get("swapped_share", 0.0) for face in made.report["task_report"]["faces"]]
    return list(made.frames), made.seconds, max(shares, default=0.0)


def results(target: Watched, person: Person, embed: Embedder) -> Iterator[Result]:
    """All methods with which a person is put on a clip."""
    yield _result("do nothing", target, target, person, embed)
    methods = {"at once": None} | ({"bundle": person.bundle} if person.bundle is not None else {})
    for method, bundle in methods.items():
        frames, seconds, swapped = swap(target, person, bundle)
        yield _result(method, target, watch(frames, target), person, embed, seconds, swapped)


def _result(
    method: str,
    target: Watched,
    output: Watched,
    person: Person,
    embed: Embedder,
    seconds: float = 0.0,
    swapped: float | None = 0.0,
) -> Result:
    scores = measure(target, output, person.embeddings, embed, swapped)
    made = embed.of(output, output.spread())
    seen = float(np.linalg.norm(made[:, None] - person.seen[None], axis=-1).mean())
    return Result(method, scores, seconds, output, seen)


def page(target: Watched, person: Person, made: Sequence[Result]) -> list[list[Picture]]:
    """Rows of a sheet: the clip's face, what the best method made of it, and whose it should be."""
    numbers = target.spread(SHOWN)
    return [[close_up(made[-1].output.frames[n] if side else target.frames[n], target.points[n]) for side in (0, 1)]
            + [person.picture] for n in numbers]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of the clips")
    parser.add_argument("--bundle-man", type=Path, help="trained on the man")
    parser.add_argument("--bundle-woman", type=Path, help="trained on the woman")
    parser.add_argument("--only", nargs="*", help="such as man-woman: the man's face in the woman's clip")
    parser.add_argument("--every", type=int, default=1, help="frames of a clip of which one is taken")
    parser.add_argument("--name", default="faces", help="of the results")
    parser.add_argument("--parts", type=Path, help="folder that keeps the first parts, to train on")
    parser.add_argument("--sheet", type=Path, help="contact sheet to write")
    given = parser.parse_args(arguments)
    embed = Embedder()
    watched = {
        name: watch(read(given.clips / file, first, stop)[:: given.every])
        for name, (file, first, stop) in CLIPS.items()
    }
    bundles = {"man": given.bundle_man, "woman": given.bundle_woman}
    tables: dict[str, Any] = {}
    rows: list[list[Picture]] = []
    with TemporaryDirectory() as folder:
        everyone = list(people(given.clips, embed, bundles, given.parts or Path(folder)))
        for person, (name, target) in product(everyone, watched.items()):
            pair = f"{person.name}-{name}"
            if person.name == name or pair == "photo-woman" or (given.only and pair not in given.only):
                continue
            made = list(results(target, person, embed))
            tables[pair] = {result.method: result.as_json(len(target.frames)) for result in made}
            for method, values in tables[pair].items():
                print(pair, method, values, flush=True)
            rows += page(target, person, made)
    if given.sheet is not None:
        write_png(given.sheet, sheet(rows, ["clip", "result", "face put on"]))
    save(given.name, tables)


if __name__ == "__main__":
    main()

"""Actors exchanged: people playing themselves and one another, on frames that nothing was made or learned from.

python -m benchmarks.swaps --clips DIR [--only man woman ...] [--bundle man=BUNDLE ...] [--sheets DIR]

"self": the actor is made of the first part of somebody's frames (a half, or as `--shown` says), and the rest drives.
Beside the result stand the last shown frame, repeated, and for each frame the person of the shown frame nearest in
pose, cut out and laid where they should be. "cross": another person plays the whole part. "camera": the woman's film
through a window that pans, rolls and zooms, so that the true empty scene is known. Clips are shrunk to the sizes in
`SUBJECTS`; PSNR is at that size, ST-LPIPS of crops brought to 256 rows (see `benchmarks.swaps_measured`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from vid2vid_tasks.actor_swap.background import guessed

import vid2vid
from benchmarks.held_out import back_and_forth
from benchmarks.machine import save
from benchmarks.swaps_measured import (
    Likeness,
    Seen,
    actor_in,
    background_warp,
    changes_elsewhere,
    foot_slides,
    left_overs,
    nearest_shown,
    people_in,
    pose_errors,
    rounded,
    spread,
    to_rows,
    trembling,
    window,
)
from vid2vid.composite import resize, shrunk
from vid2vid.io import open_source
from vid2vid.motion.plates import usual_scene
from vid2vid.previews import sheet, write_png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]
    Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody of a clip."""

    clip: str
    short_side: int
    starts_right: bool = False
    """Whether it is the person who comes in from the right, of two."""


SUBJECTS: Final = {
    "man": Subject("sports2d_demo.mp4", 400),
    "woman": Subject("sports2d_demo.mp4", 400, starts_right=True),
    "athlete": Subject("pose2sim_single_cam01.mp4", 360),
    "athlete_behind": Subject("pose2sim_single_cam03.mp4", 360),
}
ALONE: Final = ("camera", "speed")
"""What is measured besides."""
CROSS: Final = (("woman", "athlete"), ("athlete", "woman"))
"""Whose part, and who plays it."""
SPEED: Final = (640, 360, 50, 150)
"""Columns and rows, frames of the park before the woman comes in, and frames that are rendered of them."""
GLIDE: Final = (75, 135, (480, 320))
"""First frame, frame after the last, columns and rows of the window of a moving camera."""
SHOWN: Final = 5


@dataclass(slots=True, eq=False)
class Scene:
    """A clip with the people in it."""

    frames: list[Picture]
    people: list[Seen]
    subject: Seen

    @classmethod
    def read(cls, subject: Subject, clips: Path) -> Scene:
        """Reads and looks through a clip."""
        with open_source(clips / subject.clip) as source:
            frames = [shrunk(frame.pixels, subject.short_side).copy() for frame in source]
        people = people_in(frames)
        width = frames[0].shape[1]
        fit = [one for one in people[:2] if (one.joints[one.there][0, 2, 0] > 0.6 * width) == subject.starts_right]
        return cls(frames, people, fit[0])

    def half(self, second: bool, share: float = 0.5) -> slice:
        """The frames that show the person, up to a share of them or from there on."""
        there = np.flatnonzero(self.subject.there)
        middle = int(there[int(len(there) * share)])
        return slice(middle, int(there[-1]) + 1) if second else slice(int(there[0]), middle)

    def alone(self, frames: slice) -> list[Picture]:
        """Some of the frames, cut out around the person."""
        box = window(self.subject.boxes[frames], 0.2 * self.subject.height, self.frames[0].shape)
        return [np.ascontiguousarray(frame[box]) for frame in self.frames[frames]]

    def plate(self) -> tuple[Picture, NDArray[np.bool_]]:
        """The empty scene, of the whole clip, and where it is known."""
        every = range(0, len(self.frames), max(1, len(self.frames) // 40))
        masks = [np.maximum.reduce([one.masks[n] for one in self.people]) for n in every]
        picture, seen = usual_scene([self.frames[n] for n in every], masks)
        return guessed(picture, seen < 1) if (seen < 1).any() else picture, seen > 0


def driven(film: Sequence[Picture], like: Seen, start: int, people: Sequence[Seen]) -> Seen:
    """The person of the whole clip, found again in a part of it that starts at a frame."""

    def apart(one: Seen) -> float:
        known = like.joints[start : start + len(film)]
        both = one.there & np.isfinite(known[:, 0, 0])
        return float(np.linalg.norm(one.joints[both] - known[both], axis=-1).mean()) if both.sum() > 3 else np.inf

    return min(people, key=apart)


def swapped(
    film: Sequence[Picture], reference: Any, number: int, bundle: Path | None = None, **words: Any
) -> vid2vid.Translation:
    """The film with another actor; a bundle brings its own."""
    return vid2vid.translate(
        np.stack(film), "actor_swap" if bundle is None else bundle, reference=reference, consent="licensed",
        people=(number,), progress=False, **words,
    )  # fmt: skip


def measure_self(
    scene: Scene, bundle: Path | None, share: float = 0.5
) -> tuple[dict[str, Any], list[list[Picture]], list[str]]:
    """Somebody plays themself: figures of all methods, and a sheet."""
    first, second = scene.half(second=False, share=share), scene.half(second=True, share=share)
    film, shown = scene.frames[second], scene.frames[first]
    driver = driven(film, scene.subject, second.start, people_in(film))
    own = scene.subject
    early = Seen(0, own.joints[first], own.visibility[first], own.masks[first], own.boxes[first], own.height)
    likeness = Likeness(film, driver)
    methods: dict[str, Sequence[Picture]] = {
        "last shown frame": [shown[-1]] * len(film),
        "nearest shown, put in place": nearest_shown(shown, early, driver, film, scene.plate()[0]),
        "at once": list(swapped(film, np.stack(scene.alone(first)), driver.number).frames),
    }
    if bundle is not None:
        methods["trained"] = list(swapped(film, None, driver.number, bundle).frames)
    found = {name: rounded(likeness(made) | {"person_warp_e4": trembling(made, likeness)})
             for name, made in methods.items()}  # fmt: skip
    found["truth"] = rounded({"person_warp_e4": trembling(film, likeness)})
    chosen = spread(likeness.frames, SHOWN)
    columns = {**methods, "truth": film}
    rows = [[_cell(made[t][likeness.box(t)]) for made in columns.values()] for t in chosen]
    return found, rows, list(columns)


def measure_cross(film: Scene, actor: Scene) -> tuple[dict[str, float], list[list[Picture]]]:
    """Somebody plays another's part throughout: figures, and a sheet."""
    there = np.flatnonzero(film.subject.there)
    run = slice(int(there[0]), int(there[-1]) + 1)
    frames, (plate, known_at) = film.frames[run], film.plate()
    people = people_in(frames)
    driver = driven(frames, film.subject, run.start, people)
    others = [one for one in people if one is not driver and one.there.sum() > 10]
    known = np.flatnonzero(actor.subject.there)
    reference = np.stack(actor.alone(slice(int(known[0]), int(known[-1]) + 1)))
    began = time.perf_counter()
    made = list(swapped(frames, reference, driver.number).frames)
    fps = len(frames) / (time.perf_counter() - began)
    new = actor_in(made, driver)
    figures = {
        **pose_errors(driver, new),
        **foot_slides(driver, new),
        **left_overs(frames, made, [plate] * len(frames), driver, new, known_at),
        **changes_elsewhere(frames, made, driver, new, others),
        **background_warp(frames, made, people, new),
        "fps": fps,
    }
    rows = [[_cell(clip[t]) for clip in (frames, made)] for t in spread(there - run.start, SHOWN)]
    return rounded(figures), rows


def gliding(frame: int, size: tuple[int, int]) -> Matrix:
    """From a frame of a window that pans, rolls, zooms and shakes to the pictures it glides over."""
    angle, zoom = np.deg2rad(2.0 * np.sin(frame / 23)), 1.0 + 0.12 * np.sin(frame / 31)
    middle = np.array([620.0 - 2.6 * (frame - 40) + 3.0 * np.sin(0.9 * frame), 300.0 + 12.0 * np.sin(frame / 13)])
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.vstack([np.column_stack([turn, middle - turn @ [size[0] / 2, size[1] / 2]]), [0, 0, 1]])


def measure_camera(clips: Path) -> tuple[dict[str, float], list[list[Picture]]]:
    """A moving camera: what is filled in behind the woman, who is played by herself as seen in one frame."""
    first, stop, size = GLIDE
    with open_source(clips / SUBJECTS["woman"].clip) as source:
        wide = [resize(frame.pixels, 884, 497) for frame in islice(source, first, stop)]
    flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    ways = [gliding(frame, size) for frame in range(first, stop)]

    def seen_by(pictures: Sequence[Picture]) -> list[Picture]:
        return [np.asarray(cv2.warpPerspective(one, way, size, flags=flags), np.uint8)
                for one, way in zip(pictures, ways, strict=True)]  # fmt: skip

    frames = seen_by(wide)
    people = people_in(frames)
    driver = people[0]
    every = range(0, len(wide), 2)
    found = people_in(wide)
    masks = [np.maximum.reduce([one.masks[n] for one in found]) for n in every]
    plates = seen_by([usual_scene([wide[n] for n in every], masks)[0]] * len(wide))
    woman = max(found[:2], key=lambda one: float(np.nanmean(one.boxes[:, 0])))
    shown = len(wide) // 2
    box = window(woman.boxes[shown : shown + 1], 0.2 * woman.height, wide[0].shape)
    made = list(swapped(frames, np.ascontiguousarray(wide[shown][box]), driver.number).frames)
    new = actor_in(made, driver)

    def camera(t: int) -> Floats:
        places = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1).reshape(-1, 1, 2).astype(np.float64)
        moved = cv2.perspectiveTransform(places, np.linalg.inv(ways[t]) @ ways[t - 1])
        return np.asarray((moved - places).reshape(size[1], size[0], 2), np.float32)

    figures = left_overs(frames, made, plates, driver, new) | background_warp(frames, made, people, new, camera)
    rows = [[_cell(clip[t]) for clip in (frames, made, plates)] for t in spread(np.flatnonzero(driver.there), SHOWN)]
    return rounded(figures), rows


def measure_speed(clips: Path) -> dict[str, float]:
    """Frames a second of one whole call, with the actor made of one picture."""
    columns, rows, shown, count = SPEED
    with open_source(clips / SUBJECTS["man"].clip) as source:
        frames = [cv2.resize(f.pixels, (columns, rows), interpolation=cv2.INTER_AREA) for f in source]
    film = np.stack(back_and_forth(frames[:shown], count))
    began = time.perf_counter()
    vid2vid.translate(film, "actor_swap", reference=frames[4], consent="licensed", progress=False)
    return {"fps": count / (time.perf_counter() - began)}


def _cell(picture: Picture) -> Picture:
    wide = picture.shape[1] > 1.2 * picture.shape[0]
    return to_rows(picture, 220 if wide else 300)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of the clips")
    parser.add_argument("--only", nargs="*", help="such as man, woman-athlete (whose part-who plays) or speed")
    parser.add_argument("--bundle", nargs="*", default=[], help="NAME=FOLDER: trained on the person's first half")
    parser.add_argument("--shown", type=float, default=0.5, help="share of a person's frames that the actor is made of")
    parser.add_argument("--name", default="swaps", help="of the results")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    given = parser.parse_args(arguments)
    bundles = {name: Path(path) for name, path in (entry.split("=", 1) for entry in given.bundle)}
    wanted = given.only or [*SUBJECTS, *("-".join(pair) for pair in CROSS), "camera", "speed"]
    names = dict.fromkeys(name for entry in wanted if entry not in ALONE for name in entry.split("-"))
    scenes = {name: Scene.read(SUBJECTS[name], given.clips) for name in names}
    results: dict[str, Any] = {}
    for entry in wanted:
        if entry == "speed":
            results[entry] = measure_speed(given.clips)
        elif entry == "camera":
            results[entry], rows = measure_camera(given.clips)
            _write(given.sheets, entry, rows, ["film", "result", "true empty scene"])
        elif "-" in entry:
            whose, who = entry.split("-")
            results[entry], rows = measure_cross(scenes[whose], scenes[who])
            _write(given.sheets, entry, rows, ["film", "result"])
        else:
            results[entry], rows, columns = measure_self(scenes[entry], bundles.get(entry), given.shown)
            _write(given.sheets, entry, rows, columns)
        several = entry in SUBJECTS
        for name, values in (results[entry] if several else {"": results[entry]}).items():
            print(entry, name, values, flush=True)
    save(given.name, results)


def _write(folder: Path | None, name: str, rows: list[list[Picture]], columns: list[str]) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_png(folder / f"swap_{name}.png", sheet(rows, columns))


if __name__ == "__main__":
    main()

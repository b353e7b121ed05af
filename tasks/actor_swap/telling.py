"""What the report says: who was there, who was taken over by whom, and where nothing could be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .parts import Part
    from .watching import Watched


def told(
    seen: Watched, numbers: Sequence[int], parts: Sequence[Part], swapped: Mapping[int, int], *, replaces: bool
) -> dict[str, Any]:
    """JSON values for the report.

    Args:
        seen: the film.
        numbers: of everybody who is there for long enough.
        parts: who is taken over.
        swapped: frames in which each was.
        replaces: whether the film's background stays.
    """
    by_number = {part.number: part for part in parts}
    people = [_person(seen, number, by_number.get(number), swapped.get(number, 0)) for number in numbers]
    notes = []
    if not numbers:
        notes.append("Nobody was found: the film is passed through as it is.")
    for part in parts:
        absent = np.flatnonzero(~part.present) + part.first
        if len(absent):
            notes.append(f"Person {part.number} was lost in {len(absent)} frames, from {absent[0]} on.")
    if parts and replaces:
        notes += _behind(seen)
    most = max((swapped.get(part.number, 0) for part in parts), default=0)
    return {
        "people": people,
        "background": {
            "shots": len(seen.backgrounds.guessed),
            "guessed_share": [round(share, 4) for share in seen.backgrounds.guessed],
        },
        "notes": notes,
        "summary": f"{len(parts)} of {len(people)} people taken over, in {most} of {seen.length} frames",
    }


def _behind(seen: Watched) -> list[str]:
    scenes = seen.backgrounds
    count, found = len(scenes.guessed), []
    followed = len(scenes.moving) - len(scenes.lost)
    if followed:
        found.append(
            f"The camera moves in {followed} of {count} shots: what is behind the person is put together from other "
            "frames there, moved as the camera did."
        )
    if scenes.lost:
        found.append(
            f"The camera moves in {len(scenes.lost)} of {count} shots too fast or too far to be followed: what is "
            "behind the person is blurred from the surroundings there."
        )
    return found


def _person(seen: Watched, number: int, part: Part | None, swapped: int) -> dict[str, Any]:
    track = seen.people[number]
    middle = track[sorted(track)[len(track) // 2]]
    hip = middle.joints[2]
    entry: dict[str, Any] = {
        "number": number,
        "first_frame": min(track),
        "last_frame": max(track),
        "frames": len(track),
        "height_px": round(float(np.median([one.height for one in track.values()])), 1),
        "place": [round(float(value) / side, 3) for value, side in zip(hip, seen.size, strict=True)],
        "swapped_frames": swapped,
    }
    if part is not None:
        entry |= {"actor": part.actor.name, "views": len(part.actor.views)}
    return entry

"""What the report says of a swap: who was there, who was changed, and where nothing was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .parts import Part, Watched


def told(seen: Watched, parts: Sequence[Part], swapped: Mapping[int, int]) -> dict[str, Any]:
    """JSON values for the report."""
    by_number = {part.number: part for part in parts}
    faces = [_face(seen, number, by_number.get(number), swapped.get(number, 0)) for number in seen.tracks.numbers]
    hands = sorted(seen.hands)
    notes = []
    if not seen.tracks.numbers:
        notes.append("No face was found: the clip is passed through as it is.")
    elif not parts:
        notes.append("No face was chosen: the clip is passed through as it is.")
    for part in parts:
        passed = _runs(np.flatnonzero(part.present & (part.weight == 0.0)) + part.first)
        if passed:
            shown = ", ".join(passed[:8]) + (" ..." if len(passed) > 8 else "")
            notes.append(f"Face {part.number} is left as it is, turned away, hidden or too small, in frames {shown}.")
    return {
        "faces": faces,
        "frames_with_hands": _runs(np.array(hands, int)),
        "notes": notes,
        "summary": f"{len(parts)} of {len(faces)} faces swapped, " + _frames(parts, swapped, seen.frames),
    }


def _face(seen: Watched, number: int, part: Part | None, swapped: int) -> dict[str, Any]:
    first, last = seen.tracks.first(number), seen.tracks.last(number)
    entry: dict[str, Any] = {"number": number, "first_frame": first, "last_frame": last, "swapped_frames": swapped}
    if part is not None:
        entry["keys"] = len(part.identity.keys)
        entry["swapped_share"] = round(swapped / max(1, seen.frames), 4)
    return entry


def _frames(parts: Sequence[Part], swapped: Mapping[int, int], frames: int) -> str:
    most = max((swapped.get(part.number, 0) for part in parts), default=0)
    return f"in {most} of {frames} frames"


def _runs(numbers: Any) -> list[str]:
    """Numbers in order as `3-7`, `9`."""
    if not len(numbers):
        return []
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return [f"{part[0]}" if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts]

"""What recipes of bundled weights learn from: shots of live clips, and photographs.

Nothing here is for untrusted files: clips are read by `ClipWindows`, whole, into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vid2vid.conditions.motion import CutDetector
from vid2vid.data.windows import ClipWindows
from vid2vid.io import probe, read_image
from vid2vid.io.containers import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

    from vid2vid.types import Picture

PHOTOGRAPH_ROWS: Final = 1080
"""Short side to which larger photographs are shrunk."""
_CLIPS: Final = (".mp4", ".mov", ".mkv", ".mpg", ".webm", ".avi")


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames of one camera take, or one photograph."""

    name: str
    frames: Picture
    """`(T, H, W, 3)` uint8 sRGB; T = 1 for a photograph, over which a camera is moved."""

    @property
    def is_photograph(self) -> bool:
        """Whether there is one frame only."""
        return len(self.frames) == 1


def live_shots(
    folder: Path, *, short_side: int, least_frames: int, held_out: Mapping[str, int], enlarge: bool = False
) -> Iterator[Shot]:
    """Shots of all clips in a folder, cut where the camera changes.

    Args:
        folder: of clips.
        short_side: to which frames are brought.
        least_frames: of a shot; shorter ones are left out.
        held_out: name of a clip without its suffix -> its first frame that is never read, nor any after it.
        enlarge: whether smaller clips are brought to the short side too.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _CLIPS or held_out.get(path.stem) == 0:
            continue
        info = probe(path)
        clip = ClipWindows(path, short_side=short_side if enlarge else min(short_side, info.width, info.height))
        frames = clip.read(0, min(len(clip), held_out.get(path.stem, len(clip))))
        detector = CutDetector()
        cuts = [number for number, frame in enumerate(frames) if detector(frame)]
        for start, stop in zip((0, *cuts), (*cuts, len(frames)), strict=True):
            if stop - start >= least_frames:
                yield Shot(f"{path.stem}:{start}-{stop - 1}", frames[start:stop])


def photographs(folder: Path) -> Iterator[Shot]:
    """All pictures in a folder and below, with a short side of at most `PHOTOGRAPH_ROWS`."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            picture = read_image(path)
            shrink = min(1.0, PHOTOGRAPH_ROWS / min(picture.shape[:2]))
            size = (round(picture.shape[1] * shrink), round(picture.shape[0] * shrink))
            yield Shot(path.stem, read_image(path, size=size)[None])

"""What a clip looks like, so roughly that a copy still looks so: it tells a copied mark from a copied clip.

A fingerprint holds tiny grey pictures from all over the clip. Whoever lifts a mark off one clip and lays it on another
keeps the number of the first, and this shows that the second looks different.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

PLACES: Final = 16
"""Pictures taken, spread evenly over the clip's length."""
_SIDE: Final = 8
_FLAT: Final = 1.5
"""Standard deviation in grey levels below which a picture shows nothing that could be compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """The looks of one clip."""

    thumbnails: NDArray[np.uint8]
    """`(N, 8, 8)` grey levels, N up to `PLACES`, in order of time."""
    duration_s: float
    """Length in seconds."""

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        rows = [base64.b64encode(one.tobytes()).decode("ascii") for one in self.thumbnails]
        return {"duration_s": round(self.duration_s, 3), "thumbnails": rows}

    def likeness(self, other: Fingerprint, *, flipped: bool = False) -> float | None:
        """How far a copy looks like this clip.

        Args:
            other: the copy's; it may be cut, so that each of its pictures is compared with all of this clip's.
            flipped: whether the copy is mirrored.

        Returns:
            Median correlation in [-1, 1]; None where one of the two shows nothing but flat colour.
        """
        mine = _normalised(self.thumbnails)
        theirs = _normalised(other.thumbnails[..., ::-1] if flipped else other.thumbnails)
        if not len(mine) or not len(theirs):
            return None
        return float(np.median((theirs @ mine.T).max(axis=1)))


class FingerprintTaker:
    """Takes a fingerprint from frames that pass by; keeps no frame."""

    def __init__(self, duration_s: float) -> None:
        """Knows the length beforehand, in seconds."""
        self._duration_s = duration_s
        self._thumbnails: list[NDArray[np.uint8]] = []
        self._last: Picture | None = None

    def watch(self, frames: Iterator[tuple[float, Picture]]) -> Iterator[Picture]:
        """Hands on the `(H, W, 3)` pictures of (seconds, picture)."""
        for time_s, picture in frames:
            while len(self._thumbnails) < PLACES and time_s >= self._due():
                self._thumbnails.append(_thumbnail(picture))
            self._last = picture
            yield picture

    def result(self) -> Fingerprint:
        """What was seen."""
        if not self._thumbnails and self._last is not None:
            self._thumbnails.append(_thumbnail(self._last))
        return Fingerprint(np.array(self._thumbnails, np.uint8).reshape(-1, _SIDE, _SIDE), self._duration_s)

    def _due(self) -> float:
        return (len(self._thumbnails) + 0.5) / PLACES * self._duration_s


def read_fingerprint(told: Any) -> Fingerprint | None:
    """Reads `Fingerprint.as_json` from a manifest, which may come from anybody; None where it is none."""
    try:
        rows = [base64.b64decode(row, validate=True) for row in told["thumbnails"][:PLACES]]
        thumbnails = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), _SIDE, _SIDE)
        return Fingerprint(thumbnails, float(told["duration_s"])) if isinstance(told, Mapping) and rows else None
    except (KeyError, TypeError, ValueError):
        return None


def _thumbnail(picture: Picture) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _normalised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    """`(N, 64)` of mean 0 and length 1, without the flat ones."""
    rows = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    rows = rows - rows.mean(axis=1, keepdims=True)
    rows = rows[rows.std(axis=1) >= _FLAT]
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

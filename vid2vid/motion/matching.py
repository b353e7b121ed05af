"""Which frame of a clip a picture in another look shows, found by content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.errors import ReferenceMismatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Frame, Picture

DESCRIPTOR_ROWS: Final = 144
"""Rows at which pictures are compared."""
LEAST_AGREEMENT: Final = 0.3
"""Correlation of structure below which a picture is taken to show no frame of the clip."""
ASPECT_TOLERANCE: Final = 0.04
"""Relative difference in shape that is put down to rounding."""


@dataclass(frozen=True, slots=True)
class Match:
    """The frame that a picture shows."""

    frame: int
    agreement: float
    """Correlation of structure, at most 1."""


def match_to_frames(pictures: Sequence[Picture], frames: Iterable[Frame], width: int, height: int) -> list[Match]:
    """Finds for every picture the frame that it is a version of, whatever its colours.

    Args:
        pictures: `(h, w, 3)` uint8 each, of the clip's shape but any size.
        frames: the clip, read once.
        width, height: size of the clip's frames.

    Returns:
        One match a picture, in order.

    Raises:
        ReferenceMismatch: a picture of another shape, one that shows no frame, or two that show the same one.
    """
    for number, picture in enumerate(pictures, start=1):
        _check_shape(number, picture, width, height)
    matches = best_matches(pictures, frames, width, height)
    _check_matches(matches)
    return matches


def best_matches(pictures: Sequence[Picture], frames: Iterable[Frame], width: int, height: int) -> list[Match]:
    """Finds for every picture the frame that resembles it most, however little.

    Pictures are compared by the structure of luma: differences from the local mean over the local deviation, beside the
    length of the gradient. Both survive a change of look; colours do not.

    Args:
        pictures, frames, width, height: as for `match_to_frames`.

    Returns:
        One match a picture, in order.
    """
    columns = max(16, round(DESCRIPTOR_ROWS * width / height))
    wanted = np.stack([_descriptor(picture, columns) for picture in pictures])
    best = np.full(len(pictures), -1.0)
    found = np.zeros(len(pictures), np.int64)
    for frame in frames:
        agreement = wanted @ _descriptor(frame.pixels, columns)
        better = agreement > best
        best[better], found[better] = agreement[better], frame.index
    return [Match(int(frame), float(score)) for frame, score in zip(found, best, strict=True)]


def _descriptor(picture: Picture, columns: int) -> NDArray[np.float32]:
    """Structure as one vector of length 1."""
    grey = cv2.cvtColor(
        cv2.resize(picture, (columns, DESCRIPTOR_ROWS), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    centred = grey - cv2.GaussianBlur(grey, (0, 0), 8.0)
    local = centred / (np.sqrt(cv2.GaussianBlur(centred**2, (0, 0), 8.0)) + 4.0)
    edges = np.hypot(cv2.Sobel(local, cv2.CV_32F, 1, 0), cv2.Sobel(local, cv2.CV_32F, 0, 1))
    parts = [part - part.mean() for part in (local, edges)]
    unit = [part / (np.linalg.norm(part) + 1e-6) for part in parts]
    return np.asarray(np.concatenate([part.ravel() for part in unit]) / np.sqrt(2.0), np.float32)


def _check_shape(number: int, picture: Picture, width: int, height: int) -> None:
    rows, columns = picture.shape[:2]
    if abs(columns * height / (rows * width) - 1.0) > ASPECT_TOLERANCE:
        raise ReferenceMismatch(
            f"Reference {number} is {columns}x{rows}, another shape than the clip's {width}x{height}. "
            "A key frame is a version of one of the clip's own frames: give it uncropped."
        )


def _check_matches(matches: Sequence[Match]) -> None:
    seen: dict[int, int] = {}
    for number, match in enumerate(matches, start=1):
        if match.agreement < LEAST_AGREEMENT:
            raise ReferenceMismatch(
                f"Reference {number} resembles no frame of this clip (best agreement {match.agreement:.2f} at frame "
                f"{match.frame}, at least {LEAST_AGREEMENT} is needed). Give versions of the clip's own frames."
            )
        if match.frame in seen:
            raise ReferenceMismatch(
                f"References {seen[match.frame]} and {number} both show frame {match.frame}. "
                "Give one version of each frame."
            )
        seen[match.frame] = number

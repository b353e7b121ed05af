"""A sheet of frames of several clips beside one another: `python -m benchmarks.contact_sheet OUT CLIP [CLIP ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from vid2vid.composite import resize
from vid2vid.io import open_source


def sheet(clips: list[Path], rows: int, height: int) -> np.ndarray:
    """Frames at even distances, one row a moment and one column a clip: `(H, W, 3)` uint8 sRGB."""
    columns = []
    for clip in clips:
        with open_source(clip) as source:
            pictures = [frame.pixels for frame in source]
        chosen = [pictures[round((number + 0.5) * len(pictures) / rows)] for number in range(rows)]
        width = round(chosen[0].shape[1] * height / chosen[0].shape[0])
        columns.append(np.concatenate([resize(picture, width, height) for picture in chosen]))
    return np.concatenate(columns, 1)


def main() -> None:
    """Writes the sheet as the suffix says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--height", type=int, default=300)
    given = parser.parse_args()
    made = sheet(given.clips, given.rows, given.height)
    cv2.imwrite(str(given.output), cv2.cvtColor(made, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()

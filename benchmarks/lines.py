"""Line drawing and one key frame, on shots that nothing was trained on: is our carried key better than a plain chain?

    python -m benchmarks.lines --clips CLIPS [--sheet FILE]

Every shot is drawn in several styles. Compared with the live frames are: the key frame repeated; the key frame carried
by a plain chain of flow between blurred drawings; and the same by our own way, which is what `translate()` shows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch
from vid2vid_tasks.sketch_to_scene.lines import follow_keys, line_conditions

from benchmarks.held_out import HeldOutShot, load
from benchmarks.machine import save, table
from vid2vid.composite import to_pictures
from vid2vid.conditions.flow import FlowEstimator, warp
from vid2vid.conditions.line_art import LineStyle, extract_lines
from vid2vid.io import open_source
from vid2vid.losses import ShiftTolerantLPIPS
from vid2vid.metrics import as_tensor, psnr_db
from vid2vid.previews import sheet, write_png
from vid2vid.types import Chunk, Request

if TYPE_CHECKING:
    from vid2vid.motion.keyed_clip import KeyedClip
    from vid2vid.types import Picture

SHOTS: Final = (
    HeldOutShot("bikes.mp4", 188, 241),
    HeldOutShot("cup.mp4", 145, 217),
    HeldOutShot("cityCC0.mpg", 117, 190),
    HeldOutShot("single_face.mp4"),
)
"""The mix of the two ways to carry was tuned on six drawings, one of them of the cup's frames."""
STYLES: Final[Mapping[str, LineStyle]] = {
    "pen": LineStyle(kind="canny", scale=1.3, density=0.06, width=1.4, seed=701),
    "pencil": LineStyle("xdog", 1.0, 0.09, 1.1, wobble=0.5, redrawn=3, paper=236.0, ink=70.0, grain=4.0, seed=702),
    "chalk": LineStyle("sobel", 1.5, 0.08, 1.6, gaps=0.1, wobble=0.4, paper=32.0, ink=225.0, grain=3.0, seed=703),
}
SHORT_SIDE: Final = 270
KEY: Final = 16
"""The frame of every shot that is given as key."""
DISTANCES: Final = (-12, -4, 2, 6, 12, 20, 30, 36)
"""Frames from the key that are measured."""
PLAIN_BLUR_PX: Final = 2.0
WAYS: Final = ("repeated", "chained", "carried")
COLUMNS: Final = ["shot", "style", *(f"{way}_{unit}" for unit in ("db", "st") for way in WAYS), "gain_db"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One shot in one style, and its key frame followed through it."""

    live: Sequence[Picture]
    drawings: Picture
    """`(T, H, W, 3)` uint8."""
    request: Request
    keyed: KeyedClip

    @property
    def measured(self) -> list[int]:
        """Frames at the wanted distances."""
        return [KEY + away for away in DISTANCES if 0 <= KEY + away < len(self.live)]


def draw(live: Sequence[Picture], style: LineStyle) -> Drawn:
    """A shot drawn, with the key frame found by its content."""
    drawings = np.stack([np.repeat(extract_lines(p, style, t)[..., None], 3, 2) for t, p in enumerate(live)])
    source = open_source(drawings)
    height, width = live[0].shape[:2]
    request = Request(source.info, width, height, None, references=(live[KEY],), open_source=source.reopen)
    return Drawn(live, drawings, request, follow_keys(request))


def chained(drawn: Drawn) -> dict[int, Picture]:
    """The key frame by a plain chain of flow, frame after frame outwards, between blurred drawings."""
    search = FlowEstimator("medium")
    grey = [cv2.GaussianBlur(drawing[..., 0], (0, 0), PLAIN_BLUR_PX) for drawing in drawn.drawings]
    made = {}
    for step in (1, -1):
        field = np.zeros((*grey[0].shape, 2), np.float32)
        number = KEY + step
        while 0 <= number < len(grey):
            flow = search(np.asarray(grey[number], np.uint8), np.asarray(grey[number - step], np.uint8))
            field = np.asarray(flow + warp(field, flow), np.float32)
            made[number] = np.asarray(warp(drawn.live[KEY], field), np.uint8)
            number += step
    return made


def carried(drawn: Drawn, number: int) -> Picture:
    """The key frame as `translate()` shows it at one frame."""
    frame = torch.from_numpy(drawn.drawings[number : number + 1]).permute(0, 3, 1, 2).float() / 255.0
    reference = line_conditions(Chunk(frame, number), drawn.keyed.keys).reference
    assert reference is not None
    return to_pictures(reference[:, :3])[0]


@torch.inference_mode()
def measure(drawn: Drawn, distance: ShiftTolerantLPIPS) -> tuple[dict[str, Any], list[Any]]:
    """Means over the measured frames of every way, and a row of pictures for the sheet."""
    plain = chained(drawn)
    sums: dict[str, list[float]] = {}
    shown: list[Picture] = []
    for number in drawn.measured:
        truth = drawn.live[number]
        ways = (drawn.live[KEY], plain[number], carried(drawn, number))
        for way, picture in zip(WAYS, ways, strict=True):
            sums.setdefault(f"{way}_db", []).append(psnr_db(picture, truth))
            sums.setdefault(f"{way}_st", []).append(float(distance(as_tensor(picture), as_tensor(truth))))
        if not shown and number >= KEY + 12:
            shown = [drawn.drawings[number], *ways, truth]
    means = {name: float(np.mean(values)) for name, values in sums.items()}
    found = {"found_at": drawn.keyed.keys[0].index, "agreement": drawn.keyed.agreements[0]}
    away = [number - KEY for number in drawn.measured]
    return {
        **means,
        "gain_db": means["carried_db"] - means["chained_db"],
        **found,
        "distances": away,
        "carried_db_each": sums["carried_db"],
    }, shown


def main() -> None:
    """Measures, prints a table, writes JSON and a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--name", default="lines", help="of the results")
    given = parser.parse_args()
    distance = ShiftTolerantLPIPS("alex")
    rows, pictures = [], []
    for shot in SHOTS:
        live = load(shot, given.clips, 80, SHORT_SIDE)
        for name, style in STYLES.items():
            row, shown = measure(draw(live, style), distance)
            rows.append({"shot": shot.name, "style": name, **row})
            pictures.append(shown)
    summary = {key: float(np.mean([row[key] for row in rows])) for key in COLUMNS[2:]}
    summary["least_gain_db"] = float(min(row["gain_db"] for row in rows))
    by_shot = {
        shot.name: float(np.mean([row["gain_db"] for row in rows if row["shot"] == shot.name])) for shot in SHOTS
    }
    print(table([*rows, {"shot": "mean", **summary}], COLUMNS))
    settings = {"short_side": SHORT_SIDE, "key": KEY, "distances": DISTANCES}
    save(given.name, {"settings": settings, "summary": summary, "gain_db_by_shot": by_shot, "rows": rows})
    if given.sheet:
        write_png(given.sheet, sheet(pictures, ("drawing", *WAYS, "truth")))


if __name__ == "__main__":
    main()

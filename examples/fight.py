"""Draws a fight of stick-men, and makes a film of it with actors and sound; needs nothing but the package.

    python examples/fight.py --seconds 6

Two stick-men fight on paper, moved by motion capture. `translate()` reads the drawings, puts actors into the figures'
poses on a scene, hears what happens, and writes the film with its sounds. Then a few drawings of the same fight go onto
one sheet of paper, which is photographed, and the film is made from that photograph alone.

With a drawing of your own: `vid2vid translate fight.mp4 --task sketch_to_scene`, and `--reference you.jpg --reference
friend.jpg` for who plays.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

import vid2vid
from vid2vid.data.drawn_fights import Fight, make_fight, render_fight
from vid2vid.data.drawn_sheet import SheetLook, draw_sheet
from vid2vid.data.fight_moves import load_moves
from vid2vid.data.stick_drawings import Style
from vid2vid.io import VideoWriter, write_image

MOTION = Path(__file__).parent / "assets" / "motion"
INK = Style(
    pens=((30, 40, 140), (150, 35, 30)), width=0.016, wobble=0.003, bend=0.02, head="circle", ruling="lines",
    ground_width=0.8, shadow=0.25, blur=0.5, seed=5,
)  # fmt: skip
PANELS = 8
PANEL_S = 0.35


def draw(fight: Fight, target: Path) -> Path:
    """Writes the drawn fight as a clip."""
    width, height = fight.size
    with VideoWriter(target, width=width, height=height, fps=fight.fps, overwrite=True) as writer:
        for index, picture in enumerate(render_fight(fight, INK)):
            writer.write(picture, index / fight.fps)
    return target


def draw_panels(fight: Fight, target: Path) -> Path:
    """Puts drawings from the liveliest part of the fight on one sheet and photographs it."""
    step = round(PANEL_S * fight.fps)
    blow_s = next((event.time_s for event in fight.events if event.kind == "impact"), 1.0)
    last = max(0, fight.tracks.length - PANELS * step)
    first = int(np.clip(round((blow_s - 2.5 * PANEL_S) * fight.fps), 0, last))
    drawings = fight.tracks.joints[first : first + PANELS * step : step]
    ground = None if fight.tracks.ground is None else float(fight.tracks.ground[0])
    look = SheetLook(columns=3, turn_deg=3.0, tilt=0.08, shadow=0.3)
    height = float(fight.tracks.heights.mean())
    sheet = draw_sheet(drawings, height, fight.size, INK, look, photograph_size=(2400, 1800), ground=ground)
    write_image(target, sheet.picture)
    return target


def told(made: vid2vid.Translation) -> str:
    """What the report says of a film, in a line."""
    heard = Counter(event["kind"] for event in made.report["events"])
    sounds = ", ".join(f"{count} x {kind}" for kind, count in heard.most_common()) or "none"
    return f"{made.path}: {made.info.frame_count} frames in {made.seconds:.0f} s; sounds: {sounds}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws and films."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the drawn fight")
    parser.add_argument("--seed", type=int, default=31, help="another number is another fight")
    parser.add_argument("--width", type=int, default=854, help="columns of the drawn clip; 16:9")
    parser.add_argument("--actors", default="", help="bundled actors, with commas between; see the report of a film")
    parser.add_argument("--output", type=Path, default=Path("fight_demo"), help="folder for all that is written")
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    size = (given.width // 2 * 2, round(given.width * 9 / 16) // 2 * 2)
    fight = make_fight(load_moves(MOTION), given.seed, size, given.seconds, figures=2, fps=Fraction(24))
    sources = {
        "fight": draw(fight, given.output / "fight.mp4"),
        "sheet": draw_panels(fight, given.output / "sheet.jpg"),
    }
    for name, source in sources.items():
        film = given.output / f"{name}_film.mp4"
        made = vid2vid.translate(
            source, task="sketch_to_scene", output=film, actors=given.actors, pace=PANEL_S, overwrite=True
        )
        print(told(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())

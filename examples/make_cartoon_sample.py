"""Draws `meadow.mp4`, the second sample clip of the package: a small cel cartoon of our own making.

    python examples/make_cartoon_sample.py vid2vid/samples/meadow.mp4

A round fox hops through a meadow while the camera follows; hills, house, tree and clouds pass at their own speeds.
Nothing is traced or taken from anywhere: shapes are polygons, circles and sums of sines.

Convention:
    Lengths are in pixels of the finished 480x270 picture; everything is drawn at `SCALE` times that and shrunk, which
    smooths the edges. x grows along the meadow; a layer of depth d moves d times as fast as the ground.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import cos, pi, sin
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vid2vid.io import VideoWriter

Colour = tuple[int, int, int]
Point = tuple[float, float]
Circle = tuple[float, float, float]

WIDTH, HEIGHT, FPS, FRAMES, SCALE = 480, 270, 25, 120, 2
INK: Colour = (62, 44, 58)
HOP_FRAMES = 20
HOP_PX = 46.0


@dataclass(frozen=True)
class Cel:
    """How one shape is painted: flat colour, flat shade on the side away from the sun, and an ink line around it."""

    fill: Colour
    shade: Colour | None = None
    ink_px: float = 1.6
    ink: Colour = INK
    light_px: Point = (-5.0, -6.0)


class Picture:
    """One frame being drawn, back to front."""

    def __init__(self, camera_px: float) -> None:
        """Starts with nothing but the camera's place along the ground."""
        self.camera_px = camera_px
        self.pixels: NDArray[np.float32] = np.zeros((HEIGHT * SCALE, WIDTH * SCALE, 3), np.float32)

    def polygon(self, points: Sequence[Point], cel: Cel, depth: float = 1.0) -> None:
        """Paints a closed polygon given in world coordinates."""
        mask = self._blank()
        moved = np.array([self._place(x, y, depth) for x, y in points])
        cv2.fillPoly(mask, [np.round(moved * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        self._paint(mask, cel)

    def circles(self, circles: Iterable[Circle], cel: Cel, depth: float = 1.0) -> None:
        """Paints the union of circles (x, y, radius) as one shape."""
        mask = self._blank()
        for x, y, radius in circles:
            across, down = self._place(x, y, depth)
            centre = (round(across * 16), round(down * 16))
            cv2.circle(mask, centre, round(radius * SCALE * 16), 255, -1, cv2.LINE_AA, 4)
        self._paint(mask, cel)

    def ellipse(self, centre: Point, axes: Point, angle: float, cel: Cel) -> None:
        """Paints an ellipse with half axes in pixels, turned by `angle` degrees."""
        turn = np.linspace(0.0, 2 * pi, 60)
        a, b = np.cos(turn) * axes[0], np.sin(turn) * axes[1]
        c, s = cos(angle * pi / 180), sin(angle * pi / 180)
        self.polygon([(centre[0] + c * x - s * y, centre[1] + s * x + c * y) for x, y in zip(a, b, strict=True)], cel)

    def finished(self) -> NDArray[np.uint8]:
        """The frame at its final size, `(270, 480, 3)` uint8 sRGB."""
        small: NDArray[np.float32] = cv2.resize(self.pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        return np.clip(np.round(small), 0, 255).astype(np.uint8)

    def _place(self, x: float, y: float, depth: float) -> Point:
        return (x - self.camera_px * depth) * SCALE, y * SCALE

    def _blank(self) -> NDArray[np.uint8]:
        return np.zeros((HEIGHT * SCALE, WIDTH * SCALE), np.uint8)

    def _paint(self, mask: NDArray[np.uint8], cel: Cel) -> None:
        left, top, width, height = cv2.boundingRect(mask)
        margin = 8 * SCALE
        rows = slice(max(0, top - margin), top + height + margin)
        columns = slice(max(0, left - margin), left + width + margin)
        if width == 0:
            return
        shape = mask[rows, columns]
        if cel.ink_px:
            side = 2 * round(cel.ink_px * SCALE / 2) + 1
            brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
            self._lay(np.asarray(cv2.dilate(shape, brush), np.uint8), cel.ink, rows, columns)
        self._lay(shape, cel.shade or cel.fill, rows, columns)
        if cel.shade:
            shift = np.array([[1, 0, cel.light_px[0] * SCALE], [0, 1, cel.light_px[1] * SCALE]], np.float32)
            lit = cv2.warpAffine(shape, shift, shape.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
            self._lay(np.minimum(np.asarray(lit, np.uint8), shape), cel.fill, rows, columns)

    def _lay(self, mask: NDArray[np.uint8], colour: Colour, rows: slice, columns: slice) -> None:
        alpha = (mask.astype(np.float32) / 255)[..., None]
        self.pixels[rows, columns] += alpha * (np.array(colour, np.float32) - self.pixels[rows, columns])


def draw_sky(picture: Picture, time_s: float) -> None:
    """Flat bands of blue, the sun in two rings, and clouds that drift."""
    for top, colour in ((0, (96, 178, 226)), (52, (126, 198, 234)), (96, (160, 216, 240)), (132, (204, 234, 240))):
        picture.pixels[top * SCALE :] = colour
    picture.circles([(392, 52, 31)], Cel((252, 236, 168), ink_px=0), depth=0.02)
    picture.circles([(392, 52, 22)], Cel((255, 214, 92), (250, 190, 70), ink=(226, 150, 60)), depth=0.02)
    for x, y, size, speed in ((60, 46, 1.0, 9), (250, 78, 0.7, 6), (470, 40, 1.15, 11), (610, 84, 0.8, 7)):
        puffs = ((0, 0, 17), (20, -9, 20), (43, -3, 17), (61, 5, 11), (-17, 6, 10), (24, 7, 15))
        cloud = [(x - speed * time_s + a * size, y + b * size, r * size) for a, b, r in puffs]
        picture.circles(cloud, Cel((255, 255, 252), (206, 226, 242), 1.2, (120, 150, 180), (-2, -6)), depth=0.12)


def draw_hills(picture: Picture) -> None:
    """Three ranges, the nearer the darker and the faster."""
    ranges = (
        (0.22, 150, 22, 0.011, Cel((150, 196, 190), (128, 178, 182), 1.2, (86, 128, 140), (0, 12))),
        (0.45, 176, 20, 0.016, Cel((132, 190, 112), (108, 168, 104), 1.4, (70, 108, 76), (0, 14))),
        (0.70, 202, 13, 0.021, Cel((110, 178, 82), (88, 154, 74), 1.6, (54, 92, 58), (0, 12))),
    )
    for number, (depth, level, swell, pace, cel) in enumerate(ranges):
        xs = np.arange(-40, 900, 6)
        ridge = [(float(x), level - swell * (sin(x * pace + number) + 0.4 * sin(x * pace * 2.7))) for x in xs]
        if number == 1:
            draw_firs(picture, ridge, depth)
        picture.polygon([*ridge, (900, HEIGHT + 60), (-40, HEIGHT + 60)], cel, depth)


def draw_firs(picture: Picture, ridge: Sequence[Point], depth: float) -> None:
    """A few firs standing on a ridge."""
    for place in (14, 19, 22, 52, 57, 83, 88, 91):
        x, y = ridge[place]
        tall = 20 + 7 * (place % 3)
        tree = [(x - tall * 0.32, y + 4), (x, y - tall), (x + tall * 0.32, y + 4)]
        picture.polygon(tree, Cel((74, 132, 96), (58, 108, 84), 1.2, (40, 74, 62), (-3, 0)), depth)


def draw_house(picture: Picture, time_s: float) -> None:
    """A cottage with a red roof and smoke from its chimney."""
    x, y = 300.0, 222.0
    for number in range(4):
        age = (time_s * 0.45 + number / 4) % 1.0
        puff = (x + 74 + 26 * age + 4 * sin(6 * age + number), y - 112 - 52 * age, 4 + 9 * age)
        picture.circles([puff], Cel((240, 240, 240), (214, 220, 228), 1.0, (160, 166, 176), (-2, -3)))
    brick, brick_ink = Cel((190, 110, 92), (160, 84, 76)), Cel((236, 218, 180), (206, 182, 148), light_px=(-12, 0))
    picture.polygon([(x + 66, y - 70), (x + 66, y - 108), (x + 82, y - 108), (x + 82, y - 70)], brick)
    picture.polygon([(x, y), (x, y - 56), (x + 48, y - 92), (x + 96, y - 56), (x + 96, y)], brick_ink)
    roof = [(x - 10, y - 50), (x + 48, y - 100), (x + 106, y - 50), (x + 98, y - 44), (x + 48, y - 86), (x - 2, y - 44)]
    picture.polygon(roof, Cel((214, 82, 66), (176, 56, 58), 1.8, light_px=(-3, -4)))
    picture.polygon([(x + 56, y), (x + 56, y - 36), (x + 78, y - 36), (x + 78, y)], Cel((122, 82, 60), (98, 62, 52)))
    picture.circles([(x + 73, y - 17, 1.7)], Cel((250, 214, 110), ink_px=0.8))
    for left, top in ((16, 42), (40, 72)):
        pane = [(x + left, y - top), (x + left + 18, y - top), (x + left + 18, y - top + 18), (x + left, y - top + 18)]
        picture.polygon(pane, Cel((158, 214, 232), (255, 244, 190), light_px=(-6, -6)))
        cross = ((left + 8.4, top, 1.2, 18.0), (left, top - 8.4, 18.0, 1.2))
        for a, b, wide, tall in cross:
            bar = [(x + a, y - b), (x + a + wide, y - b), (x + a + wide, y - b + tall), (x + a, y - b + tall)]
            picture.polygon(bar, Cel(INK, ink_px=0))


def draw_tree(picture: Picture, x: float, time_s: float) -> None:
    """An apple tree whose crown sways a little."""
    y, sway = 226.0, 2.2 * sin(2.2 * time_s + x)
    bark = ((-9, 0), (-5, -30), (-16, -58), (-9, -60), (0, -42), (8, -62), (14, -60), (6, -32), (10, 0))
    trunk = [(x + a, y + b) for a, b in bark]
    picture.polygon(trunk, Cel((136, 92, 64), (106, 68, 54), light_px=(-4, 0)))
    puffs = ((-26, -66, 20), (-8, -86, 23), (18, -84, 22), (32, -64, 19), (4, -62, 24), (-14, -56, 16), (22, -54, 15))
    crown = [(x + a + sway * (-b - 40) / 40, y + b, r) for a, b, r in puffs]
    picture.circles(crown, Cel((104, 186, 74), (66, 146, 70), 1.8, light_px=(-8, -10)))
    for a, b in ((-24, -70), (2, -92), (24, -72), (-4, -60), (34, -56)):
        picture.circles([(x + a + sway, y + b, 4.2)], Cel((232, 70, 62), (190, 46, 56), 1.0, light_px=(-1.5, -1.5)))


def draw_ground(picture: Picture) -> None:
    """The meadow in two bands, a path, a fence and flowers."""
    back = [(-60, 222), (900, 222), (900, 330), (-60, 330)]
    picture.polygon(back, Cel((130, 204, 82), (112, 186, 74), 1.6, (62, 112, 54), (0, 14)))
    path = [(-60, 240), (900, 240), (900, 258), (-60, 258)]
    picture.polygon(path, Cel((238, 214, 158), (216, 186, 130), 1.2, (150, 118, 82), (0, -9)))
    for post in range(14):
        x = 20 + 22.0 * post if post < 10 else 230 + 22.0 * post
        if post not in (9, 13):
            picture.polygon([(x, 213), (x + 24, 213), (x + 24, 217), (x, 217)], Cel((246, 240, 226), ink_px=1.0))
        stake = [(x, 226), (x, 207), (x + 3, 203), (x + 6, 207), (x + 6, 226)]
        picture.polygon(stake, Cel((252, 248, 238), (216, 206, 196), 1.2, light_px=(-2, 0)))
    colours: tuple[Colour, ...] = ((250, 110, 130), (255, 232, 110), (250, 250, 250), (196, 130, 226))
    for number in range(46):
        x, y = -20 + 19.0 * number, 229.0 + 4 * (number % 3) + (35 if number % 2 else 0)
        if y < 238 or y > 260:
            blade = [(x - 3, y + 4), (x - 1, y - 4), (x, y + 2), (x + 3, y - 5), (x + 4, y + 4)]
            picture.polygon(blade, Cel((84, 160, 62), ink_px=0))
            if number % 3 == 0:
                picture.circles([(x + 9, y - 2, 3.0)], Cel(colours[number // 3 % 4], ink_px=1.0))
                picture.circles([(x + 9, y - 2, 1.0)], Cel((250, 190, 60), ink_px=0))


def draw_fox(picture: Picture, frame: int) -> None:
    """The hero: squashes when it lands, stretches as it leaps, and blinks."""
    hop, phase = divmod(frame, HOP_FRAMES)
    step = phase / HOP_FRAMES
    flying = min(max((step - 0.22) / 0.6, 0.0), 1.0)
    lift = 44 * 4 * flying * (1 - flying)
    squash = 0.16 * cos(2 * pi * step / 0.22) * (step < 0.22) - 0.12 * (0 < flying < 1) * cos(2 * pi * flying) ** 2
    squash = max(-0.14, min(0.16, squash))
    x, y = 96 + HOP_PX * (hop + flying), 246 - lift
    wide, tall = 25 * (1 + squash), 25 * (1 - squash)
    orange = Cel((244, 146, 62), (214, 108, 52), 1.8, light_px=(-5, -6))
    brown = Cel((112, 66, 52), ink_px=0)
    cream = Cel((255, 238, 210), (236, 206, 176), 0.0, light_px=(-3, -4))
    shadow = 22 - 9 * lift / 44
    picture.ellipse((x, 250), (shadow, shadow * 0.2), 0, Cel((176, 146, 100), ink_px=0))
    swing = 24 * (0.5 - flying) if 0 < flying < 1 else 6.0
    tail = (x - wide - 12, y - tall * 0.8 + swing * 0.35)
    picture.ellipse(tail, (20, 9.5), 18 + swing, orange)
    picture.ellipse((tail[0] - 12, tail[1] - 5 - swing * 0.15), (8, 6), 18 + swing, cream)
    kick = 9 * (0 < flying < 1)
    for side in (-11, 9):
        foot = (x + side - kick, y + 1 + kick * 0.2)
        picture.ellipse(foot, (8, 4.6), 20 if kick else 0, Cel((112, 66, 52), (86, 50, 46)))
    for side, lean in ((-13, -16.0), (11, 8.0)):
        base = (x + side + 3, y - 2 * tall + 7)
        tip = (base[0] + lean * 0.5 - 0.4 * swing, base[1] - 22 * (1 - squash))
        picture.polygon([(base[0] - 8, base[1] + 5), tip, (base[0] + 9, base[1] + 4)], orange)
        picture.polygon([(base[0] - 3, base[1] + 3), (tip[0] + 1, tip[1] + 8), (base[0] + 4, base[1] + 3)], brown)
    picture.ellipse((x, y - tall), (wide, tall), 0, orange)
    picture.ellipse((x + 8, y - tall * 0.52), (wide * 0.56, tall * 0.44), 0, cream)
    draw_face(picture, (x + 9, y - tall * 1.18), frame)


def draw_face(picture: Picture, centre: Point, frame: int) -> None:
    """Two eyes that blink, a nose, cheeks and a smile."""
    x, y = centre
    shut = frame % 55 in (30, 31, 32)
    for side in (-8, 8):
        if shut:
            picture.ellipse((x + side, y), (4.4, 0.8), 0, Cel(INK, ink_px=0))
            continue
        picture.ellipse((x + side, y), (4.6, 6.0), 0, Cel((255, 255, 255), ink_px=1.2))
        picture.ellipse((x + side + 1.3, y + 0.6), (2.7, 3.8), 0, Cel(INK, ink_px=0))
        picture.circles([(x + side + 2.2, y - 1.4, 1.2)], Cel((255, 255, 255), ink_px=0))
        picture.ellipse((x + side * 1.75, y + 9), (3.6, 2.2), 0, Cel((246, 120, 100), ink_px=0))
    picture.ellipse((x + 1, y + 7.5), (3.4, 2.4), 0, Cel(INK, ink_px=0))
    smile = [(x + 1 + a, y + 11 + 2.6 * (1 - (a / 5) ** 2)) for a in range(-5, 6)]
    picture.polygon([*smile, *((a, b + 1.2) for a, b in reversed(smile))], Cel(INK, ink_px=0))


def draw_frame(frame: int) -> NDArray[np.uint8]:
    """One frame of the film, `(270, 480, 3)` uint8 sRGB."""
    time_s = frame / FPS
    progress = frame / (FRAMES - 1)
    picture = Picture(camera_px=-20 + 230 * progress * progress * (3 - 2 * progress))
    draw_sky(picture, time_s)
    draw_hills(picture)
    draw_ground(picture)
    draw_house(picture, time_s)
    draw_tree(picture, 182.0, time_s)
    draw_tree(picture, 560.0, time_s)
    draw_fox(picture, frame)
    return picture.finished()


def main() -> None:
    """Draws every frame into the file named on the command line."""
    parser = argparse.ArgumentParser(description="Draws the sample cartoon of a hopping fox.")
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    with VideoWriter(output, width=WIDTH, height=HEIGHT, fps=FPS, quality=23, preset="slow", overwrite=True) as writer:
        for frame in range(FRAMES):
            writer.write(draw_frame(frame), Fraction(frame, FPS))


if __name__ == "__main__":
    main()

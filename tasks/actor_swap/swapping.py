"""One frame: the old person out, the background in, the actor over it; whoever stands nearer stays before them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.motion.plate import SOLE, shadows
from vid2vid.motion.puppet import Act, Puppet

from .background import relit
from .erasing import Erased, erased, laid, spared
from .occluding import Look, in_front
from .parts import masks_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    from .options import Options
    from .parts import Part
    from .watching import Sighting, Watched

    Floats = NDArray[np.float32]
    Window = tuple[slice, slice]

_ROOM: Final = 0.32
"""Body heights around the joints that limbs, hair and shoes may reach."""
_SHADOW_REACH: Final = 0.36
"""Body heights beyond half a body's width to either side that its shadow reaches."""
_FAINTEST: Final = np.float32(0.012)
"""Share of the light below which nobody sees a shadow: it ends there, and what is beyond stays as it was."""
_SAME_HEIGHT: Final = 0.04
"""A person whose height changes less through the film is drawn at one size, without scaling."""
_TALLEST: Final = 700.0
"""Standing height in pixels at which actors are drawn at most; larger ones are enlarged."""
_ONE: Final = 0.5
"""Share of the smaller of two masks that lies in the other, from which both are one person found twice."""


@dataclass(slots=True, eq=False)
class Drawn:
    """An actor in a part of the frame."""

    window: Window
    colour: Floats
    """`(h, w, 3)`, 0 to 255, multiplied by coverage."""
    cover: Floats
    """`(h, w)` in [0, 1]."""
    joints: Floats
    """`(15, 2)` px of the frame."""


@dataclass(slots=True, eq=False)
class Swapper:
    """Draws one part's actor; what each frame shows is decided before the first one, so any frame can be asked for."""

    part: Part
    options: Options
    size: tuple[int, int]
    """Columns and rows of the film."""
    _puppet: Puppet = field(init=False)
    _canvas: tuple[int, int] = field(init=False)
    _height: float = field(init=False)
    _acts: list[Act | None] = field(init=False)
    """By place in the part's arrays."""

    def __post_init__(self) -> None:
        heights = self.part.heights[self.part.present]
        usual = float(np.median(heights))
        steady = float(np.abs(heights / usual - 1.0).max()) < _SAME_HEIGHT
        self._height = min(_TALLEST, usual if steady else float(np.percentile(heights, 95)))
        reach = np.abs(self.part.joints - self.part.joints[:, 2:3])[self.part.present]
        reach = reach / self.part.heights[self.part.present, None, None]
        half = [int(np.ceil((float(min(1.2, reach[..., axis].max())) + _ROOM) * self._height)) for axis in (0, 1)]
        self._canvas = (2 * half[0], 2 * half[1])
        self._puppet = Puppet(self.part.actor, self._height, self._canvas, shutter=self.options.shutter)
        self._acts = [self._act(place) for place in range(len(self.part.present))]

    def _act(self, place: int) -> Act | None:
        if not self.part.present[place]:
            return None
        if self.part.fresh[place]:
            self._puppet.reset()
        left, top, _, scales = self._placed(place)
        inside = (self.part.joints[place] - np.array([left, top], np.float32) + 0.5) / scales - 0.5
        ground = (float(self.part.ground[place]) - top + 0.5) / scales[1] - 0.5
        return self._puppet.decide(
            inside.astype(np.float32), float(self.part.facing[place]), ground, self.part.depth[place]
        )

    def _placed(self, place: int) -> tuple[int, int, tuple[int, int], Floats]:
        """Left, top, columns and rows of the canvas in the film, and its scales along x and y."""
        scale = float(self.part.heights[place]) / self._height
        scale = 1.0 if abs(scale - 1.0) < _SAME_HEIGHT else scale
        wide, high = (max(1, round(side * scale)) for side in self._canvas)
        hip = self.part.joints[place, 2]
        scales = np.array([wide / self._canvas[0], high / self._canvas[1]], np.float32)
        return round(float(hip[0])) - wide // 2, round(float(hip[1])) - high // 2, (wide, high), scales

    def draw(self, frame: int) -> Drawn | None:
        """The actor in a frame; None where the part has none."""
        place = self.part.at(frame)
        act = None if place is None else self._acts[place]
        if place is None or act is None:
            return None
        left, top, size, _ = self._placed(place)
        rgba = self._puppet.draw(act).rgba
        if size != self._canvas:
            way = cv2.INTER_AREA if size[0] < self._canvas[0] else cv2.INTER_LINEAR
            rgba = np.asarray(cv2.resize(rgba, size, interpolation=way), np.uint8)
        return self._cropped(rgba, left, top, place)

    def _cropped(self, rgba: NDArray[np.uint8], left: int, top: int, place: int) -> Drawn | None:
        x, y, width, height = cv2.boundingRect(rgba[..., 3])
        x0, y0 = max(0, left + x), max(0, top + y)
        x1, y1 = min(self.size[0], left + x + width), min(self.size[1], top + y + height)
        if x1 <= x0 or y1 <= y0:
            return None
        shown = rgba[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32)
        colour = np.minimum(shown[..., :3] * self.part.gains[place], shown[..., 3:])
        return Drawn((slice(y0, y1), slice(x0, x1)), colour, shown[..., 3] / 255.0, self.part.joints[place])


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """One frame with the actors in it, and what it is made of."""

    picture: Picture
    empty: Picture
    """The frame without the people who are taken over."""
    drawn: Mapping[int, Drawn]
    """By number of the part."""


@dataclass(slots=True, eq=False)
class Painter:
    """Makes frames of all parts; any frame can be asked for."""

    seen: Watched
    swappers: Sequence[Swapper]
    options: Options
    scene: Picture | None = None
    """`(H, W, 3)` uint8: where actors play instead of the film; None for the film."""

    @property
    def swapped(self) -> dict[int, int]:
        """Frames in which each part is taken over."""
        return {swapper.part.number: int(swapper.part.present.sum()) for swapper in self.swappers}

    def paint(self, picture: Picture, frame: int) -> Picture:
        """The frame with the actors in it.

        Args:
            picture: `(H, W, 3)` uint8, the film's frame; it stays as it is.
            frame: number in the film.

        Returns:
            A new picture; the same one where nothing changes.
        """
        return self.stage(picture, frame, keep_empty=False).picture

    def stage(self, picture: Picture, frame: int, *, keep_empty: bool = True) -> Staged:
        """As `paint`, with what the frame is made of; the empty scene only where it is wanted."""
        here = [swapper for swapper in self.swappers if swapper.part.at(frame) is not None]
        if not here:
            plain = picture if self.scene is None else self.scene
            return Staged(plain, plain, {})
        here.sort(key=lambda one: float(one.part.driver[frame - one.part.first][[11, 14], 1].max()))
        result = picture.copy() if self.scene is None else self.scene.copy()
        others: list[Sighting] = []
        if self.scene is None:
            chosen = [swapper.part.number for swapper in self.swappers]
            masks = [one for swapper in here for one in masks_at(self.seen, swapper.part, frame)]
            others = [one for one in self.seen.others(frame, chosen) if not any(_one_person(one, m) for m in masks)]
            self._erase(result, picture, frame, here, others)
        empty = result.copy() if keep_empty else result
        found = {swapper.part.number: self._lay(result, picture, swapper, frame, others) for swapper in here}
        return Staged(result, empty, {number: drawn for number, drawn in found.items() if drawn is not None})

    def _erase(
        self, result: Picture, picture: Picture, frame: int, here: Sequence[Swapper], others: Sequence[Sighting]
    ) -> None:
        for swapper in here:
            height = float(swapper.part.heights[frame - swapper.part.first])
            behind_at = partial(self.seen.backgrounds.at, frame)
            gone: Erased = erased(picture, behind_at, masks_at(self.seen, swapper.part, frame), others, height)
            if not gone.alpha.size:
                continue
            part = picture[gone.window]
            behind = gone.filling if gone.plate is None else relit(gone.plate, part, gone.hidden)
            share = gone.alpha[..., None]
            mixed = np.round(part * (1.0 - share) + behind * share).astype(np.uint8)
            result[gone.window] = np.where(share > 0.0, mixed, result[gone.window])

    def _lay(
        self, result: Picture, picture: Picture, swapper: Swapper, frame: int, others: Sequence[Sighting]
    ) -> Drawn | None:
        drawn = swapper.draw(frame)
        if drawn is None:
            return None
        place = frame - swapper.part.first
        if self.scene is None:
            self._hide(drawn, picture, swapper.part, frame)
        before = result.copy() if others else result
        self._shade(result, swapper.part, place, drawn, others)
        area = result[drawn.window].astype(np.float32)
        area *= 1.0 - drawn.cover[..., None]
        area += drawn.colour
        touched = drawn.cover[..., None] > 0.0
        result[drawn.window] = np.where(touched, area.clip(0, 255).round().astype(np.uint8), result[drawn.window])
        own = float(swapper.part.driver[place][[11, 14], 1].max())
        for other in others:
            if float(other.joints[[11, 14], 1].max()) > own:
                _keep_before(result, before, other)
        return drawn

    def _hide(self, drawn: Drawn, picture: Picture, part: Part, frame: int) -> None:
        """Takes away of an actor what is behind something that stood before the person as well."""
        plate = self.seen.backgrounds.at(frame, drawn.window)
        if plate is None:
            return
        rows, columns = drawn.window
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        mask = laid(masks_at(self.seen, part, frame), drawn.window, shape)
        place = frame - part.first
        joints = part.driver[place] - np.array([columns.start, rows.start], np.float32)
        hiding = in_front(Look(picture[drawn.window], plate, mask, joints, float(part.heights[place])))
        if hiding is not None:
            drawn.cover = drawn.cover * (1.0 - hiding)
            drawn.colour = drawn.colour * (1.0 - hiding[..., None])

    def _shade(self, result: Picture, part: Part, place: int, drawn: Drawn, others: Sequence[Sighting]) -> None:
        """Darkens the ground under the actor's feet, and nobody who stays."""
        height = float(part.heights[place])
        ground = float(part.ground[place]) + SOLE * height
        reach = round(_SHADOW_REACH * height + float(np.ptp(drawn.joints[:, 0])))
        middle = float(drawn.joints[:, 0].mean())
        rows, columns = result.shape[:2]
        left, right = max(0, round(middle) - reach), min(columns, round(middle) + reach)
        top, bottom = max(0, round(ground - 0.3 * height)), min(rows, round(ground + 0.3 * height))
        if left >= right or top >= bottom or not self.options.shadows:
            return
        inside = drawn.joints - np.array([left, top], np.float32)
        light = shadows((right - left, bottom - top), inside, height, ground - top, self.options.shadows)
        light = np.minimum(1.0, light + _FAINTEST)
        window = (slice(top, bottom), slice(left, right))
        area = result[window]
        if others:
            light += (1.0 - light) * spared(others, window, height)
        area[:] = np.where(light[..., None] < 1.0, (area * light[..., None]).round().astype(np.uint8), area)


def _keep_before(result: Picture, before: Picture, other: Sighting) -> None:
    """Lets somebody who is nearer to the camera stay as they were."""
    window, mask = other.mask.window, other.mask.unpacked()[..., None]
    mixed = np.round(result[window] * (1.0 - mask) + before[window] * mask).astype(np.uint8)
    result[window] = np.where(mask > 0.0, mixed, result[window])


def _one_person(one: Sighting, other: Sighting) -> bool:
    a, b = one.mask, other.mask
    left, right = max(a.left, b.left), min(a.left + a.width, b.left + b.width)
    top, bottom = max(a.top, b.top), min(a.top + a.height, b.top + b.height)
    if left >= right or top >= bottom:
        return False
    first, second = a.unpacked() > 0.5, b.unpacked() > 0.5
    both = (
        first[top - a.top : bottom - a.top, left - a.left : right - a.left]
        & second[top - b.top : bottom - b.top, left - b.left : right - b.left]
    )
    return bool(both.sum() > _ONE * max(1, min(int(first.sum()), int(second.sum()))))

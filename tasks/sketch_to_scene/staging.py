"""Actors on a scene, frame by frame: what the generator gets to work over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from vid2vid.motion.plate import SOLE, compose, depth_order, fit_plate, light, limb_map
from vid2vid.motion.puppet import Puppet
from vid2vid.motion.skeleton import HIP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.motion.actor import Actor
    from vid2vid.motion.puppet import Layer
    from vid2vid.types import Event, Picture

    from .casting import Scene
    from .options import Options
    from .performance import Performance

    Field = NDArray[np.float32]

FOLLOW_S: Final = 0.6
"""The camera that follows lags and leads by about this long, so that steps do not shake it."""
GROUND_SHARE: Final = 0.88
"""Where the ground is, from the top, when nothing tells."""


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """One frame of actors on a scene."""

    picture: Picture
    """`(H, W, 3)` uint8."""
    cover: Field
    """`(H, W)` in [0, 1]: where actors are."""
    limbs: Picture
    """`(H, W, 3)` uint8: their bones, as `limb_map` draws them."""


class Stage:
    """The whole clip, staged in order; remembers which pictures of its actors it used."""

    def __init__(
        self, performance: Performance, cast: Sequence[Actor], scene: Scene, size: tuple[int, int], options: Options
    ) -> None:
        """Prepares actors and scene.

        Args:
            performance: what the figures do, in pixels of `size`.
            cast: one actor for each figure.
            scene: where they play.
            size: columns and rows.
            options: of the task.
        """
        tracks = performance.tracks
        self._performance, self._size, self._options = performance, size, options
        self._offsets = _camera(performance, size[0]) if options.camera == "follow" else None
        margin = 0 if self._offsets is None else int(np.ceil(np.abs(self._offsets).max()))
        self._margin = margin
        self._ground = ground_line(performance, size)
        middle = float(self._ground[0] + self._ground[1] * size[0] / 2)
        soles = middle + SOLE * float(tracks.heights.mean())
        self._plate = fit_plate(scene.picture, scene.ground, (size[0] + 2 * margin, size[1]), soles)
        self._puppets = [
            Puppet(actor, float(height), size, shutter=options.shutter)
            for actor, height in zip(cast, tracks.heights, strict=True)
        ]
        self._gains = [
            np.ones(3, np.float32) if actor.plate is None else light(self._plate, actor.plate) for actor in cast
        ]
        self._order: list[int] = []
        """Figures of the last frame, from the farthest to the nearest."""

    def frame(self, index: int) -> Staged:
        """The next frame of the clip; to be asked for in order."""
        tracks, facing = self._performance.tracks, self._performance.facing
        offset = (
            0 if self._offsets is None else round(float(self._offsets[index]))
        )  # whole pixels: the scene is cropped
        shift = np.array([offset, 0.0], np.float32)
        figures = np.flatnonzero(tracks.present[index]).tolist()
        layers: list[Layer] = []
        for figure in figures:
            if index and not tracks.present[index - 1, figure]:
                self._puppets[figure].reset()  # who comes back elsewhere must not be blurred across the picture
            joints = tracks.joints[index, figure] - shift
            ground = float(self._ground[0] + self._ground[1] * tracks.joints[index, figure, HIP, 0])
            layers.append(self._puppets[figure].pose(joints, float(facing[index, figure]), ground))
        left = self._margin + offset
        plate = self._plate[:, left : left + self._size[0]]
        moved = self._ground + np.array([self._ground[1] * offset, 0.0], np.float32)
        last = [figures.index(figure) for figure in self._order if figure in figures]
        order = depth_order([each.joints for each in layers], [each.height for each in layers], last)
        self._order = [figures[number] for number in order]
        picture = compose(
            plate,
            layers,
            ground=moved,
            shadow=self._options.shadows,
            order=order,
            gains=[self._gains[figure] for figure in figures],
        )
        return Staged(picture, self._cover(layers), self._limbs([layers[number] for number in order]))

    def heard(self, event: Event) -> Event:
        """The event where the camera sees it."""
        if self._offsets is None or event.position is None:
            return event
        index = min(len(self._offsets) - 1, max(0, round(event.time_s * self._performance.fps)))
        x = event.position[0] - float(self._offsets[index]) / self._size[0]
        return replace(event, position=(float(np.clip(x, 0, 1)), event.position[1]))

    def _cover(self, layers: Sequence[Layer]) -> Field:
        cover = np.zeros((self._size[1], self._size[0]), np.float32)
        for layer in layers:
            np.maximum(cover, layer.coverage, out=cover)
        return cover

    def _limbs(self, layers: Sequence[Layer]) -> Picture:
        """Of layers from the farthest to the nearest."""
        drawn = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        for layer in layers:
            bones = limb_map(layer.joints, layer.height, self._size)
            cv2.copyTo(bones, cv2.cvtColor(bones, cv2.COLOR_RGB2GRAY), drawn)
        return drawn


def ground_line(performance: Performance, size: tuple[int, int]) -> Field:
    """`(2,)`: y = a + b x of the line on which ankles stand."""
    ground = performance.tracks.ground
    return np.asarray((GROUND_SHARE * size[1], 0.0) if ground is None else ground, np.float32)


def _camera(performance: Performance, width: int) -> Field:
    """`(T,)` pixels by which the camera goes to the right to keep the figures in the middle."""
    tracks = performance.tracks
    counted = tracks.present.astype(np.float32)
    counted[~counted.any(1)] = 1.0
    middle = (tracks.joints[:, :, HIP, 0] * counted).sum(1) / counted.sum(1)
    smooth = gaussian_filter1d(middle, FOLLOW_S * performance.fps, mode="nearest")
    return np.asarray(smooth - width / 2, np.float32)

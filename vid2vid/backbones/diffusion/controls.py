"""Control clips drawn from the frames themselves, where a task has none of its own: line art, pose, face."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch

from vid2vid.composite import resize, to_pictures, to_tensor

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.types import Picture

FACE_SIDE: Final = 512
"""Pixels of the face clip that Wan-Animate was trained with; the pipeline brings it to its model's own."""
_POSE_BONES: Final = (
    (1, 6), (1, 3), (6, 7), (7, 8), (3, 4), (4, 5), (1, 12), (12, 13), (13, 14), (1, 9), (9, 10), (10, 11), (1, 0),
)  # fmt: skip
"""Joints of `BODY` joined in the order in which pose models of 18 joints colour them: right arm first, head last."""
_BONES_ACROSS: Final = 90
"""Bones' widths that fit into the short side."""
_SEEN: Final = 0.3
_FACE_ROOM: Final = 1.3
"""Side of the face's square over the longer side of its points."""


def derive(kind: str, frames: Tensor) -> Tensor:
    """Draws the control clip of one window.

    Args:
        kind: one of `vid2vid.backbones.diffusion.choosing.DERIVED`.
        frames: `(T, 3, H, W)` in [0, 1]; people and faces are followed through these frames alone, so that the result
            does not depend on how the clip was cut into chunks.

    Returns:
        `(T, 3, H, W)` in [0, 1]; `face` is `(T, 3, FACE_SIDE, FACE_SIDE)`.
    """
    return to_tensor(list(_DRAWN[kind](to_pictures(frames)))).contiguous()


def _lines(pictures: list[Picture]) -> Iterator[Picture]:
    """White lines on black, as ControlNets and VACE for line art and scribbles take them."""
    from vid2vid.conditions.line_art import extract_lines

    for picture in pictures:
        yield np.repeat(255 - extract_lines(picture)[..., None], 3, axis=2)


def _poses(pictures: list[Picture]) -> Iterator[Picture]:
    """Everybody's skeleton in the colours that pose models of 18 joints give bones, on black."""
    from vid2vid.conditions.people import PeopleFinder

    for picture, people in zip(pictures, PeopleFinder().follow(pictures), strict=True):
        canvas = np.zeros_like(picture)
        for person in people:
            draw_skeleton(canvas, person.joints, person.visibility)
        yield canvas


def draw_skeleton(canvas: Picture, joints: Any, visibility: Any) -> None:
    """Draws one skeleton into a picture, in place.

    Args:
        canvas: `(H, W, 3)` uint8.
        joints: `(15, 2)` px, those of `vid2vid.motion.skeleton.BODY`.
        visibility: `(15,)` in [0, 1]; bones that are not seen at both ends are left out.
    """
    width = max(1, round(min(canvas.shape[:2]) / _BONES_ACROSS))
    for number, (start, end) in enumerate(_POSE_BONES):
        if min(visibility[start], visibility[end]) < _SEEN:
            continue
        ends = [tuple(round(float(value)) for value in joints[joint]) for joint in (start, end)]
        cv2.line(canvas, ends[0], ends[1], _colour(number), width, cv2.LINE_AA)


def _colour(number: int) -> tuple[int, ...]:
    """Full colours, 20 degrees of hue from bone to bone."""
    hue = np.array([[[10 * number, 255, 255]]], np.uint8)
    return tuple(int(value) for value in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])


def _faces(pictures: list[Picture]) -> Iterator[Picture]:
    """The largest face in an upright square; black where there is none."""
    from vid2vid.conditions.faces import FaceFinder

    for picture, faces in zip(pictures, FaceFinder().follow(pictures), strict=True):
        largest = max(faces, key=lambda face: face.iod, default=None)
        yield np.zeros((FACE_SIDE, FACE_SIDE, 3), np.uint8) if largest is None else _square(picture, largest.box)


def _square(picture: Picture, box: Any) -> Picture:
    left, top, right, bottom = (float(value) for value in box)
    scale = FACE_SIDE / (_FACE_ROOM * max(right - left, bottom - top, 1.0))
    x, y = ((FACE_SIDE - scale * (one + other)) / 2 for one, other in ((left, right), (top, bottom)))
    moved = np.array([[scale, 0.0, x], [0.0, scale, y]], np.float32)
    return np.asarray(cv2.warpAffine(picture, moved, (FACE_SIDE, FACE_SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)


_DRAWN: Final[Mapping[str, Callable[[list[Picture]], Iterator[Picture]]]] = {
    "line_art": _lines,
    "pose": _poses,
    "face": _faces,
}


def fitted(control: Tensor, height: int, width: int) -> Tensor:
    """`(T, 3, h, w)` at another size, in [0, 1]."""
    pictures = [resize(picture, width, height) for picture in to_pictures(control)]
    return to_tensor(pictures) if pictures else torch.zeros(0, 3, height, width)

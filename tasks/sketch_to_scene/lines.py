"""A moving line drawing as the scene of its key frames: found, carried along the lines' flow, and refined.

Convention:
    A drawing is *softened* (`vid2vid.conditions.line_art.soften`) wherever it is looked at; its three planes are the
    map `drawing`. The key frame's own drawing, carried along, is the map `key_drawing`: where the two differ, the key
    frame does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.composite import resize, to_pictures
from vid2vid.conditions.line_art import LineStyle, extract_lines, soften
from vid2vid.config import BackboneConfig
from vid2vid.motion.keyed_clip import KeyedClip, find_keys
from vid2vid.motion.matching import best_matches
from vid2vid.types import Conditions, Frame

from .line_carrying import carry_lines, chain_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.keyframes import KeyFrame
    from vid2vid.types import Chunk, Picture, Request, SourceOpener

CHANNELS: Final[Mapping[str, int]] = {"drawing": 3, "key_drawing": 3}
BACKBONE: Final = BackboneConfig(width=32, blocks=(1, 2, 2), reduction=4, recurrent=False, textured=False)
"""No map is named `source`: the generator's output starts from the carried key frame, and from nothing else."""
KEY_STYLES: Final = (
    LineStyle("xdog", scale=1.0),
    LineStyle("xdog", scale=2.0),
    LineStyle("canny", scale=1.3),
    LineStyle("sobel", scale=1.5),
)
"""How a key frame is drawn to find its place among the drawings: lines on the dark side of an edge or on it, fine or
coarse. With one style alone, drawings in another matched a key frame two to four frames off where the camera pans."""
LIGHT: Final = np.array((0.80, 0.79, 0.76), np.float32)
SHADE: Final = np.array((0.20, 0.22, 0.26), np.float32)
"""What stands for colours where there is no key frame: paper in the light, and the shade between close lines."""


def follow_keys(request: Request, numbers: Sequence[int] = ()) -> KeyedClip:
    """Finds which drawings the key frames show, and carries them through the clip along the lines.

    Args:
        request: with 1 to 8 photographic key frames as references, and a source that opens anew.
        numbers: of the frames that the key frames show; found by their lines where empty.

    Raises:
        InvalidOption: too many key frames, numbers that do not fit them, or a source that can be read only once.
        ReferenceMismatch: a key frame shows no frame of the clip.
    """
    width, height = request.width, request.height
    looks = [resize(look, round(look.shape[1] * height / look.shape[0]), height) for look in request.references]
    opener = None if request.open_source is None else _softened(request.open_source, width, height)
    info = replace(request.info, width=width, height=height)
    drawn = tuple(soften(extract_lines(look, KEY_STYLES[0])) for look in looks)
    if opener is not None and not numbers:
        drawn = _drawn_alike(looks, opener, width, height)
    found = find_keys(replace(request, info=info, references=drawn, open_source=opener), numbers)
    keys = [replace(key, look=resize(look, width, height)) for key, look in zip(found.keys, looks, strict=True)]
    assert opener is not None  # or else no key frame would have been found
    with opener() as frames:
        return replace(found, keys=chain_keys(keys, frames))


def _drawn_alike(looks: Sequence[Picture], opener: SourceOpener, width: int, height: int) -> tuple[Picture, ...]:
    """Every key frame's softened lines, in the style that best agrees with some drawing of the clip."""
    drawn = [[soften(extract_lines(look, style)) for style in KEY_STYLES] for look in looks]
    with opener() as frames:
        matches = best_matches([each for styles in drawn for each in styles], frames, width, height)
    count = len(KEY_STYLES)
    agreements = np.array([match.agreement for match in matches]).reshape(-1, count)
    return tuple(styles[int(best)] for styles, best in zip(drawn, agreements.argmax(1), strict=True))


def _softened(opener: SourceOpener, width: int, height: int) -> SourceOpener:
    """Opens the same clip with every frame softened at the working size."""

    @contextmanager
    def opened() -> Iterator[Iterator[Frame]]:
        with opener() as frames:
            yield (replace(frame, pixels=soften(resize(frame.pixels, width, height))) for frame in frames)

    return opened


def line_conditions(chunk: Chunk, keys: Sequence[KeyFrame]) -> Conditions:
    """What the generator looks at.

    Args:
        chunk: drawings at the working size.
        keys: of `follow_keys`; none for a drawing that came without a key frame.
    """
    views = [look_at(soften(drawing), keys, chunk.start + t) for t, drawing in enumerate(to_pictures(chunk.frames))]
    maps, reference = (torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2) for part in zip(*views, strict=True))
    return Conditions(maps={"drawing": maps[:, :3], "key_drawing": maps[:, 3:]}, reference=reference)


def look_at(soft: Picture, keys: Sequence[KeyFrame], index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps and reference of one softened drawing.

    Args:
        soft: `(H, W, 3)` uint8.
        keys: with softened drawings as their sources.
        index: number of the frame.

    Returns:
        `(H, W, 6)`: both drawings; `(H, W, 4)`: key frame and validity. All float32 in [0, 1].
    """
    plane = np.asarray(soft / np.float32(255.0), np.float32)
    if not any(index in key.fields for key in keys):
        return without_key(plane)
    here = carry_lines(keys, index, soft)
    return np.concatenate((plane, here.key_source), 2), here.reference


def without_key(soft: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """As `look_at` where no key frame reaches: a relief in grey takes its place, and is not trusted.

    Args:
        soft: `(H, W, 3)` float32 in [0, 1].
    """
    reference = np.zeros((*soft.shape[:2], 4), np.float32)
    reference[..., :3] = relief(soft)
    return np.concatenate((soft, np.zeros_like(soft)), 2), reference


def relief(soft: NDArray[np.float32]) -> NDArray[np.float32]:
    """A drawing as if lit from above left: lines become soft shade, surfaces between them stay light.

    Args:
        soft: `(H, W, 3)` float32 in [0, 1].

    Returns:
        The same shape: sRGB.
    """
    unit = min(soft.shape[:2]) / 270.0
    near, wide = soft[..., 1], soft[..., 2]
    far = cv2.GaussianBlur(wide, (0, 0), 12.0 * unit)
    shift = max(1, round(3.0 * unit))
    aside = np.array([[1, 0, shift], [0, 1, shift]], np.float32)
    lit = wide - cv2.warpAffine(wide, aside, wide.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    shade = np.clip(0.3 * near + 0.3 * wide + 0.6 * far - 0.25 * lit, 0.0, 1.0)
    return np.asarray(LIGHT + (SHADE - LIGHT) * shade[..., None], np.float32)

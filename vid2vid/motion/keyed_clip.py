"""A clip and its key frames: which frames they show, how they are carried, and what they do to colours."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vid2vid.composite import resize
from vid2vid.errors import InvalidOption
from vid2vid.motion.keyframes import KeyFrame, colour_change, plan_carries
from vid2vid.motion.matching import best_matches, match_to_frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vid2vid.types import Frame, KeyPair, Picture, Request, SourceOpener

_LOG = logging.getLogger(__name__)
MAX_KEY_FRAMES: Final = 8
SAME_FRAME: Final = 0.8
"""Agreement above which a bundle's key frame is taken to show a frame of this clip."""


@dataclass(frozen=True, slots=True)
class KeyedClip:
    """Key frames that were found in a clip."""

    keys: tuple[KeyFrame, ...]
    """In the order given, without those that show no frame of the clip."""
    agreements: tuple[float, ...]
    """How well each was recognised, at most 1."""
    colours: NDArray[np.float32]
    """`(3, 4)` change of colours from clip to look, from all key frames."""

    def facts(self) -> list[dict[str, int | float]]:
        """Where each key frame was found, for the report."""
        return [
            {"frame": key.index, "agreement": round(agreement, 3)}
            for key, agreement in zip(self.keys, self.agreements, strict=True)
        ]


def no_keys() -> KeyedClip:
    """No key frames at all: colours stay as they are."""
    import numpy as np

    return KeyedClip((), (), np.eye(3, 4, dtype=np.float32))


def find_keys(request: Request, numbers: Sequence[int] = ()) -> KeyedClip:
    """Finds the references of a call, or else the key frames of its bundle, in the clip.

    Args:
        request: with references, or keys.
        numbers: of the frames that the references show; found by content where empty.

    Raises:
        InvalidOption: too many references, numbers that do not fit them, or a source that can be read only once.
        ReferenceMismatch: a reference shows no frame of the clip.
    """
    if request.open_source is None and request.keys and not request.references:
        _LOG.info("The source can be read only once: the look is rendered without its key frames")
        return KeyedClip((), (), _colours(request.keys))
    if request.open_source is None:
        raise InvalidOption("Key frames need a clip that can be read twice: give a file or an array, not an iterator.")
    if not request.references:
        return _bundled(request.keys, request, request.open_source)
    found, agreements = _numbers(request, numbers, request.open_source)
    return keyed_clip(request.references, found, agreements, request.open_source, request.width, request.height)


def keyed_clip(
    looks: Sequence[Picture],
    numbers: Sequence[int],
    agreements: Sequence[float],
    opener: SourceOpener,
    width: int,
    height: int,
) -> KeyedClip:
    """Carries looks through a clip from the frames that they show.

    Args:
        looks: `(h, w, 3)` uint8 each, in any size of the clip's shape.
        numbers, agreements: of the frame that each shows, and how sure that is.
        opener: opens the clip anew.
        width, height: working size.
    """
    sources: dict[int, Picture] = {}

    def noted(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.index in numbers:
                sources[frame.index] = resize(frame.pixels, width, height)
            yield frame

    with opener() as frames:
        fields = plan_carries(noted(frames), numbers, width, height)
    keys = tuple(
        KeyFrame(number, sources[number], resize(look, width, height), carried)
        for number, look, carried in zip(numbers, looks, fields, strict=True)
    )
    return KeyedClip(keys, tuple(agreements), colour_change(keys))


def _bundled(pairs: Sequence[KeyPair], request: Request, opener: SourceOpener) -> KeyedClip:
    """Key frames of a bundle, as far as this clip has the frames they show; all of them tell of the colours."""
    width, height = request.info.width, request.info.height
    with opener() as frames:
        matches = best_matches([pair.source for pair in pairs], frames, width, height)
    taken: dict[int, int] = {}
    for place, match in enumerate(matches):
        if match.agreement >= SAME_FRAME and match.agreement > (
            matches[taken[match.frame]].agreement if match.frame in taken else 0.0
        ):
            taken[match.frame] = place
    here = sorted(taken.values())
    colours = _colours(pairs)
    if not here:
        return KeyedClip((), (), colours)
    found = keyed_clip(
        [pairs[place].look for place in here],
        [matches[place].frame for place in here],
        [matches[place].agreement for place in here],
        opener,
        request.width,
        request.height,
    )
    return KeyedClip(found.keys, found.agreements, colours)


def _colours(pairs: Sequence[KeyPair]) -> NDArray[np.float32]:
    return colour_change([KeyFrame(pair.frame, pair.source, pair.look) for pair in pairs])


def _numbers(request: Request, numbers: Sequence[int], opener: SourceOpener) -> tuple[list[int], list[float]]:
    count = len(request.references)
    if count > MAX_KEY_FRAMES:
        raise InvalidOption(f"{count} references were given; this task takes 1 to {MAX_KEY_FRAMES} key frames.")
    if numbers:
        total = request.info.frame_count
        if (
            len(set(numbers)) != count
            or len(numbers) != count
            or min(numbers) < 0
            or (total is not None and max(numbers) >= total)
        ):
            raise InvalidOption(
                f"key_frames={tuple(numbers)}: one frame number for each of the {count} references "
                f"is needed, each once, from 0 to {total - 1 if total else 'the last frame'}."
            )
        return list(numbers), [1.0] * count
    with opener() as frames:
        matches = match_to_frames(request.references, frames, request.info.width, request.info.height)
    return [match.frame for match in matches], [match.agreement for match in matches]

"""Key frames of a call, or of a bundle, are found in the clip by what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from tests.moving import HEIGHT, LENGTH, WIDTH, clip, foreign, frame, look
from vid2vid.composite import to_tensor
from vid2vid.errors import InvalidOption, ReferenceMismatch
from vid2vid.io import open_source
from vid2vid.looks import look_conditions
from vid2vid.motion.keyed_clip import MAX_KEY_FRAMES, KeyedClip, find_keys
from vid2vid.types import Chunk, KeyPair, Request, VideoInfo


def request(frames: np.ndarray, keys: Sequence[KeyPair] = (), references: Sequence[np.ndarray] = ()) -> Request:
    height, width = frames.shape[1:3]
    return Request(
        VideoInfo(width, height, Fraction(25), len(frames), "array"),
        width,
        height,
        options=None,
        keys=tuple(keys),
        references=tuple(references),
        open_source=open_source(frames).reopen,
    )


def pair(t: int, said: int = 0, scale: float = 1.0) -> KeyPair:
    """A bundle's key frame, said to be some frame of the clip that it was painted over."""
    size = (round(WIDTH * scale), round(HEIGHT * scale))
    return KeyPair(said, *(cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (frame(t), look(frame(t)))))


def numbers(found: KeyedClip) -> list[int]:
    return [key.index for key in found.keys]


def test_a_bundles_keys_are_found_by_content_whatever_number_they_had() -> None:
    found = find_keys(request(clip(), [pair(14, said=3), pair(5, said=900, scale=1.5)]))
    assert numbers(found) == [14, 5]
    assert all(agreement > 0.9 for agreement in found.agreements)
    for key in found.keys:
        assert np.array_equal(key.source, frame(key.index)), "the clip's own frame, not the bundle's"
        assert key.look.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(key.look.astype(int) - look(frame(key.index))).mean() < 6.0
        assert set(key.fields) == set(range(LENGTH))


def test_keys_that_this_clip_lacks_are_left_out_but_tell_of_the_colours() -> None:
    other = foreign()[0]
    stranger = KeyPair(0, other, np.asarray(other // 4, np.uint8))
    mixed, own = find_keys(request(clip(), [stranger, pair(5)])), find_keys(request(clip(), [pair(5)]))
    assert numbers(mixed) == numbers(own) == [5]
    assert len(mixed.agreements) == 1
    assert np.abs(mixed.colours - own.colours).max() > 0.02


def test_of_two_keys_of_one_frame_the_better_one_is_taken() -> None:
    blurred = replace(pair(5), source=cv2.GaussianBlur(frame(5), (0, 0), 0.8), look=np.zeros_like(frame(5)))
    for pairs in ([blurred, pair(5)], [pair(5), blurred]):
        found = find_keys(request(clip(), pairs))
        assert numbers(found) == [5]
        assert found.keys[0].look.any()


@pytest.mark.parametrize(("height", "width"), [(HEIGHT, WIDTH), (80, 64)])
def test_a_foreign_clip_has_none_and_goes_by_the_colours(height: int, width: int) -> None:
    frames = foreign(height=height, width=width)
    found = find_keys(request(frames, [pair(14), pair(5)]))
    assert found.keys == () and found.agreements == ()
    own = find_keys(request(clip(), [pair(14), pair(5)]))
    assert np.allclose(found.colours, own.colours, atol=0.05)
    made = look_conditions(Chunk(to_tensor(list(frames)), 0), found)
    assert made.reference is not None and not made.reference[:, 3].any()
    assert not made.maps["key_source"].any()
    assert torch.equal(made.maps["original"], to_tensor(list(frames)))
    assert float((made.maps["source"] - made.maps["original"]).abs().mean()) > 0.05


def test_references_are_found_by_content_or_by_the_numbers_said() -> None:
    painted = [look(frame(9)), look(frame(2))]
    found = find_keys(request(clip(), references=painted))
    assert numbers(found) == [9, 2]
    said = find_keys(request(clip(), references=painted), (4, 7))
    assert numbers(said) == [4, 7] and said.agreements == (1.0, 1.0)
    with pytest.raises(ReferenceMismatch, match="Reference 2 resembles no frame"):
        find_keys(request(clip(), references=[look(frame(9)), foreign()[0]]))


@pytest.mark.parametrize("said", [(1,), (1, 1), (-1, 2), (1, LENGTH), (1, 2, 3)])
def test_numbers_that_do_not_fit_are_refused(said: tuple[int, ...]) -> None:
    with pytest.raises(InvalidOption, match=rf"each once, from 0 to {LENGTH - 1}"):
        find_keys(request(clip(), references=[look(frame(1)), look(frame(2))]), said)


def test_too_many_references_and_clips_that_are_read_once_are_refused() -> None:
    many = [look(frame(t)) for t in range(MAX_KEY_FRAMES + 1)]
    with pytest.raises(InvalidOption, match="1 to 8"):
        find_keys(request(clip(), references=many))
    with pytest.raises(InvalidOption, match="read twice"):
        find_keys(replace(request(clip(), references=many[:1]), open_source=None))


def test_keys_are_carried_along_with_their_own_frames() -> None:
    found = find_keys(request(clip(), [pair(0), pair(20)]))
    made = look_conditions(Chunk(to_tensor([frame(10)]), 10), found)
    assert made.reference is not None
    validity = made.reference[0, 3]
    wanted = to_tensor([look(frame(10))])[0]
    error = (made.reference[0, :3] - wanted).abs().mean(0)
    assert float(validity.mean()) > 0.6
    assert float(error[validity > 0.9].mean()) < 0.03
    assert float((made.maps["key_source"] - made.maps["original"]).abs().mean(1)[0][validity > 0.9].mean()) < 0.03

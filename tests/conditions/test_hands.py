"""Hands are found near faces and drawn as wide as they are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import vid2vid
from vid2vid.conditions.hands import Hand, HandFinder, hand_mask
from vid2vid.io import read_image

PORTRAIT = Path(vid2vid.__file__).parent / "samples" / "face.jpg"
HAND = Path(__file__).parent.parent / "assets" / "hand.jpg"
BOX = np.array([40.0, 40.0, 140.0, 140.0], np.float32)
FAR = np.array([700.0, 0.0, 740.0, 40.0], np.float32)


@pytest.fixture(scope="module")
def finder() -> HandFinder:
    return HandFinder()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A hand that holds a cup, from the right; (149, 192, 3)."""
    return read_image(HAND)


@pytest.fixture(scope="module")
def hand(finder: HandFinder, picture: np.ndarray) -> Hand:
    (found,) = finder.find(picture)
    return found


def test_points_lie_on_the_hand(hand: Hand) -> None:
    assert hand.score > 0.8 and hand.points.shape == (21, 2)
    wrist, tips = hand.points[0], hand.points[[8, 12, 16, 20]]
    assert 125 < wrist[0] < 155 and 80 < wrist[1] < 100
    assert (tips[:, 0] < 65).all() and (np.diff(tips[:, 1]) > 0).all(), "from the index finger down"


def test_the_mask_covers_skin_and_leaves_the_wall(hand: Hand, picture: np.ndarray) -> None:
    mask = hand_mask([hand], picture)
    assert mask.shape == picture.shape[:2] and mask.dtype == np.float32 and 0 <= mask.min() <= mask.max() <= 1
    red, _, blue = np.moveaxis(picture.astype(int), 2, 0)
    skin = (red - blue > 35) & (np.arange(192) > 50) & (np.arange(192) < 120)
    assert mask[skin].mean() > 0.75
    assert mask[:35].max() < 0.05 and mask[125:, 60:].max() < 0.05 and mask[:, 170:].max() == 0
    assert hand_mask([], picture).max() == 0


def test_a_hand_is_followed_as_it_moves(finder: HandFinder, picture: np.ndarray, hand: Hand) -> None:
    finder.forget()
    places = []
    for number in range(8):
        frame = cv2.warpAffine(
            picture,
            np.float32([[1, 0, 5 * number], [0, 1, 20 + 3 * number]]),
            (260, 200),
            borderMode=cv2.BORDER_REPLICATE,
        )
        (found,) = finder.follow(frame, [BOX])
        places.append(found.points.mean(0) - hand.points.mean(0))
    expected = np.stack([5 * np.arange(8), 20 + 3 * np.arange(8)], 1)
    assert np.abs(np.array(places) - expected).max() < 8


def test_only_hands_near_faces_count(finder: HandFinder, picture: np.ndarray) -> None:
    finder.forget()
    wide = cv2.copyMakeBorder(picture, 0, 0, 0, 600, cv2.BORDER_REPLICATE)
    assert finder.follow(wide, [FAR]) == []
    finder.forget()
    assert len(finder.follow(wide, [BOX])) == 1
    assert finder.follow(wide, [FAR]) == [] and finder.follow(wide, []) == []


def test_palms_are_looked_for_now_and_then(
    finder: HandFinder, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder.forget()
    asked = []
    detect = finder._detector
    monkeypatch.setattr(finder, "_detector", lambda *args: asked.append(1) or detect(*args))
    blank = np.full_like(picture, 120)
    for frame in [blank] * 12 + [picture] * 6:
        seen = finder.follow(frame, [BOX])
    assert len(asked) == 3 and len(seen) == 1


def test_a_face_is_no_hand(finder: HandFinder) -> None:
    finder.forget()
    portrait = read_image(PORTRAIT)
    box = np.array([80.0, 105.0, 232.0, 301.0], np.float32)
    assert [finder.follow(portrait, [box]) for _ in range(2)] == [[], []]
    assert finder.find(portrait) == []


def test_fingers_are_as_thick_as_the_palm_tells() -> None:
    fingers = [[(30 + 22 * n, 120 - 35 * joint) for joint in range(4)] for n in range(1, 5)]
    thumb = [(20, 170), (5, 150), (-5, 130), (-10, 115)]
    points = np.array([(85, 230), *thumb, *(place for finger in fingers for place in finger)], np.float32)
    points += np.float32(60)
    hand = Hand(points, 1.0)
    picture = np.full((320, 260, 3), 60, np.uint8)
    mask = hand_mask([hand], picture)
    fingers_row = np.flatnonzero(mask[int(points[6, 1]) - 18, 60:] > 0.5)
    assert np.ptp(fingers_row) == pytest.approx(66 + 0.3 * hand.width, abs=5)
    assert mask[int(points[0, 1]), int(points[0, 0])] > 0.9
    tip = points[12]
    assert mask[int(tip[1]) - 6, int(tip[0])] > 0.5, "beyond the last point, under the nail"
    assert mask[int(tip[1]) - 40, int(tip[0])] == 0

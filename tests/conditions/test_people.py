"""People are found where they stand, turned as they are, and followed under one number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vid2vid.conditions.people import PeopleFinder, Person, body_of, guided
from vid2vid.conditions.pose_networks import Region
from vid2vid.motion.actor import Actor, View, load_actor
from vid2vid.motion.skeleton import BODY

ACTORS = Path(__file__).parent.parent.parent / "tasks" / "sketch_to_scene" / "actors"
HEIGHT, WIDTH = 480, 720


@pytest.fixture(scope="module")
def finder() -> PeopleFinder:
    return PeopleFinder()


@pytest.fixture(scope="module")
def woman() -> Actor:
    return load_actor(ACTORS / "woman")


def paste(ground: np.ndarray, view: View, left: int, top: int, scale: float = 0.75) -> tuple[np.ndarray, np.ndarray]:
    """A view on a ground; its joints there."""
    size = (round(view.mask.shape[1] * scale), round(view.mask.shape[0] * scale))
    picture, mask = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (view.picture, view.mask))
    part = mask[..., None] / 255.0
    there = (slice(top, top + size[1]), slice(left, left + size[0]))
    result = ground.copy()
    result[there] = np.round(picture * part + result[there] * (1.0 - part)).astype(np.uint8)
    return result, view.joints * scale + [left, top]


def ground() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(110, 150, (6, 9, 3)).astype(np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def error(person: Person, joints: np.ndarray, height: float) -> float:
    """Mean distance of visible joints, in body heights."""
    seen = person.visibility > 0.5
    return float(np.linalg.norm(person.joints - joints, axis=1)[seen].mean() / height)


def test_joints_mask_and_side_of_a_person_on_a_plain_ground(finder: PeopleFinder, woman: Actor) -> None:
    view = woman.views[0]
    picture, joints = paste(ground(), view, 180, 60)
    (person,) = finder.find(picture)
    height = woman.height * 0.75
    assert error(person, joints, height) < 0.03
    assert person.score > 0.9 and abs(person.height / height - 1.0) < 0.15
    assert person.facing * view.facing > 0.5
    truth = np.linalg.norm(picture.astype(float) - ground(), axis=2) > 0
    assert person.mask.shape == (HEIGHT, WIDTH)
    assert (truth & (person.mask > 0.5)).sum() / (truth | (person.mask > 0.5)).sum() > 0.85


def test_a_mirrored_person_looks_the_other_way_and_swaps_left_and_right(finder: PeopleFinder, woman: Actor) -> None:
    picture, joints = paste(ground(), woman.views[0], 180, 60)
    (person,) = finder.find(np.ascontiguousarray(picture[:, ::-1]))
    other = [
        BODY.index(name[:-1] + {"l": "r", "r": "l"}[name[-1]]) if name[-2] == "_" else n for n, name in enumerate(BODY)
    ]
    mirrored = np.stack([WIDTH - 1 - joints[:, 0], joints[:, 1]], 1)[other]
    assert person.facing * woman.views[0].facing < -0.25
    assert error(person, mirrored, woman.height * 0.75) < 0.04


def test_nobody_is_found_where_nobody_is(finder: PeopleFinder) -> None:
    assert finder.find(ground()) == []


def test_two_people_keep_their_numbers_through_a_clip(finder: PeopleFinder, woman: Actor) -> None:
    frames, truth = [], []
    for number in range(6):
        left, at_left = paste(ground(), woman.views[0], 20 + 8 * number, 60)
        both, at_right = paste(left, woman.views[1], 430 - 8 * number, 60)
        frames.append(both)
        truth.append((at_left, at_right))
    followed = list(finder.follow(frames))
    assert [[one.number for one in people] for people in followed] == [[0, 1]] * 6
    left = min((0, 1), key=lambda number: followed[0][number].joints[2, 0])
    for people, (at_left, at_right) in zip(followed, truth, strict=True):
        assert error(people[left], at_left, woman.height * 0.75) < 0.04
        assert error(people[1 - left], at_right, woman.height * 0.75) < 0.04


def test_a_finer_mask_covers_the_person(finder: PeopleFinder, woman: Actor) -> None:
    picture, _ = paste(ground(), woman.views[0], 180, 60)
    (person,) = finder.find(picture)
    truth = np.linalg.norm(picture.astype(float) - ground(), axis=2) > 0
    fine = finder.fine_mask(picture, person) > 0.5
    assert (truth & fine).sum() / (truth | fine).sum() > 0.85


def test_a_region_is_cut_upright_and_points_come_back() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    region = Region.around(np.array([150.0, 100.0], np.float32), np.array([190.0, 100.0], np.float32))
    assert region.size == pytest.approx(100.0) and region.angle == pytest.approx(np.pi / 2)
    cv2.circle(picture, (180, 100), 4, (255, 255, 255), -1)
    cut = region.cut(picture, 50)[..., 0]
    row, column = np.argwhere(cut > 128).mean(0)
    assert abs(column - 24.5) < 0.6 and row < 15  # what lay to the right is on top
    matrix = region.to_picture(50)
    assert np.allclose(matrix[:, :2] @ [column, row] + matrix[:, 2], [180, 100], atol=1.0)
    large = Region(150.0, 100.0, 190.0, np.pi / 2).cut(picture, 50)[..., 0]
    row, column = np.argwhere(large > 40).mean(0)
    assert abs(column - 24.5) < 0.6 and abs(row - (24.5 - 30 / 190 * 50)) < 0.6


def test_middles_of_landmarks_make_neck_hip_and_head() -> None:
    landmarks = np.arange(66, dtype=np.float32).reshape(33, 2)
    joints = body_of(landmarks)
    assert joints.shape == (15, 2)
    assert joints[0, 0] == 15 and joints[1, 0] == 23 and joints[2, 0] == 47
    assert joints[BODY.index("hand_r"), 0] == 32 and joints[BODY.index("foot_l"), 0] == 54


def test_a_guided_filter_follows_the_guide() -> None:
    guide = np.zeros((40, 40), np.float32)
    guide[:, 20:] = 1.0
    blurred = cv2.GaussianBlur(guide, (0, 0), 3.0)
    drawn = guided(guide, blurred, 5, 1e-3)
    step, before = (float(values[20, 20] - values[20, 19]) for values in (drawn, blurred))
    assert before < 0.2 and step > 0.5 and drawn[20, 12] < 0.1 and drawn[20, 27] > 0.9


def test_skeletons_and_actors_load_no_networks() -> None:
    code = "import sys, vid2vid.motion.actor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

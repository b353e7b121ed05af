"""Figures of exchanged actors mean what they say."""

from __future__ import annotations

import numpy as np

from benchmarks.swaps_measured import (
    Seen,
    background_warp,
    changes_elsewhere,
    foot_slides,
    left_overs,
    pose_errors,
)
from vid2vid.motion.limbs import SIDES_SWAPPED

COUNT, HEIGHT, WIDTH, TALL = 20, 120, 160, 80.0


def person(shift: float = 0.0, swapped: bool = False, slide: float = 0.0) -> Seen:
    """Somebody who stands, and whose ankles may slide by some pixels a frame."""
    rng = np.random.default_rng(0)
    pose = rng.uniform((50, 20), (80, 95), (15, 2)).astype(np.float32)
    pose[[11, 14]] = (55, 100), (75, 100)
    joints = np.repeat(pose[None], COUNT, 0) + np.float32(shift)
    joints[:, [11, 14], 0] += slide * np.arange(COUNT)[:, None]
    if swapped:
        joints = joints[:, list(SIDES_SWAPPED)]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:105, 45:85] = 255
    boxes = np.repeat(np.array([[45, 20, 85, 105]], np.float32), COUNT, 0)
    return Seen(0, joints, np.ones((COUNT, 15), np.float32), [mask] * COUNT, boxes, TALL)


def scene(noise: float = 0.0) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    plate = np.full((HEIGHT, WIDTH, 3), 120.0)
    return [(plate + rng.normal(0, noise, plate.shape)).clip(0, 255).astype(np.uint8) for _ in range(COUNT)]


def test_poses_are_compared_in_heights_whatever_side_is_called_left() -> None:
    found = pose_errors(person(), person(shift=4.0, swapped=True))
    assert abs(found["pose_error_h"] - 4.0 * np.sqrt(2) / TALL) < 1e-3 and found["missed"] == 0.0


def test_a_foot_that_slides_is_told_where_the_driver_stands() -> None:
    assert foot_slides(person(), person())["slide_h"] < 1e-6
    assert abs(foot_slides(person(), person(slide=0.4))["slide_h"] - 0.4 / TALL) < 2e-3


def test_what_is_left_of_the_old_person_is_counted() -> None:
    old, nobody = person(), person()
    nobody.masks[:] = [np.zeros((HEIGHT, WIDTH), np.uint8)] * COUNT
    plates = scene()
    source = [np.where(old.masks[0][..., None] > 0, np.uint8(30), plate) for plate in plates]
    assert left_overs(source, source, plates, old, nobody)["left"] == 1.0
    gone = left_overs(source, plates, plates, old, nobody)
    assert gone["left"] == 0.0 and gone["plate_psnr_db"] > 90
    half = [plate.copy() for plate in plates]
    for picture in half:
        picture[20:62, 45:85] = 30
    assert abs(left_overs(source, half, plates, old, nobody)["left"] - 42 / 85) < 0.01


def test_changes_far_from_everybody_are_counted() -> None:
    source = scene()
    made = [picture.copy() for picture in source]
    assert changes_elsewhere(source, made, person(), person(), [])["changed_far"] == 0.0
    for picture in made:
        picture[:4] += 1
    assert changes_elsewhere(source, made, person(), person(), [])["changed_far"] > 0.02


def test_a_background_that_flickers_is_told() -> None:
    source = scene(noise=1.0)
    calm = background_warp(source, source, [person()], person())
    assert abs(calm["warp_e4"] - calm["own_warp_e4"]) < 1e-6
    shaken = [(picture + 6 * (number % 2)).astype(np.uint8) for number, picture in enumerate(source)]
    assert background_warp(source, shaken, [person()], person())["warp_e4"] > 3 * calm["own_warp_e4"]

"""A camera's way is found from what lies beside the people, and given up where nothing is recognised."""

from __future__ import annotations

import cv2
import numpy as np

from vid2vid.motion.camera import CameraTracker
from vid2vid.motion.mosaic import laid_together, runs_of, seen_from

HEIGHT, WIDTH = 180, 280


def scenery(seed: int = 0) -> np.ndarray:
    """A wall with blotches of several sizes."""
    rng = np.random.default_rng(seed)
    wall = np.full((500, 900, 3), 128.0, np.float32)
    for size in (6, 14, 40):
        noise = rng.uniform(-45, 45, (500 // size, 900 // size, 3)).astype(np.float32)
        wall += cv2.resize(noise, (900, 500), interpolation=cv2.INTER_CUBIC)
    return wall.clip(0, 255).astype(np.uint8)


def true_way(frame: int) -> np.ndarray:
    """From a frame to the wall: panning, rolling and zooming."""
    angle, zoom = 0.03 * np.sin(frame / 9), 1.0 + 0.1 * np.sin(frame / 13)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([260.0 + 5.0 * frame, 240.0 + 9.0 * np.sin(frame / 7)])
    return np.vstack([np.column_stack([turn, middle - turn @ [WIDTH / 2, HEIGHT / 2]]), [0, 0, 1]])


def filmed(frame: int, wall: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frame with a striped walker in it, and where that is."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpPerspective(wall, true_way(frame), (WIDTH, HEIGHT), flags=flags)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    left = 60 + 4 * (frame % 35)
    mask[50:150, left : left + 40] = 255
    stripes = (np.arange(HEIGHT)[:, None] // 5 % 2 * 255).astype(np.uint8)
    picture = np.where(mask[..., None] > 0, stripes[..., None], picture)
    return np.asarray(picture, np.uint8), mask


def film(count: int = 60) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    wall = scenery()
    pairs = [filmed(frame, wall) for frame in range(count)]
    return [picture for picture, _ in pairs], [mask for _, mask in pairs], wall


def corner_errors(ways: list[np.ndarray]) -> np.ndarray:
    corners = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float64)[:, None]
    first = np.linalg.inv(true_way(0))
    return np.array(
        [
            np.linalg.norm(
                cv2.perspectiveTransform(corners, way) - cv2.perspectiveTransform(corners, first @ true_way(frame)),
                axis=-1,
            ).max()
            for frame, way in enumerate(ways)
        ]
    )


def test_the_way_is_found_beside_a_walker() -> None:
    frames, masks, _ = film()
    tracker = CameraTracker()
    ways = [tracker(frame, mask) for frame, mask in zip(frames, masks, strict=True)]
    known = [way for way in ways if way is not None]
    assert len(known) == len(ways)
    errors = corner_errors(known)
    assert errors[:30].max() < 0.6 and errors.max() < 1.5, "errors do not add up"


def test_a_scene_that_is_not_recognised_is_told_until_the_next_shot() -> None:
    frames, masks, _ = film(4)
    tracker = CameraTracker()
    assert tracker(frames[0], masks[0]) is not None
    other, _ = filmed(0, scenery(7))
    assert tracker(other, masks[0]) is None
    assert tracker(frames[1], masks[1]) is None
    tracker.reset()
    way = tracker(frames[1], masks[1])
    assert way is not None and np.allclose(way, np.eye(3))


def test_frames_are_laid_together_where_each_saw_the_wall() -> None:
    frames, masks, wall = film(50)
    first = np.linalg.inv(true_way(0))
    ways = [first @ true_way(frame) for frame in range(50)]
    made = laid_together(frames[::3], masks[::3], ways[::3])
    assert made is not None
    window = (slice(20, 170), slice(40, 240))
    for frame in (0, 22, 49):
        plate = seen_from(made.picture, made.way @ ways[frame], window)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        truth = cv2.warpPerspective(wall, true_way(frame), (WIDTH, HEIGHT), flags=flags)[window]
        hidden = masks[frame][window] > 0
        assert np.abs(plate.astype(int) - truth)[hidden].mean() < 4.0, "what the walker hides is seen in other frames"


def test_a_long_way_is_divided() -> None:
    ways = [np.array([[1, 0, 30.0 * frame], [0, 1, 0], [0, 0, 1]]) for frame in range(80)]
    runs = runs_of(ways, (WIDTH, HEIGHT))
    assert runs is not None and len(runs) > 1
    assert [number for run in runs for number in run] == list(range(80))
    far = [np.array([[1, 0, 600.0 * frame], [0, 1, 0], [0, 0, 1]]) for frame in range(30)]
    assert runs_of(far, (WIDTH, HEIGHT)) is None, "no scene of too few frames"

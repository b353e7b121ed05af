"""What is marked is found again, what is not is not, and nobody sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from vid2vid.io import VideoWriter, open_source
from vid2vid.provenance.watermark import PUBLIC_KEY, Marker, find_mark
from vid2vid.provenance.watermark_mask import LEAST_PSNR_DB, strength
from vid2vid.provenance.watermark_residue import Residue
from vid2vid.provenance.watermark_search import FALSE_ALARMS, thresholds

PAYLOAD = 0xC0FFEE123456
WIDTH, HEIGHT, LENGTH = 640, 360, 10
Clip = list[np.ndarray]


def scene(seed: int, length: int = LENGTH, width: int = WIDTH, height: int = HEIGHT) -> Clip:
    """A cloudy texture that pans behind a still, smooth shape."""
    rng = np.random.default_rng(seed)
    large = rng.normal(size=(height + 2 * length, width + 3 * length)).astype(np.float32)
    cloudy = sum(cv2.GaussianBlur(large, (0, 0), sigma) * sigma for sigma in (1.5, 4.0, 12.0))
    whole = np.clip(120 + 15 * cloudy / cloudy.std(), 0, 255).astype(np.uint8)
    frames = []
    for n in range(length):
        frame = np.repeat(whole[2 * n : 2 * n + height, 3 * n : 3 * n + width, None], 3, 2)
        cv2.ellipse(frame, (width // 3, height // 2), (width // 6, height // 3), 20, 0, 360, (200, 170, 150), -1)
        frames.append(frame)
    return frames


def marked(clip: Clip, key: int = PUBLIC_KEY) -> Clip:
    marker = Marker(clip[0].shape[1], clip[0].shape[0], PAYLOAD, key)
    return [marker(picture) for picture in clip]


def encoded(clip: Clip, folder: Path, quality: int = 28, suffix: str = ".mp4") -> Clip:
    path = folder / f"clip{suffix}"
    height, width = clip[0].shape[:2]
    with VideoWriter(path, width=width, height=height, fps=25, quality=quality, threads=1, overwrite=True) as writer:
        for number, picture in enumerate(clip):
            writer.write(np.ascontiguousarray(picture), Fraction(number, 25))
    with open_source(path) as source:
        return [frame.pixels.copy() for frame in source]


def sized(clip: Clip, across: float, down: float) -> Clip:
    size = (round(WIDTH * across / 2) * 2, round(HEIGHT * down / 2) * 2)
    return [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in clip]


def turned(clip: Clip, degrees: float) -> Clip:
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, 1.06)
    return [cv2.warpAffine(picture, turn, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR) for picture in clip]


@pytest.fixture(scope="module")
def clip() -> Clip:
    return scene(0)


@pytest.fixture(scope="module")
def copy(clip: Clip) -> Clip:
    return marked(clip)


PLAIN: dict[str, Callable[[Clip], Clip]] = {
    "as it is": lambda clip: clip,
    "half size": lambda clip: sized(clip, 0.5, 0.5),
    "cropped": lambda clip: [picture[10:334, 20:596] for picture in clip],
    "cropped to a telephone's shape": lambda clip: [picture[:, 218:420] for picture in clip],
    "mirrored": lambda clip: [picture[:, ::-1] for picture in clip],
    "one frame": lambda clip: clip[:1],
    "bars": lambda clip: [cv2.copyMakeBorder(picture, 140, 140, 0, 0, cv2.BORDER_CONSTANT) for picture in clip],
    "darker": lambda clip: [picture // 2 for picture in clip],
}


@pytest.mark.parametrize("what", PLAIN)
def test_a_mark_survives(what: str, copy: Clip, tmp_path: Path) -> None:
    """After H.264 at CRF 28, too."""
    reading = find_mark(encoded(PLAIN[what](copy), tmp_path), thorough=False)
    assert reading.detected and reading.payload == PAYLOAD and reading.key == PUBLIC_KEY
    assert reading.score > reading.threshold and reading.flipped == (what == "mirrored")


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("1.8 degrees", lambda clip: turned(clip, 1.8)),
        ("-2 degrees", lambda clip: turned(clip, -2.0)),
        ("wider", lambda clip: sized(clip, 1.05, 1.0)),
        ("narrower", lambda clip: sized(clip, 0.95, 1.0)),
    ],
)
def test_turned_and_stretched_copies_take_the_thorough_search(
    what: str, change: Callable[[Clip], Clip], copy: Clip, tmp_path: Path
) -> None:
    changed = encoded(change(copy), tmp_path)
    reading = find_mark(changed)
    assert reading.detected and reading.payload == PAYLOAD
    assert reading.threshold == thresholds(1)[1] > thresholds(1)[0], "more hypotheses, a higher bound"
    assert not find_mark(changed, thorough=False).detected
    if "degrees" in what:
        assert reading.rotation == pytest.approx(-float(what.split()[0]), abs=0.6)
    else:
        assert reading.aspect == pytest.approx(1.05 if what == "wider" else 0.95, abs=0.012)


def test_scale_tells_the_crop(copy: Clip) -> None:
    whole, part = (find_mark(clip, thorough=False) for clip in (copy, [picture[:270, :480] for picture in copy]))
    assert whole.scale == pytest.approx(1.0, abs=0.01) and part.scale == pytest.approx(360 / 270, abs=0.01)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_unmarked_is_not_found(seed: int) -> None:
    reading = find_mark(scene(seed, 4), keys=(PUBLIC_KEY, 5))
    assert not reading.detected and reading.payload is None and reading.key is None and reading.score < 7


def test_another_keys_mark_is_not_found() -> None:
    foreign = marked(scene(4, 4), key=77)
    assert not find_mark(foreign).detected
    reading = find_mark(foreign, keys=(PUBLIC_KEY, 77))
    assert reading.detected and reading.key == 77 and reading.payload == PAYLOAD


def test_more_keys_and_hypotheses_raise_the_threshold() -> None:
    one, many = thresholds(1), thresholds(100)
    assert one[0] < one[1] < many[1] and one[0] < many[0]
    tried = 2 * 128**2 * 127
    assert tried * np.exp(-(one[0] ** 2) / 2) == pytest.approx(FALSE_ALARMS / 2, rel=0.01)


def test_marking_is_a_function_of_the_picture_alone(clip: Clip) -> None:
    """Cutting or resuming a render changes nothing."""
    picture = clip[3]
    before = picture.copy()
    first = Marker(WIDTH, HEIGHT, PAYLOAD)(picture)
    marker = Marker(WIDTH, HEIGHT, PAYLOAD)
    marker(clip[0])
    assert np.array_equal(marker(picture), first) and np.array_equal(picture, before)
    assert not np.array_equal(first, picture)
    assert np.array_equal(marker(np.asfortranarray(picture)), first), "whatever lies in memory how"


def test_colours_stay(clip: Clip) -> None:
    """Red, green and blue change alike, so no hue does."""
    change = marked(clip[:1])[0].astype(int) - clip[0]
    assert change.max() > 2 and change.min() < -2 and abs(change.mean()) < 0.1
    assert (np.ptp(change, axis=2) == 0).all()


def test_smooth_and_dark_pictures_get_a_fainter_mark(clip: Clip) -> None:
    def quality(picture: np.ndarray) -> float:
        change = Marker(WIDTH, HEIGHT, PAYLOAD)(picture).astype(float) - picture
        return float(-10 * np.log10((change**2).mean() / 255**2))

    sky = np.full((HEIGHT, WIDTH, 3), 180, np.uint8)
    night = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    grass = np.random.default_rng(0).integers(0, 255, (HEIGHT // 2, WIDTH // 2, 3), np.uint8)
    busy = cv2.resize(grass, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    assert quality(busy) == pytest.approx(LEAST_PSNR_DB, abs=0.3)
    assert 48 > quality(sky) > 45 and quality(night) > quality(sky) + 1


def test_an_edge_between_smooth_surfaces_is_no_texture() -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    picture[:, WIDTH // 2 :] = 220
    assert strength(picture).max() < 1.25
    picture[:, 500:503] = 10
    assert (strength(picture)[:, :480] < 1.25).all(), "a thin line hides what is beside it, no farther"


def test_what_motion_has_smeared_is_no_texture() -> None:
    lines = np.random.default_rng(0).integers(60, 200, (HEIGHT, 1, 1), np.uint8)
    smeared = np.ascontiguousarray(np.broadcast_to(lines, (HEIGHT, WIDTH, 3)))
    assert strength(smeared).max() < 1.25 < strength(scene(0, 1)[0]).max()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 64), (63, 17), (64, 64), (3, 900), (129, 201)])
def test_every_size_is_marked_and_looked_at(size: tuple[int, int]) -> None:
    width, height = size
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    made = Marker(width, height, PAYLOAD)(picture)
    assert made.shape == picture.shape and made.dtype == np.uint8
    assert not find_mark([made, picture], thorough=max(size) < 65).detected


@pytest.mark.parametrize("level", [0, 255])
def test_a_black_and_a_white_clip_carry_a_mark(level: int) -> None:
    blank = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
    assert find_mark(marked([blank]), thorough=False).payload == PAYLOAD
    assert not find_mark([blank]).detected


def test_a_smooth_picture_is_not_taken_for_bars() -> None:
    """All rows but a few of one colour each: a horizon."""
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    picture[:200] = 180
    made = marked([picture])[0]
    made[:190], made[230:] = picture[:190], picture[230:]
    residue = Residue()
    residue.add(made)
    assert residue.ground().shape == (270, 480)


@pytest.mark.parametrize("side", [256, 200])
def test_small_pictures_are_marked(side: int, tmp_path: Path) -> None:
    small = marked(scene(5, LENGTH, side, side))
    assert find_mark(encoded(small, tmp_path, quality=18), thorough=False).payload == PAYLOAD


def test_large_pictures_are_marked(tmp_path: Path) -> None:
    large = marked(scene(6, 6, 1280, 720))
    half = [cv2.resize(picture, (640, 360), interpolation=cv2.INTER_AREA) for picture in large]
    assert find_mark(encoded(half, tmp_path), thorough=False).payload == PAYLOAD


def test_a_gif_keeps_it(copy: Clip, tmp_path: Path) -> None:
    assert find_mark(encoded(sized(copy, 0.75, 0.75), tmp_path, suffix=".gif"), thorough=False).payload == PAYLOAD


@pytest.mark.parametrize("payload", [0, 2**48 - 1])
def test_the_ends_of_the_range(payload: int) -> None:
    picture = scene(7, 1)[0]
    assert find_mark([Marker(WIDTH, HEIGHT, payload)(picture)], thorough=False).payload == payload


@pytest.mark.parametrize(
    ("width", "height", "payload", "key"),
    [(0, 10, 1, 1), (10, 0, 1, 1), (10, 10, -1, 1), (10, 10, 2**48, 1), (10, 10, 1, -1)],
)
def test_impossible_marks_are_refused(width: int, height: int, payload: int, key: int) -> None:
    with pytest.raises(ValueError, match="Cannot mark"):
        Marker(width, height, payload, key)


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Marker(64, 48, 1)(np.zeros((64, 48, 3), np.uint8))


def test_nothing_and_changing_sizes_are_read() -> None:
    nothing = find_mark([])
    assert not nothing.detected and nothing.frames == 0
    first, second = scene(8, 2)
    later = cv2.resize(second, (320, 180), interpolation=cv2.INTER_AREA)
    assert find_mark([*marked([first]), *marked([later])], thorough=False).payload == PAYLOAD


def test_a_long_clip_is_read_to_its_end_in_passing() -> None:
    """Ever fewer frames are looked at, and none is kept."""
    read = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal read
        picture = np.zeros((32, 32, 3), np.uint8)
        for _ in range(5000):
            read += 1
            yield picture

    begun = time.process_time()
    reading = find_mark(frames(), thorough=False)
    assert read == 5000 and 120 < reading.frames < 600
    assert time.process_time() - begun < 5

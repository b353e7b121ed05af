"""Somebody is taken out, an actor is put in with their motion; everything else stays as it was to the bit."""

from __future__ import annotations

import functools
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
from vid2vid_tasks.actor_swap.background import Backgrounds, Gathering, guessed, relit
from vid2vid_tasks.actor_swap.occluding import Look, in_front
from vid2vid_tasks.actor_swap.retargeting import bone_lengths, retarget

import vid2vid
from vid2vid.motion.actor import Actor, load_actor
from vid2vid.motion.limbs import SIDES_SWAPPED
from vid2vid.motion.puppet import Puppet

LENGTH, HEIGHT, WIDTH = 18, 240, 400
TALL = 170.0


@functools.cache
def actor(name: str) -> Actor:
    return load_actor(Path(str(files("vid2vid_tasks.sketch_to_scene"))) / "actors" / name)


def backdrop(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Soft blotches: nothing in them looks like a person."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(90, 160, (height // 10, width // 10, 1)) + rng.uniform(-12, 12, (height // 10, width // 10, 3))
    blotches = cv2.resize(noise.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(blotches.clip(0, 255), np.uint8)


def pasted(scene: np.ndarray, layer: np.ndarray) -> np.ndarray:
    cover = layer[..., 3:] / 255.0
    return (scene * (1.0 - cover) + layer[..., :3]).round().clip(0, 255).astype(np.uint8)


def poses(name: str, first: int, second: int, x: float, step: float) -> np.ndarray:
    """From one pose to another on the way along the ground: `(LENGTH, 15, 2)`."""
    one, other = (view.joints / actor(name).height * TALL for view in (actor(name).views[n] for n in (first, second)))
    share = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, LENGTH)))[:, None, None]
    joints = (one - one[2]) * (1 - share) + (other - other[2]) * share
    joints[..., 0] += x + step * np.arange(LENGTH)[:, None]
    joints[..., 1] += 215.0 - joints[:, [11, 14], 1].max(1)[:, None]
    return joints.astype(np.float32)


@functools.cache
def bystander() -> np.ndarray:
    return Puppet(actor("runner"), 160.0, (WIDTH, HEIGHT)).pose(poses("runner", 2, 2, 330.0, 0.0)[0]).rgba


@functools.cache
def film(two: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A woman who walks to the left, and somebody who stands there; frames, and the woman's joints."""
    empty = backdrop(HEIGHT, WIDTH)
    if two:
        empty = pasted(empty, bystander())
    joints = poses("woman", 2, 10, 220.0, -6.0)
    puppet = Puppet(actor("woman"), TALL, (WIDTH, HEIGHT))
    return np.stack([pasted(empty, puppet.pose(pose, -1.0).rgba) for pose in joints]), joints


@functools.cache
def photo(name: str = "athlete", number: int = 0) -> np.ndarray:
    view = actor(name).views[number]
    height, width = view.mask.shape
    picture = backdrop(height + 80, width + 200, 3)
    cover = view.mask[..., None] / 255.0
    place = picture[40 : 40 + height, 100 : 100 + width]
    place[:] = place * (1.0 - cover) + view.picture * cover
    return picture


def swap(video: object, **words: object) -> vid2vid.Translation:
    words = {"reference": photo(), "consent": "synthetic", "progress": False, **words}
    return vid2vid.translate(video, "actor_swap", **words)  # type: ignore[arg-type]


def frames_of(made: vid2vid.Translation) -> np.ndarray:
    return np.stack(list(made.frames))


@functools.cache
def swapped(two: bool = False) -> tuple[np.ndarray, dict[str, object]]:
    made = swap(film(two)[0])
    return frames_of(made), made.report["task_report"]


def test_the_old_person_is_gone_and_the_rest_is_as_it_was() -> None:
    source, (made, report) = film()[0], swapped()
    assert report["people"][0]["swapped_frames"] == LENGTH
    empty = backdrop(HEIGHT, WIDTH)
    gone = 0
    for t in range(2, LENGTH, 5):
        old = np.abs(source[t].astype(int) - empty).max(-1) > 25
        new = np.abs(made[t].astype(int) - empty).max(-1) > 25
        left = old & new & (np.abs(made[t].astype(int) - source[t]).max(-1) < 6)
        assert left.sum() < 0.04 * old.sum(), "nothing of the old person is left"
        gone += int((old & ~new).sum())
        assert new.sum() > 0.5 * old.sum(), "somebody else is there"
        far = cv2.dilate(old.astype(np.uint8), np.ones((81, 81), np.uint8)) == 0
        far[160:] = cv2.dilate(old.astype(np.uint8), np.ones((81, 241), np.uint8))[160:] == 0  # shadows
        assert far.mean() > 0.4
        assert np.array_equal(made[t][far], source[t][far])
    assert gone > 500


def test_the_actor_moves_as_the_person_did() -> None:
    from vid2vid.conditions.people import PeopleFinder

    joints, (made, _) = film()[1], swapped()
    finder, errors = PeopleFinder(), []
    followed = [list(finder.follow(list(clip))) for clip in (film()[0], made)]
    for t in range(0, LENGTH, 4):
        before, after = followed[0][t], followed[1][t]
        assert before and after
        # From the side, the network takes left for right now and then.
        sides = (after[0].joints, after[0].joints[list(SIDES_SWAPPED)])
        errors.append(min(np.linalg.norm(side - before[0].joints, axis=1).mean() for side in sides) / TALL)
        ankles = min(np.linalg.norm((side - joints[t])[[11, 14]], axis=1).mean() for side in sides)
        assert ankles < 0.1 * TALL
    assert np.mean(errors) <= 0.08


def test_who_is_not_chosen_stays_to_the_bit() -> None:
    source = film(two=True)[0]
    made, report = swapped(two=True)
    assert len(report["people"]) == 2
    assert sum(person["swapped_frames"] > 0 for person in report["people"]) == 1
    assert np.array_equal(made[:, bystander()[..., 3] > 0], source[:, bystander()[..., 3] > 0])
    assert not np.array_equal(made[:, :, :250], source[:, :, :250])


def test_people_are_chosen_by_number_and_given_by_name() -> None:
    source = np.ascontiguousarray(film(two=True)[0][:8])
    people = swapped(two=True)[1]["people"]
    right = next(person["number"] for person in people if person["place"][0] > 0.7)
    for words in ({"people": (right,)}, {"reference": {right: photo()}}):
        made = frames_of(swap(source, **words))
        assert np.array_equal(made[:, :, :140], source[:, :, :140])
        assert not np.array_equal(made[:, :, 280:], source[:, :, 280:])
    both = swap(source, people="all").report["task_report"]["people"]
    assert [person["swapped_frames"] for person in both] == [8, 8]


def test_the_reference_may_play_in_its_own_scene() -> None:
    source = np.ascontiguousarray(film()[0][:6])
    made = frames_of(swap(source, mode="animate"))
    assert made.shape == source.shape
    border = np.abs(made.astype(float)[:, :60, :60] - made[0, :60, :60]).max()
    assert border == 0.0, "its scene stands still"
    assert np.abs(made[0].astype(float) - source[0]).mean() > 20


def test_steps_are_heard_where_effects_are_wanted(tmp_path: Path) -> None:
    assert vid2vid.registry.get_task("actor_swap").audio == "keep"
    made = swap(np.ascontiguousarray(film()[0][:6]), audio="effects", output=tmp_path / "film.mp4", fps=25)
    assert (tmp_path / "film.mp4").stat().st_size > 0 and made.report["task_report"]["people"]


@pytest.mark.robustness(34)
def test_a_film_without_people_is_passed_through_and_reported() -> None:
    clip = np.repeat(backdrop(120, 160)[None], 4, 0)
    made = swap(clip)
    assert np.array_equal(frames_of(made), clip)
    assert "Nobody was found" in made.report["task_report"]["notes"][0]


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ({"consent": None}, vid2vid.ConsentRequired, "consent="),
        ({"reference": None}, vid2vid.ReferenceRequired, "reference="),
        ({"reference": backdrop(200, 200)}, vid2vid.ReferenceMismatch, "no person"),
        ({"people": "7"}, vid2vid.InvalidOption, "no person 7"),
        ({"people": "biggest"}, vid2vid.InvalidOption, "'largest'"),
        ({"people": ()}, vid2vid.InvalidOption, "'largest'"),
        ({"mode": "dance"}, vid2vid.InvalidOption, "animate"),
        ({"shadows": 3.0}, vid2vid.InvalidOption, "0 to 2"),
    ],
)
def test_wrong_words_get_one_clear_error(words: dict[str, object], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        swap(film()[0][:2], **words)
    assert said in str(caught.value)


def test_a_reference_for_nobody_is_refused() -> None:
    with pytest.raises(vid2vid.ReferenceMismatch, match="'anna'"):
        swap(film()[0][:2], reference={"anna": photo()})


def test_frames_that_pass_by_once_are_refused() -> None:
    with pytest.raises(vid2vid.UsageError, match="looks through the film first"):
        swap(iter(film()[0]))


def test_a_motion_on_the_same_body_stays_as_it_is() -> None:
    joints = film()[1]
    heights, seen = np.full(LENGTH, TALL, np.float32), np.ones((LENGTH, 15), np.float32)
    lengths = bone_lengths(joints, np.zeros((LENGTH, 15), np.float32), heights, seen)
    assert np.abs(retarget(joints, heights, lengths, lengths, 25.0) - joints).max() < 0.01


def test_a_motion_on_another_body_keeps_feet_and_directions() -> None:
    joints = film()[1]
    heights, seen = np.full(LENGTH, TALL, np.float32), np.ones((LENGTH, 15), np.float32)
    own = bone_lengths(joints, np.zeros((LENGTH, 15), np.float32), heights, seen)
    other = own.copy()
    other[[4, 6]] *= 1.15
    other[[10, 12]] *= 0.95
    made = retarget(joints, heights, own, other, 25.0)
    assert np.array_equal(made[:, [11, 14]], joints[:, [11, 14]]), "no foot slides"
    upper, before = made[:, 4] - made[:, 3], joints[:, 4] - joints[:, 3]
    assert np.allclose(upper, 1.15 * before, atol=0.01)
    assert (made[:, 2, 1] > joints[:, 2, 1]).mean() > 0.9, "shorter legs bring the hip down"


def test_the_background_is_what_is_seen_most_with_bounded_memory() -> None:
    empty = backdrop(HEIGHT, WIDTH)
    shot = Gathering()
    for t in range(200):
        picture, mask = empty.copy(), np.zeros((HEIGHT, WIDTH), np.float32)
        picture[60:200, t : t + 50], mask[60:200, t : t + 50] = 255, 1.0
        shot.add(picture, [mask])
    assert len(shot.frames) <= 40
    found = Backgrounds()
    found.add(shot, 200)
    whole = found.at(100, (slice(0, HEIGHT), slice(0, WIDTH)))
    assert whole is not None and np.abs(whole.astype(int) - empty).max() <= 1
    assert found.guessed == [0.0] and found.moving == []


def test_what_is_never_seen_is_continued_from_around() -> None:
    slope = np.repeat(np.linspace(40, 200, 160)[None, :, None], 120, 0).repeat(3, 2).astype(np.uint8)
    hole = np.zeros((120, 160), bool)
    hole[40:90, 70:95] = True
    torn = slope.copy()
    torn[hole] = 255
    assert np.abs(guessed(torn, hole).astype(int) - slope)[hole].mean() < 8


def test_a_background_follows_the_light_of_the_frame() -> None:
    plate = backdrop(120, 120)
    picture = np.clip(plate.astype(int) + 5, 0, 255).astype(np.uint8)
    hidden = np.zeros((120, 120), bool)
    hidden[30:90, 40:80] = True
    picture[hidden] = 0
    assert np.abs(relit(plate, picture, hidden).astype(int) - plate - 5)[hidden].mean() < 1.5


@pytest.mark.parametrize("tree", [False, True])
def test_what_stands_before_the_person_hides_the_actor_too(tree: bool) -> None:
    joints, plate = film()[1][0], backdrop(HEIGHT, WIDTH)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    for start, end in ((0, 2), (3, 6), (9, 12), (3, 5), (6, 8), (9, 11), (12, 14)):
        ends = [tuple(int(value) for value in joints[place].round()) for place in (start, end)]
        cv2.line(mask, *ends, 1.0, 26)
    edge = int(joints[2, 0])
    if tree:
        mask[:, edge:] = 0.0
    picture = np.where(mask[..., None] > 0.5, 255 - plate, plate).astype(np.uint8)
    hiding = in_front(Look(picture, plate, mask, joints, TALL))
    if not tree:
        assert hiding is None
        return
    assert hiding is not None
    hip = int(joints[2, 1])
    assert hiding[hip - 10, edge + 14] > 0.9 and hiding[hip - 10, edge - 14] < 0.1


def panned(frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A camera that goes along a wall past a block: the frame, the block's mask, the wall alone, and the way."""
    wall = cv2.resize(backdrop(120, 300, 5), (1200, 480), interpolation=cv2.INTER_CUBIC)
    left = 20 + 4 * frame
    plate = wall[100 : 100 + HEIGHT, left : left + WIDTH]
    picture, mask = plate.copy(), np.zeros((HEIGHT, WIDTH), np.float32)
    picture[60:200, 150:210], mask[60:200, 150:210] = 255, 1.0
    return picture, mask, plate, np.array([[1, 0, 4.0 * frame], [0, 1, 0], [0, 0, 1]])


def test_the_background_of_a_moving_camera_is_put_together_from_other_frames() -> None:
    shot, found = Gathering(), Backgrounds()
    for frame in range(50):
        picture, mask, _, way = panned(frame)
        shot.add(picture, [mask], way)
    found.add(shot, 50)
    assert found.moving == [0] and found.lost == []
    window = (slice(60, 200), slice(150, 210))
    for frame in (0, 24, 49):
        made, plate = found.at(frame, window), panned(frame)[2]
        seen = slice(0, 60) if frame < 49 else slice(0, 1)  # what lies to the right is never seen after the last frame
        assert made is not None and np.abs(made.astype(int) - plate[window])[:, seen].mean() < 3.0


def test_a_camera_that_cannot_be_followed_leaves_no_background() -> None:
    shot, found = Gathering(), Backgrounds()
    for frame in range(12):
        picture, mask, _, way = panned(frame)
        shot.add(picture, [mask], None if frame > 6 else way)
    found.add(shot, 12)
    assert found.lost == [0] and found.at(3, (slice(0, 10), slice(0, 10))) is None

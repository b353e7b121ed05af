"""Actors: kept without loss of what matters, refused with a reason, made of pictures and clips."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vid2vid.conditions.people import Person
from vid2vid.conditions.pose_networks import Region
from vid2vid.errors import InputNotFound, InvalidOption, NewerFormat, ReferenceMismatch, UnreadableContainer
from vid2vid.motion.actor import Actor, View, load_actor, save_actor
from vid2vid.motion.casting import _Candidate, _spread_out, actor_from_clip, actor_from_pictures, join_actors
from vid2vid.motion.cutout import against_plate, firm, in_one_light, own_colours
from vid2vid.motion.cutting import filled
from vid2vid.motion.plates import empty_scene

ACTORS = Path(__file__).parent.parent.parent / "tasks" / "sketch_to_scene" / "actors"


def view(shade: int = 90) -> View:
    picture = np.full((80, 40, 3), (shade, shade // 2, 30), np.uint8)
    picture[:, 18:22] += 30
    mask = np.zeros((80, 40), np.uint8)
    cv2.ellipse(mask, (20, 40), (12, 30), 0, 0, 360, 255, -1, cv2.LINE_AA)
    joints = np.random.default_rng(0).uniform(0, 40, (15, 2)).astype(np.float32)
    return View(picture, mask, joints, np.full(15, 0.9, np.float32), np.linspace(-0.2, 0.2, 15, dtype=np.float32), -0.7)


@pytest.mark.parametrize("name", ["folder", "one.actor"])
def test_an_actor_comes_back_as_it_was_saved(tmp_path: Path, name: str) -> None:
    plate = np.full((30, 50, 3), 120, np.uint8)
    save_actor(Actor("Ada", (view(), view(140)), 71.5, plate, "CC0"), tmp_path / name)
    back = load_actor(tmp_path / name)
    assert (back.name, back.height, back.credit, len(back.views)) == ("Ada", 71.5, "CC0", 2)
    assert back.plate is not None and np.abs(back.plate.astype(int) - plate).max() <= 2
    for kept, made in zip(back.views, (view(), view(140)), strict=True):
        assert np.array_equal(kept.mask, made.mask)
        assert np.abs(kept.picture.astype(int) - made.picture).mean() < 3
        assert np.allclose(kept.joints, made.joints, atol=0.01)
        assert np.allclose(kept.depth, made.depth, atol=1e-3) and kept.facing == pytest.approx(-0.7)


def test_what_is_no_actor_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="no actor"):
        load_actor(tmp_path)
    with pytest.raises(InvalidOption, match="0 views"):
        save_actor(Actor("Nobody", (), 10.0), tmp_path / "nobody")
    save_actor(Actor("Ada", (view(),), 71.5), tmp_path / "ada")
    (tmp_path / "ada" / "view_00.png").write_bytes(b"damaged")
    with pytest.raises(UnreadableContainer, match="mask of view 0"):
        load_actor(tmp_path / "ada")
    described = json.loads((tmp_path / "ada" / "actor.json").read_text())
    (tmp_path / "ada" / "actor.json").write_text(json.dumps({**described, "version": 99}))
    with pytest.raises(NewerFormat, match="99"):
        load_actor(tmp_path / "ada")
    with zipfile.ZipFile(tmp_path / "empty.actor", "w") as archive:
        archive.writestr("something", b"else")
    with pytest.raises(UnreadableContainer):
        load_actor(tmp_path / "empty.actor")


def test_no_fringe_of_the_old_scene_is_left() -> None:
    picture = np.full((60, 60, 3), (0, 255, 0), np.uint8)
    hard = np.zeros((60, 60), np.float32)
    cv2.circle(hard, (30, 30), 18, 1.0, -1)
    mask = cv2.GaussianBlur(hard, (0, 0), 1.5)
    picture = np.round(picture * (1 - mask[..., None]) + np.array([200.0, 40.0, 60.0]) * mask[..., None]).astype(
        np.uint8
    )
    clean = own_colours(picture, mask)
    shown = clean[mask > 0.02].astype(int)
    assert np.abs(shown - [200, 40, 60]).max() < 12
    assert np.abs(picture[mask > 0.02].astype(int) - [200, 40, 60]).max() > 150


def test_spreading_keeps_what_is_known_and_reaches_everywhere() -> None:
    values = np.zeros((33, 50, 3), np.float32)
    values[10, 5], values[20, 45] = 200.0, 100.0
    known = np.zeros((33, 50), np.float32)
    known[10, 5] = known[20, 45] = 1.0
    made = filled(values, known)
    assert made[10, 5, 0] == 200.0 and made[20, 45, 0] == 100.0
    assert made.min() >= 99.0 and made[12, 6, 0] > 160.0 > 140.0 > made[22, 46, 0]


def test_spreading_reaches_the_far_end_of_a_thin_picture() -> None:
    known = np.zeros((400, 40), np.float32)
    known[5, 5] = 1.0
    assert np.allclose(filled(np.full((400, 40, 3), 200.0, np.float32), known), 200.0, atol=0.5)


def test_haze_and_loose_pieces_go_and_the_person_stays() -> None:
    mask = np.full((100, 100), 0.1, np.float32)
    mask[10:90, 30:60] = 0.95
    mask[5:9, 80:84] = 0.9
    clear = firm(mask, 80.0)
    assert clear[50, 45] == 1.0 and clear[50, 90] == 0.0 and clear[6, 82] == 0.0


def test_the_empty_scene_decides_where_the_mask_hesitates() -> None:
    plate = np.random.default_rng(1).integers(90, 130, (60, 60, 3)).astype(np.uint8)
    picture = plate.copy()
    picture[20:40, 20:40] = (200, 30, 30)
    mask = np.zeros((60, 60), np.float32)
    mask[15:45, 15:45] = 0.6
    mask[25:35, 25:35] = 1.0
    decided = against_plate(mask, picture, plate)
    assert decided[22, 22] > 0.85 and decided[17, 17] < 0.3 and decided[30, 30] == 1.0


def test_views_are_brought_to_one_light() -> None:
    dark, plain, light = view(70), view(90), view(120)
    means = [one.picture[one.mask > 200].mean() for one in in_one_light((dark, plain, light))]
    assert max(means) - min(means) < 4 < plain.picture.mean() - dark.picture.mean()


def moving_square(count: int, shift: int = 0) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Frames with a red square that crosses them, masks of it, and the scene without it."""
    rng = np.random.default_rng(2)
    scene = cv2.resize(rng.integers(0, 255, (12, 16, 3)).astype(np.uint8), (160 + shift * count, 120))
    frames, masks = [], []
    for number in range(count):
        frame = scene[:, number * shift : number * shift + 160].copy()
        mask = np.zeros((120, 160), np.uint8)
        left = number * 12
        frame[40:80, left : left + 25], mask[40:80, left : left + 25] = (255, 0, 0), 255
        frames.append(frame)
        masks.append(mask)
    return frames, masks, scene[:, :160]


def test_the_scene_is_put_together_from_what_is_seen_beside_the_person() -> None:
    frames, masks, scene = moving_square(12)
    plate = empty_scene(frames, masks)
    assert plate is not None and np.abs(plate.astype(int) - scene).max() <= 2
    assert empty_scene(frames[:1] * 12, masks[:1] * 12) is None  # always hidden there: guessing would smear
    assert empty_scene(*moving_square(12, shift=3)[:2]) is None


def on_plain_ground(one: View, shift: int = 60) -> np.ndarray:
    height, width = one.mask.shape
    ground = np.full((height + 120, width + 240, 3), (150, 160, 150), np.uint8)
    part = one.mask[..., None] / 255.0
    there = (slice(60, 60 + height), slice(shift, shift + width))
    ground[there] = np.round(one.picture * part + ground[there] * (1.0 - part)).astype(np.uint8)
    return ground


@pytest.fixture(scope="module")
def woman() -> Actor:
    return load_actor(ACTORS / "woman")


def test_an_actor_is_made_of_a_picture_and_stands_as_in_it(woman: Actor) -> None:
    shown = woman.views[0]
    actor = actor_from_pictures([on_plain_ground(shown)], "again", "test")
    assert abs(actor.height / woman.height - 1.0) < 0.15
    (made,) = actor.views
    span, wanted = np.ptp(made.joints, axis=0), np.ptp(shown.joints, axis=0) * actor.height / woman.height
    assert np.abs(span - wanted).max() < 0.08 * actor.height
    assert made.facing * shown.facing > 0.25
    area = (made.mask > 127).sum() / actor.height**2 / ((shown.mask > 127).sum() / woman.height**2)
    assert 0.7 < area < 1.3


def test_pictures_of_any_size_make_views_of_one_scale(woman: Actor) -> None:
    near = on_plain_ground(woman.views[0])
    far = cv2.resize(near, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    first, second = actor_from_pictures([near, far]).views
    spans = [float(np.ptp(one.joints[:, 1])) for one in (first, second)]
    assert spans[0] == pytest.approx(spans[1], rel=0.06)


def test_chosen_views_lie_far_from_each_other() -> None:
    region = Region(0.0, 0.0, 100.0, 0.0)
    track = []
    for number, lean in enumerate((0.0, 0.0, 0.02, 0.0, 0.9, 0.88, 0.0, -0.5, 0.01)):
        joints = np.zeros((15, 2), np.float32)
        joints[:, 0], joints[:, 1] = lean * 100.0, np.linspace(0.0, 90.0, 15)
        joints[2] = 0.0
        nothing = np.zeros((0, 0), np.float32)
        person = Person(
            joints, np.ones(15, np.float32), np.zeros(15, np.float32), nothing, np.zeros(4, np.float32), 1.0, 0.0, 1.0,
            100.0, np.zeros((6, 3), np.float32), region,
        )  # fmt: skip
        track.append(_Candidate(number, person, 10.0 if number != 1 else 1.0))
    frames = [one.frame for one in _spread_out(track, 4)]
    assert {frames[1], frames[2]} == {4, 7} and frames[3] in (2, 5, 8) and 1 not in frames


def test_a_person_who_is_not_there_or_cut_off_is_refused_by_name(woman: Actor) -> None:
    with pytest.raises(ReferenceMismatch, match="no person was found"):
        actor_from_pictures([np.full((200, 300, 3), 127, np.uint8)])
    whole = on_plain_ground(woman.views[0])
    knee = int(woman.views[0].joints[10, 1]) + 60
    with pytest.raises(ReferenceMismatch, match=r"missing: .*foot_l"):
        actor_from_pictures([whole[: knee + 10]])
    with pytest.raises(InvalidOption, match="1 to 24"):
        actor_from_pictures([])


def test_an_actor_is_made_of_a_clip_with_its_scene(woman: Actor) -> None:
    width = max(one.mask.shape[1] for one in woman.views)
    ground = on_plain_ground(woman.views[0]).shape
    shape = (max(ground[0], 700), width + 700, 3)
    scene = cv2.resize(np.random.default_rng(3).integers(100, 160, (9, 12, 3)).astype(np.uint8), shape[1::-1])
    frames = []
    for number, shift in enumerate((20, 140, 260, 380, 500, 620)):
        one = woman.views[number % 2]
        frame, part = scene.copy(), one.mask[..., None] / 255.0
        there = (slice(100, 100 + one.mask.shape[0]), slice(shift, shift + one.mask.shape[1]))
        frame[there] = np.round(one.picture * part + frame[there] * (1.0 - part)).astype(np.uint8)
        frames.append(frame)
    actor = actor_from_clip(frames, 2, "walker")
    assert len(actor.views) == 2
    assert actor.plate is not None and np.abs(actor.plate.astype(int) - scene).mean() < 3.0
    first, second = (one.joints - one.joints[2] for one in actor.views)
    assert np.linalg.norm(first - second, axis=1).max() > 0.1 * actor.height  # the two poses, not one twice


def test_actors_of_several_cameras_are_joined_at_one_scale(woman: Actor) -> None:
    small = replace(woman, views=woman.views[:1], plate=None)
    tall = replace(small, height=woman.height * 2)
    joined = join_actors([small, tall], "both", "test")
    first, second = joined.views
    assert joined.height == woman.height
    assert second.mask.shape[0] == pytest.approx(first.mask.shape[0] / 2, abs=1)
    assert np.allclose(second.joints, (first.joints + 0.5) / 2 - 0.5, atol=0.01)

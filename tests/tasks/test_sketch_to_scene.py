"""Drawn fights become films: what comes in is told apart, actors go where figures are drawn, blows are heard."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from vid2vid_tasks.sketch_to_scene.casting import bundled_scene, make_cast
from vid2vid_tasks.sketch_to_scene.options import Options
from vid2vid_tasks.sketch_to_scene.unfolding import far_apart, unfold

import vid2vid
from vid2vid.data.drawn_fights import Fight, make_fight, render_fight
from vid2vid.data.drawn_sheet import SheetLook, draw_sheet
from vid2vid.data.fight_moves import load_moves
from vid2vid.data.stick_drawings import Style
from vid2vid.io import open_source, probe, write_image

MOTION = Path(__file__).parents[2] / "examples" / "assets" / "motion"
INK = Style(pens=((30, 40, 140), (150, 35, 30)), width=0.018, ground_width=0.8)
SIZE = (384, 216)


@pytest.fixture(scope="module")
def fight() -> Fight:
    return make_fight(load_moves(MOTION), 31, SIZE, 2.6, figures=2, fps=Fraction(24))


@pytest.fixture(scope="module")
def drawn(fight: Fight) -> np.ndarray:
    return np.stack(list(render_fight(fight, INK)))


@pytest.fixture(scope="module")
def film(drawn: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> vid2vid.Translation:
    folder = tmp_path_factory.mktemp("fight")
    (folder / "fight").mkdir()
    for number, picture in enumerate(drawn):
        write_image(folder / f"fight/{number:04}.png", picture)
    return vid2vid.translate(folder / "fight", "sketch_to_scene", folder / "film.mp4", fps=24, progress=False)


def test_the_report_says_what_came_in_and_who_plays(film: vid2vid.Translation, drawn: np.ndarray) -> None:
    told = film.report["task_report"]
    assert (told["kind"], told["drawings"]) == ("animation", len(drawn))
    assert [figure["actor"] for figure in told["figures"]] == ["runner", "woman"]
    assert all(figure["frames"] == len(drawn) for figure in told["figures"])
    assert told["scene"]["name"] == "park" and "BSD" in told["scene"]["credit"]


def test_actors_are_where_the_figures_are_drawn(film: vid2vid.Translation, fight: Fight, drawn: np.ndarray) -> None:
    """Heads, trunks and feet differ from the empty scene; far from all figures the scene is as it was."""
    frames = [frame.pixels for frame in open_source(film.path)]
    assert len(frames) == len(drawn)
    everything = fight.tracks.joints.reshape(-1, 2)
    empty = np.median(np.stack(frames), axis=0)
    for number in range(0, len(frames), 9):
        change = np.abs(frames[number] - empty).max(-1)
        for joints in fight.tracks.joints[number]:
            trunk = np.round(0.5 * (joints[1] + joints[2])).astype(int)
            patch = change[trunk[1] - 4 : trunk[1] + 5, trunk[0] - 4 : trunk[0] + 5]
            assert patch.mean() > 12 or _stays(fight, trunk)
        rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
        distance = np.min([np.hypot(columns - x, rows - y) for x, y in everything[:: len(frames) // 8]], axis=0)
        assert change[distance > 80].mean() < 4


def _stays(fight: Fight, place: np.ndarray) -> bool:
    """Whether somebody is there most of the time, so that the median frame shows them too."""
    trunks = fight.tracks.joints[:, :, 1:3].mean(2)
    return bool((np.linalg.norm(trunks - place, axis=-1).min(1) < 25).mean() > 0.35)


def test_blows_are_heard_when_they_land(film: vid2vid.Translation, fight: Fight) -> None:
    true = [event.time_s for event in fight.events if event.kind == "impact"]
    heard = [event["time_s"] for event in film.report["events"] if event["kind"] == "impact"]
    assert len(true) == len(heard) >= 1
    assert np.abs(np.subtract(true, heard)).max() < 0.06
    assert film.report["audio"]["effects"] == len(film.report["events"])
    assert probe(film.path).has_audio


def test_a_sheet_of_panels_becomes_a_clip(fight: Fight, tmp_path: Path) -> None:
    drawings = fight.tracks.joints[::10][:5]
    height = float(fight.tracks.heights.mean())
    sheet = draw_sheet(drawings, height, SIZE, INK, SheetLook(columns=3, turn_deg=4, tilt=0.06), ground=200.0)
    write_image(tmp_path / "sheet.png", sheet.picture)
    with unfold(open_source(tmp_path / "sheet.png"), Options(pace=0.5)) as clip:
        frames = [frame.pixels for frame in clip]
        assert clip.info.fps == 24 and clip.info.frame_count == len(frames) == 4 * 12 + 10
    assert np.array_equal(frames[0], frames[11]) and not np.array_equal(frames[11], frames[12])


def test_a_picture_that_is_no_sheet_stays_a_picture_unless_said_to_be_one(drawn: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "one.png", drawn[0])
    with unfold(open_source(tmp_path / "one.png"), Options()) as clip:
        assert clip.info.kind == "image" and len(list(clip)) == 1
    with pytest.raises(vid2vid.InputError, match="panel"):
        unfold(open_source(tmp_path / "one.png"), Options(kind="sheet"))


def test_slow_drawings_are_filled_in_to_the_wanted_rate(drawn: np.ndarray) -> None:
    with unfold(open_source(drawn[::6], fps=4), Options()) as clip:
        frames = [frame.pixels for frame in clip]
        assert clip.info.fps == 24 and len(frames) == 6 * len(drawn[::6]) == clip.info.frame_count
    assert all(np.array_equal(frames[6 * k], drawn[6 * k]) for k in range(len(drawn[::6])))


def test_drawings_far_apart_are_told_from_an_animation(drawn: np.ndarray) -> None:
    assert far_apart(open_source(drawn[::6]))
    assert not far_apart(open_source(drawn))
    with unfold(open_source(drawn[::6]), Options()) as clip:
        assert clip.info.fps == 24 and clip.info.frame_count == 6 * len(drawn[::6])


def test_key_drawings_play_at_the_full_rate(drawn: np.ndarray) -> None:
    made = vid2vid.translate(drawn[::6], "sketch_to_scene", fps=4, refine=False, progress=False)
    told = made.report["task_report"]
    assert (told["kind"], told["drawings"], len(told["figures"])) == ("drawings", len(drawn[::6]), 2)
    assert len(made.frames) == 6 * len(drawn[::6]) and made.info.fps == 24
    between = np.abs(made.frames[6].astype(int) - made.frames[9]).max(-1) > 25
    assert between.any(), "figures move from one drawing to the next"


def test_frames_that_can_be_read_once_are_refused(drawn: np.ndarray) -> None:
    with pytest.raises(vid2vid.UsageError, match="only once"):
        vid2vid.translate(iter(drawn), "sketch_to_scene", progress=False)


def test_line_art_without_figures_is_a_scene_of_its_own() -> None:
    page = np.full((12, 120, 200, 3), 245, np.uint8)
    for t, picture in enumerate(page):
        cv2.rectangle(picture, (30 + t, 40), (110 + t, 100), (20, 20, 20), 2)
        cv2.line(picture, (0, 90), (199, 60), (20, 20, 20), 2)
    made = vid2vid.translate(page, "sketch_to_scene", progress=False)
    assert made.report["task_report"]["kind"] == "lines"
    assert len(made.frames) == len(page)
    with pytest.raises(vid2vid.NoFigures):
        vid2vid.translate(page, "sketch_to_scene", figures=2, progress=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"actors": "womn"}, "woman"),
        ({"scene": "prk"}, "park"),
        ({"figures": 9}, "1 to 4"),
        ({"pace": 0}, "0.05"),
        ({"shutter": 2}, "0 to 1"),
    ],
)
def test_wrong_words_get_one_clear_error(options: dict[str, Any], said: str, drawn: np.ndarray) -> None:
    with pytest.raises(vid2vid.InvalidOption, match=said):
        vid2vid.translate(drawn[:3], "sketch_to_scene", progress=False, **options)


def test_references_become_actors_by_name_and_scenes() -> None:
    from vid2vid.references import read_references

    plain = np.full((90, 160, 3), 120, np.uint8)
    cast = make_cast(read_references({"scene": plain}), 3, Options(actors="woman, athlete"))
    assert [actor.name for actor in cast.actors] == ["woman", "athlete", "woman"]
    assert np.array_equal(cast.scene.picture, plain)
    with pytest.raises(vid2vid.InvalidOption, match="0 to 1"):
        make_cast(read_references({"5": plain}), 2, Options())
    with pytest.raises(vid2vid.ReferenceMismatch):
        make_cast(read_references({"0": plain}), 2, Options())


def test_a_photograph_of_a_person_plays(drawn: np.ndarray) -> None:
    """A view of the bundled woman on grey is found, cut out and cast."""
    from vid2vid.references import read_references

    actor = make_cast((), 1, Options(actors="woman")).actors[0]
    view = actor.views[0]
    share = view.mask[..., None] / 255.0
    photograph = np.full((*np.add(view.mask.shape, 120), 3), 150, np.uint8)
    inside = photograph[60:-60, 60:-60]
    inside[:] = np.round(view.picture * share + inside * (1 - share))
    cast = make_cast(read_references([photograph]), 2, Options())
    assert [one.name for one in cast.actors] == ["given", "given"] and cast.scene.name == "park"


def test_every_bundled_actor_and_scene_can_be_loaded_and_says_where_it_is_from() -> None:
    table = json.loads((Path(vid2vid.__file__).parents[1] / "tasks/sketch_to_scene/cast.json").read_text())
    for name in table["actors"]:
        assert make_cast((), 1, Options(actors=name)).actors[0].credit
    for name in table["scenes"]:
        scene = bundled_scene(name)
        assert scene.credit and 0 < scene.ground < 1


def test_a_sheet_is_filmed_reported_and_compared(fight: Fight, tmp_path: Path) -> None:
    drawings = fight.tracks.joints[::10][:4]
    height = float(fight.tracks.heights.mean())
    sheet = draw_sheet(drawings, height, SIZE, INK, SheetLook(columns=2), ground=200.0)
    write_image(tmp_path / "sheet.png", sheet.picture)
    made = vid2vid.translate(
        tmp_path / "sheet.png", "sketch_to_scene", tmp_path / "film.mp4", pace=0.2, refine=False, progress=False
    )
    told = made.report["task_report"]
    assert (told["kind"], told["drawings"], len(told["figures"])) == ("sheet", 4, 2)
    side = probe(made.compare(tmp_path / "side.mp4"))
    assert (side.width, side.height) == (2 * made.info.width, made.info.height)
    assert side.frame_count == made.info.frame_count == 3 * 5 + 10


def test_sounds_go_by_the_times_of_the_frames_where_the_rate_varies(drawn: np.ndarray, fight: Fight) -> None:
    from dataclasses import replace

    from vid2vid_tasks.sketch_to_scene.performance import read_performance

    from vid2vid.types import Request

    source = open_source(drawn, fps=24)
    even = Request(source.info, *SIZE, options=Options(), open_source=source.reopen)

    class Slow:
        """The same frames, each at twice its time and half a second later."""

        def __enter__(self) -> Any:
            return (replace(frame, time_s=2 * frame.time_s + Fraction(1, 2)) for frame in source.reopen())

        def __exit__(self, *_: object) -> None: ...

    assert even.open_source is not None
    plain = read_performance(even, even.open_source, Options())
    late = read_performance(even, Slow, Options())
    assert [event.kind for event in late.events] == [event.kind for event in plain.events]
    assert np.allclose([e.time_s for e in late.events], [2 * e.time_s + 0.5 for e in plain.events], atol=1e-6)


@pytest.mark.robustness(38)
def test_a_black_picture_shows_nothing_and_breaks_nothing() -> None:
    made = vid2vid.translate(np.zeros((90, 160, 3), np.uint8), "sketch_to_scene", progress=False)
    assert made.report["task_report"]["kind"] == "lines"


def test_photographs_do_not_hide_that_no_figure_was_found() -> None:
    page = np.full((6, 90, 160, 3), 245, np.uint8)
    photograph = np.random.default_rng(0).integers(0, 255, (70, 60, 3), np.uint8)
    with pytest.raises(vid2vid.NoFigures):
        vid2vid.translate(page, "sketch_to_scene", reference={0: photograph}, progress=False)
    with pytest.raises(vid2vid.Vid2VidError, match="No stick-man"):
        vid2vid.translate(page, "sketch_to_scene", reference=photograph, progress=False)


def test_a_clip_is_no_sheet(drawn: np.ndarray) -> None:
    with pytest.raises(vid2vid.InvalidOption, match="one picture"):
        vid2vid.translate(drawn, "sketch_to_scene", kind="sheet", progress=False)

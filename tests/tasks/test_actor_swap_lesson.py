"""An actor is learned from clips of their own, and what does not help is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from vid2vid_tasks.actor_swap.canvas import CELL, CHANNELS, cut, put_back, reach_of, stacked
from vid2vid_tasks.actor_swap.lesson import LENGTH, ActorJudge, ActorWindows
from vid2vid_tasks.actor_swap.rehearsal import Shot

import vid2vid
from tests.tasks.test_actor_swap import HEIGHT, WIDTH, film
from vid2vid.backbones import make_generator
from vid2vid.registry import get_task

LONG = 14


def shot(seed: int = 0, shade: int = 0) -> Shot:
    """A square that wanders; the truth is darker on it by `shade`."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(60, 190, (28, 28, 3)).astype(np.float32)
    plate = cv2.resize(noise, (CELL, CELL), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    plates = np.repeat(plate[None], LONG, 0)
    source, limbs = plates.copy(), np.zeros_like(plates)
    cover = np.zeros((LONG, CELL, CELL), np.uint8)
    for t in range(LONG):
        place = (t, slice(60, 170), slice(70 + t, 140 + t))
        cover[place], source[place] = 255, 255 - plate[place[1:]]
        limbs[t, 60:170, 100 + t, 0] = 255
    truth = source.copy()
    truth[cover > 0] = np.maximum(truth[cover > 0].astype(int) - shade, 0).astype(np.uint8)
    return Shot(source, limbs, cover, plates, truth)


def generator() -> Any:
    task = get_task("actor_swap")
    torch.manual_seed(0)
    return make_generator(task.backbone, task.channels)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_a_change_in_a_cell_comes_back_to_its_place(scale: float) -> None:
    picture = np.full((300, 400, 3), 100, np.uint8)
    way = np.array([[scale, 0, 112 - scale * 200], [0, scale, 112 - scale * 150]])
    change = np.zeros((CELL, CELL, 3), np.float32)
    change[100:124, 90:134] = 40.0
    allowed = np.ones((300, 400), bool)
    allowed[:, 200:] = False
    made = put_back(picture, change, way, allowed)
    rows, columns = np.nonzero((made != picture).any(-1))
    assert abs(rows.mean() - 150) < 1.5 and columns.max() == 199 and made[150, 195, 0] == 140
    assert abs(columns.min() - (200 - 22 / scale)) < 2.5 / scale
    seen = cut(made, way)
    assert abs(int(seen[112, 95, 0]) - 140) < 3 and abs(int(seen[112, 128, 0]) - 100) < 3


def test_the_generator_sees_the_pictures_and_may_change_only_what_is_near() -> None:
    maps, reference = stacked([[shot().cell(0), shot(1).cell(0)]])
    assert {name: value.shape[1] for name, value in maps.items()} == CHANNELS
    assert maps["plate"].shape[-2:] == (CELL, 2 * CELL) and reference.shape[1] == 4
    reach = reach_of(shot().cover[0])
    assert reach[100, 100] == 1.0 and reach[:40].max() < 0.01 and reach[57, 100] > 0.5


def test_windows_follow_from_seed_and_step_alone() -> None:
    windows = [ActorWindows([shot(), shot(1)], slots=2, crop=96, seed=3) for _ in range(2)]
    several = [next(stream) for stream in [iter(windows[0])] for _ in range(4)]
    windows[1]._from = (3, 0, 1)
    assert torch.equal(next(iter(windows[1])).maps, several[3].maps)
    assert several[0].maps.shape == (2, LENGTH, 10, 96, 96)
    assert not torch.equal(several[0].maps[0], several[0].maps[1])
    assert torch.equal(several[0].maps[:, :, :3], several[0].reference[:, :, :3])


def test_a_net_that_does_harm_gets_no_share() -> None:
    judge, net = ActorJudge(get_task("actor_swap"), [shot(shade=30)]), generator()
    net.silence()
    with torch.no_grad():  # the residual's gate is closed by `silence`: opened, and the residual brightens
        net.detail.bias[3].fill_(30.0)
        net.detail.bias[:3].fill_(0.3)
    score = judge(net).values
    assert score["share"] == 0.0 and score["st_lpips"] >= score["source_st_lpips"]


def test_a_net_that_helps_gets_a_share() -> None:
    """The film's own frames are darker on the actor; a net that darkens what the reference shows is right."""
    dark = shot(shade=40)
    judge, net = ActorJudge(get_task("actor_swap"), [dark]), generator()
    net.silence()
    with torch.no_grad():  # the residual's gate is closed by `silence`: opened, and the residual darkens
        net.detail.bias[3].fill_(30.0)
        net.detail.bias[:3].fill_(-40.0 / 255.0)
    score = judge(net).values
    assert score["share"] >= 0.5 and score["psnr_db"] > score["source_psnr_db"] + 3.0


def written(frames: np.ndarray, path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.slow
def test_a_bundle_plays_its_actor_and_nobody_else_changes(tmp_path: Path) -> None:
    source = film()[0]
    clip = written(np.concatenate([source, source[::-1]]), tmp_path / "actor.mp4")
    trained = vid2vid.train(clip, "actor_swap", tmp_path / "bundle", steps=2, progress=False)
    assert {"st_lpips", "source_st_lpips", "share"} <= set(trained.metrics)
    assert 3 <= len(trained.bundle.keys) <= 24
    made = vid2vid.translate(source[:6], trained.path, consent="synthetic", progress=False)
    frames = np.stack(list(made.frames))
    report = made.report["task_report"]
    assert report["people"][0]["swapped_frames"] == 6
    assert report["generator"] == ("trained" if trained.metrics["share"] else "none")
    assert np.array_equal(frames[:, :, -80:], source[:6, :, -80:]) and frames.shape == (6, HEIGHT, WIDTH, 3)
    assert not np.array_equal(frames, source[:6])


def test_clips_without_people_teach_nothing(tmp_path: Path) -> None:
    clip = written(np.repeat(np.full((1, 96, 128, 3), 90, np.uint8), 16, 0), tmp_path / "wall.mp4")
    with pytest.raises(vid2vid.InvalidExamples, match="from head to foot"):
        vid2vid.train(clip, "actor_swap", tmp_path / "bundle", steps=1, progress=False)

"""How a look is fitted: presets, where the net starts, and a judge whose numbers are the pictures' own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from vid2vid_tasks.paired import task as paired

from tests.moving import HEIGHT, WIDTH, look, psnr_db, texture
from vid2vid import look_fitting
from vid2vid.backbones import make_generator
from vid2vid.backbones.weights import save_weights
from vid2vid.config import PRESETS as NAMES
from vid2vid.config import TrainConfig
from vid2vid.look_fitting import DEFAULT_MINUTES, JUDGED_SIDE, PRESETS, LookJudge, bundled_trunk, look_lesson, render
from vid2vid.looks import CHANNELS, Aligned, Example
from vid2vid.losses import ShiftTolerantLPIPS

PLAIN = np.eye(3, 4, dtype=np.float32)


def example(height: int = HEIGHT, width: int = WIDTH) -> Example:
    picture = texture(3, height, width)
    return Example(picture, look(picture), (), ())


def aligned(made: Example, validity: int = 255) -> Aligned:
    return Aligned(made.target, made.source, np.full(made.source.shape[:2], validity, np.uint8))


def test_presets_fold_four_two_and_one_pixel() -> None:
    assert tuple(PRESETS) == NAMES
    assert [PRESETS[name].backbone.reduction for name in NAMES] == [4, 2, 1]
    for preset in PRESETS.values():
        assert preset.crop % preset.backbone.multiple_of == 0
        assert not preset.backbone.recurrent and not preset.backbone.textured
    assert paired.backbone == PRESETS["default"].backbone
    assert dict(paired.channels) == dict(CHANNELS)


def test_a_lesson_takes_what_the_config_says_and_the_presets_rest() -> None:
    usual = look_lesson([example()], PLAIN, TrainConfig())
    assert (usual.windows.batch, usual.windows.crop) == (8, 64)  # type: ignore[attr-defined]
    assert (usual.config.minutes, usual.config.steps) == (DEFAULT_MINUTES, None)
    assert usual.judge is None and usual.start == "scratch" and usual.backbone == PRESETS["default"].backbone
    config = TrainConfig(
        preset="fast", steps=5, batch=3, crop=50, seed=4, learning_rate=0.01, device="cpu", precision="no",
        patience_minutes=2.0, judge_every_s=7.0, save_every_s=8.0,
    )  # fmt: skip
    own = look_lesson([example()], PLAIN, config, judged=[(example(), None)], limits=["few"], summary="so")
    assert (own.windows.batch, own.windows.crop, own.windows.seed) == (3, 32, 4)  # type: ignore[attr-defined]
    fit = own.config
    assert (fit.steps, fit.minutes, fit.learning_rate, fit.seed) == (5, None, 0.01, 4)
    assert (fit.device, fit.precision, fit.patience_minutes) == ("cpu", "no", 2.0)
    assert (fit.judge_every_s, fit.save_every_s, fit.perceptual_crop) == (7.0, 8.0, 32)
    assert own.judge is not None and own.limits == ("few",) and own.summary == "so"


@pytest.mark.parametrize("preset", NAMES)
def test_patches_of_small_and_odd_pictures_fit_the_generator(preset: str) -> None:
    lesson = look_lesson([example(50, 61)], PLAIN, TrainConfig(preset=preset, batch=1, steps=1))  # type: ignore[arg-type]
    window = next(lesson.windows.start(0))
    side = window.target.shape[-1]
    assert side == 50 // lesson.net.multiple_of * lesson.net.multiple_of
    with torch.inference_mode():
        assert lesson.net(window.maps[:, 0], window.reference[:, 0]).shape == (1, 3, side, side)


def test_the_start_follows_the_seed() -> None:
    one, two, three = (
        look_lesson([example()], PLAIN, TrainConfig(preset="fast", seed=seed)).net.stem_maps.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two) and not torch.equal(one, three)


def test_it_starts_from_the_trunk_from_a_file_or_from_nothing(tmp_path: Path) -> None:
    torch.manual_seed(8)
    other = make_generator(PRESETS["fast"].backbone, {"source": 3})
    path = tmp_path / "other.safetensors"
    save_weights(other, path)
    wanted = other.trunk.up[0].weight.half().float()

    def lesson(start: str, trunk: Path | None = path, preset: str = "fast"):  # type: ignore[no-untyped-def]
        return look_lesson([example()], PLAIN, TrainConfig(preset=preset, start=start), trunk=trunk)  # type: ignore[arg-type]

    for made, start in ((lesson("trunk"), "trunk"), (lesson(str(path), None), path.name)):
        assert torch.equal(made.net.trunk.up[0].weight, wanted) and made.start == start
    for made in (lesson("scratch"), lesson("trunk", None), lesson("trunk", preset="default")):
        assert made.start == "scratch"
        assert made.net.trunk.up[0].weight.shape != wanted.shape or not torch.equal(made.net.trunk.up[0].weight, wanted)


def test_bundled_trunks_fit_their_presets() -> None:
    for name in NAMES:
        path = bundled_trunk(name)
        if path is not None:
            assert look_lesson([example()], PLAIN, TrainConfig(preset=name), trunk=path).start == "trunk"


def silent(preset: str = "fast"):  # type: ignore[no-untyped-def]
    net = make_generator(PRESETS[preset].backbone, CHANNELS).eval()  # type: ignore[index]
    net.silence()
    return net


def test_rendering_pads_and_cuts_back() -> None:
    made = example(50, 71)
    colours = np.array([[0.5, 0, 0, 0.1], [0, 0.5, 0, 0], [0, 0, 0.9, 0]], np.float32)
    nothing = np.zeros((50, 71, 4), np.float32)
    picture = render(silent(), made.source, np.zeros_like(made.source), nothing, colours)
    wanted = np.clip(made.source / 255.0 @ colours[:, :3].T + colours[:, 3], 0, 1) * 255.0
    assert picture.shape == (50, 71, 3) and picture.dtype == np.uint8
    assert np.abs(picture - wanted).max() <= 0.51


def test_the_judge_measures_the_untouched_source_beside_the_output() -> None:
    made = example()
    judge = LookJudge([(made, None)], PLAIN)
    score = judge(silent())
    values = score.values
    assert values["source_psnr_db"] == pytest.approx(psnr_db(made.source, made.target), abs=0.01)
    tensors = [torch.from_numpy(p).permute(2, 0, 1)[None].float() / 255.0 for p in (made.source, made.target)]
    assert values["source_st_lpips"] == pytest.approx(float(ShiftTolerantLPIPS("alex")(*tensors)), rel=1e-4)
    assert values["psnr_db"] == pytest.approx(values["source_psnr_db"], abs=0.01), "a silent net changes nothing"
    assert values["st_lpips"] == pytest.approx(values["source_st_lpips"], rel=1e-3)
    keyed = LookJudge([(made, aligned(made))], PLAIN)(silent()).values
    assert keyed["source_psnr_db"] == values["source_psnr_db"]
    assert keyed["psnr_db"] > values["psnr_db"] + 6.0, "the key frame comes in"
    assert LookJudge([(made, aligned(made, 0))], PLAIN)(silent()).values["psnr_db"] == pytest.approx(
        values["psnr_db"], abs=0.01
    )
    assert score.sheet is not None and score.sheet.shape[1] > 3 * WIDTH


def test_the_judges_numbers_are_means_over_all_its_pictures() -> None:
    light, dark = example(), replace(example(), target=example().source // 3)
    apart = [LookJudge([(one, None)], PLAIN)(silent()).values for one in (light, dark)]
    both = LookJudge([(light, None), (dark, None)], PLAIN)(silent()).values
    for name, value in both.items():
        assert value == pytest.approx((apart[0][name] + apart[1][name]) / 2, rel=1e-4)


def test_the_judge_looks_where_the_key_explains_least() -> None:
    made = example(400, 500)
    validity = np.full((400, 500), 255, np.uint8)
    validity[300:, 400:] = 0
    source, target, _, reference = look_fitting._cut(made, replace(aligned(made), validity=validity))
    assert source.shape == target.shape == (JUDGED_SIDE, JUDGED_SIDE, 3)
    assert (reference[..., 3] == 0).sum() == 100 * 100
    assert np.array_equal(source, made.source[400 - JUDGED_SIDE :, 500 - JUDGED_SIDE :])

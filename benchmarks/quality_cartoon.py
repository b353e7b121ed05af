"""Cartoon to live on held-out shots in held-out styles: how much of the way back to the live picture is covered.

Every shot is drawn in several styles, rendered without the photographic finish, and compared with the live frames.
Flow and occlusion for the warp error come from the live frames, so that cartoon, output and live share them.

    python -m benchmarks.quality_cartoon --clips CLIPS --out FOLDER [--weights FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch

from benchmarks.direct_render import DirectRenderer
from benchmarks.held_out import HELD_OUT, HeldOutShot, back_and_forth, load, read_listing
from benchmarks.machine import save, table
from benchmarks.pixel_grid import grid_energy
from vid2vid.conditions.flow import FlowEstimator
from vid2vid.losses import ShiftTolerantLPIPS
from vid2vid.metrics import as_tensor, correspond, measure, psnr_db, sharpness, warp_error

if TYPE_CHECKING:
    from vid2vid.types import Picture

    Render = Callable[[Iterable[Picture]], Iterator[Picture]]

_LOG = logging.getLogger(__name__)
STYLE_SEED: Final = 20_260
TARGETS: Final = {"st_ratio": 0.65, "psnr_gain_db": 1.5, "warp_ratio": 1.5}
COLUMNS: Final = [
    "clip", "st_cartoon", "st_output", "st_ratio", "vgg_ratio", "psnr_cartoon", "psnr_output", "psnr_gain_db",
    "warp_cartoon", "warp_output", "warp_live", "warp_ratio", "sharp_cartoon", "sharp_output", "sharp_live", "grid",
]  # fmt: skip
VGG_FRAMES: Final = 2
"""Frames a clip on which the second opinion is taken; VGG costs ten times as much as AlexNet."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is rendered and measured."""

    clips: Path
    shots: tuple[HeldOutShot, ...]
    frames: int
    """Most frames of a shot."""
    styles: int
    short_side: int
    rollout: int
    """Frames of the long closed-loop run; 0 leaves it out."""


def main() -> int:
    """Measures, writes JSON, markdown and a contact sheet; 1 if a target is missed."""
    plan, render, out = _arguments()
    out.mkdir(parents=True, exist_ok=True)
    rows, sheet, rollout = [], [], None
    for number, shot in enumerate(plan.shots):
        live = load(shot, plan.clips, plan.frames, plan.short_side)
        for style in range(plan.styles):
            cartoon = _cartoon(live, number, style)
            output = list(render(cartoon))
            rows.append({"clip": f"{shot.name}/{style}", **_row(cartoon, output, live)})
            _LOG.info("%s", rows[-1])
            middle = len(live) // 2
            sheet.append(np.concatenate((cartoon[middle], output[middle], live[middle]), axis=1))
            if rollout is None and plan.rollout:
                rollout = _rollout(render, cartoon, live, plan.rollout)
    summary = _summary(rows)
    text = f"{table([*rows, {'clip': 'mean', **summary}], COLUMNS)}\n\nRollout: {rollout}\n"
    print(text)
    (out / "quality_cartoon.md").write_text(text)
    settings = {name: value for name, value in dataclasses.asdict(plan).items() if name != "clips"}
    save("quality_cartoon", {"settings": settings, "summary": summary, "rollout": rollout, "rows": rows}, out)
    cv2.imwrite(str(out / "quality_cartoon.png"), _stacked(sheet)[..., ::-1])
    met = _met(summary)
    print("\n".join(f"{name}: {'met' if good else 'MISSED'}" for name, good in met.items()))
    return 0 if all(met.values()) else 1


def _arguments() -> tuple[Plan, Render, Path]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of the clips that the listing names")
    parser.add_argument("--out", type=Path, required=True, help="folder for JSON, markdown and contact sheet")
    parser.add_argument("--listing", type=Path, help="TOML with [[shot]] file, start, stop; default: the project's own")
    parser.add_argument("--weights", type=Path, help="safetensors of a bare generator; default: the installed task")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--styles", type=int, default=4)
    parser.add_argument("--short-side", type=int, default=360)
    parser.add_argument("--rollout", type=int, default=500)
    parser.add_argument("--still", action="store_true", help="without the temporal loop (with --weights only)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(torch.get_num_threads())
    shots = read_listing(given.listing) if given.listing else HELD_OUT
    render = DirectRenderer(given.weights, recurrent=not given.still) if given.weights else _translated
    return Plan(given.clips, shots, given.frames, given.styles, given.short_side, given.rollout), render, given.out


def _translated(frames: Iterable[Picture]) -> Iterator[Picture]:
    """The installed task on frames in memory, without its photographic finish."""
    import vid2vid

    stack = np.stack(list(frames))
    made = vid2vid.translate(stack, task="cartoon_to_photoreal", finish="none", progress=False)
    yield from made.frames


def _cartoon(live: Sequence[Picture], shot: int, style: int) -> list[Picture]:
    from vid2vid_tasks.cartoon_to_photoreal.cartoonise import cartoonise, sample_style

    drawn = sample_style(np.random.default_rng((STYLE_SEED, shot, style)), held_out=True)
    return list(cartoonise(np.stack(live), dataclasses.replace(drawn, nominal_height=live[0].shape[0])))


def _row(cartoon: list[Picture], output: list[Picture], live: list[Picture]) -> dict[str, float | None]:
    found = measure(output, cartoon, live)
    warp_cartoon, warp_output, warp_live = _warp_errors((cartoon, output, live), live)
    st_cartoon, st_output = found.source_st_lpips or float("nan"), found.st_lpips or float("nan")
    psnr_cartoon, psnr_output = found.source_psnr_db or float("nan"), found.psnr_db or float("nan")
    return {
        "frames": len(live),
        "st_cartoon": st_cartoon,
        "st_output": st_output,
        "st_ratio": st_output / st_cartoon,
        "vgg_ratio": _vgg(output, live) / _vgg(cartoon, live),
        "psnr_cartoon": psnr_cartoon,
        "psnr_output": psnr_output,
        "psnr_gain_db": psnr_output - psnr_cartoon,
        "ssim_output": found.ssim,
        "warp_cartoon": warp_cartoon,
        "warp_output": warp_output,
        "warp_live": warp_live,
        "warp_ratio": warp_output / warp_live,
        "sharp_cartoon": found.source_sharpness,
        "sharp_output": found.sharpness,
        "sharp_live": float(np.mean([sharpness(frame) for frame in live])),
        "motion_degree": found.motion_degree,
        "grid": grid_energy(output, cartoon),
    }


def _warp_errors(clips: Sequence[Sequence[Picture]], live: Sequence[Picture]) -> list[float]:
    """E_warp of each clip, all with the flow and the visible pixels of the live one."""
    estimator = FlowEstimator("medium")
    errors: list[list[float]] = [[] for _ in clips]
    for t in range(len(live) - 1):
        seen = correspond(live[t], live[t + 1], estimator)
        for kept, clip in zip(errors, clips, strict=True):
            error = warp_error(clip[t], clip[t + 1], seen)
            kept += [] if error is None else [error]
    return [float(np.mean(kept)) for kept in errors]


def _vgg(pictures: Sequence[Picture], live: Sequence[Picture]) -> float:
    """ST-LPIPS by VGG16 on evenly spread frames: training looked at AlexNet's, which it may have learned to please."""
    places = np.linspace(0, len(live) - 1, VGG_FRAMES).round().astype(int)
    with torch.inference_mode():
        distances = [_second_opinion()(as_tensor(pictures[i]), as_tensor(live[i])) for i in places]
    return float(torch.stack(distances).mean())


_NETWORKS: dict[str, ShiftTolerantLPIPS] = {}


def _second_opinion() -> ShiftTolerantLPIPS:
    if "vgg" not in _NETWORKS:
        _NETWORKS["vgg"] = ShiftTolerantLPIPS("vgg")
    return _NETWORKS["vgg"]


def _rollout(
    render: Render, cartoon: Sequence[Picture], live: Sequence[Picture], count: int
) -> dict[str, float | int | bool]:
    """A long closed loop over the clip played back and forth: does it stay where it began?"""
    wanted = back_and_forth(live, count)
    made = list(render(back_and_forth(cartoon, count)))
    part = min(100, count // 2)
    scores = [psnr_db(output, true) for output, true in zip(made, wanted, strict=True)]
    crisp = [sharpness(output) / sharpness(true) for output, true in zip(made, wanted, strict=True)]
    shift = [abs(float(output.mean()) - float(true.mean())) for output, true in zip(made, wanted, strict=True)]
    first, last = float(np.mean(scores[:part])), float(np.mean(scores[-part:]))
    return {
        "frames": count,
        "psnr_first_db": first,
        "psnr_last_db": last,
        "sharpness_first": float(np.mean(crisp[:part])),
        "sharpness_last": float(np.mean(crisp[-part:])),
        "largest_shift_levels": max(shift),
        "bounded": last > first - 1.0 and max(crisp) < 4.0 and max(shift) < 24.0,
    }


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means over clips; ratios of means, not means of ratios, so that an easy clip does not decide."""
    names = [name for name in rows[0] if name not in ("clip", "frames", "motion_degree")]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in names}
    mean["st_ratio"] = mean["st_output"] / mean["st_cartoon"]
    mean["warp_ratio"] = mean["warp_output"] / mean["warp_live"]
    return mean


def _met(summary: dict[str, float]) -> dict[str, bool]:
    ratio, gain, warp = (summary[name] for name in ("st_ratio", "psnr_gain_db", "warp_ratio"))
    return {
        f"ST-LPIPS {ratio:.3f} of the cartoon's <= {TARGETS['st_ratio']}": ratio <= TARGETS["st_ratio"],
        f"PSNR gain {gain:.2f} dB >= {TARGETS['psnr_gain_db']}": gain >= TARGETS["psnr_gain_db"],
        f"warp error {warp:.2f} of live's <= {TARGETS['warp_ratio']}": warp <= TARGETS["warp_ratio"],
    }


def _stacked(strips: Sequence[Picture]) -> Picture:
    """Strips of different widths above one another on grey."""
    width = max(strip.shape[1] for strip in strips)
    wide = [np.pad(strip, ((0, 2), (0, width - strip.shape[1]), (0, 0)), constant_values=64) for strip in strips]
    return np.concatenate(wide)


if __name__ == "__main__":
    raise SystemExit(main())

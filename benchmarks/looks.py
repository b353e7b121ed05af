"""Looks learned from two to four key frames, measured where no key frame is near.

python -m benchmarks.looks --clips CLIPS --minutes 1 4 --looks comic night charcoal --clip sports2d --sheets DIR

For every clip and look: the untouched source, the affine change of colours, the nearest key frame carried along, two
key frames carried and mixed, and `vid2vid.train()` with `translate()`, from the bundled trunk and from nothing. Results
are added to those in the file, so that runs can be made one at a time; the curve is drawn from all of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch

import vid2vid
from benchmarks.looks_made import LOOKS
from benchmarks.looks_measured import Measure, Scene, baselines, shown
from benchmarks.machine import RESULTS, facts
from vid2vid.composite import resize
from vid2vid.config import PRESETS
from vid2vid.folders import replace_durably
from vid2vid.io import open_source, write_image
from vid2vid.look_fitting import bundled_trunk
from vid2vid.previews import comparison, sheet, write_png

if TYPE_CHECKING:
    from vid2vid.types import Picture

SHEET_ROWS, SHEET_WIDTH = 4, 400


@dataclass(frozen=True, slots=True)
class Passage:
    """Frames of one file, and which of them, counted from the first, are painted."""

    file: str
    start: int
    stop: int
    keys: tuple[int, ...]
    size: tuple[int, int] | None = None
    """Width and height to which frames are shrunk."""


PASSAGES: Final[Mapping[str, Passage]] = {
    "sports2d": Passage("sports2d_demo.mp4", 0, 120, (15, 45, 75, 105), (640, 360)),
    "bikes": Passage("bikes.mp4", 188, 242, (13, 40)),
    "city": Passage("cityCC0.mpg", 117, 190, (12, 36, 60)),
}


def load(passage: Passage, clips: Path) -> Scene:
    """The frames of a passage."""
    with open_source(clips / passage.file) as source:
        frames = [frame.pixels for frame in islice(source, passage.start, passage.stop)]
    width, height = passage.size or (frames[0].shape[1], frames[0].shape[0])
    return Scene([resize(picture, width, height) for picture in frames], passage.keys)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a look is learned."""

    minutes: float
    start: str
    preset: str
    seed: int

    @property
    def name(self) -> str:
        """Under which its results are kept."""
        return f"{self.preset} from {Path(self.start).stem}"


def learn(scene: Scene, truth: Sequence[Picture], settings: Settings) -> tuple[list[Picture], dict[str, Any]]:
    """Trains on the key frames and renders the clip.

    Returns:
        The clip in the look, and how that went.
    """
    with tempfile.TemporaryDirectory(prefix="vid2vid-looks-") as folder:
        place = Path(folder)
        for name in ("clip", "keys/source", "keys/target"):
            (place / name).mkdir(parents=True)
        for number, picture in enumerate(scene.frames):
            write_image(place / f"clip/{number:04}.png", picture)
        for number in scene.keys:
            write_image(place / f"keys/source/{number:04}.png", scene.frames[number])
            write_image(place / f"keys/target/{number:04}.png", truth[number])
        trained = vid2vid.train(
            place / "keys", clip=place / "clip", output=place / "look", minutes=settings.minutes, start=settings.start,
            preset=settings.preset, seed=settings.seed, progress=False,
        )  # fmt: skip
        began = time.perf_counter()
        made = vid2vid.translate(np.stack(scene.frames), trained.path, seed=settings.seed, progress=False)
        told = {
            **asdict(settings),
            "started_from": trained.bundle.recipe["start"],
            "steps": trained.steps,
            "train_s": round(trained.seconds, 1),
            "render_s": round(time.perf_counter() - began, 1),
            "keys_found": [key["frame"] for key in made.report["task_report"]["key_frames"]],
            "scores": [{**asdict(score), "values": dict(score.values)} for score in trained.scores],
        }
        return list(made.frames), told


def run(given: argparse.Namespace, clip: str, look: str) -> None:
    """Measures one look on one clip, and writes results and sheet."""
    scene = load(PASSAGES[clip], given.clips)
    truth = [LOOKS[look](picture) for picture in scene.frames]
    measure = Measure(scene, truth)
    made = baselines(scene, truth)
    results: dict[str, Any] = {}
    for method, frames in made.items():
        results[f"{clip}/{look}/{method}"] = measure(frames)
        print(f"{clip}/{look}/{method}: {shown(results[f'{clip}/{look}/{method}'])}", flush=True)
    keep(given.output, results)
    latest = None
    for minutes in given.minutes:
        for start in given.start:
            if start == "trunk" and bundled_trunk(given.preset) is None:
                print(f"The package has no trunk for preset {given.preset}; skipped.")
                continue
            settings = Settings(minutes, start, given.preset, given.seed)
            frames, told = learn(scene, truth, settings)
            latest = frames if latest is None or start == given.start[0] else latest
            key = f"{clip}/{look}/{settings.name}/{minutes:g} min"
            results = {key: {**measure(frames), **told, "machine": facts()}}
            print(f"{key}: {shown(results[key])}, {told['steps']} steps", flush=True)
            keep(given.output, results)
    if given.sheets is not None:
        given.sheets.mkdir(parents=True, exist_ok=True)
        draw(given.sheets / f"{clip}_{look}.jpg", scene, made["flow"], latest, truth)


def keep(path: Path, results: Mapping[str, Any]) -> None:
    """Adds results to a file; those of the same name are replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text()) if path.is_file() else {}
    rounded = json.loads(json.dumps(results), parse_float=lambda text: float(f"{float(text):.5g}"))
    merged = dict(sorted({**before, **rounded}.items()))
    replace_durably(path, (json.dumps(merged, indent=1) + "\n").encode())


def draw(
    path: Path, scene: Scene, flow: Sequence[Picture], output: Sequence[Picture] | None, truth: Sequence[Picture]
) -> None:
    """A contact sheet of frames far from key frames: source, nearest key frame carried, output, truth."""
    columns = {"source": scene.frames, "nearest key frame carried": flow, "output": output, "truth": truth}
    clips = {title: clip for title, clip in columns.items() if clip is not None}
    moving = sorted(scene.measured, key=lambda number: -float(scene.movers[number].mean()))
    chosen = sorted(moving[:: max(1, len(moving) // (2 * SHEET_ROWS))][:SHEET_ROWS])
    height, width = scene.frames[0].shape[:2]
    size = (SHEET_WIDTH, round(height * SHEET_WIDTH / width))
    page = sheet([[resize(clip[number], *size) for clip in clips.values()] for number in chosen], list(clips))
    cv2.imwrite(str(path), np.ascontiguousarray(page[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])


def curves(path: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Panel -> method -> (minutes, value), from all results in a file; clips with one budget only are left out."""
    wanted = {"st_ratio": "ST-LPIPS over the untouched source's (lower is better)",
              "movers_psnr_db": "PSNR on movers, dB (higher is better)"}  # fmt: skip
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    results = json.loads(path.read_text())
    for key, values in results.items():
        clip, look, method = key.split("/")[:3]
        budgets = {each.get("minutes") for name, each in results.items() if name.startswith(f"{clip}/{look}/")}
        if method in ("source", "affine") or len(budgets) < 3:  # far off, they would press all others together
            continue
        for name, title in wanted.items():
            if values.get(name) is not None:
                panel = panels.setdefault(f"{clip}, {look}: {title}", {})
                panel.setdefault(method, []).append((float(values.get("minutes", 0.0)), float(values[name])))
    return {title: {name: sorted(points) for name, points in lines.items()} for title, lines in panels.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of clips")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1.0, 4.0], help="none measures the rest alone")
    parser.add_argument("--looks", nargs="+", choices=LOOKS, default=list(LOOKS))
    parser.add_argument("--clip", nargs="+", choices=PASSAGES, default=list(PASSAGES))
    parser.add_argument("--preset", choices=PRESETS, default="default")
    parser.add_argument("--start", nargs="+", default=["trunk", "scratch"], help="trunk, scratch or a file of weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS / "looks.json")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets and the curve")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    for clip in given.clip:
        for look in given.looks:
            run(given, clip, look)
    if given.sheets is not None:
        write_png(given.sheets / "looks_over_minutes.png", comparison(curves(given.output)))


if __name__ == "__main__":
    main()

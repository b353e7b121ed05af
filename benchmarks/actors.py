"""Actors playing the last fifth of their own clips, which nothing learned from.

`python -m benchmarks.actors --clips DIR`

Driven by the clip's own skeleton, told as a drawn figure would tell it. Compared with the clip: the last learned frame
repeated, the empty scene, views moved into the pose, and the bundled net over them, in closed loop. Person figures are
of the box around the person.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch
from vid2vid_tasks.sketch_to_scene import task
from vid2vid_tasks.sketch_to_scene.train import LEARNED, ROLES, find_roles, read_clip

from benchmarks.machine import save
from vid2vid.backbones import build
from vid2vid.composite import to_pictures, to_tensor
from vid2vid.conditions.flow import FlowEstimator
from vid2vid.conditions.motion import MotionTracker
from vid2vid.losses import ShiftTolerantLPIPS
from vid2vid.metrics import as_tensor, correspond, psnr_db, warp_error
from vid2vid.motion.actor import Actor
from vid2vid.motion.plate import compose, limb_map
from vid2vid.motion.puppet import Puppet
from vid2vid.motion.skeleton import STICK_IN_BODY
from vid2vid.pipeline import pad_conditions
from vid2vid.previews import sheet, write_png
from vid2vid.registry import weights_path
from vid2vid.types import Chunk, Conditions, Request, VideoInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from vid2vid_tasks.sketch_to_scene.rehearsal import Role

    from vid2vid.types import Picture

MARGIN: Final = 0.08
"""Around the person's box, in standing heights."""
MOST_VIEWS: Final = 24


def play(role: Role, first: int) -> Iterator[tuple[Picture, Picture, NDArray[np.float32], int]]:
    """Staged picture, limb map, cover and number of every frame from `first` on in which the person is whole."""
    numbers = [number for number in role.views if number < first]
    spread = np.unique(np.linspace(0, len(numbers) - 1, min(MOST_VIEWS, len(numbers))).round().astype(int))
    height = float(np.median([person.height for person in role.people if person is not None]))
    size = (role.plate.shape[1], role.plate.shape[0])
    actor = Actor("own clip", tuple(role.views[numbers[int(place)]] for place in spread), role.height)
    puppet = Puppet(actor, height, size)
    for number in range(first, len(role.frames)):
        person = role.people[number]
        if person is None:
            continue
        joints = np.asarray(person.joints[list(STICK_IN_BODY)], np.float32)
        ground = float(person.joints[[11, 14], 1].max())
        layer = puppet.pose(joints, 1.0 if person.facing >= 0 else -1.0, ground)
        picture = compose(role.plate, [layer], ground=np.array([ground, 0.0], np.float32))
        yield picture, limb_map(layer.joints, height, size), layer.coverage, number


def refined(staged: Sequence[tuple[Picture, Picture, NDArray[np.float32], int]], weights: Path) -> list[Picture]:
    """The bundled net over staged pictures, as `translate()` runs it."""
    backbone = build(task.backbone, task.channels, weights=weights, device=torch.device("cpu"))
    height, width = staged[0][0].shape[:2]
    info = VideoInfo(width, height, Fraction(30), len(staged), "array")
    state = backbone.start(Request(info, width, height, options=None))
    tracker = MotionTracker()
    made = []
    for index, (picture, limbs, cover, _) in enumerate(staged):
        frames = to_tensor([picture])
        maps = {"source": frames, "limbs": to_tensor([limbs]), "cover": torch.from_numpy(cover)[None, None]}
        conditions = Conditions(maps, motion=tracker([picture], frozenset()))
        padded = pad_conditions(conditions, backbone.multiple_of)
        output, state = backbone.step(Chunk(frames, index), padded, state)
        made += to_pictures(output[..., :height, :width])
    return made


class Measure:
    """PSNR and ST-LPIPS of whole frames and of the person, and the warp error."""

    def __init__(self, role: Role, numbers: Sequence[int]) -> None:
        self.truth = [role.frames[number] for number in numbers]
        self.boxes = [_box(role, number) for number in numbers]
        self.distance = ShiftTolerantLPIPS("alex")

    def __call__(self, frames: Sequence[Picture]) -> dict[str, float]:
        """Means over the frames."""
        pairs = list(zip(frames, self.truth, self.boxes, strict=True))
        person = [(made[box], true[box]) for made, true, box in pairs]
        with torch.inference_mode():
            apart = [float(self.distance(as_tensor(a), as_tensor(b)).mean()) for a, b in person[::3]]
            whole = [float(self.distance(as_tensor(a), as_tensor(b)).mean()) for a, b, _ in pairs[::3]]
        return {
            "psnr_db": float(np.mean([psnr_db(made, true) for made, true, _ in pairs])),
            "person_psnr_db": float(np.mean([psnr_db(made, true) for made, true in person])),
            "st_lpips": float(np.mean(whole)),
            "person_st_lpips": float(np.mean(apart)),
            "warp_error_e4": 1e4 * _warp(frames),
        }


def _box(role: Role, number: int) -> tuple[slice, slice]:
    person = role.people[number]
    assert person is not None
    margin = MARGIN * person.height
    left, top = (max(0, int(side - margin)) for side in person.box[:2])
    right, bottom = (int(side + margin) for side in person.box[2:])
    return slice(top, bottom), slice(left, right)


def _warp(frames: Sequence[Picture]) -> float:
    flow = FlowEstimator("fast")
    errors = [warp_error(one, other, correspond(one, other, flow)) for one, other in pairwise(frames)]
    return float(np.mean([error for error in errors if error is not None]))


def measure(name: str, role: Role, weights: Path | None, sheets: Path | None) -> Mapping[str, dict[str, float]]:
    """All methods on one role."""
    first = round(LEARNED * len(role.frames))
    staged = list(play(role, first))
    numbers = [number for *_, number in staged]
    compare = Measure(role, numbers)
    last = max(number for number in range(first) if role.people[number] is not None)
    methods = {"last learned frame": [role.frames[last]] * len(numbers), "empty scene": [role.plate] * len(numbers)}
    methods["views moved"] = [picture for picture, *_ in staged]
    if weights is not None:
        methods["views moved, net"] = refined(staged, weights)
    methods["truth"] = compare.truth
    results = {method: compare(frames) for method, frames in methods.items()}
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
        chosen = np.linspace(0, len(numbers) - 1, 4).round().astype(int)
        shown = {method: frames for method, frames in methods.items() if method not in ("empty scene",)}
        rows = [[_fitted(frames[i][compare.boxes[i]]) for frames in shown.values()] for i in chosen]
        write_png(sheets / f"{name}.png", sheet(rows, list(shown)))
    return results


def _fitted(picture: Picture) -> Picture:
    scale = min(260 / picture.shape[1], 380 / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    page = np.full((380, 260, 3), 40, np.uint8)
    page[: small.shape[0], : small.shape[1]] = small
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of live clips")
    parser.add_argument("--weights", type=Path, help="of the net; the bundled ones without it")
    parser.add_argument("--name", default="actors", help="of the results")
    parser.add_argument("--only", nargs="*", help="names of clips")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    given = parser.parse_args(arguments)
    weights = given.weights or weights_path(task)
    clips = {path.stem: path for path in sorted(given.clips.iterdir())}
    results: dict[str, Any] = {}
    for name, count in ROLES:
        if given.only and name not in given.only:
            continue
        for number, role in enumerate(find_roles(read_clip(clips[name], share=1.0), count)):
            whole = sum(person is not None for person in role.people[round(LEARNED * len(role.frames)) :])
            if whole < 3:
                print(f"{name}/{number}: seen in {whole} of the last frames; skipped")
                continue
            results[f"{name}/{number}"] = measure(f"{name}_{number}", role, weights, given.sheets)
            for method, values in results[f"{name}/{number}"].items():
                print(name, number, method, {key: round(value, 4) for key, value in values.items()}, flush=True)
    save(given.name, results)


if __name__ == "__main__":
    main()

"""Diffusing a few key frames and carrying them, against diffusing every frame, with one and the same image pipeline.

python -m benchmarks.keyframes --clip CLIP --frames 48 --height 128 [--model FOLDER] [--fit-minutes 0 0.5]

Without `--model` a pipeline with random weights is made, `--channels` wide: its pictures mean nothing, so only what
does not depend on them is measured. Denoiser evaluations (pictures times steps), seconds, and the warp error beside the
source's own. Ways: every frame by itself from the same noise; `diffusers:`, the package's stream with attention across
frames and warped latents; `keyframes:`, carried along (fit 0) and fitted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

import vid2vid
from benchmarks.machine import RESULTS, facts
from vid2vid.backbones.diffusion.gathering import gather
from vid2vid.backbones.diffusion.joint import diffuse_together, evaluations
from vid2vid.backbones.diffusion.loading import load_model
from vid2vid.backbones.diffusion.options import DiffusionOptions
from vid2vid.composite import resize, to_pictures, to_tensor
from vid2vid.folders import replace_durably
from vid2vid.io import open_source
from vid2vid.types import Chunk, Conditions, Request

TASK: Final = "cartoon_to_photoreal"
SETTINGS: Final[dict[str, Any]] = {"steps": 8, "denoise": 0.5, "guidance": 2.0}
PROMPT: Final = "a photograph"


def main() -> None:
    """Measures from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--model", type=Path, help="folder of an image pipeline in hub format")
    parser.add_argument("--channels", type=int, default=64, help="of the random pipeline's first level")
    parser.add_argument("--keys", type=int, default=4)
    parser.add_argument("--fit-minutes", type=float, nargs="*", default=[0.0, 0.5])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    clip = read(given.clip, given.start, given.frames, given.height)
    with tempfile.TemporaryDirectory(prefix="vid2vid-benchmark-") as folder:
        model = given.model or random_pipeline(Path(folder) / "model", given.channels)
        rows = {"every frame by itself": every_frame(clip, model), "diffusers": streamed(clip, model)}
        for minutes in given.fit_minutes:
            rows[f"keyframes, fit {minutes:g} min"] = keyed(clip, model, given.keys, minutes)
    measured = {name: measure(clip, *row) for name, row in rows.items()}
    for name, values in measured.items():
        print(name, json.dumps(values))
    shape = {"clip": given.clip.name, "frames": len(clip), "size": list(clip.shape[2:0:-1])}
    result = {**shape, "settings": SETTINGS, "model": given.model and given.model.name, "channels": given.channels}
    content = json.dumps({**result, "machine": facts(), "ways": measured}, indent=1) + "\n"
    replace_durably(RESULTS / "keyframes.json", content.encode())


def read(path: Path, start: int, count: int, height: int) -> np.ndarray:
    """`(T, H, W, 3)` uint8."""
    with open_source(path) as source:
        width = round(source.info.width * height / source.info.height / 8) * 8
        return np.stack([resize(frame.pixels, width, height) for frame in islice(source, start, start + count)])


def random_pipeline(folder: Path, channels: int) -> Path:
    """A Stable Diffusion pipeline with random weights, so wide that its denoiser is what costs time."""
    diffusers, tiny = (importlib.import_module(name) for name in ("diffusers", "tests.diffusion.tiny"))
    unet = tiny.image_unet(block_out_channels=(channels, 2 * channels), attention_head_dim=8, norm_num_groups=8)
    pipe = diffusers.StableDiffusionPipeline(**tiny.image_parts(unet), requires_safety_checker=False)
    pipe.save_pretrained(folder)
    return folder


def every_frame(clip: np.ndarray, model: Path) -> tuple[np.ndarray, int, float]:
    """Each frame apart, all from the same noise: no frame knows of another."""
    began = time.perf_counter()
    loaded = load_model(
        f"diffusers:{model}", DiffusionOptions(**SETTINGS), device=torch.device("cpu"), dtype="float32", prompt=PROMPT
    )
    info = open_source(clip).info
    request = Request(info, info.width, info.height, None)
    made, count = [], 0
    for t, picture in enumerate(clip):
        chunk = Chunk(to_tensor([picture]), t)
        brief = gather(chunk, Conditions({"source": chunk.frames}), 0, 1, loaded.wanted).brief(loaded, request)
        made += to_pictures(diffuse_together(loaded, brief).pictures)
        count += evaluations(loaded, brief)
    height, width = clip.shape[1:3]
    return np.stack([picture[:height, :width] for picture in made]), count, time.perf_counter() - began


def streamed(clip: np.ndarray, model: Path) -> tuple[np.ndarray, int | None, float]:
    """What the package does with an image model frame by frame."""
    began = time.perf_counter()
    made = vid2vid.translate(
        clip, TASK, backbone=f"diffusers:{model}", prompt=PROMPT, finish="none", **same(), **SETTINGS
    )
    steps = int(SETTINGS["steps"] * SETTINGS["denoise"])
    return made.frames, len(clip) * steps * 2, time.perf_counter() - began


def keyed(clip: np.ndarray, model: Path, keys: int, minutes: float) -> tuple[np.ndarray, int, float]:
    """Key frames diffused together, the others carried."""
    began = time.perf_counter()
    words = {**same(), **SETTINGS, "most_keys": keys, "fit_minutes": minutes}
    made = vid2vid.translate(clip, TASK, backbone=f"keyframes:{model}", prompt=PROMPT, **words)
    told = made.report["task_report"]["diffused"]
    print(told)
    return made.frames, told["evaluations"], time.perf_counter() - began


def same() -> dict[str, Any]:
    """Words of every call."""
    return {"device": "cpu", "dtype": "float32", "progress": False}


def measure(clip: np.ndarray, made: np.ndarray, count: int | None, seconds: float) -> dict[str, Any]:
    """Evaluations, seconds and what `evaluate()` says of steadiness and sharpness."""
    found = vid2vid.evaluate(made, source=clip)
    return {
        "evaluations": count,
        "seconds": round(seconds, 2),
        "warp_error_1e3": round(1e3 * found.warp_error, 3),
        "source_warp_error_1e3": round(1e3 * (found.source_warp_error or 0.0), 3),
        "sharpness": round(found.sharpness, 1),
        "motion_degree": found.motion_degree and round(found.motion_degree, 3),
    }


if __name__ == "__main__":
    main()

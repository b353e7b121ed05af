"""Looks at what this machine offers: libraries, devices, memory, codecs, and whether the bundled tasks can run."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from vid2vid.errors import Vid2VidError
from vid2vid.registry import get_task, task_names, weights_path

Status = Literal["ok", "warn", "fail"]
_MIN_MEMORY_GB, _MIN_DISK_GB = 3.0, 2.0
_GIB = 1024**3
_REQUIRED = (
    "numpy",
    "scipy",
    "av",
    "decord",
    "opencv-python-headless",
    "kornia",
    "accelerate",
    "diffusers",
    "transformers",
    "ftfy",
    "lpips",
    "safetensors",
    "pyloudnorm",
)
_CODECS: tuple[tuple[str, Literal["r", "w"], Status, str], ...] = (
    ("libx264", "w", "fail", "MP4 cannot be written"), ("aac", "w", "fail", "sound cannot be encoded"),
    ("h264", "r", "fail", "most videos cannot be read"), ("vp9", "r", "warn", "WebM with VP9 cannot be read"),
    ("libvpx-vp9", "w", "warn", "WebM cannot be written"), ("libdav1d", "r", "warn", "AV1 cannot be read"),
    ("libsvtav1", "w", "warn", "AV1 cannot be written"),
)  # fmt: skip
_EXTRAS = (
    ("openvino", "openvino", "faster on CPUs with engine='openvino'"),
    ("stlpips_pytorch", "metrics", "perceptual distance in evaluate()"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    status: Status
    """`fail` only where something that vid2vid needs is missing."""
    found: str
    next_step: str = ""
    """What to do about it; empty where all is well."""


def examine() -> tuple[Check, ...]:
    """Looks at everything, in the order a person would ask; loads torch and PyAV."""
    return (
        _python(),
        *_libraries(),
        *_torch(),
        _memory(),
        _disk(Path.cwd(), "disk here"),
        _disk(Path(tempfile.gettempdir()), "disk for temporary files"),
        _codecs(),
        *_extras(),
        *_diffusion(),
        *_tasks(),
    )


def _python() -> Check:
    found = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    supported = sys.version_info >= (3, 11)
    return Check("python", "ok" if supported else "fail", found, "" if supported else "Install Python 3.11 or newer.")


def _libraries() -> Iterator[Check]:
    """One line for all that are there, one for each that is missing."""
    present = []
    for name in _REQUIRED:
        try:
            present.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Check(name, "fail", "not installed", f"pip install {name}")
    yield Check("libraries", "ok", ", ".join(present))


def _torch() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", "fail", f"cannot be imported: {error}", "pip install 'torch>=2.6' torchvision")
        return
    from vid2vid.backbones import default_dtype

    kind = default_dtype(torch.device("cpu"))
    capability = torch.backends.cpu.get_cpu_capability()
    found = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores, {capability}"
    yield Check("torch", "ok", found)
    yield Check(
        "cpu number format",
        "ok",
        f"{kind} (the default here)"
        + ("" if kind == "bfloat16" else "; this CPU has no native bfloat16, which would be about twice as fast"),
    )
    if not torch.cuda.is_available():
        yield Check("gpu", "ok", "none; everything runs on the CPU")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found = f"cuda:{index} {torch.cuda.get_device_name(index)}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
        yield Check("gpu", "ok", found)


def _memory() -> Check:
    available = _available_memory()
    if available is None:
        return Check("memory", "ok", "this system does not tell")
    enough = available >= _MIN_MEMORY_GB * _GIB
    return Check(
        "memory",
        "ok" if enough else "warn",
        f"{available / _GIB:.1f} GiB available",
        "" if enough else "Close other programs, or render with a smaller --size.",
    )


def _available_memory() -> int | None:
    """Bytes that a program can still take without swapping; None where the system has no such number."""
    table = Path("/proc/meminfo")
    if not table.exists():
        return None
    rows = (line.split() for line in table.read_text(encoding="ascii").splitlines())
    return next((int(row[1]) * 1024 for row in rows if row[0] == "MemAvailable:"), None)


def _disk(folder: Path, name: str) -> Check:
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return Check(name, "warn", f"{folder} may not be written", "Give --output in a folder of your own.")
    enough = free >= _MIN_DISK_GB * _GIB
    return Check(
        name,
        "ok" if enough else "warn",
        f"{free / _GIB:.1f} GiB free in {folder}",
        "" if enough else "Free some space, or give --output on another disk.",
    )


def _codecs() -> Check:
    """What the FFmpeg inside PyAV can read and write."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    present, missing = [], []
    for name, mode, gravity, loss in _CODECS:
        try:
            Codec(name, mode)
            present.append(name)
        except UnknownCodecError:
            missing.append((gravity, f"{name} ({loss})"))
    if not missing:
        return Check("codecs", "ok", ", ".join(present))
    status: Status = "fail" if any(gravity == "fail" for gravity, _ in missing) else "warn"
    return Check(
        "codecs",
        status,
        f"missing: {', '.join(text for _, text in missing)}",
        "pip install --force-reinstall --only-binary av av",
    )


def _extras() -> Iterator[Check]:
    for module, extra, use in _EXTRAS:
        if importlib.util.find_spec(module):
            yield Check(module, "ok", f"installed: {use}")
        else:
            yield Check(module, "warn", f"not installed: {use}", f"pip install 'vid2vid[{extra}]'")


def _diffusion() -> Iterator[Check]:
    """Which families of pretrained models fit here, and which models are here already."""
    import torch

    from vid2vid.backbones.diffusion.family import family_names, get_family
    from vid2vid.backbones.diffusion.hub import models_here
    from vid2vid.backbones.diffusion.memory import family_needs

    gpu = torch.cuda.is_available()
    free = torch.cuda.mem_get_info()[0] if gpu else _available_memory()
    free_mb = None if free is None else free / 1e6
    whole: list[str] = []
    offloaded: list[str] = []
    beyond: list[str] = []
    for name in family_names():
        needed, least = family_needs(get_family(name))
        # In main memory weights are float32 and nothing can wait elsewhere.
        needed, least = (needed, least) if gpu else (2.0 * needed, 2.0 * needed)
        fits = whole if free_mb is None or needed <= free_mb else offloaded if least <= free_mb else beyond
        fits.append(f"{name} {needed / 1e3:.0f} GB")
    told = (("fit", whole), ("fit with offload", offloaded), ("need a smaller size= or window= here", beyond))
    found = "; ".join(f"{what}: {', '.join(names)}" for what, names in told if names)
    where = "GPU" if gpu else "CPU alone, where a window takes minutes to hours"
    yield Check("diffusion families", "ok", f"{found} ({where})")
    models = ", ".join(models_here()) or "none fetched; backbone='diffusers:<hub id>' fetches one"
    yield Check("diffusion models", "ok", models)


def _tasks() -> Iterator[Check]:
    if not task_names():
        yield Check("tasks", "fail", "no task is installed", "pip install vid2vid")
    for name in task_names():
        yield _task(name)


def _task(name: str) -> Check:
    """Loads a task and, where weights came with it, its generator: names, shapes and finite values are checked."""
    try:
        task = get_task(name)
        weights = weights_path(task)
        if weights is None and task.backbone.weights is not None:
            return Check(
                f"task {name}",
                "warn",
                f"its weights file {task.backbone.weights} is missing",
                "Reinstall the package that owns the task; until then its generator is untrained.",
            )
        if weights is None:
            return Check(f"task {name}", "ok", "works without weights")
        import torch

        from vid2vid.backbones import build

        build(task.backbone, task.channels, weights=weights, device=torch.device("cpu"))
    except Vid2VidError as error:
        return Check(f"task {name}", "fail", str(error), "Reinstall the package that owns the task.")
    return Check(f"task {name}", "ok", f"weights load and are finite ({weights.stat().st_size / 1e6:.1f} MB)")

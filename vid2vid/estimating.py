"""How long a render would take on this machine, from a trial of a few seconds."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vid2vid.config import RenderConfig
from vid2vid.errors import InvalidOption
from vid2vid.io import VideoWriter
from vid2vid.render import Call, Plan, frame_total, make_plan, run
from vid2vid.types import Estimate

if TYPE_CHECKING:
    from vid2vid.render import Outcome
    from vid2vid.task import Task
    from vid2vid.types import Frame, Picture

TRIAL_S: Final = 8.0
"""Seconds after which the trial stops."""
WARM_UP_FRAMES: Final = 12
"""Frames at the start that are left out: engines and caches settle."""
LEAST_FRAMES: Final = 36
"""Frames that the trial renders at least, where there are so many."""
DOUBT: Final = 0.15
"""Half width of the range where the trial itself was perfectly steady: later scenes may cost more or less."""
_CONFIG: Final = ("size", "device", "dtype", "engine", "seed", "strength", "strict")
_CALL: Final = ("reference", "prompt", "backbone", "audio", "consent", "fps", "stream")
TRIAL_FIT_MINUTES: Final = 0.05
_IGNORED: Final = ("output", "overwrite", "resume", "progress", "events", "stems")


def estimate_call(video: Any, task: str | Path | Task[Any], words: Mapping[str, Any]) -> Estimate:
    """See `vid2vid.api.estimate`."""
    config = RenderConfig(progress=False, **{name: words[name] for name in _CONFIG if name in words})
    options = {name: value for name, value in words.items() if name not in (*_CONFIG, *_CALL, *_IGNORED)}
    call = Call(video, task, options=options, **{name: words[name] for name in _CALL if name in words})
    plan, saved_s = _with_short_fit(make_plan(call, config))
    with plan.source, tempfile.TemporaryDirectory(prefix="vid2vid-estimate-") as folder:
        return _Trial(plan, Path(folder) / "trial.mp4", saved_s).estimate()


def _with_short_fit(plan: Plan) -> tuple[Plan, float]:
    """A task's option `minutes` says how long it fits before it renders: the trial takes less, and adds the rest."""
    minutes = getattr(plan.request.options, "minutes", None)
    if not isinstance(minutes, float) or minutes <= TRIAL_FIT_MINUTES or plan.bundle or not plan.request.references:
        return plan, 0.0
    options = replace(plan.request.options, minutes=TRIAL_FIT_MINUTES)
    shortened = replace(plan, request=replace(plan.request, options=options))
    return shortened, 60.0 * (minutes - TRIAL_FIT_MINUTES)


class _Trial:
    """Renders the beginning of the clip and notes when each frame was finished."""

    def __init__(self, plan: Plan, place: Path, saved_s: float = 0.0) -> None:
        self._plan, self._place, self._saved_s = plan, place, saved_s
        self._finished: list[float] = []
        self._began = 0.0

    def estimate(self) -> Estimate:
        plan = self._plan
        total = frame_total(plan.source)
        if total is None:
            raise InvalidOption("The source does not tell how many frames it has, so no estimate can be made.")
        info = plan.source.info
        self._began = time.perf_counter()
        with VideoWriter(self._place, width=info.width, height=info.height, fps=info.fps) as writer:

            def write(picture: Picture, frame: Frame) -> None:
                writer.write(picture, Fraction(frame.index) / info.fps)
                self._finished.append(time.perf_counter())

            outcome = run(plan, write, frames=self._beginning())
        if int(outcome.model.get("window", 1)) > 1:
            return self._by_windows(total, outcome)
        overhead = self._finished[0] - self._began + self._saved_s
        per_frame, spread = self._pace()
        seconds = overhead + per_frame * max(0, total - 1)
        doubt = DOUBT + spread
        return Estimate(
            frames=total,
            seconds=seconds,
            low_s=float(seconds * max(0.1, 1.0 - doubt)),
            high_s=float(seconds * (1.0 + doubt)),
            peak_memory_mb=peak_memory_mb(),
            output_mb=self._place.stat().st_size / 1e6 * total / len(self._finished),
            fps=1.0 / per_frame,
            note=self._note(total, doubt),
        )

    def _by_windows(self, total: int, outcome: Outcome) -> Estimate:
        """Of a model that hands frames out a window at a time: one window was tried, shared frames are made twice."""
        window, overlap, tried = int(outcome.model["window"]), int(outcome.model["overlap"]), len(self._finished)
        pace = outcome.render_s / tried
        windows = max(1, -(-(total - overlap) // (window - overlap)))
        seconds = outcome.setup_s + pace * (total + (windows - 1) * overlap)
        return Estimate(
            frames=total,
            seconds=seconds,
            low_s=seconds * (1.0 - 2 * DOUBT),
            high_s=seconds * (1.0 + 2 * DOUBT),
            peak_memory_mb=peak_memory_mb(),
            output_mb=self._place.stat().st_size / 1e6 * total / tried,
            fps=total / max(seconds - outcome.setup_s, 1e-9),
            note=f"From one window of {tried} frames; the film takes {windows} windows of {window}.",
        )

    def _beginning(self) -> Any:
        """Frames until the time is up, but enough to judge by; of a model that works in windows, one of them."""
        if self._plan.pretrained is not None and (window := self._plan.pretrained.window()) > 1:
            yield from islice(self._plan.source, window)
            return
        started: float | None = None
        for number, frame in enumerate(self._plan.source):
            yield frame
            started = started or time.perf_counter()
            if number + 1 >= LEAST_FRAMES and time.perf_counter() - started > TRIAL_S:
                return

    def _pace(self) -> tuple[float, float]:
        """Seconds a frame once settled, and the relative spread between parts of the trial."""
        times = np.array(self._finished)
        settled = times[min(WARM_UP_FRAMES, len(times) // 3) :]
        if len(settled) < 3:
            return float(times[-1] - self._began) / len(times), 0.5
        parts = [part for part in np.array_split(settled, min(4, len(settled) // 2)) if len(part) > 1]
        paces = [(part[-1] - part[0]) / (len(part) - 1) for part in parts]
        pace = float(settled[-1] - settled[0]) / (len(settled) - 1)
        return pace, float(np.std(paces) / max(pace, 1e-9)) / np.sqrt(len(paces))

    def _note(self, total: int, doubt: float) -> str:
        tried = len(self._finished)
        if tried >= total:
            return f"The whole clip was rendered as a trial ({tried} frames)."
        return (
            f"From a trial of {tried} of {total} frames at the clip's beginning; likely within {doubt:.0%} "
            "if the machine stays as busy as now."
        )


def peak_memory_mb() -> float:
    """Most memory this process has held so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6

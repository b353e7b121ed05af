"""Where finished frames go: a video file, a picture file, or memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vid2vid.io import PICTURES, VideoWriter, write_image
from vid2vid.scoring import MADE, Score, Wish
from vid2vid.types import VideoInfo

if TYPE_CHECKING:
    from vid2vid.render import Outcome, Plan
    from vid2vid.types import Frame, Picture


class Sink(Protocol):
    """Takes finished frames in order."""

    def write(self, picture: Picture, frame: Frame) -> None:
        """Takes the next `(H, W, 3)` uint8 picture, made from `frame`."""

    def hear(self, outcome: Outcome) -> None:
        """Takes what happened in the picture, after the last frame and before the sink is left."""

    def info(self, frames: int) -> VideoInfo:
        """Describes the result, of so many frames."""

    def kept(self) -> Any:
        """Frames kept in memory, or None."""

    def audio(self) -> dict[str, Any]:
        """What became of the sound, and why; for a sound that was made, also what it measures."""


@contextmanager
def open_sink(plan: Plan, target: Path | None, overwrite: bool, wish: Wish) -> Iterator[Sink]:
    """Opens the place for a plan's frames; a file appears at its name only on a clean exit."""
    if target is None:
        yield MemorySink(plan)
    elif target.suffix.lower() in PICTURES:
        sink = PictureSink(plan, target)
        yield sink
        sink.save()
    else:
        with Score(plan, target, wish) as score, _writer(plan, target, overwrite, score) as writer:
            yield FileSink(plan, target, writer, score)


def _writer(plan: Plan, target: Path, overwrite: bool, score: Score) -> VideoWriter:
    info = plan.source.info
    sound = info.path if info.kind == "file" and info.has_audio and plan.audio in ("keep", "mix") else None
    return VideoWriter(
        target,
        width=info.width,
        height=info.height,
        fps=info.fps,
        time_base=plan.source.time_base,
        audio_from=sound,
        compose=score.compose if plan.audio in MADE else None,
        overwrite=overwrite,
        sample_aspect=plan.source.sample_aspect,
    )


class FileSink:
    """Encodes into a video file."""

    def __init__(self, plan: Plan, target: Path, writer: VideoWriter, score: Score) -> None:
        self._plan, self._target, self._writer, self._score = plan, target, writer, score

    def write(self, picture: Picture, frame: Frame) -> None:
        """Encodes the next picture at its source frame's time."""
        self._writer.write(picture, frame.time_s)

    def hear(self, outcome: Outcome) -> None:
        """Hands the events on to where the sound is made."""
        self._score.hear(outcome.events, outcome.ground)

    def info(self, frames: int) -> VideoInfo:
        """The file written."""
        source = self._plan.source.info
        sound = self._writer.audio.action != "none"
        return VideoInfo(source.width, source.height, source.fps, frames, "file", self._target, sound)

    def kept(self) -> Any:
        """Nothing stays in memory."""
        return None

    def audio(self) -> dict[str, Any]:
        """As the writer and the score tell."""
        outcome = self._writer.audio
        return {"action": outcome.action, "reason": outcome.reason, **self._score.facts}


class MemorySink:
    """Keeps the frames, for callers who came with frames."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pictures: list[Picture] = []

    def write(self, picture: Picture, frame: Frame) -> None:
        """Keeps the next picture."""
        self._pictures.append(picture)

    def hear(self, outcome: Outcome) -> None:
        """Nothing sounds here."""

    def info(self, frames: int) -> VideoInfo:
        """Like the source."""
        return replace(self._plan.source.info, frame_count=frames)

    def kept(self) -> Any:
        """`(T, H, W, 3)` uint8, or `(T, 3, H, W)` float32 where a tensor came in."""
        stacked = np.stack(self._pictures)
        if self._plan.source.info.kind != "tensor":
            return stacked
        import torch

        return torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div_(255.0)

    def audio(self) -> dict[str, Any]:
        """Frames in memory have none."""
        return {"action": "none", "reason": "frames in memory have no sound"}


class PictureSink(MemorySink):
    """Writes the one picture of an image."""

    def __init__(self, plan: Plan, target: Path) -> None:
        super().__init__(plan)
        self._target = target

    def save(self) -> None:
        """Writes the picture; it appears at its name at once and whole."""
        write_image(self._target, self._pictures[0])

    def kept(self) -> Any:
        """The file holds it."""
        return None

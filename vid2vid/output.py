"""Where finished frames go: a video file made of journalled segments, a file written in one go, a picture, or memory.

Whatever becomes a file is marked frame by frame, and signed when it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from vid2vid.io import PICTURES, VideoWriter, write_image
from vid2vid.io.audio import AudioOutcome
from vid2vid.io.output import check_room, muxer_for, sweep
from vid2vid.io.segments import Film, SegmentWriter, join_segments
from vid2vid.journal import Call, Journal
from vid2vid.provenance import Facts
from vid2vid.render import frame_total
from vid2vid.scoring import MADE, Score, Wish
from vid2vid.sealing import Seal
from vid2vid.types import VideoInfo

if TYPE_CHECKING:
    from vid2vid.pipeline import Keeping
    from vid2vid.render import Outcome, Plan
    from vid2vid.stepping import Standing
    from vid2vid.types import Frame, Picture

SEGMENT_S: Final = 6.0
"""Seconds of film in a segment at its nominal rate: what is lost at most when a render is killed."""
SEGMENT_FRAMES: Final = (8, 600)
"""Frames of a segment at least and at most, however slow or fast they follow each other."""
LEAST_BYTES: Final = 0.001
"""Bytes a pixel that even a still film takes once encoded; busy ones take twenty times as many."""
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a render goes, and what is known of it by then."""

    target: Path | None
    """The file; None keeps frames in memory."""
    overwrite: bool
    resume: bool
    wish: Wish
    facts: Facts
    call: Call


class Sink(Protocol):
    """Takes finished frames in order."""

    @property
    def keeping(self) -> Keeping | None:
        """How the render is kept, and where it goes on; None for one that starts anew whenever it is interrupted."""

    @property
    def journal(self) -> Journal | None:
        """Where it is kept."""

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

    def marks(self) -> Mapping[str, Any]:
        """Whether and how the result is marked and signed."""

    def resumed(self) -> Mapping[str, Any]:
        """How much an earlier render had finished, or nothing."""


@contextmanager
def open_sink(plan: Plan, place: Place) -> Iterator[Sink]:
    """Opens the place for a plan's frames; a file appears at its name only on a clean exit.

    Raises:
        OutputBusy: another render writes it. MarkingError: it could not be marked and signed.
        InputChanged: see `Journal`. OutputDiskFull, OutputNotWritable: the system refuses.
    """
    if place.target is None:
        yield MemorySink(plan)
        return
    kept = _is_kept(plan, place.target)
    journal = Journal(place.target, place.call, resume=place.resume and kept)
    done = False
    try:
        sweep(place.target)
        with _open_file(plan, place, journal, place.target, kept) as sink:
            yield sink
        done = True
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(_said(journal)) from stop
    finally:
        journal.close(done=done)


def _said(journal: Journal) -> str:
    if not journal.frames:
        return "stopped before the first segment was finished; nothing is kept"
    return f"stopped; {journal.frames} frames are kept in {str(journal.folder)!r}, and the same call goes on from there"


def _is_kept(plan: Plan, target: Path) -> bool:
    """Whether a render is journalled: films from files that are longer than one segment."""
    if target.suffix.lower() in PICTURES or muxer_for(target) == "gif":
        return False
    total = frame_total(plan.source)
    known = plan.source.info.path is not None and plan.source.reopenable
    return known and (total is None or total > segment_frames(plan))


def segment_frames(plan: Plan) -> int:
    """Frames in a segment: they depend on the source alone, so that every render is cut alike."""
    least, most = SEGMENT_FRAMES
    return min(max(round(SEGMENT_S * plan.source.info.fps), least), most)


@contextmanager
def _open_file(plan: Plan, place: Place, journal: Journal, target: Path, kept: bool) -> Iterator[Sink]:
    seal = Seal(plan, place.facts, target, journal.settled.get("payload"))
    if target.suffix.lower() in PICTURES:
        picture = PictureSink(plan, target, seal)
        yield picture
        picture.save()
        return
    copies = 3 if kept else 2  # segments, the film made of them, and its signed copy
    expected = (frame_total(plan.source) or 0) * plan.source.info.width * plan.source.info.height
    check_room(target, round(copies * LEAST_BYTES * expected))
    with Score(plan, target, place.wish) as score:
        if not kept:
            with _writer(plan, target, place.overwrite, score, seal) as writer:
                yield FileSink(plan, target, writer, score, seal)
            return
        threads = journal.settled.get("threads", min(_THREADS, os.cpu_count() or 1))
        journal.settle(payload=seal.payload, threads=threads)
        sink = SegmentSink(plan, target, journal, score, seal)
        try:
            yield sink
            sink.join()
        except BaseException as error:
            sink.abandon(error)
            raise


def _sound_of(plan: Plan) -> Path | None:
    info = plan.source.info
    return info.path if info.kind == "file" and info.has_audio and plan.audio in ("keep", "mix") else None


def _writer(plan: Plan, target: Path, overwrite: bool, score: Score, seal: Seal) -> VideoWriter:
    info = plan.source.info
    return VideoWriter(
        target,
        width=info.width,
        height=info.height,
        fps=info.fps,
        time_base=plan.source.time_base,
        audio_from=_sound_of(plan),
        audio_start_s=plan.source.start_s,
        compose=score.compose if plan.audio in MADE else None,
        overwrite=overwrite,
        sample_aspect=plan.source.sample_aspect,
        finished=seal,
    )


class FileSink:
    """Encodes into a video file in one go."""

    keeping = None
    journal = None

    def __init__(self, plan: Plan, target: Path, writer: VideoWriter, score: Score, seal: Seal) -> None:
        self._plan, self._target, self._writer, self._score, self._seal = plan, target, writer, score, seal

    def write(self, picture: Picture, frame: Frame) -> None:
        """Marks and encodes the next picture at its source frame's time."""
        self._writer.write(self._seal.mark(picture), frame.time_s)

    def hear(self, outcome: Outcome) -> None:
        """Hands the events on to where the sound is made."""
        self._seal.hear(outcome)
        self._score.hear(outcome.events, outcome.ground)

    def info(self, frames: int) -> VideoInfo:
        """The file written."""
        return _described(self._plan, self._target, frames, self._writer.audio)

    def kept(self) -> Any:
        """Nothing stays in memory."""
        return None

    def audio(self) -> dict[str, Any]:
        """As the writer and the score tell."""
        outcome = self._writer.audio
        return {"action": outcome.action, "reason": outcome.reason, **self._score.facts}

    def marks(self) -> Mapping[str, Any]:
        """As the seal tells."""
        return self._seal.told()

    def resumed(self) -> Mapping[str, Any]:
        """Nothing: it begins anew."""
        return {}


class SegmentSink:
    """Encodes into segments, each journalled, and joins them at the end."""

    def __init__(self, plan: Plan, target: Path, journal: Journal, score: Score, seal: Seal) -> None:
        from vid2vid.pipeline import Keeping
        from vid2vid.stepping import Standing

        self._plan, self._target, self._score, self._seal = plan, target, score, seal
        source = plan.source
        size = (source.info.width, source.info.height)
        threads = int(journal.settled["threads"])
        self._film = Film(target, *size, source.info.fps, source.time_base, source.sample_aspect, threads)
        self._writer: SegmentWriter | None = None
        self._audio = AudioOutcome("none", "no sound was asked for")
        self._resumed = {"frames": journal.frames, "segments": len(journal.entries)} if journal.entries else {}
        last = journal.entries[-1] if journal.entries else None
        begin = Standing(last.end, last.given, last.single, journal.state()) if last else Standing()
        self.journal: Journal | None = journal
        self._journal = journal
        self.keeping: Keeping | None = Keeping(segment_frames(plan), self._keep, begin)

    def write(self, picture: Picture, frame: Frame) -> None:
        """Marks and encodes the next picture at its source frame's time."""
        if self._writer is None:
            entries = self._journal.entries
            after = entries[-1].piece.ticks[-1] if entries else -1
            self._writer = SegmentWriter(self._journal.place(), self._film, after)
        self._writer.write(self._seal.mark(picture), frame.time_s)

    def _keep(self, standing: Standing) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        self._journal.append(writer.finish(), standing.tensors, given=standing.given, single=standing.single)

    def hear(self, outcome: Outcome) -> None:
        """Hands the events on to where the sound is made."""
        self._seal.hear(outcome)
        self._score.hear(outcome.events, outcome.ground)

    def join(self) -> None:
        """Makes the film of its segments."""
        pieces = [entry.piece for entry in self._journal.entries]
        check_room(self._target, sum(piece.path.stat().st_size for piece in pieces))
        self._audio = join_segments(
            self._film,
            pieces,
            audio_from=_sound_of(self._plan),
            audio_start_s=self._plan.source.start_s,
            compose=self._score.compose if self._plan.audio in MADE else None,
            finished=self._seal,
        )

    def abandon(self, error: BaseException) -> None:
        """Removes the segment that is not finished."""
        if self._writer is not None:
            self._writer.abandon(error)

    def info(self, frames: int) -> VideoInfo:
        """The file written."""
        return _described(self._plan, self._target, frames, self._audio)

    def kept(self) -> Any:
        """Nothing stays in memory."""
        return None

    def audio(self) -> dict[str, Any]:
        """As the join and the score tell."""
        return {"action": self._audio.action, "reason": self._audio.reason, **self._score.facts}

    def marks(self) -> Mapping[str, Any]:
        """As the seal tells."""
        return self._seal.told()

    def resumed(self) -> Mapping[str, Any]:
        """What was taken over, or why not."""
        return {**self._resumed, "note": self._journal.note} if self._journal.note else self._resumed


def _described(plan: Plan, target: Path, frames: int, audio: AudioOutcome) -> VideoInfo:
    source = plan.source.info
    return VideoInfo(source.width, source.height, source.fps, frames, "file", target, audio.action != "none")


class MemorySink:
    """Keeps the frames, for callers who came with frames."""

    keeping = None
    journal = None

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

    def marks(self) -> Mapping[str, Any]:
        """Only files are marked."""
        return {"marked": False, "signed": False, "why": "frames in memory: no file was written"}

    def resumed(self) -> Mapping[str, Any]:
        """Nothing: it begins anew."""
        return {}


class PictureSink(MemorySink):
    """Writes the one picture of an image."""

    def __init__(self, plan: Plan, target: Path, seal: Seal) -> None:
        super().__init__(plan)
        self._target, self._seal = target, seal

    def hear(self, outcome: Outcome) -> None:
        """Tells the seal."""
        self._seal.hear(outcome)

    def save(self) -> None:
        """Marks, writes and signs the picture; it appears at its name at once and whole."""
        write_image(self._target, self._seal.mark(self._pictures[0]), self._seal)

    def kept(self) -> Any:
        """The file holds it."""
        return None

    def marks(self) -> Mapping[str, Any]:
        """As the seal tells."""
        return self._seal.told()

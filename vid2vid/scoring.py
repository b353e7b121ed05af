"""The sound of a render: checked before it, made after its last frame from the events that the task saw."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vid2vid.audio import KINDS, read_events
from vid2vid.errors import InvalidOption, OutputExists, OutputNotWritable
from vid2vid.io import PICTURES, MadeSound, WavWriter, read_sound
from vid2vid.io.output import writing

if TYPE_CHECKING:
    from types import TracebackType

    from vid2vid.render import Plan
    from vid2vid.types import Event, Ground

MADE = ("effects", "mix")
"""Values of `audio` for which sound is made."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call says about sound besides `audio` itself, checked."""

    events: tuple[Event, ...] | None = None
    """In place of what the task sees; None takes that."""
    stems: Path | None = None
    """Folder for one WAV of each kind."""


def check_wish(
    audio: str,
    chosen: str,
    target: Path | None,
    events: str | os.PathLike[str] | Sequence[Event] | None,
    stems: str | os.PathLike[str] | None,
    overwrite: bool,
) -> Wish:
    """Checks what a call says about sound before any model loads.

    Args:
        audio: as called.
        chosen: what it means for the task.
        target: the output; None keeps frames in memory.
        events, stems, overwrite: as called.

    Raises:
        InvalidOption: there is nowhere for the sound to go, or it is not wanted; see also `read_events`.
        OutputExists, OutputNotWritable: the folder for stems cannot be used.
    """
    words = {"events": events, "stems": stems}
    given = next((name for name, value in words.items() if value is not None), None)
    if chosen not in MADE and given is not None:
        raise InvalidOption(f"{given}= needs sound to be made, but audio={audio!r}. Use audio='effects' or 'mix'.")
    silent = _silent(target)
    if silent and (audio in MADE or given is not None):
        word = f"audio={audio!r}" if audio in MADE else f"{given}="
        raise InvalidOption(f"{word}: {silent}. Give output= a file such as 'out.mp4'.")
    folder = None if stems is None else _checked_folder(Path(stems).absolute(), overwrite)
    return Wish(None if events is None else read_events(events), folder)


class Score:
    """Makes the soundtrack of one render. A context manager: what it needs on disk is gone when it is left.

    Args:
        plan: the render.
        target: the video file.
        wish: what the call says.
    """

    def __init__(self, plan: Plan, target: Path, wish: Wish) -> None:
        self._plan, self._target, self._wish = plan, target, wish
        self._events: tuple[Event, ...] = wish.events or ()
        self._ground: Ground = "hard"
        self._facts: dict[str, Any] = {}
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the report says of the sound made: number of effects, loudness, true peak, stems."""
        return self._facts

    def hear(self, events: tuple[Event, ...], ground: Ground) -> None:
        """Takes what the task saw, in the order of time; the call's own events go before it."""
        self._ground = ground
        if self._wish.events is None:
            self._events = events

    def compose(self, length_s: Fraction) -> MadeSound:
        """Makes the sound of a film of so many seconds, and the stems."""
        heard = [event for event in self._events if event.time_s < length_s]
        late = len(self._events) - len(heard)
        self._facts = {"effects": len(heard)}
        if late:
            self._facts["after_the_end"] = late
        source = self._source()
        if not heard:
            whose = f"the task '{self._plan.task.name}' saw none" if self._wish.events is None else "the list has none"
            return MadeSound(None, f"no events within the film ({whose}), so no sound was made")
        from vid2vid.audio.soundtrack import Soundtrack

        read = None if source is None else partial(read_sound, source, self._plan.source.start_s)
        with writing(self._target):
            track = Soundtrack(heard, float(length_s), self._plan.config.seed, self._ground, self._target.parent, read)
            self._files.enter_context(track)
            levels = track.measure()
        self._facts |= {
            "ground": self._ground,
            "loudness_lufs": round(levels.loudness_lufs, 2),
            "true_peak_dbtp": round(levels.true_peak_dbtp, 2),
        }
        if self._wish.stems is not None:
            self._facts["stems"] = str(self._wish.stems)
            _make_folder(self._wish.stems)
            track.write_stems(self._open_stem)
        return MadeSound(track.blocks(), self._reason(len(heard), source))

    def _open_stem(self, name: str) -> WavWriter:
        return WavWriter(_stem(self._wish.stems or self._target.parent, name))

    def _source(self) -> Path | None:
        info = self._plan.source.info
        return info.path if self._plan.audio == "mix" and info.kind == "file" and info.has_audio else None

    def _reason(self, count: int, source: Path | None) -> str:
        effects = f"{count} effect{'' if count == 1 else 's'} made from the list of events"
        if source is not None:
            return f"{effects}, over the source's first sound track"
        return f"{effects}; the source has no sound to mix" if self._plan.audio == "mix" else effects


def _silent(target: Path | None) -> str:
    """Why an output holds no sound, or nothing."""
    if target is None:
        return "frames in memory have no sound"
    suffix = target.suffix.lower()
    return f"a {suffix} file holds no sound" if suffix in PICTURES or suffix == ".gif" else ""


def _stem(folder: Path, name: str) -> Path:
    return folder / f"{name}.wav"


def _stems(folder: Path) -> Iterator[Path]:
    return (_stem(folder, name) for name in (*KINDS, "source"))


def _checked_folder(folder: Path, overwrite: bool) -> Path:
    if folder.exists() and not folder.is_dir():
        raise OutputNotWritable(f"stems={str(folder)!r} is a file. Give a folder.")
    found = next((path for path in _stems(folder) if path.exists()), None)
    if found is not None and not overwrite:
        raise OutputExists(f"{str(found)!r} exists. Choose another folder for stems or allow overwriting it.")
    return folder


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(f"stems={str(folder)!r} cannot be made ({error.strerror}).") from error
    for path in _stems(folder):
        # A stem of an earlier render would be taken for one of this.
        path.unlink(missing_ok=True)

"""The journal of a render into a file: what is done survives whatever ends the process, and is not done again.

Beside the output lies a folder `<output>.v2v`:

    lock                    who is rendering
    plan.json               which call it is, what was put in, and what the render settled on
    fitted.safetensors      a generator that was fitted for this render alone
    segment-000001.mp4 ...  finished pieces of the film, each brought to disk and then to its name
    state-000001.safetensors ...  what the backbone and the task remember at the end of each piece
    journal.jsonl           one line a piece, written after its files: hashes, numbers and times of its frames

A line counts if it is whole and its files are as it says; what comes after the first that does not is dropped. The
folder is removed once the output is at its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.errors import InputChanged
from vid2vid.folders import replace_durably, sync, write_durably
from vid2vid.hashing import file_hash
from vid2vid.io.output import fitting_name, writing
from vid2vid.io.segments import Piece
from vid2vid.locking import Lock

if TYPE_CHECKING:
    from torch import Tensor

    from vid2vid.lesson import FittedGenerator

_LOG = logging.getLogger(__name__)
_FORMAT: Final = 1
_PLAN: Final = "plan.json"
_LINES: Final = "journal.jsonl"
_FITTED: Final = "fitted.safetensors"
_PIECES: Final = r"plan\.json|fitted\.safetensors|journal\.jsonl|(segment|state)-\d+\.(mp4|safetensors)"
_OURS: Final = re.compile(rf"{_PIECES}|\.({_PIECES})\.partial.*")
"""Names of what a journal consists of, finished or not."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished piece of the film."""

    piece: Piece
    first: int
    """Number of its first frame."""
    given: int
    """Frames that the backbone had been given when it was written."""
    single: bool
    """Whether the generator had gone over to float32 by then."""
    sha256: str
    state_sha256: str

    @property
    def end(self) -> int:
        """Number of the frame after its last."""
        return self.first + len(self.piece.ticks)


@dataclass(frozen=True, slots=True)
class Call:
    """What makes two renders the same."""

    words: Mapping[str, Any]
    """Task, options, hashes of references and weights, versions: JSON values."""
    source: Mapping[str, Any]
    """Path, size and hash of what is translated; empty for frames in memory, which are not journalled."""


class Journal:
    """The journal of one output, locked for one render; close it.

    Args:
        target: the output.
        call: what is rendered.
        resume: whether pieces of the same call are taken over.

    Raises:
        OutputBusy: another render writes this output.
        InputChanged: the source is not what it was when the pieces were made.
        OutputNotWritable, OutputDiskFull: the system refuses.
    """

    def __init__(self, target: Path, call: Call, *, resume: bool) -> None:
        self.folder = journal_folder(target)
        """Where everything lies."""
        self.target = target
        self.entries: list[Entry] = []
        """Finished pieces, in order."""
        self.settled: dict[str, Any] = {}
        """What the render settled on, such as the mark's payload: the same after an interruption."""
        self.note: str | None = None
        """Why an older journal was not taken over."""
        self._call = json.loads(json.dumps({"words": call.words, "source": call.source}, default=str))
        self._lock = Lock(self.folder, target)
        with writing(target):
            self._lock.acquire()
        try:
            with writing(target):
                self._take_over(resume)
        except BaseException:
            self._lock.release()
            raise

    @property
    def frames(self) -> int:
        """Frames finished."""
        return self.entries[-1].end if self.entries else 0

    def settle(self, **values: Any) -> None:
        """Writes down what the render settled on, and with it which call this is; before the first piece."""
        self.settled |= values
        plan = {"format": _FORMAT, **self._call, "settled": self.settled}
        with writing(self.target):
            replace_durably(self.folder / _PLAN, (json.dumps(plan, indent=1) + "\n").encode())

    def place(self) -> Path:
        """Where the next piece goes."""
        return self.folder / f"segment-{len(self.entries) + 1:06d}.mp4"

    def append(self, piece: Piece, state: Mapping[str, Tensor], *, given: int, single: bool) -> None:
        """Counts a finished piece, whose file is at its name.

        Args:
            piece: the file at `place`, its times and order.
            state: what backbone and task remember at its end.
            given: frames that the backbone has been given so far.
            single: whether the generator has gone over to float32.

        Raises:
            OutputDiskFull, OutputNotWritable: the system refuses; the piece does not count then.
        """
        from safetensors.torch import save

        number = len(self.entries) + 1
        content = save({name: tensor.contiguous() for name, tensor in state.items()})
        entry = Entry(piece, self.frames, given, single, file_hash(piece.path), hashlib.sha256(content).hexdigest())
        with writing(self.target):
            replace_durably(self._state(number), content)
            with (self.folder / _LINES).open("ab") as file:
                file.write(_line(entry))
                file.flush()
                os.fsync(file.fileno())
            sync(self.folder)
        self.entries.append(entry)
        # A state serves one resumption; the one before is kept for the case that this piece turns out damaged.
        self._state(number - 2).unlink(missing_ok=True)

    def state(self) -> dict[str, Tensor]:
        """What backbone and task remembered at the end of the last piece."""
        from safetensors.torch import load

        return load(self._state(len(self.entries)).read_bytes()) if self.entries else {}

    def keep_fitted(self, fitted: FittedGenerator) -> None:
        """Keeps a generator that was fitted for this render."""
        from safetensors.torch import save

        tensors = {name: tensor.cpu().contiguous() for name, tensor in fitted.net.state_dict().items()}
        content = save(tensors)
        with writing(self.target):
            replace_durably(self.folder / _FITTED, content)
        shape = {"width": fitted.backbone.width, "blocks": fitted.backbone.blocks}
        shape |= {name: getattr(fitted.backbone, name) for name in ("reduction", "recurrent", "textured")}
        self.settle(
            fitted={"sha256": hashlib.sha256(content).hexdigest(), "shape": shape, "channels": dict(fitted.channels)}
        )

    def fitted(self) -> FittedGenerator | None:
        """The generator kept, if there is one and it is as it was written."""
        told, path = self.settled.get("fitted"), self.folder / _FITTED
        if told is None or not path.is_file():
            return None
        from safetensors.torch import load

        from vid2vid.backbones import make_generator
        from vid2vid.config import BackboneConfig
        from vid2vid.lesson import FittedGenerator

        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != told["sha256"]:
            return None
        config = BackboneConfig(**{**told["shape"], "blocks": tuple(told["shape"]["blocks"])})
        net = make_generator(config, told["channels"])
        net.load_state_dict(load(content))
        return FittedGenerator(net, config, told["channels"])

    def close(self, *, done: bool) -> None:
        """Lets go of the output; the folder goes too where the render is done or nothing is worth keeping."""
        if done or not (self.entries or "fitted" in self.settled):
            self._clear()
            self._lock.release()
            with contextlib.suppress(OSError):  # the next render may have moved in
                self.folder.rmdir()
        else:
            self._lock.release()

    def _state(self, number: int) -> Path:
        return self.folder / f"state-{number:06d}.safetensors"

    def _take_over(self, resume: bool) -> None:
        plan = _read_plan(self.folder / _PLAN)
        if not resume or plan is None:
            self._clear()
            return
        different = _differences(plan["words"], self._call["words"])
        if not different and plan["source"] == self._call["source"]:
            self.settled = plan["settled"]
            self._read_lines()
            return
        if not different and plan["source"].get("path") == self._call["source"].get("path"):
            raise InputChanged(
                f"{self._call['source'].get('path')!r} is not what it was when the interrupted render of "
                f"{str(self.target)!r} began. Put the old file back, or start anew (resume=False, --fresh)."
            )
        told = ", ".join(different) or "source"
        self.note = f"a journal of another call lay beside the output ({told} differed) and was not taken over"
        _LOG.warning("'%s': %s.", self.folder, self.note)
        self._clear()

    def _read_lines(self) -> None:
        path = self.folder / _LINES
        for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
            entry = _entry(line, self.folder, self.frames)
            if entry is None or file_hash(entry.piece.path) != entry.sha256:
                break
            self.entries.append(entry)
        while self.entries and not self._state_is_good():
            self.entries.pop()
        write_durably(path, b"".join(_line(entry) for entry in self.entries))
        kept = {_PLAN, _LINES, _FITTED, self._lock.path.name} | {entry.piece.path.name for entry in self.entries}
        kept |= {self._state(number).name for number in (len(self.entries), len(self.entries) - 1)}
        self._clear(kept)

    def _state_is_good(self) -> bool:
        path = self._state(len(self.entries))
        return path.is_file() and file_hash(path) == self.entries[-1].state_sha256

    def _clear(self, kept: set[str] | None = None) -> None:
        """Removes what a journal left; what somebody else put into the folder is not touched."""
        for path in self.folder.iterdir():
            if path.name not in (kept or {self._lock.path.name}) and _OURS.fullmatch(path.name):
                path.unlink()


def journal_folder(target: Path) -> Path:
    """The folder beside an output that holds its journal."""
    return target.with_name(fitting_name(target.name, "", ".v2v"))


def _read_plan(path: Path) -> dict[str, Any] | None:
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        whole = plan["format"] == _FORMAT and all(
            isinstance(plan[name], dict) for name in ("words", "source", "settled")
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return plan if whole else None


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _line(entry: Entry) -> bytes:
    told = {
        "file": entry.piece.path.name,
        "sha256": entry.sha256,
        "state_sha256": entry.state_sha256,
        "first": entry.first,
        "given": entry.given,
        "single": entry.single,
        "reorder": entry.piece.reorder,
        "ticks": entry.piece.ticks,
    }
    return (json.dumps({**told, "check": _check(told)}) + "\n").encode()


def _check(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _entry(line: bytes, folder: Path, first: int) -> Entry | None:
    """What a line says; None where it is damaged, does not follow the one before, or its file is gone."""
    try:
        told = json.loads(line)
        check = told.pop("check")
        path = folder / Path(told["file"]).name
        if check != _check(told) or told["first"] != first or not path.is_file():
            return None
        piece = Piece(path, tuple(told["ticks"]), told["reorder"])
        return Entry(piece, first, told["given"], told["single"], told["sha256"], told["state_sha256"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None

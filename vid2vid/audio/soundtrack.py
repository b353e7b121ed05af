"""From an event list to a finished soundtrack: effects, the source's sound behind them, loudness, stems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from vid2vid.audio.levelling import Level, Scratch, integrated, levelled, true_peak_db
from vid2vid.audio.mixing import BLOCK, ducked, mixed
from vid2vid.audio.synthesis import RATE

if TYPE_CHECKING:
    from types import TracebackType

    from vid2vid.audio.mixing import Block, Samples
    from vid2vid.types import Event, Ground


class StemFile(Protocol):
    """Takes one stem in order; a context manager that keeps the file on a clean exit."""

    def write(self, block: Samples) -> None:
        """Takes the next `(N, 2)` samples."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Levels:
    """What a soundtrack measures."""

    loudness_lufs: float
    true_peak_dbtp: float


class Soundtrack:
    """The sound of one film, made on disk so that its length costs no memory. A context manager.

    Args:
        events: in the order of time, at least one of them within the film.
        length_s: of the film.
        seed: same seed, same bits.
        ground: what feet meet.
        folder: where room on disk is taken until the end.
        source: gives the source's sound, `(N, 2)` float32 at 48 kHz from the first frame on, anew at every call; None
            leaves effects alone.
    """

    def __init__(
        self,
        events: Sequence[Event],
        length_s: float,
        seed: int,
        ground: Ground,
        folder: Path,
        source: Callable[[], Iterator[Samples]] | None = None,
    ) -> None:
        self._events, self._length, self._seed, self._ground = events, round(length_s * RATE), seed, ground
        self._source = source
        self._effects_gain = 1.0
        self._files = ExitStack()
        try:
            self._level = self._make(folder)
        except BaseException:
            self._files.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def blocks(self) -> Iterator[Samples]:
        """Gives the soundtrack, `(N, 2)` float32 at 48 kHz, block by block."""
        return self._level.blocks()

    def write_stems(self, open_stem: Callable[[str], StemFile]) -> None:
        """Writes one file for each kind of event, and `source` where its sound is behind them.

        They have the soundtrack's gain and add up to it as it is before the limiter.

        Args:
            open_stem: opens the file for a name.
        """
        gain = np.float32(self._effects_gain * self._level.gain)
        names = sorted({event.kind for event in self._events if event.time_s * RATE < self._length})
        with ExitStack() as files:
            stems = {name: files.enter_context(open_stem(name)) for name in names}
            behind = files.enter_context(open_stem("source")) if self._source else None
            for block, source in self._parts():
                silence = np.zeros((len(block.presence), 2), np.float32)
                for name, file in stems.items():
                    file.write(block.stems.get(name, silence) * gain)
                if behind is not None:
                    behind.write(source * np.float32(self._level.gain))

    def _make(self, folder: Path) -> Level:
        effects = self._files.enter_context(Scratch(folder))
        for block in self._blocks():
            effects.append(block.mix)
        level, self.loudness_lufs = levelled(effects)
        if self._source is None:
            return level
        # The effects alone decide how loud they stand against the source, whatever that one's level.
        plain = integrated(Level(effects, 1.0, limit=False))
        self._effects_gain = level.gain if np.isfinite(plain) else 1.0
        both = self._files.enter_context(Scratch(folder))
        for block, source in self._parts():
            both.append(block.mix * np.float32(self._effects_gain) + source)
        level, self.loudness_lufs = levelled(both)
        return level

    def measure(self) -> Levels:
        """Loudness and true peak of what `blocks` gives."""
        return Levels(self.loudness_lufs, true_peak_db(self._level))

    def _blocks(self) -> Iterator[Block]:
        return mixed(self._events, self._length, self._seed, self._ground)

    def _parts(self) -> Iterator[tuple[Block, Samples]]:
        """Effects, and the source's sound as it steps back for them."""
        source = _Blocks(self._source() if self._source else iter(()))
        for block in self._blocks():
            yield block, ducked(source.take(len(block.presence)), block.presence)


class _Blocks:
    """Hands out a stream of pieces in other lengths, silence after its end."""

    def __init__(self, pieces: Iterator[Samples]) -> None:
        self._pieces = pieces
        self._rest = np.zeros((0, 2), np.float32)

    def take(self, count: int) -> Samples:
        taken, size = [self._rest], len(self._rest)
        while size < count:
            piece = next(self._pieces, None)
            if piece is None:
                piece = np.zeros((min(BLOCK, count - size), 2), np.float32)
            taken.append(piece)
            size += len(piece)
        joined = np.concatenate(taken)
        self._rest = joined[count:]
        return joined[:count]

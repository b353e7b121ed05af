"""The mark in every frame of an output, and the signature over the whole: made sure of before, set last of all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vid2vid.hashing import Stamp
from vid2vid.io.output import writing
from vid2vid.provenance import Facts, SealedFacts, prepare_marks

if TYPE_CHECKING:
    from vid2vid.render import Outcome, Plan


class Seal:
    """Marks the frames of one output and signs it; makes sure before the render that this will work.

    Args:
        plan: the render.
        facts: what its manifest tells.
        target: the output.
        payload: of the mark, of an earlier render that is gone on with.

    Raises:
        MarkingError: there is no key, or signing fails.
    """

    def __init__(self, plan: Plan, facts: Facts, target: Path, payload: int | None) -> None:
        info, source = plan.source.info, facts.sources[0]
        self._facts = facts
        self._marks = prepare_marks(facts, target, info.width, info.height, payload)
        self._sealed: SealedFacts | None = None
        self._stamp = Stamp.of(source.path, source.sha256) if source.path and source.sha256 else None
        self._size = (info.width, info.height)
        self._fps = info.fps
        self.mark = self._marks.mark
        """Gives the picture with the invisible mark in it."""
        self.payload = self._marks.payload
        """What the mark says: a render that goes on has to say the same."""

    def hear(self, outcome: Outcome) -> None:
        """Takes what is known once the last frame is made."""
        width, height = self._size
        self._facts = self._facts.finished(
            frames=outcome.frames,
            width=width,
            height=height,
            duration_s=round(float(outcome.frames / self._fps), 3),
            conceded=list(outcome.conceded),
        )

    def __call__(self, partial: Path) -> None:
        """Signs the complete file, unless its source was changed meanwhile.

        Raises:
            InputChanged: it was. MarkingError, OutputDiskFull, OutputNotWritable: see `Marks.seal`.
        """
        if self._stamp is not None:
            self._stamp.check()
        self._sealed = self._marks.seal(partial, self._facts)
        if self._sealed.sidecar is not None:
            made, name = self._sealed.sidecar
            with writing(name):
                made.replace(name)

    def told(self) -> Mapping[str, Any]:
        """For the report."""
        return {} if self._sealed is None else {**self._sealed.as_json(), "output_sha256": self._sealed.sha256}

"""What `train()` gives back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vid2vid.bundle import Bundle
    from vid2vid.fitting import ScoredAt

_SHEET = "sheet"
_MAX_SHOWN_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A finished training."""

    bundle: Bundle
    """The result, as read back from disk."""
    steps: int
    seconds: float
    """Wall time from the call to the bundle."""
    scores: tuple[ScoredAt, ...] = ()
    """Held-out scores over the course of training."""

    @property
    def path(self) -> Path:
        """The bundle's folder: give it to `translate()` as the task."""
        return self.bundle.path

    @property
    def metrics(self) -> Mapping[str, Any]:
        """By the lesson's judge, the card says on what; names that begin with `source_` are the untouched source's."""
        return self.bundle.metrics

    @property
    def sheet(self) -> Path | None:
        """The last preview sheet (source, output, truth), or any last preview where none is called a sheet."""
        previews = self.bundle.previews
        sheets = [path for path in previews if path.stem.startswith(_SHEET)]
        return next(reversed(sheets or previews), None)

    def _repr_html_(self) -> str:
        """Shows the last sheet in a notebook, inside the page, so that it stays when the notebook moves."""
        facts = f"<code>{escape(str(self.path))}</code>: {self.steps} steps in {self.seconds:.0f} s"
        sheet = self.sheet
        if sheet is None or sheet.stat().st_size > _MAX_SHOWN_BYTES:
            return facts
        content = base64.b64encode(sheet.read_bytes()).decode()
        return f'{facts}<br><img src="data:image/png;base64,{content}" alt="source, output and truth side by side">'

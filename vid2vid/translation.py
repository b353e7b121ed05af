"""What `translate()` gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vid2vid.errors import UsageError
from vid2vid.io import VideoWriter, open_source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vid2vid.io import FrameSource
    from vid2vid.types import Picture, VideoInfo


@dataclass(frozen=True, slots=True)
class Translation:
    """A finished render."""

    path: Path | None
    """The file written; None where frames came in memory and no output was asked for."""
    info: VideoInfo
    """The result: its size, rate and number of frames."""
    report: Mapping[str, Any]
    """What was done: the content of the report file."""
    seconds: float
    """Wall time from the call to the result."""
    source: Any
    """What was translated, as given."""
    reopen: Callable[[], FrameSource] | None = None
    """Opens the clip that was rendered, where that can be done: what came in, or what the task made of it."""
    kept: Any = None
    """Frames kept in memory: `(T, H, W, 3)` uint8, or `(T, 3, H, W)` float32 where a tensor came in."""

    @property
    def frames(self) -> Any:
        """The frames: an array or tensor like the one that came in, else an iterator that decodes the file lazily.

        Every access to a file's frames starts anew; pictures are `(H, W, 3)` uint8 sRGB.
        """
        return self.kept if self.kept is not None else self._decoded()

    @property
    def fps(self) -> float:
        """Frames rendered a second, models' loading included."""
        return (self.info.frame_count or 0) / max(self.seconds, 1e-9)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the result is and was made from: task, hashes of source, weights and output. It is not signed."""
        made: Mapping[str, Any] = self.report["provenance"]
        return made

    def compare(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Writes source and result side by side, left and right, with the source's sound.

        Args:
            path: the clip to write.
            overwrite: whether an existing file may be replaced.

        Returns:
            The path written.

        Raises:
            UsageError: the source could be read only once, or the output exists.
        """
        again = self.reopen or (lambda: open_source(self.source, fps=None if self.info.path else self.info.fps))
        with again() as before:
            info = before.info
            sound = info.path if info.has_audio and info.kind == "file" else None
            results = iter(self._pictures())
            with VideoWriter(
                path,
                width=info.width * 2,
                height=info.height,
                fps=info.fps,
                time_base=before.time_base,
                audio_from=sound,
                overwrite=overwrite,
            ) as writer:
                for frame in before:
                    made = next(results, None)
                    if made is None:
                        break
                    writer.write(np.concatenate((frame.pixels, made), 1), frame.time_s)
        return Path(path)

    def _pictures(self) -> Iterable[Picture]:
        if self.kept is None:
            return self._decoded()
        if isinstance(self.kept, np.ndarray):
            return self.kept
        return (frame.pixels for frame in open_source(self.kept))

    def _decoded(self) -> Iterator[Picture]:
        if self.path is None:
            raise UsageError("This translation kept no frames.")
        with open_source(self.path) as source:
            for frame in source:
                yield frame.pixels

    def _repr_html_(self) -> str:
        """Shows the clip in a notebook."""
        if self.path is None:
            return f"<code>{self.info.frame_count} frames, {self.info.width}x{self.info.height}</code>"
        return f'<video controls loop src="{self.path}" width="{min(self.info.width, 960)}"></video>'

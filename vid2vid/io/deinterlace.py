"""Weaves interlaced frames into progressive ones, one for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from av.error import BlockingIOError as NeedsMore
from av.error import EOFError as EndOfStream
from av.filter import Graph

from vid2vid.io.recovery import Shown

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_TICK = Fraction(1, 1000)


class Deinterlacer:
    """Passes frames through until one is flagged interlaced, then runs bwdif on those that are.

    Owns the filter graph; the frame rate and every time stay as they are.
    """

    def __init__(self) -> None:
        self.used = False
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._waiting: deque[Shown] = deque()
        self._ticks = 0

    def push(self, shown: Shown) -> Iterator[Shown]:
        """Yields the frames that are ready after this one; bwdif looks one frame ahead."""
        frame = shown.frame
        if self._graph is None and not frame.interlaced_frame:
            yield shown
            return
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            yield from self.flush()
            self._graph, self._shape = _bwdif(frame), shape
            self.used = True
        frame.pts, frame.time_base = self._ticks, _TICK
        self._ticks += 1
        self._waiting.append(shown)
        if self._graph is not None:
            self._graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[Shown]:
        """Yields what is still inside."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()

    def _ready(self) -> Iterator[Shown]:
        while self._graph is not None and self._waiting:
            try:
                frame = self._graph.vpull()
            except (NeedsMore, EndOfStream):
                return
            shown = self._waiting.popleft()
            # The filter forgets how the picture is coded where the buffer was not told; the source frame knows.
            frame.colorspace, frame.color_range = shown.frame.colorspace, shown.frame.color_range
            frame.color_trc, frame.color_primaries = shown.frame.color_trc, shown.frame.color_primaries
            yield Shown(frame, shown.time_s, shown.concealed)


def _bwdif(frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=_TICK)
    weave = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, weave, graph.add("buffersink"))
    graph.configure()
    return graph

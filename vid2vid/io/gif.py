"""Gives every GIF frame its own palette, which needs no second pass and no memory of the clip."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from av.error import BlockingIOError as NeedsMore
from av.error import EOFError as EndOfStream
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame


class Palettes:
    """Turns RGB frames into palette frames, one for one, through FFmpeg's palettegen and paletteuse."""

    def __init__(self, width: int, height: int, time_base: Fraction) -> None:
        """Builds the filter graph for frames of one size."""
        graph = Graph()
        source = graph.add_buffer(width=width, height=height, format=VideoFormat("rgb24"), time_base=time_base)
        split, use = graph.add("split"), graph.add("paletteuse", "new=1")
        generate, sink = graph.add("palettegen", "stats_mode=single"), graph.add("buffersink")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(generate, 1, 0)
        generate.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph = graph

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Yields what is ready after this (H, W) rgb24 frame."""
        self._graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[VideoFrame]:
        """Yields the rest."""
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while True:
            try:
                yield self._graph.vpull()
            except (NeedsMore, EndOfStream):
                return

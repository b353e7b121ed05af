"""Decodes packet by packet, so that damage costs the damaged frames and no more.

PyAV's own loop ends at the first bad packet. Here every packet's presentation time is remembered until its frame comes
out; what is still missing after an error is filled with the last good frame, at the time the lost one would have had.
Frames that decode with errors are shown as the decoder mends them and only counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from av.error import EOFError as EndOfStream
from av.error import FFmpegError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_MAX_READ_ERRORS = 16
"""Consecutive read errors after which a file counts as ended; some demuxers fail forever at one spot."""
MAX_GAP_S = 3600
"""A picture that would stand for longer has a damaged time, which would make an endless film of a short one."""
_MAX_PENDING = 4096
"""Times remembered at most: streams whose hidden packets show no frame would otherwise pile them up."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A decoded frame and when it is shown."""

    frame: VideoFrame
    time_s: Fraction
    concealed: bool = False


class Clock:
    """Turns timestamps into seconds from the first frame shown, always rising."""

    def __init__(self, time_base: Fraction, fps: Fraction, start: int, *, counted: bool) -> None:
        """Starts at zero.

        Args:
            time_base: seconds of one unit.
            fps: rate that fills in for missing or falling times.
            start: timestamp of the first frame shown.
            counted: ignore timestamps and count frames at `fps` instead.
        """
        self._time_base, self._period, self._start, self._counted = time_base, 1 / fps, start, counted
        self._last: Fraction | None = None
        self._skipped_s = Fraction(0)
        self.repairs = 0

    def tell(self, stamp: int | None) -> Fraction:
        """Gives the time of the next frame shown."""
        if self._last is None:
            time_s = Fraction(0)
        elif self._counted or stamp is None:
            time_s = self._last + self._period
        else:
            claimed_s = (stamp - self._start) * self._time_base - self._skipped_s
            sound = 0 < claimed_s - self._last <= MAX_GAP_S
            time_s = claimed_s if sound else self._last + self._period
            self.repairs += not sound
            self._skipped_s += max(Fraction(0), claimed_s - time_s)
        self._last = time_s
        return time_s


class PacketDecoder:
    """Yields the frames of one stream in display order, damage concealed."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        fps: Fraction,
        *,
        counted: bool = False,
        by_decoding_time: bool = False,
    ) -> None:
        """Prepares; nothing is read before iteration.

        Args:
            container: open, owned by the caller.
            stream: one of its video streams.
            fps: for frames without a believable time.
            counted: time the frames by counting them at `fps`.
            by_decoding_time: time them by `dts`, which rises in display order even where `pts` does not.
        """
        self._container, self._stream, self._fps, self._counted = container, stream, fps, counted
        self._by_decoding_time = by_decoding_time
        self._clock: Clock | None = None
        self._pending: list[int] = []
        self._hurt = False
        self._last: VideoFrame | None = None
        self.lost_before_start = 0
        self.bad_packets = 0
        self.damaged = 0
        self.read_failed = False

    @property
    def time_repairs(self) -> int:
        """How many frames had a time that did not rise and got another."""
        return self._clock.repairs if self._clock else 0

    def __iter__(self) -> Iterator[Shown]:
        for packet in self._packets():
            lost = False
            try:
                self._remember(packet)
                frames = self._stream.decode(packet)
            except EndOfStream:
                continue
            except FFmpegError:
                frames, lost = [], bool(packet.size)
                self._hurt = True
                self.bad_packets += lost
            for frame in frames:
                yield from self._place(frame)
            if lost:
                yield from self._fill_untimed(packet)

    def leftovers(self) -> Iterator[Shown]:
        """Yields what fills the place of lost frames at the very end; for files that are complete."""
        if self._hurt and self._last is not None and self._clock is not None:
            while self._pending:
                yield Shown(self._last, self._clock.tell(heapq.heappop(self._pending)), concealed=True)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        errors = 0
        while errors < _MAX_READ_ERRORS:
            try:
                for packet in self._container.demux(self._stream):
                    errors = 0
                    yield packet
                return
            except FFmpegError:
                errors += 1
                self._hurt = True
        self.read_failed = True
        yield from ()

    def _remember(self, packet: Packet[VideoStream]) -> None:
        if packet.is_corrupt:
            self._hurt = True
        if packet.size and packet.pts is not None and not packet.is_discard and not self._by_decoding_time:
            heapq.heappush(self._pending, packet.pts)
            if len(self._pending) > _MAX_PENDING:
                heapq.heappop(self._pending)

    def _place(self, frame: VideoFrame) -> Iterator[Shown]:
        stamp = frame.dts if self._by_decoding_time else frame.pts
        if self._clock is None:
            base = self._stream.time_base or Fraction(1)
            self._clock = Clock(base, self._fps, stamp or 0, counted=self._counted or stamp is None)
        missing = []
        while stamp is not None and self._pending and self._pending[0] <= stamp:
            earlier = heapq.heappop(self._pending)
            if earlier < stamp:
                missing.append(earlier)
        if self._hurt and self._last is None:
            self.lost_before_start = len(missing)
        elif self._hurt and self._last is not None:
            for lost in missing:
                yield Shown(self._last, self._clock.tell(lost), concealed=True)
        if frame.is_corrupt:
            self.damaged += 1
        elif frame.key_frame:
            self._hurt = False
        self._last = frame
        yield Shown(frame, self._clock.tell(stamp))

    def _fill_untimed(self, packet: Packet[VideoStream]) -> Iterator[Shown]:
        # Without a time nothing tells later that this frame is missing.
        untimed = packet.pts is None or self._by_decoding_time
        if untimed and self._last is not None and self._clock is not None:
            yield Shown(self._last, self._clock.tell(None), concealed=True)

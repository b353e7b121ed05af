"""Tells from a file's own bookkeeping, not from its declared duration, whether its end is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from vid2vid.io.containers import reading

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_TS_PACKETS = (188, 192, 204)


def missing_tail(container: InputContainer, stream: VideoStream, path: Path) -> str | None:
    """Gives in words why the file must have been cut short, or None.

    Fragmented MP4 files list their samples only as far as they have been read, so ask again at the end. A file cut
    exactly between two fragments, clusters or transport packets cannot be told from a complete one.

    Raises:
        ReadFailed: the system cannot read it.
    """
    with reading(path):
        size = path.stat().st_size
    name = container.format.name
    if name.startswith("mov"):
        return _beyond_the_end(stream, size)
    with reading(path), path.open("rb") as file:
        if name.startswith("matroska"):
            end = _matroska_end(file)
        elif name == "avi":
            end = 8 + int.from_bytes(file.read(8)[4:8], "little")
        else:
            end = None
    if end is not None and end > size:
        return f"the file has {size} of {end} bytes"
    if name == "mpegts" and all(size % packet for packet in _TS_PACKETS):
        return "the last transport packet is incomplete"
    return None


def _beyond_the_end(stream: VideoStream, size: int) -> str | None:
    count = len(stream.index_entries)
    # Samples are stored in order in all but hand-made files, so the last few tell.
    for position in range(max(0, count - 64), count):
        entry = stream.index_entries[position]
        if entry.pos + entry.size > size:
            return f"the index lists frames beyond the file's {size} bytes"
    return None


def _matroska_end(file: BinaryIO) -> int | None:
    head = file.read(4096)
    header_length, header_width = _variable_integer(head, 4)
    segment = 4 + header_width + (header_length or 0)
    if head[segment : segment + 4] != b"\x18\x53\x80\x67":
        return None
    length, width = _variable_integer(head, segment + 4)
    return None if length is None else segment + 4 + width + length


def _variable_integer(data: bytes, at: int) -> tuple[int | None, int]:
    """Reads an EBML length; None where it says "unknown", as live recordings do."""
    if at >= len(data) or data[at] == 0:
        return None, 1
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << (7 * width)) - 1)
    return (None if value == (1 << (7 * width)) - 1 else value), width

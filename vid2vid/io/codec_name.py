"""What a codec is called that nothing here decodes: PyAV knows nothing of such a stream, its container does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, cast

import av.logging
from av.container import InputContainer

_DESCRIBED: Final = re.compile(
    r"^ *Stream #0:(\d+)\S*: Video: (\w+)(?: \([^()/]*\))?(?: \(([^/()]+) / 0x\w+\))?", re.MULTILINE
)
_MATROSKA: Final = re.compile(rb"\x86[\x81-\xbf](V_[A-Z0-9_/]{1,60})")
_HEAD: Final = 1 << 20


def stored_codec(container: InputContainer, index: int, path: Path) -> str:
    """The codec's name, or what its container calls it, for a message.

    Args:
        container: open.
        index: of the stream in the container; one of pictures.
        path: of the file.
    """
    described = {int(place): (name, tag) for place, name, tag in _DESCRIBED.findall(_description(container))}
    name, tag = described.get(index, ("none", ""))
    if name != "none":
        return f"codec {name}"
    if not tag and container.format.name.startswith("matroska"):
        tag = _matroska_name(path, sum(one.type == "video" for one in container.streams if one.index < index))
    return f"codec {tag!r}" if tag else "a codec without a name"


def _description(container: InputContainer) -> str:
    """FFmpeg's own description, which PyAV hands on at a level of its log that is off."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        return str(cast(Any, container).dumps_format())
    finally:
        av.logging.set_level(before)


def _matroska_name(path: Path, number: int) -> str:
    with path.open("rb") as file:
        found = _MATROSKA.findall(file.read(_HEAD))
    return str(found[number].decode("ascii")) if number < len(found) else ""

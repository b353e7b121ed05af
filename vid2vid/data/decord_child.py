"""Reads frames with decord for the process that started this one: `decord_reader.DecordReader`.

Run as a program of its own, which imports nothing of vid2vid, so that it starts quickly. decord can hang or crash on a
hostile or damaged file; here that costs this process and nothing else.

Protocol: the number of frames on stdout; then for every request of two numbers on stdin (first frame, how many) three
numbers (frames, rows, columns) and the pixels, or -1, 0, 0 where decord fails. Numbers have 8 bytes, little-endian.
"""

from __future__ import annotations

import contextlib
import struct
import sys
from typing import BinaryIO

REQUEST = struct.Struct("<2q")
ANSWER = struct.Struct("<3q")
COUNT = struct.Struct("<q")
_MAX_BYTES = 16 * 2**30
"""Address space: several times what windows of 8K frames take."""
_SIGKILL = 9
_PR_SET_PDEATHSIG = 1


def main(path: str, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers until the other side closes."""
    _bind_to_parent()
    import decord

    # Its FFmpeg writes every complaint to stderr; what it gets wrong is found by comparing frames.
    decord.logging.set_level(decord.logging.QUIET)
    video = decord.VideoReader(path, num_threads=1)
    answers.write(COUNT.pack(len(video)))
    answers.flush()
    while len(request := requests.read(REQUEST.size)) == REQUEST.size:
        start, length = REQUEST.unpack(request)
        try:
            frames = video.get_batch(range(start, start + length)).asnumpy()
        except decord.DECORDError:
            answers.write(ANSWER.pack(-1, 0, 0))
        else:
            answers.write(ANSWER.pack(*frames.shape[:3]))
            answers.write(frames.tobytes())
        answers.flush()


def _bind_to_parent() -> None:
    """Bounds memory, and on Linux ends with the parent even while decord hangs."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MAX_BYTES, _MAX_BYTES))
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer)

"""decord at arm's length: a child process reads, and is ended where it does not answer in time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import weakref
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

import numpy as np

from vid2vid.data.decord_child import ANSWER, COUNT, REQUEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

START_S: Final = 30.0
"""Time to start, open the file and count its frames; a second does on an idle machine."""
READ_S: Final = 20.0
"""Time for one window; decord decodes from the key frame before it."""
_CHILD: Final = Path(__file__).with_name("decord_child.py")
_PIECE: Final = 1 << 20


class DecordFailed(Exception):
    """decord crashed, hung or could not read; never leaves `vid2vid.data`."""


class DecordReader:
    """Frames of one clip by number, read by a process of its own. Not for use by two threads or after a fork.

    Args:
        path: an absolute path.
        start_s, read_s: how long to wait for the child.

    Raises:
        DecordFailed: it cannot open the file.
    """

    def __init__(self, path: Path, *, start_s: float = START_S, read_s: float = READ_S) -> None:
        self._read_s = read_s
        # -P keeps the child's folder, with its modules of common names, off its path.
        self._child = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._requests = cast("IO[bytes]", self._child.stdin)
        self._answers = cast("IO[bytes]", self._child.stdout).fileno()
        self.close = weakref.finalize(self, _end, self._child, os.getpid())
        """Ends the child; a second call does nothing."""
        self.count: int = COUNT.unpack(self._receive(COUNT.size, start_s))[0]
        """Frames of the clip as decord counts them."""

    def read(self, start: int, length: int) -> NDArray[np.uint8]:
        """Gives frames in display order.

        Returns:
            (length, H, W, 3) uint8.

        Raises:
            DecordFailed: they cannot be read in time.
        """
        try:
            self._requests.write(REQUEST.pack(start, length))
        except OSError as error:
            raise self._failure("it has ended") from error
        frames, rows, columns = ANSWER.unpack(self._receive(ANSWER.size, self._read_s))
        if frames != length:
            raise self._failure("it gave no frames")
        content = self._receive(frames * rows * columns * 3, self._read_s)
        return np.frombuffer(content, np.uint8).reshape(frames, rows, columns, 3)

    def _receive(self, size: int, within_s: float) -> bytearray:
        end = time.monotonic() + within_s
        content = bytearray()
        while len(content) < size:
            if not wait([self._answers], max(0.0, end - time.monotonic())):
                raise self._failure(f"no answer within {within_s:g} s")
            piece = os.read(self._answers, min(_PIECE, size - len(content)))
            if not piece:
                raise self._failure("it has ended")
            content += piece
        return content

    def _failure(self, why: str) -> DecordFailed:
        self.close()
        return DecordFailed(why)


def _end(child: subprocess.Popen[bytes], owner: int) -> None:
    # A forked process inherits this object; the child belongs to the one that started it.
    if os.getpid() != owner:
        return
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()

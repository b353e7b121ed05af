"""How the command line is stopped: politely at first, and at once when asked again or when being polite takes too long.

A hard stop may leave partial files under hidden names and a lock; the next render of the same output removes both.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

GRACE_S: Final = 4.5
"""Seconds after which a stop that was asked for happens."""
EXIT_CODE: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Turns Ctrl-C and a polite kill into KeyboardInterrupt; the second one ends the process. A context manager.

    Python calls a handler only between two of its own steps, and one step may be a long call into a library. So a
    thread hears of every signal as well.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._heard = self._told = self._wakeup = -1
        self._watcher = threading.Thread(target=self._watch, name="vid2vid-stopping", daemon=True)
        self._asked = False

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # signals go to the main thread, which belongs to whoever called
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)
        self._wakeup = signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        self._watcher.start()
        self._before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._told)
        self._watcher.join()
        os.close(self._heard)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if not self._asked:
            self._asked = True
            raise KeyboardInterrupt

    def _watch(self) -> None:
        asked = False
        while True:
            in_time = select.select([self._heard], [], [], GRACE_S if asked else None)[0]
            number = os.read(self._heard, 1) if in_time else b"\0"
            if not number:
                return
            if asked and (not in_time or number[0] in _SIGNALS):
                _end()
            asked = asked or number[0] in _SIGNALS


def _end() -> NoReturn:
    os.write(2, b"error[interrupted]: stopped at once; finished segments are kept, the same call goes on from there\n")
    os._exit(EXIT_CODE)

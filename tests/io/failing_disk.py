"""Makes the system refuse to read, as a failing disk does: by a filter of system calls, which needs no rights.

    failing_disk.break_off(descriptor)

From then on, every `read` of this process from that descriptor or a higher one gives EIO, for ever. Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_READ = {"x86_64": 0, "aarch64": 63}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
POSSIBLE = platform.system() == "Linux" and platform.machine() in _READ
_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS = 38, 1, 1
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def break_off(descriptor: int) -> None:
    """Breaks reading off for the whole process."""
    machine, library = platform.machine(), ctypes.CDLL(None, use_errno=True)
    steps = (
        (_LOAD, 0, 0, 0),  # the call's number
        (_EQUAL, 0, 3, _READ[machine]),
        (_LOAD, 0, 0, 16),  # its first argument
        (_AT_LEAST, 0, 1, descriptor),
        (_RETURN, 0, 0, _FAIL | errno.EIO),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = _Program(len(steps), ctypes.addressof(code))
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or library.syscall(
        _SECCOMP[machine], _SET_FILTER, _ALL_THREADS, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "no filter of system calls")

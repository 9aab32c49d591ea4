"""What Linux can do and Python has no words for."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2


def adopt_orphans() -> None:
    """From now on descendants whose parent ends become children of this process, not of init.

    Raises `OSError`.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """This process is killed when its parent ends, whatever ends that. Raises `OSError`."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def punch_hole(descriptor: int, start: int, length: int) -> None:
    """Give a part of a file back to the disk: it reads as zeros and takes no room.

    Raises `OSError`, with EOPNOTSUPP on file systems that cannot.
    """
    call = ctypes.CDLL(None, use_errno=True).fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)
    if call(descriptor, _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE, start, length) != 0:
        raise _error()


def _prctl(option: int, value: int) -> None:
    call = ctypes.CDLL(None, use_errno=True).prctl
    call.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    if call(option, value, 0, 0, 0) != 0:
        raise _error()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))

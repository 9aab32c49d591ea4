"""The event lines: one JSON object per line, written completely and at once."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Callable, Dict

MAX_TEXT = 4000
"""Characters of an error text that are kept."""


class EventsError(OSError):
    """The events file cannot be opened or written."""


class EventLog:
    """Appends events to a file (`-`: standard output), unbuffered."""

    def __init__(self, target: str, wall: Callable[[], float] = time.time) -> None:
        """Open (or create) the file; `EventsError` if that cannot be done."""
        self._wall = wall
        self._target = target
        try:
            self._fd = 1 if target == "-" else _open_for_append(target)
        except OSError as error:
            raise EventsError("cannot write events to %s: %s" % (target, error.strerror)) from error

    def write(self, kind: str, **fields: Any) -> None:
        """One event, stamped with the wall clock."""
        event: Dict[str, Any] = {"time": round(self._wall(), 6), "type": kind}
        event.update(fields)
        line = json.dumps(event, separators=(",", ":")).encode("utf-8") + b"\n"
        try:
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError as error:
            message = "cannot write events to %s: %s" % (self._target, error.strerror)
            raise EventsError(message) from error

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._fd != 1:
            os.close(self._fd)
            self._fd = 1


def _open_for_append(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        # An earlier service died in the middle of a line: begin a new one.
        os.write(fd, b"\n")
    return fd


def clip(text: object) -> str:
    """A text short enough for an event."""
    full = str(text)
    return full if len(full) <= MAX_TEXT else full[:MAX_TEXT] + "… (cut)"

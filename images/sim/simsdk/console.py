"""Log lines like those of the real processes, and the end of a process by a signal."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from datetime import datetime, timezone


def say(source: str, text: str) -> None:
    """One log line on stdout, flushed: `2021-05-18T09:00:00.000Z block-manager: block 1 begin`."""
    stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    sys.stdout.write(f"{stamp}Z {source}: {text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Stop:
    """Set by SIGINT and SIGTERM; supports waiting without polling."""

    def __init__(self) -> None:
        """Not set, and not yet connected to signals."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.requested = False

    def on_signals(self) -> None:
        """Handle SIGINT and SIGTERM; main thread only."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: self.request())

    def request(self) -> None:
        """Request the end; safe in a signal handler and in any thread."""
        self.requested = True
        # A pipe rather than a threading.Event: setting one inside a handler can deadlock with the
        # wait that it interrupts.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"!")

    def wait(self, seconds: float | None) -> bool:
        """Sleep up to `seconds` (None: no limit) or until requested; True if it was."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.requested:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            select.select([self._read], [], [], left)
        return self.requested


def stage_from(environ: dict[str, str]) -> int | None:
    """The stage that $SIM_STAGE names; None without one."""
    text = environ.get("SIM_STAGE", "")
    return int(text) if text.lstrip("-").isdigit() else None

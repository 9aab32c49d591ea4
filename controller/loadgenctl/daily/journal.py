"""What the service reports: an object a line for programs, a line for people."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadgenctl.clock import Clock
from loadgenctl.records.encode import row_bytes

TROUBLES: Final = frozenset(
    {
        "look-failed",
        "not-ready",
        "trouble",
        "sweep-failed",
        "prune-failed",
        "gave-up",
        "disk-full",
        "stopped",
    }
)
"""Events that are said even if the journal is quiet."""
PASSED: Final = "passed"
UNTOLD: Final = frozenset({PASSED, "gave-up"})
"""Outcomes that a quiet journal does not say: a revision that was given up was told before."""


@dataclass(slots=True)
class Journal:
    """Appends to one JSON-lines file. A file that cannot be written is only reported."""

    path: Path
    clock: Clock
    say: Callable[[str], None]
    quiet: bool = False
    """Say only what has gone wrong; the file holds every event."""
    _broken: str | None = field(default=None, repr=False)

    def tell(self, event: str, text: str, /, **fields: Any) -> None:
        """`{"time": s of the epoch, "event": …, …fields}`, and `text` for people."""
        if not self.quiet or event in TROUBLES or fields.get("outcome", PASSED) not in UNTOLD:
            self.say(text)
        row = row_bytes({"time": round(self.clock.wall(), 3), "event": event, **fields})
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            # Opened each time: whoever moves the file away gets a new one.
            descriptor = os.open(self.path, flags, 0o644)
            try:
                os.write(descriptor, row)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.strerror != self._broken:
                self._broken = error.strerror
                self.say(f"warning: {self.path} cannot be written: {error.strerror}")
        else:
            self._broken = None

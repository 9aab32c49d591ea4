"""What the service reports: JSON lines for programs, text for people."""

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
"""Events that are printed even if the journal is quiet."""
PASSED: Final = "passed"
SILENT: Final = frozenset({PASSED, "gave-up"})
"""Outcomes that a quiet journal does not print: that of `gave-up` was printed before."""


@dataclass(slots=True)
class Journal:
    """Appends to one JSON-lines file. A file that cannot be written is only reported."""

    path: Path
    clock: Clock
    say: Callable[[str], None]
    quiet: bool = False
    """Print only failures and warnings; the file has every event."""
    _broken: str | None = field(default=None, repr=False)

    def record(self, event: str, text: str, /, **fields: Any) -> None:
        """Append `{"time": s of the epoch, "event": …, …fields}`; print `text`."""
        if not self.quiet or event in TROUBLES or fields.get("outcome", PASSED) not in SILENT:
            self.say(text)
        row = row_bytes({"time": round(self.clock.wall(), 3), "event": event, **fields})
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            # Opened each time: a file that is moved away is followed by a new one.
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

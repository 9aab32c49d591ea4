"""What the service tells: an object a line for programs, a line for people."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadgenctl.clock import Clock
from loadgenctl.records.encode import row_bytes


@dataclass(slots=True)
class Journal:
    """Appends to one JSON-lines file. A file that cannot be written ends nothing: it is said."""

    path: Path
    clock: Clock
    say: Callable[[str], None]
    _broken: str | None = field(default=None, repr=False)

    def tell(self, event: str, text: str, /, **fields: Any) -> None:
        """`{"time": s of the epoch, "event": …, …fields}`, and `text` for people."""
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

"""The log of a run: every line that it says, with times, whether it has a reader or not."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from loadgenctl.clock import Clock
from loadgenctl.plainfile import write_plain
from loadgenctl.records import schema
from loadgenctl.records.output_guard import Place


class RunLog:
    """Appends to the log of one results folder, also after the records are closed."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """The folder must exist. Raises `OSError`."""
        self._place = Place.of(folder)
        self._file = folder / schema.LOG
        self._clock = clock

    def write(self, text: str) -> None:
        """Add a line, as `2026-11-28T01:50:07Z  TEXT`.

        A line that cannot be written is lost without an error: the records are written to the same
        folder, and their failure ends the run.
        """
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.wall()))
        line = f"{moment}  {text}".rstrip().encode("utf-8", "backslashreplace") + b"\n"
        with contextlib.suppress(OSError):
            self._place.require()
            # Opened each time: it may be moved away or removed.
            with write_plain(self._file, append=True) as log:
                log.write(line)

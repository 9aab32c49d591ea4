"""The slog as the real kernel writes it: one JSON object per line.

`2021`: `time` and `type` first. Since then: `type` first; last `time` and `monotime` (seconds since
the process began). `modern`: an event that ends another one then has the `seconds` between the two.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, BinaryIO

from .forms import FORMS, Form

Json = Any


class SlogWriter:
    """Appends slog lines to a file; discards them without a path.

    Lines are buffered: followers see them after `flush`, at the ends of blocks and phases.
    """

    def __init__(self, path: str | None, form: Form = FORMS["2021"]) -> None:
        """`form` is the form of the lines."""
        self.form = form
        self._began = time.monotonic()
        self._starts: dict[str, float] = {}
        self._back = 0.0
        self._file: BinaryIO | None = None
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(path).open("ab", buffering=1 << 16)  # noqa: SIM115 - closed by close()

    def write(self, kind: str, **fields: Json) -> None:
        """One event, stamped with the wall clock (s since the epoch)."""
        if self._file is None:
            return
        now = time.time() - self._back
        if not self.form.monotime:
            self._file.write(line(kind, fields, now))
            return
        mono = time.monotonic() - self._began
        seconds = self._since_start(kind, mono) if self.form.seconds else None
        self._file.write(modern_line(kind, fields, now, mono, seconds))

    def _since_start(self, kind: str, mono: float) -> float | None:
        """Seconds since the event that this one ends; None if it ends none."""
        if kind in _BEGUN_BY.values():
            self._starts[kind] = mono
        begun = self._starts.pop(_BEGUN_BY.get(kind, ""), None)
        return None if begun is None else mono - begun

    def raw(self, data: bytes) -> None:
        """Write bytes unchanged, for faults."""
        if self._file is not None:
            self._file.write(data)

    def set_clock_back(self, seconds: float) -> None:
        """Set the clock of the following events back; forward if negative."""
        self._back += seconds

    def flush(self) -> None:
        """Write the buffer to the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Flush and close; idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None


_BEGUN_BY = {
    "bundle-kernel-finish": "bundle-kernel-start",
    "cosmic-swingset-bootstrap-block-finish": "cosmic-swingset-bootstrap-block-start",
    "cosmic-swingset-commit-block-finish": "cosmic-swingset-commit-block-start",
    "cosmic-swingset-end-block-finish": "cosmic-swingset-end-block-start",
    "cosmic-swingset-run-finish": "cosmic-swingset-run-start",
    "cosmic-swingset-upgrade-finish": "cosmic-swingset-upgrade-start",
    "crank-finish": "crank-start",
    "deliver-result": "deliver",
    "finish-replay": "start-replay",
    "import-kernel-finish": "import-kernel-start",
    "kernel-init-finish": "kernel-init-start",
    "syscall-result": "syscall",
    "vat-startup-finish": "vat-startup-start",
}
"""Event → the one that it ends."""


def line(kind: str, fields: dict[str, Json], now: float) -> bytes:
    """The bytes of one event's line, as in 2021."""
    return _encoded({"time": round(now, 6), "type": kind, **fields})


def modern_line(
    kind: str, fields: dict[str, Json], now: float, mono: float, seconds: float | None
) -> bytes:
    """The bytes of one event's line, as since June 2022; with `seconds`, as since March 2025."""
    record = {"type": kind, **fields, "time": round(now, 6), "monotime": round(mono, 9)}
    if seconds is not None:
        record["seconds"] = round(seconds, 9)
    return _encoded(record)


def _encoded(record: dict[str, Json]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"

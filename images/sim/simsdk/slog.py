"""The slog as the real kernel writes it: one JSON object a line, `time` and `type` first."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, BinaryIO

Json = Any


class SlogWriter:
    """Appends slog lines to a file; with no path it swallows them.

    Lines gather in a buffer: `flush` at the ends of blocks and phases is what a follower sees.
    """

    def __init__(self, path: str | None, *, monotime: bool = False) -> None:
        """`monotime` adds the newer dialect's second clock."""
        self._monotime = monotime
        self._back = 0.0
        self._file: BinaryIO | None = None
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(path).open("ab", buffering=1 << 16)  # noqa: SIM115 - closed by close()

    def write(self, kind: str, **fields: Json) -> None:
        """One event, stamped with the wall clock (s since the epoch)."""
        if self._file is None:
            return
        self._file.write(
            line(
                kind, fields, time.time() - self._back, time.monotonic() if self._monotime else None
            )
        )

    def raw(self, data: bytes) -> None:
        """Bytes as they are, for faults."""
        if self._file is not None:
            self._file.write(data)

    def set_clock_back(self, seconds: float) -> None:
        """Stamp what follows as a clock does that was set back."""
        self._back += seconds

    def flush(self) -> None:
        """Make everything so far visible to readers."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Flush and close; idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None


def line(kind: str, fields: dict[str, Json], now: float, mono: float | None = None) -> bytes:
    """The bytes of one event's line."""
    record: dict[str, Json] = {"time": round(now, 6)}
    if mono is not None:
        record["monotime"] = round(mono, 6)
    record["type"] = kind
    record.update(fields)
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"

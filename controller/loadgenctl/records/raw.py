"""The raw data of a results folder: what may go when the disk is needed, and what stays then.

What stays is small and answers most questions: run.json, status.json, summary.json, and the rows of
perf, events, blocks and cycles. What goes can be had again by another run alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadgenctl.records import schema
from loadgenctl.records.encode import document_bytes
from loadgenctl.records.files import replace_file

PRUNED: Final = "pruned.json"
"""Says that raw data was removed: `time` (s, epoch), `bytes`, `removed` (names)."""

COPIES: Final = "copies"
"""The folder of storage that is still being packed."""
PARTIAL: Final = ".partial"
"""What the name of a packed file has behind it until it is whole."""
LOCK: Final = ".lock"
"""What the name of a lock has behind that of the folder that is being packed."""

_RAW: Final = (
    "*-stage-*.slog",
    "*-stage-*.slog.*",
    "*-storage-stage-*.tar.*",
    schema.SAMPLES,
    "build.log",
    "logs",
    COPIES,
    "shared",
    "state",
)


def raw_parts(folder: Path) -> list[Path]:
    """The files and folders with raw data that are there, sorted."""
    return sorted({part for pattern in _RAW for part in folder.glob(pattern)})


def note_pruned(folder: Path, *, now: float, freed: int, removed: Sequence[str]) -> None:
    """Write PRUNED; `now` in seconds of the epoch, `freed` in bytes. Raises `OSError`."""
    document = {"time": round(now, 3), "bytes": freed, "removed": list(removed)}
    replace_file(folder / PRUNED, document_bytes(document))

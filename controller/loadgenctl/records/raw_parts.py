"""The raw data of a results folder, which may be removed to free disk space.

What stays is small and answers most questions: run.json, status.json, summary.json, and the rows of
perf, events, blocks and cycles. Raw data cannot be computed again; that takes another run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadgenctl.records import schema
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.encode import document_bytes

PRUNED: Final = "pruned.json"
"""Says that raw data was removed: `time` (s, epoch), `bytes`, `removed` (names)."""

COPIES: Final = "copies"
"""The folder of storage that is still being packed."""
PARTIAL: Final = ".partial"
"""The end of the name of a packed file until it is complete."""
LOCK: Final = ".lock"
"""The end of the name of a lock, after the name of the folder that is being packed."""

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
    """The existing files and folders with raw data, sorted."""
    return sorted({part for pattern in _RAW for part in folder.glob(pattern)})


def note_pruned(folder: Path, *, now: float, freed: int, removed: Sequence[str]) -> None:
    """Write PRUNED; `now` in seconds of the epoch, `freed` in bytes. Raises `OSError`."""
    document = {"time": round(now, 3), "bytes": freed, "removed": list(removed)}
    replace_file(folder / PRUNED, document_bytes(document))

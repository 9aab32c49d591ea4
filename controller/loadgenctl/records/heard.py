"""The time of a run's last record, which is the end of a killed run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loadgenctl.records import schema
from loadgenctl.records.reader import RunFolder


def last_heard(folder: Path) -> float | None:
    """The time of a run's last record, epoch seconds; None if no record has one.

    Raises `OutputFolderError` if there is no run, or its records cannot be read.
    """
    # Another reader would count damaged lines twice.
    return max(
        (float(time) for time in _times(RunFolder(folder)) if time is not None), default=None
    )


def _times(run: RunFolder) -> Iterator[float | None]:
    status = run.status
    if status is not None:
        yield from (status.started_at, status.updated_at, status.finished_at)
        if status.started_at is not None:
            for row in run.perf():
                if row.get("timestamp") is not None:
                    yield status.started_at + row["timestamp"]
    # Not the files that `regen` computes from others.
    for file in (schema.EVENTS, schema.SAMPLES):
        yield from (row.get("time") for row in run.rows(file))

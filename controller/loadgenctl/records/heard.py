"""When a run was last heard of, which is when one ended that was killed: its last record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadgenctl.records import schema
from loadgenctl.records.reader import RunFolder

_TIMES: Final[Mapping[str, tuple[str, ...]]] = {
    schema.EVENTS: ("time",),
    schema.SAMPLES: ("time",),
}
"""File of rows → its times, epoch seconds. Not the files that `regen` computes from others."""


def last_heard(folder: Path) -> float | None:
    """The time of a run's last record, epoch seconds; None if no record has one.

    Raises `OutputFolderError` if there is no run, or its records cannot be read.
    """
    # An own reader: what is damaged is counted where it is shown.
    run = RunFolder(folder)
    status = run.status
    told: list[object] = []
    if status is not None:
        told += [status.started_at, status.updated_at, status.finished_at]
        if status.started_at is not None:
            told += [status.started_at + at for at in _timestamps(run)]
    for file, names in _TIMES.items():
        for row in run.rows(file):
            told += [row.get(name) for name in names]
        told = [max(_known(told), default=None)]
    return max(_known(told), default=None)


def _timestamps(run: RunFolder) -> list[float]:
    return _known([row.get("timestamp") for row in run.perf()])


def _known(values: list[object]) -> list[float]:
    return [float(value) for value in values if isinstance(value, int | float)]

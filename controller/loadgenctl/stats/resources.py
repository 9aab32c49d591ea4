"""Memory, CPU and storage from samples: maximum and average of gauges, increase of counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadgenctl.stats.numbers import rounded

Row = Mapping[str, Any]

_IDENTITY: Final = frozenset(
    {"time", "stage", "source", "kind", "role", "subject", "name", "reason"}
)
_COUNTER_WORDS: Final = ("cpu", "network", "net_", "block_read", "block_write", "io_", "faults")
_CPU: Final = (("cpu_total_s",), ("cpu_s",), ("cpu_user_s", "cpu_system_s"))
_FILES: Final = 20


def is_counter(name: str) -> bool:
    """True for a quantity that only grows while its process runs (CPU seconds, bytes moved)."""
    if name.endswith(("_percent", "_percentage")):
        return False
    return name.startswith(_COUNTER_WORDS)


@dataclass(slots=True)
class _Series:
    """Running numbers of one quantity of one subject."""

    counter: bool
    count: int = 0
    total: float = 0.0
    maximum: float = 0.0
    first: float = 0.0
    last: float = 0.0
    increase: float = 0.0

    def add(self, value: float) -> None:
        if not self.count:
            self.first = self.maximum = value
        elif self.counter:
            # A counter that fell restarted from 0 with its process.
            self.increase += value - self.last if value >= self.last else value
        self.count += 1
        self.total += value
        self.maximum = max(self.maximum, value)
        self.last = value

    def row(self) -> dict[str, float | int]:
        if self.counter:
            return {"increase": rounded(self.increase), "last": rounded(self.last)}
        return {
            "max": rounded(self.maximum),
            "avg": rounded(self.total / self.count),
            "last": rounded(self.last),
        }


@dataclass(slots=True)
class _Subject:
    role: str
    kind: str
    source: str
    subject: str
    name: str | None = None
    samples: int = 0
    missing: int = 0
    read: Row | None = None
    """The last sample with CPU seconds."""
    busy_s: float = 0.0
    watched_s: float = 0.0
    """Seconds between consecutive samples with CPU seconds, without the time between stages."""
    series: dict[str, _Series] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self._add_cpu(row)
        self.name = row.get("name") or self.name
        self.samples += 1
        self.missing += row.get("reason") is not None
        for key, value in row.items():
            if key in _IDENTITY or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            series = self.series.get(key)
            if series is None:
                series = self.series[key] = _Series(is_counter(key))
            series.add(float(value))

    def row(self) -> dict[str, Any]:
        row: dict[str, Any] = {
            "kind": self.kind,
            "role": self.role,
            "source": self.source,
            "subject": self.subject,
            "name": self.name,
            "samples": self.samples,
            "missing": self.missing,
        }
        if self.watched_s > 0:
            row["watched_s"] = rounded(self.watched_s)
            row["cpu_percentage"] = rounded(100.0 * self.busy_s / self.watched_s, 2)
        row["values"] = {name: series.row() for name, series in self.series.items()}
        return row

    def _add_cpu(self, row: Row) -> None:
        """Add the CPU seconds since the sample before, if that was of the same process."""
        if _moment(row) is None or cpu_seconds(row) is None:
            return
        spent = None if self.read is None else cpu_between(self.read, row)
        if spent is not None:
            self.busy_s += spent[0]
            self.watched_s += spent[1]
        self.read = row


def cpu_seconds(row: Row) -> float | None:
    """All CPU seconds of a sample: the total if there is one, else user and system."""
    for names in _CPU:
        values = [row.get(name) for name in names]
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        if len(numbers) == len(names):
            return sum(numbers)
    return None


def cpu_between(before: Row, after: Row) -> tuple[float, float] | None:
    """Seconds of CPU used, and seconds passed, between two samples of one subject.

    None unless both have CPU seconds and are of one stage and one process (a counter that fell
    belongs to another process).
    """
    begin, end = _moment(before), _moment(after)
    used, now_used = cpu_seconds(before), cpu_seconds(after)
    if begin is None or end is None or used is None or now_used is None:
        return None
    if before.get("stage") != after.get("stage") or end <= begin or now_used < used:
        return None
    return now_used - used, end - begin


def _moment(row: Row) -> float | None:
    time = row.get("time")
    return float(time) if isinstance(time, int | float) else None


def resource_rows(samples: Iterable[Row], *, files: int = _FILES) -> list[dict[str, Any]]:
    """One row per container, process and storage file, over all `samples`.

    Values are by name: gauges have `max`, `avg` and `last`, counters `increase` (corrected if a
    process started again) and `last`. `cpu_percentage` (100: one core) is over `watched_s` seconds.
    `missing` counts samples with a reason for missing values. Of the storage's files only the
    largest `files` have rows, besides their total.
    """
    subjects: dict[tuple[str, str, str], _Subject] = {}
    for row in samples:
        kind, role, subject = row.get("kind"), row.get("role"), row.get("subject")
        if not (isinstance(kind, str) and isinstance(role, str) and isinstance(subject, str)):
            continue
        key = (kind, role, subject)
        if key not in subjects:
            subjects[key] = _Subject(role, kind, str(row.get("source")), subject)
        subjects[key].add(row)
    rows = [subject.row() for _, subject in sorted(subjects.items())]
    stored = [row for row in rows if row["kind"] == "storage" and row["subject"] != "."]
    stored.sort(key=_size, reverse=True)
    dropped = {row["subject"] for row in stored[files:]}
    return [row for row in rows if row["kind"] != "storage" or row["subject"] not in dropped]


def _size(row: Row) -> float:
    value = row["values"].get("disk_kib", {}).get("max", 0.0)
    return float(value)

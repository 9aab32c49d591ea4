"""Memory, CPU and storage from samples: of gauges maximum and average, of counters their growth."""

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
_CPU_WHOLE: Final[tuple[str, ...]] = ("cpu_total_s", "cpu_s", "cpu_usage_s")
_CPU_PARTS: Final[tuple[str, ...]] = ("cpu_user_s", "cpu_system_s")


def is_counter(name: str) -> bool:
    """True for a quantity that only grows while its process lives (CPU seconds, bytes moved)."""
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
            # A counter that fell started anew with its process: what it shows has all grown since.
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
    first_time: float = 0.0
    last_time: float = 0.0
    series: dict[str, _Series] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        time = row.get("time")
        if isinstance(time, int | float):
            self.first_time = self.first_time or float(time)
            self.last_time = float(time)
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
            "span_s": rounded(self.last_time - self.first_time),
        }
        row["values"] = {name: series.row() for name, series in self.series.items()}
        cpu = self._cpu_percentage()
        if cpu is not None:
            row["cpu_percentage"] = cpu
        return row

    def _cpu_percentage(self) -> float | int | None:
        """CPU seconds per second between first and last sample, 100 = one core."""
        span = self.last_time - self.first_time
        whole = [name for name in _CPU_WHOLE if name in self.series][:1]
        parts = whole or [name for name in _CPU_PARTS if name in self.series]
        if span <= 0 or not parts:
            return None
        return rounded(100.0 * sum(self.series[name].increase for name in parts) / span, 2)


def resource_rows(samples: Iterable[Row]) -> list[dict[str, Any]]:
    """One row per container, process and storage file, over all the `samples` given.

    Values are by name: gauges have `max`, `avg` and `last`, counters `increase` (corrected where a
    process began anew) and `last`. `missing` counts samples that carry a reason for missing values.
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
    return [subject.row() for _, subject in sorted(subjects.items())]

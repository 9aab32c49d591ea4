"""Cycles of the load, from the events of the load service (docs/load-service.md).

A run takes the events as they are written, the statistics take recorded ones, and `top` those at
the end of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict, cast

from loadgenctl.records.offers import offers_of

Event = Mapping[str, Any]

COUNTS: Final = ("succeeded", "failed", "active", "missed")
"""The counters of a task that the service reports, too."""


class CycleRow(TypedDict):
    """A row of cycles.jsonl. Times are epoch seconds; null where not known."""

    stage: int
    task: str
    seq: int
    intended_start: float | None
    """When the schedule wanted it to start."""
    start: float | None
    finish: float | None
    duration_s: float | None
    """From the actual start."""
    latency_s: float | None
    """From the intended start: includes waiting for a free slot."""
    success: bool | None
    """null for a cycle that is in flight or never finished."""
    error: str | None
    inclusion_s: NotRequired[list[float | None]]
    """Of cycles through smart wallets, as all below: see `records.offers`."""
    settlement_s: NotRequired[list[float | None]]
    included_height: NotRequired[list[int | None]]
    settled_height: NotRequired[list[int | None]]
    gas: NotRequired[list[int | None]]


@dataclass(slots=True)
class TaskCounts:
    """What one task has done so far."""

    active: int = 0
    """Cycles in flight."""
    succeeded: int = 0
    failed: int = 0
    """Cycles that failed."""
    missed: int = 0
    """Starts that were due and never happened."""
    prepared: bool = False
    failed_preparations: int = 0
    state: str | None = None
    """`off`, `preparing`, `on` or `failed`, as the service last reported it with `tail`."""


class LoadCycles:
    """The cycles of one stage. Takes its events in the order in which they were written."""

    def __init__(self, stage: int, *, tail: bool = False) -> None:
        """With `tail` the first events may be missing: counters that the service reports replace
        those counted here, and a finish without a start ends a cycle that they include.
        """
        self.stage = stage
        self.tasks: dict[str, TaskCounts] = {}
        self.in_flight: dict[tuple[str, int], CycleRow] = {}
        """By task and sequence number."""
        self.abandoned: list[CycleRow] = []
        """Cycles that were in flight when the service started again: they never finish."""
        self._tail = tail

    def take(self, event: Event) -> CycleRow | None:
        """Take an event; return the row of the cycle that it finishes."""
        kind, task, seq = event.get("type"), event.get("task"), event.get("seq")
        if kind == "driver" and event.get("state") == "hello":
            self._abandon()
        elif kind == "status" and self._tail:
            self._adopt(event.get("status"))
        if not isinstance(task, str):
            return None
        counts = self.tasks.setdefault(task, TaskCounts())
        if kind == "start" and isinstance(seq, int):
            self._start(task, seq, event)
        elif kind == "finish" and isinstance(seq, int):
            return self._finish(task, seq, event)
        elif kind == "missed":
            count = event.get("count")
            counts.missed += count if type(count) is int and count > 0 else 1
        elif kind == "prepare" and event.get("success") is True:
            counts.prepared = True
        elif kind == "prepare":
            counts.failed_preparations += 1
        return None

    def _abandon(self) -> None:
        """A new service counts sequence numbers from 0 again."""
        self.abandoned += self.in_flight.values()
        self.in_flight.clear()
        for counts in self.tasks.values():
            counts.active = 0

    def _adopt(self, status: object) -> None:
        for name, reported in status.items() if isinstance(status, Mapping) else ():
            if not isinstance(reported, Mapping):
                continue
            counts = self.tasks.setdefault(str(name), TaskCounts())
            state = reported.get("state")
            counts.state = state if isinstance(state, str) else None
            for count in COUNTS:
                if type(reported.get(count)) is int:
                    setattr(counts, count, reported[count])

    def _start(self, task: str, seq: int, event: Event) -> None:
        if (task, seq) in self.in_flight:
            return
        start, intended = _seconds(event.get("time")), _seconds(event.get("intended"))
        row = self._row(task, seq, start if intended is None else intended, start)
        self.in_flight[task, seq] = row
        self.tasks[task].active += 1

    def _finish(self, task: str, seq: int, event: Event) -> CycleRow:
        counts, row = self.tasks[task], self.in_flight.pop((task, seq), None)
        if row is not None or self._tail:
            counts.active = max(0, counts.active - 1)
        if row is None:
            # The start is lost; that the cycle finished is still worth a row.
            row = self._row(task, seq, None, None)
        finish = _seconds(event.get("time"))
        row["finish"] = finish
        row["duration_s"] = _elapsed(event.get("duration"), finish, row["start"])
        row["latency_s"] = _elapsed(event.get("latency"), finish, row["intended_start"])
        row["success"] = event.get("success") is True
        row.update(cast("CycleRow", offers_of(event.get("detail"))))
        if row["success"]:
            counts.succeeded += 1
        else:
            counts.failed += 1
            row["error"] = str(event.get("error") or "no reason given")
        return row

    def _row(self, task: str, seq: int, intended: float | None, start: float | None) -> CycleRow:
        return CycleRow(
            stage=self.stage,
            task=task,
            seq=seq,
            intended_start=intended,
            start=start,
            finish=None,
            duration_s=None,
            latency_s=None,
            success=None,
            error=None,
        )


def _seconds(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _elapsed(measured: object, finish: float | None, begin: float | None) -> float | None:
    """What the service measured (by a clock that never jumps), else the difference of the times."""
    seconds = _seconds(measured)
    if seconds is not None or finish is None or begin is None:
        return seconds
    return round(finish - begin, 6)

"""Collectors of the newest rows of a results folder, which keep only what `top` shows.

Rows may be the end of a long file, and any field may be missing or of another type. Each collector
takes rows as they are written (`add`) and returns their state (`standing`), or None without rows.
What is not known is null, never 0; times are epoch seconds.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadgenctl.records.load_cycles import COUNTS, LoadCycles, TaskCounts
from loadgenctl.slog.block_rows import BOOTSTRAP
from loadgenctl.stats.blocks import LAST, METRICS, block_summary
from loadgenctl.stats.numbers import rounded, spread
from loadgenctl.stats.resources import cpu_between

Row = Mapping[str, Any]
Standing = dict[str, Any]

RECENT: Final = 1000
"""Number of successful cycles of a task that its durations and rate are computed from."""
RATE_WINDOW: Final = 300.0
"""Seconds over which the rate of cycles is computed."""
RATE_LEAST: Final = 10.0
"""Seconds of load before which a rate means nothing."""

_ABSURD: Final = 1e15
"""Far above every time, size and count of a run."""
_MEMORY: Final = {"process": "memory_rss_kib", "container": "memory_bytes"}
_MOVED: Final = (
    "network_rx_bytes",
    "network_tx_bytes",
    "block_read_bytes",
    "block_write_bytes",
)
_TOGETHER: Final = ("kernel", "vats", "agent", "controller")
"""Processes that are not a single vat."""


def number(value: object) -> float | int | None:
    """`value` if it is a number of plausible size."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _ABSURD else None


class Marks:
    """perf.jsonl: the newest event of the newest stage, and when that stage began."""

    def __init__(self) -> None:
        """No events yet."""
        self.last_at: float | None = None
        """Time of the newest row, in seconds since the run's start."""
        self._stage: int | None = None
        self._mark: str | None = None
        self._began: float | None = None
        self._loaded: float | None = None

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows of perf.jsonl."""
        for row in rows:
            kind, stage = row.get("type"), row.get("stage")
            at, elapsed = number(row.get("timestamp")), number(row.get("elapsed"))
            if not isinstance(kind, str) or not isinstance(stage, int) or at is None:
                continue
            if stage != self._stage:
                self._stage, self._mark, self._began, self._loaded = stage, None, None, None
            if elapsed is not None:
                self._began = at - elapsed
            if not kind.endswith("-usage"):
                self._mark = kind
            if kind == "perf-load-start":
                self._loaded = at
            self.last_at = at

    def standing(self, stage: int) -> tuple[str | None, float | None]:
        """The newest event of a stage, and when the stage began (seconds since the run's start)."""
        return (self._mark, self._began) if stage == self._stage else (None, None)

    def load_began(self, stage: int) -> float | None:
        """When a stage's load began, in seconds since the run's start."""
        return self._loaded if stage == self._stage else None


class Blocks:
    """blocks.jsonl: the last blocks of the newest stage that has any."""

    def __init__(self) -> None:
        """No blocks yet."""
        self._stage: object = None
        self._rows: deque[Row] = deque(maxlen=LAST)

    @property
    def last_at(self) -> float | None:
        """When the newest block ended."""
        return number(self._rows[-1].get("endFinishAt")) if self._rows else None

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows of blocks.jsonl."""
        for row in rows:
            if number(row.get("blockHeight")) is None or row.get(BOOTSTRAP) is True:
                continue
            if row.get("stage") != self._stage:
                self._stage = row.get("stage")
                self._rows.clear()
            self._rows.append(row)

    def standing(self, now: float) -> Standing | None:
        """The blocks, oldest first, the averages over them, and the age of the newest in s."""
        summary = block_summary(self._rows)
        if summary is None:
            return None
        averages = {
            name: described["avg"]
            for name in METRICS.values()
            if (described := summary.get(name)) is not None
        }
        return {
            "stage": self._stage,
            "age_s": _age(self.last_at, now),
            "average": averages,
            "last": [_block(row) for row in self._rows],
        }


def _block(row: Row) -> Standing:
    metrics = {name: number(row.get(ours)) for ours, name in METRICS.items()}
    ended = number(row.get("endFinishAt"))
    return {"block_height": row["blockHeight"], "end_finish_at": ended, **metrics}


@dataclass(slots=True)
class _Recent:
    """The last successful cycles of a task."""

    durations: deque[object] = field(default_factory=lambda: deque(maxlen=RECENT))
    finishes: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))


class Cycles:
    """events.jsonl and cycles.jsonl: the tasks of the newest stage with a load."""

    def __init__(self) -> None:
        """No load yet."""
        self.last_at: float | None = None
        self._began: float | None = None
        self._counted: LoadCycles | None = None
        self._recent: defaultdict[str, _Recent] = defaultdict(_Recent)

    @property
    def stage(self) -> int | None:
        """The newest stage with a load."""
        return None if self._counted is None else self._counted.stage

    def add_events(self, rows: Iterable[Row]) -> None:
        """Take rows of events.jsonl: the counters come from them."""
        for row in rows:
            counted = self._of_newest(row, row.get("time"))
            if counted is not None:
                counted.take(row)

    def add_cycles(self, rows: Iterable[Row]) -> None:
        """Take rows of cycles.jsonl: durations and rates come from them."""
        for row in rows:
            finish, name = number(row.get("finish")), row.get("task")
            counted = self._of_newest(row, row.get("start"))
            if counted is None or not isinstance(name, str):
                continue
            if row.get("success") is True and finish is not None:
                counted.tasks.setdefault(name, TaskCounts())
                self._recent[name].durations.append(row.get("duration_s"))
                self._recent[name].finishes.append(finish)

    def standing(self, now: float, *, current: bool) -> Standing | None:
        """Counters and durations (s) by task; the load runs until `now` if the stage is current."""
        if self._counted is None:
            return None
        tasks = {
            name: counts
            for name, counts in sorted(self._counted.tasks.items())
            if counts.state != "off" or any(getattr(counts, count) for count in COUNTS)
        }
        if not tasks:
            return None
        end = now if current else self.last_at
        window = None
        if end is not None and self._began is not None:
            window = min(RATE_WINDOW, end - self._began)
        return {
            "stage": self.stage,
            "rate_window_s": None if window is None else rounded(window, 3),
            "tasks": {
                name: _task(counts, self._recent[name], end, window)
                for name, counts in tasks.items()
            },
        }

    def _of_newest(self, row: Row, time: object) -> LoadCycles | None:
        """The cycles of the row's stage; None if that is not the newest one."""
        stage, at, newest = row.get("stage"), number(time), self.stage
        if not isinstance(stage, int) or (newest is not None and stage < newest):
            return None
        if self._counted is None or stage != newest:
            self._counted, self._began = LoadCycles(stage, tail=True), None
            self._recent.clear()
        if at is not None:
            self._began = at if self._began is None else min(self._began, at)
            self.last_at = at if self.last_at is None else max(self.last_at, at)
        return self._counted


def _task(counts: TaskCounts, recent: _Recent, end: float | None, window: float | None) -> Standing:
    durations = spread(recent.durations) or {}
    rate = None
    if end is not None and window is not None and window >= RATE_LEAST:
        finished = sum(1 for finish in recent.finishes if end - window <= finish <= end)
        rate = rounded(60.0 * finished / window, 3)
    return {
        "state": counts.state,
        **{count: getattr(counts, count) for count in COUNTS},
        "duration_avg_s": durations.get("avg"),
        "duration_p95_s": durations.get("p95"),
        "duration_count": len(recent.durations),
        "succeeded_per_minute": rate,
    }


class Readings:
    """samples.jsonl: the last two samples of every container, every process and the storage."""

    def __init__(self) -> None:
        """No samples yet."""
        self.last_at: float | None = None
        self._pairs: dict[tuple[str, str], tuple[Row | None, Row]] = {}
        self._vats_at: float | None = None
        self._stage: object = None
        """The stage of the newest sample of a container."""

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows of samples.jsonl."""
        for row in rows:
            kind, subject, at = row.get("kind"), row.get("subject"), number(row.get("time"))
            if not isinstance(kind, str) or not isinstance(subject, str) or at is None:
                continue
            if kind == "storage" and subject != ".":
                continue
            if kind == "container":
                self._stage = row.get("stage")
            elif kind == "process" and subject not in _TOGETHER:
                self._vats_at = at
            before = self._pairs.get((kind, subject))
            self._pairs[kind, subject] = (None if before is None else before[1], row)
            self.last_at = at if self.last_at is None else max(self.last_at, at)

    def processes(self, now: float) -> list[Standing]:
        """The kernel, all vats together, then each vat of the last full sample, busiest first.

        Vats are sampled less often than the rest.
        """
        totals = [self._pairs.get(("process", subject)) for subject in ("kernel", "vats")]
        rows = [_process(*pair, now) for pair in totals if pair is not None]
        vats = [
            _process(*pair, now)
            for (kind, subject), pair in self._pairs.items()
            if kind == "process" and subject not in _TOGETHER and pair[1]["time"] == self._vats_at
        ]
        vats.sort(
            key=lambda vat: (
                -_or_less(vat["cpu_percentage"]),
                -_or_less(vat["memory_rss_kib"]),
                vat["subject"],
            )
        )
        return rows + vats

    def containers(self, now: float) -> list[Standing]:
        """The containers of the newest stage, in the order of their first samples."""
        return [
            _container(*pair, now)
            for (kind, _), pair in self._pairs.items()
            if kind == "container" and pair[1].get("stage") == self._stage
        ]

    def storage(self, now: float) -> Standing | None:
        """The chain's complete storage."""
        pair = self._pairs.get(("storage", "."))
        if pair is None:
            return None
        return {"age_s": _age(pair[1]["time"], now), "disk_kib": number(pair[1].get("disk_kib"))}


def _process(before: Row | None, last: Row, now: float) -> Standing:
    row = {"subject": last["subject"], "name": last.get("name"), **_reading(before, last, now)}
    # Only the row of all vats together has their number.
    return {**row, "workers": number(last["workers"])} if "workers" in last else row


def _container(before: Row | None, last: Row, now: float) -> Standing:
    moved = {name: number(last.get(name)) for name in _MOVED}
    return {"role": last["subject"], **_reading(before, last, now), **moved}


def _reading(before: Row | None, last: Row, now: float) -> Standing:
    memory = _MEMORY[last["kind"]]
    spent = None if before is None else cpu_between(before, last)
    return {
        "stage": last.get("stage"),
        "age_s": _age(last["time"], now),
        "cpu_percentage": None if spent is None else rounded(100.0 * spent[0] / spent[1], 2),
        memory: number(last.get(memory)),
        "reason": last.get("reason"),
    }


def _age(at: float | None, now: float) -> float | int | None:
    """Seconds since `at`; 0 if the clock was set back."""
    return None if at is None else rounded(max(0.0, now - at), 3)


def _or_less(value: float | None) -> float:
    return -1.0 if value is None else value

"""What the newest rows of a results folder tell: of each file only as much is kept as they need.

Rows may be the end of a long file, and whatever is in them may be missing or of another type.
Each collector takes rows as they come (`add`) and gives their state (`standing`), or None
while it has seen nothing. What is not known is null, never 0; times are epoch seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadgenctl.slog.blocks import BOOTSTRAP
from loadgenctl.stats.blocks import LAST, METRICS, block_summary
from loadgenctl.stats.numbers import rounded, spread
from loadgenctl.stats.resources import cpu_between

Row = Mapping[str, Any]
Standing = dict[str, Any]

RECENT: Final = 1000
"""Successful cycles of a task whose durations are described."""
RATE_WINDOW: Final = 300.0
"""Seconds over which the rate of cycles is taken."""
RATE_LEAST: Final = 10.0
"""Seconds of load before which a rate would be luck."""

_ABSURD: Final = 1e15
"""No time, size or count of a run comes near it."""
_COUNTS: Final = ("succeeded", "failed", "active", "missed")
_MEMORY: Final = {"process": "memory_rss_kib", "container": "memory_bytes"}
_MOVED: Final = (
    "network_rx_bytes",
    "network_tx_bytes",
    "block_read_bytes",
    "block_write_bytes",
)
_TOGETHER: Final = ("kernel", "vats", "agent", "controller")
"""Processes that are no single vat."""


def number(value: object) -> float | int | None:
    """`value` if it is a number that can be reckoned with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _ABSURD else None


class Marks:
    """perf.jsonl: how far the newest stage has come, and when it began."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.last_at: float | None = None
        """Seconds since the run's start of the newest row."""
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
        """The newest event of a stage, and when that began (seconds since the run's start)."""
        return (self._mark, self._began) if stage == self._stage else (None, None)

    def load_began(self, stage: int) -> float | None:
        """When a stage's load began, seconds since the run's start."""
        return self._loaded if stage == self._stage else None


class Blocks:
    """blocks.jsonl: the last blocks of the newest stage that has any."""

    def __init__(self) -> None:
        """None yet."""
        self._stage: object = None
        self._rows: deque[Row] = deque(maxlen=LAST)

    @property
    def last_at(self) -> float | None:
        """When the newest block was done."""
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
    told = {name: number(row.get(ours)) for ours, name in METRICS.items()}
    ended = number(row.get("endFinishAt"))
    return {"block_height": row["blockHeight"], "end_finish_at": ended, **told}


@dataclass(slots=True)
class _Task:
    """One task of the load."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    state: str | None = None
    durations: deque[object] = field(default_factory=lambda: deque(maxlen=RECENT))
    finishes: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def idle(self) -> bool:
        """True for a task that is off and has done nothing."""
        return self.state == "off" and not any(self.counts.values())


class Cycles:
    """events.jsonl and cycles.jsonl: the tasks of the newest stage with a load."""

    def __init__(self) -> None:
        """No load yet."""
        self.stage: int | None = None
        self.last_at: float | None = None
        self._tasks: dict[str, _Task] = {}
        self._began: float | None = None

    def add_events(self, rows: Iterable[Row]) -> None:
        """Take rows of events.jsonl: they count."""
        for row in rows:
            if not self._within(row, row.get("time")):
                continue
            kind, name = row.get("type"), row.get("task")
            status = row.get("status")
            if kind == "status" and isinstance(status, Mapping):
                self._take_status(status)
            elif isinstance(name, str):
                self._count(self._task(name), row)

    def add_cycles(self, rows: Iterable[Row]) -> None:
        """Take rows of cycles.jsonl: they tell durations, and when cycles finished."""
        for row in rows:
            finish, name = number(row.get("finish")), row.get("task")
            if not self._within(row, row.get("start")) or not isinstance(name, str):
                continue
            if row.get("success") is True and finish is not None:
                task = self._task(name)
                task.durations.append(row.get("duration_s"))
                task.finishes.append(finish)

    def standing(self, now: float, *, current: bool) -> Standing | None:
        """Counts and durations (s) by task; the load runs until `now` if the stage is current"""
        tasks = {name: task for name, task in sorted(self._tasks.items()) if not task.idle}
        if not tasks:
            return None
        end = now if current else self.last_at
        window = None
        if end is not None and self._began is not None:
            window = min(RATE_WINDOW, end - self._began)
        return {
            "stage": self.stage,
            "rate_window_s": None if window is None else rounded(window, 3),
            "tasks": {name: _task(task, end, window) for name, task in tasks.items()},
        }

    def _within(self, row: Row, time: object) -> bool:
        """True if the row belongs to the newest stage; one of a newer stage begins it."""
        stage, at = row.get("stage"), number(time)
        if not isinstance(stage, int) or (self.stage is not None and stage < self.stage):
            return False
        if stage != self.stage:
            self.stage, self._began, self._tasks = stage, None, {}
        if at is not None:
            self._began = at if self._began is None else min(self._began, at)
            self.last_at = at if self.last_at is None else max(self.last_at, at)
        return True

    def _task(self, name: str) -> _Task:
        return self._tasks.setdefault(name, _Task())

    def _take_status(self, status: Mapping[Any, Any]) -> None:
        """The service's own counters: true also where only the end of its events was read."""
        for name, told in status.items():
            if not isinstance(told, Mapping):
                continue
            task = self._task(str(name))
            state = told.get("state")
            task.state = state if isinstance(state, str) else None
            for count in _COUNTS:
                value = told.get(count)
                if isinstance(value, int):
                    task.counts[count] = value

    def _count(self, task: _Task, row: Row) -> None:
        """What happened since the service last told its counters."""
        kind, counts = row.get("type"), task.counts
        if kind == "start":
            counts["active"] += 1
        elif kind == "finish":
            counts["active"] = max(0, counts["active"] - 1)
            counts["succeeded" if row.get("success") is True else "failed"] += 1
        elif kind == "missed":
            count = row.get("count")
            counts["missed"] += count if isinstance(count, int) and count > 0 else 1


def _task(task: _Task, end: float | None, window: float | None) -> Standing:
    durations = spread(task.durations) or {}
    rate = None
    if end is not None and window is not None and window >= RATE_LEAST:
        recent = sum(1 for finish in task.finishes if end - window <= finish <= end)
        rate = rounded(60.0 * recent / window, 3)
    return {
        "state": task.state,
        **task.counts,
        "duration_avg_s": durations.get("avg"),
        "duration_p95_s": durations.get("p95"),
        "duration_count": len(task.durations),
        "succeeded_per_minute": rate,
    }


class Readings:
    """samples.jsonl: of every container, process and of the storage the last two readings."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.last_at: float | None = None
        self._pairs: dict[tuple[str, str], tuple[Row | None, Row]] = {}
        self._vats_at: float | None = None
        self._stage: object = None
        """Of the newest reading of a container."""

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
        """Kernel, all vats together, then the vats that were there at the last full reading.

        The busiest first. Vats are read less often than the rest.
        """
        whole = [self._pairs.get(("process", subject)) for subject in ("kernel", "vats")]
        rows = [_process(*pair, now) for pair in whole if pair is not None]
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
        """The containers of the newest stage, in the order in which they came."""
        return [
            _container(*pair, now)
            for (kind, _), pair in self._pairs.items()
            if kind == "container" and pair[1].get("stage") == self._stage
        ]

    def storage(self, now: float) -> Standing | None:
        """The chain's storage as a whole."""
        pair = self._pairs.get(("storage", "."))
        if pair is None:
            return None
        return {"age_s": _age(pair[1]["time"], now), "disk_kib": number(pair[1].get("disk_kib"))}


def _process(before: Row | None, last: Row, now: float) -> Standing:
    row = {"subject": last["subject"], "name": last.get("name"), **_reading(before, last, now)}
    # Only all vats together tell how many they are.
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
    """Seconds; a clock that was set back makes nothing younger than now."""
    return None if at is None else rounded(max(0.0, now - at), 3)


def _or_less(value: float | None) -> float:
    return -1.0 if value is None else value

"""The controller's end of the load service: set its config, follow the events it writes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import orjson

from loadgenctl.engines.base import ExecResult
from loadgenctl.errors import LoadFailed
from loadgenctl.plainfile import RolePath, open_plain
from loadgenctl.records.offers import offers_of
from loadgenctl.records.reader import parse_row
from loadgenctl.records.shape import shape_of
from loadgenctl.sdks.base import TOOLS

MAX_LINE = 1024 * 1024
"""Bytes of an event line; a longer one is taken for garbage."""

RECENT = 3
"""Finished cycles that are remembered."""

_CHUNK = 1024 * 1024
_CLIENT = f"{TOOLS}/service/client.py"
_REFUSED = 3
"""The exit code of a client whose request the service refused for good."""

Event = dict[str, Any]


class LoadUnreachable(LoadFailed):
    """No load service answered, or it could not take a request yet: asking again may help."""


class LoadClient:
    """Sets and reads the config of a running load service.

    The service's port is not published: requests go out from inside its container.
    """

    def __init__(self, execute: Callable[[Sequence[str]], ExecResult]) -> None:
        """`execute` runs a command in the load generator's container and waits for it."""
        self._execute = execute

    def put(self, config: Mapping[str, Any]) -> None:
        """Set the config; {} turns all off. Raises `LoadFailed` when it is refused, and
        `LoadUnreachable` if the service cannot be reached.
        """
        self._ask("put", json.dumps(config))

    def get(self) -> dict[str, Any]:
        """The config in force. Raises `LoadFailed`."""
        return self._object(self._ask("get"))

    def status(self) -> dict[str, Any]:
        """Counters per task. Raises `LoadFailed`."""
        return self._object(self._ask("status"))

    def _ask(self, *words: str) -> bytes:
        done = self._execute(["python3", _CLIENT, *words])
        if done.exit_code != 0:
            refused = done.exit_code == _REFUSED
            kind = LoadFailed if refused else LoadUnreachable
            raise kind(
                f"the load service {'refused' if refused else 'did not take'} the request"
                f" {words[0]!r}",
                role="loadgen",
                step="config",
                detail=done.output.decode("utf-8", "replace").strip(),
            )
        return done.output

    @staticmethod
    def _object(output: bytes) -> dict[str, Any]:
        value = _parsed(output)
        if value is None:
            raise LoadFailed(
                "the load service's answer is not a JSON object",
                role="loadgen",
                step="config",
                detail=output[:200].decode("utf-8", "replace"),
            )
        return value


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
    succeeded: int = 0
    failed: int = 0
    """Cycles that failed."""
    missed: int = 0
    """Starts that were due and never happened."""
    prepared: bool = False
    failed_preparations: int = 0


@dataclass(frozen=True, slots=True)
class Failures:
    """What failed of the load in one stage."""

    cycles: int = 0
    preparations: int = 0

    @property
    def count(self) -> int:
        """All of it."""
        return self.cycles + self.preparations


class LoadEvents:
    """Reads the events of one stage while the load service appends them."""

    def __init__(self, path: Path | RolePath, stage: int) -> None:
        """`path` need not exist yet; `stage` goes into the cycle rows."""
        self._path = path
        self._shape = shape_of(path.name)
        self._stage = stage
        self._offset = 0
        self._partial = b""
        self._skipping = False
        self._running: dict[tuple[str, int], CycleRow] = {}
        self._done: list[CycleRow] = []
        self.recent: deque[CycleRow] = deque(maxlen=RECENT)
        """The cycles that finished last."""
        self.config: dict[str, Mapping[str, Any]] = {}
        """What is on, as the service told it last: task → interval, wait, limit."""
        self.tasks: dict[str, TaskCounts] = {}
        self.garbage = 0
        """Lines that were no events."""
        self.last_error: str | None = None
        """Why the last failed cycle or preparation failed."""
        self.longest_cycle = 0.0
        """Seconds of the longest finished cycle."""
        self.offered: tuple[str, ...] = ()
        """The tasks that the driver can run, as its hello told."""
        self.unavailable: Mapping[str, str] = {}
        """Task that it cannot run → why, as far as it told."""
        self.driver_exit: str | None = None
        """Why the driver ended before it was asked to; None while it lives or ended as asked."""

    @property
    def active(self) -> int:
        """Cycles in flight."""
        return len(self._running)

    @property
    def finished(self) -> int:
        """Finished cycles, failed ones included."""
        return sum(counts.succeeded + counts.failed for counts in self.tasks.values())

    @property
    def failed(self) -> int:
        """Failed cycles and failed preparations: either means that a task failed."""
        return self.failures.count

    @property
    def failures(self) -> Failures:
        """The same, told apart."""
        tasks = self.tasks.values()
        return Failures(
            sum(counts.failed for counts in tasks),
            sum(counts.failed_preparations for counts in tasks),
        )

    @property
    def missed(self) -> int:
        """Starts that were due and never happened."""
        return sum(counts.missed for counts in self.tasks.values())

    @property
    def pause(self) -> float | None:
        """Seconds that the config in force may leave between two starts; None: nothing is on."""
        pauses = [
            max(_seconds(task.get("interval")) or 0.0, _seconds(task.get("wait")) or 0.0)
            for task in self.config.values()
        ]
        return min(pauses, default=None)

    def settled(self, tasks: Iterable[str]) -> bool:
        """Whether each of these tasks is prepared, or failed to be."""
        known = [self.tasks.get(task, TaskCounts()) for task in tasks]
        return all(counts.prepared or counts.failed_preparations for counts in known)

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Task → (succeeded, failed including a failed preparation, in flight)."""
        return {
            task: (counts.succeeded, counts.failed + counts.failed_preparations, counts.active)
            for task, counts in self.tasks.items()
        }

    def poll(self) -> list[Event]:
        """The events written since the last call; an unfinished last line waits for the next."""
        events = []
        for line in self._new_lines():
            event = parse_row(line, self._shape)
            if event is None or not _is_event(event):
                self.garbage += 1
                continue
            self._take(event)
            events.append(event)
        return events

    def take_cycles(self) -> list[CycleRow]:
        """Rows of the cycles that finished since the last call."""
        done, self._done = self._done, []
        return done

    def unfinished(self) -> list[CycleRow]:
        """Rows of the cycles in flight: no finish, no durations, no success."""
        return list(self._running.values())

    def _new_lines(self) -> list[bytes]:
        try:
            with open_plain(self._path) as file:
                if file.seek(0, 2) < self._offset:
                    # Begun anew by someone: what is there now was never read.
                    self._offset, self._partial, self._skipping = 0, b"", False
                file.seek(self._offset)
                lines: list[bytes] = []
                while chunk := file.read(_CHUNK):
                    self._offset += len(chunk)
                    lines += self._split(chunk)
                return lines
        except FileNotFoundError:
            return []

    def _split(self, chunk: bytes) -> list[bytes]:
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        if self._skipping and lines:
            self._skipping = False
            lines = lines[1:]
        if len(self._partial) > MAX_LINE:
            self.garbage += 0 if self._skipping else 1
            self._skipping, self._partial = True, b""
        return [line for line in lines if line.strip()]

    def _take(self, event: Event) -> None:
        kind, task = event["type"], event.get("task")
        if kind == "driver":
            self._take_driver(event)
        elif kind == "config":
            self._take_config(event.get("config"))
        if not isinstance(task, str):
            return
        counts = self.tasks.setdefault(task, TaskCounts())
        if kind == "start":
            self._start(task, counts, event)
        elif kind == "finish":
            self._finish(task, counts, event)
        elif kind == "missed":
            counts.missed += _count(event.get("count"))
        elif kind == "prepare" and event.get("success") is True:
            counts.prepared = True
        elif kind == "prepare":
            counts.failed_preparations += 1
            self.last_error = f"preparing {task}: {event.get('error') or 'no reason given'}"

    def _take_driver(self, event: Event) -> None:
        if event.get("state") == "hello":
            # A new service counts from 0 again; what an earlier one left in flight never finishes.
            self._running.clear()
            for counts in self.tasks.values():
                counts.active = 0
            self.driver_exit = None
            self.offered = tuple(event.get("tasks") or ())
            self.unavailable = dict(event.get("unavailable") or {})
        elif event.get("state") == "exit" and event.get("expected") is not True:
            self.driver_exit = str(event.get("reason") or "the driver ended")

    def _take_config(self, config: object) -> None:
        if isinstance(config, dict):
            self.config = {
                name: dict(task) for name, task in config.items() if isinstance(task, dict)
            }

    def _start(self, task: str, counts: TaskCounts, event: Event) -> None:
        seq = event.get("seq")
        if not isinstance(seq, int) or (task, seq) in self._running:
            return
        start = _seconds(event["time"])
        intended = _seconds(event.get("intended"))
        self._running[task, seq] = self._row(task, seq, start if intended is None else intended)
        self._running[task, seq]["start"] = start
        counts.active += 1

    def _row(self, task: str, seq: int, intended: float | None) -> CycleRow:
        return CycleRow(
            stage=self._stage,
            task=task,
            seq=seq,
            intended_start=intended,
            start=None,
            finish=None,
            duration_s=None,
            latency_s=None,
            success=None,
            error=None,
        )

    def _finish(self, task: str, counts: TaskCounts, event: Event) -> None:
        seq = event.get("seq")
        if not isinstance(seq, int):
            return
        row = self._running.pop((task, seq), None)
        if row is None:
            # Its start line is lost; that it finished is still worth a row.
            row = self._row(task, seq, None)
        else:
            counts.active -= 1
        finish = _seconds(event["time"])
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
            self.last_error = f"{task} cycle {seq}: {row['error']}"
        self.longest_cycle = max(self.longest_cycle, row["duration_s"] or 0.0)
        self._done.append(row)
        self.recent.append(row)


def _parsed(line: bytes) -> Event | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _is_event(event: Event) -> bool:
    return isinstance(event.get("type"), str) and _seconds(event.get("time")) is not None


def _seconds(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 1


def _elapsed(told: object, finish: float | None, begin: float | None) -> float | None:
    """The service's own measure (a clock that never jumps), else the difference of wall times."""
    measured = _seconds(told)
    if measured is not None:
        return measured
    return None if finish is None or begin is None else round(finish - begin, 6)

"""The controller's side of the load service: set its config, read the events that it writes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgenctl.engines.base import ExecResult
from loadgenctl.errors import LoadFailed
from loadgenctl.plainfile import RolePath
from loadgenctl.records.load_cycles import CycleRow, Event, LoadCycles, TaskCounts
from loadgenctl.records.reader import Row, RowFollower, parse_row
from loadgenctl.records.shape import is_time
from loadgenctl.sdks.base import TOOLS

RECENT = 3
"""Finished cycles that are remembered."""

_CLIENT = f"{TOOLS}/service/client.py"
_REFUSED = 3
"""The client's exit code if the service refused the request and would refuse it again."""


class LoadUnreachable(LoadFailed):
    """No load service answered, or it could not take the request yet: a retry may help."""


class LoadClient:
    """Sets and reads the config of a running load service.

    The service's port is not published, so requests are sent from inside its container.
    """

    def __init__(self, execute: Callable[[Sequence[str]], ExecResult]) -> None:
        """`execute` runs a command in the load generator's container and waits for it."""
        self._execute = execute

    def put(self, config: Mapping[str, Any]) -> None:
        """Set the config; {} turns all tasks off. Raises `LoadFailed` if it is refused, and
        `LoadUnreachable` if the service cannot be reached.
        """
        self._request("put", json.dumps(config))

    def get(self) -> dict[str, Any]:
        """The config in force. Raises `LoadFailed`."""
        return self._object(self._request("get"))

    def status(self) -> dict[str, Any]:
        """Counters per task. Raises `LoadFailed`."""
        return self._object(self._request("status"))

    def _request(self, *words: str) -> bytes:
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
        value = parse_row(output)
        if value is None:
            raise LoadFailed(
                "the load service's answer is not a JSON object",
                role="loadgen",
                step="config",
                detail=output[:200].decode("utf-8", "replace"),
            )
        return value


@dataclass(frozen=True, slots=True)
class Failures:
    """How much of a stage's load failed."""

    cycles: int = 0
    preparations: int = 0

    @property
    def count(self) -> int:
        """Failed cycles and failed preparations."""
        return self.cycles + self.preparations


class LoadEvents:
    """Reads the events of one stage while the load service appends them."""

    def __init__(self, path: Path | RolePath, stage: int) -> None:
        """`path` need not exist yet; `stage` goes into the cycle rows."""
        self._follower = RowFollower(path)
        self._cycles = LoadCycles(stage)
        self._done: list[CycleRow] = []
        self._no_events = 0
        self.recent: deque[CycleRow] = deque(maxlen=RECENT)
        """The cycles that finished last."""
        self.config: dict[str, Mapping[str, Any]] = {}
        """What is on, as the service last reported it: task → interval, wait, limit."""
        self.last_error: str | None = None
        """Why the last failed cycle or preparation failed."""
        self.longest_cycle = 0.0
        """Seconds of the longest finished cycle."""
        self.offered: tuple[str, ...] = ()
        """The tasks that the driver can run, from its hello."""
        self.unavailable: Mapping[str, str] = {}
        """Task that the driver cannot run → why, from its hello."""

    @property
    def tasks(self) -> Mapping[str, TaskCounts]:
        """Counters by task."""
        return self._cycles.tasks

    @property
    def garbage(self) -> int:
        """Lines that were no events."""
        return self._follower.unreadable + self._no_events

    @property
    def active(self) -> int:
        """Cycles in flight."""
        return len(self._cycles.in_flight)

    @property
    def finished(self) -> int:
        """Finished cycles, including failed ones."""
        return sum(counts.succeeded + counts.failed for counts in self.tasks.values())

    @property
    def failures(self) -> Failures:
        """Failed cycles and failed preparations; either means that a task failed."""
        tasks = self.tasks.values()
        return Failures(
            sum(counts.failed for counts in tasks),
            sum(counts.failed_preparations for counts in tasks),
        )

    @property
    def pause(self) -> float | None:
        """Seconds that the config in force may leave between two starts; None if nothing is on."""
        return min(map(_pause, self.config.values()), default=None)

    def settled(self, tasks: Iterable[str]) -> bool:
        """Whether the preparation of each of these tasks has ended, successfully or not."""
        known = [self.tasks.get(task, TaskCounts()) for task in tasks]
        return all(counts.prepared or counts.failed_preparations for counts in known)

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Task → (succeeded, failed including a failed preparation, in flight)."""
        return {
            task: (counts.succeeded, counts.failed + counts.failed_preparations, counts.active)
            for task, counts in self.tasks.items()
        }

    def poll(self) -> list[Row]:
        """The events written since the last call, without an unfinished last line.

        Raises `OSError`, also for a file that is not a plain one.
        """
        rows = self._follower.read()
        while self._follower.behind:
            rows += self._follower.read()
        events = [row for row in rows if is_time(row.get("time"))]
        self._no_events += len(rows) - len(events)
        for event in events:
            self._take(event)
        return events

    def take_cycles(self) -> list[CycleRow]:
        """Rows of the cycles that finished since the last call."""
        done, self._done = self._done, []
        return done

    def unfinished(self) -> list[CycleRow]:
        """Rows of the cycles in flight: no finish, no durations, no success."""
        return list(self._cycles.in_flight.values())

    def _take(self, event: Event) -> None:
        cycle = self._cycles.take(event)
        if cycle is not None:
            self.longest_cycle = max(self.longest_cycle, cycle["duration_s"] or 0.0)
            self._done.append(cycle)
            self.recent.append(cycle)
            if not cycle["success"]:
                self.last_error = f"{cycle['task']} cycle {cycle['seq']}: {cycle['error']}"
        kind, task = event["type"], event.get("task")
        if kind == "driver" and event.get("state") == "hello":
            self.offered = tuple(event.get("tasks") or ())
            self.unavailable = dict(event.get("unavailable") or {})
        elif kind == "config" and isinstance(event.get("config"), dict):
            config = event["config"].items()
            self.config = {name: dict(task) for name, task in config if isinstance(task, dict)}
        elif kind == "prepare" and task is not None and event.get("success") is not True:
            self.last_error = f"preparing {task}: {event.get('error') or 'no reason given'}"


def _pause(task: Mapping[str, Any]) -> float:
    values: list[Any] = [task.get("interval"), task.get("wait")]
    return max((value for value in values if is_time(value)), default=0.0)

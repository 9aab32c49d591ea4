"""When each cycle starts: a state machine that gets the time as an argument and never waits.

Starts fall due on a grid: the first `wait` seconds after the task is ready, then one every
`interval`, whatever the cycles do. A due start finds a free slot (fewer than `limit` cycles in
flight) and starts at once, or stays pending (at most `limit` deep) and starts when a cycle ends, or
is counted as missed. A start keeps the time it was due at, so that a cycle's latency includes the
time it had to queue.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Deque, Dict, List, Mapping, Optional, Sequence

from .config import Config, TaskConfig

OFF = "off"
PREPARING = "preparing"
ON = "on"
FAILED = "failed"


@dataclass(frozen=True)
class Start:
    """A cycle to be started now."""

    task: str
    seq: int
    """Counts from 0 over the life of the service, whatever the config does."""
    intended: float
    """When it was due, on the clock of `advance`."""


@dataclass
class TaskState:
    """The state of one task."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    next: int = 0
    missed: int = 0
    prepared: Optional[bool] = None
    """None: not started yet or running; False: the last attempt failed."""
    preparing: bool = False
    config: Optional[TaskConfig] = None
    due: Optional[float] = None
    """When the next start falls due; None while nothing is scheduled."""
    base: float = 0.0
    """Origin of the grid: the n-th start is due at base + n * interval."""
    ticks: int = 0
    """Grid points that have fallen due since `base`."""
    ready_at: float = 0.0
    """When the task was last turned on and prepared; `wait` counts from here."""
    begun: bool = False
    """True once the first start since `ready_at` has fallen due."""
    pending: Deque[float] = field(default_factory=deque)
    unreported: int = 0
    """Missed starts not yet taken by `take_missed`."""

    def state(self) -> str:
        """`off`, `preparing`, `on` or `failed` (its preparation)."""
        if self.config is None:
            return OFF
        if self.preparing or self.prepared is None:
            return PREPARING
        return ON if self.prepared else FAILED

    def miss(self, count: int) -> None:
        """Count starts that will never happen."""
        self.missed += count
        self.unreported += count

    def rebase(self, first: float) -> None:
        """Begin a new grid at `first`."""
        self.base = self.due = first
        self.ticks = 0

    def fall_due(self, now: float) -> None:
        """Turn every grid point up to `now` into a pending or a missed start."""
        if self.due is None or self.config is None:
            return
        interval = self.config.interval
        limit = self.config.limit
        free = max(0, limit - self.active) + limit - len(self.pending)
        while self.due <= now:
            self.begun = True
            if free <= 0:
                late = max(1, int((now - self.due) // interval) + 1)
                self.miss(late)
                self.ticks += late
            else:
                self.pending.append(self.due)
                free -= 1
                self.ticks += 1
            self.due = self.base + self.ticks * interval


class Scheduler:
    """The schedule of all tasks. Times are seconds of any one clock that never goes back."""

    def __init__(self, tasks: Sequence[str]) -> None:
        """All `tasks` are off."""
        self._tasks: Dict[str, TaskState] = {name: TaskState() for name in tasks}

    @property
    def tasks(self) -> List[str]:
        """Names in the order given."""
        return list(self._tasks)

    def config(self) -> Dict[str, TaskConfig]:
        """What is on."""
        return {n: t.config for n, t in self._tasks.items() if t.config is not None}

    def status(self) -> Dict[str, Dict[str, object]]:
        """Counters per task, JSON-ready."""
        return {
            name: {
                "active": t.active,
                "succeeded": t.succeeded,
                "failed": t.failed,
                "next": t.next,
                "missed": t.missed,
                "pending": len(t.pending),
                "state": t.state(),
            }
            for name, t in self._tasks.items()
        }

    def active(self) -> int:
        """Cycles in flight, all tasks together."""
        return sum(t.active for t in self._tasks.values())

    def configure(self, config: Config, now: float) -> List[str]:
        """Take a checked config into force; the tasks whose preparation must be started now.

        A task whose entry is unchanged keeps its grid. One that stays on keeps its cycles and
        follows the new rate from its last due time on: the next start comes one new interval after
        that, or at once.
        """
        wanted = []
        for name, task in self._tasks.items():
            old, new = task.config, config.get(name)
            if old == new:
                continue
            task.fall_due(now)
            task.config = new
            if new is None:
                self._turn_off(task)
            elif old is None:
                if task.prepared:
                    self._turn_on(task, now)
                elif not task.preparing:
                    task.preparing, task.prepared = True, None
                    wanted.append(name)
            elif task.due is not None:
                self._change(task, old, new, now)
        return wanted

    def prepared(self, name: str, success: bool, now: float) -> None:
        """The outcome of a preparation; scheduling of the task begins now, if it is still on."""
        task = self._tasks[name]
        task.preparing, task.prepared = False, success
        if success and task.config is not None:
            self._turn_on(task, now)

    def advance(self, now: float) -> List[Start]:
        """Everything to be started by now, earliest due first."""
        starts: List[Start] = []
        for name, task in self._tasks.items():
            task.fall_due(now)
            limit = task.config.limit if task.config is not None else 0
            while task.pending and task.active < limit:
                starts.append(Start(name, task.next, task.pending.popleft()))
                task.next += 1
                task.active += 1
        starts.sort(key=lambda start: start.intended)
        return starts

    def finished(self, name: str, success: bool, now: float) -> None:
        """A cycle of the task ended; call `advance` next, it may start a pending one."""
        task = self._tasks[name]
        # Starts that fell due while the slot was taken must not profit from its being free now.
        task.fall_due(now)
        task.active -= 1
        if success:
            task.succeeded += 1
        else:
            task.failed += 1

    def next_due(self) -> Optional[float]:
        """When `advance` has something to do next, if nothing finishes before; None: never."""
        return min((t.due for t in self._tasks.values() if t.due is not None), default=None)

    def take_missed(self) -> Mapping[str, int]:
        """Starts missed since the last call, per task."""
        missed = {name: t.unreported for name, t in self._tasks.items() if t.unreported}
        for task in self._tasks.values():
            task.unreported = 0
        return missed

    @staticmethod
    def _turn_on(task: TaskState, now: float) -> None:
        assert task.config is not None
        task.ready_at, task.begun = now, False
        task.rebase(now + task.config.wait)

    @staticmethod
    def _turn_off(task: TaskState) -> None:
        task.due = None
        task.miss(len(task.pending))
        task.pending.clear()

    @staticmethod
    def _change(task: TaskState, old: TaskConfig, new: TaskConfig, now: float) -> None:
        if not task.begun:
            task.rebase(max(now, task.ready_at + new.wait))
        elif new.interval != old.interval:
            last_due = task.base + (task.ticks - 1) * old.interval
            task.rebase(max(now, last_due + new.interval))
        while len(task.pending) > new.limit:
            task.pending.pop()
            task.miss(1)

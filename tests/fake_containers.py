"""Scripted containers: what they print, when they end, what executions answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fake_clock import EPOCH, FakeClock

from loadgenctl.engines.base import RoleState
from loadgenctl.model import RoleSpec


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a scripted container does about a signal."""

    exit_code: int | None = 0
    """None: it ignores the signal."""
    delay: float = 0.0
    """Seconds until it ends."""
    line: str | None = None
    """Printed at once."""
    oom: bool = False
    """It ends because the kernel killed it for memory."""


@dataclass(frozen=True, slots=True)
class FakeExec:
    """What an execution answers, and how many seconds it takes."""

    exit_code: int = 0
    output: bytes = b""
    seconds: float = 0.0


Execs = Callable[[tuple[str, ...]], FakeExec]


def _succeed(argv: tuple[str, ...]) -> FakeExec:
    return FakeExec()


@dataclass(frozen=True, slots=True)
class Script:
    """How the containers of a role behave. Times are seconds since the container's start."""

    lines: tuple[tuple[float, str], ...] = ()
    """When to print what; a line end is added unless the text ends with `\\c`."""
    exit_after: float | None = None
    """None: runs until it is ended."""
    exit_code: int = 0
    oom: bool = False
    on_signal: Mapping[str, Reaction] = field(default_factory=dict)
    """Signals not named here end the container at once with 128 + the signal's number."""
    execs: Execs = _succeed
    stats: Callable[[float], Mapping[str, object] | None] | None = None
    """Seconds since the start → the statistics document; by default `stats_document`."""
    create_error: str | None = None
    start_error: str | None = None
    on_start: Callable[[RoleSpec], None] | None = None
    """Called at the start: e.g. to write what the role would write into the shared folder."""


class FakeContainer:
    """One container of a `FakeEngine`."""

    def __init__(self, spec: RoleSpec, container_id: str, script: Script, clock: FakeClock) -> None:
        """Created, not started."""
        self.spec = spec
        self.id = container_id
        self.script = script
        self.detached: list[tuple[str, ...]] = []
        """Argument lists of detached executions."""
        self.signals: list[str] = []
        """Every signal that reached it."""
        self.removed = False
        self._clock = clock
        self._said: list[tuple[float, bytes]] = []
        self._started: float | None = None
        self._end: tuple[float, int, bool] | None = None

    @property
    def running(self) -> bool:
        """True between its start and its end."""
        return self.state().running

    def start(self) -> None:
        """Begin the script."""
        if self.running:
            return
        now = self._clock.monotonic()
        self._started = now
        self._end = None
        if self.script.exit_after is not None:
            self.end_at(now + self.script.exit_after, self.script.exit_code, oom=self.script.oom)
        for delay, text in self.script.lines:
            self._said.append((now + delay, _as_printed(text)))
        if self.script.on_start is not None:
            self.script.on_start(self.spec)

    def say(self, text: str) -> None:
        """Print a line now."""
        self._said.append((self._clock.monotonic(), _as_printed(text)))

    def end_at(self, moment: float, exit_code: int, *, oom: bool = False) -> None:
        """End at a moment of the monotonic clock, unless it ends earlier anyway."""
        if self._end is None or moment < self._end[0]:
            self._end = (moment, exit_code, oom)

    def end(self, exit_code: int, *, oom: bool = False) -> None:
        """End now."""
        self.end_at(self._clock.monotonic(), exit_code, oom=oom)

    @property
    def ends_at(self) -> float | None:
        """When it will end or ended; None while nothing ends it."""
        return None if self._end is None else self._end[0]

    def state(self) -> RoleState:
        """What the engine says of it."""
        if self.removed:
            return RoleState("gone")
        if self._started is None:
            return RoleState("created")
        started = EPOCH + self._started
        if self._end is not None and self._end[0] <= self._clock.monotonic():
            return RoleState(
                "exited", exit_code=self._end[1], oom_killed=self._end[2], started_at=started
            )
        return RoleState("running", started_at=started)

    def log(self) -> bytes:
        """What it has printed by now; nothing after its end."""
        until = self._clock.monotonic()
        if self._end is not None:
            until = min(until, self._end[0])
        said = sorted((moment, text) for moment, text in self._said if moment <= until)
        return b"".join(text for _, text in said)

    def stats(self) -> Mapping[str, object] | None:
        """See `Engine.stats`."""
        if not self.running or self._started is None:
            return None
        age = self._clock.monotonic() - self._started
        return (self.script.stats or stats_document)(age)


def _as_printed(text: str) -> bytes:
    return text.removesuffix("\\c").encode() if text.endswith("\\c") else f"{text}\n".encode()


def stats_document(seconds: float) -> Mapping[str, object]:
    """Docker's statistics (cgroup v1) of a container that uses half a core and 50 MiB."""
    used = int(seconds * 0.5 * 1e9)
    return {
        "read": "2023-11-14T22:13:20.000000000Z",
        "pids_stats": {"current": 3},
        "num_procs": 0,
        "cpu_stats": {
            "cpu_usage": {
                "total_usage": used,
                "percpu_usage": [used],
                "usage_in_kernelmode": used // 5,
                "usage_in_usermode": used - used // 5,
            },
            "system_cpu_usage": int(seconds * 2e9),
            "online_cpus": 2,
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
        },
        "memory_stats": {
            "usage": 60 * 1024 * 1024,
            "max_usage": 64 * 1024 * 1024,
            "limit": 8 * 1024 * 1024 * 1024,
            "stats": {"total_inactive_file": 10 * 1024 * 1024, "cache": 12 * 1024 * 1024},
        },
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 8, "minor": 0, "op": "Read", "value": 4096},
                {"major": 8, "minor": 0, "op": "Write", "value": int(seconds) * 1024},
            ]
        },
        "networks": {"eth0": {"rx_bytes": int(seconds) * 100, "tx_bytes": int(seconds) * 50}},
    }


class FakeFollower:
    """A `LogFollower` over a scripted log."""

    def __init__(self, container: FakeContainer) -> None:
        """From the log's start."""
        self._container = container
        self._taken = 0
        self.closed = False

    def poll(self) -> bytes:
        """See `LogFollower.poll`."""
        if self.closed:
            return b""
        new = self._container.log()[self._taken :]
        self._taken += len(new)
        return new

    def close(self) -> None:
        """See `LogFollower.close`."""
        self.closed = True

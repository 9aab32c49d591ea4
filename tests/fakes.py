"""Fakes for the seams: time, processes and the engine. They keep the promises of the real ones.

`FakeEngine` passes the same contract suite as the Docker engine. Its containers do nothing by
themselves: a `Script` per role says what they print, when they end and what executions answer, on
the time of a `FakeClock`.
"""

from __future__ import annotations

import heapq
import itertools
import signal as signals
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadgenctl.engines import labels
from loadgenctl.engines.base import EngineInfo, ExecResult, Handle, Leftover, RoleState
from loadgenctl.engines.logs import clean_lines
from loadgenctl.errors import EngineError, EngineUnavailable
from loadgenctl.model import RoleSpec
from loadgenctl.process import Child, Completed, Runner

EPOCH = 1_700_000_000.0
"""Wall time at which every fake clock begins."""


class FakeClock:
    """A `Clock` whose time passes only in `sleep` or `advance`, and runs what is due on its way."""

    def __init__(self, wall: float = EPOCH) -> None:
        """Begin at `wall`, with the monotonic clock at 0."""
        self._wall = wall
        self._now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self.slept: list[float] = []
        """Every sleep asked for, in seconds."""

    def wall(self) -> float:
        """See `Clock.wall`."""
        return self._wall + self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, running what falls due at its moment; what that schedules counts too."""
        target = self._now + max(seconds, 0.0)
        while self._due and self._due[0][0] <= target:
            moment, _, callback = heapq.heappop(self._due)
            self._now = max(self._now, moment)
            callback()
        self._now = max(self._now, target)

    def at(self, moment: float, callback: Callable[[], None]) -> None:
        """Run `callback` once the monotonic clock reaches `moment`."""
        heapq.heappush(self._due, (moment, next(self._serial), callback))

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Run `callback` when `seconds` have passed."""
        self.at(self._now + seconds, callback)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a scripted container does about a signal."""

    exit_code: int | None = 0
    """None: it ignores the signal."""
    delay: float = 0.0
    """Seconds until it ends."""
    line: str | None = None
    """Printed at once."""


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


class FakeEngine:
    """An `Engine` of scripted containers.

    `scripts[role]` is used for the role's containers; a sequence is used up one container after the
    other, its last script for all that follow. A role without a script runs in silence.
    """

    def __init__(
        self, clock: FakeClock, scripts: Mapping[str, Script | Sequence[Script]] | None = None
    ) -> None:
        """An engine without containers."""
        self._clock = clock
        self._scripts = {
            role: [script] if isinstance(script, Script) else list(script)
            for role, script in (scripts or {}).items()
        }
        self._serial = itertools.count(1)
        self.containers: list[FakeContainer] = []
        """Every container ever made, in order, removed ones too."""
        self.other_leftovers: list[Leftover] = []
        """Networks and volumes, for the sweep."""
        self.calls: list[tuple[str, str]] = []
        """(call, container's role) in order, without the questions about states and logs."""
        self.available = True
        """False: every call raises `EngineUnavailable`."""
        self.closed = False

    def made(self, role: str) -> list[FakeContainer]:
        """The role's containers so far, in order."""
        return [container for container in self.containers if container.spec.role == role]

    def latest(self, role: str) -> FakeContainer:
        """The role's last container."""
        return self.made(role)[-1]

    def info(self) -> EngineInfo:
        """See `Engine.info`."""
        self._answer()
        return EngineInfo("fake", "1", {})

    def create(self, spec: RoleSpec) -> Handle:
        """See `Engine.create`."""
        self._answer()
        self.calls.append(("create", spec.role))
        if any(other.spec.name == spec.name for other in self._present()):
            raise EngineError(f"cannot create the container {spec.name}: the name is in use")
        if spec.network not in {"none", "own", "host"}:
            self._joinable(spec)
        scripts = self._scripts.get(spec.role, [Script()])
        script = scripts[min(len(self.made(spec.role)), len(scripts) - 1)]
        if script.create_error is not None:
            raise EngineError(script.create_error)
        container = FakeContainer(spec, f"fake-{next(self._serial)}", script, self._clock)
        self.containers.append(container)
        return Handle(spec.name, container.id, spec.role)

    def start(self, handle: Handle) -> None:
        """See `Engine.start`."""
        container = self._find(handle)
        self.calls.append(("start", handle.role))
        if container.script.start_error is not None:
            raise EngineError(container.script.start_error)
        if container.spec.network not in {"none", "own", "host"}:
            self._joinable(container.spec)
        container.start()

    def state(self, handle: Handle) -> RoleState:
        """See `Engine.state`."""
        self._answer()
        container = self._look(handle)
        return RoleState("gone") if container is None else container.state()

    def wait(self, handle: Handle, timeout: float) -> RoleState:
        """See `Engine.wait`; time passes up to the container's end."""
        deadline = self._clock.monotonic() + timeout
        while True:
            state = self.state(handle)
            now = self._clock.monotonic()
            if state.status in {"exited", "gone"} or now >= deadline:
                return state
            container = self._look(handle)
            ends = None if container is None else container.ends_at
            # In small steps, because what the clock runs on the way may end the container too.
            self._clock.advance(min(deadline, now + 0.1 if ends is None else max(ends, now)) - now)

    def signal(self, handle: Handle, name: str) -> None:
        """See `Engine.signal`."""
        self._answer()
        container = self._look(handle)
        if container is None or not container.running:
            return
        self.calls.append((name, handle.role))
        container.signals.append(name)
        default = Reaction(exit_code=128 + signals.Signals[name].value)
        reaction = default if name == "SIGKILL" else container.script.on_signal.get(name, default)
        if reaction.line is not None:
            container.say(reaction.line)
        if reaction.exit_code is not None:
            container.end_at(self._clock.monotonic() + reaction.delay, reaction.exit_code)

    def remove(self, handle: Handle) -> None:
        """See `Engine.remove`."""
        self._answer()
        container = self._look(handle)
        if container is None:
            return
        self.calls.append(("remove", handle.role))
        if container.running:
            container.end(137)
        container.removed = True

    def exec(self, handle: Handle, argv: Sequence[str], *, timeout: float = 60.0) -> ExecResult:
        """See `Engine.exec`; the execution's seconds pass."""
        container = self._running(handle)
        answer = container.script.execs(tuple(argv))
        if answer.seconds > timeout:
            self._clock.advance(timeout)
            raise EngineError(f"{argv[0]} did not finish within {timeout:g} s")
        self._clock.advance(answer.seconds)
        return ExecResult(answer.exit_code, answer.output)

    def exec_detached(self, handle: Handle, argv: Sequence[str]) -> None:
        """See `Engine.exec_detached`."""
        container = self._running(handle)
        container.detached.append(tuple(argv))
        container.script.execs(tuple(argv))

    def logs(self, handle: Handle) -> Iterator[bytes]:
        """See `Engine.logs`."""
        log = self._find(handle).log()
        if log:
            yield log

    def tail(self, handle: Handle, lines: int) -> list[str]:
        """See `Engine.tail`."""
        self._answer()
        container = self._look(handle)
        if container is None or lines <= 0:
            return []
        return clean_lines(container.log())[-lines:]

    def follow(self, handle: Handle) -> FakeFollower:
        """See `Engine.follow`."""
        return FakeFollower(self._find(handle))

    def stats(self, handle: Handle) -> Mapping[str, object] | None:
        """See `Engine.stats`."""
        self._answer()
        container = self._look(handle)
        return None if container is None else container.stats()

    def leftovers(self) -> list[Leftover]:
        """See `Engine.leftovers`."""
        self._answer()
        containers = [
            Leftover("container", c.id, c.spec.name, {labels.ROLE: c.spec.role, **c.spec.labels})
            for c in self._present()
        ]
        return [*self.other_leftovers, *containers]

    def remove_leftover(self, item: Leftover) -> None:
        """See `Engine.remove_leftover`."""
        self._answer()
        if item.kind == "container":
            self.remove(Handle(item.name, item.id, item.labels.get(labels.ROLE, "")))
        else:
            self.other_leftovers = [kept for kept in self.other_leftovers if kept.id != item.id]

    def close(self) -> None:
        """See `Engine.close`."""
        self.closed = True

    def _answer(self) -> None:
        if not self.available:
            raise EngineUnavailable("the fake engine was told not to answer")

    def _present(self) -> list[FakeContainer]:
        return [container for container in self.containers if not container.removed]

    def _look(self, handle: Handle) -> FakeContainer | None:
        return next((c for c in self._present() if c.id == handle.id), None)

    def _find(self, handle: Handle) -> FakeContainer:
        self._answer()
        container = self._look(handle)
        if container is None:
            raise EngineError(f"no such container: {handle.name}")
        return container

    def _running(self, handle: Handle) -> FakeContainer:
        container = self._find(handle)
        if not container.running:
            raise EngineError(f"the container {handle.name} is not running")
        return container

    def _joinable(self, spec: RoleSpec) -> None:
        joined = [c for c in self._present() if c.spec.name == spec.network]
        if not joined:
            raise EngineError(f"{spec.name} cannot join {spec.network}: no such container")


@dataclass(frozen=True, slots=True)
class Call:
    """One command that a `FakeRunner` was asked to run."""

    argv: tuple[str, ...]
    cwd: Path | None
    env: Mapping[str, str]
    stdin: bytes | None = None
    timeout: float | None = None


Effect = Callable[[Call], None]


@dataclass(frozen=True, slots=True)
class _Answer:
    prefix: tuple[str, ...]
    exit_code: int
    stdout: bytes
    stderr: bytes
    effect: Effect | None


class FakeRunner(Runner):
    """A `Runner` that starts nothing: commands answer as scripted, by their first arguments."""

    def __init__(self) -> None:
        """Without answers: every command is a mistake of the test."""
        self.calls: list[Call] = []
        self._answers: list[_Answer] = []

    def answer(
        self,
        *prefix: str,
        exit_code: int = 0,
        stdout: bytes = b"",
        stderr: bytes = b"",
        effect: Effect | None = None,
    ) -> None:
        """Answer commands that begin like this; later answers go before earlier ones."""
        self._answers.insert(0, _Answer(prefix, exit_code, stdout, stderr, effect))

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """See `Runner.run`."""
        call = Call(tuple(argv), cwd, dict(env or {}), stdin, timeout)
        answer = self._give(call)
        return Completed(call.argv, answer.exit_code, answer.stdout, answer.stderr)

    def stream(
        self,
        argv: Sequence[str],
        on_line: Callable[[bytes], None],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """See `Runner.stream`; the lines are those of the answer's output, then of its errors."""
        answer = self._give(Call(tuple(argv), cwd, dict(env or {})))
        for line in (answer.stdout + answer.stderr).splitlines():
            on_line(line)
        return answer.exit_code

    def start(self, argv: Sequence[str]) -> Child:
        """Refused: a fake process cannot run in the background."""
        raise AssertionError(f"the fake runner starts nothing: {list(argv)}")

    def _give(self, call: Call) -> _Answer:
        self.calls.append(call)
        for answer in self._answers:
            if call.argv[: len(answer.prefix)] == answer.prefix:
                if answer.effect is not None:
                    answer.effect(call)
                return answer
        raise AssertionError(f"no answer was given for {list(call.argv)}")

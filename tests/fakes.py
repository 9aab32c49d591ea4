"""Fakes for the seams: time, processes and the engine. They keep the promises of the real ones.

`FakeEngine` passes the same contract suite as the Docker engine. Its containers do nothing by
themselves: a `Script` per role says what they print, when they end and what executions answer, on
the time of a `FakeClock`.
"""

from __future__ import annotations

import itertools
import signal as signals
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fake_clock import EPOCH, FakeClock
from tests.fake_containers import (
    Execs,
    FakeContainer,
    FakeExec,
    FakeFollower,
    Reaction,
    Script,
    stats_document,
)

from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import EngineInfo, ExecResult, Handle, Leftover, RoleState
from loadgenctl.engines.log_text import clean_lines
from loadgenctl.errors import EngineError, EngineUnavailable
from loadgenctl.model import NAMED, RoleSpec
from loadgenctl.process import Child, Completed, Runner

__all__ = [
    "EPOCH",
    "Call",
    "Execs",
    "FakeClock",
    "FakeContainer",
    "FakeEngine",
    "FakeExec",
    "FakeFollower",
    "FakeRunner",
    "Reaction",
    "Script",
    "stats_document",
]


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

    @property
    def own_network(self) -> bool:
        """See `Engine.own_network`; a test's own engine may say otherwise."""
        return True

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
            moment = self._clock.monotonic() + reaction.delay
            container.end_at(moment, reaction.exit_code, oom=reaction.oom)

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

    def root_pid(self, handle: Handle) -> int:
        """See `Engine.root_pid`."""
        self._find(handle)
        return 1

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
            Leftover(
                "container",
                c.id,
                c.spec.name,
                {ownership_labels.ROLE: c.spec.role, **c.spec.labels},
            )
            for c in self._present()
        ]
        return [*self.other_leftovers, *containers]

    def remove_leftover(self, item: Leftover) -> None:
        """See `Engine.remove_leftover`."""
        self._answer()
        if item.kind == "container":
            self.remove(Handle(item.name, item.id, item.labels.get(ownership_labels.ROLE, "")))
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
        if spec.network.startswith(NAMED):
            return
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

"""The interface of all engines: containers (or processes) made from engine-free `RoleSpec`s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loadgenctl.model import RoleSpec


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What run.json records about the engine."""

    kind: str
    version: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Handle:
    """A made container: its name and the engine's own id."""

    name: str
    id: str
    role: str


@dataclass(frozen=True, slots=True)
class RoleState:
    """The state of a container."""

    status: str
    """`created`, `running`, `exited` or `gone`."""
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    started_at: float | None = None
    """Epoch seconds."""

    @property
    def running(self) -> bool:
        """True while the main process lives."""
        return self.status == "running"


@dataclass(frozen=True, slots=True)
class ExecResult:
    """A finished command inside a container; output is stdout and stderr together."""

    exit_code: int
    output: bytes


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something on the engine that carries our labels."""

    kind: str
    """`container`, `network` or `volume`."""
    id: str
    name: str
    labels: Mapping[str, str]


class LogFollower(Protocol):
    """A container's log from its start, taken without blocking."""

    def poll(self) -> bytes:
        """The bytes added since the last call; b"" if there are none."""
        ...

    def close(self) -> None:
        """Stop following; idempotent."""
        ...


class Engine(Protocol):
    """Where roles run. Calls raise `EngineError`, or `EngineUnavailable` when the engine does not
    answer.
    """

    @property
    def own_network(self) -> bool:
        """True if a run has its own network; False if its roles share the machine's."""
        ...

    def info(self) -> EngineInfo:
        """Kind and version; the cheapest call that proves that the engine answers."""
        ...

    def create(self, spec: RoleSpec) -> Handle:
        """Create the container without starting it. A name that is in use is an error."""
        ...

    def start(self, handle: Handle) -> None:
        """Start it."""
        ...

    def state(self, handle: Handle) -> RoleState:
        """Its state; cheap enough to call several times a second."""
        ...

    def wait(self, handle: Handle, timeout: float) -> RoleState:
        """Block until it has exited or `timeout` seconds have passed; return the state in both
        cases.
        """
        ...

    def signal(self, handle: Handle, name: str) -> None:
        """Send, for example, `SIGINT` to the main process; does nothing if it has ended."""
        ...

    def remove(self, handle: Handle) -> None:
        """Kill it if necessary and remove it with its anonymous volumes; idempotent."""
        ...

    def exec(self, handle: Handle, argv: Sequence[str], *, timeout: float = 60.0) -> ExecResult:
        """Run a command inside, as the container's user, and wait for it."""
        ...

    def exec_detached(self, handle: Handle, argv: Sequence[str]) -> None:
        """Start a command inside and leave it running."""
        ...

    def root_pid(self, handle: Handle) -> int:
        """The pid, as seen inside, of the process from which all others of a started container
        descend.
        """
        ...

    def logs(self, handle: Handle) -> Iterator[bytes]:
        """The complete log so far, in chunks (stdout and stderr together)."""
        ...

    def tail(self, handle: Handle, lines: int) -> list[str]:
        """The last lines of the log, decoded, without control characters."""
        ...

    def follow(self, handle: Handle) -> LogFollower:
        """A follower of the log from its start."""
        ...

    def stats(self, handle: Handle) -> Mapping[str, object] | None:
        """Statistics of a running container in the form of Docker's document, without what the
        engine does not know; None if there are none.
        """
        ...

    def leftovers(self) -> list[Leftover]:
        """Everything that has our labels, of any owner."""
        ...

    def remove_leftover(self, item: Leftover) -> None:
        """Remove one; idempotent."""
        ...

    def close(self) -> None:
        """Release connections and threads; containers stay."""
        ...

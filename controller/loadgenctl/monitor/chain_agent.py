"""Starts the agent in the chain's container, and reads the file that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from loadgenctl.clock import Clock
from loadgenctl.engines.base import Engine, Handle
from loadgenctl.errors import EngineError, OutputFolderError
from loadgenctl.plainfile import RolePath
from loadgenctl.records.reader import Row, RowFollower
from loadgenctl.sdks.base import OUT, STATE, TOOLS

_RESTARTS = 3
"""An agent that ends more often than this is not started again: it would end again."""

_SLACK = 10.0
"""Seconds that a sample may be late: a bootstrap can keep every core busy."""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """Settings of the agent."""

    light: float
    """Seconds between light samples; 0: none."""
    full: float
    """Seconds between full samples; 0: only on request."""
    storage: str | None = None
    """Folder below STATE whose files are measured."""
    kernel: str | None = None
    """Regular expression of the chain node's command line; None: the agent's own list of names."""
    root_pid: int = 1
    """See `Engine.root_pid`."""
    python: str = "python3"

    def argv(self, out: str) -> list[str]:
        """The command line inside the container."""
        argv = [self.python, f"{TOOLS}/agent/agent.py", "--out", out]
        argv += ["--light", f"{self.light:g}", "--full", f"{self.full:g}"]
        argv += ["--root-pid", str(self.root_pid)]
        if self.storage is not None:
            argv += ["--storage", f"{STATE}/{self.storage}"]
        if self.kernel is not None:
            argv += ["--kernel", self.kernel]
        return argv


class AgentClient:
    """One agent in one chain container."""

    def __init__(
        self,
        engine: Engine,
        handle: Handle,
        clock: Clock,
        spec: AgentSpec,
        *,
        shared: Path,
        stage: int,
    ) -> None:
        """`shared` is OUT on the host; the agent writes `agent-stage-N.jsonl` there."""
        name = f"agent-stage-{stage}.jsonl"
        self.path = shared / name
        self.given_up: str | None = None
        """Why there will be no more samples; None while there may be."""
        self._engine = engine
        self._handle = handle
        self._clock = clock
        self._spec = spec
        self._out = f"{OUT}/{name}"
        self._follower = RowFollower(RolePath(shared, PurePosixPath(name)), last=0)
        self._request_path = RolePath(shared, PurePosixPath(f"{name}.request"))
        self._requests = 0
        self._starts = 0
        self._unreadable = 0
        self._heard = clock.monotonic()

    @property
    def full_interval(self) -> float:
        """Seconds between full samples; 0: only on request."""
        return self._spec.full

    def start(self) -> list[Row]:
        """Start the agent; a gap if the engine refuses. `poll` starts it again later."""
        self._starts += 1
        self._heard = self._clock.monotonic()
        try:
            self._engine.exec_detached(self._handle, self._spec.argv(self._out))
        except EngineError as error:
            return [self._gap(f"the agent could not be started: {error}")]
        return []

    def poll(self) -> list[Row]:
        """The agent's lines since the last call, and rows of kind `gap` where it failed.

        A gap has a `reason`. The call blocks at most as long as a start of the agent takes.
        """
        try:
            rows = self._follower.poll()
        except OutputFolderError as error:
            return self._fail([], f"the agent's samples cannot be read: {error}")
        if rows:
            self._heard = self._clock.monotonic()
        rows += self._damage()
        for row in rows:
            if row.get("kind") == "end":
                return self._fail(rows, f"the agent ended: {row.get('reason')}")
            if row.get("kind") == "start" and row.get("errors"):
                self.given_up = f"the agent cannot work: {row['errors']}"
                return [*rows, self._gap(self.given_up)]
        silence = self._clock.monotonic() - self._heard
        if self.given_up is None and silence > self._patience():
            return self._fail(rows, f"nothing from the agent for {silence:.0f} s")
        return rows

    def request(self) -> str:
        """Request a full sample now; returns the value of its `request`."""
        self._requests += 1
        word = f"{self.path.stem}-{self._requests}-{self._clock.monotonic():.3f}"
        try:
            # Roles own the folder and may put a link there.
            self._request_path.write(word.encode())
        except OSError as error:
            raise OutputFolderError(
                f"{self._request_path} cannot be written: {error.strerror}",
                hint="check that the run's folder exists and has free space",
            ) from error
        return word

    def _patience(self) -> float:
        interval = self._spec.light or self._spec.full
        return float("inf") if interval <= 0 else 3 * interval + _SLACK

    def _damage(self) -> list[Row]:
        lines = self._follower.unreadable - self._unreadable
        self._unreadable = self._follower.unreadable
        return [self._gap(f"{lines} unreadable lines from the agent")] if lines else []

    def _fail(self, rows: list[Row], reason: str) -> list[Row]:
        if self.given_up is not None:
            return rows
        if not self._container_runs():
            # No failure: the agent ends with its container.
            self.given_up = "the container has ended"
            return rows
        rows = [*rows, self._gap(reason)]
        if self._starts > _RESTARTS:
            self.given_up = reason
            rows.append(self._gap(f"given up on the agent after {self._starts} starts"))
        else:
            rows += self.start()
        return rows

    def _container_runs(self) -> bool:
        try:
            return self._engine.state(self._handle).running
        except EngineError:
            return False

    def _gap(self, reason: str) -> Row:
        return {"time": self._clock.wall(), "kind": "gap", "reason": reason}

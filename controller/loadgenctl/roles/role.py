"""The life cycle of a role: start, reach its marks, be watched, stop; for every SDK and engine."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable
from dataclasses import replace

from loadgenctl.clock import Clock
from loadgenctl.engines.base import Engine, Handle, LogFollower, RoleState
from loadgenctl.errors import LoadgenError, RoleDied, RunError, cleaned_up
from loadgenctl.roles.pod import Pod
from loadgenctl.sdks.base import RoleRecipe

MAX_LINE = 256 * 1024
TAIL_LINES = 20
PATIENCE_POLL_S = 1.0
"""Interval, in seconds, at which `Patience` is called while a role stops."""

STOP = "stop"
"""The step of the error for a role that did not stop cleanly."""

Patience = Callable[[], float]
"""Returns the seconds that a role may take to stop, counted from its stop signal."""


def _endless() -> float:
    return float("inf")


class Role:
    """One container of a run and what its log contained so far."""

    def __init__(self, pod: Pod, recipe: RoleRecipe, clock: Clock) -> None:
        """Not started; see `start`."""
        self.recipe = recipe
        self.name = recipe.role
        self._pod = pod
        self._engine: Engine = pod.engine
        self._clock = clock
        self._handle: Handle | None = None
        self._follower: LogFollower | None = None
        self._partial = b""
        self._marks = [(mark.name, re.compile(mark.pattern.encode())) for mark in recipe.marks]
        self._fatal = [(mark.name, re.compile(mark.pattern.encode())) for mark in recipe.fatal]
        self.reached: dict[str, float] = {}
        """Mark → monotonic time at which it was seen."""
        self.started_at: float | None = None
        self.heard_at: float | None = None
        """Monotonic time of the newest log output, while the log is followed."""
        self.ended: RoleState | None = None
        """How the container ended, after `stop`."""
        self._signalled = False
        """True if the stop signal was sent while it ran."""
        self._killed_after: float | None = None
        """Seconds from the stop signal to SIGKILL; None unless that was needed."""

    @property
    def handle(self) -> Handle:
        """The container. Raises `RunError` before `start`."""
        if self._handle is None:
            raise RunError(f"{self.name} was not started", role=self.name)
        return self._handle

    @property
    def started(self) -> bool:
        """True between `start` and `remove`."""
        return self._handle is not None

    @property
    def ready(self) -> bool:
        """True after the last mark was seen."""
        return not self._marks or self._marks[-1][0] in self.reached

    def start(self) -> None:
        """Create and start the container, and begin to read its log."""
        spec = self._pod.spec(self.name, self.recipe.command, stop_signal=self.recipe.stop_signal)
        self._handle = self._engine.create(spec)
        self._engine.start(self._handle)
        self.started_at = self._clock.monotonic()
        self._follower = self._engine.follow(self._handle)

    def poll(self) -> None:
        """Read new log lines, then check that the role is running.

        Raises `RoleDied`, `RunError`, and `EngineError` if the complete pod has ended.
        """
        self._read_log()
        state = self._engine.state(self.handle)
        if not state.running:
            self._read_log()
            self._pod.require_whole(f"{self.name}: {how_ended(state)}")
            raise self.death(state)

    def _read_log(self) -> None:
        if self._follower is None:
            return
        new = self._follower.poll()
        if new:
            self.heard_at = self._clock.monotonic()
        *lines, self._partial = (self._partial + new).split(b"\n")
        self._partial = self._partial[-MAX_LINE:]
        for line in lines:
            self._see(line)
        if self.ready and self._marks and not self.recipe.watch_log:
            self.stop_following()

    def _see(self, line: bytes) -> None:
        for name, pattern in self._fatal:
            if pattern.search(line):
                raise RunError(
                    f"{self.name}: {name}", role=self.name, step="log", detail=self.last_lines()
                )
        awaited = len(self.reached)
        if awaited < len(self._marks) and self._marks[awaited][1].search(line):
            self.reached[self._marks[awaited][0]] = self._clock.monotonic()

    def fatal_in_tail(self) -> str | None:
        """The name of a fatal mark among the last lines of the log, if there is one."""
        for line in self._engine.tail(self.handle, 200):
            for name, pattern in self._fatal:
                if pattern.search(line.encode()):
                    return name
        return None

    def stop_following(self) -> None:
        """Stop reading the log; idempotent."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def state(self) -> RoleState:
        """The container's state."""
        return self._engine.state(self.handle)

    def death(self, state: RoleState) -> RoleDied:
        """The error for an unexpected end."""
        fatal = self.fatal_in_tail()
        return RoleDied(
            f"{self.name} ended unexpectedly: {how_ended(state)}"
            + (f" ({fatal})" if fatal else ""),
            role=self.name,
            exit_code_of_role=state.exit_code,
            oom_killed=state.oom_killed,
            hint=self._more_memory() if state.oom_killed else None,
            detail=self.last_lines(),
        )

    def last_lines(self) -> str:
        """The end of the log, for an error's detail."""
        return "\n".join(self._engine.tail(self.handle, TAIL_LINES))

    def standing(self) -> str:
        """The last lines and the role's state, for the detail of a timeout."""
        state = self._engine.state(self.handle)
        how = "still running" if state.running else how_ended(state)
        reached = ", ".join(self.reached) or "nothing yet"
        return f"{self.last_lines()}\n[{self.name} is {how}; it has reached: {reached}]"

    def stop(self, patience: Patience = _endless, *, hurry: bool = False) -> RoleState:
        """Send the stop signal, wait, kill if necessary; the final state.

        The time limit is that of the recipe or `patience`, whichever is less; `patience` is polled
        because it can change. With `hurry` the recipe's second signal is sent, too, for a role that
        has pending work without use. `require_orderly` checks how the role ended.
        """
        self.stop_following()
        self.ended = self._stop(patience, hurry=hurry)
        return self.ended

    def _stop(self, patience: Patience, *, hurry: bool) -> RoleState:
        handle = self.handle
        state = self._engine.state(handle)
        if not state.running:
            return state
        self._signalled = True
        self._engine.signal(handle, self.recipe.stop_signal)
        if hurry and self.recipe.hurry_signal is not None:
            self._engine.signal(handle, self.recipe.hurry_signal)
        began = self._clock.monotonic()
        while state.running:
            grace = min(self.recipe.stop_grace, patience())
            waited = self._clock.monotonic() - began
            if waited >= grace:
                self._killed_after = waited
                self._engine.signal(handle, "SIGKILL")
                return self._engine.wait(handle, 10.0)
            state = self._engine.wait(handle, min(grace - waited, PATIENCE_POLL_S))
        return state

    @property
    def disorder(self) -> str | None:
        """What went wrong after the stop signal, for a message; None if nothing did."""
        state, recipe = self.ended, self.recipe
        if state is None or not self._signalled:
            return None
        if state.exit_code in recipe.stop_codes and not state.oom_killed:
            return None
        how = f"{how_ended(replace(state, oom_killed=False))} after {recipe.stop_signal}"
        if state.oom_killed:
            return f"{self.name} ran out of memory while it stopped: {how}"
        if self._killed_after is not None:
            within = f"within {self._killed_after:.0f} s of {recipe.stop_signal}"
            return f"{self.name} did not stop {within} and was killed"
        if signal_of(state) == "SIGKILL":
            return f"{self.name} was killed while it stopped, and not by loadgenctl: {how}"
        return f"{self.name} crashed while it stopped: {how}"

    def require_orderly(self) -> None:
        """After `stop`: raise unless it ran until then and ended with one of its stop codes.

        Raises `RoleDied` for a crash or an end by itself, `RunError` if it had to be killed, and
        `EngineError` if the complete pod has ended.
        """
        state, what = self.ended, self.disorder
        if state is None or (self._signalled and what is None):
            return
        self._pod.require_whole(f"{self.name}: {how_ended(state)}")
        if what is None:
            raise self.death(state)
        if self._killed_after is not None and not state.oom_killed:
            raise RunError(what, role=self.name, step=STOP, detail=self.last_lines())
        hint = None
        if state.oom_killed:
            hint = self._more_memory()
        elif signal_of(state) == "SIGKILL":
            hint = "the machine may be out of memory: check its kernel's log (dmesg)"
        raise RoleDied(
            what,
            role=self.name,
            exit_code_of_role=state.exit_code,
            oom_killed=state.oom_killed,
            step=STOP,
            hint=hint,
            detail=self.last_lines(),
        )

    def _more_memory(self) -> str:
        return f"give it more: --limit.{self.name}.memory"

    def save_log(self, keep: Callable[[bytes], None]) -> None:
        """Pass the complete log to `keep`, in chunks."""
        for chunk in self._engine.logs(self.handle):
            keep(chunk)

    def end(
        self,
        keep: Callable[[bytes], None],
        patience: Patience = _endless,
        *,
        hurry: bool = False,
    ) -> None:
        """Stop, keep the log, remove; does nothing unless started. See `stop`.

        The container is removed even if its log cannot be kept.
        """
        if not self.started:
            return
        with cleaned_up(self.remove):
            self.stop(patience, hurry=hurry)
            self.save_log(keep)

    def remove(self) -> None:
        """Remove the container; idempotent."""
        self.stop_following()
        if self._handle is not None:
            self._engine.remove(self._handle)
            self._handle = None


def stop_troubles(roles: Iterable[Role]) -> list[LoadgenError]:
    """The errors of stopped roles that did not end cleanly; see `Role.require_orderly`."""
    troubles: list[LoadgenError] = []
    for role in roles:
        try:
            role.require_orderly()
        except LoadgenError as error:
            troubles.append(error)
    return troubles


def signal_of(state: RoleState) -> str | None:
    """The signal that ended the container, e.g. `SIGKILL`; None if no signal did."""
    code = state.exit_code
    if code is None or code - 128 not in {number.value for number in signal.Signals}:
        return None
    return signal.Signals(code - 128).name


def how_ended(state: RoleState) -> str:
    """`killed by SIGKILL, out of memory`, `exit code 1`."""
    if state.exit_code is None:
        return f"container {state.status}"
    name = signal_of(state)
    text = f"exit code {state.exit_code}" if name is None else f"killed by {name}"
    return text + (", out of memory" if state.oom_killed else "")

"""Container states kept current by the engine's events, so that frequent calls are cheap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from docker import DockerClient

from loadgenctl.clock import Clock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import RoleState
from loadgenctl.engines.docker_errors import BROKEN_STREAM
from loadgenctl.engines.docker_streams import documents, event_stream

MAX_AGE = 10.0
"""Seconds for which a state is valid while events arrive: the longest effect of a lost event."""
MAX_AGE_BLIND = 0.5
"""Seconds for which a state is valid while the event stream is broken."""
_RECONNECT = (0.2, 0.5, 1.0, 2.0, 5.0)
# Without the many events of executions inside containers.
_EVENTS = ["create", "start", "die", "oom", "pause", "unpause", "stop", "kill", "destroy", "rename"]


@dataclass(slots=True)
class _Entry:
    change: int = 0
    """Counts the changes announced for the container."""
    known: RoleState | None = None
    known_at: float = 0.0
    known_change: int = -1
    """`change` before the state was requested."""


class StateWatch:
    """The states of our containers. Threads may share it."""

    def __init__(
        self, client: DockerClient, clock: Clock, inspect: Callable[[str], RoleState]
    ) -> None:
        """`inspect` gets the state of a container id from the engine."""
        self._client = client
        self._clock = clock
        self._inspect = inspect
        self._entries: dict[str, _Entry] = {}
        # Entered by the lock, never by the condition: a signal handler that raises inside the
        # condition's own `__enter__` or `__exit__`, which are Python, would leave it locked.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._connected = False
        self._closing = threading.Event()
        self._stop: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None

    @property
    def max_age(self) -> float:
        """Seconds for which a state is valid now."""
        return MAX_AGE if self._connected else MAX_AGE_BLIND

    def state(self, container: str) -> RoleState:
        """The container's state, requested from the engine only when it may have changed."""
        self._ensure_started()
        with self._lock:
            entry = self._entries.setdefault(container, _Entry())
            change = entry.change
            if entry.known is not None and (
                entry.known.status == "gone"
                or (
                    entry.known_change == change
                    and self._clock.monotonic() - entry.known_at < self.max_age
                )
            ):
                return entry.known
        asked_at = self._clock.monotonic()
        state = self._inspect(container)
        with self._lock:
            # A change announced meanwhile leaves the entry outdated: its count is higher by now.
            entry.known, entry.known_at, entry.known_change = state, asked_at, change
        return state

    def change_count(self, container: str) -> int:
        """How many changes of the container were announced so far."""
        with self._lock:
            return self._entries.setdefault(container, _Entry()).change

    def await_change(self, container: str, count: int, timeout: float) -> None:
        """Block until more than `count` changes were announced, or `timeout` seconds have
        passed.
        """
        with self._lock:
            entry = self._entries.setdefault(container, _Entry())
            self._changed.wait_for(lambda: entry.change != count or self._closing.is_set(), timeout)

    def mark(self, container: str) -> None:
        """Mark the container as possibly changed."""
        with self._lock:
            self._entries.setdefault(container, _Entry()).change += 1
            self._changed.notify_all()

    def forget(self, container: str) -> None:
        """The container was removed: remember only that."""
        with self._lock:
            entry = self._entries.setdefault(container, _Entry())
            entry.change += 1
            entry.known = RoleState("gone")
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        with self._lock:
            stop, self._stop = self._stop, None
            thread = self._thread
            self._changed.notify_all()
        if stop is not None:
            stop()
        if thread is not None:
            thread.join(timeout=5.0)

    def _ensure_started(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(
                    target=self._listen, name="docker-events", daemon=True
                )
                self._thread.start()

    def _listen(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                self._listen_once()
                failures = 0
            except BROKEN_STREAM:
                failures += 1
            with self._lock:
                self._connected = False
                self._stop = None
            self._closing.wait(_RECONNECT[min(failures, len(_RECONNECT) - 1)])

    def _listen_once(self) -> None:
        # The engine answers before the subscription is active; starting 2 s earlier covers the gap.
        since = int(self._clock.wall()) - 2
        filters = {"type": ["container"], "label": [ownership_labels.ROLE], "event": _EVENTS}
        with event_stream(self._client, since=since, filters=filters) as stream:
            with self._lock:
                if self._closing.is_set():
                    return
                self._stop = stream.wake
                self._connected = True
                for entry in self._entries.values():
                    entry.change += 1
                self._changed.notify_all()
            for event in documents(stream.chunks()):
                container = event.get("id") or _actor(event)
                if container:
                    self.mark(container)


def _actor(event: Mapping[str, Any]) -> str:
    actor = event.get("Actor")
    return str(actor.get("ID", "")) if isinstance(actor, Mapping) else ""

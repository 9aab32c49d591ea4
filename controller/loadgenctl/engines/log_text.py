"""Log text: cleaning it for display, and following it without blocking the caller."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable

from loadgenctl.formatting import ESCAPES

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

DEFAULT_CAPACITY = 4 * 1024 * 1024
"""Bytes a follower holds before it stops reading from the engine."""


def as_drawn(text: str) -> str:
    """One line without escape sequences and control characters; of a redrawn one the last state."""
    drawn = ESCAPES.sub("", text).rstrip("\r\n").rpartition("\r")[2]
    return _CONTROLS.sub("", drawn)


def clean_lines(data: bytes) -> list[str]:
    """The lines of a log, decoded and cleaned, including an unfinished last line."""
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    return [as_drawn(line) for line in lines]


class Buffer:
    """A queue of bytes: the writer waits while it is full, the reader never waits."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        """Hold about `capacity` bytes."""
        self._capacity = capacity
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        # Entered by the lock, for the reason given in `StateWatch`.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def put(self, chunk: bytes) -> bool:
        """Add a chunk; wait while the buffer is full. False once it is closed."""
        with self._lock:
            while self._size >= self._capacity and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            self._chunks.append(chunk)
            self._size += len(chunk)
            return True

    def take(self) -> bytes:
        """Everything in the buffer."""
        if not self._chunks:  # the usual case for a silent log, without the lock
            return b""
        with self._lock:
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
            self._changed.notify_all()
            return data

    def close(self) -> None:
        """Refuse more; the content can still be taken."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed


class PumpedFollower:
    """A `LogFollower` fed by its own thread.

    `pump(follower)` runs in the thread: it sets with `attach` how to interrupt it, and passes bytes
    to `push` until that returns False.
    """

    def __init__(
        self,
        name: str,
        pump: Callable[[PumpedFollower], None],
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        """Start the thread; `name` shows in a thread dump."""
        self._buffer = Buffer(capacity)
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._thread = threading.Thread(
            target=self._run, args=(pump,), name=f"follow-{name}", daemon=True
        )
        self._thread.start()

    def _run(self, pump: Callable[[PumpedFollower], None]) -> None:
        try:
            pump(self)
        finally:
            self._buffer.close()

    def push(self, chunk: bytes) -> bool:
        """For the pump: pass bytes on. False if the follower was closed."""
        return self._buffer.put(chunk)

    def attach(self, stop: Callable[[], None]) -> bool:
        """For the pump: set how to end what it blocks on. False if the follower is closed."""
        with self._lock:
            if self._buffer.closed:
                return False
            self._stop = stop
            return True

    def detach(self) -> None:
        """For the pump: it no longer blocks."""
        with self._lock:
            self._stop = None

    @property
    def closed(self) -> bool:
        """True once `close` was called or the log has ended."""
        return self._buffer.closed

    def poll(self) -> bytes:
        """See `LogFollower.poll`."""
        return self._buffer.take()

    def close(self) -> None:
        """See `LogFollower.close`."""
        self._buffer.close()
        with self._lock:
            stop, self._stop = self._stop, None
        if stop is not None:
            stop()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)

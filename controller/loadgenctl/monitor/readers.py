"""Reads what may take a second, or never end, without blocking the caller."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from loadgenctl.clock import Clock

Document = Mapping[str, object]
Read = Callable[[], Document | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a reading."""

    time: float
    """Epoch seconds of the result."""
    document: Document | None
    reason: str | None = None
    """Why there is no document."""


class Reader(Protocol):
    """Reads one thing on request; the answer is taken later."""

    def ask(self) -> None:
        """Begin a reading; at most one is in progress."""
        ...

    def poll(self) -> Answer | None:
        """The answer, once; None while there is none."""
        ...

    def close(self) -> None:
        """Read no more; never blocks."""
        ...


def read_once(read: Read, clock: Clock) -> Answer:
    """One reading; a failure becomes the reason of the answer."""
    try:
        document = read()
    except Exception as error:  # noqa: BLE001 - a reading that fails in any way is a missing value
        return Answer(clock.wall(), None, f"{type(error).__name__}: {error}")
    if document is None:
        return Answer(clock.wall(), None, "the engine has no statistics of it")
    return Answer(clock.wall(), document)


class ThreadReader:
    """A reader with its own thread, so that a call that hangs blocks nothing else.

    The thread is a daemon: a call that never returns does not stop the program from ending.
    """

    def __init__(self, read: Read, clock: Clock, name: str) -> None:
        """`name` is the thread's, shown in stack traces."""
        self._read = read
        self._clock = clock
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=f"reader-{name}", daemon=True).start()

    def ask(self) -> None:
        """See `Reader.ask`."""
        self._asked.put(True)

    def poll(self) -> Answer | None:
        """See `Reader.poll`."""
        try:
            return self._answers.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """See `Reader.close`."""
        self._asked.put(False)

    def _work(self) -> None:
        while self._asked.get():
            self._answers.put(read_once(self._read, self._clock))

"""Requests to stop. Ctrl-C once stops a run cleanly, twice immediately; SIGTERM and SIGHUP count as
Ctrl-C. A SIGHUP that is ignored when the program starts (`nohup`) stays ignored, and one after
another request does not count: a terminal that is closed sends several of them.

While something is built or fetched there is nothing to finish, so the first signal raises
immediately; inside `graceful()` it only sets a flag that the run's loop polls.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from loadgenctl.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Counts requests to stop; installed once around a command."""

    def __init__(self) -> None:
        """Not installed; see `installed`."""
        self.count = 0
        self.name = ""
        self._graceful = False
        self._held = False
        self._take: Callable[[str], None] | None = None

    @property
    def requested(self) -> bool:
        """True from the first request on."""
        return self.count > 0

    @property
    def at_once(self) -> bool:
        """True from the second request on."""
        return self.count > 1

    @contextmanager
    def installed(self) -> Iterator[Interrupts]:
        """Handle the signals; restore the handlers at the end."""
        hung_up = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        taken = [number for number in SIGNALS if not (hung_up and number is signal.SIGHUP)]
        before = {number: signal.signal(number, self._on_signal) for number in taken}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def graceful(self) -> Iterator[None]:
        """Inside, the first request only sets the flag; a second one raises."""
        before, self._graceful = self._graceful, True
        try:
            yield
        finally:
            self._graceful = before

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, requests are only counted, e.g. for the few seconds of a clean-up."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    @contextmanager
    def handed_on(self, take: Callable[[str], None]) -> Iterator[None]:
        """Inside, requests are passed to `take` by name, in the signal handler, e.g. for another
        process, which stops by itself.
        """
        before, self._take = self._take, take
        try:
            yield
        finally:
            self._take = before

    def request(self, name: str = "SIGINT") -> None:
        """Make a request, as a signal does. Raises `Interrupted` unless there is work to finish."""
        self.count += 1
        self.name = name
        if self._take is not None:
            self._take(name)
            return
        if self._held or (self._graceful and not self.at_once):
            return
        raise self.error()

    def check(self) -> None:
        """Raise `Interrupted` if a stop was requested."""
        if self.requested:
            raise self.error()

    def error(self) -> Interrupted:
        """The error of an interrupted run."""
        return Interrupted(f"interrupted by {self.name}")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGHUP or not self.requested:
            self.request(signal.Signals(number).name)

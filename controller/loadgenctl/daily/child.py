"""A run as a process of its own: whatever becomes of it, the service goes on.

The terminal's Ctrl-C does not reach it (it has a session of its own); the service hands requests to
stop on to it, one by one, and it ends in its own way: the first ends the stage, the second ends it
at once.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from loadgenctl.daily.attempts import CONSOLE, Order
from loadgenctl.process import Background, Runner
from loadgenctl.run.interrupt import Interrupts


@dataclass(frozen=True, slots=True)
class ChildRuns:
    """Implements `daily.attempts.Execute`."""

    runner: Runner
    interrupts: Interrupts
    program: tuple[str, ...]
    """`loadgenctl run`, as it is started here."""
    keep_open: tuple[int, ...]
    """Descriptors that every run inherits: the folder's lock."""

    def __call__(self, order: Order) -> int:
        """See `Execute`."""
        argv = [
            *self.program,
            *order.options,
            *("--revision", order.commit),
            *("--output-dir", str(order.folder)),
        ]
        relay = _Relay()
        with self.interrupts.handed_on(relay.take):
            run = self.runner.begin(argv, order.folder / CONSOLE, keep_open=self.keep_open)
            relay.reach(run)
            return run.wait()


@dataclass(slots=True)
class _Relay:
    """Hands signals on to a run, also those that come while it is being started."""

    run: Background | None = None
    early: list[str] = field(default_factory=list)

    def take(self, name: str) -> None:
        if self.run is None:
            self.early.append(name)
        else:
            self.run.signal(signal.Signals[name])

    def reach(self, run: Background) -> None:
        self.run = run
        for name in self.early:
            run.signal(signal.Signals[name])

"""Asking a node whether it has caught up with its network, while everything else is looked at."""

from __future__ import annotations

from loadgenctl.clock import Clock
from loadgenctl.monitor.readers import Read
from loadgenctl.monitor.sampler import ReaderFactory

LEAST = 1.0
MOST = 10.0
"""Seconds between two questions. Each is a program in the chain's container, whose work is
measured: they become rarer as the time passes.
"""
_SHARE = 0.05
"""Of the time that has passed, how much may pass until the next question."""


class CatchUp:
    """Answers come by a thread of their own: a node at work may take seconds, or never answer."""

    def __init__(self, read: Read, clock: Clock, make_reader: ReaderFactory) -> None:
        """`read` asks the node for its status, as its RPC gives it."""
        self._clock = clock
        self._reader = make_reader(read, clock, "catching-up")
        self._began = clock.monotonic()
        self._asked: float | None = None
        self._waiting = False

    def done(self) -> bool:
        """Whether the last answer said so; asks again when it is time to. Never waits."""
        answer = self._reader.poll()
        if answer is not None:
            self._waiting = False
            sync = (answer.document or {}).get("sync_info")
            if isinstance(sync, dict) and sync.get("catching_up") is False:
                return True
        now = self._clock.monotonic()
        pause = min(max(LEAST, _SHARE * (now - self._began)), MOST)
        if not self._waiting and (self._asked is None or now - self._asked >= pause):
            self._asked, self._waiting = now, True
            self._reader.ask()
        return False

    def close(self) -> None:
        """No more questions; does not wait for an answer."""
        self._reader.close()

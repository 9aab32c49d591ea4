"""Time that passes only when a test lets it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

EPOCH = 1_700_000_000.0
"""Wall time at which every fake clock begins."""


class FakeClock:
    """A `Clock` whose time passes only in `sleep` or `advance`, and runs what is due on its way."""

    def __init__(self, wall: float = EPOCH) -> None:
        """Begin at `wall`, with the monotonic clock at 0."""
        self._wall = wall
        self._now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self.slept: list[float] = []
        """Every sleep asked for, in seconds."""

    def wall(self) -> float:
        """See `Clock.wall`."""
        return self._wall + self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._now

    def set_wall(self, wall: float) -> None:
        """Set the machine's clock; the monotonic one continues."""
        self._wall = wall - self._now

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, running what falls due at its moment; what that schedules counts too."""
        target = self._now + max(seconds, 0.0)
        while self._due and self._due[0][0] <= target:
            moment, _, callback = heapq.heappop(self._due)
            self._now = max(self._now, moment)
            callback()
        self._now = max(self._now, target)

    def at(self, moment: float, callback: Callable[[], None]) -> None:
        """Run `callback` once the monotonic clock reaches `moment`."""
        heapq.heappush(self._due, (moment, next(self._serial), callback))

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Run `callback` when `seconds` have passed."""
        self.at(self._now + seconds, callback)

"""Time as a seam: code that waits or takes timestamps uses a `Clock`; tests pass a fake one."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The three kinds of time a run needs, all in seconds."""

    def wall(self) -> float:
        """Seconds since the Unix epoch; jumps when the system's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never decreases; only differences have a meaning."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        """See `Clock.wall`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        time.sleep(seconds)

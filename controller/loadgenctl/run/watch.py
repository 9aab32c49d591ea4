"""The loop of a running stage: one thread that looks at everything until something is so."""

from __future__ import annotations

from collections.abc import Callable

from loadgenctl.clock import Clock
from loadgenctl.errors import DeadlineExceeded, RoleDied
from loadgenctl.roles.role import Role
from loadgenctl.run.interrupt import Interrupts

BRISK = 0.2
"""Seconds between looks while something is awaited that may come any moment."""
CALM = 1.0
"""Seconds between looks while load runs."""


class Watch:
    """What is looked at in every turn; a turn raises what it finds wrong."""

    def __init__(self, clock: Clock, interrupts: Interrupts) -> None:
        """Nothing is watched yet."""
        self._clock = clock
        self._interrupts = interrupts
        self.roles: list[Role] = []
        self.pollers: list[Callable[[], None]] = []
        self.heed_interrupts = True
        """False while a stage winds down because of an interrupt."""

    def turn(self) -> None:
        """Look once. Raises `RoleDied`, `RunError`, `Interrupted` or what a poller raises."""
        if self.heed_interrupts:
            self._interrupts.check()
        # What roles have written first: it may tell why a role is gone.
        self._poll()
        for role in self.roles:
            try:
                role.poll()
            except RoleDied:
                # It may have written why, and ended, since it was looked at.
                self._poll()
                raise

    def _poll(self) -> None:
        for poll in self.pollers:
            poll()

    def until(
        self,
        so: Callable[[], bool],
        *,
        timeout: float,
        role: str,
        what: str,
        hint: str | None = None,
        pace: float = BRISK,
        last_lines: Callable[[], str] | None = None,
    ) -> None:
        """Turn until `so()`.

        Raises `DeadlineExceeded` after `timeout` seconds, naming role and `what`.
        """
        if not self.reached(so, timeout=timeout, pace=pace):
            raise DeadlineExceeded(
                f"{what} did not happen within {timeout:.0f} s",
                role=role,
                step=what,
                hint=hint,
                detail=last_lines() if last_lines else None,
            )

    def reached(self, so: Callable[[], bool], *, timeout: float, pace: float = BRISK) -> bool:
        """Turn until `so()` (True) or until `timeout` seconds went by (False)."""
        deadline = self._clock.monotonic() + timeout
        while True:
            self.turn()
            if so():
                return True
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            self._clock.sleep(min(pace, left))

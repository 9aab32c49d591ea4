"""The loop of a running stage: one thread that polls everything until a condition holds."""

from __future__ import annotations

from collections.abc import Callable

from loadgenctl.clock import Clock
from loadgenctl.errors import DeadlineExceeded, RoleDied
from loadgenctl.roles.role import Role
from loadgenctl.run.interrupt import Interrupts

BRISK = 0.2
"""Seconds between turns while something is awaited that may happen at any moment."""
CALM = 1.0
"""Seconds between turns while load runs."""


class Watch:
    """What is polled in every turn; a turn raises the errors that it finds."""

    def __init__(self, clock: Clock, interrupts: Interrupts) -> None:
        """Nothing is polled yet."""
        self._clock = clock
        self._interrupts = interrupts
        self.roles: list[Role] = []
        self.pollers: list[Callable[[], None]] = []
        self.heed_interrupts = True
        """False while a stage winds down because of an interrupt."""

    def turn(self) -> None:
        """Poll everything once. Raises `RoleDied`, `RunError`, `Interrupted`, errors of pollers."""
        if self.heed_interrupts:
            self._interrupts.check()
        # First what roles have written: it may explain why a role has ended.
        self._poll()
        for role in self.roles:
            try:
                role.poll()
            except RoleDied:
                # It may have written the reason, and ended, after the first poll.
                self._poll()
                raise

    def _poll(self) -> None:
        for poll in self.pollers:
            poll()

    def until(
        self,
        condition: Callable[[], bool],
        *,
        timeout: float,
        role: str,
        what: str,
        hint: str | None = None,
        pace: float = BRISK,
        last_lines: Callable[[], str] | None = None,
    ) -> None:
        """Turn until `condition()`.

        Raises `DeadlineExceeded` after `timeout` seconds, naming role and `what`.
        """
        if not self.reached(condition, timeout=timeout, pace=pace):
            raise DeadlineExceeded(
                f"{what} did not happen within {timeout:.0f} s",
                role=role,
                step=what,
                hint=hint,
                detail=last_lines() if last_lines else None,
            )

    def reached(
        self, condition: Callable[[], bool], *, timeout: float, pace: float = BRISK
    ) -> bool:
        """Turn until `condition()` (True) or until `timeout` seconds have passed (False)."""
        deadline = self._clock.monotonic() + timeout
        while True:
            self.turn()
            if condition():
                return True
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            self._clock.sleep(min(pace, left))

"""What a run reports to a person while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Live:
    """The current state of a stage."""

    stage: int
    stages: int
    doing: str
    """`waiting for the chain`, `under load` …"""
    elapsed: float
    """Seconds since the stage's start."""
    remaining: float | None = None
    """Seconds of load left; None when not known."""
    block: int | None = None
    cycles: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """Task → (succeeded, failed, in flight)."""


class Progress:
    """Where a run reports to; this one drops everything, others override what they show."""

    def keep_in(self, log: Callable[[str], None]) -> None:
        """Also pass every line to `log`, beginning with those reported before."""

    def step(self, text: str) -> None:
        """A new step begins."""

    def note(self, text: str) -> None:
        """A line that stays on the terminal."""

    def warn(self, text: str) -> None:
        """A warning."""

    def output(self, text: str) -> None:
        """A line of a build's output."""

    def live(self, live: Live) -> None:
        """The stage's current state; called about once a second."""

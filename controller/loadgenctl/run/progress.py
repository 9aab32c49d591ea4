"""What a run tells a person while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Live:
    """How a stage stands right now."""

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


class Progress(Protocol):
    """Where a run reports to."""

    def keep_in(self, log: Callable[[str], None]) -> None:
        """From now on `log` gets every line too; at first those from before."""
        ...

    def step(self, text: str) -> None:
        """A new step begins."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line that stays."""
        ...

    def warn(self, text: str) -> None:
        """Something a person should look at."""
        ...

    def output(self, text: str) -> None:
        """A line of a build's output; only the last ones matter."""
        ...

    def live(self, live: Live) -> None:
        """The stage's standing; called about once a second."""
        ...


class Silent:
    """Reports to nobody."""

    def keep_in(self, log: Callable[[str], None]) -> None:
        """See `Progress.keep_in`."""

    def step(self, text: str) -> None:
        """See `Progress.step`."""

    def note(self, text: str) -> None:
        """See `Progress.note`."""

    def warn(self, text: str) -> None:
        """See `Progress.warn`."""

    def output(self, text: str) -> None:
        """See `Progress.output`."""

    def live(self, live: Live) -> None:
        """See `Progress.live`."""

"""What `daily` and `queue` share: a folder held alone, runs as processes, a journal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loadgenctl.cli.console import clean
from loadgenctl.cli.inputs import Inputs
from loadgenctl.cli.wiring import sweep_engine
from loadgenctl.clock import SystemClock
from loadgenctl.daily.attempts import Attempts
from loadgenctl.daily.child import ChildRuns, ReportedRuns
from loadgenctl.daily.journal import Journal
from loadgenctl.daily.lock import sole_instance
from loadgenctl.errors import UsageError
from loadgenctl.plan.arguments import parse_value
from loadgenctl.plan.options import Option
from loadgenctl.process import Runner, own_python
from loadgenctl.run.interrupt import Interrupts

_LONGEST_WAIT = 7 * 24 * 60.0
"""Minutes."""


@dataclass(slots=True)
class Speaker:
    """Lines for people, on standard error, with the local time."""

    quiet: bool = False
    """Leave out what `unless_same` and the watch of a run would say."""
    _last: str = field(default="", init=False)

    def __call__(self, text: str) -> None:
        """A line."""
        line = Text(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {clean(text)}")
        Console(stderr=True).print(line, soft_wrap=True)

    def unless_same(self, text: str) -> None:
        """A line, but not again what was said last in this way."""
        if text != self._last and not self.quiet:
            self._last = text
            self(text)

    def progress(self, text: str) -> None:
        """A line about a run in progress."""
        if not self.quiet:
            self(text)


@contextmanager
def many_runs(
    command: str, config: Path | None, say: Speaker, interrupts: Interrupts
) -> Iterator[Attempts]:
    """The working directory, held alone, with signals taken over; the journal is COMMAND.jsonl.

    Raises `UsageError` when another one is at work there.
    """
    folder, clock = Path.cwd(), SystemClock()
    program = own_python("loadgenctl", "run")
    named = () if config is None else ("--config", str(config))
    with interrupts.installed(), sole_instance(folder, command, clock, say) as lock:
        child = ChildRuns(Runner(), interrupts, (*program, *named), (lock,))
        runs = ReportedRuns(child, clock, say.progress)
        journal = Journal(folder / f"{command}.jsonl", clock, say, quiet=say.quiet)
        yield Attempts(folder, clock, runs, journal, sweep_engine)


def seconds(text: str, option: str) -> float:
    """A time to wait: minutes, or with units. Raises `UsageError` for another text."""
    minutes: float = parse_value(Option(option, "number", None, "", "", unit="min"), text, option)
    if not 0.01 <= minutes <= _LONGEST_WAIT:
        raise UsageError(f"{option} takes minutes, from 0.01 to {_LONGEST_WAIT:g} (a week)")
    return minutes * 60


def run_options(given: Inputs, args: Sequence[str], kind: str) -> tuple[str, ...]:
    """The options of every run: those that were given, and, as the original has it, what kind of
    test it is (`--test-data.test-type`), unless that was given, too.
    """
    known = given.settings.tree("test-data") or {}
    return tuple(args) if "test-type" in known else ("--test-data.test-type", kind, *args)

"""A run as a process of its own, so that no failure of it ends the service; its steps are reported.

The terminal's Ctrl-C does not reach the process (it has its own session). The service forwards each
request to stop: the first stops the stage cleanly, the second stops the run immediately.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loadgenctl.clock import Clock
from loadgenctl.daily.make_attempt import CONSOLE, Execute, RunRequest
from loadgenctl.errors import OutputFolderError
from loadgenctl.process import Background, Runner
from loadgenctl.records.reader import RunFolder, holds_run
from loadgenctl.run.interrupt import Interrupts

POLL_EVERY: Final = 2.0
"""Seconds between two reads of a run's status."""
REMIND_EVERY: Final = 15 * 60.0
"""Seconds after which a step that has not changed is reported again."""


@dataclass(frozen=True, slots=True)
class ChildRuns:
    """Implements `daily.make_attempt.Execute`."""

    runner: Runner
    interrupts: Interrupts
    program: tuple[str, ...]
    """The command line of `loadgenctl run`."""
    keep_open: tuple[int, ...]
    """Descriptors that every run inherits: the folder's lock."""

    def __call__(self, request: RunRequest, folder: Path) -> int:
        """See `Execute`."""
        argv = [
            *self.program,
            *request.options,
            *("--revision", request.commit),
            *("--output-dir", str(folder)),
        ]
        relay = _SignalRelay()
        with self.interrupts.handed_on(relay.take):
            run = self.runner.begin(argv, folder / CONSOLE, keep_open=self.keep_open)
            relay.connect(run)
            return run.wait()


@dataclass(slots=True)
class _SignalRelay:
    """Forwards signals to a run, also those that arrive while it is being started."""

    run: Background | None = None
    early: list[str] = field(default_factory=list)

    def take(self, name: str) -> None:
        if self.run is None:
            self.early.append(name)
        else:
            self.run.signal(signal.Signals[name])

    def connect(self, run: Background) -> None:
        self.run = run
        for name in self.early:
            run.signal(signal.Signals[name])


@dataclass(frozen=True, slots=True)
class ReportedRuns:
    """Implements `Execute` by another one, and reports the run's steps meanwhile."""

    execute: Execute
    clock: Clock
    say: Callable[[str], None]
    every: float = POLL_EVERY

    def __call__(self, request: RunRequest, folder: Path) -> int:
        """See `Execute`."""
        self.say(f"  its output is in {CONSOLE} there")
        steps, ended = StepReporter(folder, self.clock, self.say), threading.Event()

        def follow() -> None:
            while not ended.wait(self.every):
                steps.poll()

        thread = threading.Thread(target=follow, name="watch", daemon=True)
        thread.start()
        try:
            return self.execute(request, folder)
        finally:
            ended.set()
            thread.join()


@dataclass(slots=True)
class StepReporter:
    """Reads a run's status.json, and reports each new step, and a long one repeatedly."""

    folder: Path
    clock: Clock
    say: Callable[[str], None]
    _began: float = field(init=False)
    _reported: str = field(default="", init=False)
    _reported_at: float = field(init=False)

    def __post_init__(self) -> None:
        """The run begins now."""
        self._began = self._reported_at = self.clock.monotonic()

    def poll(self) -> None:
        """Report what is new. Does nothing for a folder that cannot be read now."""
        try:
            step = self._step()
        except (OutputFolderError, OSError):
            return
        now = self.clock.monotonic()
        if step is None or (step == self._reported and now - self._reported_at < REMIND_EVERY):
            return
        since = f" (for {(now - self._began) / 60:.0f} min)" if step == self._reported else ""
        self._reported, self._reported_at = step, now
        self.say(f"  {step}{since}")

    def _step(self) -> str | None:
        if not holds_run(self.folder):
            return None
        records = RunFolder(self.folder)
        status = records.status
        if status is None or status.finished or not status.step:
            return None
        plan = records.run.get("plan")
        stages = plan.get("stages") if isinstance(plan, dict) else None
        if status.step.startswith("stage ") and isinstance(stages, list):
            return f"{status.step} (the last is {len(stages) - 1})"
        return status.step

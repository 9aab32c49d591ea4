"""Compares the two clocks of a slog's lines: `time`, which may be set, and `monotime`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from loadgenctl.slog.events import Stamp
from loadgenctl.slog.model import STEP_S, ClockStep, Moment, Startup

STEPS_KEPT: Final = 100
"""Most clock steps that are listed; all are counted."""

Mark = tuple[float, float]
"""A line's `time` and `monotime`."""
MarksSummary = tuple[Mark, Mark, int, list[tuple[float, float]]]
"""See `Marks.summary`."""


class Marks:
    """The clocks of successive lines that have both times."""

    __slots__ = ("first", "mono", "restarts", "steps", "time")

    def __init__(self, time: float, mono: float) -> None:
        """`time` and `monotime` of the first line."""
        self.first = (time, mono)
        self.time, self.mono = time, mono
        self.restarts = 0
        """How often `monotime` started again, with another process."""
        self.steps: list[tuple[float, float]] = []
        """Where `time` was set: `time` of the line, and by how many seconds."""

    def add(self, time: float, mono: float) -> None:
        """Take the next line."""
        if mono < self.mono:
            self.restarts += 1
        else:
            step = (time - self.time) - (mono - self.mono)
            if not -STEP_S < step < STEP_S:
                self.steps.append((time, step))
        self.time, self.mono = time, mono

    def summary(self) -> MarksSummary:
        """Everything, as JSON values: first stamp, last stamp, restarts, steps."""
        return self.first, (self.time, self.mono), self.restarts, self.steps


class Clocks:
    """The clocks over the complete slog; counts anomalies for a scanner."""

    def __init__(self, startup: Startup, anomalies: Counter[str]) -> None:
        """Writes the times of the first and the last event to `startup`."""
        self.steps: list[ClockStep] = []
        self.anomalies = anomalies
        self._startup = startup
        self._marks: Marks | None = None
        self._process = 0

    def begin_process(self) -> None:
        """A process begins, even if its clock is not behind that of the last one."""
        self._process += 1
        self._marks = None

    def moment(self, stamp: Stamp, height: int | None) -> Moment:
        """Take the next event; `height` is that of the open block."""
        time, mono = stamp
        self._take_time(time)
        if mono is None:
            return Moment(time)
        self._take_mark(time, mono, height)
        return Moment(time, (self._process, mono))

    def take(
        self, times: tuple[float, float, int], marks: MarksSummary | None, height: int | None
    ) -> None:
        """Take successive events, as a fact of `slog.facts`."""
        first, last, back = times
        self._take_time(first)
        self._startup.last_event_at = last
        if back:
            self.anomalies["clock-back"] += back
        if marks is None:
            return
        first_mark, last_mark, restarts, steps = marks
        self._take_mark(*first_mark, height)
        self._process += restarts
        self._take_steps(steps, height)
        self._marks = Marks(*last_mark)

    def _take_time(self, time: float) -> None:
        last = self._startup.last_event_at
        if last is None:
            self._startup.first_event_at = time
        elif time < last:
            self.anomalies["clock-back"] += 1
        self._startup.last_event_at = time

    def _take_mark(self, time: float, mono: float, height: int | None) -> None:
        marks = self._marks
        if marks is None:
            self._marks = Marks(time, mono)
            return
        marks.add(time, mono)
        if marks.restarts or marks.steps:
            self._process += marks.restarts
            self._take_steps(marks.steps, height)
            self._marks = Marks(time, mono)

    def _take_steps(self, steps: Sequence[tuple[float, float]], height: int | None) -> None:
        for at, seconds in steps:
            self.anomalies["clock-step"] += 1
            if len(self.steps) < STEPS_KEPT:
                self.steps.append(ClockStep(at, seconds, height))

"""The two clocks of a slog's lines, compared: `time`, which may be set, and `monotime`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from .events import Stamp
from .found import STEP_S, ClockStep, Moment, Startup

STEPS_KEPT: Final = 100
"""Steps of the clock that are listed one by one; all are counted."""

Mark = tuple[float, float]
"""A line's `time` and `monotime`."""
Told = tuple[Mark, Mark, int, list[tuple[float, float]]]
"""See `Marks.told`."""


class Marks:
    """What lines that follow one another tell, of those that have both."""

    __slots__ = ("first", "mono", "restarts", "steps", "time")

    def __init__(self, time: float, mono: float) -> None:
        """Of the first line."""
        self.first = (time, mono)
        self.time, self.mono = time, mono
        self.restarts = 0
        """How often `monotime` began again: with another process."""
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

    def told(self) -> Told:
        """All of it, as JSON has it: first stamp, last stamp, restarts, steps."""
        return self.first, (self.time, self.mono), self.restarts, self.steps


class Clocks:
    """The clocks over the whole slog; what is odd goes into a scanner's anomalies."""

    def __init__(self, startup: Startup, anomalies: Counter[str]) -> None:
        """The times of the first and the last event go into `startup`."""
        self.steps: list[ClockStep] = []
        self.anomalies = anomalies
        self._startup = startup
        self._marks: Marks | None = None
        self._process = 0

    def begin_process(self) -> None:
        """A process begins, even if its clock does not show less than the last one's did."""
        self._process += 1
        self._marks = None

    def moment(self, stamp: Stamp, height: int | None) -> Moment:
        """Take the next event; `height` of the block that is open."""
        time, mono = stamp
        self._take_time(time)
        if mono is None:
            return Moment(time)
        self._take_mark(time, mono, height)
        return Moment(time, (self._process, mono))

    def take(self, times: tuple[float, float, int], marks: Told | None, height: int | None) -> None:
        """Take events that follow one another, as `slog.read` tells them."""
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

"""The clock is set back by an hour in mid-run: what is counted and measured stays right.

The machine's own clock is everybody's, so it is not set: the chain's slog goes back by a fault of
the simulated SDK, and the controller's clock by the seam that it has for that, at the same moment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.integration.faulty import assert_whole
from tests.integration.loadgenctl_process import SIM, Desk, Records

from loadgenctl.cli import merged_options
from loadgenctl.cli.wiring import at_work
from loadgenctl.clock import SystemClock
from loadgenctl.run.runner import execute

pytestmark = pytest.mark.docker

HOUR = 3600.0
LOAD = (
    "--stages 1 --stage.0.loadgen.faucet.interval 1 --stage.0.duration 5 --sample-interval 1"
    " --stage.0.loadgen.cycles 10"
)
MOST = 30.0
"""Seconds that no block and no cycle takes here."""


class SetBack(SystemClock):
    """A clock that is set back by an hour once it is time to."""

    def __init__(self, due: Callable[[], bool]) -> None:
        self._due = due
        self.back = False

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.back = self.back or self._due()

    def wall(self) -> float:
        return super().wall() - (HOUR if self.back else 0.0)


def test_a_clock_that_is_set_back_changes_no_duration_and_no_count(desk: Desk) -> None:
    records = Records(desk.folder / "clock" / "out")
    fault = f'kind = "slog-clock-back"\nafter_blocks = 20\nseconds = {HOUR}'

    written: list[int] = []

    def slog_went_back() -> bool:
        begins = [row["beginAt"] for row in records.rows("blocks.jsonl")]
        written.append(len(begins))
        return any(later < before for before, later in pairwise(begins))

    clock = SetBack(slog_went_back)
    words = (*SIM[1:], *LOAD.split(), *desk.settings(fault), "--output-dir", str(records.folder))
    given = merged_options.read(words, None)
    plan = given.plan()
    began = time.monotonic()
    with at_work(given.site(), quiet=True) as wiring:
        ending = execute(plan, replace(wiring.services(plan), clock=clock))
    took = time.monotonic() - began
    assert ending.error is None
    assert clock.back
    assert desk.engine.left(os.getpid()) == []
    assert_whole(desk, records)

    stamps = [row["timestamp"] for row in records.rows("perf.jsonl")]
    assert stamps == sorted(stamps)
    assert stamps[-1] <= took
    summary = records.document("summary.json")
    assert took / 2 < summary["run"]["duration_s"] <= took
    (stage,) = summary["stages"]
    assert took / 2 < stage["durations"]["duration_s"] <= took

    blocks = records.rows("blocks.jsonl")
    heights = [row["blockHeight"] for row in blocks]
    assert heights == list(range(heights[0], heights[-1] + 1))
    later = blocks[written[-1] :]
    assert len(later) > 10, "blocks go on by the other clock"
    assert all(row["beginAt"] < blocks[0]["beginAt"] for row in later)
    assert all(row["liveMode"] for row in later)
    durations = [row["blockDuration"] for row in blocks if "blockDuration" in row]
    assert len(durations) >= len(blocks) - 2, "but of the first, and of that across"
    assert all(0 < seconds < MOST for seconds in durations)
    cycles = records.rows("cycles.jsonl")
    assert len(cycles) >= 10
    assert all(0 < row["duration_s"] < MOST for row in cycles)
    samples = [row for row in records.rows("samples.jsonl") if row["kind"] == "container"]
    used = [row["cpu_total_s"] for row in samples if row["role"] == "chain"]
    known = [seconds for seconds in used if seconds is not None]
    assert len(known) > 5
    assert known == sorted(known)

"""What is reported during a run of the service, and what a quiet service leaves out."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from tests.fakes import FakeClock

from loadgenctl.cli.daily import seconds
from loadgenctl.clock import SystemClock
from loadgenctl.daily.journal import Journal
from loadgenctl.daily.make_attempt import RunRequest
from loadgenctl.daily.run_process import REMIND_EVERY, ReportedRuns, StepReporter
from loadgenctl.errors import UsageError


def write(folder: Path, step: str | None, outcome: str = "running", stages: int = 3) -> None:
    (folder / "run.json").write_text(json.dumps({"schema": 1, "plan": {"stages": [{}] * stages}}))
    (folder / "status.json").write_text(json.dumps({"outcome": outcome, "step": step}))


def test_each_new_step_is_told_once_and_a_long_one_again(tmp_path: Path) -> None:
    said: list[str] = []
    clock = FakeClock()
    steps = StepReporter(tmp_path, clock, said.append)
    steps.poll()
    assert said == []
    for step in ("build the SDK", "build the SDK", "stage 1", "stage 1"):
        write(tmp_path, step)
        steps.poll()
    assert said == ["  build the SDK", "  stage 1 (the last is 2)"]
    clock.advance(REMIND_EVERY)
    steps.poll()
    assert said[2:] == ["  stage 1 (the last is 2) (for 15 min)"]


def test_what_cannot_be_read_and_what_has_ended_tells_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    steps = StepReporter(tmp_path, FakeClock(), said.append)
    write(tmp_path, "stage 1", outcome="passed")
    steps.poll()
    (tmp_path / "run.json").write_text('{"schema": 99}')
    steps.poll()
    assert said == []


def test_a_run_is_watched_while_it_is_executed(tmp_path: Path) -> None:
    told = threading.Event()
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if "stage 0" in text:
            told.set()

    def execute(_request: RunRequest, folder: Path) -> int:
        write(folder, "stage 0")
        return 0 if told.wait(20) else 1

    runs = ReportedRuns(execute, SystemClock(), say, every=0.01)
    assert runs(RunRequest("queue-c", "c" * 40), tmp_path) == 0
    assert said == ["  its output is in console.log there", "  stage 0 (the last is 2)"]


def test_a_quiet_service_says_only_what_has_gone_wrong(tmp_path: Path) -> None:
    said: list[str] = []
    journal = Journal(tmp_path / "daily.jsonl", FakeClock(), said.append, quiet=True)
    journal.record("started", "started")
    journal.record("idle", "passed before", outcome="passed")
    journal.record("idle", "given up", outcome="gave-up")
    journal.record("attempt-started", "running")
    journal.record("attempt-ended", "passed", outcome="passed")
    assert said == []
    journal.record("attempt-ended", "failed", outcome="failed")
    journal.record("look-failed", "warning: x")
    assert said == ["failed", "warning: x"]
    assert len((tmp_path / "daily.jsonl").read_text().splitlines()) == 7


@pytest.mark.parametrize(("text", "expected"), [("10", 600), ("90s", 90), ("1h", 3600)])
def test_the_service_s_times_take_units(text: str, expected: float) -> None:
    assert seconds(text, "--poll") == expected


@pytest.mark.parametrize("text", ["0", "-1", "soon", "8d", "nan", "inf"])
def test_a_time_that_cannot_be_waited_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--poll takes minutes"):
        seconds(text, "--poll")

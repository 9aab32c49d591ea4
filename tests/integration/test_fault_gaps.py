"""What measures fails in mid-run: the run goes on, and its records tell what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.integration.faulty import NOTICED, Observed, assert_whole, crowd, now, observe
from tests.integration.loadgenctl_process import SIM, Desk, Loadgenctl, Records

pytestmark = pytest.mark.docker

ALONE = "--stages 1 --chain-only"
SILENCE = 13.0
"""Seconds after which an agent that samples every second is missed: docs/results.md."""

Strike = Callable[[Desk, Loadgenctl, Records], None]


def _agents(records: Records) -> list[int]:
    """The pids, inside the container, of the agents that were started so far."""
    rows = records.rows("shared/agent-stage-0.jsonl")
    return [row["pid"] for row in rows if row["kind"] == "start"]


def _kill_agent(desk: Desk, command: Loadgenctl, records: Records) -> None:
    command.until(lambda: len(_agents(records)) == 1, "the agent starts")
    (pid,) = _agents(records)
    desk.engine.run_in(command.pid, "chain", "sh", "-c", f"kill -KILL {pid}")
    command.until(lambda: len(_agents(records)) == 2, "another agent starts", SILENCE + 10)


def _remove_slog(desk: Desk, command: Loadgenctl, records: Records) -> None:
    del desk, command
    (records.folder / "shared" / "chain-stage-0.slog").unlink()


@dataclass(frozen=True, slots=True)
class Gap:
    """What is struck when the stage is ready, and how many minutes the stage has."""

    name: str
    strike: Strike
    minutes: str

    def observe(self, desk: Desk) -> Observed:
        """See `Case.observe`."""

        def strike(command: Loadgenctl, records: Records) -> float:
            command.until(lambda: records.reached("stage-ready", 0), "the stage is ready")
            struck_at = now()
            self.strike(desk, command, records)
            return struck_at

        words = (*SIM, *ALONE.split(), "--sample-interval", "1", *desk.settings())
        return observe(desk, *words, "--stage.0.duration", self.minutes, strike=strike)

    def __str__(self) -> str:
        """Names the test."""
        return self.name


AGENT = Gap("agent-killed", _kill_agent, "0.5")
SLOG = Gap("slog-removed", _remove_slog, "0.15")


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Callable[[Gap], Observed]]:
    with crowd(request, desk) as become:
        yield become


@pytest.mark.parametrize("case", [AGENT], ids=str)
def test_an_agent_that_is_killed_is_started_again_and_leaves_a_gap(
    case: Gap, observed: Callable[[Gap], Observed], desk: Desk
) -> None:
    run = observed(case)
    assert run.ended.exit_code == 0, run.ended.stderr
    assert run.left == []
    assert_whole(desk, run.records)
    rows = [row for row in run.records.rows("samples.jsonl") if row["subject"] == "kernel"]
    (gap,) = [row for row in rows if row["reason"] is not None]
    assert re.fullmatch(r"nothing from the agent for \d+ s", gap["reason"])
    assert gap["cpu_user_s"] is None, "what is missing is not 0"
    assert run.struck_at is not None
    assert gap["time"] - run.struck_at < SILENCE + NOTICED
    times = [row["time"] for row in rows if row["cpu_user_s"] is not None]
    assert [time for time in times if time < run.struck_at]
    assert [time for time in times if time > gap["time"]], "another one goes on"
    assert not [time for time in times if run.struck_at + 1 < time < gap["time"] - 1]


@pytest.mark.parametrize("case", [SLOG], ids=str)
def test_a_slog_that_is_removed_is_followed_to_its_end_all_the_same(
    case: Gap, observed: Callable[[Gap], Observed], desk: Desk
) -> None:
    run = observed(case)
    assert run.ended.exit_code == 0, run.ended.stderr
    assert run.left == []
    assert_whole(desk, run.records)
    blocks = run.records.rows("blocks.jsonl")
    heights = [row["blockHeight"] for row in blocks]
    assert heights == list(range(heights[0], heights[-1] + 1))
    assert run.struck_at is not None
    assert [row for row in blocks if row["beginAt"] > run.struck_at + 2]
    kept = run.records.slog("chain-stage-0.slog.gz")
    ends = [row["blockHeight"] for row in kept if row["type"] == "cosmic-swingset-end-block-finish"]
    assert ends[-1] == heights[-1]

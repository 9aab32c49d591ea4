"""A run that is killed and gone on with, on a real engine."""

from __future__ import annotations

import signal

import pytest
from tests.integration.loadgenctl_process import PROMPT, SIM, Desk

pytestmark = pytest.mark.docker

STAGES = ("--stages", "2", "--stage.duration", "5", "--sample-interval", "1")
LOAD = ("--stage.1.loadgen.faucet.interval", "1", "--stage.1.loadgen.cycles", "2")


def test_a_killed_run_goes_on_from_the_last_finished_stage(desk: Desk) -> None:
    command, records = desk.start(*SIM, *STAGES, *LOAD, *desk.settings())
    resume = ("run", "--resume", str(records.folder))
    with command:
        command.until(lambda: records.cycles(finished_in=1) > 0, "a cycle finishes", timeout=180)
        early, _ = desk.do(*resume)
        assert early.exit_code == 2
        assert f"still running (process {command.pid})" in " ".join(early.stderr.split())
        command.signal(signal.SIGKILL)
        assert command.end(timeout=PROMPT).exit_code == -signal.SIGKILL
    kept = [row for row in records.rows("blocks.jsonl") if row["stage"] == 0]
    resumed, _ = desk.do(*resume)
    assert resumed.exit_code == 0, resumed.stderr
    assert desk.engine.left(command.pid) == [], "what the killed one left is gone, too"
    assert "resumed at stage 1, attempt 2" in resumed.stdout
    assert "as saved at the end of stage 0" in resumed.stdout
    blocks = records.rows("blocks.jsonl")
    assert [row for row in blocks if row["stage"] == 0] == kept
    counted = [row for row in blocks if row["stage"] == 0 or row.get("attempt") == 2]
    heights = [row["blockHeight"] for row in counted]
    assert heights == list(range(1, len(heights) + 1))
    assert len(counted) < len(blocks)
    cycles = [row["success"] for row in records.rows("cycles.jsonl") if row.get("attempt") == 2]
    assert len(cycles) >= 2
    assert all(cycles)
    assert records.slog("chain-stage-1.attempt-1.slog.gz")
    assert records.slog("chain-stage-1.slog.gz")
    late, _ = desk.do(*resume)
    assert late.exit_code == 2
    assert "nothing is left to do" in late.stderr

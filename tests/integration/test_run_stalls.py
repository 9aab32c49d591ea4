"""Load that does not come through on a real engine: noticed in time, and told with its cause."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.integration.loadgenctl_process import PROMPT, SIM, Desk, Loadgenctl, Records

pytestmark = pytest.mark.docker

LOAD = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1", "--stage.0.duration", "5")


def told(records: Records, pattern: str) -> bool:
    """Whether one of the last lines in status.json is such a one."""
    return any(re.fullmatch(pattern, line) for line in records.status["last_lines"])


def test_a_client_that_is_killed_under_load_is_named_at_once(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, records = under_load("--stage.0.duration", "5", settings=desk.settings())
    desk.engine.kill(command.pid, "solo")
    ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 4, ended.stderr
    assert "solo ended unexpectedly: killed by SIGKILL" in ended.stderr
    status = records.status
    assert (status["outcome"], status["role"], status["role_exit_code"]) == ("died", "solo", 137)
    assert records.cycles(finished_in=0) > 0, "what was measured is kept"
    assert desk.engine.left(command.pid) == []


def test_a_chain_that_makes_no_more_blocks_is_stalled(desk: Desk) -> None:
    stalls = 'kind = "chain-stall"\nafter_blocks = 20'
    ended, records = desk.do(*SIM, *LOAD, "--timeout.block", "4", *desk.settings(stalls))
    assert ended.exit_code == 4, ended.stderr
    assert re.search(r"the chain made no block for \d+ s after block \d+", ended.stderr)
    status = records.status
    assert (status["outcome"], status["role"], status["step"]) == ("stalled", "chain", "stalled")
    assert told(records, r"vats:")


def test_load_that_finishes_no_cycle_although_blocks_come_is_stalled(desk: Desk) -> None:
    hangs = 'kind = "driver-hang"\nat_cycle = 2'
    ended, records = desk.do(*SIM, *LOAD, "--timeout.cycle", "4", *desk.settings(hangs))
    assert ended.exit_code == 4, ended.stderr
    assert re.search(r"the load is stalled: no cycle finished for \d+ s", ended.stderr)
    status = records.status
    assert (status["outcome"], status["role"], status["step"]) == ("stalled", "loadgen", "stalled")
    assert told(records, r"  faucet cycle 2 has been in flight for \d+ s")
    assert told(records, r"  the chain made [1-9]\d* blocks in \d+ s and is at block \d+")
    assert told(records, r"  0 transactions in the mempool")
    assert told(records, r"  no vat had a delivery")

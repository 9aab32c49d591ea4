"""Roles that fail, each in its own way: named with the step, in time, and nothing is left.

docs/faults.md says where others of this kind are tested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.integration.faulty import (
    NOTICED,
    Observed,
    assert_whole,
    at,
    crowd,
    last_block_at,
    now,
    observe,
)
from tests.integration.loadgenctl_process import SIM, Desk, Loadgenctl, Records

pytestmark = pytest.mark.docker

ALONE = "--stages 1 --chain-only --stage.0.duration 5"
LOAD = "--stages 1 --stage.0.loadgen.faucet.interval 1 --stage.0.duration 5"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and what has to be told of it."""

    name: str
    faults: str
    options: str
    outcome: str
    role: str
    says: str
    """A pattern of the reason."""
    since: Callable[[Records], float] | None = None
    """When it went wrong (epoch); None: when the chain's container was killed."""
    limit: float = 0.0
    """Seconds that the run has to wait by its options before it may tell."""
    oom: bool = False
    role_exit_code: int | None = None

    def observe(self, desk: Desk) -> Observed:
        """See `Case.observe`."""
        faults = [self.faults] if self.faults else []

        def kill_chain(command: Loadgenctl, records: Records) -> float:
            command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
            struck_at = now()
            desk.engine.kill(command.pid, "chain")
            return struck_at

        words = (*SIM, *self.options.split(), *desk.settings(*faults))
        return observe(desk, *words, strike=kill_chain if self.since is None else None)

    def __str__(self) -> str:
        """Names the test."""
        return self.name


FAULTS = (
    Fault(
        "chain-killed",
        "",
        LOAD,
        "died",
        "chain",
        r"chain ended unexpectedly: killed by SIGKILL$",
        role_exit_code=137,
    ),
    Fault(
        "chain-out-of-memory",
        'kind = "memory-hog"\nafter_blocks = 8\nmib = 512',
        f"{ALONE} --limit.chain.memory 192m",
        "out-of-memory",
        "chain",
        r"chain ended unexpectedly: .*out of memory",
        since=last_block_at,
        oom=True,
        role_exit_code=137,
    ),
    Fault(
        "chain-ends-before-its-first-block",
        'kind = "chain-crash"\nat_block = 1\nexit_code = 5',
        ALONE,
        "died",
        "chain",
        r"chain ended unexpectedly: exit code 5",
        since=lambda records: at(records, "run-chain-start", 0),
        limit=2.0,
        role_exit_code=5,
    ),
    Fault(
        "chain-restarts-too-slowly",
        'kind = "slow-restart"\nseconds = 60',
        # The first start, which is not slow, has the same time.
        "--stages 2 --chain-only --stage.duration 0.05 --timeout.chain 15",
        "timeout",
        "chain",
        r"the start of the chain's kernel did not happen within 15 s",
        since=lambda records: at(records, "run-chain-start", 1),
        limit=15.0,
    ),
    Fault(
        "consensus-failure",
        'kind = "consensus-failure"\nafter_blocks = 8',
        f"{ALONE} --timeout.block 3",
        "stalled",
        "chain",
        r"the chain made no block for \d+ s after block \d+: consensus failure",
        since=last_block_at,
        limit=3.0,
    ),
    Fault(
        "consensus-failure-that-ends-the-chain",
        'kind = "consensus-failure"\nafter_blocks = 8\nexit_code = 2',
        ALONE,
        "died",
        "chain",
        r"chain ended unexpectedly: exit code 2 \(consensus failure\)",
        since=last_block_at,
        role_exit_code=2,
    ),
    Fault(
        "slog-never-has-a-block",
        'kind = "slog-ends"\nat_block = 1',
        f"{ALONE} --timeout.block 3",
        "stalled",
        "chain",
        r"the chain's slog has had no block for \d+ s, and the chain is at block [1-9]",
        since=lambda records: at(records, "chain-ready", 0),
        limit=5.0,
    ),
    Fault(
        "slog-ends",
        'kind = "slog-ends"\nafter_blocks = 8',
        f"{ALONE} --timeout.block 3",
        "stalled",
        "chain",
        r"the chain's slog has had no block for \d+ s after block \d+, and the chain is at block",
        since=last_block_at,
        limit=5.0,
    ),
    Fault(
        "client-never-ready",
        'kind = "solo-never-ready"',
        f"{LOAD} --timeout.solo 4",
        "timeout",
        "solo",
        r"solo reaching 'ready' did not happen within 4 s",
        since=lambda records: at(records, "run-client-finish", 0),
        limit=4.0,
    ),
    Fault(
        "client-cannot-be-funded",
        'kind = "provision-fails"',
        LOAD,
        "failed",
        "setup",
        r"fund and provision the simulated client failed with exit code 1",
        since=lambda records: at(records, "stage-first-empty-block", 0),
        limit=3.0,
    ),
    Fault(
        "client-ends-under-load",
        'kind = "solo-dies"\nafter_txs = 7\nexit_code = 6',
        LOAD,
        "died",
        "solo",
        r"solo ended unexpectedly: exit code 6",
        since=last_block_at,
        role_exit_code=6,
    ),
    Fault(
        "load-never-ready",
        'kind = "driver-silent"',
        f"{LOAD} --timeout.loadgen 4",
        "timeout",
        "loadgen",
        r"loadgen reaching 'ready' did not happen within 4 s",
        since=lambda records: at(records, "run-loadgen-finish", 0),
        limit=4.0,
    ),
    Fault(
        "load-ends",
        'kind = "driver-exit"\nat_cycle = 2',
        LOAD,
        "died",
        "loadgen",
        r"loadgen ended unexpectedly: exit code 3",
        since=lambda records: float(records.rows("cycles.jsonl")[-1]["finish"]),
        role_exit_code=3,
    ),
    Fault(
        "load-cannot-be-prepared",
        'kind = "prepare-fails"',
        f"{LOAD} --fail-fast",
        "failed",
        "loadgen",
        r"the load cannot be prepared: preparing faucet: ",
        since=lambda records: at(records, "loadgen-ready", 0),
    ),
    Fault(
        "every-cycle-fails",
        'kind = "cycle-fails"',
        f"{LOAD} --stage.0.loadgen.cycles 2",
        "failed",
        "loadgen",
        r"\d+ load cycles? failed",
        since=lambda records: at(records, "stage-shutdown", 0),
    ),
)


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Callable[[Fault], Observed]]:
    with crowd(request, desk) as become:
        yield become


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_it_is_named_in_time_and_leaves_nothing(
    case: Fault, observed: Callable[[Fault], Observed], desk: Desk
) -> None:
    run = observed(case)
    assert run.ended.exit_code == 4, run.ended.stderr
    assert run.left == []
    status = run.status
    assert (status["outcome"], status["role"]) == (case.outcome, case.role)
    assert re.match(case.says, re.sub(r"^stage \d+: ", "", status["reason"])), status["reason"]
    assert status["step"]
    assert status["reason"] in " ".join(run.ended.stderr.split())
    assert "Traceback" not in run.ended.stderr
    assert (status["role_exit_code"], status["oom_killed"]) == (case.role_exit_code, case.oom)
    since = run.struck_at if case.since is None else case.since(run.records)
    assert since is not None
    assert run.named_at is not None
    assert run.named_at - since < case.limit + NOTICED
    assert_whole(desk, run.records)

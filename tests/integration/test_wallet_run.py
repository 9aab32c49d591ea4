"""A whole run whose load acts through simulated smart wallets, on a real engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration.loadgenctl_process import CHAIN_STOPPED, ROLES, SIM, Desk, Ended, Records
from tests.integration.sim_repository import sim_repository

from loadgenctl.stats.cycles import checked

pytestmark = pytest.mark.docker

TASKS = ("faucet", "amm", "vault")
LOAD = [word for task in TASKS for word in (f"--stage.loadgen.{task}.interval", "1")]
WALLET = ("--client", "wallet", "--chain.compute-limit", "5000000")


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A run that has ended, and what its containers were while it was under load: role → state,
    and the load generator's document.
    """

    ended: Ended
    records: Records
    containers: dict[str, str]
    loadgen: dict[str, Any]
    left: list[str]


@pytest.fixture(scope="module")
def whole(desk: Desk) -> WholeRun:
    """Three stages with all three tasks."""
    command, records = desk.start(
        *(*SIM, *WALLET, *LOAD, *desk.settings()),
        *("--stages", "3", "--stage.duration", "2", "--stage.loadgen.cycles", "30"),
        *("--monitor-interval", "0.05", "--sample-interval", "1"),
    )
    with command:
        # Image, checkout and stage 0 come before.
        command.until(lambda: records.cycles(finished_in=1) > 0, "a cycle finishes", timeout=180)
        containers = desk.engine.owned(command.pid)
        loadgen = desk.engine.inspect(command.pid, "loadgen")
        ended = command.end()
    return WholeRun(ended, records, containers, loadgen, desk.engine.left(command.pid))


def test_it_passes_with_cycles_of_every_task_and_no_client(whole: WholeRun) -> None:
    assert whole.ended.exit_code == 0, whole.ended.stderr
    assert whole.left == []
    assert whole.containers == dict.fromkeys(ROLES - {"solo"}, "running")
    assert whole.loadgen["Config"]["Cmd"][-2:] == ["--client", "wallet"]
    cycles = whole.records.rows("cycles.jsonl")
    assert {row["task"] for row in cycles} == set(TASKS)
    assert [row for row in cycles if row["success"] is not True] == []
    assert len(cycles) >= 30
    names = [path.name for path in whole.records.folder.rglob("*")]
    assert not [name for name in names if name.startswith(("client-", "solo-"))]
    assert not [row for row in whole.records.rows("samples.jsonl") if row.get("role") == "solo"]


def test_perf_tells_every_step_but_those_of_a_client(whole: WholeRun) -> None:
    records = whole.records
    chain_up = ["stage-start", "run-chain-start", "run-chain-finish", "chain-ready"]
    first = ["stage-first-block", "stage-first-empty-block"]
    load_up = ["run-loadgen-start", "run-loadgen-finish", "loadgen-ready"]
    load_on = ["load-start", "stage-ready", "load-finish", "stage-shutdown"]
    expected = [*chain_up, *first, *load_up, *load_on, "loadgen-stopped", *CHAIN_STOPPED]
    assert records.perf(1) == expected
    assert "loadgen-ready" in records.perf(0)
    assert "loadgen-ready" not in records.perf(2)


def test_inclusion_and_settlement_agree_with_the_times_of_the_blocks(whole: WholeRun) -> None:
    cycles, blocks = (whole.records.rows(f"{name}.jsonl") for name in ("cycles", "blocks"))
    found = checked(cycles, blocks)
    assert found is not None
    offers = sum(len(row["included_height"]) for row in cycles)
    assert found["mismatched"] == 0, found["examples"]
    assert found["checked"] > offers
    for wrong in (3, -20):
        moved = [
            {**row, "included_height": [h + wrong for h in row["included_height"]]}
            for row in cycles
        ]
        found = checked(moved, blocks)
        assert found is not None
        assert found["mismatched"] > 0.5 * offers


def test_the_results_describe_the_offers(whole: WholeRun, desk: Desk) -> None:
    run, summary = (whole.records.document(f"{name}.json") for name in ("run", "summary"))
    assert (run["plan"]["client"], run["plan"]["compute_limit"]) == ("wallet", 5_000_000)
    (stage,) = [stage for stage in summary["stages"] if "offer_times" in stage]
    for task, offers_of_a_cycle in (("faucet", 1), ("amm", 2), ("vault", 2)):
        cycles = stage["cycles"][task]
        offers = cycles["offers"]
        assert offers["count"] == offers_of_a_cycle * cycles["succeeded"]
        assert offers["inclusion_s"]["p50"] < offers["settlement_s"]["p50"]
        assert offers["gas"]["min"] > 80_000
    ended, _ = desk.do("stats", str(whole.records.folder), DOCKER_HOST="unix:///none")
    assert "Offers by smart wallets" in ended.stdout
    ended, _ = desk.do("regen", str(whole.records.folder), DOCKER_HOST="unix:///none")
    (told,) = [line for line in ended.stdout.splitlines() if "cycles.jsonl" in line]
    assert told.endswith("unchanged")


def test_a_task_that_cannot_run_ends_the_run_at_once_and_says_why(desk: Desk) -> None:
    missing = 'kind = "task-unavailable"\ntask = "amm"'
    ended, records = desk.do(
        *(*SIM, "--client", "wallet", *desk.settings(missing)),
        *("--stages", "3", "--stage.duration", "2", *LOAD),
    )
    assert ended.exit_code == 4
    why = "cannot run amm (simulated lack of amm); it offers faucet, vault"
    assert why in ended.stderr
    assert why in str(records.status["reason"])
    assert records.status["stage"] == 0
    assert records.rows("cycles.jsonl") == []


def test_a_revision_without_wallets_is_refused_before_anything_is_made(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    marker = {"simsdk.toml": 'name = "simsdk"\nversion = "0.9"\n'}
    repository = sim_repository(tmp_path_factory.mktemp("sdk") / "repo", "old", marker)
    ended, records = desk.do(
        *(*SIM, "--sdk-repo", str(repository), "--revision", "old"),
        *("--client", "wallet", "--stages", "1"),
    )
    assert ended.exit_code == 2
    assert "--client wallet is not supported: this revision" in ended.stderr
    assert not records.folder.exists()

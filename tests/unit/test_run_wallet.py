"""Runs whose load acts through smart wallets, on fakes: no client, and no wait for one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.test_run_resume import world_at
from tests.worlds import World, names

from loadgenctl.cli.dryrun import print_plan
from loadgenctl.cli.up import next_steps
from loadgenctl.errors import LoadFailed, UsageError
from loadgenctl.model import ResolvedRevision, RunPlan
from loadgenctl.plan.planner import make_plan, make_plan_by_hand
from loadgenctl.plan.settings import merge
from loadgenctl.records.plan_codec import recorded_plan
from loadgenctl.records.reader import RunFolder
from loadgenctl.run.resume import examine
from loadgenctl.run.run_folders import remove_mark
from loadgenctl.run.runner import execute
from loadgenctl.sdks import sim
from loadgenctl.sdks.base import SdkFamily, SourceTree
from loadgenctl.stats.summary import summarize

LOADED = "--client wallet --stages 3 --stage.duration 1 --stage.loadgen.faucet.interval 5"
OFFERS = {
    "inclusionSeconds": [0.8],
    "settlementSeconds": [1.9],
    "includedHeight": [15],
    "settledHeight": [16],
    "gas": [88_000],
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def labels(world: World) -> list[str]:
    return [container.spec.command.label for container in world.engine.made("setup")]


def plan(line: str) -> RunPlan:
    return make_plan(merge(line.split(), {}, None, ""), now=0, cwd=Path("/here"))


def test_a_run_by_wallets_passes_without_a_client(world: World) -> None:
    ending = world.run(LOADED)
    assert ending.error is None
    assert world.engine.made("solo") == []
    assert world.engine.leftovers() == []
    assert not list(ending.folder.glob("client-*"))
    assert not list((ending.folder / "logs").glob("client-*"))
    assert not [row for row in world.rows("samples.jsonl") if row.get("role") == "solo"]
    assert len(world.rows("cycles.jsonl")) >= 8


def test_no_event_tells_of_a_client(world: World) -> None:
    world.run(LOADED)
    rows = world.rows("perf.jsonl")
    assert not [name for name in names(rows) if "client" in name]
    loaded = [row["type"] for row in rows if row["stage"] == 1]
    for name in ("run-loadgen-start", "loadgen-ready", "load-start", "loadgen-stopped"):
        assert f"perf-{name}" in loaded


def test_the_steps_speak_of_wallets_and_never_of_a_client(world: World) -> None:
    world.run(LOADED)
    told = " / ".join(world.progress.steps)
    assert "stage 0: creating and funding the wallets" in told
    assert "stage 0: preparing the load" in told
    assert "client" not in told


def test_stage_0_makes_the_wallets_and_prepares_the_load_of_the_others(world: World) -> None:
    world.run(LOADED)
    first, second, *_ = labels(world)
    assert (first, second) == (
        "create the simulated chain",
        "fund and provision the simulated wallets",
    )
    assert world.configs[0]["faucet"]["wait"] > 1000
    prepared = [row for row in world.rows("events.jsonl") if row["type"] == "prepare"]
    assert prepared[0]["stage"] == 0


def test_run_json_tells_client_and_compute_limit(world: World) -> None:
    ending = world.run(LOADED + " --chain.compute-limit 9000000")
    document = json.loads((ending.folder / "run.json").read_text())
    assert document["plan"]["client"] == "wallet"
    assert document["plan"]["compute_limit"] == 9_000_000


def test_the_compute_limit_reaches_the_genesis(world: World) -> None:
    world.run(LOADED + " --chain.compute-limit 9000000")
    argv = world.engine.made("setup")[0].spec.command.argv
    assert argv[argv.index("--compute-limit") + 1] == "9000000"


def test_wallets_have_the_main_network_s_limit_unless_another_is_given() -> None:
    assert plan("--client wallet").compute_limit == 65_000_000
    assert plan("--client wallet --chain.compute-limit 8000000").compute_limit == 8_000_000
    assert plan("").compute_limit is None


@pytest.mark.parametrize("profile", ["testnet", "devnet", "stage"])
def test_a_network_of_others_has_neither_wallets_of_ours_nor_another_limit(profile: str) -> None:
    with pytest.raises(UsageError, match=r"--client: a run makes and funds its wallets on a local"):
        plan(f"--profile {profile} --client wallet")
    with pytest.raises(
        UsageError, match=r"--chain\.compute-limit: the genesis of a network exists"
    ):
        plan(f"--profile {profile} --chain.compute-limit 5")
    assert plan(f"--profile {profile} --client solo").client == "solo"


def test_a_chain_that_is_there_keeps_its_own_limit_and_that_is_said(world: World) -> None:
    def told(line: str) -> list[str]:
        again = World(world.folder)
        assert again.run(f"{LOADED} --state-dir kept {line}").error is None
        return [note for note in again.progress.notes if "--chain.compute-limit" in note]

    assert told("--output-dir one") == []
    (note,) = told("--output-dir two --no-reset")
    assert "the chain exists already" in note


def without_wallets(revision: ResolvedRevision, tree: SourceTree) -> SdkFamily:
    """The family of a revision of before there were smart wallets."""
    assert sim.make(revision, tree).lacks("wallet") is None
    return sim.SimSdk("0.9")


def test_a_revision_without_wallets_is_refused_before_anything_is_made(world: World) -> None:
    services = replace(world.services(), factory=without_wallets)
    with pytest.raises(UsageError, match="--client wallet is not supported: this revision"):
        execute(world.plan(LOADED), services)
    assert not (world.folder / "out").exists()
    with pytest.raises(UsageError, match=r"--chain\.compute-limit is not supported"):
        execute(world.plan("--stages 1 --chain.compute-limit 5"), services)
    assert world.engine.containers == []


@pytest.mark.parametrize("line", [LOADED, LOADED + " --stage.0.loadgen.faucet.interval 5"])
def test_a_task_that_cannot_run_ends_the_run_in_its_first_stage(world: World, line: str) -> None:
    why = "the chain's agoricNames has no amm"
    world.hello = {"driver": "fake", "tasks": ["faucet", "vault"], "unavailable": {"amm": why}}
    ending = world.run(line + " --stage.2.loadgen.amm.interval 5")
    assert isinstance(ending.error, LoadFailed)
    assert ending.error.message == (
        f"the load of this revision cannot run amm ({why}); it offers faucet, vault"
    )
    assert "--stage.loadgen.amm" in str(ending.error.hint)
    status = world.status()
    assert (status["outcome"], status["stage"], status["role"]) == ("failed", 0, "loadgen")
    assert world.configs == []


def test_a_driver_that_offers_nothing_says_why(world: World) -> None:
    world.hello = {"driver": "fake", "tasks": [], "unavailable": {"faucet": "no board"}}
    ending = world.run(LOADED)
    assert ending.error is not None
    assert "cannot run faucet (no board); it offers no task" in ending.error.message


def test_tasks_that_are_offered_are_run(world: World) -> None:
    world.hello = {"driver": "fake", "tasks": ["faucet"], "unavailable": {"amm": "no amm"}}
    assert world.run(LOADED).error is None


def test_offers_are_recorded_with_their_cycle_and_summarized(world: World) -> None:
    world.detail = {"wallet": "agoric1abc", **OFFERS}
    ending = world.run(LOADED)
    rows = world.rows("cycles.jsonl")
    told = {"inclusion_s": [0.8], "settlement_s": [1.9], "included_height": [15]}
    told |= {"settled_height": [16], "gas": [88_000]}
    assert all(row.items() >= told.items() for row in rows)
    assert all("wallet" not in row for row in rows)
    summary = summarize(ending.folder)
    offers = summary["stages"][1]["cycles"]["faucet"]["offers"]
    assert offers["count"] == len(rows)
    assert offers["inclusion_s"]["p50"] == 0.8
    assert offers["settlement_s"]["max"] == 1.9
    # The fake's cycles all name the same block, which is long past for most of them.
    assert summary["stages"][1]["offer_times"]["mismatched"] > 0


def test_a_killed_run_is_resumed_without_a_client_s_storage(tmp_path: Path) -> None:
    first = world_at(tmp_path / "first", hours=0)
    killed = first.kill(30.0)
    first.run(LOADED)
    # So that it cannot go on with the state as it is.
    remove_mark(killed / "state")
    basis = examine(killed).start
    assert (basis.kind, basis.chain, basis.client) == ("saved", 0, None)
    second = world_at(tmp_path / "second", hours=0)
    ending = second.resume(killed)
    assert ending.error is None
    assert second.engine.made("solo") == []
    assert {row["stage"] for row in RunFolder(killed).blocks()} == {0, 1, 2}


def test_saved_storage_is_the_chain_s_alone(world: World) -> None:
    ending = world.run(LOADED)
    archives = sorted(path.name for path in ending.folder.glob("*-storage-*"))
    assert archives
    assert all(name.startswith("chain-") for name in archives)


def test_by_hand_nothing_is_said_of_a_client() -> None:
    settings = merge(["--sdk", "sim", "--client", "wallet"], {}, None, "")
    said = next_steps(make_plan_by_hand(settings, now=0, cwd=Path("/here")))
    assert "client:" not in said
    assert "  load:   http://127.0.0.1:3352" in said
    settings = merge(["--sdk", "sim"], {}, None, "")
    said = next_steps(make_plan_by_hand(settings, now=0, cwd=Path("/here")))
    assert "  client: http://127.0.0.1:8000\n  load:" in said


def test_a_dry_run_names_wallets_limit_and_no_client(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(plan("--sdk sim --stages 3 --client wallet"), as_json=False)
    said = capsys.readouterr().out
    assert "the load acts through smart wallets, without a client" in said
    assert "may use 65 000 000 computrons" in said
    assert "chain, load " in said
    assert "chain, client" not in said
    print_plan(plan("--sdk sim --stages 3"), as_json=False)
    said = capsys.readouterr().out
    assert "chain, client, load" in said
    assert "computrons" not in said


def test_nothing_is_published_for_a_client_that_is_not_there(world: World) -> None:
    world.run(LOADED + " --publish")
    (holder,) = world.engine.made("holder")
    assert set(holder.spec.publish.values()) == {26657, 3352}


def test_a_plan_of_before_there_were_wallets_is_one_with_a_client(world: World) -> None:
    ending = world.run("--stages 1")
    document: dict[str, Any] = json.loads((ending.folder / "run.json").read_text())
    for name in ("client", "compute_limit"):
        del document["plan"][name]
    assert recorded_plan(document).client == "solo"

"""Whole runs on fakes: what is recorded, how they end, what is left behind."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import FakeEngine, FakeExec, Reaction, Script
from tests.worlds import World, names

from loadgenctl import resources
from loadgenctl.engines.base import Handle
from loadgenctl.errors import (
    BuildError,
    DeadlineExceeded,
    EngineError,
    Interrupted,
    LoadFailed,
    OutputFolderError,
    RoleDied,
    RunError,
)
from loadgenctl.model import ResolvedRevision
from loadgenctl.run.run_folders import state_in_use
from loadgenctl.run.runner import execute
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.bundled import BundledSource
from loadgenctl.sources.directory import DirectorySource
from loadgenctl.stats.live_state import LiveRun
from loadgenctl.stats.run_rows import run_row
from loadgenctl.stats.summary import summarize


class Anywhere(BundledSource):
    """The bundled SDK, wherever it is asked for."""

    def resolve(self, request: SourceRequest) -> ResolvedRevision:
        return super().resolve(SourceRequest(request.family))


AT_THE_END = 3
"""Load configs that were set when the first stage with load sets its last: off, on, off again."""
LOADED = "--stages 3 --stage.duration 1 --stage.loadgen.faucet.interval 5"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_three_stages_pass_and_leave_nothing(world: World) -> None:
    ending = world.run(LOADED)
    assert ending.error is None
    assert ending.exit_code == 0
    assert world.engine.leftovers() == []
    status = world.status()
    assert status["outcome"] == "passed"
    assert status["exit_code"] == 0
    assert not (ending.folder / "shared").exists()
    assert not (ending.folder / "state").exists()
    assert world.finished == [ending.folder]


def test_perf_tells_the_stages_in_the_originals_order(world: World) -> None:
    world.run(LOADED)
    rows = world.rows("perf.jsonl")
    alone = ["stage-start", "run-chain-start", "run-chain-finish", "chain-ready"]
    alone += ["stage-first-block", "stage-first-empty-block", "stage-ready", "stage-shutdown"]
    alone += ["chain-stopping", "chain-stopped", "stage-finish"]
    load_up = ["run-client-start", "run-client-finish", "client-ready"]
    load_up += ["run-loadgen-start", "run-loadgen-finish", "loadgen-ready"]
    load_down = ["loadgen-stopped", "client-stopped"]
    prepared = [*alone[:6], *load_up, *load_down, *alone[6:]]
    load_on = ["load-start", "stage-ready", "load-finish", "stage-shutdown"]
    loaded = [*alone[:6], *load_up, *load_on, *load_down, *alone[-3:]]
    begin = ["start", "setup-tasks-start", "setup-tasks-finish"]
    assert names(rows) == [f"perf-{name}" for name in [*begin, *prepared, *loaded, *alone]]
    stages = [row["stage"] for row in rows]
    assert sorted(set(stages)) == [-1, 0, 1, 2]
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times)


def test_the_load_is_set_held_for_the_duration_and_wound_down(world: World) -> None:
    world.run(LOADED)
    assert world.configs[-2:] == [{"faucet": {"interval": 5}}, {}]
    cycles = world.rows("cycles.jsonl")
    assert len(cycles) >= 8
    assert all(row["success"] and row["stage"] == 1 for row in cycles)
    by_type = {row["type"]: row for row in world.rows("perf.jsonl") if row["stage"] == 1}
    assert 58 <= by_type["perf-stage-shutdown"]["elapsed"] <= 70


def test_blocks_of_every_stage_are_recorded(world: World) -> None:
    world.run(LOADED)
    blocks = world.rows("blocks.jsonl")
    assert {row["stage"] for row in blocks} == {0, 1, 2}
    assert [row["blockHeight"] for row in blocks] == list(range(1, len(blocks) + 1))
    assert any(row["liveMode"] for row in blocks)
    assert (world.folder / "out" / "chain-stage-1.slog.gz").exists()


def test_a_cycle_limit_ends_the_stage_early(world: World) -> None:
    world.run(LOADED + " --stage.loadgen.cycles 3")
    assert 3 <= len(world.rows("cycles.jsonl")) <= 4


def test_the_client_is_created_and_funded_at_stage_0(world: World) -> None:
    world.run(LOADED)
    labels = [container.spec.command.label for container in world.engine.made("setup")]
    assert labels[:3] == [
        "create the simulated chain",
        "create the simulated client",
        "fund and provision the simulated client",
    ]


def test_a_first_stage_without_load_prepares_that_of_the_others(world: World) -> None:
    ending = world.run(LOADED + " --stage.loadgen.amm.interval 30 --stage.0.duration 1")
    assert ending.error is None
    tasks = {"faucet", "amm"}
    assert set(world.configs[0]) == tasks
    assert world.configs[1] == {}
    prepared = [row for row in world.rows("events.jsonl") if row["type"] == "prepare"]
    assert {row["task"] for row in prepared if row["stage"] == 0} == tasks
    assert all(row["stage"] == 1 for row in world.rows("cycles.jsonl"))
    # The chain is alone while it is held.
    held = {row["type"]: row["elapsed"] for row in world.rows("perf.jsonl") if row["stage"] == 0}
    assert held["perf-client-stopped"] <= held["perf-stage-ready"] <= 20
    assert held["perf-stage-shutdown"] >= 60
    assert (ending.folder / "client-storage-stage-0.tar.zst").exists()


def test_a_load_that_cannot_be_prepared_fails_the_run(world: World) -> None:
    world.prepares = False
    ending = world.run(LOADED + " --stage.1.loadgen.faucet.interval 5")
    assert isinstance(ending.error, LoadFailed)
    assert "finished no cycle" in ending.error.message
    assert "preparing faucet" in str(ending.error.detail)


def test_a_preparation_that_does_not_end_has_a_deadline(world: World) -> None:
    world.loadgen = replace(world.loadgen, execs=lambda argv: FakeExec())
    ending = world.run(LOADED)
    assert isinstance(ending.error, DeadlineExceeded)
    assert (ending.error.role, ending.error.step) == ("loadgen", "the load's preparation")
    assert world.engine.leftovers() == []


def test_without_any_load_there_is_no_client(world: World) -> None:
    world.run("--stages 2 --chain-only")
    assert world.engine.made("solo") == []
    labels = [container.spec.command.label for container in world.engine.made("setup")]
    assert "create the simulated client" not in labels


def test_run_json_says_what_was_run(world: World) -> None:
    world.run("--stages 1 --test-data.answer 42")
    document = json.loads((world.folder / "out" / "run.json").read_text())
    assert document["sdk"]["simulated"] is True
    assert document["image"] == {"tag": "sim:fake", "id": "sha256:fake"}
    assert document["test_data"] == {"answer": 42}
    assert document["plan"]["stages"][0]["index"] == 0


def test_what_the_site_changed_in_the_build_is_in_run_json_and_in_reports(
    world: World, tmp_path: Path
) -> None:
    own = shutil.copytree(resources.images("sim"), tmp_path / "own")
    (own / ".loadgenctl-overrides.json").write_text('["npm x: dropped", "npm y: dropped"]')
    services = replace(world.services(), source=DirectorySource(world.processes))
    execute(world.plan(f"--stages 1 --src {own}"), services)
    folder = world.folder / "out"
    deviations = ["npm x: dropped", "npm y: dropped"]
    assert json.loads((folder / "run.json").read_text())["sdk"]["deviations"] == deviations
    assert summarize(folder)["run"]["deviations"] == deviations
    assert run_row(folder).own["deviations"] == "npm x: dropped; npm y: dropped"
    assert LiveRun(folder).poll(0.0)["run"]["deviations"] == deviations


def test_run_json_has_the_repository_without_a_password(world: World) -> None:
    plan = replace(world.plan("--stages 1"), repository="https://me:secret@git.example.test/sdk")
    execute(plan, replace(world.services(), source=Anywhere()))
    text = (world.folder / "out" / "run.json").read_text()
    assert json.loads(text)["plan"]["repository"] == "bundled"
    assert "secret" not in text


def test_roles_are_separate_hardened_and_without_root(world: World) -> None:
    world.run(LOADED)
    for role in ("chain", "solo", "loadgen"):
        spec = world.engine.latest(role).spec
        assert spec.hardened
        assert spec.read_only_root
        assert spec.user == "1000:1000"
        source = next(mount for mount in spec.mounts if mount.target == "/src")
        assert source.read_only
        assert spec.network == world.engine.latest("holder").spec.name


def test_a_chain_that_dies_is_named_at_once(world: World) -> None:
    world.chain = replace(world.chain, exit_after=20.0, exit_code=3)
    ending = world.run(LOADED)
    assert isinstance(ending.error, RoleDied)
    assert ending.exit_code == 4
    status = world.status()
    assert (status["outcome"], status["role"], status["role_exit_code"]) == ("died", "chain", 3)
    assert world.engine.leftovers() == []


def test_a_chain_that_dies_while_the_client_is_funded_is_named_at_once(world: World) -> None:
    world.chain = replace(world.chain, exit_after=20.0, exit_code=137)
    # The client tries for long to reach it, then says no more than that it could not.
    lines = ((1.0, "provision: sent 75000000ubld"),)
    world.funding = replace(world.setup, lines=lines, exit_after=120.0, exit_code=1)
    ending = world.run(LOADED)
    assert isinstance(ending.error, RoleDied), ending.error
    assert ending.error.role == "chain"
    assert world.clock.monotonic() < 60
    assert world.engine.leftovers() == []
    log = gzip.decompress((ending.folder / "logs" / "setup-stage-0.log.gz").read_bytes())
    assert b"sent 75000000ubld" in log


def test_an_interrupt_while_the_client_is_funded_does_not_wait_for_it(world: World) -> None:
    world.funding = replace(world.setup, exit_after=120.0)
    world.clock.after(20.0, lambda: world.interrupts.request("SIGINT"))
    ending = world.run(LOADED)
    assert isinstance(ending.error, Interrupted)
    assert world.clock.monotonic() < 60
    assert world.engine.leftovers() == []


def test_out_of_memory_is_named(world: World) -> None:
    world.chain = replace(world.chain, exit_after=20.0, exit_code=137, oom=True)
    ending = world.run(LOADED)
    assert ending.error is not None
    assert "out of memory" in ending.error.message
    assert world.status()["oom_killed"] is True


@pytest.mark.parametrize("role", ["solo", "loadgen"])
def test_a_client_or_load_that_dies_is_named(world: World, role: str) -> None:
    setattr(world, role, replace(getattr(world, role), exit_after=10.0, exit_code=1))
    ending = world.run(LOADED)
    assert isinstance(ending.error, RoleDied)
    assert ending.error.role == role


def test_a_chain_that_never_gets_ready_ends_at_its_deadline(world: World) -> None:
    world.chain = replace(world.chain, lines=((0.5, "launch-chain: Launching SwingSet kernel"),))
    ending = world.run("--stages 1 --timeout.chain 30")
    assert isinstance(ending.error, DeadlineExceeded)
    assert ending.error.role == "chain"
    assert "30 s" in ending.error.message
    assert world.status()["last_lines"] == [
        "launch-chain: Launching SwingSet kernel",
        "[chain is still running; it has reached: launched]",
        "[it was bundling the vats' code]",
    ]


def test_a_chain_without_rpc_is_named(world: World) -> None:
    world.chain = replace(world.chain, execs=lambda argv: FakeExec(exit_code=1))
    ending = world.run("--stages 1 --timeout.chain 30")
    assert isinstance(ending.error, RunError)
    assert "RPC" in ending.error.message


def test_a_chain_that_dies_while_it_is_asked_is_named(world: World) -> None:
    def dies(argv: tuple[str, ...]) -> FakeExec:
        world.engine.latest("chain").end(3)
        raise EngineError("the container is not running")

    world.chain = replace(world.chain, execs=dies)
    ending = world.run("--stages 1")
    assert isinstance(ending.error, RoleDied)
    assert world.status()["role_exit_code"] == 3


def test_a_chain_that_stops_making_blocks_is_stalled(world: World) -> None:
    world.last_block = 25
    ending = world.run(LOADED + " --timeout.block 20")
    assert isinstance(ending.error, RunError)
    assert ending.error.step == "stalled"
    assert "after block 25" in ending.error.message


def test_a_slog_that_ends_while_the_chain_goes_on_is_told_as_that(world: World) -> None:
    def status(argv: tuple[str, ...]) -> FakeExec:
        sync = {"sync_info": {"latest_block_height": str(int(world.clock.monotonic()))}}
        return FakeExec(
            output=json.dumps({"result": sync if "status" in argv[-1] else {}}).encode()
        )

    world.chain = replace(world.chain, execs=status)
    world.last_block = 5
    ending = world.run("--stages 1 --stage.0.duration 10 --timeout.block 30")
    assert isinstance(ending.error, RunError)
    told = r"the chain's slog has had no block for \d+ s after block 5, and .* is at block \d\d"
    assert re.match(told, ending.error.message)
    assert world.status()["outcome"] == "stalled"


def test_a_chain_that_hangs_in_a_delivery_names_the_vat(world: World) -> None:
    world.last_block, world.hung_delivery = 25, "v11"
    ending = world.run(LOADED + " --timeout.block 20")
    assert isinstance(ending.error, RunError)
    assert ending.error.step == "stalled"
    assert "  vat v11 has been in a delivery for 2" in str(ending.error.detail)


def test_a_consensus_failure_that_the_chain_survives_is_named_before_cycles_fail(
    world: World,
) -> None:
    world.chain = replace(world.chain, lines=(*world.chain.lines, (25.0, "CONSENSUS FAILURE!!!")))
    world.last_block, world.cycles_succeed, world.cycle_time = 25, False, 120.0
    ending = world.run("--stages 1 --stage.0.duration 0.5 --stage.0.loadgen.faucet.interval 5")
    assert isinstance(ending.error, RunError)
    assert (ending.error.role, ending.error.step) == ("chain", "stalled")
    assert "consensus failure" in ending.error.message
    assert world.clock.monotonic() < 60


def test_a_consensus_failure_is_named(world: World) -> None:
    lines = (*world.chain.lines, (15.0, "CONSENSUS FAILURE!!! err=oops"))
    world.chain = replace(world.chain, lines=lines)
    world.last_block = 15
    ending = world.run(LOADED + " --timeout.block 20")
    assert ending.error is not None
    assert "consensus failure" in ending.error.message


def test_failed_cycles_fail_the_run_after_its_last_stage(world: World) -> None:
    world.cycles_succeed = False
    ending = world.run(LOADED)
    assert isinstance(ending.error, LoadFailed)
    assert ending.exit_code == 4
    assert names(world.rows("perf.jsonl"))[-1] == "perf-stage-finish"
    assert world.rows("perf.jsonl")[-1]["stage"] == 2
    assert all(row["error"] == "the purse did not move" for row in world.rows("cycles.jsonl"))


def test_fail_fast_ends_at_the_first_failed_cycle(world: World) -> None:
    world.cycles_succeed = False
    ending = world.run(LOADED + " --fail-fast")
    assert isinstance(ending.error, LoadFailed)
    assert len(world.rows("cycles.jsonl")) == 1


def test_a_failed_preparation_is_told_as_that(world: World) -> None:
    world.prepares = False
    ending = world.run("--stages 1 --stage.0.loadgen.faucet.interval 5 --fail-fast")
    assert isinstance(ending.error, LoadFailed)
    assert ending.error.message.startswith("the load cannot be prepared: preparing faucet: ")


def test_failed_preparations_and_cycles_are_counted_apart(world: World) -> None:
    world.unprepared = 1
    ending = world.run(LOADED)
    assert isinstance(ending.error, LoadFailed)
    assert ending.error.message == "1 preparation failed in stage 0"
    assert "loadgen-stage-0" in str(ending.error.hint)
    assert str(ending.error.detail).startswith("preparing faucet: ")


def answers(world: World, *codes: int) -> list[tuple[str, ...]]:
    """The load service answers its first requests so, and then takes them; what was asked."""
    take, left, asked = world.loadgen.execs, list(codes), list[tuple[str, ...]]()

    def answer(argv: tuple[str, ...]) -> FakeExec:
        asked.append(argv)
        return FakeExec(left.pop(0), b"why") if left else take(argv)

    world.loadgen = replace(world.loadgen, execs=answer)
    return asked


def test_a_load_service_that_does_not_answer_yet_is_asked_again(world: World) -> None:
    asked = answers(world, 1, 1)
    assert world.run(LOADED).error is None
    assert asked[0] == asked[1] == asked[2]


def test_a_load_config_that_is_refused_is_not_sent_again(world: World) -> None:
    asked = answers(world, 3, 3, 3)
    ending = world.run(LOADED)
    assert isinstance(ending.error, LoadFailed)
    assert "refused the request 'put'" in ending.error.message
    assert ending.error.detail == "why"
    assert len(asked) == 1


def test_a_chain_is_ready_as_soon_as_its_rpc_answers(world: World) -> None:
    ask, asked = world.chain.execs, iter(range(100))

    def late(argv: tuple[str, ...]) -> FakeExec:
        return FakeExec(1) if next(asked) < 3 else ask(argv)

    world.chain = replace(world.chain, execs=late)
    assert world.run("--stages 1").error is None
    at = {row["type"]: row["elapsed"] for row in world.rows("perf.jsonl")}
    assert at["perf-chain-ready"] - at["perf-run-chain-finish"] < 3.0


def test_blocks_stay_live_after_the_clock_was_set_back(world: World) -> None:
    """Their times are then earlier than that at which the chain was ready."""
    world.clock.after(30.0, lambda: world.clock.set_wall(world.clock.wall() - 3600.0))
    assert world.run("--stages 1 --stage.0.duration 1").error is None
    blocks = [row for row in world.rows("blocks.jsonl") if row["blockHeight"] > 3]
    assert min(row["beginAt"] for row in blocks) < blocks[0]["beginAt"] - 3000
    assert all(row["liveMode"] for row in blocks)


def test_a_service_that_ended_when_it_was_to_be_asked_is_told_as_that(world: World) -> None:
    configure = world.loadgen.execs

    def gone_at_the_end(argv: tuple[str, ...]) -> FakeExec:
        if len(world.configs) < AT_THE_END:
            return configure(argv)
        world.engine.latest("loadgen").end(137)
        raise EngineError("the container is not running")

    world.loadgen = replace(world.loadgen, execs=gone_at_the_end)
    ending = world.run(LOADED)
    assert isinstance(ending.error, RoleDied)
    assert ending.error.message == "loadgen ended unexpectedly: killed by SIGKILL"


def test_a_client_that_dies_while_its_stage_ends_is_not_taken_for_stopped(world: World) -> None:
    configure = world.loadgen.execs

    def dies_at_the_end(argv: tuple[str, ...]) -> FakeExec:
        if len(world.configs) == AT_THE_END:
            world.clock.after(world.cycle_time, lambda: world.engine.latest("solo").end(5))
        return configure(argv)

    world.loadgen = replace(world.loadgen, execs=dies_at_the_end)
    ending = world.run(LOADED)
    assert isinstance(ending.error, RoleDied)
    assert ending.error.message == "solo ended unexpectedly: exit code 5"


def test_a_node_whose_container_is_paused_gives_no_answer(world: World) -> None:
    answer, asked = world.chain.execs, []

    def paused_at_first(argv: tuple[str, ...]) -> FakeExec:
        asked.append(argv)
        if len(asked) < 4:
            raise EngineError("the container is paused")
        return answer(argv)

    world.chain = replace(world.chain, execs=paused_at_first)
    assert world.run("--stages 1 --chain-only").error is None
    assert len(asked) >= 4


def test_a_load_that_finishes_no_cycle_is_never_green(world: World) -> None:
    world.cycles_finish = False
    ending = world.run(LOADED)
    assert isinstance(ending.error, LoadFailed)
    assert "finished no cycle" in ending.error.message
    # Asked while the roles were still there, told when they are gone.
    assert "  7 transactions in the mempool" in str(ending.error.detail)


def test_a_stalled_load_is_named(world: World) -> None:
    world.cycles_finish = False
    ending = world.run(LOADED + " --timeout.cycle 15")
    assert isinstance(ending.error, LoadFailed)
    assert ending.error.step == "stalled"
    assert ending.error.message.endswith("no cycle finished for 21 s")
    assert str(ending.error.detail).splitlines() == [
        "server running",
        "cycles:",
        "  faucet cycle 1 has been in flight for 21 s",
        "chain:",
        "  the chain made 21 blocks in 21 s and is at block 32",
        "  7 transactions in the mempool",
        "vats:",
        "  vat v10: 21 deliveries, 21000 computrons, 0.4 s",
    ]
    assert world.status()["last_lines"][-1].startswith("  vat v10")


def test_cycles_that_come_seldom_are_no_stall(world: World) -> None:
    seldom = "--stages 3 --stage.duration 4 --stage.loadgen.faucet.interval 100"
    ending = world.run(seldom + " --timeout.cycle 15")
    assert ending.error is None
    assert len(world.rows("cycles.jsonl")) == 3


def test_the_last_cycles_of_a_stalled_load_are_told(world: World) -> None:
    world.clock.after(60.0, lambda: setattr(world, "cycles_finish", False))
    ending = world.run(LOADED.replace("duration 1", "duration 3") + " --timeout.cycle 15")
    assert isinstance(ending.error, LoadFailed)
    assert ending.error.step == "stalled"
    lines = str(ending.error.detail).splitlines()
    ended = [line for line in lines if " ended " in line]
    assert len(ended) == 3
    assert all(line.endswith("ago after 2.0 s, passed") for line in ended)


def test_one_interrupt_under_load_ends_the_stage_gracefully(world: World) -> None:
    world.clock.after(40.0, lambda: world.interrupts.request("SIGINT"))
    ending = world.run(LOADED)
    assert isinstance(ending.error, Interrupted)
    assert ending.exit_code == 130
    assert world.status()["outcome"] == "interrupted"
    assert world.configs[-1] == {}
    types = names(world.rows("perf.jsonl"))
    assert types[-1] == "perf-stage-finish"
    assert "perf-loadgen-stopped" in types
    assert world.engine.latest("chain").signals == ["SIGINT"]
    assert world.engine.leftovers() == []


def test_two_interrupts_stop_at_once(world: World) -> None:
    world.cycles_finish = False

    def twice() -> None:
        world.interrupts.request("SIGINT")
        world.clock.after(2.0, lambda: world.interrupts.request("SIGINT"))

    world.clock.after(40.0, twice)
    began = world.clock.monotonic()
    ending = world.run(LOADED)
    assert isinstance(ending.error, Interrupted)
    assert world.clock.monotonic() - began < 45
    assert world.engine.leftovers() == []


def test_a_second_interrupt_does_not_wait_for_a_role_that_takes_its_time(world: World) -> None:
    slow = {"SIGINT": Reaction(0, 50.0), "SIGKILL": Reaction(137)}
    world.chain = replace(world.chain, lines=world.chain.lines[:1], on_signal=slow)
    world.clock.after(10.0, lambda: world.interrupts.request("SIGINT"))
    # The stage is being closed by now, which nothing cuts off in its middle.
    world.clock.after(15.0, lambda: world.interrupts.request("SIGINT"))
    began = world.clock.monotonic()
    ending = world.run("--stages 1")
    assert isinstance(ending.error, Interrupted)
    assert world.clock.monotonic() - began < 18
    assert world.engine.latest("chain").signals == ["SIGINT", "SIGKILL"]
    assert world.engine.leftovers() == []


def test_an_interrupt_while_the_chain_starts(world: World) -> None:
    world.clock.after(0.7, lambda: world.interrupts.request("SIGTERM"))
    ending = world.run(LOADED)
    assert isinstance(ending.error, Interrupted)
    assert world.engine.leftovers() == []


def test_a_failed_setup_names_the_command(world: World) -> None:
    world.setup = Script(lines=((0.1, "no such denomination"),), exit_after=0.2, exit_code=7)
    ending = world.run("--stages 1")
    assert isinstance(ending.error, RunError)
    assert "create the simulated chain" in ending.error.message
    assert ending.error.detail == "no such denomination"


def test_a_failed_build_ends_with_its_code(world: World) -> None:
    world.builds.error = BuildError("the build failed", detail="yarn said no")
    ending = world.run("--stages 1")
    assert ending.exit_code == 3
    assert world.status()["reason"] == "the build failed"
    assert (world.folder / "out" / "run.json").exists()


def test_a_failed_image_still_leaves_run_json(world: World) -> None:
    world.images.error = BuildError("no base image")
    ending = world.run("--stages 1")
    assert ending.exit_code == 3
    document = json.loads((world.folder / "out" / "run.json").read_text())
    assert document["image"] is None


def test_what_goes_wrong_in_closing_a_stage_fails_the_run(world: World) -> None:
    class Clumsy(FakeEngine):
        def logs(self, handle: Handle) -> Iterator[bytes]:
            if handle.role == "chain":
                raise EngineError("the log cannot be read")
            return super().logs(handle)

    world.make_engine = Clumsy
    ending = world.run("--stages 1")
    assert isinstance(ending.error, EngineError)
    assert ending.exit_code == 4
    slog = gzip.decompress((ending.folder / "chain-stage-0.slog.gz").read_bytes())
    assert slog.endswith(b"}\n")
    assert world.engine.leftovers() == []


def test_no_reset_keeps_the_state(world: World, tmp_path: Path) -> None:
    genesis = tmp_path / "kept" / "project" / "chain" / "config" / "genesis.json"
    genesis.parent.mkdir(parents=True)
    genesis.write_text("{}")
    world.run(f"--stages 1 --no-reset --state-dir {tmp_path / 'kept'}")
    assert genesis.exists()
    assert world.engine.made("setup") == []


def test_a_state_folder_is_for_one_run_at_a_time(world: World, tmp_path: Path) -> None:
    with state_in_use(tmp_path / "kept"):
        ending = world.run(f"--stages 1 --state-dir {tmp_path / 'kept'}")
    assert isinstance(ending.error, OutputFolderError)
    assert "another run" in ending.error.message
    assert world.engine.leftovers() == []


def test_storage_is_saved(world: World) -> None:
    ending = world.run("--stages 1 --chain-only")
    assert ending.error is None
    assert (ending.folder / "chain-storage-stage-0.tar.zst").stat().st_size > 0

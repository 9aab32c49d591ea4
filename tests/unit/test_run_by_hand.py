"""`loadgenctl up`: what a person drives by hand, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.shell import Shell
from tests.worlds import World, names

from loadgenctl.cli.merged_options import read_for_up
from loadgenctl.cli.up import next_steps
from loadgenctl.errors import Interrupted, LoadFailed, RoleDied, RunError
from loadgenctl.model import RunPlan
from loadgenctl.plan.planner import make_plan_by_hand
from loadgenctl.plan.settings import merge

LONG = 1200.0
"""Seconds, more than either stall check allows."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def plan(line: str = "", file: Mapping[str, Any] | None = None) -> RunPlan:
    settings = merge(["--output-dir", "out", *line.split()], {}, file, "file")
    return make_plan_by_hand(settings, now=0, cwd=Path("/here"))


def test_the_plan_is_one_stage_without_end_or_load_and_with_ports() -> None:
    made = plan()
    (stage,) = made.stages
    assert stage.duration_s < 0
    assert stage.load == {}
    assert not stage.chain_only
    assert not stage.save_storage
    assert made.publish
    assert made.by_hand


def test_without_containers_the_ports_are_there_anyway() -> None:
    made = plan("--sdk sim --engine local --port.loadgen 4000")
    assert not made.publish
    assert made.by_hand
    assert "http://127.0.0.1:4000/config" in next_steps(made)


def test_what_a_file_says_of_stages_is_for_runs() -> None:
    file = {
        "stages": 1,
        "publish": False,
        "stage": {
            "duration": -1,
            "loadgen": {"cycles": 3, "amm": {"interval": 9}},
            "7": {"chain-only": True},
        },
    }
    made = plan("", file)
    assert made.stages[0].load == {"amm": {"interval": 9}}
    assert made.stages[0].cycles is None
    assert made.publish
    assert plan("--chain-only", file).stages[0].load is None


def test_an_interrupt_is_the_good_end(world: World) -> None:
    world.clock.after(2 * LONG, lambda: world.interrupts.request("SIGTERM"))
    ending = world.up()
    assert ending.error is None
    assert world.clock.monotonic() > 2 * LONG
    assert world.readies == 1
    assert world.status()["outcome"] == "passed"
    assert world.status()["exit_code"] == 0
    assert world.configs == [{}, {}]
    types = names(world.rows("perf.jsonl"))
    assert types[-6:] == [
        "perf-stage-shutdown",
        "perf-loadgen-stopped",
        "perf-client-stopped",
        "perf-chain-stopping",
        "perf-chain-stopped",
        "perf-stage-finish",
    ]
    assert world.progress.warnings == [
        "simulated SDK 1.0.0: its numbers say nothing about a real chain"
    ]
    assert world.engine.leftovers() == []
    assert not (ending.folder / "state").exists()


def test_the_ports_are_published(world: World) -> None:
    world.clock.after(60.0, world.interrupts.request)
    world.up()
    assert set(world.engine.latest("holder").spec.publish.values()) == {26657, 8000, 3352}
    assert world.engine.made("relay")


def test_the_load_that_a_person_sets_is_recorded(world: World) -> None:
    world.clock.after(LONG, lambda: world.put({"faucet": {"interval": 5}}))
    world.clock.after(LONG + 60, lambda: world.put({}))
    world.clock.after(2 * LONG, world.interrupts.request)
    assert world.up().error is None
    cycles = world.rows("cycles.jsonl")
    assert len(cycles) == 12
    assert all(row["success"] for row in cycles)


def test_a_load_at_first_is_set(world: World) -> None:
    world.clock.after(60.0, world.interrupts.request)
    assert world.up("--stage.loadgen.amm.interval 7").error is None
    assert world.configs == [{"amm": {"interval": 7}}, {}]
    assert world.rows("cycles.jsonl")


def test_a_load_that_is_on_and_does_not_come_through_is_stalled(world: World) -> None:
    world.cycles_finish = False
    world.clock.after(LONG, lambda: world.put({"faucet": {"interval": 5}}))
    ending = world.up("--timeout.cycle 15")
    assert isinstance(ending.error, LoadFailed)
    assert ending.error.step == "stalled"
    assert ending.error.message.endswith("no cycle finished for 21 s")


def test_a_load_may_finish_no_cycle_before_the_end(world: World) -> None:
    world.cycles_finish = False
    world.clock.after(60.0, lambda: world.put({"faucet": {"interval": 5}}))
    world.clock.after(90.0, world.interrupts.request)
    assert world.up().error is None
    assert any("did not finish" in warning for warning in world.progress.warnings)


def test_failed_cycles_are_no_success(world: World) -> None:
    world.cycles_succeed = False
    world.clock.after(60.0, lambda: world.put({"faucet": {"interval": 5}}))
    world.clock.after(90.0, world.interrupts.request)
    ending = world.up()
    assert isinstance(ending.error, LoadFailed)
    assert ending.exit_code == 4


def test_fail_fast_heeds_the_load_that_a_person_sets(world: World) -> None:
    world.cycles_succeed = False
    world.clock.after(60.0, lambda: world.put({"faucet": {"interval": 5}}))
    ending = world.up("--fail-fast")
    assert isinstance(ending.error, LoadFailed)
    assert len(world.rows("cycles.jsonl")) == 1


@pytest.mark.parametrize("role", ["chain", "solo", "loadgen"])
def test_a_role_that_dies_is_named(world: World, role: str) -> None:
    setattr(world, role, replace(getattr(world, role), exit_after=LONG, exit_code=3))
    ending = world.up()
    assert isinstance(ending.error, RoleDied)
    assert (ending.exit_code, ending.error.role) == (4, role)
    assert world.readies == 1


def test_a_chain_without_blocks_is_stalled(world: World) -> None:
    world.last_block = 500
    ending = world.up()
    assert isinstance(ending.error, RunError)
    assert ending.error.message.startswith("the chain made no block for 18")


def test_an_interrupt_before_all_is_ready_is_one(world: World) -> None:
    world.clock.after(0.7, world.interrupts.request)
    ending = world.up()
    assert isinstance(ending.error, Interrupted)
    assert world.readies == 0
    assert world.engine.leftovers() == []


def test_two_interrupts_stop_at_once(world: World) -> None:
    world.cycles_finish = False

    def twice() -> None:
        world.interrupts.request()
        world.clock.after(2.0, world.interrupts.request)

    world.clock.after(40.0, twice)
    ending = world.up("--stage.loadgen.faucet.interval 5")
    assert isinstance(ending.error, Interrupted)
    assert ending.exit_code == 130
    assert world.status()["outcome"] == "interrupted"
    assert world.clock.monotonic() < 45
    assert world.engine.leftovers() == []


def test_the_chain_alone(world: World) -> None:
    world.clock.after(LONG, world.interrupts.request)
    ending = world.up("--chain-only")
    assert ending.error is None
    assert world.readies == 1
    assert world.configs == []
    assert world.engine.made("solo") == world.engine.made("loadgen") == []
    assert len(world.rows("blocks.jsonl")) > LONG / 2


def test_runs_do_not_tell_a_person(world: World) -> None:
    world.run("--stages 1")
    assert world.readies == 0


def test_the_next_steps_can_be_pasted_into_a_shell() -> None:
    text = next_steps(replace(plan(), output_dir=Path("/a b")))
    assert "read and set the load (now: off)" in text
    lines = [line.strip() for line in text.splitlines()]
    assert "curl http://127.0.0.1:3352/config" in lines
    url = "http://127.0.0.1:3352/config"
    assert f"""curl -X PUT --data '{{"faucet":{{"interval":60}}}}' {url}""" in lines
    assert f"curl -X PUT --data '{{}}' {url}" in lines
    assert "loadgenctl slog tail '/a b'" in lines
    loaded = next_steps(plan("--stage.loadgen.faucet.interval 5"))
    assert 'read and set the load (now: {"faucet":{"interval":5}})' in loaded


def test_every_address_has_a_line_of_its_own_that_80_columns_hold() -> None:
    lines = next_steps(plan()).splitlines()
    assert lines[:5] == [
        "ready",
        "  chain:  http://127.0.0.1:26657",
        "  client: http://127.0.0.1:8000",
        "  load:   http://127.0.0.1:3352",
        "",
    ]
    assert all(line.count("http") <= 1 for line in lines)


def test_the_next_steps_of_a_chain_alone_know_no_load() -> None:
    text = next_steps(plan("--chain-only"))
    assert "curl http://127.0.0.1:26657/status" in text
    assert "3352" not in text
    assert "cycles" not in text


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--stages 3", "--stages means nothing for roles that are driven by hand"),
        ("--stage.duration 3", "--stage.duration means nothing"),
        ("--stage.0.chain-only", "--stage.0.chain-only means nothing"),
        ("--stage.0.loadgen.faucet.interval 3", "--stage.0.loadgen.faucet.interval means nothing"),
        ("--publish", "--publish means nothing"),
        ("--timeout.provision 9", "--timeout.provision means nothing"),
        ("--stage.loadgen.cycles 3", "end by Ctrl-C, not after some cycles"),
        ("--chain-only --stage.loadgen.amm.interval 3", "--chain-only leaves no load generator"),
        ("--stage.loadgen.amm.intervall 3", "amm has no setting 'intervall'"),
        ("--sim-config nowhere.toml", "cannot read"),
        ("--output-dri x", "did you mean --output-dir?"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    shell: Shell, line: str, message: str
) -> None:
    said = shell.run("up", "--sdk", "sim", *line.split())
    assert said.exit_code == 2
    assert message in said.stderr
    assert list(shell.folder.iterdir()) == []


def test_a_load_for_a_chain_that_a_file_leaves_alone_is_refused(shell: Shell) -> None:
    (shell.folder / "loadgenctl.toml").write_text("[run]\nchain-only = true\n")
    said = shell.run("up", "--sdk", "sim", "--stage.loadgen.amm.interval", "3")
    assert said.exit_code == 2
    assert "loadgenctl.toml leaves no load generator" in said.stderr


def test_a_dry_run_prints_the_stage(shell: Shell) -> None:
    said = shell.run("up", "--sdk", "sim", "--dry-run")
    assert said.exit_code == 0
    assert "until interrupted" in said.stdout
    assert list(shell.folder.iterdir()) == []


def test_help_shows_the_options_that_mean_something(shell: Shell) -> None:
    said = shell.run("up", "--help")
    assert said.exit_code == 0
    for word in ("--revision", "--chain-only", "--stage.loadgen.*", "--state-dir", "--dry-run"):
        assert word in said.words
    for word in ("--stages", "--publish", "--stage.duration"):
        assert word not in said.words


def test_run_json_says_that_it_was_by_hand(world: World) -> None:
    world.clock.after(60.0, world.interrupts.request)
    world.up()
    document = json.loads((world.folder / "out" / "run.json").read_text())
    assert document["plan"]["by_hand"] is True


def test_the_options_file_counts_too(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[run]\nsdk = "sim"\n[run.stage.loadgen.vault]\ninterval = 8\n')
    made = read_for_up(["--output-dir", str(tmp_path)], config).plan_by_hand()
    assert (made.sdk, made.stages[0].load) == ("sim", {"vault": {"interval": 8}})

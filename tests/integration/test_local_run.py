"""Whole runs of the simulated SDK without containers, by the command line as another process.

Each has a cache, and so a registry, of its own, and ports of its own; no Docker engine is there.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.column_tables import undescribed
from tests.integration.loadgenctl_process import (
    CHAIN_STOPPED,
    PROMPT,
    QUICK,
    SIM,
    Ended,
    Loadgenctl,
    Records,
)

from loadgenctl.clock import SystemClock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Handle
from loadgenctl.engines.local import LocalEngine
from loadgenctl.engines.local_registry import Registry
from loadgenctl.model import HIGHEST_PORT

TASKS = ("faucet", "amm", "vault")
ROLES = {"chain", "solo", "loadgen"}
LOAD = [word for task in TASKS for word in (f"--stage.loadgen.{task}.interval", "1")]
ONE_STAGE = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1", "--stage.0.duration", "30")


def free_ports(count: int) -> list[int]:
    """Ports below those that the system itself gives away."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, min(30_000, HIGHEST_PORT))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if all(abs(port - other) not in {0, 10_000} for other in found):
            found.append(port)
    return found


@dataclass
class Bench:
    """Commands that share a cache; what they start can be seen by it."""

    folder: Path
    _serials: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.cache = self.folder / "cache"
        self.ports = dict(zip(("chain", "solo", "loadgen"), free_ports(3), strict=True))
        registry = Registry(self.cache / "local", python=sys.executable)
        self.engine = LocalEngine(registry, SystemClock(), {})

    def start(self, *arguments: str) -> tuple[Loadgenctl, Records]:
        folder = self.folder / f"command-{next(self._serials)}"
        env = {
            "LOADGENCTL_CACHE": str(self.cache),
            "DOCKER_HOST": f"unix://{self.folder}/none.sock",
        }
        return Loadgenctl(folder, *arguments, env=env), Records(folder / "out")

    def run(self, *arguments: str, faults: str = "") -> tuple[Loadgenctl, Records]:
        file = self.folder / f"sim-{next(self._serials)}.toml"
        file.write_text(QUICK + faults)
        ports = [f"--port.{name}={port}" for name, port in self.ports.items()]
        options = ("--engine", "local", "--output-dir", "out", "--sim-config", str(file))
        return self.start(*SIM, *options, *ports, *arguments)

    def do(self, *arguments: str) -> Ended:
        command, _ = self.start(*arguments)
        with command:
            return command.end()

    def roles(self) -> dict[str, str]:
        """Role → state of what is there."""
        return {
            item.labels[ownership_labels.ROLE]: self.engine.state(
                Handle(item.name, item.id, "")
            ).status
            for item in self.engine.leftovers()
        }

    def processes(self) -> list[int]:
        """Everything that still runs and was started by one of the commands."""
        mark = f"LOADGENCTL_CACHE={self.cache}".encode()
        return [
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdecimal() and mark in _environment(path)
        ]

    def assert_nothing_left(self) -> None:
        assert self.roles() == {}
        assert self.processes() == []


def _environment(path: Path) -> list[bytes]:
    try:
        return (path / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for item in made.engine.leftovers():
        made.engine.remove_leftover(item)
    made.engine.close()


@pytest.fixture
def under_load(bench: Bench) -> Iterator[Callable[..., tuple[Loadgenctl, Records]]]:
    """Starts a run and waits until its load's first cycle has finished."""
    started: list[Loadgenctl] = []

    def start(*, faults: str = "") -> tuple[Loadgenctl, Records]:
        command, records = bench.run(*ONE_STAGE, faults=faults)
        started.append(command)
        command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
        return command, records

    yield start
    for command in started:
        with command:
            pass


def test_a_whole_run_needs_no_containers_and_leaves_no_process(bench: Bench) -> None:
    command, records = bench.run(
        *("--stages", "3", "--stage.duration", "2", "--stage.loadgen.cycles", "9"),
        *("--monitor-interval", "0.05", "--sample-interval", "1"),
        *LOAD,
    )
    with command:
        command.until(lambda: records.cycles(finished_in=1) > 0, "a cycle finishes")
        assert bench.roles() == dict.fromkeys(ROLES, "running")
        ended = command.end()
    assert ended.exit_code == 0, ended.stderr
    bench.assert_nothing_left()
    assert {row["task"] for row in records.rows("cycles.jsonl")} == set(TASKS)
    run = records.document("run.json")
    assert run["engine"]["kind"] == "local"
    assert run["image"] is None
    assert records.status["outcome"] == "passed"
    assert records.slog("chain-stage-2.slog.gz")
    assert undescribed(records.folder) == {}
    _check_samples(records)


def test_wallets_need_no_client_and_wait_where_blocks_are_full(bench: Bench) -> None:
    command, records = bench.run(
        # So little that one offer fills a block.
        *("--client", "wallet", "--chain.compute-limit", "1", "--stages", "3"),
        *("--stage.duration", "2", "--stage.loadgen.cycles", "40", *LOAD),
        *(word for task in TASKS for word in (f"--stage.loadgen.{task}.limit", "8")),
    )
    with command:
        command.until(lambda: records.cycles(finished_in=1) > 0, "a cycle finishes")
        assert bench.roles() == dict.fromkeys(ROLES - {"solo"}, "running")
        ended = command.end()
    assert ended.exit_code == 0, ended.stderr
    bench.assert_nothing_left()
    cycles = records.rows("cycles.jsonl")
    assert all(row["success"] for row in cycles)
    assert undescribed(records.folder) == {}
    settled = [height for row in cycles for height in row["settled_height"]]
    assert len(set(settled)) == len(settled), "two offers of one block"
    waits = [
        after - before
        for row in cycles
        for before, after in zip(row["included_height"], row["settled_height"], strict=True)
    ]
    assert min(waits) >= 1
    assert max(waits) > 2
    assert records.document("summary.json")["stages"][1]["offer_times"]["mismatched"] == 0


def _check_samples(records: Records) -> None:
    rows = records.rows("samples.jsonl")
    containers = [row for row in rows if row["kind"] == "container"]
    assert {row["role"] for row in containers} == ROLES
    assert {row["source"] for row in containers} == {"local"}
    last = {row["role"]: row for row in containers if row["reason"] is None}
    for role in ROLES:
        assert last[role]["cpu_total_s"] > 0
        assert last[role]["memory_bytes"] > 0
        assert last[role]["network_rx_bytes"] is None
    stages = {row["stage"]: row["cpu_total_s"] for row in containers if row["role"] == "chain"}
    assert stages[0] < stages[1] < stages[2], "a counter goes on over restarts"
    agents = [row for row in rows if row["source"] == "agent" and row["kind"] == "process"]
    assert {"kernel", "v1", "v2"} <= {row["subject"] for row in agents}
    storage = [row for row in rows if row["kind"] == "storage" and row["subject"] == "."]
    assert storage[-1]["disk_kib"] > 0


def test_load_is_changed_and_ctrl_c_ends_the_stage_and_keeps_the_records(
    bench: Bench, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, records = under_load()
    shown = bench.do("load", "config", "get")
    assert json.loads(shown.stdout)["faucet"]["interval"] == 1, shown.stderr
    asked = bench.do("load", "config", "set", str(records.folder), json.dumps({"amm": {}}))
    assert json.loads(asked.stdout) == {"amm": {"interval": 60, "wait": 0, "limit": 1}}
    command.ctrl_c()
    ended = command.end()
    assert ended.exit_code == 130, ended.stderr
    bench.assert_nothing_left()
    assert records.perf(0)[-4:] == ["client-stopped", *CHAIN_STOPPED]
    assert records.slog("chain-stage-0.slog.gz")
    assert records.document("summary.json")["run"]["outcome"] == "interrupted"


def test_a_second_ctrl_c_does_not_wait_for_cycles(
    bench: Bench, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, records = under_load(faults='[[fault]]\nkind = "driver-hang"\nat_cycle = 2\n')
    command.until(
        lambda: any(row.get("seq") == 2 for row in records.rows("events.jsonl")), "the cycle hangs"
    )
    command.ctrl_c()
    command.until_said("press Ctrl-C again to stop immediately")
    command.ctrl_c()
    assert command.end(timeout=PROMPT).exit_code == 130
    bench.assert_nothing_left()


def test_a_stop_while_the_chain_starts(bench: Bench) -> None:
    slow = '[[fault]]\nkind = "slow-start"\nseconds = 300\n'
    command, records = bench.run("--stages", "1", faults=slow)
    with command:
        command.until(lambda: bench.roles().get("chain") == "running", "the chain starts")
        command.signal(signal.SIGTERM)
        ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 130, ended.stderr
    bench.assert_nothing_left()
    assert records.status["outcome"] == "interrupted"


def test_what_a_killed_run_leaves_is_ended_by_the_next_command(
    bench: Bench, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, _ = under_load()
    command.signal(signal.SIGKILL)
    assert command.end().exit_code == -signal.SIGKILL
    assert bench.roles() == dict.fromkeys(ROLES, "running")
    assert len(bench.processes()) > len(ROLES)
    would = bench.do("clean", "--engine", "local", "--dry-run")
    assert would.stdout.count("would remove processes") == len(ROLES)
    assert bench.roles() == dict.fromkeys(ROLES, "running")
    swept = bench.do("clean", "--engine", "local")
    assert swept.stdout.count("removed processes") == len(ROLES)
    assert swept.exit_code == 0, swept.stderr
    bench.assert_nothing_left()


def test_all_engines_are_cleaned_before_one_that_is_not_there_is_told(bench: Bench) -> None:
    ended = bench.do("clean")
    assert ended.exit_code == 2
    assert "no Docker engine answers" in ended.stderr
    assert "--engine local cleans without Docker" in " ".join(ended.stderr.split())


def test_a_port_that_is_taken_is_named_with_who_has_it(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", bench.ports["solo"])):
        command, records = bench.run("--stages", "1", "--stage.0.loadgen.faucet.interval", "1")
        with command:
            ended = command.end()
    assert ended.exit_code == 2, ended.stderr
    said = " ".join(ended.stderr.split())
    assert f"the port {bench.ports['solo']} of the solo (by " in said
    assert f"pid {os.getpid()}" in said
    assert records.status["outcome"] == "failed"
    bench.assert_nothing_left()


def test_a_chain_alone_needs_only_its_own_port(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", bench.ports["solo"])):
        command, _ = bench.run("--stages", "1", "--chain-only")
        with command:
            assert command.end().exit_code == 0
    bench.assert_nothing_left()


def test_a_chain_that_crashes_is_named_with_its_last_lines(bench: Bench) -> None:
    crash = '[[fault]]\nkind = "chain-crash"\nafter_blocks = 4\nexit_code = 3\n'
    command, records = bench.run(
        "--stages", "1", "--stage.0.duration", "5", "--chain-only", faults=crash
    )
    with command:
        ended = command.end()
    assert ended.exit_code == 4
    assert "chain ended unexpectedly: exit code 3" in ended.stderr
    assert records.status["last_lines"]
    bench.assert_nothing_left()

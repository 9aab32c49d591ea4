"""A run that follows the chain of another run, on a Docker network that both are on."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.loadgenctl_process import SIM, Desk, Loadgenctl

pytestmark = pytest.mark.docker

NETWORK = "loadgenctl-test-network"
LOAD = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1", "--stage.0.duration", "30")
Playing = Callable[[], tuple[Loadgenctl, Path]]


@pytest.fixture
def network(desk: Desk) -> Iterator[str]:
    """A Docker network, made and removed as a person would."""
    name = f"{NETWORK}-{desk.folder.parent.name}"
    made = desk.engine.client.api.create_network(name, driver="bridge")
    yield name
    desk.engine.client.api.remove_network(made["Id"])


@pytest.fixture
def playing(desk: Desk, network: str) -> Iterator[Playing]:
    """Starts a run whose chain plays a network, and gives its origin."""
    started: list[Loadgenctl] = []

    def start() -> tuple[Loadgenctl, Path]:
        alone = ("--stages", "1", "--chain-only", "--stage.0.duration", "30", "--network", network)
        command, records = desk.start(*SIM, *alone, *desk.settings())
        started.append(command)
        command.until(lambda: len(records.rows("blocks.jsonl")) > 10, "the network makes blocks")
        return command, records.folder / "origin"

    yield start
    for command in started:
        command.signal(signal.SIGINT)
        command.end()
        with command:
            pass


def provision(desk: Desk, pid: int) -> tuple[str, str]:
    """The option that has the network of that process provision a client."""
    chain = str(desk.engine.inspect(pid, "chain")["Id"])
    script = desk.folder / "provision.py"
    script.write_text(
        "import docker, os\n"
        f"chain = docker.from_env().containers.get({chain!r})\n"
        "argv = ['python3', '/src/bin/sim-solo', 'provision', '--address']\n"
        "code, said = chain.exec_run([*argv, os.environ['LOADGENCTL_ADDRESS']])\n"
        "raise SystemExit(said.decode() if code else 0)\n"
    )
    return "--provision-command", f"{sys.executable} {script}"


def test_load_runs_on_a_network_without_and_with_a_node_until_it_goes(
    desk: Desk, network: str, playing: Playing
) -> None:
    chain, origin = playing()
    there = ("--profile", "testnet", "--testnet-origin", str(origin), "--network", network)
    without = ("--no-monitor", "--stage.0.loadgen.cycles", "2", *provision(desk, chain.pid))
    ended, records = desk.do(*SIM, *there, *LOAD, *desk.settings(), *without)
    assert ended.exit_code == 0, ended.stderr
    assert "no chain node runs: the results will have no blocks" in ended.stderr
    assert records.cycles(finished_in=0) >= 2
    assert records.rows("blocks.jsonl") == []
    assert not list(records.folder.glob("chain-*"))
    assert "run-chain-start" not in records.perf()

    # The same client, whom the network knows by now.
    follow = (*SIM, *there, *LOAD, *desk.settings())
    command, records = desk.start(*follow, "--timeout.block", "4")
    with command:
        command.until(lambda: records.cycles(finished_in=0) > 1, "cycles finish on the network")
        chain.ctrl_c()
        ended = command.end()
    assert ended.exit_code == 4, ended.stderr
    assert "the network simulated gave no block for" in ended.stderr
    assert (records.status["role"], records.status["step"]) == ("network", "stalled")
    assert "lost the network" in "\n".join(records.status["last_lines"])
    (caught_up,) = [
        row for row in records.rows("perf.jsonl") if row["type"] == "perf-chain-caught-up"
    ]
    assert caught_up["blocks"] > 10
    assert caught_up["blocksPerSecond"] > 0
    blocks = records.rows("blocks.jsonl")
    assert blocks[0]["blockHeight"] == 1
    assert {row["liveMode"] for row in blocks if row["blockHeight"] < caught_up["block"]} == {False}
    assert any(row["liveMode"] for row in blocks)
    assert all(row["success"] for row in records.rows("cycles.jsonl"))
    assert records.document("run.json")["network"]["chain_id"] == "simulated"
    assert desk.engine.left(command.pid) == []


def test_an_origin_that_is_not_consistent_is_refused(desk: Desk) -> None:
    origin = desk.folder / "origin"
    origin.mkdir()
    peer = f"{'a' * 40}@somewhere:26656"
    config = {"chainName": "net-1", "gci": "0" * 64, "peers": [peer], "rpcAddrs": ["somewhere:1"]}
    (origin / "network-config").write_text(json.dumps(config))
    run = (*SIM, "--profile", "testnet", "--testnet-origin", str(origin), "--stages", "1")
    for chain_id, why in (
        ("net-2", "is the genesis of chain 'net-2', but"),
        ("net-1", "is not the genesis that the network's configuration announces"),
    ):
        genesis = {"genesis_time": 1.0, "chain_id": chain_id}
        (origin / "genesis.json").write_text(json.dumps(genesis))
        ended, records = desk.do(*run)
        assert ended.exit_code == 2, ended.stderr
        assert why in ended.stderr.replace("\n", " ")
        assert not records.folder.exists(), "of such a run there is nothing to keep"


def test_a_network_of_docker_that_is_not_there_is_told(desk: Desk) -> None:
    ended, _ = desk.do(*SIM, "--stages", "1", "--network", "loadgenctl-no-such-network")
    assert ended.exit_code == 2, ended.stderr
    assert "there is no Docker network loadgenctl-no-such-network" in ended.stderr
    assert "docker network create" in ended.stderr

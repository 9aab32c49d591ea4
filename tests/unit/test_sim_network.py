"""A simulated node that follows a simulated network, as real processes on free ports."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from images.sim.simsdk.web import Client
from tests.unit.test_sim_processes import Program, World, free_port
from tests.waiting import eventually

from loadgenctl.networks.publish import node_id
from loadgenctl.plainfile import RolePath


class Follower:
    """A node and a client of the world's network, in a folder of their own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = free_port()
        self.network = f"127.0.0.1:{world.rpc_port}"
        self.home = str(world.folder / "follower")

    def init(self) -> None:
        genesis = self.world.folder / "chain" / "config" / "genesis.json"
        made = self.world.run("sim-chain", "init", "--home", self.home, "--genesis", str(genesis))
        assert made.process.returncode == 0

    def start(self) -> Program:
        return self.world.start(
            *("sim-chain", "start", "--home", self.home, "--follow", self.network),
            SIM_RPC_PORT=str(self.port),
        )

    def sync(self) -> dict[str, Any]:
        client = Client(self.port)
        try:
            found: dict[str, Any] = client.get("/status")["result"]["sync_info"]
        finally:
            client.close()
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        yield world


def test_a_follower_repeats_blocks_and_outlives_a_silent_network(world: World) -> None:
    chain = world.chain()
    eventually(lambda: world.height() > 20, "some blocks")
    follower = Follower(world)
    follower.init()
    node = follower.start()
    node.wait_for("block-manager: block 1 begin")
    eventually(lambda: follower.sync()["catching_up"] is False, "the follower has caught up")
    height = follower.sync()["latest_block_height"]
    ours = Client(follower.port)
    theirs = Client(world.rpc_port)
    try:
        assert ours.get(f"/block?height={height}") == theirs.get(f"/block?height={height}")
        refused, _ = ours.call("POST", "/broadcast_tx", {"tx": {}})
        assert refused == 400
    finally:
        ours.close()
        theirs.close()

    assert chain.end(signal.SIGINT) == 0
    node.wait_for("p2p: lost the network")
    again = world.chain("again.slog")
    node.wait_for("p2p: found the network again")
    node.wait_for("block-manager: block")
    assert again.end(signal.SIGINT) == 0
    assert node.end(signal.SIGINT) == 0


def test_the_client_of_a_network_asks_whether_it_is_known(world: World) -> None:
    world.chain()
    home, answer = str(world.folder / "client"), world.folder / "answer.json"
    assert world.run("sim-solo", "init", "--home", home).process.returncode == 0

    def ask() -> dict[str, Any]:
        asked = world.run("sim-solo", "ask", "--home", home, "--answer", str(answer))
        assert asked.process.returncode == 0
        found: dict[str, Any] = json.loads(answer.read_text())
        return found

    before = ask()
    assert before["known"] is False
    assert before["reason"] == f"the chain does not know {before['address']}"
    done = world.run("sim-solo", "provision", "--address", before["address"])
    assert done.process.returncode == 0
    assert ask() == {"address": before["address"], "known": True, "reason": None}


def test_another_chain_cannot_be_followed(world: World) -> None:
    world.chain()
    follower = Follower(world)
    follower.init()
    genesis = Path(follower.home) / "config" / "genesis.json"
    genesis.write_text(genesis.read_text().replace('"simulated"', '"other-1"'))
    node = follower.start()
    assert node.end() == 1
    assert "the network is 'simulated', not 'other-1'" in node.seen[-1]


def test_a_block_that_comes_out_otherwise_is_a_consensus_failure(world: World) -> None:
    world.chain()
    follower = Follower(world)
    follower.init()
    eventually(lambda: world.height() > 3, "some blocks")
    node = follower.start()
    node.wait_for("block-manager: block 3 commit")
    assert node.end(signal.SIGINT) == 0
    log = Path(follower.home) / "data" / "ag-cosmos-chain-state" / "data.mdb"
    lines = log.read_text().splitlines(keepends=True)
    last = json.loads(lines[-1])
    lines[-1] = json.dumps({**last, "app_hash": "0" * 64}) + "\n"
    log.write_text("".join(lines))
    node = follower.start()
    node.wait_for("CONSENSUS FAILURE!!!")
    assert node.end(signal.SIGINT) == 0


def test_the_nodes_key_gives_the_id_that_it_tells(world: World) -> None:
    world.chain()
    key = RolePath(world.folder, PurePosixPath("chain/config/node_key.json"))
    assert world.rpc("/status")["node_info"]["id"] == node_id(key)

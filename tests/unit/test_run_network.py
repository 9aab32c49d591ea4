"""Runs on a network that others run, on fakes: catching up, provisioning, no node."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import FakeExec
from tests.unit.test_networks_document import RAW, document
from tests.unit.test_roles_without_network import WithoutNetwork, free_ports
from tests.worlds import InlineReader, World, names

from loadgenctl.errors import DeadlineExceeded, RunError, UsageError
from loadgenctl.model import NAMED, Ports, RoleSpec
from loadgenctl.networks.fetch import Limit
from loadgenctl.networks.origin import OriginReader
from loadgenctl.run.runner import execute
from loadgenctl.sdks import sim

LOADED = "--stages 1 --stage.0.loadgen.faucet.interval 5 --stage.0.duration 1"
ADDRESS = "agoric1client"


class Networked(World):
    """A world beside a network: an origin in a folder, and a network that knows clients late."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.setup = replace(self.setup, on_start=self._one_shot)
        self.chain = replace(self.chain, execs=self._status)
        self.caught_up_at = 20.0
        """Seconds until the node has caught up."""
        self.known_after = 0
        """Questions that the network answers with no."""
        self.origin = folder / "origin"
        self.origin.mkdir()
        (self.origin / "network-config").write_bytes(document())
        (self.origin / "genesis.json").write_bytes(RAW)
        self._began = self.clock.monotonic()

    def join(self, line: str) -> Any:
        return self.run(f"--profile testnet --testnet-origin {self.origin} {line}")

    def caught_up(self) -> bool:
        return self.clock.monotonic() - self._began >= self.caught_up_at

    def _status(self, argv: tuple[str, ...]) -> FakeExec:
        result = {"sync_info": {"catching_up": not self.caught_up()}}
        return FakeExec(output=json.dumps({"result": result}).encode())

    def _one_shot(self, spec: RoleSpec) -> None:
        self._setup_starts(spec)
        if "--answer" in spec.command.argv:
            known = self.known_after <= 0
            self.known_after -= 1
            answer = {"address": ADDRESS, "known": known, "reason": None if known else "unknown"}
            out = next(mount.source for mount in spec.mounts if mount.target == "/out")
            (Path(out) / "client.json").write_text(json.dumps(answer))


@pytest.fixture
def world(tmp_path: Path) -> Networked:
    return Networked(tmp_path)


def test_a_node_catches_up_before_anything_counts(world: Networked) -> None:
    ending = world.join(LOADED)
    assert ending.error is None
    rows = world.rows("perf.jsonl")
    types = names(rows)
    assert types.index("perf-chain-caught-up") == types.index("perf-chain-ready") - 1
    told = next(row for row in rows if row["type"] == "perf-chain-caught-up")
    assert told["blocks"] == told["block"] >= 15
    assert told["blocksPerSecond"] == pytest.approx(
        told["blocks"] / told["blocksDuration"], abs=1e-5
    )
    assert 0 < told["blocksDuration"] < told["duration"]
    blocks = world.rows("blocks.jsonl")
    assert not any(row["liveMode"] for row in blocks if row["blockHeight"] < told["block"])
    assert all(row["liveMode"] for row in blocks if row["blockHeight"] > told["block"] + 1)
    setup = next(row for row in rows if row["type"] == "perf-setup-tasks-start")
    assert (setup["withMonitor"], setup["testnetOrigin"]) == (True, str(world.origin))
    assert (ending.folder / "network-config").read_bytes() == document()
    run = json.loads((ending.folder / "run.json").read_text())
    assert run["network"]["chain_id"] == "net-1"


def test_a_node_that_catches_up_for_long_is_asked_ever_more_seldom(world: Networked) -> None:
    """Each question is a program in the chain's container, whose work is measured."""
    asked = []
    status = world.chain.execs

    def answer(argv: tuple[str, ...]) -> FakeExec:
        asked.append(world.clock.monotonic())
        return status(argv)

    world.chain = replace(world.chain, execs=answer)
    world.caught_up_at = 600.0
    assert world.join(LOADED + " --stage.0.duration 12").error is None
    pauses = [later - earlier for earlier, later in pairwise(asked[1:])]
    assert pauses[0] < 1.5
    assert max(pauses) < 11
    assert len(asked) < 130


def test_a_node_that_does_not_answer_holds_up_nothing_else(world: Networked) -> None:
    """Its blocks are followed all the while, and that they end is noticed in time."""

    class Silent(InlineReader):
        def ask(self) -> None:
            """The question never comes back."""

    world.caught_up_at, world.last_block = 1e9, 40
    services = replace(world.services(), make_reader=Silent)
    line = f"--profile testnet --testnet-origin {world.origin} {LOADED} --timeout.block 30"
    ending = execute(world.plan(line), services)
    assert isinstance(ending.error, RunError)
    assert "gave no block for 30 s after block 40" in ending.error.message
    assert len(world.rows("blocks.jsonl")) == 40


def test_roles_of_a_network_have_a_way_out_and_publish_nothing(world: Networked) -> None:
    world.join(LOADED)
    holder = world.engine.latest("holder").spec
    assert (holder.network, holder.publish) == ("own", {})
    assert world.engine.made("relay") == []
    assert "--follow" in world.engine.latest("chain").spec.command.argv


def test_a_network_that_gives_no_more_blocks_is_named(world: Networked) -> None:
    world.caught_up_at, world.last_block = 1e9, 7
    ending = world.join(LOADED + " --timeout.block 30")
    assert isinstance(ending.error, RunError)
    assert ending.error.message.startswith("the network net-1 gave no block for 30 s after block 7")
    assert (ending.exit_code, world.status()["role"]) == (4, "network")


def test_a_consensus_failure_is_named_also_under_load(world: Networked) -> None:
    failure = (40.0, 'CONSENSUS FAILURE!!! err="app hash" module=consensus')
    world.chain = replace(world.chain, lines=(*world.chain.lines, failure))
    ending = world.join(LOADED)
    assert isinstance(ending.error, RunError)
    assert "consensus failure" in ending.error.message
    assert world.status()["role"] == "chain"


def test_a_person_is_asked_to_have_the_client_provisioned(world: Networked) -> None:
    world.known_after = 3
    ending = world.join(LOADED)
    assert ending.error is None
    (asked,) = [text for text in world.progress.warnings if "provision" in text]
    assert ADDRESS in asked
    assert "within 600 s" in asked


def test_a_client_that_stays_unknown_has_a_deadline(world: Networked) -> None:
    world.known_after = 1000
    ending = world.join(LOADED + " --timeout.provision 30")
    assert isinstance(ending.error, DeadlineExceeded)
    assert ADDRESS in ending.error.message
    assert (ending.error.role, ending.error.step) == ("solo", "provision")
    assert world.engine.leftovers() == []


def test_a_command_provisions_and_its_failure_is_told(world: Networked, tmp_path: Path) -> None:
    script, told = tmp_path / "hook.sh", tmp_path / "told"
    script.write_text(f"echo $LOADGENCTL_ADDRESS $LOADGENCTL_CHAIN_ID > {told}\n")
    world.known_after = 1
    script.chmod(0o755)
    ending = world.join(f"{LOADED} --provision-command {script}")
    assert ending.error is None
    assert told.read_text().split() == [ADDRESS, "net-1"]
    plan = json.loads((ending.folder / "run.json").read_text())["plan"]
    assert plan["provision_command"] == "given"


def test_a_command_that_fails_ends_the_run(world: Networked) -> None:
    world.known_after = 1
    ending = world.join(f"{LOADED} --provision-command false")
    assert ending.error is not None
    assert "--provision-command failed with exit code 1" in ending.error.message


def test_a_command_that_takes_too_long_is_ended_and_told(world: Networked, tmp_path: Path) -> None:
    script = tmp_path / "hook.sh"
    script.write_text("exec sleep 600\n")
    script.chmod(0o755)
    world.known_after = 1
    ending = world.join(f"{LOADED} --timeout.provision 1 --provision-command {script}")
    assert isinstance(ending.error, DeadlineExceeded)
    assert (ending.error.role, ending.error.step) == ("solo", "provision")
    assert "--provision-command did not end within 1 s" in ending.error.message


def test_without_a_node_nothing_of_a_chain_runs(world: Networked) -> None:
    ending = world.join(f"--no-monitor {LOADED}")
    assert ending.error is None
    assert world.engine.made("chain") == []
    assert not (ending.folder / "blocks.jsonl").exists()
    assert world.rows("cycles.jsonl")
    types = names(world.rows("perf.jsonl"))
    assert "perf-chain-ready" not in types
    assert "perf-client-ready" in types


def test_a_wrong_genesis_is_refused_before_anything_is_made(world: Networked) -> None:
    (world.origin / "genesis.json").write_bytes(RAW.replace(b"net-1", b"net-2"))
    with pytest.raises(UsageError, match="net-2"):
        world.join(LOADED)
    assert world.engine.containers == []
    assert not (world.folder / "out").exists()


def test_a_network_that_does_not_answer_fails_a_run_that_tells_of_it(world: Networked) -> None:
    def silent(url: str, limit: Limit, *, private: bool = False) -> bytes:
        raise RunError(f"{url} does not answer", role="network", step="origin")

    origin = "https://net.example"
    services = replace(world.services(), origins=OriginReader(silent))
    plan = world.plan(f"--profile testnet --testnet-origin {origin} {LOADED}")
    ending = execute(plan, services)
    assert ending.exit_code == 4
    status = world.status()
    assert (status["outcome"], status["role"]) == ("failed", "network")
    assert world.engine.containers == []
    run = json.loads((ending.folder / "run.json").read_text())
    assert run["plan"]["origin"] == origin
    assert run["network"] is None


def test_a_node_without_containers_follows_a_network_too(world: Networked) -> None:
    world.make_engine = WithoutNetwork
    line = f"--engine local --profile testnet --testnet-origin {world.origin} --chain-only"
    asked = dict(zip(("chain", "solo", "loadgen"), free_ports(3), strict=True))
    plan = replace(world.plan(f"{line} --stages 1 --stage.0.duration 1"), ports=Ports(**asked))
    ending = execute(plan, replace(world.services(), make_image=None))
    assert ending.error is None, ending.error
    assert "perf-chain-caught-up" in names(world.rows("perf.jsonl"))


def test_what_a_revision_does_not_have_is_refused(world: Networked) -> None:
    with pytest.raises(UsageError, match="--use-state-sync is not supported"):
        world.join(LOADED + " --use-state-sync")
    with pytest.raises(UsageError, match="--trace xsnap is not supported"):
        world.run("--stages 1 --trace xsnap")


def test_on_a_docker_network_the_chain_is_reached_and_nothing_is_published(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    chain = tmp_path / "out" / "state" / "project" / "chain" / "config"

    def made(spec: RoleSpec) -> None:
        world._setup_starts(spec)
        chain.mkdir(exist_ok=True)
        (chain / "genesis.json").write_bytes(RAW)
        key = {"priv_key": {"value": "c2Vj" * 21 + "cg=="}}
        (chain / "node_key.json").write_text(json.dumps(key))

    world.setup = replace(world.setup, on_start=made)
    ending = world.run("--stages 1 --network net")
    assert ending.error is None, ending.error
    holder = world.engine.latest("holder").spec
    assert (holder.network, holder.publish) == (f"{NAMED}net", {})
    assert "any:36657=26657" in world.engine.latest("relay").spec.command.argv
    assert "18000=8000" not in world.engine.latest("relay").spec.command.argv
    config = json.loads((ending.folder / "origin" / "network-config").read_text())
    assert config["rpcAddrs"] == [f"{holder.name}:36657"]
    assert (ending.folder / "origin" / "genesis.json").read_bytes() == RAW


class Capable(sim.SimSdk):
    """The simulated SDK, as if it had all that newer revisions have."""

    def lacks(self, feature: str) -> str | None:
        return None


def test_a_shared_chain_with_snapshots_names_a_block_to_begin_at(tmp_path: Path) -> None:
    world = World(tmp_path)
    block_hash = "AB" * 32

    def made(spec: RoleSpec) -> None:
        world._setup_starts(spec)
        chain = tmp_path / "out" / "state" / "project" / "chain" / "config"
        (chain / "genesis.json").write_bytes(RAW)
        key = {"priv_key": {"value": "c2Vj" * 21 + "cg=="}}
        (chain / "node_key.json").write_text(json.dumps(key))

    def status(argv: tuple[str, ...]) -> FakeExec:
        sync = {"latest_block_height": str(world.height), "latest_block_hash": block_hash}
        return FakeExec(output=json.dumps({"result": {"sync_info": sync}}).encode())

    world.setup = replace(world.setup, on_start=made)
    world.chain = replace(world.chain, execs=status)

    def run(line: str) -> dict[str, Any]:
        services = replace(world.services(), factory=lambda _, tree: Capable("test"))
        assert execute(world.plan(line), services).error is None
        found: dict[str, Any] = json.loads(
            (tmp_path / "out" / "origin" / "network-config").read_text()
        )
        shutil.rmtree(tmp_path / "out")
        return found

    world.progress.notes.clear()
    with_snapshots = run("--stages 1 --network net --chain.snapshot-interval 5")
    assert with_snapshots["trustedBlockInfo"]["hash"] == block_hash
    assert int(with_snapshots["trustedBlockInfo"]["height"]) > 0
    assert "trustedBlockInfo" not in run("--stages 1 --network net"), "there are no snapshots"
    told = [note for note in world.progress.notes if note.startswith("others follow")]
    assert [note.rpartition("--network net ")[2] for note in told] == [
        "--use-state-sync",
        "--custom-bootstrap",
    ]


def test_acceptance_tests_are_told_ready_and_end_the_run(world: Networked) -> None:
    """As z:acceptance does it: `ready` while the node is to restart once more, then `stop`."""
    messages = world.folder / "messages"
    messages.write_bytes(b'{"chainName": "net-1"}')
    told: list[tuple[float, bytes]] = []

    def tests() -> None:
        content = messages.read_bytes()
        if not told or told[-1][1] != content:
            told.append((world.clock.monotonic(), content))
        if content == b"ready" and world.clock.monotonic() - told[-1][0] > 60:
            messages.write_bytes(b"stop")
        world.clock.after(1.0, tests)

    inode = messages.stat().st_ino
    world.clock.after(1.0, tests)
    ending = world.join(f"--chain-only --stages 3 --acceptance-integration-message-file {messages}")
    assert ending.error is None, ending.error
    assert [content for _, content in told][1:] == [b"ready", b"stop"]
    assert messages.stat().st_ino == inode, "it is mounted: another file would not be seen"
    stages = [row for row in world.rows("perf.jsonl") if row["type"] == "perf-chain-ready"]
    assert [row["stage"] for row in stages] == [0, 1, 2]


def test_a_stop_that_comes_early_is_heeded_and_a_single_stage_does_both(world: Networked) -> None:
    messages = world.folder / "messages"
    option = f"--chain-only --acceptance-integration-message-file {messages}"
    seen: list[bytes] = []

    def tests() -> None:
        if messages.exists() and messages.read_bytes() == b"ready":
            seen.append(b"ready")
            messages.write_bytes(b"stop\n")
        world.clock.after(0.5, tests)

    world.clock.after(0.5, tests)
    assert world.join(f"{option} --stages 1").error is None
    shutil.rmtree(world.folder / "out")
    # Written long before the last of two stages begins.
    assert world.join(f"{option} --stages 2").error is None
    assert seen == [b"ready", b"ready"]


def test_messages_that_cannot_be_exchanged_are_refused_or_told(world: Networked) -> None:
    option = "--chain-only --stages 1 --acceptance-integration-message-file"
    with pytest.raises(UsageError, match="there is no folder"):
        world.join(f"{option} {world.folder}/nowhere/messages")
    ending = world.join(f"{option} {world.folder}")
    assert ending.error is not None
    assert ending.exit_code in {2, 4}
    assert str(world.folder) in str(ending.error)

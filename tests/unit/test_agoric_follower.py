"""What the Agoric SDK's recipes and set-up scripts make of networks, traces and bootstrap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.test_sdks_agoric import ERAS, make, of_era

from loadgenctl import resources
from loadgenctl.model import ChainNetwork, TrustPoint
from loadgenctl.sdks import eras
from loadgenctl.sdks.base import RoleContext

NODE = "a" * 40
NETWORK = ChainNetwork(
    chain_id="net-1",
    identity="0" * 64,
    peers=(f"{NODE}@one:26656", f"{NODE}@two:26656"),
    seeds=(),
    rpc=("one:26657",),
)
CONFIG = """\
# a comment
moniker = "x"
[p2p]
seeds = ""
persistent_peers = "old"
addr_book_strict = true
[statesync] # starts from a snapshot
enable = false
rpc_servers = ""
trust_height = 0
trust_hash = ""
[fastsync]
version = "v0"
"""


@pytest.fixture
def script() -> Iterator[Any]:
    folder = str(resources.images("loadgen", "agoric") / "setup")
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module("init_follower")
    finally:
        sys.path.remove(folder)


def arguments(script: Any, monkey: list[str]) -> Any:
    before, sys.argv = sys.argv, ["init_follower.py", *monkey]
    try:
        return script.parse()
    finally:
        sys.argv = before


def options(network: ChainNetwork) -> list[str]:
    (command,) = make().chain(RoleContext(stage=0, network=network)).prepare
    return list(command.argv[2:])


def test_a_follower_gets_the_networks_peers_and_nothing_else(script: Any) -> None:
    args = arguments(script, options(NETWORK))
    patched = script.patched(CONFIG, script.wanted(args))
    assert f'persistent_peers = "{NODE}@one:26656,{NODE}@two:26656"\n' in patched
    assert "addr_book_strict = false\n" in patched
    assert "enable = false\n" in patched
    assert patched.startswith('# a comment\nmoniker = "x"\n[p2p]\n')
    assert patched.endswith('[fastsync]\nversion = "v0"\n')


def test_state_sync_has_two_servers_and_a_block_to_trust(script: Any) -> None:
    trusting = ChainNetwork(
        "net-1", "0" * 64, NETWORK.peers, (), NETWORK.rpc, TrustPoint(3000, "AB" * 32)
    )
    args = arguments(script, options(trusting))
    patched = script.patched(CONFIG, script.wanted(args))
    assert "enable = true\n" in patched
    assert 'rpc_servers = "http://one:26657,http://one:26657"\n' in patched
    assert "trust_height = 3000\n" in patched
    assert f'trust_hash = "{"AB" * 32}"\n' in patched


def test_a_configuration_of_another_shape_is_refused(script: Any) -> None:
    with pytest.raises(Exception, match=r"has no seeds in \[p2p\]"):
        script.patched("[rpc]\n", {("p2p", "seeds"): '""'})
    with pytest.raises(Exception, match="not a valid value"):
        script.quoted('x"\ny')


def test_nodes_that_are_to_agree_go_without_debug() -> None:
    alone = make().chain(RoleContext(stage=0)).command.env
    assert "DEBUG" in alone
    for context in (RoleContext(stage=0, network=NETWORK), RoleContext(stage=0, shared=True)):
        assert "DEBUG" not in make().chain(context).command.env


def test_a_node_that_replays_a_network_bootstraps_as_it_did() -> None:
    variable = "CHAIN_BOOTSTRAP_VAT_CONFIG"
    family = of_era(next(era.name for era in ERAS if variable in era.chain_env))
    local = family.chain(RoleContext(stage=0)).command.env.get(variable)
    follower = RoleContext(stage=0, network=NETWORK)
    assert local is not None
    assert variable not in family.chain(follower).command.env
    as_local = family.chain(replace(follower, sdk_bootstrap=True)).command.env
    assert as_local[variable] == local
    by_file = family.chain(replace(follower, bootstrap="/out/tools/bootstrap.json")).command.env
    # From where the SDK finds the packages that it names, made before the chain is.
    assert by_file[variable] == "/state/project/bootstrap/bootstrap.json"
    for network in (None, NETWORK):
        context = RoleContext(stage=0, network=network, bootstrap="/out/tools/bootstrap.json")
        placing, _ = family.chain(context).prepare
        assert placing.argv[1].endswith("/place_bootstrap.py")
        assert placing.argv[-4:] == ("--src", "/src", "--config", "/out/tools/bootstrap.json")


def test_a_chain_makes_snapshots_where_it_is_asked_to() -> None:
    plain = make().chain(RoleContext(stage=0)).command.argv
    snapshots = make().chain(RoleContext(stage=0, snapshot_interval=20)).command.argv
    assert set(snapshots) - set(plain) == {
        "--state-sync.snapshot-interval=20",
        "--state-sync.snapshot-keep-recent=2",
    }


def test_the_client_of_a_network_is_asked_for_and_provisioned_by_others() -> None:
    solo = make().solo(RoleContext(stage=0, network=NETWORK))
    assert solo.provision == ()
    assert solo.ask is not None
    assert "net-1" in solo.ask.argv
    (prepare,) = solo.prepare
    assert prepare.argv[prepare.argv.index("--rpc") + 1] == "one:26657"
    assert make().solo(RoleContext(stage=0)).ask is None


def test_traces_go_where_the_run_finds_them() -> None:
    context = RoleContext(stage=2, traces=("xsnap", "kvstore", "swingstore"), bootstrap="/b.json")
    chain, solo = make().chain(context), make().solo(context)
    assert chain.command.env["XSNAP_TEST_RECORD"] == "/out/chain-stage-2-xsnap-trace"
    assert chain.command.env["SWING_STORE_TRACE"] == "/out/chain-stage-2-swingstore-trace"
    assert chain.command.env["XSNAP_KEEP_SNAPSHOTS"] == "1"
    assert chain.command.env["CHAIN_BOOTSTRAP_VAT_CONFIG"] != "/b.json"
    assert chain.command.argv[-3] == "--trace-store=/out/chain-stage-2-kvstore-trace"
    assert set(chain.traces) == {"xsnap", "kvstore", "swingstore"}
    assert set(solo.traces) == {"xsnap", "swingstore"}
    assert solo.command.env["XSNAP_TEST_RECORD"] == "/out/client-stage-2-xsnap-trace"


@pytest.mark.parametrize(
    ("traces", "of_go", "of_kernel"),
    [
        (("kvstore", "swingstore"), "kvstore", "swingstore"),
        (("kvstore",), "kvstore", None),
        (("swingstore",), None, "swingstore"),
        ((), None, None),
    ],
)
def test_no_two_parts_of_the_chain_write_one_trace(
    traces: tuple[str, ...], of_go: str | None, of_kernel: str | None
) -> None:
    """As both read the command line since January 2023: Go up to `--`, the kernel to the end."""
    context = RoleContext(stage=0, traces=traces, snapshot_interval=5)
    command = make().chain(context).command
    option = "--trace-store="
    for_go = command.argv[: command.argv.index("--")] if "--" in command.argv else command.argv
    go = [word.removeprefix(option) for word in for_go if word.startswith(option)]
    kernel = [word.removeprefix(option) for word in command.argv if word.startswith(option)]
    paths = {name: f"/out/chain-stage-0-{name}-trace" for name in ("kvstore", "swingstore")}
    assert go == ([paths[of_go]] if of_go else [])
    last = kernel[-1] if kernel else command.env.get("SWING_STORE_TRACE")
    assert last == (paths[of_kernel] if of_kernel else "0" if kernel else None)
    assert "--state-sync.snapshot-interval=5" in for_go


def test_older_revisions_lack_what_came_later() -> None:
    features = eras.load(resources.images("sdk", "eras.toml")).features
    assert {feature.name for feature in features} == {
        "xsnap",
        "swingstore",
        "bootstrap",
        "state-sync",
        "compute-limit",
        "wallet",
    }
    assert all(len(feature.since) == 40 for feature in features)

    class Old:
        def __init__(self, *known: str) -> None:
            self.known = known

        def read(self, path: str) -> bytes | None:
            return None

        def contains(self, commit: str) -> bool | None:
            return commit in self.known if self.known else None

    assert eras.lacking(features, Old()) == {}
    lacking = eras.lacking(features, Old(features[0].since))
    later = {"swingstore", "bootstrap", "state-sync", "compute-limit", "wallet"}
    assert set(lacking) == later
    assert "July 2023 (4c2bec7dc7)" in lacking["wallet"]
    assert "November 2021 (58218de58b)" in lacking["compute-limit"]
    assert "April 2022 (63a209c8c7)" in lacking["swingstore"]


def test_a_damaged_table_is_told(tmp_path: Path) -> None:
    table = tmp_path / "eras.toml"
    table.write_text("[[feature]]\nname = 1\n")
    with pytest.raises(Exception, match="cannot read the table"):
        eras.load(table)

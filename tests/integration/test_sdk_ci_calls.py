"""The calls of the SDK's own CI, on a network of this machine that the simulated SDK plays.

The simulated SDK has no state-sync: the calls go without --use-state-sync.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.loadgenctl_process import Loadgenctl, Records
from tests.integration.test_local_run import Bench

from loadgenctl import resources

NODE = "a" * 40


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with _bench(tmp_path / "ours") as made:
        yield made


@contextmanager
def _bench(folder: Path) -> Iterator[Bench]:
    folder.mkdir()
    made = Bench(folder)
    yield made
    for item in made.engine.leftovers():
        made.engine.remove_leftover(item)
    made.engine.close()


@pytest.fixture
def validator(tmp_path: Path) -> Iterator[tuple[Bench, Loadgenctl, Records]]:
    """A chain that makes blocks, by another command with another cache and other ports."""
    with _bench(tmp_path / "theirs") as others:
        command, records = others.run("--stages", "1", "--chain-only", "--stage.0.duration", "30")
        with command:
            command.until(lambda: len(records.rows("blocks.jsonl")) > 5, "it makes blocks")
            yield others, command, records


def rpc_of(bench: Bench) -> str:
    return f"127.0.0.1:{bench.ports['chain']}"


def describe(bench: Bench, records: Records, folder: Path) -> None:
    """What `ag-setup-cosmos show-config` and integration-test.sh leave in the results folder."""
    (genesis,) = records.folder.rglob("genesis.json")
    document = json.loads(genesis.read_bytes())
    sorted_json = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    config = {
        "chainName": document["chain_id"],
        "gci": hashlib.sha256(sorted_json).hexdigest(),
        "peers": [f"{NODE}@127.0.0.1:26656"],
        "rpcAddrs": [rpc_of(bench)],
        "seeds": [""],
    }
    folder.mkdir()
    (folder / "genesis.json").write_bytes(genesis.read_bytes())
    (folder / "network-config").write_text(json.dumps(config, indent=2))
    (folder / "contextual_slogs.json").touch()


def test_the_deployment_tests_call_passes_and_leaves_what_its_script_reads(
    bench: Bench, validator: tuple[Bench, Loadgenctl, Records]
) -> None:
    others, chain, theirs = validator
    results = bench.folder / "results"
    describe(others, theirs, results)
    solo = resources.images("sim") / "bin" / "sim-solo"
    faucet = (
        f"SIM_NETWORK={rpc_of(others)} {sys.executable} {solo} provision"
        ' --address "$LOADGENCTL_ADDRESS"'
    )
    call = (
        *("--custom-bootstrap", "--no-reset", "--no-stage.save-storage"),
        *("--profile", "testnet", "--stages", "3", "--stage.duration", "0.2"),
        *("--stage.loadgen.cycles", "4", "--stage.loadgen.faucet.interval", "1"),
        *("--stage.loadgen.faucet.limit", "4", "--testnet-origin", f"file://{results}"),
    )
    command, _ = bench.run(*call, "--provision-command", faucet, "--output-dir", str(results))
    with command:
        ended = command.end(timeout=180)
    assert ended.exit_code == 0, ended.stderr
    ours = Records(results)
    assert [row["success"] for row in ours.rows("cycles.jsonl")].count(True) >= 4
    assert "caught-up" in " ".join(ours.perf(0))
    assert not list(results.glob("*storage*"))
    bench.assert_nothing_left()
    # What scripts/process-integration-results.sh compares: the same blocks, in the same order.
    chain.signal(signal.SIGINT)
    chain.end()
    validators = theirs.slog("chain-stage-0.slog.gz")
    followers = ours.slog("chain-stage-0.slog.gz")
    assert blocks(followers) == blocks(validators)[: len(blocks(followers))]
    assert len(blocks(followers)) > 5


def blocks(slog: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [
        (line["blockHeight"], line["blockTime"])
        for line in slog
        if line["type"] == "cosmic-swingset-end-block-finish"
    ]


def test_the_acceptance_tests_call_says_ready_and_ends_at_stop(
    bench: Bench, validator: tuple[Bench, Loadgenctl, Records]
) -> None:
    others, _, _ = validator
    network, messages = bench.folder / "network-config-1", bench.folder / "messages"
    network.mkdir()
    # As its setup-test.sh writes it: the genesis by the node's RPC, without a scheme.
    config = {
        "chainName": "simulated",
        "rpcAddrs": [rpc_of(others)],
        "gci": f"{rpc_of(others)}/genesis",
        "peers": [f"{NODE}@127.0.0.1:26656"],
        "seeds": [],
        "trustedBlockInfo": {"height": "3", "hash": "ab" * 32},
    }
    (network / "network-config").write_text(json.dumps(config))
    messages.write_text(json.dumps(config))
    inode = messages.stat().st_ino
    call = (
        *("--acceptance-integration-message-file", str(messages), "--chain-only"),
        *("--custom-bootstrap", "--no-stage.save-storage", "--profile", "testnet"),
        *("--stages", "3", "--testnet-origin", f"file://{network}"),
    )
    command, records = bench.run(*call)
    with command:
        command.until(lambda: messages.read_text() == "ready", "it says ready")
        assert "chain-ready" in records.perf(1)
        command.until(lambda: "stage-ready" in records.perf(2), "the last stage waits")
        assert messages.stat().st_ino == inode
        with messages.open("w") as stream:
            stream.write("stop")
        ended = command.end()
    assert ended.exit_code == 0, ended.stderr
    assert records.status["outcome"] == "passed"
    assert os.fspath(messages) in json.dumps(records.document("run.json")["plan"])

"""A network's two documents: what is taken, and what is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.model import TrustPoint
from loadgenctl.networks.description import (
    canonical,
    network,
    parse_config,
    parse_genesis,
    require_reachable,
)
from loadgenctl.urls import rpc_url

NODE = "0123456789abcdef0123456789abcdef01234567"
GENESIS: dict[str, Any] = {"genesis_time": "2021-06-01T00:00:00Z", "chain_id": "net-1", "x": [1]}
RAW = json.dumps(GENESIS, indent=1).encode()
HASH = hashlib.sha256(RAW).hexdigest()


def document(**changes: Any) -> bytes:
    values: dict[str, Any] = {
        "chainName": "net-1",
        "gci": HASH,
        "peers": [f"{NODE}@peer.example.org:26656"],
        "seeds": [f"{NODE}@10.0.0.1:26656"],
        "rpcAddrs": ["rpc.example.org:26657", "https://rpc.example.org:443"],
    }
    return json.dumps({**values, **changes}).encode()


def test_a_configuration_is_read() -> None:
    config = parse_config(document(apiAddrs=["ignored"]), "it")
    assert config.chain_id == "net-1"
    assert config.gci == HASH
    assert config.peers == (f"{NODE}@peer.example.org:26656",)
    assert config.rpc == ("rpc.example.org:26657", "https://rpc.example.org:443")
    assert not config.gci_is_url
    assert parse_config(document(gci="https://x.example.org/genesis"), "it").gci_is_url
    empty = parse_config(document(peers=None, seeds=[], gci=""), "it")
    assert (empty.peers, empty.seeds, empty.gci) == ((), (), "")


def test_a_configuration_is_read_as_the_sdks_own_tests_write_it() -> None:
    of_setup = parse_config(document(seeds=[""], peers=[""]), "it")
    assert (of_setup.seeds, of_setup.peers) == ((), ())
    info = {"height": "41", "hash": "ab" * 32}
    of_acceptance = parse_config(
        document(gci="172.17.0.2:26657/genesis", trustedBlockInfo=info), "it"
    )
    assert of_acceptance.gci == "http://172.17.0.2:26657/genesis"
    assert of_acceptance.gci_is_url
    assert of_acceptance.trust == TrustPoint(41, "AB" * 32)
    assert parse_config(document(), "it").trust is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<html>", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"", "not JSON: 'Expecting value: line 1 column 1"),
        (b'{"chainName": NaN}', "not JSON: it has the number 'NaN'"),
        (b'{"chainName": 1e400}', "not JSON: it has the number '1e400'"),
        (b'{"chainName": "\\ud800"}', "chainName is .*ud800.*, which is not a chain's name"),
        (document(chainName=None), "chainName must be text, not null"),
        (document(chainName='net"\n[p2p]'), "chainName is .* not a chain's name"),
        (document(chainName="--home=/"), "chainName is .* not a chain's name"),
        (document(gci="abc"), "not a hash or a URL"),
        (document(gci=7), "gci must be text, not a whole number"),
        (document(peers="peer"), "peers must be an array of strings"),
        (document(peers=[f"{NODE}@host:1"] * 500), "peers has more than 200 addresses"),
        (document(peers=["host:26656"]), r"\[\d+\] is .*, which is not .*HOST"),
        (document(peers=[f"{NODE}@host:99999"]), r"\[\d+\] is .*, which is not .*HOST"),
        (document(peers=[f'{NODE}@host:1",x="']), r"\[\d+\] is .*, which is not .*HOST"),
        (document(seeds=[f"{NODE.upper()}@host:1"]), r"\[\d+\] is .*, which is not .*HOST"),
        (document(rpcAddrs=["host:1\n"]), r"\[\d+\] is .*, which is not .*HOST"),
        (document(rpcAddrs=["ssh://host:1"]), r"\[\d+\] is .*, which is not .*HOST"),
        (document(rpcAddrs=["http://user:pw@host:1"]), r"\[\d+\] is .*, which is not .*HOST"),
        (document(rpcAddrs=["--node"]), r"\[\d+\] is .*, which is not .*HOST"),
        (document(seeds=["", ""]), r"\[\d+\] is .*, which is not .*HOST"),
        (document(gci="172.17.0.2:26657/gen\nesis"), "not a hash or a URL"),
        (document(trustedBlockInfo=[]), "trustedBlockInfo must be a table, not an array"),
        (document(trustedBlockInfo={}), "trustedBlockInfo.height is missing"),
        (document(trustedBlockInfo={"height": 0, "hash": "ab" * 32}), "not the height"),
        (
            document(trustedBlockInfo={"height": True, "hash": "ab" * 32}),
            "trustedBlockInfo.height must be a whole number or text, not true or false",
        ),
        (document(trustedBlockInfo={"height": "1", "hash": "ab"}), "not the height"),
        (document(trustedBlockInfo={"height": "1\n", "hash": "ab" * 32}), "not the height"),
    ],
)
def test_what_does_not_look_like_one_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_config(data, "it")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_json_in_any_unicode_encoding_is_read(encoding: str) -> None:
    data = document().decode().encode(encoding)
    assert parse_config(data, "it") == parse_config(document(), "it")


def test_a_genesis_goes_on_as_it_came() -> None:
    genesis = parse_genesis(RAW, "it", parse_config(document(), "it"))
    assert genesis.data == RAW
    assert genesis.identity == HASH


def test_the_hash_may_be_that_of_the_content() -> None:
    announced = hashlib.sha256(canonical(GENESIS)).hexdigest()
    genesis = parse_genesis(RAW, "it", parse_config(document(gci=announced), "it"))
    assert genesis.identity == announced


def test_an_answer_of_a_nodes_rpc_is_unwrapped() -> None:
    config = parse_config(document(gci="https://rpc.example.org/genesis"), "it")
    result = {"genesis": GENESIS}
    answer = json.dumps({"jsonrpc": "2.0", "id": -1, "result": result}).encode()
    genesis = parse_genesis(answer, "it", config)
    assert json.loads(genesis.data) == GENESIS
    assert genesis.identity == hashlib.sha256(canonical(result)).hexdigest()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (json.dumps({**GENESIS, "chain_id": "net-2"}).encode(), "genesis of chain 'net-2', but"),
        (json.dumps({**GENESIS, "x": [2]}).encode(), "not the genesis that"),
        (b'{"chain_id": "net-1"}', "not a genesis"),
        (b'{"jsonrpc": "2.0", "result": {"genesis": null}}', "not a genesis"),
        (b'{"jsonrpc": "2.0", "error": {}}', "not a genesis"),
        (b"", "not JSON"),
    ],
)
def test_another_genesis_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_genesis(data, "it", parse_config(document(), "it"))


def found(**changes: Any) -> Any:
    config = parse_config(document(**changes), "it")
    return network(config, parse_genesis(RAW, "it", config))


def test_a_network_that_cannot_be_reached_is_refused() -> None:
    require_reachable(found(), monitor=True, contained=True)
    nobody = found(peers=[], seeds=[])
    require_reachable(nobody, monitor=False, contained=True)
    with pytest.raises(UsageError, match="neither peers nor seeds"):
        require_reachable(nobody, monitor=True, contained=True)
    with pytest.raises(UsageError, match="no RPC servers"):
        require_reachable(found(rpcAddrs=[]), monitor=True, contained=False)
    here = found(peers=[f"{NODE}@127.0.0.1:26656"], seeds=[], rpcAddrs=["localhost:26657"])
    require_reachable(here, monitor=True, contained=False)
    with pytest.raises(UsageError, match="the container itself"):
        require_reachable(here, monitor=True, contained=True)


def test_rpc_addresses_become_urls() -> None:
    assert rpc_url("host:1") == "http://host:1"
    assert rpc_url("tcp://host:1") == "http://host:1"
    assert rpc_url("https://host/rpc/") == "https://host/rpc"

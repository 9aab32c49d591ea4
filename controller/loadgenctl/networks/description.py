"""A network's two documents, checked before they are used. Pure.

`network-config` names the chain, its peers and its RPC servers; the genesis is the chain's first
state. Both come from another party: every value that is written into a configuration file or a
command line has to look like what it is meant to be.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Struct

from loadgenctl.errors import UsageError
from loadgenctl.model import ChainNetwork, TrustPoint
from loadgenctl.urls import is_loopback, peer_host, rpc_host, rpc_url
from loadgenctl.validation import Refused, checked, refusals

MAX_ADDRESSES: Final = 200
CHAIN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HEIGHT: Final = re.compile(r"[1-9]\d{0,17}", re.ASCII)
HEX_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
CONFIG: Final = "network-config"
GENESIS: Final = "genesis.json"
_INCONSISTENT: Final = "the origin is not consistent: ask the network's operator"


class _Trust(Struct):
    height: str | int
    hash: str


class _Config(Struct, rename={"rpc": "rpcAddrs", "chain_id": "chainName"}):
    """What is read of a `network-config`; other keys are ignored."""

    chain_id: str
    gci: str = ""
    peers: list[str] | None = None
    seeds: list[str] | None = None
    rpc: list[str] | None = None
    trust: _Trust | None = msgspec.field(name="trustedBlockInfo", default=None)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A checked `network-config`."""

    chain_id: str
    gci: str
    """The hash of the genesis, or a URL that answers with the genesis; empty without either."""
    peers: tuple[str, ...]
    seeds: tuple[str, ...]
    rpc: tuple[str, ...]
    trust: TrustPoint | None = None
    """The block at which state-sync begins, if the network's operator names one."""

    @property
    def gci_is_url(self) -> bool:
        """True where the genesis is not beside the configuration."""
        return "://" in self.gci


@dataclass(frozen=True, slots=True)
class Genesis:
    """A genesis as the chain's node gets it."""

    data: bytes
    chain_id: str
    identity: str
    """Identifies the chain for clients: hexadecimal SHA-256."""


def parse_config(data: bytes, where: str) -> NetworkConfig:
    """A `network-config`; messages name its origin, `where`. Raises `UsageError`."""
    with refusals(where):
        given = checked(_Config, _object(data), "")
        if not CHAIN_ID.fullmatch(given.chain_id):
            raise Refused(f"chainName is {_shown(given.chain_id)}, which is not a chain's name")
        gci = given.gci
        if "/" in gci and rpc_host(gci) is not None:
            # The SDK's own tests name a node's RPC without a scheme.
            gci = rpc_url(gci)
        if gci and "://" not in gci and not HEX_SHA256.fullmatch(gci):
            raise Refused(f"gci is {_shown(gci)}, not a hash or a URL")
        return NetworkConfig(
            chain_id=given.chain_id,
            gci=gci if "://" in gci else gci.lower(),
            peers=_addresses(given.peers, "peers"),
            seeds=_addresses(given.seeds, "seeds"),
            rpc=_addresses(given.rpc, "rpcAddrs"),
            trust=_trust(given.trust),
        )


def parse_genesis(data: bytes, where: str, config: NetworkConfig) -> Genesis:
    """A genesis that belongs to `config`: plain, or as a node's RPC answers with it.

    Raises `UsageError` for the genesis of another chain, and for one that is not announced.
    """
    with refusals(where):
        document = _object(data)
    wrapped = document.get("jsonrpc") is not None
    result = document.get("result") if wrapped else None
    inner = result.get("genesis") if isinstance(result, dict) else None
    genesis = inner if wrapped else document
    if not isinstance(genesis, dict) or "genesis_time" not in genesis:
        raise UsageError(f"{where} is not a genesis: it has no genesis_time")
    chain_id = genesis.get("chain_id")
    if chain_id != config.chain_id:
        raise UsageError(
            f"{where} is the genesis of chain {_shown(chain_id)}, but the network's configuration"
            f" is that of {config.chain_id!r}",
            hint=_INCONSISTENT,
        )
    plain = canonical(genesis) if wrapped else data
    hashes = [_sha256(plain), _sha256(canonical(genesis))]
    if config.gci and not config.gci_is_url and config.gci not in hashes:
        raise UsageError(
            f"{where} is not the genesis that the network's configuration announces: its hash is"
            f" {hashes[0]}, not {config.gci}",
            hint=_INCONSISTENT,
        )
    identity = config.gci if config.gci and not config.gci_is_url else hashes[0]
    if wrapped and config.gci_is_url:
        # As the SDK itself computes it from an RPC's answer.
        identity = _sha256(canonical(result))
    return Genesis(plain, config.chain_id, identity)


def network(config: NetworkConfig, genesis: Genesis) -> ChainNetwork:
    """What a run needs of both documents."""
    return ChainNetwork(
        chain_id=config.chain_id,
        identity=genesis.identity,
        peers=config.peers,
        seeds=config.seeds,
        rpc=config.rpc,
    )


def require_reachable(found: ChainNetwork, *, monitor: bool, contained: bool) -> None:
    """Check that the addresses to be used can be reached at all. Raises `UsageError`.

    `contained`: roles run in containers, where loopback is the pod's own.
    """
    if monitor and not found.peers and not found.seeds:
        raise UsageError(
            f"the network {found.chain_id} names neither peers nor seeds: no node can follow it",
            hint="use --no-monitor to run only the client and the load",
        )
    if not found.rpc:
        raise UsageError(
            f"the network {found.chain_id} names no RPC servers: no client can reach it"
        )
    if not contained:
        return
    used = [*(found.peers + found.seeds if monitor else ()), *found.rpc]
    lost = [address for address in used if is_loopback(_host(address))]
    if lost and len(lost) == len(used):
        raise UsageError(
            f"the network {found.chain_id} is at {lost[0]}, which inside a container is the"
            " container itself",
            hint="put both runs on one Docker network with --network, see docs/profiles.md",
        )


def canonical(value: object) -> bytes:
    """JSON with sorted keys and without spaces: the same bytes for the same content."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _host(address: str) -> str:
    return peer_host(address) or rpc_host(address) or ""


def _addresses(values: list[str] | None, key: str) -> tuple[str, ...]:
    if values is None or values == [""]:
        # `ag-setup-cosmos show-config` writes an empty list as [""].
        return ()
    if len(values) > MAX_ADDRESSES:
        raise Refused(f"{key} has more than {MAX_ADDRESSES} addresses")
    host_of, form = rpc_host, "[SCHEME://]HOST[:PORT]"
    if key != "rpcAddrs":
        host_of, form = peer_host, "NODE-ID@HOST:PORT"
    for number, value in enumerate(values):
        if host_of(value) is None:
            raise Refused(f"{key}[{number}] is {_shown(value)}, which is not {form}")
    return tuple(dict.fromkeys(value.removeprefix("tcp://") for value in values))


def _trust(given: _Trust | None) -> TrustPoint | None:
    if given is None:
        return None
    height, block = str(given.height), given.hash
    if not HEX_SHA256.fullmatch(block) or not HEIGHT.fullmatch(height):
        raise Refused(
            f"trustedBlockInfo is {_shown(height)} and {_shown(block)}, not the height and the hash"
            " of a block"
        )
    return TrustPoint(int(height), block.upper())


def _object(data: bytes) -> dict[str, Any]:
    try:
        # Not by msgspec, which refuses a byte order mark and every encoding but UTF-8.
        document = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise Refused(f"this is not JSON: {_shown(str(error))}") from error
    if not isinstance(document, dict):
        raise Refused("this is not a JSON object")
    return document


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Refused(f"this is not JSON: it has the number {_shown(text)}")
    return value


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _shown(value: object) -> str:
    return "missing" if value is None else ascii(value)[:120]

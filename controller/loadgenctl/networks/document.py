"""A network's two documents, checked before anything is made of them. Pure.

`network-config` names the chain, its peers and its RPC servers; the genesis is the chain's first
state. Both come from somebody else: every value that goes on into a configuration file or a command
line has to look like what it is meant to be.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loadgenctl.errors import UsageError
from loadgenctl.model import ChainNetwork, TrustPoint
from loadgenctl.origins import is_loopback

MAX_ADDRESSES = 200
CHAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HEIGHT = re.compile(r"[1-9]\d{0,17}", re.ASCII)
HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
PEER = re.compile(rf"(?:tcp://)?(?P<id>[0-9a-f]{{40}})@(?P<host>{_HOST}):(?P<port>\d{{1,5}})")
RPC = re.compile(
    rf"(?:(?P<scheme>https?|tcp)://)?(?P<host>{_HOST})(?::(?P<port>\d{{1,5}}))?(?P<path>/[\w./-]*)?"
)
CONFIG = "network-config"
GENESIS = "genesis.json"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A checked `network-config`."""

    chain_id: str
    gci: str
    """The genesis' hash, or a URL that answers with the genesis; empty where neither is given."""
    peers: tuple[str, ...]
    seeds: tuple[str, ...]
    rpc: tuple[str, ...]
    trust: TrustPoint | None = None
    """The block that state-sync begins at, if the operator of the network names one."""

    @property
    def gci_is_url(self) -> bool:
        """True where the genesis stands somewhere else than beside the configuration."""
        return "://" in self.gci


@dataclass(frozen=True, slots=True)
class Genesis:
    """A genesis as it goes to the chain's node."""

    data: bytes
    chain_id: str
    identity: str
    """What clients know the chain by: hexadecimal SHA-256."""


def parse_config(data: bytes, where: str) -> NetworkConfig:
    """A `network-config`; `where` it came from is told. Raises `UsageError`."""
    document = _object(data, where)
    chain_id = document.get("chainName")
    if not isinstance(chain_id, str) or not CHAIN_ID.fullmatch(chain_id):
        raise UsageError(f"{where} names no chain: its chainName is {_shown(chain_id)}")
    gci = document.get("gci", "")
    if isinstance(gci, str) and "/" in gci and RPC.fullmatch(gci):
        # The SDK's own tests name a node's RPC without a scheme.
        gci = rpc_url(gci)
    if not isinstance(gci, str):
        raise UsageError(f"{where}: gci is {_shown(gci)}, not a hash or a URL")
    if gci and "://" not in gci and not HEX_SHA256.fullmatch(gci):
        raise UsageError(f"{where}: gci is {_shown(gci)}, not a hash or a URL")
    return NetworkConfig(
        chain_id=chain_id,
        gci=gci if "://" in gci else gci.lower(),
        peers=_addresses(document, "peers", PEER, where),
        seeds=_addresses(document, "seeds", PEER, where),
        rpc=_addresses(document, "rpcAddrs", RPC, where),
        trust=_trust(document.get("trustedBlockInfo"), where),
    )


def parse_genesis(data: bytes, where: str, config: NetworkConfig) -> Genesis:
    """A genesis that belongs to `config`: plain, or as a node's RPC answers with it.

    Raises `UsageError` when it is another chain's, or another genesis than the one that was
    announced.
    """
    document = _object(data, where)
    wrapped = document.get("jsonrpc") is not None
    result = document.get("result") if wrapped else None
    inner = result.get("genesis") if isinstance(result, dict) else None
    genesis = inner if wrapped else document
    if not isinstance(genesis, dict) or "genesis_time" not in genesis:
        raise UsageError(f"{where} is no genesis: it has no genesis_time")
    chain_id = genesis.get("chain_id")
    if chain_id != config.chain_id:
        raise UsageError(
            f"{where} is the genesis of chain {_shown(chain_id)}, but the network's configuration"
            f" is that of {config.chain_id!r}",
            hint="the origin is not consistent: ask whoever runs the network",
        )
    plain = canonical(genesis) if wrapped else data
    hashes = [_sha256(plain), _sha256(canonical(genesis))]
    if config.gci and not config.gci_is_url and config.gci not in hashes:
        raise UsageError(
            f"{where} is not the genesis that the network's configuration announces: its hash is"
            f" {hashes[0]}, not {config.gci}",
            hint="the origin is not consistent: ask whoever runs the network",
        )
    identity = config.gci if config.gci and not config.gci_is_url else hashes[0]
    if wrapped and config.gci_is_url:
        # As the SDK itself makes it of an RPC's answer.
        identity = _sha256(canonical(result))
    return Genesis(plain, config.chain_id, identity)


def network(config: NetworkConfig, genesis: Genesis) -> ChainNetwork:
    """Both documents as what a run needs of them."""
    return ChainNetwork(
        chain_id=config.chain_id,
        identity=genesis.identity,
        peers=config.peers,
        seeds=config.seeds,
        rpc=config.rpc,
    )


def require_reachable(found: ChainNetwork, *, monitor: bool, contained: bool) -> None:
    """See that the addresses that will be used can lead anywhere. Raises `UsageError`.

    `contained`: roles run in containers, where loopback is the pod's own.
    """
    if monitor and not found.peers and not found.seeds:
        raise UsageError(
            f"the network {found.chain_id} names neither peers nor seeds: no node can follow it",
            hint="--no-monitor runs only the client and the load",
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
            hint="put both runs on one Docker network by --network, see docs/profiles.md",
        )


def canonical(value: object) -> bytes:
    """JSON with sorted keys and without spaces: the same bytes for the same content."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def rpc_url(address: str) -> str:
    """An RPC server's address as a URL without a slash at its end."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return f"http://{address}".rstrip("/")
    return f"{'http' if scheme == 'tcp' else scheme}://{rest}".rstrip("/")


def _host(address: str) -> str:
    found = PEER.fullmatch(address) or RPC.fullmatch(address)
    return found["host"] if found else ""


def _addresses(
    document: Mapping[str, Any], key: str, pattern: re.Pattern[str], where: str
) -> tuple[str, ...]:
    values = document.get(key) or []
    if values == [""]:
        # An empty list, as `ag-setup-cosmos show-config` writes it.
        return ()
    if not isinstance(values, list) or len(values) > MAX_ADDRESSES:
        raise UsageError(f"{where}: {key} is no list of at most {MAX_ADDRESSES} addresses")
    for value in values:
        found = pattern.fullmatch(value) if isinstance(value, str) else None
        if found is None or not 0 < int(found["port"] or 1) < 65536:
            raise UsageError(f"{where}: {_shown(value)} in {key} is no address")
    return tuple(dict.fromkeys(value.removeprefix("tcp://") for value in values))


def _trust(value: object, where: str) -> TrustPoint | None:
    if value is None:
        return None
    height, block = (
        (value.get("height"), value.get("hash")) if isinstance(value, dict) else ("", "")
    )
    if not HEX_SHA256.fullmatch(str(block)) or not HEIGHT.fullmatch(str(height)):
        raise UsageError(
            f"{where}: trustedBlockInfo is {_shown(json.dumps(value))}, not the height and the hash"
            " of a block"
        )
    return TrustPoint(int(str(height)), str(block).upper())


def _object(data: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(data, parse_constant=_refuse(where))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is no JSON: {_shown(str(error))}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{where} is no JSON object")
    return document


def _refuse(where: str) -> Callable[[str], object]:
    def constant(name: str) -> object:
        raise UsageError(f"{where} is no JSON: it has a {name}")

    return constant


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _shown(value: object) -> str:
    return "missing" if value is None else ascii(value)[:120]

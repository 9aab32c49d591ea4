"""An origin, read: the network it describes, and the files that the roles get of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loadgenctl.errors import RunError, UsageError
from loadgenctl.model import ChainNetwork, TrustPoint
from loadgenctl.networks.document import (
    CONFIG,
    GENESIS,
    HEX_SHA256,
    network,
    parse_config,
    parse_genesis,
)
from loadgenctl.networks.fetch import MIB, NETWORK, Fetch, Limit, read_file
from loadgenctl.urls import rpc_url

CONFIG_LIMIT = Limit(MIB, 30.0)
GENESIS_LIMIT = Limit(512 * MIB, 600.0)
STATUS_LIMIT = Limit(MIB, 30.0)
BLOCK_LIMIT = Limit(64 * MIB, 30.0)
TRUST_DISTANCE = 2000
"""Blocks between the newest one and the one that state-sync trusts: networks keep snapshots of
every so many blocks, and one of those must be younger than the trusted block.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read, and the documents as they go on to the roles."""

    network: ChainNetwork
    config: bytes
    genesis: bytes


@dataclass(frozen=True, slots=True)
class OriginReader:
    """Reads origins; `fetch` is how URLs are read."""

    fetch: Fetch

    def read(
        self, origin: str, *, state_sync: bool, say: Callable[[str], None] = lambda _: None
    ) -> Found:
        """The network at an origin (an absolute path or a URL).

        `state_sync` also looks for the block that it begins at. Raises `UsageError` for what is
        not right with the documents, `RunError` when nobody answers.
        """
        say(f"reading the network's configuration from {origin}")
        where = f"{origin}/{CONFIG}"
        data = self._document(origin, CONFIG, CONFIG_LIMIT)
        config = parse_config(data, where)
        if config.gci_is_url:
            say(f"reading the genesis of {config.chain_id}")
            where = config.gci
            raw = self.fetch(config.gci, GENESIS_LIMIT, private=in_folder(origin))
        else:
            where, raw = f"{origin}/{GENESIS}", self._document(origin, GENESIS, GENESIS_LIMIT)
        genesis = parse_genesis(raw, where, config)
        found = network(config, genesis)
        if state_sync:
            found = replace(found, trust=config.trust or self._ask_trust(found, origin, say))
        return Found(found, data, genesis.data)

    def _ask_trust(
        self, found: ChainNetwork, origin: str, say: Callable[[str], None]
    ) -> TrustPoint:
        """The block that state-sync begins at, as one of the network's RPC servers tells it."""
        say(f"asking {found.chain_id} for a block to trust")
        if not found.rpc:
            raise UsageError(
                f"the network {found.chain_id} names no RPC servers, which state-sync needs",
                hint="leave --use-state-sync out",
            )
        server, private = rpc_url(found.rpc[0]), in_folder(origin)
        newest, oldest = self._heights(f"{server}/status", private=private)
        height = max(1, oldest, newest - TRUST_DISTANCE)
        url = f"{server}/block?height={height}"
        trusted = self._block(url, found.chain_id, private=private)
        if trusted.height != height:
            raise RunError(
                f"{server} was asked for block {height} and answered with {trusted.height}",
                role=NETWORK,
                step="state-sync",
            )
        return trusted

    def _document(self, origin: str, name: str, limit: Limit) -> bytes:
        if not in_folder(origin):
            return self.fetch(f"{origin}/{name}", limit)
        return read_file(Path(origin) / name, limit)

    def _heights(self, url: str, *, private: bool) -> tuple[int, int]:
        """Of the newest and of the oldest block that a node has; it may have begun by state-sync,
        or have dropped old blocks.
        """
        try:
            result: Any = json.loads(self.fetch(url, STATUS_LIMIT, private=private))["result"]
            sync = result["sync_info"]
            return int(sync["latest_block_height"]), int(sync.get("earliest_block_height", 1))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(
                f"{url} did not answer with a node's status", role=NETWORK, step="state-sync"
            ) from error

    def _block(self, url: str, chain_id: str, *, private: bool) -> TrustPoint:
        try:
            result: Any = json.loads(self.fetch(url, BLOCK_LIMIT, private=private))["result"]
            header = result["block"]["header"]
            point = TrustPoint(int(header["height"]), str(result["block_id"]["hash"]).upper())
            named = str(header["chain_id"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(
                f"{url} did not answer with a block", role=NETWORK, step="state-sync"
            ) from error
        if named != chain_id:
            raise UsageError(f"{url} answers for the chain {ascii(named)[:80]}, not {chain_id!r}")
        if not HEX_SHA256.fullmatch(point.block_hash) or point.height < 1:
            raise RunError(f"{url} tells no block's hash", role=NETWORK, step="state-sync")
        return point


def in_folder(origin: str) -> bool:
    """True for an origin in a folder of this machine, whose owner says which servers are asked."""
    return "://" not in origin

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
    rpc_url,
)
from loadgenctl.networks.fetch import MIB, NETWORK, Fetch, Limit, read_file

CONFIG_LIMIT = Limit(MIB, 30.0)
GENESIS_LIMIT = Limit(512 * MIB, 600.0)
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
            where, raw = config.gci, self.fetch(config.gci, GENESIS_LIMIT)
        else:
            where, raw = f"{origin}/{GENESIS}", self._document(origin, GENESIS, GENESIS_LIMIT)
        genesis = parse_genesis(raw, where, config)
        found = network(config, genesis)
        if state_sync:
            say(f"asking {config.chain_id} for a block to trust")
            found = replace(found, trust=self.trust_point(found))
        return Found(found, data, genesis.data)

    def trust_point(self, found: ChainNetwork) -> TrustPoint:
        """The block that state-sync begins at, as one of the network's RPC servers tells it."""
        if not found.rpc:
            raise UsageError(
                f"the network {found.chain_id} names no RPC servers, which state-sync needs",
                hint="leave --use-state-sync out",
            )
        server = rpc_url(found.rpc[0])
        newest = self._block(f"{server}/block", found.chain_id)
        height = max(1, newest.height - TRUST_DISTANCE)
        trusted = self._block(f"{server}/block?height={height}", found.chain_id)
        if trusted.height != height:
            raise RunError(
                f"{server} was asked for block {height} and answered with {trusted.height}",
                role=NETWORK,
                step="state-sync",
            )
        return trusted

    def _document(self, origin: str, name: str, limit: Limit) -> bytes:
        if "://" in origin:
            return self.fetch(f"{origin}/{name}", limit)
        return read_file(Path(origin) / name, limit)

    def _block(self, url: str, chain_id: str) -> TrustPoint:
        try:
            result: Any = json.loads(self.fetch(url, BLOCK_LIMIT))["result"]
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

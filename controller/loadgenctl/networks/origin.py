"""Reading an origin: the network that it describes, and the files for the roles."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loadgenctl.errors import RunError, UsageError
from loadgenctl.model import ChainNetwork, TrustPoint
from loadgenctl.networks.description import (
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
"""Blocks between the newest block and the one that state-sync trusts: networks make a snapshot
every N blocks, and one of them must be newer than the trusted block.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """The network of an origin, and the documents as the roles get them."""

    network: ChainNetwork
    config: bytes
    genesis: bytes


@dataclass(frozen=True, slots=True)
class OriginReader:
    """Reads origins; `fetch` reads URLs."""

    fetch: Fetch

    def read(
        self, origin: str, *, state_sync: bool, say: Callable[[str], None] = lambda _: None
    ) -> Found:
        """The network at an origin (an absolute path or a URL).

        `state_sync` also finds the block at which it begins. Raises `UsageError` for wrong
        documents, `RunError` without an answer.
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
        """The block at which state-sync begins, from one of the network's RPC servers."""
        say(f"querying {found.chain_id} for a block to trust")
        if not found.rpc:
            raise UsageError(
                f"the network {found.chain_id} names no RPC servers, which state-sync needs",
                hint="omit --use-state-sync",
            )
        server, private = rpc_url(found.rpc[0]), in_folder(origin)
        newest, oldest = self._heights(f"{server}/status", private=private)
        height = max(1, oldest, newest - TRUST_DISTANCE)
        url = f"{server}/block?height={height}"
        trusted = self._block(url, found.chain_id, private=private)
        if trusted.height != height:
            raise RunError(
                f"{server} answered a query for block {height} with block {trusted.height}",
                role=NETWORK,
                step="state-sync",
            )
        return trusted

    def _document(self, origin: str, name: str, limit: Limit) -> bytes:
        if not in_folder(origin):
            return self.fetch(f"{origin}/{name}", limit)
        return read_file(Path(origin) / name, limit)

    def _heights(self, url: str, *, private: bool) -> tuple[int, int]:
        """Heights of a node's newest and oldest block; a node that began with state-sync, or that
        drops old blocks, has not all of them.
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
            raise RunError(
                f"{url} answered without a block's hash", role=NETWORK, step="state-sync"
            )
        return point


def in_folder(origin: str) -> bool:
    """True for a folder of this machine, whose owner decides which servers are queried."""
    return "://" not in origin

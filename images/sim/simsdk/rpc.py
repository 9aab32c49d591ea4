"""The chain's RPC: Tendermint's endpoints for people and tools, and those that the solo needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from . import VERSION
from .actions import cell_key
from .mempool import Mempool
from .store import Block, Store
from .web import Route

Json = Any


def _result(value: Json) -> tuple[int, Json]:
    return 200, {"jsonrpc": "2.0", "id": -1, "result": value}


def _error(data: str) -> tuple[int, Json]:
    return 500, {
        "jsonrpc": "2.0",
        "id": -1,
        "error": {"code": -32603, "message": "Internal error", "data": data},
    }


def rfc3339(when: float) -> str:
    """A time as Tendermint prints it."""
    stamp = datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{stamp}000Z"


def block_hash(height: int, app_hash: str) -> str:
    """A block's id, as stable as its content."""
    return hashlib.sha256(f"{height}/{app_hash}".encode()).hexdigest().upper()


@dataclass(frozen=True)
class NodeView:
    """The node's status."""

    chain_id: str
    node_id: str
    catching_up: Callable[[], bool]
    """True while it follows a network and lacks its newest blocks."""
    follows: bool = False
    """It accepts no transactions: the nodes that make the network's blocks do."""
    genesis: Mapping[str, Any] = field(default_factory=dict)
    """The genesis document."""


class Rpc:
    """Answers from the committed state; `lock` prevents commits in between."""

    def __init__(
        self, node: NodeView, store: Store, mempool: Mempool, lock: threading.Lock
    ) -> None:
        """The block loop holds `lock` while it commits."""
        self._node = node
        self._store = store
        self._mempool = mempool
        self._lock = lock

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """For `web.serve`."""
        return {
            ("GET", "/health"): lambda _query, _body: _result({}),
            ("GET", "/status"): self._status,
            ("GET", "/genesis"): lambda _query, _body: _result({"genesis": self._node.genesis}),
            ("GET", "/block"): self._block,
            ("GET", "/block_results"): self._block_results,
            ("GET", "/num_unconfirmed_txs"): self._unconfirmed,
            ("GET", "/tx"): self._tx,
            ("GET", "/account"): self._account,
            ("GET", "/agoric/vstorage/data/"): self._published,
            ("POST", "/broadcast_tx"): self._broadcast,
        }

    def _status(self, _query: Mapping[str, str], _body: Json) -> tuple[int, Json]:
        with self._lock:
            last = self._store.blocks[self._store.height]
            first = next(iter(self._store.blocks.values()))
        return _result(
            {
                "node_info": {
                    "id": self._node.node_id,
                    "listen_addr": "tcp://127.0.0.1:26656",
                    "network": self._node.chain_id,
                    "version": f"simulated-{VERSION}",
                    "moniker": "simulated",
                },
                "sync_info": {
                    "latest_block_hash": block_hash(last.height, last.app_hash),
                    "latest_app_hash": last.app_hash,
                    "latest_block_height": str(last.height),
                    "latest_block_time": rfc3339(last.time),
                    "earliest_block_height": str(first.height),
                    "earliest_block_time": rfc3339(first.time),
                    "catching_up": self._node.catching_up(),
                },
                "validator_info": {"address": "51AA", "voting_power": "10"},
            }
        )

    def _find(self, query: Mapping[str, str]) -> Block | str:
        """The requested block, or an error."""
        text = query.get("height", "").strip('"')
        with self._lock:
            last = self._store.height
            if text and not text.isdigit():
                return f"height must be a number, not {text!r}"
            height = int(text) if text else last
            if height > last:
                return (
                    f"height {height} must be less than or equal to"
                    f" the current blockchain height {last}"
                )
            block = self._store.blocks.get(height)
        return block or f"height {height} is not available"

    def _block(self, query: Mapping[str, str], _body: Json) -> tuple[int, Json]:
        block = self._find(query)
        if isinstance(block, str):
            return _error(block)
        header = {
            "chain_id": self._node.chain_id,
            "height": str(block.height),
            "time": rfc3339(block.time),
            "app_hash": block.app_hash,
        }
        return _result(
            {
                "block_id": {"hash": block_hash(block.height, block.app_hash)},
                "block": {"header": header, "data": {"txs": block.txs}},
            }
        )

    def _block_results(self, query: Mapping[str, str], _body: Json) -> tuple[int, Json]:
        block = self._find(query)
        if isinstance(block, str):
            return _error(block)
        return _result({"height": str(block.height), "txs_results": block.results})

    def _unconfirmed(self, _query: Mapping[str, str], _body: Json) -> tuple[int, Json]:
        count = str(len(self._mempool))
        return _result({"n_txs": count, "total": count, "total_bytes": "0", "txs": None})

    def _tx(self, query: Mapping[str, str], _body: Json) -> tuple[int, Json]:
        identity = query.get("hash", "").strip('"')
        with self._lock:
            found = self._store.done.get(identity)
        if found is None:
            return _error(f"tx ({identity}) not found")
        return _result({"hash": identity, "height": str(found[0]), "tx_result": found[1]})

    def _account(self, query: Mapping[str, str], _body: Json) -> tuple[int, Json]:
        address = query.get("address", "")
        known = self._store.committed(f"egress/{address}") is not None
        purse = self._store.committed(f"bank/{address}", {})
        wallet = self._store.committed(f"wallet/{address}")
        return _result({"address": address, "provisioned": known, "purse": purse, "wallet": wallet})

    def _published(self, query: Mapping[str, str], _body: Json) -> tuple[int, Json]:
        """As the real chain's API: a path without data has the empty value."""
        wallet = query["rest"].removeprefix("published.wallet.")
        cell = self._store.committed(cell_key(wallet))
        return 200, {"value": "" if cell is None else json.dumps(cell)}

    def _broadcast(self, _query: Mapping[str, str], body: Json) -> tuple[int, Json]:
        tx = body["tx"]
        if self._node.follows:
            return 400, {"error": "a simulated follower takes no transactions"}
        if not all(isinstance(tx[name], str) for name in ("id", "sender")) or not isinstance(
            tx["message"], dict
        ):
            return 400, {"error": "a tx has an id, a sender and a message"}
        with self._lock:
            found = self._store.done.get(tx["id"])
        if found is not None:
            # Sent again by a client that missed the response: it was executed, and must not be
            # executed twice.
            return _result(
                {"code": 0, "hash": tx["id"], "height": str(found[0]), "tx_result": found[1]}
            )
        if not self._mempool.add(tx):
            return _result({"code": 20, "hash": tx["id"], "log": "mempool is full"})
        return _result({"code": 0, "hash": tx["id"], "log": ""})

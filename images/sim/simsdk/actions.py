"""Offers of smart wallets, from the block that contains them to the block in which the kernel runs
them.

A transaction with an offer is included in a block immediately, without computation: the offer joins
a queue in the chain's state. Each block runs the offers of earlier blocks, oldest first, up to the
computron limit of the genesis; the others wait. The outcome of an offer is published for its wallet
with the height of the block that ran it. So an offer in block N is settled in block N + 1, or later
if a block is full.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .kernel import Kernel
from .ledger import OFFER
from .store import Store
from .telling import QUEUE, BlockSlog

Json = Any

GAS = 80_000
GAS_PER_BYTE = 25


def is_offer(tx: Mapping[str, Json]) -> bool:
    """True if a transaction is an offer by a smart wallet."""
    message = tx["message"]
    return (message.get("contract"), message.get("method")) == OFFER


def cell_key(address: str) -> str:
    """Key in the state of the data published for a wallet."""
    return f"published/wallet.{address}"


class Actions:
    """The queue and a block's computation. Not thread-safe: the block loop owns it."""

    def __init__(
        self, kernel: Kernel, store: Store, told: BlockSlog, compute_limit: int | None
    ) -> None:
        """`compute_limit` in computrons per block; None: no limit."""
        self._kernel = kernel
        self._store = store
        self._told = told
        self._limit = compute_limit

    def full(self) -> bool:
        """True if the block has reached its limit; a running action is completed first."""
        return self._limit is not None and self._kernel.computed() >= self._limit

    def include(self, tx: Mapping[str, Json]) -> Json:
        """Add an offer to the block; return the transaction's result."""
        sender, offer = str(tx["sender"]), tx["message"].get("args")
        if self._store.get(f"wallet/{sender}") is None:
            return {"id": tx["id"], "code": 1, "log": f"{sender} has no smart wallet"}
        if not isinstance(offer, dict) or not isinstance(offer.get("id"), str):
            return {"id": tx["id"], "code": 1, "log": "an offer has an id"}
        waiting = self._store.get(QUEUE, [])
        self._store.set(QUEUE, [*waiting, {"id": tx["id"], "sender": sender, "offer": offer}])
        gas = GAS + GAS_PER_BYTE * len(json.dumps(offer))
        return {"id": tx["id"], "code": 0, "data": None, "gas_used": str(gas)}

    def run(self, height: int) -> None:
        """Run the queued actions of earlier blocks, up to this block's limit."""
        waiting = list(self._store.get(QUEUE, []))
        while waiting and not self.full():
            self._run(waiting.pop(0), height)
        if len(waiting) != len(self._store.get(QUEUE, [])):
            self._store.set(QUEUE, waiting or None)

    def _run(self, action: Mapping[str, Json], height: int) -> None:
        sender, offer = action["sender"], action["offer"]
        contract, method = OFFER
        message = {"contract": contract, "method": method, "args": offer}
        spend = {"type": "WALLET_SPEND_ACTION", "owner": sender, "spendAction": json.dumps(offer)}
        with self._told.bridge("wallet", spend, f"{height}-{action['id']}-0"):
            result = self._kernel.run_tx({"id": action["id"], "sender": sender, "message": message})
        status = {"id": offer["id"]}
        status.update(result["data"] if result["code"] == 0 else {"error": result["log"]})
        self._publish(sender, height, {"updated": "offerStatus", "status": status})

    def _publish(self, address: str, height: int, value: Json) -> None:
        """As on the real chain, a block's values replace those of earlier blocks."""
        cell = self._store.get(cell_key(address))
        here = cell["values"] if cell is not None and cell["blockHeight"] == str(height) else []
        cell = {"blockHeight": str(height), "values": [*here, json.dumps(value)]}
        self._store.set(cell_key(address), cell)

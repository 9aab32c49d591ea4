"""The solo's link to the chain: sends transactions and follows the blocks until each has a result.

The chain may stop and restart at any time: transactions without a result are sent again, and the
chain runs none twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .web import Client, UnreachableError

Json = Any
FAR_BEHIND = 200
"""Blocks; further behind, a request per pending transaction is cheaper than reading them."""


class Pending:
    """A transaction without a result."""

    def __init__(self, tx: Json) -> None:
        """Not yet sent."""
        self.tx = tx
        self.done = threading.Event()
        self.height = 0
        self.result: Json = None

    def resolve(self, height: int, result: Json) -> None:
        """The height of the block with its result."""
        self.height, self.result = height, result
        self.done.set()


class Follower:
    """Polls the chain: often while transactions are pending, else rarely."""

    def __init__(
        self, chain: tuple[str, int], block_time: float, report: Callable[[str], None]
    ) -> None:
        """`report` gets a line when the chain is lost or found; `block_time` (s) sets the polling
        interval.

        `chain` is host and port of its RPC.
        """
        self._host, self._port = chain
        self._busy = min(max(block_time / 5, 0.02), 1.0)
        self._idle = max(block_time, 0.2)
        self._report = report
        self._pending: dict[str, Pending] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        self.height = -1
        self.connected = False

    def start(self) -> threading.Thread:
        """Follow in a thread."""
        thread = threading.Thread(target=self._run, name="follower", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Request the end of the thread."""
        self._stop = True
        self._wake.set()

    def send(self, tx: Json) -> Pending:
        """Add a transaction, which the thread sends."""
        pending = Pending(tx)
        with self._lock:
            self._pending[tx["id"]] = pending
        self._wake.set()
        return pending

    def forget(self, pending: Pending) -> None:
        """Its caller no longer waits for it."""
        with self._lock:
            self._pending.pop(pending.tx["id"], None)

    def _run(self) -> None:
        client = Client(self._port, timeout=5.0, host=self._host)
        sent: set[str] = set()
        while not self._stop:
            self._wake.clear()
            try:
                self._round(client, sent)
            except UnreachableError as error:
                sent.clear()
                if self.connected:
                    self._report(f"lost the chain: {error}")
                self.connected = False
            with self._lock:
                # A transaction that was added during the round is sent at once, not after a pause.
                fresh = any(identity not in sent for identity in self._pending) and self.connected
                busy = bool(self._pending)
            if not fresh:
                self._wake.wait(self._busy if busy else self._idle)
        client.close()

    def _round(self, client: Client, sent: set[str]) -> None:
        status = client.get("/status")["result"]
        height = int(status["sync_info"]["latest_block_height"])
        if not self.connected:
            self._report(f"following the chain at block {height}")
            self.connected = True
        with self._lock:
            waiting = dict(self._pending)
        sent.intersection_update(waiting)
        # A lower height means that the chain was reset: start again.
        behind = height - self.height
        if sent and 0 < behind <= FAR_BEHIND and self.height >= 0:
            for number in range(self.height + 1, height + 1):
                self._read_block(client, number)
        elif behind > FAR_BEHIND or behind < 0:
            sent.clear()
        self.height = height
        for identity, pending in waiting.items():
            if identity not in sent and not pending.done.is_set():
                self._broadcast(client, pending)
                sent.add(identity)

    def _read_block(self, client: Client, number: int) -> None:
        results = client.get(f"/block_results?height={number}")["result"]["txs_results"]
        for result in results:
            self._resolve(result["id"], number, result)

    def _broadcast(self, client: Client, pending: Pending) -> None:
        status, answer = client.call("POST", "/broadcast_tx", {"tx": pending.tx})
        if status != 200:
            self._resolve(
                pending.tx["id"], self.height, {"code": status, "log": str(answer.get("error"))}
            )
            return
        result = answer["result"]
        if "tx_result" in result:
            self._resolve(pending.tx["id"], int(result["height"]), result["tx_result"])
        elif result["code"]:
            self._resolve(
                pending.tx["id"], self.height, {"code": result["code"], "log": result["log"]}
            )

    def _resolve(self, identity: str, height: int, result: Json) -> None:
        with self._lock:
            pending = self._pending.pop(identity, None)
        if pending is not None:
            pending.resolve(height, result)

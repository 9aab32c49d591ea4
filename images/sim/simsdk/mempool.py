"""Transactions between their arrival and their block.

Thread-safe: RPC threads add, the block loop takes.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

Json = Any


class Mempool:
    """Waiting transactions by id; one that already waits is not added twice."""

    def __init__(self, path: Path, limit: int = 5000) -> None:
        """Loads what `save` wrote to `path`."""
        self._path = path
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, Json] = OrderedDict()
        if path.exists():
            try:
                self._waiting.update((tx["id"], tx) for tx in json.loads(path.read_text()))
            except (ValueError, KeyError, TypeError):
                # There is nothing committed here, and clients send missing transactions again.
                self._waiting.clear()
            path.unlink()

    def __len__(self) -> int:
        """The number of waiting transactions."""
        return len(self._waiting)

    def add(self, tx: Json) -> bool:
        """False when the pool is full."""
        with self._lock:
            if tx["id"] not in self._waiting and len(self._waiting) >= self._limit:
                return False
            self._waiting[tx["id"]] = tx
            return True

    def take(self, count: int) -> list[Json]:
        """The oldest `count`."""
        with self._lock:
            return [
                self._waiting.popitem(last=False)[1] for _ in range(min(count, len(self._waiting)))
            ]

    def give_back(self, txs: list[Json]) -> None:
        """Put taken transactions back before all others, in their order."""
        with self._lock:
            for tx in reversed(txs):
                self._waiting[tx["id"]] = tx
                self._waiting.move_to_end(tx["id"], last=False)

    def save(self) -> None:
        """Save the waiting transactions for the next start."""
        with self._lock:
            if self._waiting:
                self._path.write_text(json.dumps(list(self._waiting.values())))

"""The chain's committed state: a key-value map kept as an append-only log of blocks.

A block is committed once its line is complete, so a SIGKILL never loses committed data; a torn last
line is removed at the next start. The log only grows, like the real kernel's database.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

Json = Any
RECENT = 1000
"""Blocks whose transactions and results are kept."""


class StoreError(Exception):
    """The state on disk is damaged."""


@dataclass
class Block:
    """A committed block."""

    height: int
    time: float
    """Block time, seconds since the epoch."""
    app_hash: str = ""
    txs: list[Json] = field(default_factory=list)
    results: list[Json] = field(default_factory=list)
    """One per transaction: {"id", "code", "data" | "log"}."""


class Store:
    """Reads and writes go to memory; `commit` makes a block of them."""

    def __init__(self, path: Path) -> None:
        """Load what is at `path`; an absent file is an empty state. Raises `StoreError`."""
        self._path = path
        self._state: dict[str, Json] = {}
        self._dirty: dict[str, Json] = {}
        self._before: dict[str, Json] = {}
        self._undo: dict[str, Json] | None = None
        self.blocks: OrderedDict[int, Block] = OrderedDict()
        self.done: dict[str, tuple[int, Json]] = {}
        """Transaction id → (height, result), for the recent blocks."""
        self.transcripts: dict[str, list[tuple[int, int]]] = {}
        """vatID → (computrons, bytes) per delivery."""
        self.height = -1
        self._file: BinaryIO | None = None
        if path.exists():
            self._load()

    def get(self, key: str, default: Json = None) -> Json:
        """A value; never change it in place."""
        return self._state.get(key, default)

    def committed(self, key: str, default: Json = None) -> Json:
        """A value as of the last block; for any thread while the next block runs."""
        # In this order: a block that changes a value fills `_before` first.
        value = self._state.get(key)
        value = self._before.get(key, value)
        return default if value is None else value

    def set(self, key: str, value: Json) -> None:
        """Change a value; None deletes the key."""
        if key not in self._before:
            self._before[key] = self._state.get(key)
        if self._undo is not None and key not in self._undo:
            self._undo[key] = self._state.get(key)
        self._put(key, value)
        self._dirty[key] = value

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys with this prefix, sorted."""
        return iter(sorted(key for key in self._state if key.startswith(prefix)))

    def begin(self) -> None:
        """Begin changes that can be reverted."""
        self._undo = {}

    def keep(self) -> None:
        """Accept the changes since `begin`."""
        self._undo = None

    def rollback(self) -> None:
        """Revert the changes since `begin`."""
        undo, self._undo = self._undo or {}, None
        for key, value in undo.items():
            self.set(key, value)

    def commit(
        self, block: Block, deliveries: list[tuple[str, int, int]], padding: str = ""
    ) -> int:
        """Write the block with all changes; `deliveries` are (vatID, computrons, bytes).

        Return the bytes written.
        """
        record = {
            "height": block.height,
            "time": block.time,
            "app_hash": block.app_hash,
            "set": self._dirty,
            "txs": block.txs,
            "results": block.results,
            "transcript": deliveries,
        }
        if padding:
            record["padding"] = padding
        data = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
        self._file.write(data)
        self._file.flush()
        self._dirty = {}
        self._remember(block, deliveries)
        self._before = {}
        return len(data)

    def close(self) -> None:
        """Close the log; uncommitted changes are lost."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _load(self) -> None:
        good = 0
        with self._path.open("rb") as log:
            for number, text in enumerate(log, 1):
                if not text.endswith(b"\n"):
                    break
                try:
                    record = json.loads(text)
                    block = Block(
                        record["height"],
                        record["time"],
                        record["app_hash"],
                        record["txs"],
                        record["results"],
                    )
                    deliveries = [
                        (vat, compute, grow) for vat, compute, grow in record["transcript"]
                    ]
                except (ValueError, KeyError, TypeError) as error:
                    raise StoreError(f"{self._path} line {number} is damaged: {error}") from error
                for key, value in record["set"].items():
                    self._put(key, value)
                self._remember(block, deliveries)
                good += len(text)
        if good != self._path.stat().st_size:
            with self._path.open("r+b") as log:
                log.truncate(good)

    def _put(self, key: str, value: Json) -> None:
        if value is None:
            self._state.pop(key, None)
        else:
            self._state[key] = value

    def _remember(self, block: Block, deliveries: list[tuple[str, int, int]]) -> None:
        self.height = block.height
        self.blocks[block.height] = block
        for result in block.results:
            self.done[result["id"]] = (block.height, result)
        for vat, compute, grow in deliveries:
            self.transcripts.setdefault(vat, []).append((compute, grow))
        if len(self.blocks) > RECENT:
            _, old = self.blocks.popitem(last=False)
            for result in old.results:
                self.done.pop(result["id"], None)

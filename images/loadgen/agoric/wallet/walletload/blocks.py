"""The chain's next committed block, which all cycles in flight wait for, polled once for all."""

from __future__ import annotations

import threading
from typing import Callable, Dict, FrozenSet

from .errors import ChainError, LoadError
from .rpc import Chain

KEPT = 64
"""Blocks whose transactions are remembered."""


class Blocks:
    """The chain's height, polled by one thread while any cycle waits."""

    def __init__(self, chain: Chain, clock: Callable[[], float], pause: Callable[[], None]) -> None:
        """`clock` returns seconds, `pause` returns when the next poll is due."""
        self._chain = chain
        self._clock = clock
        self._pause = pause
        self._changed = threading.Condition()
        self._height = 0
        self._trouble = ""
        self._waiting = 0
        self._transactions: Dict[int, FrozenSet[str]] = {}
        threading.Thread(target=self._follow, daemon=True).start()

    def beyond(self, height: int, until: float) -> int:
        """Wait for a committed block above `height` and return the newest one's.

        Raises LoadError when the clock reaches `until`.
        """
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                while self._height <= height:
                    if self._clock() >= until:
                        why = self._trouble or f"the newest block is {self._height}"
                        raise LoadError(f"the chain made no block after {height} in time: {why}")
                    self._changed.wait()
                return self._height
            finally:
                self._waiting -= 1

    def has(self, height: int, tx_hash: str) -> bool:
        """Whether a transaction is in a block."""
        known = self._transactions.get(height)
        if known is None:
            known = frozenset(self._chain.transactions(height))
            with self._changed:
                self._transactions[height] = known
                for old in sorted(self._transactions)[:-KEPT]:
                    del self._transactions[old]
        return tx_hash in known

    def _follow(self) -> None:
        while True:
            with self._changed:
                while self._waiting == 0:
                    self._changed.wait()
            try:
                height, trouble = self._chain.height(), ""
            except ChainError as error:
                height, trouble = 0, str(error)
            with self._changed:
                self._height = max(self._height, height)
                self._trouble = trouble
                # Also without a new block, because waiting threads check their time limits.
                self._changed.notify_all()
            self._pause()

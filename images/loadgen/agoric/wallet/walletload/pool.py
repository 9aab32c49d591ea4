"""A task's wallets, whose number limits its cycles in flight."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import List, Sequence

from .tasks import Cycle, Task
from .wallet import Timing, Wallet

AHEAD = 16
"""Cycles of a wallet that are signed together."""


class Ready:
    """A wallet that can run cycles."""

    def __init__(self, wallet: Wallet, cycle: Cycle) -> None:
        """`cycle` makes the wallet's offers."""
        self._wallet = wallet
        self._cycle = cycle
        self._next = 0
        """Number of the first cycle that is not signed. No cycle is signed twice, even if some of
        its offers were never made.
        """
        self._each = 0
        """Offers of a cycle."""

    def run(self) -> List[Timing]:
        """One cycle. Raises LoadError."""
        if self._wallet.signed() == 0:
            cycles = [self._cycle(self._next + number) for number in range(AHEAD)]
            self._next += AHEAD
            self._each = len(cycles[0])
            self._wallet.sign([offer for cycle in cycles for offer in cycle])
        return [self._wallet.next() for _ in range(self._each)]


class Pool:
    """The wallets of one task. A wallet is made ready once, and has one cycle at a time."""

    def __init__(self, task: Task, wallets: Sequence[Wallet]) -> None:
        """Nothing is sent to the chain yet."""
        self._task = task
        self._size = len(wallets)
        self._untouched: List[Wallet] = list(wallets)
        self._free: List[Ready] = []
        self._changed = threading.Condition()

    def prepare(self, limit: int) -> None:
        """Make as many wallets ready as cycles may be in flight, all at once."""
        with self._changed:
            missing = min(limit, self._size) - (self._size - len(self._untouched))
            taken = [self._untouched.pop(0) for _ in range(missing)]
        if not taken:
            return
        with ThreadPoolExecutor(max_workers=len(taken)) as threads:
            started = [threads.submit(self._make_ready, wallet) for wallet in taken]
        for future in started:
            future.result()

    def cycle(self) -> List[Timing]:
        """Run one cycle in a wallet that is free, and wait for one if none is."""
        ready = self._take()
        try:
            return ready.run()
        finally:
            self._give(ready)

    def _make_ready(self, wallet: Wallet) -> None:
        try:
            ready = Ready(wallet, self._task.prepare(wallet))
        except BaseException:
            with self._changed:
                self._untouched.append(wallet)
                self._changed.notify()
            raise
        self._give(ready)

    def _take(self) -> Ready:
        while True:
            with self._changed:
                while not self._free and not self._untouched:
                    self._changed.wait()
                if self._free:
                    # The wallet that was idle for longest.
                    return self._free.pop(0)
                wallet = self._untouched.pop(0)
            # The limit was raised since the preparation.
            self._make_ready(wallet)

    def _give(self, ready: Ready) -> None:
        with self._changed:
            self._free.append(ready)
            self._changed.notify()

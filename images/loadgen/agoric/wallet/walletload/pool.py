"""A task's wallets: as many of its cycles can be in flight as there are of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Sequence

from .offers import Offer
from .tasks import Task
from .wallet import Timing, Wallet

AHEAD = 16
"""Cycles of a wallet that are signed together."""
NICKNAME = "loadgenctl"


class Pool:
    """The wallets of one task. A wallet is made ready once, and has one cycle at a time."""

    def __init__(self, task: Task, wallets: Sequence[Wallet]) -> None:
        """Nothing is asked of the chain yet."""
        self._task = task
        self._all = list(wallets)
        self._untouched: List[Wallet] = list(wallets)
        self._free: List[Wallet] = []
        self._lock = threading.Condition()
        self._cycles: Dict[str, int] = {wallet.address: 0 for wallet in wallets}

    def prepare(self, limit: int) -> None:
        """Make as many wallets ready as cycles may be in flight, all at once."""
        with self._lock:
            missing = min(limit, len(self._all)) - (len(self._all) - len(self._untouched))
            taken = [self._untouched.pop(0) for _ in range(missing)]
        if not taken:
            return
        with ThreadPoolExecutor(max_workers=len(taken)) as threads:
            started = [threads.submit(self._make_ready, wallet) for wallet in taken]
        for future in started:
            future.result()

    def cycle(self) -> List[Timing]:
        """Run one cycle in a wallet that is free, and wait for one if none is."""
        wallet = self._take()
        try:
            return self._run(wallet)
        finally:
            self._give_back(wallet)

    def _make_ready(self, wallet: Wallet) -> None:
        try:
            wallet.provide(NICKNAME)
            self._task.prepare(wallet)
        except Exception:
            with self._lock:
                self._untouched.append(wallet)
                self._lock.notify()
            raise
        self._give_back(wallet)

    def _take(self) -> Wallet:
        with self._lock:
            while not self._free and not self._untouched:
                self._lock.wait()
            if self._free:
                # The one that rested longest.
                return self._free.pop(0)
            wallet = self._untouched.pop(0)
        # The limit was raised since the preparation.
        self._make_ready(wallet)
        return self._take()

    def _give_back(self, wallet: Wallet) -> None:
        with self._lock:
            self._free.append(wallet)
            self._lock.notify()

    def _run(self, wallet: Wallet) -> List[Timing]:
        if wallet.signed() == 0:
            first = self._cycles[wallet.address]
            batch: List[Offer] = []
            for number in range(first, first + AHEAD):
                batch += self._task.cycle(wallet, number)
            self._per_cycle = len(batch) // AHEAD
            # Numbers are not used again, also if some of these offers are never made.
            self._cycles[wallet.address] = first + AHEAD
            wallet.sign(batch)
        return [wallet.next() for _ in range(self._per_cycle)]

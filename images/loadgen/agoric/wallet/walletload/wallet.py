"""A smart wallet: an account whose actions are sent, seen in a block, and followed to their end."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Deque, List, Mapping, Optional, Sequence, Tuple, TypeVar

from . import capdata, offers
from .blocks import Blocks
from .errors import ChainError, LoadError
from .offers import Offer
from .rpc import Account, Chain, Included, Refused, hash_of
from .signer import Message, Signer, provision, spend_action

OFFER_TIMEOUT = 900.0
"""Time limit, in seconds, from sending an offer to its end. A chain with short blocks may have many
offers waiting.
"""
NICKNAME = "loadgenctl"
T = TypeVar("T")
_EXPECTED = re.compile(r"account sequence mismatch, expected (\d+)")


@dataclass
class Tools:
    """What all wallets share."""

    chain: Chain
    blocks: Blocks
    signer: Signer
    clock: Callable[[], float]
    pause: Callable[[], None]

    def patiently(self, ask: Callable[[], T], until: float) -> T:
        """Retry until the chain answers: a node whose kernel is busy drops connections."""
        while True:
            try:
                return ask()
            except Refused:
                raise
            except ChainError:
                if self.clock() >= until:
                    raise
            self.pause()

    def next_block(self, height: int, until: float, waiting: str) -> int:
        """Wait for a block above `height`. Raises LoadError, which says what is waited for."""
        if self.clock() >= until:
            raise LoadError(f"{waiting}, at block {height}: given up after {OFFER_TIMEOUT:.0f} s")
        return self.blocks.beyond(height, until)


@dataclass
class Timing:
    """The result of one offer. Times are seconds since it was sent."""

    inclusion: float
    settlement: float
    included: int
    settled: int
    """Heights of the blocks."""
    gas: int


class Wallet:
    """One account and its smart wallet. Used by one thread at a time."""

    def __init__(self, tools: Tools, key: str, address: str) -> None:
        """`key` is the account's name in the keyring."""
        self._tools = tools
        self._key = key
        self.address = address
        self._path = f"published.wallet.{address}"
        self._ready: Deque[Tuple[Offer, bytes]] = deque()
        """Signed ahead, in the order of their sequence numbers."""

    def current(self) -> Optional[Mapping[str, Any]]:
        """The wallet's content, as it publishes it; None if there is no such wallet."""
        cell = self._tools.chain.published(f"{self._path}.current")
        if cell is None or not cell.values:
            return None
        value = capdata.decode(cell.values[-1])
        return value if isinstance(value, dict) else None

    def balance(self, brand: capdata.Slot) -> int:
        """How much it has of a brand."""
        for purse in (self.current() or {}).get("purses", []):
            if purse["brand"] == brand:
                return int(purse["balance"]["value"])
        return 0

    def provide(self) -> None:
        """Have the chain create the wallet if there is none."""
        if self.current() is not None:
            return
        tools, sent = self._tools, self._tools.clock()
        (tx,) = self._signed([provision(self.address, NICKNAME)], None)
        until = sent + OFFER_TIMEOUT
        height = self._included(self._send(tx, until), tx, until).height
        while self.current() is None:
            height = tools.next_block(height, until, f"there is no wallet of {self.address} yet")

    def make(self, offer: Offer) -> Timing:
        """Make one offer. Raises LoadError if it does not pay what it must."""
        self.sign([offer])
        return self.next()

    def signed(self) -> int:
        """Number of offers that are signed and not sent."""
        return len(self._ready)

    def sign(self, batch: Sequence[Offer]) -> None:
        """Sign offers ahead; no offer of an earlier batch may be left."""
        self._sign(batch, None)

    def next(self) -> Timing:
        """Make the next signed offer. After a failure no signed offer is left."""
        offer, tx = self._ready.popleft()
        try:
            return self._run(offer, tx)
        except LoadError:
            # Their sequence numbers may be wrong now.
            self._ready.clear()
            raise

    def _run(self, offer: Offer, tx: bytes) -> Timing:
        tools, sent = self._tools, self._tools.clock()
        until = sent + OFFER_TIMEOUT
        try:
            before = self._send(tx, until)
        except Refused as error:
            expected = _EXPECTED.search(str(error))
            if expected is None:
                raise
            # The sequence number of an offer that timed out before it was in a block is still due.
            again = [offer, *(waiting for waiting, _ in self._ready)]
            self._ready.clear()
            self._sign(again, int(expected[1]))
            offer, tx = self._ready.popleft()
            before = self._send(tx, until)
        included = self._included(before, tx, until)
        inclusion = tools.clock() - sent
        settled, status = self._settled(offer, included.height, until)
        settlement = tools.clock() - sent
        offers.check(offer, status)
        return Timing(inclusion, settlement, included.height, settled, included.gas)

    def _sign(self, batch: Sequence[Offer], sequence: Optional[int]) -> None:
        messages = [spend_action(self.address, offer.action()) for offer in batch]
        self._ready = deque(zip(batch, self._signed(messages, sequence)))

    def _signed(self, messages: List[Message], sequence: Optional[int]) -> List[bytes]:
        until = self._tools.clock() + OFFER_TIMEOUT
        chain = self._tools.chain
        account = self._tools.patiently(partial(chain.account, self.address), until)
        if account is None:
            raise LoadError(f"the chain does not know the account {self.address}")
        if sequence is not None:
            account = Account(account.number, sequence)
        return self._tools.signer.sign(self._key, account, messages)

    def _send(self, tx: bytes, until: float) -> int:
        """Send a transaction; return the chain's height before."""
        chain = self._tools.chain
        seen = self._tools.patiently(chain.height, until)
        # Without an answer it may have arrived or not; sending the same bytes again is safe.
        self._tools.patiently(partial(chain.broadcast, tx), until)
        return seen

    def _included(self, seen: int, tx: bytes, until: float) -> Included:
        """Wait for the block that has a transaction, which must not have failed there."""
        tools, name = self._tools, hash_of(tx)
        holds = False
        while not holds:
            height = tools.next_block(seen, until, "the transaction is in no block yet")
            for number in range(seen + 1, height + 1):
                holds |= tools.patiently(partial(tools.blocks.has, number, name), until)
            seen = height
        while True:
            found = tools.patiently(partial(tools.chain.included, name), until)
            if found is not None:
                break
            # The node indexes a block shortly after it is committed.
            if tools.clock() >= until:
                raise LoadError(f"the node's index has no transaction {name}")
            tools.pause()
        if found.code != 0:
            raise LoadError(f"the transaction failed in block {found.height}: {found.log}")
        return found

    def _settled(self, offer: Offer, since: int, until: float) -> Tuple[int, Mapping[str, Any]]:
        """Wait for an offer's end; return its block and the offer's last status."""
        number, newest = since, since
        while True:
            status = self._tools.patiently(partial(self._status, offer, number), until)
            if status is not None and offers.settled(status):
                return number, status
            if number >= newest:
                waiting = f"offer {offer.number} has not come to its end yet"
                newest = self._tools.next_block(number, until, waiting)
            number += 1

    def _status(self, offer: Offer, height: int) -> Optional[Mapping[str, Any]]:
        """The offer's status that the wallet published in one block; later ones replace it."""
        cell = self._tools.chain.published(self._path, height)
        if cell is None or cell.height != height:
            return None
        return offers.outcome(cell.values, offer.number)
